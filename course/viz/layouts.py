"""How an array of rows and columns lies in memory: a picture of shape, strides and offset."""

from collections.abc import Sequence

from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from course.viz.palette import BLUE, INK, LEAF_FILL, MUTED, ORANGE, PAPER, REST_FILL
from course.viz.picture import Picture

MOST = 32  # numbers in a picture


def draw_layout(
    buffer: Sequence[object],
    shape: Sequence[int],
    strides: Sequence[int],
    offset: int = 0,
    *,
    title: str = "",
) -> Picture:
    """Draw a buffer, the array that a layout makes of it, and the steps that the strides are.

    Args:
        buffer: the numbers (or letters) in the order in which they lie in memory, at most 32.
        shape: of the array; one or two axes.
        strides: for each axis, how many places further in the buffer the next element lies.
        offset: the place of the first element.
        title: stands above the picture.

    Returns:
        The picture. Its `alt` gives the array, row by row, with the places in the buffer.

    Raises:
        ValueError: if there are other than one or two axes, too many numbers, or an element would lie
            outside of the buffer.
    """
    cells = [str(value) for value in buffer]
    if len(shape) not in (1, 2) or len(strides) != len(shape) or 0 in shape:
        raise ValueError(f"can draw one or two axes, not shape {shape} with strides {strides}")
    rows, columns = (1, *shape)[-2:]
    down, across = (0, *strides)[-2:]
    places = [[offset + i * down + j * across for j in range(columns)] for i in range(rows)]
    seen = [place for row in places for place in row]
    if min(seen) < 0 or max(seen) >= len(cells):
        raise ValueError(f"places {min(seen)} to {max(seen)} are not all in {len(cells)} numbers")
    if max(len(cells), len(seen)) > MOST:
        raise ValueError(f"can draw {MOST} numbers at most, not {max(len(cells), len(seen))}")
    used = set(seen)
    width = max(len(cells), columns + 2) + 0.4
    with style.context("default"):
        figure = Figure(figsize=(0.5 * width + 1.2, 0.5 * (rows + 5.2)), layout="constrained")
        axes = figure.add_subplot()
        axes.set(xlim=(-1.6, width), ylim=(rows + 3.9, -1.3), aspect="equal")
        axes.axis("off")
        if title:
            axes.text(0, -0.8, title, color=INK, fontsize=11)
        for place, text in enumerate(cells):
            _cell(axes, place, 0.6, text, LEAF_FILL if place in used else REST_FILL)
            axes.text(place + 0.5, 0.4, str(place), ha="center", color=MUTED, fontsize=7)
        axes.text(-0.2, 1.1, "buffer", ha="right", va="center", color=MUTED, fontsize=9)
        if columns > 1:
            _step(axes, offset, across, 1.95, BLUE, f"next column: {across:+d}", dashed=False)
        if rows > 1:
            _step(axes, offset, down, 2.7, ORANGE, f"next row: {down:+d}", dashed=True)
        for i, row in enumerate(places):
            for j, place in enumerate(row):
                _cell(axes, j, i + 3.6, cells[place], PAPER, small=str(place))
        axes.text(-0.2, 3.6 + rows / 2, "array", ha="right", va="center", color=MUTED, fontsize=9)
        said = "; ".join(
            ", ".join(f"{cells[place]} from place {place}" for place in row) for row in places
        )
        alt = (
            f"{title + ': ' if title else ''}a buffer of {len(cells)} numbers, read as shape "
            f"{tuple(shape)} with strides {tuple(strides)} and offset {offset}. Row by row: {said}."
        )
        return Picture.from_figure(figure, alt)


def _cell(axes: Axes, x: float, y: float, text: str, fill: str, small: str = "") -> None:
    axes.add_patch(Rectangle((x, y), 1, 1, facecolor=fill, edgecolor=MUTED, linewidth=0.8))
    axes.text(x + 0.5, y + 0.5, text, ha="center", va="center", color=INK, fontsize=10)
    if small:
        axes.text(x + 0.94, y + 0.9, small, ha="right", color=MUTED, fontsize=6)


def _step(
    axes: Axes, start: int, stride: int, y: float, colour: str, words: str, *, dashed: bool
) -> None:
    """An arrow under the buffer, from the first element to its neighbour on one axis."""
    begin, end = start + 0.5, start + stride + 0.5
    if stride:
        arrow = {"arrowstyle": "->", "color": colour, "linestyle": "--" if dashed else "-"}
        axes.annotate("", (end, y), (begin, y), arrowprops={**arrow, "shrinkA": 0, "shrinkB": 0})
    else:
        axes.plot([begin], [y], marker="o", color=colour)
    axes.text(max(begin, end) + 0.3, y, words, va="center", color=colour, fontsize=9)
