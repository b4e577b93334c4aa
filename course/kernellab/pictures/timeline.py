"""Barriers over time: who came to which, who was missing, and what shared memory saw in between."""

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from math import prod

from course.kernellab.pictures.choose import (
    Block,
    called,
    counted,
    listed,
    pick_block,
    ranges,
    sentences,
)
from course.kernellab.records import WARP, Access, Meeting, Report, short
from course.kernellab.svg import (
    INK,
    MARGIN,
    MUTED,
    PALE,
    PALE_BLUE,
    SMALL,
    WIDE,
    Canvas,
    Picture,
    clip,
    width_of,
)

MOST_EPOCHS = 4
HIGH = 22  # of a row

Row = tuple[str, frozenset[int]]
"""A label, and the threads it stands for."""


def draw_barriers(report: Report, block: Block = None) -> Picture:
    """Draw a block's barriers over time.

    Time runs to the right. A row is a warp, or a thread in a block of at most 32. Between two
    barriers stands what the row's threads do to shared arrays; at a barrier, the source line at which
    they wait. Hatched: not everyone came to this barrier, or not in the same line.

    Args:
        report: what the checker found.
        block: the block's place in the grid; None for the first that was followed.

    Returns:
        The picture; `alt` tells the same in order.

    Raises:
        ValueError: if the block was not followed.
    """
    place = pick_block(report, block)
    meetings = sorted((m for m in report.meetings if m.block == place), key=lambda m: m.epoch)
    accesses = [a for a in report.accesses if a.block == place and a.space == "shared"]
    last = max([m.epoch + 1 for m in meetings] + [a.epoch for a in accesses], default=0)
    first, stop = _window(report, meetings, last + 1)
    rows = _rows(report)
    shown = [m for m in meetings if first <= m.epoch < stop]

    barriers = counted(len(meetings), "barrier")
    title = f"{report.kernel}, block {short(place)}: {barriers}, {counted(_size(report), 'thread')}"
    said = [f"{title}."]
    if stop - first < last + 1:
        said.append(f"Epochs {first} to {stop - 1} of 0 to {last} are drawn.")
    for epoch in range(first, stop):
        said.append(_epoch_in_words(report, accesses, epoch))
        said += [_meeting_in_words(report, m) for m in shown if m.epoch == epoch]
    if not meetings:
        said.append("The threads meet at no barrier: nothing orders what they do.")

    canvas = Canvas()
    y = canvas.paragraph(MARGIN, MARGIN, title, size=14, bold=True)
    if stop - first < last + 1:
        y = canvas.paragraph(MARGIN, y, said[1])
    y = _draw_table(canvas, y + 8, report, rows, accesses, shown, range(first, stop), stop <= last)
    for meeting in shown:
        if not _is_whole(report, meeting):
            y = canvas.paragraph(MARGIN, y + 4, _meeting_in_words(report, meeting), bold=True)
    if not meetings:
        canvas.paragraph(MARGIN, y + 4, said[-1])
    return canvas.finish(sentences(said))


def _size(report: Report) -> int:
    return prod(report.block)


def _rows(report: Report) -> list[Row]:
    size = _size(report)
    if size <= WARP:
        return [(f"thread {called(report, t)}", frozenset([t])) for t in range(size)]
    return [
        (f"warp {start // WARP}", frozenset(range(start, min(start + WARP, size))))
        for start in range(0, size, WARP)
    ]


