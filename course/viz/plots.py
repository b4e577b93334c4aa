"""Loss curves and decision boundaries, with matplotlib."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from course.viz.palette import BLUE, HATCH, INK, MUTED, ORANGE, PALE_BLUE, PALE_ORANGE
from course.viz.picture import Picture
from course.viz.words import clip, short

Floats = NDArray[np.float64]

STYLE = {
    "hatch.color": HATCH,
    "hatch.linewidth": 0.8,
    "figure.constrained_layout.w_pad": 0.12,
    "figure.constrained_layout.h_pad": 0.12,
}
LINES = ((BLUE, "-"), (ORANGE, "--"), (INK, ":"), (MUTED, "-."))


def loss_curve(
    losses: ArrayLike | Mapping[str, ArrayLike],
    *,
    title: str = "Loss",
    xlabel: str = "step",
    ylabel: str = "loss",
    log: bool = False,
) -> Picture:
    """Draw how a loss went, and mark where it was lowest.

    Args:
        losses: one loss a step, shape (n,); or several such curves by name, to compare:
            `{"train": train_losses, "test": test_losses}`.
        title: stands above the picture.
        xlabel: what is counted, from 0.
        ylabel: what goes up and down.
        log: whether the vertical axis is logarithmic. It leaves out losses of 0 and below.

    Returns:
        The picture. Its `alt` gives the first, the last and the lowest loss of each curve.

    Raises:
        TypeError: if the losses are not numbers.
        ValueError: if there are none, or not in one row.
    """
    curves = losses if isinstance(losses, Mapping) else {"": losses}
    rows = {
        name: _floats(values, "n", f"losses[{name!r}]" if name else "losses")
        for name, values in curves.items()
    }
    if not rows or any(len(row) == 0 for row in rows.values()):
        raise ValueError("losses are empty: loss_curve draws what was collected in training.")
    with _axes(title, xlabel, ylabel, size=(6.4, 3.6)) as axes:
        for (name, row), (color, line) in zip(rows.items(), LINES * len(rows)):
            axes.plot(row, line, color=color, label=name, marker="o" if len(row) == 1 else None)
            if np.isfinite(row).any():
                low = _lowest(row)
                axes.plot(low, row[low], "o", color=color, clip_on=False)
        if len(rows) > 1:
            axes.legend(frameon=False)
        axes.grid(axis="y", color="#e3e7ea")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
        if log:
            axes.set_yscale("log", nonpositive="mask")
        said = " ".join(_describe(name, row, xlabel) for name, row in rows.items())
        return Picture.from_figure(_figure_of(axes), f"{title}: {ylabel} by {xlabel}. {said}")


def decision_boundary(
    predict: Callable[[Floats], Any],
    points: ArrayLike,
    labels: ArrayLike,
    *,
    title: str = "Decision boundary",
    resolution: int = 40,
) -> Picture:
    """Draw where a classifier's score changes its sign, and the points it should tell apart.

    Args:
        predict: takes points, an array of shape (m, 2), and returns their scores, shape (m,).
            Scores above 0 mean the positive class.
        points: the data, shape (n, 2).
        labels: the class of each point, shape (n,): 1 is positive, and -1 or 0 negative.
        title: stands above the picture.
        resolution: the score is computed at resolution × resolution places, and interpolated
            between them.

    Returns:
        The picture. Its `alt` gives the share of points on the right side. Positive points are
        circles, negative ones triangles; those on the wrong side have a ring.

    Raises:
        TypeError: if points, labels or scores are not numbers.
        ValueError: if their shapes do not fit each other, or labels are others than these.
    """
    xy = _floats(points, "n, 2", "points")
    if not np.isfinite(xy).all():
        raise ValueError("points: got nan or infinite coordinates, expected finite ones.")
    is_positive = _positive(_floats(labels, "n", "labels"), len(xy))
    guessed = _scores(predict, xy)
    is_right = np.where(is_positive, guessed > 0, guessed <= 0)  # nan is never right

    margin = 0.1 * np.ptp(xy, axis=0) + 0.1
    low, high = xy.min(axis=0) - margin, xy.max(axis=0) + margin
    xs, ys = np.linspace(low, high, resolution).T
    grid = np.stack(np.meshgrid(xs, ys), axis=-1)  # (resolution, resolution, 2)
    scores = _scores(predict, grid.reshape(-1, 2)).reshape(resolution, resolution)

    with _axes(title, "x₁", "x₂", size=(5.6, 4.8)) as axes:
        _shade(axes, xs, ys, np.ma.masked_invalid(scores))
        for which, size, marker, color, label in (
            (is_positive, 48, "o", BLUE, "positive"),
            (~is_positive, 60, "^", ORANGE, "negative"),
        ):
            x, y = xy[which].T
            axes.scatter(x, y, size, color, marker=marker, edgecolor="white", label=label)
        if not is_right.all():
            x, y = xy[~is_right].T
            axes.scatter(x, y, 140, "none", edgecolor=INK, label="wrong side")
        handles = [
            *axes.get_legend_handles_labels()[0],
            Patch(facecolor=PALE_BLUE, label="score above 0"),
            Patch(facecolor=PALE_ORANGE, hatch="//", label="score below 0"),
        ]
        figure = _figure_of(axes)
        figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False)
        count, right = len(xy), int(is_right.sum())
        alt = (
            f"{title}: {right} of {count} points ({short(100 * right / count)} %) are on the right side of "
            f"the boundary; {int(is_positive.sum())} are positive (circles), {int((~is_positive).sum())} "
            "negative (triangles)."
        )
        return Picture.from_figure(figure, alt)


def _shade(axes: Axes, xs: Floats, ys: Floats, scores: Any) -> None:
    """Tint the two sides, hatch the negative one, and draw the boundary between them."""
    if scores.count() == 0:
        return
    top = float(np.abs(scores).max()) + 1.0
    colors = [PALE_ORANGE, PALE_BLUE]
    axes.contourf(xs, ys, scores, [-top, 0.0, top], colors=colors, hatches=["//", None])
    if scores.min() < 0 < scores.max():
        axes.contour(xs, ys, scores, [0.0], colors=[INK], linewidths=1.5)


@contextmanager
def _axes(title: str, xlabel: str, ylabel: str, size: tuple[float, float]) -> Iterator[Axes]:
    """Empty axes in the course's own style, whatever style the notebook has set."""
    with matplotlib.style.context(["default", STYLE]):
        axes = Figure(figsize=size, layout="constrained").add_subplot()
        axes.set_title(title, loc="left", color=INK)
        axes.set_xlabel(xlabel, color=INK)
        axes.set_ylabel(ylabel, color=INK)
        axes.tick_params(colors=MUTED)
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(MUTED)
        yield axes


