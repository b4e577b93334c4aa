"""Probabilities of tokens: as bars, side by side, and as pieces of a line from 0 to 1."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import style
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike, NDArray

from course.viz.palette import BLUE, INK, MUTED, PALE_BLUE, PAPER
from course.viz.picture import Picture
from course.viz.words import clip, short

Floats = NDArray[np.float64]


def draw_chances(
    chances: Mapping[str, ArrayLike],
    tokens: Sequence[str],
    *,
    title: str = "The next token",
    most: int = 12,
) -> Picture:
    """Draw how likely each token is, a panel of bars for each way to find that out.

    Args:
        chances: probabilities by the panel's name, each (n_tokens,).
        tokens: a few letters for each.
        title: stands above the picture.
        most: how many tokens are shown: the likeliest of the first panel.

    Returns:
        The picture. A token with the probability 0 has a cross in place of a bar. Its `alt` gives all numbers shown.

    Raises:
        ValueError: if there are none, or not as many as tokens.
    """
    rows = {name: _row(values, len(tokens)) for name, values in chances.items()}
    if not rows:
        raise ValueError("chances are empty: draw_chances needs at least one row of probabilities")
    shown = np.argsort(-next(iter(rows.values())), kind="stable")[:most]
    labels = [_quoted(tokens[i]) for i in shown]
    highest = max(float(row[shown].max()) for row in rows.values()) or 1.0
    with style.context("default"):
        size = (1.9 * len(rows) + 1.2, 0.24 * len(shown) + 1.0)
        figure = Figure(figsize=size, layout="constrained")
        figure.suptitle(title, x=0.01, ha="left", color=INK, fontsize=11)
        for i, (name, row) in enumerate(rows.items()):
            axes = figure.add_subplot(1, len(rows), i + 1)
            axes.barh(range(len(shown)), row[shown], color=BLUE, height=0.7)
            for y, chance in enumerate(row[shown]):
                text = " ×" if chance == 0 else f" {100 * chance:.1f} %"
                axes.text(float(chance), y, text, va="center", color=INK, fontsize=8)
            axes.set(xlim=(0, 1.45 * highest), xticks=[])
            axes.set_ylim(len(shown) - 0.4, -0.6)
            axes.set_yticks(range(len(shown)), labels if i == 0 else [""] * len(shown))
            axes.set_title(name, loc="left", color=INK, fontsize=9)
            axes.tick_params(colors=INK, labelsize=8, length=0)
            axes.spines[["top", "right", "bottom"]].set_visible(False)
            axes.spines["left"].set_color(MUTED)
        said = " ".join(f"{name}: {_listed(row[shown], labels)}." for name, row in rows.items())
        rest = len(tokens) - len(shown)
        others = f" {rest} less likely tokens are not shown." if rest else ""
        return Picture.from_figure(figure, f"{title}. {said}{others}")


def draw_pieces(
    chances: ArrayLike,
    tokens: Sequence[str],
    numbers: Sequence[float] = (),
    *,
    title: str = "A piece for each token",
) -> Picture:
    """Draw the line from 0 to 1, cut into a piece for each token, and where some numbers fall.

    Args:
        chances: probabilities, (n_tokens,).
        tokens: a few letters for each.
        numbers: from 0 to 1; each has an arrow.
        title: stands above the picture.

    Returns:
        The picture. Its `alt` gives where each piece ends, and on which piece each number falls.

    Raises:
        ValueError: if there are not as many probabilities as tokens.
    """
    row = _row(chances, len(tokens))
    ends = np.cumsum(row)
    with style.context("default"):
        figure = Figure(figsize=(7.2, 1.5), layout="constrained")
        axes = figure.add_subplot()
        axes.set_title(title, loc="left", color=INK, fontsize=11)
        for i, (chance, end, token) in enumerate(zip(row, ends, tokens)):
            fill = PALE_BLUE if i % 2 else PAPER
            axes.add_patch(Rectangle((end - chance, 0), chance, 1, facecolor=fill, edgecolor=INK))
            if chance > 0.03:
                axes.text(
                    end - chance / 2, 0.5, _quoted(token), ha="center", va="center", color=INK
                )
        for number in numbers:
            axes.annotate(
                short(number),
                (number, 1),
                (number, 1.6),
                ha="center",
                color=BLUE,
                arrowprops={"arrowstyle": "->", "color": BLUE},
            )
        axes.set(xlim=(-0.01, max(1.0, float(ends[-1])) + 0.01), ylim=(0, 2), yticks=[])
        places = [0.0, *(float(end) for end in ends)]
        axes.set_xticks(places, [short(round(place, 3)) for place in places])
        axes.tick_params(colors=MUTED, labelsize=8)
        axes.spines[:].set_visible(False)
        pieces = ", ".join(
            f"{_quoted(token)} up to {short(round(float(end), 3))}"
            for token, end in zip(tokens, ends)
        )
        falls = "".join(
            f" {short(number)} falls on {_quoted(tokens[int((ends <= number).sum())])}."
            for number in numbers
            if number < ends[-1]
        )
        return Picture.from_figure(figure, f"{title}. From 0: {pieces}.{falls}")


def _row(values: ArrayLike, count: int) -> Floats:
    row = np.asarray(values, dtype=np.float64)
    if row.shape != (count,) or not count:
        raise ValueError(
            f"probabilities have shape {row.shape}, expected ({count},), one for each token"
        )
    return row


def _quoted(token: str) -> str:
    """A token in a few letters that can be seen, spaces too."""
    return clip(token.replace(" ", "␣").replace("\n", "⏎"), 14) or "∅"


def _listed(row: Floats, labels: list[str]) -> str:
    return ", ".join(
        f"{label} {'left out' if chance == 0 else f'{100 * chance:.1f} %'}"
        for label, chance in zip(labels, row)
    )
