"""Pictures of a training: the loss of each step and what was measured in between, and gradients as arrows."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from course.viz.palette import BLUE, INK, MUTED, ORANGE
from course.viz.picture import Picture
from course.viz.plots import LINES, _axes, _figure_of, _floats
from course.viz.words import short


def training_curve(
    losses: ArrayLike,
    evaluations: Sequence[tuple[int, float]] = (),
    *,
    lines: Mapping[str, float] | None = None,
    title: str = "Training",
    ylabel: str = "loss",
    steps: int | None = None,
) -> Picture:
    """Draw the loss of each step, and marks for what was measured in between.

    Args:
        losses: one for each step, shape (n,).
        evaluations: pairs (step, loss), where step counts the steps done so far.
        lines: levels to compare with, by name: `{"trigrams": 1.7}`.
        title: stands above the picture.
        ylabel: what goes up and down.
        steps: how long the axis is; None for as many steps as there are. A picture that is drawn while the training goes on
            stays calm with it.

    Returns:
        The picture. Its `alt` gives the last loss, all evaluations, or the last five of them, and the levels.

    Raises:
        TypeError: if the losses are not numbers.
        ValueError: if there are none, or not in one row.
    """
    row = _floats(losses, "n", "losses")
    if not len(row):
        raise ValueError("losses are empty: training_curve draws what was collected in training.")
    said = [f"{len(row):,} steps, the last with {ylabel} {short(row[-1])}."]
    with _axes(title, "step", ylabel, size=(6.4, 3.6)) as axes:
        axes.plot(np.arange(1, len(row) + 1), row, color=MUTED, linewidth=0.8, label="each step")
        if evaluations:
            at, measured = zip(*evaluations)
            axes.plot(at, measured, "o-", color=BLUE, label="measured")
            told = ", ".join(f"{short(y)} at {x}" for x, y in evaluations[-5:])
            said.append(f"Measured: {'..., ' * (len(evaluations) > 5)}{told}.")
        for (name, level), line in zip((lines or {}).items(), ("--", ":", "-.") * len(lines or {})):
            axes.axhline(level, color=(ORANGE if line == "--" else INK), linestyle=line, label=name)
            said.append(f"{name}: {short(level)}.")
        if steps:
            axes.set_xlim(0, steps)
        axes.legend(frameon=False)
        axes.grid(axis="y", color="#e3e7ea")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
        alt = f"{title}: {ylabel} by step. {' '.join(said)}"
        return Picture.from_figure(_figure_of(axes), alt)


def arrows(
    vectors: Mapping[str, tuple[float, float]], radius: float | None = None, *, title: str = ""
) -> Picture:
    """Draw arrows from one point, to compare lengths and directions.

    Args:
        vectors: where each one points, by name.
        radius: of a circle around the point, or None.
        title: stands above the picture.

    Returns:
        The picture. Its `alt` gives each arrow's length and direction.
    """
    told = [
        f"{name} is {short(math.hypot(x, y))} long, at {short(math.degrees(math.atan2(y, x)))} degrees"
        for name, (x, y) in vectors.items()
    ]
    with _axes(title, "by the first parameter", "by the second", size=(5.2, 4.2)) as axes:
        for (name, (x, y)), (color, line) in zip(vectors.items(), LINES * len(vectors)):
            axes.annotate(
                "", (x, y), (0, 0), arrowprops={"arrowstyle": "->", "color": color, "linestyle": line, "linewidth": 2}
            )  # fmt: skip
            axes.plot([], [], line, color=color, label=name)
            axes.plot(x, y, alpha=0)  # the axes reach as far as the arrow
        if radius is not None:
            around = np.linspace(0, 2 * np.pi, 100)
            axes.plot(radius * np.cos(around), radius * np.sin(around), color=MUTED, linewidth=0.8)
            told.append(f"the circle has radius {short(radius)}")
        axes.set_aspect("equal")
        axes.legend(frameon=False)
        return Picture.from_figure(_figure_of(axes), f"{title}: {'; '.join(told)}.")
