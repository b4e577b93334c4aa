"""One fault: the source lines, the element, the threads that met there, and what it means."""

from collections.abc import Sequence

from course.kernellab.pictures.choose import named
from course.kernellab.records import KINDS, Fault, Report, Site, Thread
from course.kernellab.svg import (
    INK,
    MARGIN,
    MUTED,
    NORMAL,
    PALE,
    PALE_BLUE,
    PALE_ORANGE,
    PAPER,
    SMALL,
    WIDE,
    Canvas,
    Picture,
    clip,
    width_of,
    wrap,
)

AROUND = 2  # source lines before and after the fault's own
LINE, CELL, HIGH = 18, 40, 24  # pixels
SIDE = 6  # cells to each side of the element; above and below, fewer
CODE_WIDTH = 500
VERBS = {
    "load": "reads",
    "store": "writes",
    "atomic": "updates",
    "barrier": "waits",
    "warp": "is here",
}


def draw_fault(report: Report, fault: Fault | int) -> Picture:
    """Draw one fault: where in the source, on which element, and by which threads.

    Args:
        report: what the checker found.
        fault: one of `report.faults`, or its number, from 0.

    Returns:
        The picture; `alt` gives the message, the element, the threads and the source lines.

    Raises:
        ValueError: if the report has no such fault.
    """
    fault = _pick(report, fault)
    canvas = Canvas()
    times = f" ({fault.count:,} times)" if fault.count > 1 else ""
    title = f"{fault.kind}{times}: {KINDS[fault.kind]}" if fault.kind in KINDS else fault.kind
    y = canvas.paragraph(MARGIN, MARGIN, title, size=14, bold=True)
    y = canvas.paragraph(MARGIN, y + 2, fault.message) + 6
    y = _draw_source(canvas, y, report, fault)
    y = _draw_element(canvas, y + 12, report, fault)
    return canvas.finish(_in_words(report, fault, title))


def _pick(report: Report, fault: Fault | int) -> Fault:
    if not report.faults:
        raise ValueError(f"no fault was found in {report.kernel}: there is none to draw.")
    choices = "; ".join(f"{i}: {known.kind}" for i, known in enumerate(report.faults[:8]))
    if isinstance(fault, Fault):
        if fault not in report.faults:
            raise ValueError(f"this fault is not one of the report's. It has {choices}.")
        return fault
    if not 0 <= fault < len(report.faults):
        raise ValueError(f"there is no fault {fault}. The report has {choices}.")
    return report.faults[fault]


# --- the source ---


def _doers(fault: Fault) -> list[tuple[Site, Thread | None]]:
    """Each site with its thread."""
    threads: list[Thread | None] = [*fault.threads]
    threads += [None] * (len(fault.sites) - len(threads))
    return list(zip(fault.sites, threads))


def _does(site: Site, thread: Thread | None) -> str:
    verb = VERBS.get(site.kind, "is here")
    return f"{thread} {verb}" if thread else verb


def _draw_source(canvas: Canvas, y: float, report: Report, fault: Fault) -> float:
    """The lines around those of the fault; these are marked with an arrow, and by whom they run."""
    marks: dict[int, list[str]] = {}
    for site, thread in _doers(fault):
        words = _does(site, thread)
        if words not in marks.setdefault(site.line, []):
            marks[site.line].append(words)
    near = {line + step for line in marks for step in range(-AROUND, AROUND + 1)}
    lines = [(number, text) for number, text in report.lines() if number in near]
    if not lines:
        return y
    indent = min((len(t) - len(t.lstrip()) for _, t in lines if t.strip()), default=0)
    before = lines[0][0]
    for number, text in lines:
        if number > before + 1:
            canvas.text(MARGIN + 62, y + LINE / 2, "…", fill=MUTED)
            y += LINE
        before = number
        y = _draw_line(canvas, y, number, text[indent:], marks.get(number, []))
    return y


def _draw_line(canvas: Canvas, y: float, number: int, text: str, marks: Sequence[str]) -> float:
    code_x = MARGIN + 62
    if marks:
        height = LINE * len(marks)
        canvas.rect(code_x - 6, y, CODE_WIDTH, height, fill=PALE_ORANGE, stroke="none", kind="line")
        middle = y + LINE / 2
        canvas.arrow((MARGIN, middle), (MARGIN + 22, middle), thick=2)
    canvas.text(code_x - 12, y + LINE / 2, str(number), size=SMALL, anchor="end", fill=MUTED)
    code = text.strip()
    offset = 0.61 * NORMAL * (len(text) - len(text.lstrip()))
    shown = clip(code, CODE_WIDTH - offset - 12, code=True)
    canvas.text(code_x + offset, y + LINE / 2, shown, code=True, bold=bool(marks))
    for i, words in enumerate(marks):
        x = code_x + CODE_WIDTH + 2
        canvas.text(x, y + LINE * (i + 0.5), clip(words, WIDE - MARGIN - x), bold=False)
    return y + LINE * max(1, len(marks))


# --- the element ---


