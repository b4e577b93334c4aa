"""The roofline: how fast a kernel can be at most, given how much it computes for each byte."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from course.kernellab.svg import (
    BLUE,
    FAINT,
    INK,
    MARGIN,
    MUTED,
    ORANGE,
    PALE_BLUE,
    PALE_ORANGE,
    SMALL,
    WIDE,
    Canvas,
    Picture,
    clip,
    width_of,
)

Point = tuple[str, float, float, bool]
"""A label, flops for each byte, flops a second, and whether that is a prediction."""

LEFT, HIGH, RADIUS = 92, 330, 10  # pixels
PREFIXES = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


class Gpu(Protocol):
    """What the roofline must know of a GPU."""

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def flops(self) -> float:
        """Float32 operations a second, at most."""

    @property
    def bandwidth(self) -> float:
        """Bytes a second from its memory, at most."""


@dataclass(frozen=True)
class Scale:
    """A logarithmic axis from `low` to `high`, in pixels from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """The place of a value."""
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return self.start + (self.end - self.start) * share

    def decades(self) -> list[float]:
        """The powers of ten on it."""
        first, last = math.ceil(math.log10(self.low)), math.floor(math.log10(self.high))
        return [10.0**power for power in range(first, last + 1)]


def draw_roofline(points: Iterable[Point], gpu: Gpu) -> Picture:
    """Draw kernels under the roofline of a GPU, both axes logarithmic.

    To the left of the ridge, memory is the limit: the roof is flops for each byte, times bandwidth.
    To its right, arithmetic is. A point far below the roof is held up by something else.

    Args:
        points: for each kernel its label, flops for each byte of memory, flops a second, and whether
            that speed is a prediction.
        gpu: any object with a name, `flops` (float32 operations a second) and `bandwidth` (bytes a
            second).

    Returns:
        The picture; `alt` gives each point, and its share of the roof.

    Raises:
        ValueError: if there are no points, or a number is not above zero.
    """
    points = list(points)
    if not points:
        raise ValueError(
            "points are empty: each is (label, flops per byte, flops/s, is_prediction)."
        )
    for label, intensity, speed, _ in points:
        if not (0 < intensity < math.inf and 0 < speed < math.inf):
            raise ValueError(
                f"{label!r} has {intensity} flops per byte and {speed} flops/s; a logarithmic axis "
                "only has places for numbers above zero (a kernel without flops has no roofline)."
            )
    ridge = gpu.flops / gpu.bandwidth
    intensities = [ridge, *(point[1] for point in points)]
    speeds = [gpu.flops, *(point[2] for point in points)]
    x_low, x_high = min(intensities) / 3, max(intensities) * 4
    speeds += [min(x_low * gpu.bandwidth * 3, gpu.flops)]  # so that the slope begins in the picture
    y_low, y_high = min(speeds) / 3, max(speeds) * 3

    canvas = Canvas()
    title = f"Roofline of {gpu.name}: {_si(gpu.flops)}flop/s, {_si(gpu.bandwidth)}B/s"
    y = canvas.paragraph(MARGIN, MARGIN, title, size=14, bold=True)
    canvas.text(MARGIN, y + 12, "flop/s", size=SMALL, fill=MUTED)
    top, right = y + 24, WIDE - MARGIN - 20
    across = Scale(x_low, x_high, MARGIN + LEFT, right)
    down = Scale(y_low, y_high, top + HIGH, top)
    _draw_axes(canvas, across, down)
    _draw_roof(canvas, across, down, gpu, ridge)
    _draw_points(canvas, across, down, points)
    y = top + HIGH + 56
    said = [f"{title}. The ridge is at {ridge:.3g} flop/byte."]
    for number, point in enumerate(points, 1):
        said.append(_draw_row(canvas, y, number, point, gpu, ridge))
        y += 22
    return canvas.finish(" ".join(said))


def _si(value: float) -> str:
    """3.35 T for 3.35e12: the unit follows."""
    for size, prefix in PREFIXES:
        if value >= size:
            return f"{value / size:.3g} {prefix}"
    return f"{value:.3g} "


