"""How often each element of an array is read or written."""

from math import prod

import numpy as np
from numpy.typing import NDArray

from course.kernellab.pictures.choose import counted, flat, sentences
from course.kernellab.records import Report
from course.kernellab.svg import INK, MARGIN, MUTED, PAPER, SMALL, Canvas, Picture, width_of

Counts = NDArray[np.int64]

MOST, LEFT, HIGH = 32, 70, 19  # rows and columns; pixels
# From rare to often, with the colour of the text on it; the numbers in the cells say the same.
SHADES = (
    ("#eaf2fb", INK),
    ("#c9e0f4", INK),
    ("#9cc6e8", INK),
    ("#0b5fa5", PAPER),
    ("#083b66", PAPER),
)


def draw_heat(report: Report, array: str, what: str = "reads") -> Picture:
    """Draw how often each element of an array is read or written.

    Args:
        report: what the checker found.
        array: the array's name in the kernel. One of a single axis is folded, as text is; of more
            than two axes, all but the last are drawn as one. A large array is drawn in pieces, each
            with the highest count in it.
        what: "reads" or "writes".

    Returns:
        The picture; `alt` gives the lowest and the highest count, and how many elements have none.

    Raises:
        ValueError: if the kernel has no such array, or `what` is something else.
    """
    if what not in ("reads", "writes"):
        raise ValueError(f'what must be "reads" or "writes", and is {what!r}.')
    if array not in report.arrays:
        names = ", ".join(report.arrays) or "none"
        raise ValueError(f"{report.kernel} has no array {array!r}. There are: {names}.")
    shape = report.arrays[array]
    size = prod(shape)
    if not size:
        raise ValueError(f"{array} has shape {shape}: there are no elements to draw.")
    noted: dict[tuple[int, ...], int] = getattr(report, what).get(array, {})
    inside: dict[int, int] = {}  # by place in memory
    for index, count in noted.items():
        place = flat(index, shape)
        if count and place is not None:
            inside[place] = count
    outside = sum(noted.values()) - sum(inside.values())
    said = _sentences(report, array, what, inside, outside)

    is_folded = len(shape) < 2
    rows, columns = (1, size) if is_folded else (size // shape[-1], shape[-1])
    down = -(-rows // MOST)
    across = -(-columns // (MOST**2 if is_folded else MOST))
    # Only what was used is noted, and only cells are filled: the array itself may be huge.
    table = np.zeros((-(-rows // down), -(-columns // across)), np.int64)
    for place, count in inside.items():
        row, column = divmod(place, columns)
        cell = (row // down, column // across)
        table[cell] = max(table[cell], count)
    if down * across > 1:
        piece = f"{down} × {across}" if down > 1 else str(across)
        said.append(f"A cell stands for {piece} elements, and shows the highest count among them.")

    canvas = Canvas()
    y = canvas.paragraph(MARGIN, MARGIN, said[0], size=14, bold=True)
    for sentence in said[1:]:
        y = canvas.paragraph(MARGIN, y + 2, sentence)
    lines = _folded(table[0]) if is_folded else list(table)
    starts = [i * MOST * across if is_folded else i * down for i in range(len(lines))]
    _draw_table(canvas, y + 14, lines, starts, across, "from" if is_folded else "row")
    return canvas.finish(sentences(said))


def _sentences(
    report: Report, array: str, what: str, inside: dict[int, int], outside: int
) -> list[str]:
    shape = report.arrays[array]
    size, total = prod(shape), sum(inside.values())
    none = size - len(inside)
    low, high = 0 if none else min(inside.values()), max(inside.values(), default=0)
    done = "read" if what == "reads" else "written"
    some = f"{low:,}" if low == high else f"{low:,} to {high:,}"
    never = f"{none:,} of them {'is' if none == 1 else 'are'} never {done}." if none else ""
    said = [
        f"{what.capitalize()} of {array} in {report.kernel}: {some} for each element",
        f"{counted(size, 'element')} (shape {' × '.join(map(str, shape)) or '()'}), {done} "
        f"{counted(total, 'time')} in all by the blocks that were followed. "
        + (never or f"Each is {done} at least once."),
    ]
    if outside:
        said.append(f"Outside of the array: {counted(outside, 'time')}.")
    return said


def _folded(row: Counts) -> list[Counts]:
    return [row[start : start + MOST] for start in range(0, len(row), MOST)]


def _few(count: int) -> str:
    """A count in at most three characters."""
    if count < 1000:
        return str(count)
    thousands = round(count / 1000)
    return f"{thousands}k" if thousands < 100 else f"{max(1, round(count / 1e6))}M"


def _draw_table(
    canvas: Canvas, y: float, rows: list[Counts], starts: list[int], step: int, side: str
) -> None:
    """A grid of shaded cells, each with its count; `starts` are the numbers of the rows."""
    longest = max(width_of(_few(int(count)), SMALL) for row in rows for count in row)
    cell = max(20.0, longest + 2)
    high = max(int(row.max()) for row in rows)
    x0 = MARGIN + max(LEFT, width_of(f"{side} {starts[-1]}", SMALL) + 10)
    columns = range(max(map(len, rows)))
    every = 1 if width_of(str(columns[-1] * step), SMALL) <= cell else 4
    for column in columns[::every]:
        x = x0 + (column + 0.5) * cell
        canvas.text(x, y, str(column * step), size=SMALL, anchor="middle", fill=MUTED)
    y += 11
    for row, start in zip(rows, starts):
        words = f"{side} {start}"
        canvas.text(x0 - 6, y + HIGH / 2, words, size=SMALL, anchor="end", fill=MUTED)
        for i, count in enumerate(row):
            fill, ink = SHADES[min(len(SHADES) - 1, int(count) * len(SHADES) // (high + 1))]
            hatch = "" if count else "idle"
            x = x0 + i * cell
            canvas.rect(x, y, cell, HIGH, fill=fill, stroke=PAPER, hatch=hatch, kind="cell")
            words, ink = _few(int(count)), ink if count else INK
            canvas.text(x + cell / 2, y + HIGH / 2, words, size=SMALL, anchor="middle", fill=ink)
        y += HIGH
    notes = ["Darker: more often. Hatched: never."]
    if high >= 1000:
        notes.append("k: thousands, M: millions, rounded.")
    canvas.text(x0, y + 12, " ".join(notes), size=SMALL, fill=MUTED)