def _window(report: Report, meetings: Sequence[Meeting], epochs: int) -> tuple[int, int]:
    """The epochs to draw: the first ones, unless something goes wrong in later ones."""
    wrong = [m.epoch for m in meetings if not _is_whole(report, m)]
    first = max(0, min(wrong[0] - MOST_EPOCHS // 2, epochs - MOST_EPOCHS)) if wrong else 0
    return first, min(epochs, first + MOST_EPOCHS)


def _is_whole(report: Report, meeting: Meeting) -> bool:
    """Whether all threads of the block came, to one place."""
    return len(meeting.arrived) == 1 and len(*meeting.arrived.values()) == _size(report)


# --- the table ---


def _draw_table(
    canvas: Canvas,
    y: float,
    report: Report,
    rows: Sequence[Row],
    accesses: Sequence[Access],
    meetings: Sequence[Meeting],
    epochs: range,
    is_cut: bool,
) -> float:
    """Epochs and barriers in turn, each a column; gives the y below."""
    by_epoch = {meeting.epoch: meeting for meeting in meetings}
    marks = {m.epoch: [_mark(report, m, threads) for _, threads in rows] for m in meetings}
    label = max(width_of(name, SMALL) for name, _ in rows) + 10
    widths = {
        m.epoch: max(
            *(width_of(text, SMALL) + 10 for text in marks[m.epoch]),
            width_of(f"barrier {m.epoch + 1}", SMALL, bold=True) + 10,
        )
        for m in meetings
    }
    room = (WIDE - 2 * MARGIN - label - sum(widths.values()) - 20) / len(epochs)
    wide = max(60.0, min(190.0, room))
    boxes = _by_box(rows, accesses, epochs)
    tell = _teller(boxes.values(), wide - 8)

    x, base = MARGIN + label, y + 20
    for i, (name, _) in enumerate(rows):
        canvas.text(MARGIN, base + HIGH * (i + 0.5), name, size=SMALL)
    for epoch in epochs:
        canvas.text(x + wide / 2, y + 8, f"epoch {epoch}", size=SMALL, anchor="middle", fill=MUTED)
        for i in range(len(rows)):
            mine = boxes[epoch, i]
            top = base + HIGH * i
            fill = PALE_BLUE if mine else PALE
            canvas.rect(x + 2, top + 2, wide - 4, HIGH - 4, fill=fill, kind="epoch")
            words = clip(tell(mine), wide - 6, SMALL)
            canvas.text(x + wide / 2, top + HIGH / 2, words, size=SMALL, anchor="middle")
        x += wide
        if epoch in by_epoch:
            _draw_barrier(canvas, x, y, widths[epoch], by_epoch[epoch], report, marks[epoch])
            x += widths[epoch]
    if is_cut:
        canvas.text(x + 10, base + HIGH * len(rows) / 2, "…")
    notes = [
        "R: reads, W: writes, A: updates atomically. The number says how often. –: no shared memory."
    ]
    if any(not _is_whole(report, meeting) for meeting in meetings):
        notes.append("Hatched, with an exclamation mark: these threads did not all come here.")
    below = base + HIGH * len(rows) + 6
    return canvas.paragraph(MARGIN, below, " ".join(notes), size=SMALL, fill=MUTED)


def _draw_barrier(
    canvas: Canvas,
    x: float,
    y: float,
    wide: float,
    meeting: Meeting,
    report: Report,
    marks: Sequence[str],
) -> None:
    """A barrier as a wall: bold lines at its sides, and in each row where its threads wait."""
    top, base = y, y + 20
    title = f"barrier {meeting.epoch + 1}"
    canvas.text(x + wide / 2, top + 8, title, size=SMALL, anchor="middle", bold=True)
    for i, mark in enumerate(marks):
        hatch = "warn" if mark.endswith("!") else ""
        row = base + HIGH * i
        canvas.rect(x, row, wide, HIGH, hatch=hatch, stroke="none", kind="barrier")
        canvas.text(
            x + wide / 2, row + HIGH / 2, mark, size=SMALL, anchor="middle", bold=bool(hatch)
        )
    for side in (x, x + wide):
        canvas.line([(side, base), (side, base + HIGH * len(marks))], stroke=INK, thick=2.5)


def _mark(report: Report, meeting: Meeting, threads: frozenset[int]) -> str:
    """Where the threads of a row wait; it ends in an exclamation mark if that is a fault."""
    there = {site: threads.intersection(came) for site, came in meeting.arrived.items()}
    parts = [(len(who), f"line {_line(report, site)}") for site, who in there.items() if who]
    left = len(threads.intersection(meeting.missing))
    parts += [(left, "left")] if left else []
    lost = len(threads) - sum(count for count, _ in parts)
    parts += [(lost, "not here")] if lost else []
    if len(parts) == 1 and parts[0][0] == len(threads):
        text = parts[0][1]
    else:
        text = ", ".join(f"{count} {word}" for count, word in parts)
    is_fault = len(parts) > 1 or left or lost or _is_minority(meeting, threads)
    return f"{text} !" if is_fault else text


def _is_minority(meeting: Meeting, threads: frozenset[int]) -> bool:
    """Whether the threads wait at another line than most of the block."""
    if len(meeting.arrived) < 2:
        return False
    most = max(meeting.arrived, key=lambda site: (len(meeting.arrived[site]), -site))
    return not threads.issubset(meeting.arrived[most])


def _line(report: Report, site: int) -> str:
    return next((str(known.line) for known in report.sites if known.id == site), f"of site {site}")


LETTERS = {"load": "R", "store": "W", "atomic": "A"}


Boxes = dict[tuple[int, int], list[Access]]
"""{(epoch, row): what its threads do}."""


def _by_box(rows: Sequence[Row], accesses: Sequence[Access], epochs: range) -> Boxes:
    row_of = {thread: i for i, (_, threads) in enumerate(rows) for thread in threads}
    boxes: Boxes = {(epoch, i): [] for epoch in epochs for i in range(len(rows))}
    for access in accesses:
        if access.epoch in epochs:
            boxes[access.epoch, row_of[access.thread]].append(access)
    return boxes


def _teller(boxes: Collection[Sequence[Access]], width: float) -> Callable[[Sequence[Access]], str]:
    """A function that says what accesses do, as fully as has a place in every box."""

    def full(mine: Sequence[Access]) -> str:
        parts = []
        for kind, letter in LETTERS.items():
            counts = Counter(a.array for a in mine if a.kind == kind)
            if counts:
                parts.append(f"{letter} {', '.join(f'{array} {n}' for array, n in counts.items())}")
        return "; ".join(parts) or "–"

    def brief(mine: Sequence[Access]) -> str:
        counts = Counter(LETTERS[access.kind] for access in mine)
        return ", ".join(f"{letter} {n}" for letter, n in counts.items()) or "–"

    return full if all(width_of(full(box), SMALL) <= width for box in boxes) else brief


# --- the same in words ---


def _epoch_in_words(report: Report, accesses: Sequence[Access], epoch: int) -> str:
    does = []
    for kind, verb in (("load", "read"), ("store", "write"), ("atomic", "atomically update")):
        mine = [a for a in accesses if a.epoch == epoch and a.kind == kind]
        for array in dict.fromkeys(access.array for access in mine):
            threads = {a.thread for a in mine if a.array == array}
            times = counted(sum(a.array == array for a in mine), "time")
            does.append(f"{_threads(threads)} {verb}{_s(threads)} {array} {times}")
    return f"Epoch {epoch}: {'; '.join(does) or 'no shared memory is used'}."


def _meeting_in_words(report: Report, meeting: Meeting) -> str:
    came = [
        f"{'all ' if len(who) == _size(report) else ''}{_threads(who)} at line {_line(report, site)}"
        for site, who in meeting.arrived.items()
    ]
    text = f"Barrier {meeting.epoch + 1}: {listed(came)}"
    if meeting.missing:
        have = "has" if len(meeting.missing) == 1 else "have"
        text += f"; {_threads(meeting.missing)} {have} already left the kernel"
    lost = set(range(_size(report))).difference(meeting.missing, *meeting.arrived.values())
    return f"{text}; {_threads(lost)} did not come." if lost else f"{text}."


def _threads(numbers: Sequence[int] | set[int]) -> str:
    return f"thread{'' if len(numbers) == 1 else 's'} {ranges(numbers)}"


def _s(numbers: set[int]) -> str:
    return "s" if len(numbers) == 1 else ""