def _draw_axes(canvas: Canvas, across: Scale, down: Scale) -> None:
    canvas.rect(across.start, down.end, across.end - across.start, down.start - down.end)
    for value in across.decades():
        x = across(value)
        canvas.line([(x, down.start), (x, down.end)], stroke=FAINT)
        canvas.text(x, down.start + 11, f"{value:,g}", size=SMALL, anchor="middle", fill=MUTED)
    for value in down.decades():
        y = down(value)
        canvas.line([(across.start, y), (across.end, y)], stroke=FAINT)
        words = f"{_si(value)}flop/s"
        canvas.text(across.start - 8, y, words, size=SMALL, anchor="end", fill=MUTED)
    middle = (across.start + across.end) / 2
    words = "flops for each byte of memory"
    canvas.text(middle, down.start + 28, words, size=SMALL, anchor="middle", fill=MUTED)


def _draw_roof(canvas: Canvas, across: Scale, down: Scale, gpu: Gpu, ridge: float) -> None:
    """The two roofs; their names stand above them, where no point can be."""
    begin = max(across.low, down.low / gpu.bandwidth)
    corner = (across(ridge), down(gpu.flops))
    start = (across(begin), down(begin * gpu.bandwidth))
    canvas.line([start, corner, (across.end, corner[1])], stroke=INK, thick=2.5)
    canvas.line([corner, (corner[0], down.start)], stroke=MUTED, style="dashed")
    _draw_label(canvas, across.end - 6, corner[1] - 12, f"arithmetic: {_si(gpu.flops)}flop/s")
    # Beside the middle of the slope, and so far left of it that it does not touch.
    middle = ((start[0] + corner[0]) / 2, (start[1] + corner[1]) / 2)
    _draw_label(canvas, middle[0] - 16, middle[1] - 12, f"memory: {_si(gpu.bandwidth)}B/s")
    canvas.text(corner[0] + 6, down.start - 10, f"ridge: {ridge:.3g} flop/byte", size=SMALL)


def _draw_label(canvas: Canvas, right: float, y: float, words: str) -> None:
    """Words on white, so that no line of the grid runs through them."""
    wide = width_of(words, bold=True)
    canvas.rect(right - wide, y - 8, wide + 2, 16, stroke="none")
    canvas.text(right, y, words, anchor="end", bold=True)


def _draw_points(canvas: Canvas, across: Scale, down: Scale, points: Sequence[Point]) -> None:
    """Numbered circles; one that would cover another stands beside, with a line to its place."""
    places: list[tuple[float, float]] = []
    for _, intensity, speed, _ in points:
        x, y = across(intensity), down(speed)
        while any(math.dist((x, y), other) < 2 * RADIUS + 2 for other in places):
            x += RADIUS
        places.append((x, y))
        canvas.line([(across(intensity), y), (x, y)], stroke=INK)
    for number, ((x, y), point) in enumerate(zip(places, points), 1):
        _draw_number(canvas, x, y, number, point[3])


def _draw_number(canvas: Canvas, x: float, y: float, number: int, is_prediction: bool) -> None:
    fill, style = (PALE_ORANGE, "dashed") if is_prediction else (PALE_BLUE, "")
    canvas.circle(x, y, RADIUS, fill=fill, style=style)
    canvas.text(x, y, str(number), size=SMALL, anchor="middle", bold=True)


def _draw_row(canvas: Canvas, y: float, number: int, point: Point, gpu: Gpu, ridge: float) -> str:
    """A line of the table below; gives the same in words."""
    label, intensity, speed, is_prediction = point
    roof = min(gpu.flops, intensity * gpu.bandwidth)
    limit = "memory" if intensity < ridge else "arithmetic"
    kind = "prediction" if is_prediction else "measured"
    _draw_number(canvas, MARGIN + RADIUS, y, number, is_prediction)
    share = f"{speed / roof:.0%} of the roof ({limit})"
    cells = (
        (MARGIN + 30, clip(label, 270), INK),
        (320, f"{intensity:.3g} flop/byte", INK),
        (440, f"{_si(speed)}flop/s", INK),
        (550, share, INK),
        (760, kind, ORANGE if is_prediction else BLUE),
    )
    for x, words, fill in cells:
        canvas.text(x, y, words, fill=fill)
    return f"{number} {label}: {intensity:.3g} flop/byte, {_si(speed)}flop/s, {share}, {kind}."