def _draw_element(canvas: Canvas, y: float, report: Report, fault: Fault) -> float:
    """The cells around the element, and arrows to it from the threads."""
    shape = report.arrays.get(fault.array or "")
    index = fault.index
    if fault.array is None or not index:
        # The source lines have said who does what, unless there are none.
        return y if fault.sites else _draw_threads(canvas, y, fault, None)
    if shape is None or len(shape) != len(index):
        canvas.text(MARGIN, y + 8, f"element {named(fault.array, index)}", bold=True)
        return _draw_threads(canvas, y + 24, fault, None)
    space = fault.space or report.spaces.get(fault.array, "")
    sizes = " × ".join(map(str, shape)) if len(shape) > 1 else f"({shape[0]},)"
    y = canvas.paragraph(
        MARGIN,
        y,
        f"{named(fault.array, index)} in {space + ' ' if space else ''}memory; "
        f"the array has shape {sizes}",
        bold=True,
    )
    rows_high, columns_wide = (1, *shape)[-2:]
    row, column = (0, *index)[-2:]
    rows = _around(row, rows_high, SIDE // 3) if len(shape) > 1 else [0]
    columns = _around(column, columns_wide, SIDE)
    cell = max(CELL, *(width_of(str(number), SMALL) + 8 for number in columns))
    left = MARGIN + 70
    y += 4
    for j, number in enumerate(columns):
        x = left + (j + 0.5) * cell
        canvas.text(x, y + 8, str(number), size=SMALL, anchor="middle", fill=MUTED)
    if columns[0] > 0:
        canvas.text(left - 6, y + 8, "…", size=SMALL, anchor="end", fill=MUTED)
    if columns[-1] < columns_wide - 1:
        canvas.text(left + len(columns) * cell + 4, y + 8, "…", size=SMALL, fill=MUTED)
    y += 18
    spot = (0.0, 0.0)
    for i, r in enumerate(rows):
        top = y + i * HIGH
        if len(shape) > 1:
            words = str(r) if r > 9999 else f"row {r}"
            canvas.text(left - 8, top + HIGH / 2, words, size=SMALL, anchor="end", fill=MUTED)
        for j, c in enumerate(columns):
            inside = 0 <= r < rows_high and 0 <= c < columns_wide
            if (r, c) == (row, column):
                spot = (left + (j + 0.5) * cell, top + HIGH)
            else:
                style = "" if inside else "dotted"
                fill = PALE if inside else PAPER
                canvas.rect(left + j * cell, top, cell, HIGH, fill=fill, style=style, kind="cell")
    x = spot[0] - cell / 2
    canvas.rect(x, spot[1] - HIGH, cell, HIGH, hatch="warn", stroke=INK, thick=3, kind="cell")
    canvas.text(spot[0], spot[1] - HIGH / 2, "!", bold=True, anchor="middle")
    beside = left + len(columns) * cell + 14
    notes = ["Hatched, with !: the element."]
    if any(not 0 <= r < rows_high for r in rows) or any(not 0 <= c < columns_wide for c in columns):
        notes.append("Dotted: outside of the array.")
    for i, note in enumerate(notes):
        canvas.text(beside, y + 10 + 16 * i, note, size=SMALL, fill=MUTED)
    return _draw_threads(canvas, y + len(rows) * HIGH + 34, fault, spot)


def _around(place: int, size: int, side: int) -> list[int]:
    """The numbers near a place, and beyond an end of the array only if the place is."""
    low, high = min(0, place), max(size - 1, place)
    if high - low > 2 * side:
        low, high = max(low, place - side), min(high, place + side)
    return list(range(low, high + 1))


def _draw_threads(
    canvas: Canvas, y: float, fault: Fault, spot: tuple[float, float] | None
) -> float:
    """A box for each thread, with what it does and where; an arrow goes to the element."""
    x: float = MARGIN
    doers: list[tuple[Site | None, Thread | None]] = [*_doers(fault)]
    doers = doers or [(None, thread) for thread in fault.threads]
    bottom = y
    for site, thread in doers[:3]:
        lines = [str(thread) if thread else "a thread"]
        if site is not None:
            lines += wrap(f"{VERBS.get(site.kind, 'is here')}: {site.text}", 240, SMALL)[:2]
            lines.append(f"line {site.line}")
        wide = max(width_of(line, SMALL, bold=True) for line in lines) + 16
        high = 16 * len(lines) + 10
        canvas.rect(x, y, wide, high, fill=PALE_BLUE, stroke=INK, round=6, kind="thread")
        for i, line in enumerate(lines):
            canvas.text(x + 8, y + 13 + 16 * i, line, size=SMALL, bold=i == 0)
        if spot is not None:
            is_load = site is not None and site.kind == "load"
            foot = (min(max(spot[0], x + 10), x + wide - 10), y)
            # Data flows from the element to a thread that reads, and from one that writes to it.
            end = (spot[0] + (9 if is_load else -9) * (len(doers) > 1), spot[1])
            ends = (end, foot) if is_load else (foot, end)
            canvas.arrow(*ends, thick=1.6, style="" if is_load else "dashed")
        x += wide + 24
        bottom = max(bottom, y + high)
    return bottom


def _in_words(report: Report, fault: Fault, title: str) -> str:
    parts = [f"{title}.", fault.message]
    if fault.array is not None and fault.index is not None:
        shape = report.arrays.get(fault.array)
        of = f" of an array of shape {' × '.join(map(str, shape))}" if shape else ""
        parts.append(f"The element is {named(fault.array, fault.index)}{of}.")
    source = dict(report.lines())
    for site, thread in _doers(fault):
        code = source.get(site.line, site.text).strip()
        parts.append(f"Line {site.line}, {_does(site, thread)}: {code}.")
    return " ".join(parts)
