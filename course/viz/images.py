"""Pictures of small images: side by side, and with a window on them."""

from collections.abc import Iterable, Sequence

import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike, NDArray

from course.viz.palette import BLUE, INK, MUTED
from course.viz.picture import Picture
from course.viz.words import short

Floats = NDArray[np.float64]


def draw_images(
    images: Iterable[ArrayLike],
    captions: Sequence[str] | None = None,
    *,
    title: str = "Images",
    columns: int = 8,
    signed: bool = False,
) -> Picture:
    """Draw grey images side by side, paper white and ink black.

    Args:
        images: arrays of shape (height, width), at least one.
        captions: a few words under each.
        title: stands above the picture.
        columns: how many stand in a row.
        signed: whether there are numbers below 0: then 0 is white, numbers above it are purple, and
            those below are orange, with a minus sign where they are large.

    Returns:
        The picture. Its `alt` gives the captions, and the smallest and largest number of each image.

    Raises:
        ValueError: if an image has another shape, or captions are more or fewer than images.
    """
    arrays = [_grid(image, i) for i, image in enumerate(images)]
    words = [f"image {i}" for i in range(len(arrays))] if captions is None else list(captions)
    if not arrays or len(words) != len(arrays):
        raise ValueError(f"got {len(arrays)} images and {len(words)} captions: one for each")
    across = min(columns, len(arrays))
    down = -(-len(arrays) // across)
    with style.context("default"):
        figure = Figure(figsize=(1.15 * across + 0.4, 1.35 * down + 0.5), layout="constrained")
        figure.suptitle(title, x=0.01, ha="left", color=INK, fontsize=11)
        for i, array in enumerate(arrays):
            axes = figure.add_subplot(down, across, i + 1)
            _show(axes, array, signed)
            if captions is not None:
                axes.set_xlabel(words[i], color=INK, fontsize=9)
        said = "; ".join(
            f"{word} ({short(float(a.min()))} to {short(float(a.max()))})"
            for word, a in zip(words, arrays)
        )
        height, width = arrays[0].shape
        alt = f"{title}: {len(arrays)} images, the first of {height} by {width} pixels. {said}."
        return Picture.from_figure(figure, alt)


def draw_window(
    image: ArrayLike, kernel: tuple[int, int], place: tuple[int, int], *, padding: int = 0
) -> Picture:
    """Draw an image's numbers, a window on them, and the column of numbers in the window.

    Args:
        image: (height, width).
        kernel: height and width of the window.
        place: row and column of its upper left corner, counted with the padding.
        padding: zeros drawn around the image, in italics.

    Returns:
        The picture. Its `alt` gives the column.

    Raises:
        ValueError: if the window is not on the image.
    """
    numbers = np.pad(_grid(image, 0), padding)
    (height, width), (kh, kw), (top, left) = numbers.shape, kernel, place
    if not (0 <= top <= height - kh and 0 <= left <= width - kw):
        raise ValueError(
            f"a window of {kernel} at {place} is not on an image of {numbers.shape}, with its padding"
        )
    column = numbers[top : top + kh, left : left + kw].ravel()
    n_rows = max(height, len(column))
    with style.context("default"):
        figure = Figure(figsize=(0.42 * (width + 5), 0.42 * (n_rows + 0.5)), layout="constrained")
        axes = figure.add_subplot()
        axes.set(xlim=(-0.2, width + 4.2), ylim=(n_rows + 0.2, -0.2), aspect="equal")
        axes.axis("off")
        for row, col in np.ndindex(height, width):
            inside = padding <= row < height - padding and padding <= col < width - padding
            _cell(axes, row, col, float(numbers[row, col]), not inside)
        frame = Rectangle((left, top), kw, kh, fill=False, edgecolor=BLUE, linewidth=3)
        axes.add_patch(frame)
        for row, number in enumerate(column):
            _cell(axes, row, width + 2.5, float(number), False)
        axes.add_patch(
            Rectangle((width + 2.5, 0), 1, len(column), fill=False, edgecolor=BLUE, linewidth=3)
        )
        axes.annotate(
            "",
            (width + 2.3, min(len(column), height) / 2),
            (width + 0.3, min(len(column), height) / 2),
            arrowprops={"arrowstyle": "->", "color": INK},
        )
        said = ", ".join(short(float(number)) for number in column)
        alt = (
            f"An image of {height} by {width} numbers{', padding included' if padding else ''}, with "
            f"a window of {kh} by {kw} at row {top}, column {left}. The numbers in it, row by row, are "
            f"a column: {said}."
        )
        return Picture.from_figure(figure, alt)


def _grid(image: ArrayLike, i: int) -> Floats:
    array = np.asarray(image, dtype=np.float64)
    if array.ndim != 2 or not array.size:
        raise ValueError(f"image {i} has shape {array.shape}, expected (height, width)")
    return array


def _show(axes: Axes, array: Floats, signed: bool) -> None:
    """Ink is dark; with signs, positive is purple, and negative orange with a minus sign in it."""
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_color(MUTED)
    top = float(np.abs(array).max()) or 1.0
    if not signed:
        axes.imshow(array, cmap="Greys", vmin=min(0.0, float(array.min())), vmax=top)
        return
    axes.imshow(array, cmap="PuOr", vmin=-top, vmax=top)
    if array.size <= 100:
        for row, column in np.argwhere(array < -0.25 * top):
            axes.text(column, row, "−", ha="center", va="center", color=INK, fontsize=8)


def _cell(axes: Axes, row: float, column: float, number: float, faint: bool) -> None:
    axes.add_patch(Rectangle((column, row), 1, 1, fill=False, edgecolor=MUTED, linewidth=0.6))
    axes.text(
        column + 0.5,
        row + 0.5,
        short(float(number)),
        ha="center",
        va="center",
        color=MUTED if faint else INK,
        style="italic" if faint else "normal",
        fontsize=10,
    )
