"""A text in pieces: a box around each, and its number underneath."""

from collections.abc import Sequence

from matplotlib import style
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont
from matplotlib.ft2font import FT2Font
from matplotlib.patches import Rectangle

from course.viz.palette import INK, LEAF_LINE, MUTED, PALE_BLUE, PALE_ORANGE
from course.viz.picture import Picture
from course.viz.words import visible

FONT = FontProperties(family="DejaVu Sans Mono", size=11)
LINE = 72  # characters
GAP = 0.45  # between two boxes, in characters


def draw_tokens(
    pieces: Sequence[bytes], numbers: Sequence[int] | None = None, *, title: str = ""
) -> Picture:
    """Draw the pieces of a text, each in a box of its own.

    A space is shown as "␣", a new line as "↵", and bytes that are no whole character as their numbers: "\\xc3".

    Args:
        pieces: the bytes of each piece, in the order of the text.
        numbers: of each piece, to stand under its box.
        title: stands above the picture.

    Returns:
        The picture. Its `alt` lists the pieces.

    Raises:
        ValueError: if there are no pieces, or not as many numbers.
    """
    if not pieces or (numbers is not None and len(numbers) != len(pieces)):
        found = "no" if numbers is None else len(numbers)
        raise ValueError(
            f"got {len(pieces)} pieces and {found} numbers: at least one, one for each"
        )
    known = FT2Font(findfont(FONT)).get_charmap()
    texts = [visible(piece, lambda character: ord(character) in known) for piece in pieces]
    below = [""] * len(texts) if numbers is None else [str(number) for number in numbers]
    places = _places([max(len(text), 0.75 * len(b)) for text, b in zip(texts, below)])
    rows = places[-1][1] + 1
    with style.context("default"):
        figure = Figure(figsize=(0.094 * (LINE + 2) + 0.2, 0.52 * rows + 0.1 + 0.3 * bool(title)))
        axes = figure.add_axes((0.01, 0.0, 0.98, 1 - 0.3 * bool(title) / figure.get_figheight()))
        axes.set(xlim=(-0.6, LINE + 1.4), ylim=(rows - 0.1, -0.15))
        axes.axis("off")
        figure.text(0.015, 0.99, title, va="top", color=INK, fontsize=11)
        for i, (text, small, (x, row, width)) in enumerate(zip(texts, below, places)):
            axes.add_patch(
                Rectangle(
                    (x, row),
                    width,
                    0.5,
                    facecolor=(PALE_BLUE, PALE_ORANGE)[i % 2],
                    edgecolor=LEAF_LINE,
                )
            )
            axes.text(x + width / 2, row + 0.26, text, ha="center", va="center", color=INK, font=FONT)  # fmt: skip
            axes.text(x + width / 2, row + 0.55, small, ha="center", va="top", color=MUTED, fontsize=7)  # fmt: skip
        said = [f'"{text}" {small}'.strip() for text, small in zip(texts, below)]
        alt = f"{title + ': ' if title else ''}{len(texts)} pieces: {', '.join(said)}."
        return Picture.from_figure(figure, alt)


def _places(widths: Sequence[float]) -> list[tuple[float, int, float]]:
    """For each box where it begins, in which row, and how wide it is, in characters."""
    places: list[tuple[float, int, float]] = []
    x, row = 0.0, 0
    for width in widths:
        width = width + 0.6
        if x + width > LINE and x > 0:
            x, row = 0.0, row + 1
        places.append((x, row, width))
        x += width + GAP
    return places
