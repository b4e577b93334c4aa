"""A matrix as a map: each cell as dark as its number is large, with the number in it."""

from collections.abc import Sequence

import numpy as np
from matplotlib import style
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike

from course.viz.palette import INK, MUTED
from course.viz.picture import Picture

MOST = 1024  # cells with a number in each; more could not be read


def draw_matrix(
    matrix: ArrayLike,
    rows: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
    *,
    hidden: ArrayLike | None = None,
    title: str = "Matrix",
    xlabel: str = "column",
    ylabel: str = "row",
    digits: int = 2,
) -> Picture:
    """Draw numbers from 0 up as a map.

    Args:
        matrix: (n, m), none below 0.
        rows: a name for each row; by default its number.
        columns: a name for each column; by default its number.
        hidden: (n, m), true for cells that are crossed out, and whose number is not shown.
        title: stands above the picture.
        xlabel: what a column is.
        ylabel: what a row is.
        digits: how many are shown behind the point.

    Returns:
        The picture. Its `alt` gives the numbers row by row.

    Raises:
        ValueError: if there are no numbers, too many, or some below 0, or names or `hidden` do not fit.
    """
    numbers = np.asarray(matrix, dtype=np.float64)
    if numbers.ndim != 2 or not 0 < numbers.size <= MOST or numbers.min() < 0:
        raise ValueError(
            f"can draw a matrix of 1 to {MOST} numbers, none below 0, not one of shape {numbers.shape}"
        )
    out = np.zeros(numbers.shape, bool) if hidden is None else np.asarray(hidden, bool)
    down = [str(i) for i in range(numbers.shape[0])] if rows is None else list(rows)
    across = [str(i) for i in range(numbers.shape[1])] if columns is None else list(columns)
    if (len(down), len(across)) != numbers.shape or out.shape != numbers.shape:
        raise ValueError(
            f"{len(down)} names of rows, {len(across)} of columns and hidden of shape {out.shape} "
            f"do not fit a matrix of shape {numbers.shape}"
        )
    top = float(numbers.max()) or 1.0
    with style.context("default"):
        size = (0.55 * len(across) + 1.6, 0.42 * len(down) + 1.2)
        figure = Figure(figsize=size, layout="constrained")
        figure.suptitle(title, x=0.01, ha="left", color=INK, fontsize=11)
        axes = figure.add_subplot()
        axes.imshow(np.where(out, 0.0, numbers), cmap="Purples", vmin=0, vmax=2.4 * top, aspect="auto")  # fmt: skip
        axes.set_xticks(range(len(across)), across, color=INK, fontsize=9)
        axes.set_yticks(range(len(down)), down, color=INK, fontsize=9)
        axes.set_xlabel(xlabel, color=MUTED)
        axes.set_ylabel(ylabel, color=MUTED)
        axes.tick_params(length=0)
        axes.spines[:].set_color(MUTED)
        for i, j in np.ndindex(numbers.shape):
            if out[i, j]:
                corner = (j - 0.5, i - 0.5)
                axes.add_patch(Rectangle(corner, 1, 1, fill=False, hatch="xx", edgecolor="#c9ced3", linewidth=0))  # fmt: skip
            else:
                text = f"{numbers[i, j]:.{digits}f}"
                axes.text(j, i, text, ha="center", va="center", color=INK, fontsize=8)
        said = "; ".join(
            f"{' '.join(name.split()) or 'space'}: {', '.join('hidden' if gone else f'{x:.{digits}f}' for x, gone in zip(row, crossed))}"
            for name, row, crossed in zip(down, numbers, out)
        )
        alt = f"{title}. {ylabel} by {xlabel} ({', '.join(' '.join(name.split()) or 'space' for name in across)}). {said}."
        return Picture.from_figure(figure, alt)