def _floats(values: Any, shape: str, what: str) -> Floats:
    """The values as an array of the shape "n" or "n, 2"."""
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        remedy = "If they are nodes, take the .data of each."
        raise TypeError(f"{what} must be numbers, of shape ({shape}): {error}. {remedy}") from error
    fits = array.ndim == 1 if shape == "n" else array.ndim == 2 and array.shape[1] == 2
    if not fits:
        raise ValueError(
            f"{what}: got shape {array.shape}, expected ({shape}{',' * (shape == 'n')})."
        )
    return array


def _positive(labels: Floats, count: int) -> NDArray[np.bool_]:
    if labels.shape != (count,):
        raise ValueError(
            f"labels: got shape {labels.shape}, expected {(count,)}, one for each point."
        )
    if count == 0:
        raise ValueError("points are empty: got shape (0, 2), expected at least one point.")
    found = set(labels.tolist())
    if not (found <= {-1.0, 1.0} or found <= {0.0, 1.0}):
        shown = clip(", ".join(short(label) for label in sorted(found)), 60)
        raise ValueError(f"labels: got {shown}, expected 1 and -1, or 1 and 0.")
    return labels > 0


def _scores(predict: Callable[[Floats], Any], xy: Floats) -> Floats:
    what = f"predict's scores for points of shape {xy.shape}"
    scores = _floats(predict(xy), "n", what)
    if scores.shape != (len(xy),):
        raise ValueError(f"{what}: got shape {scores.shape}, expected {(len(xy),)}.")
    return scores


def _lowest(row: Floats) -> int:
    return int(np.argmin(np.where(np.isfinite(row), row, np.inf)))


def _describe(name: str, row: Floats, xlabel: str) -> str:
    count = f"{len(row):,} values" if len(row) > 1 else "1 value"
    ends = f"{count}: first {short(row[0])}, last {short(row[-1])}"
    finite = np.isfinite(row)
    low = _lowest(row)
    lowest = f", lowest {short(row[low])} at {xlabel} {low}" if finite.any() else ""
    bad = f"; {int((~finite).sum())} are not finite" if not finite.all() else ""
    return f"{name + ', ' if name else ''}{ends}{lowest}{bad}."


def _figure_of(axes: Axes) -> Figure:
    figure = axes.get_figure()
    assert isinstance(figure, Figure)
    return figure
