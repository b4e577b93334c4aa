"""Bars that are cut into shares: what a whole consists of."""

from collections.abc import Mapping

from matplotlib import style
from matplotlib.figure import Figure

from course.viz.palette import BLUE, INK, LEAF_FILL, MUTED, NOW_FILL, ORANGE, PALE_ORANGE
from course.viz.picture import Picture

LOOKS = (
    (LEAF_FILL, BLUE, ""),
    (PALE_ORANGE, ORANGE, "///"),
    (NOW_FILL, MUTED, "..."),
    ("#ffffff", INK, "xxx"),
    ("#d9dde1", INK, ""),
)
"""Fill, lines and hatch of each part; told apart without colours, too."""


def draw_shares(
    wholes: Mapping[str, Mapping[str, float]], *, title: str = "Shares", unit: str = ""
) -> Picture:
    """Draw a bar for each whole, cut into its parts. Bars are equally long; a number tells the whole.

    Args:
        wholes: for each whole its parts, by name; all have parts of the same names, at most five.
        title: stands above the picture.
        unit: of the numbers, such as "parameters".

    Returns:
        The picture. Its `alt` gives the shares in per cent.

    Raises:
        ValueError: if there are none, the names differ, or a number is negative, or all are 0.
    """
    names = list(next(iter(wholes.values()), {}))
    for whole, parts in wholes.items():
        if list(parts) != names or min(parts.values()) < 0 or not sum(parts.values()):
            raise ValueError(f"{whole!r} needs the parts {names}, none negative: got {dict(parts)}")
    if not 0 < len(names) <= len(LOOKS):
        raise ValueError(f"can draw 1 to {len(LOOKS)} parts, not {len(names)}")
    said = []
    with style.context("default"):
        figure = Figure(figsize=(7.2, 0.55 * len(wholes) + 1.3), layout="constrained")
        figure.suptitle(title, x=0.01, ha="left", color=INK, fontsize=11)
        axes = figure.add_subplot()
        labels = []
        for row, (whole, parts) in enumerate(wholes.items()):
            total, left = sum(parts.values()), 0.0
            for name, (fill, line, hatch) in zip(names, LOOKS):
                share = parts[name] / total
                label = name if row == 0 else None
                axes.barh(row, share, left=left, color=fill, edgecolor=line, hatch=hatch, label=label)  # fmt: skip
                if share > 0.06:
                    text = axes.text(left + share / 2, row, f"{share:.0%}", ha="center", va="center", color=INK, fontsize=9)  # fmt: skip
                    text.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 1.5})
                left += share
            labels.append(f"{whole}\n{total:,.0f}{f' {unit}' if unit else ''}")
            shares = ", ".join(f"{name} {parts[name] / total:.0%}" for name in names)
            said.append(f"{whole}, {total:,.0f} {unit}: {shares}")
        axes.set_yticks(range(len(wholes)), labels, color=INK, fontsize=9)
        axes.invert_yaxis()
        axes.set_xticks([])
        axes.set_xlim(0, 1)
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
        figure.legend(loc="outside lower center", ncols=len(names), frameon=False, fontsize=9)
        return Picture.from_figure(figure, f"{title}: {'; '.join(said)}.")
