"""Which thread reads and writes which cell, in one panel for each stretch between two barriers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from course.kernellab.pictures.choose import (
    Block,
    Triple,
    counted,
    listed,
    named,
    pick_block,
    place_of,
    ranges,
)
from course.kernellab.records import WARP, Access, Report, short
from course.kernellab.svg import (
    BLUE,
    FAINT,
    INK,
    MARGIN,
    MUTED,
    ORANGE,
    PALE,
    PALE_BLUE,
    PAPER,
    SMALL,
    WIDE,
    Canvas,
    Picture,
    width_of,
)

Index = tuple[int, ...]
Cell = tuple[str, Index]  # an array's name and an element of it

LEFT = 78  # pixels, for the words to the left of a row
ROOM = WIDE - 2 * MARGIN - LEFT
HIGH, GAP = 24, 58  # of a cell, and of the space that the arrows cross
MOST_CELLS, MOST_THREADS, MOST_ARROWS, MOST_PANELS = 64, 40, 150, 4

# kind of access: how its arrow is drawn, and the word for it
ARROWS = {
    "load": (BLUE, "", "reads"),
    "store": (ORANGE, "dashed", "writes"),
    "atomic": (INK, "dotted", "updates atomically"),
}


@dataclass(frozen=True)
class Item:
    """One box in a row: a cell, a thread, or an ellipsis for cells that are left out.

    Attributes:
        key: what it stands for: an index or a thread; None for an ellipsis.
        text: stands in it.
        group: boxes of one group stand closer together, and have a common label.
    """

    key: Index | int | None
    text: str
    group: str = ""


@dataclass(frozen=True)
class Strip:
    """A row of boxes with a name: an array, in the order in which it lies in memory."""

    name: str
    label: str
    items: Sequence[Item]

    def groups(self) -> list[list[Item]]:
        """The items, those of one group together."""
        groups: list[list[Item]] = []
        for item in self.items:
            if groups and groups[-1][-1].group == item.group:
                groups[-1].append(item)
            else:
                groups.append([item])
        return groups

    def least(self) -> float:
        """The least width of a box that holds its text."""
        texts = (width_of(item.text, SMALL) for item in self.items if item.key is not None)
        return max(18, *(width + 5 for width in texts), 0)


BETWEEN_GROUPS, BETWEEN_STRIPS, DOTS = 8, 30, 14  # pixels


@dataclass(frozen=True)
class Panel:
    """The accesses of one block in one epoch, and who of them is drawn.

    Attributes:
        epoch: how many barriers had been passed.
        accesses: those to global and shared memory.
        actors: the threads whose arrows are drawn.
        shown: the threads that are drawn.
        note: what is left out.
    """

    epoch: int
    accesses: Sequence[Access]
    actors: set[int]
    shown: Sequence[int]
    note: str


def draw_threads(report: Report, block: Block = None, epoch: int | None = None) -> Picture:
    """Draw which thread reads and writes which cell.

    Cells that are read stand above the threads, cells that are written below. There is a panel for
    each epoch: the stretch between two barriers, within which threads have no order. Arrays are
    drawn as they lie in memory, one row after the other. Where all has no place, the picture shows
    the first warp, or the arrows of a single thread, and says so.

    Args:
        report: what the checker found.
        block: the block's place in the grid; None for the first that was followed.
        epoch: only this one; None for all, or, if there are many, the first three and the last.

    Returns:
        The picture; `alt` says the same for each thread.

    Raises:
        ValueError: if the block was not followed, or nothing happened in the epoch.
    """
    place = pick_block(report, block)
    mine = [a for a in report.accesses if a.block == place and a.space != "local"]
    epochs = sorted({access.epoch for access in mine})
    if not epochs:
        raise ValueError(
            f"there is nothing to draw: no accesses of block {short(place)} of {report.kernel} to "
            "global or shared memory were kept."
        )
    if epoch is not None and epoch not in epochs:
        raise ValueError(
            f"no memory is used in epoch {epoch}: block {short(place)} of {report.kernel} uses it in "
            f"epochs {ranges(epochs)}."
        )
    drawn = epochs if epoch is None else [epoch]
    left_out = 0
    if len(drawn) > MOST_PANELS:
        left_out = len(drawn) - MOST_PANELS
        drawn = [*drawn[: MOST_PANELS - 1], drawn[-1]]

    canvas = Canvas()
    threads = counted(prod(report.block), "thread")
    title = f"{report.kernel}, block {short(place)}: {threads}"
    y = canvas.paragraph(MARGIN, MARGIN, title, size=14, bold=True)
    said = [f"{title}."]
    if left_out:
        words = (
            f"The first {MOST_PANELS - 1} and the last of {len(epochs)} epochs are drawn; "
            "epoch=… draws any other."
        )
        y = canvas.paragraph(MARGIN, y, words)
        said.append(words)
    y = _legend(canvas, y + 4, {access.kind for access in mine if access.epoch in drawn})
    for number in drawn:
        panel = _panel(report, [a for a in mine if a.epoch == number], number)
        name = _name(report, place, number)
        if name:
            canvas.line([(MARGIN, y + 8), (WIDE - MARGIN, y + 8)], stroke=FAINT, thick=2)
            y = canvas.paragraph(MARGIN, y + 12, name, bold=True)
            said.append(f"{name}:")
        y = _draw_panel(canvas, y + 4, report, place, panel)
        said.append(_in_words(report, panel))
    return canvas.finish(" ".join(said))


def _name(report: Report, place: Triple, epoch: int) -> str:
    """`Epoch 1, after the barrier in line 7`; empty if the block met at no barrier."""
    meetings = {m.epoch: m for m in report.meetings if m.block == place}
    if not meetings:
        return f"Epoch {epoch}" if epoch else ""
    lines = {site.id: site.line for site in report.sites}

    def at(number: int) -> str:
        numbers = [lines[site] for site in meetings[number].arrived if site in lines]
        return f"{'lines' if len(numbers) > 1 else 'line'} {ranges(numbers)}" if numbers else "…"

    after = f"after the barrier in {at(epoch - 1)}" if epoch - 1 in meetings else ""
    before = f"before the barrier in {at(epoch)}" if epoch in meetings else ""
    return ", ".join(filter(None, (f"Epoch {epoch}", after, before)))


def _panel(report: Report, accesses: Sequence[Access], epoch: int) -> Panel:
    """Choose what of an epoch has a place in a picture."""
    threads = range(prod(report.block))
    shown = list(threads) if len(threads) <= MOST_THREADS else list(threads[:WARP])
    while len(shown) > 1 and not _fits([_thread_strip(report, shown)]):
        shown.pop()
    notes = []
    if len(shown) < len(threads):
        notes.append(f"The first {len(shown)} of {len(threads):,} threads are drawn.")
    actors = set(shown)
    arrows = {(a.array, a.index, a.thread, a.kind) for a in accesses if a.thread in actors}
    if len(arrows) > MOST_ARROWS:
        busy = [thread for thread in shown if any(a.thread == thread for a in accesses)]
        actors = {busy[0]}
        notes.append(
            f"Of {len(arrows):,} arrows, only those of thread {_called(report, busy[0])} are drawn."
        )
    return Panel(epoch, accesses, actors, shown, " ".join(notes))


def _called(report: Report, thread: int) -> str:
    """A thread's place, with a zero for each axis that the block has."""
    axes = max((axis for axis in range(3) if report.block[axis] > 1), default=0) + 1
    place = place_of(report, thread)[:axes]
    return str(place[0]) if axes == 1 else f"({', '.join(map(str, place))})"


# --- what stands in the rows ---


def _thread_strip(report: Report, shown: Sequence[int]) -> Strip:
    items = []
    _, high, deep = report.block
    for thread in shown:
        x, y, z = place_of(report, thread)
        group = f"y={y}" if high > 1 or deep > 1 else ""
        items.append(Item(thread, str(x), group + (f" z={z}" if deep > 1 else "")))
    return Strip("", "", items)


def _array_strips(
    report: Report, panel: Panel, kinds: Sequence[str], most: int | None
) -> list[Strip]:
    """A strip for each array that is used in this way.

    Args:
        report: what the checker found.
        panel: what is drawn.
        kinds: of access.
        most: how many cells to show of an array, those that the drawn arrows touch; None for all.
    """
    used: dict[str, set[Index]] = {}
    for access in panel.accesses:
        if access.kind in kinds:
            cells = used.setdefault(access.array, set())
            if access.thread in panel.actors:
                cells.add(access.index)
    order = {name: i for i, name in enumerate(report.arrays)}
    strips = []
    for name in sorted(used, key=lambda name: (order.get(name, len(order)), name)):
        shape = report.arrays.get(name)
        if most is None and shape is not None:
            inside = {tuple(map(int, index)) for index in np.ndindex(*shape)}
            indices = sorted(inside | used[name])
        else:
            indices = sorted(used[name])
        left_out = len(indices) - most if most is not None and len(indices) > most else 0
        items = _with_dots(indices[: len(indices) - left_out], shape, left_out)
        if items:
            space = report.spaces.get(name, "")
            more = f", {left_out} more cells" if left_out else ""
            strips.append(Strip(name, f"{name} ({space}{more})", items))
    return strips


def _with_dots(indices: Sequence[Index], shape: Index | None, left_out: int) -> list[Item]:
    """The cells, with an ellipsis wherever some in between are left out."""
    items: list[Item] = []
    before = -1
    for index in indices:
        place = _flat(index, shape)
        group = ", ".join(map(str, index[:-1]))
        if place is not None and place > before + 1:
            items.append(Item(None, "…", items[-1].group if items else group))
        items.append(Item(index, str(index[-1]) if index else "", group))
        before = place if place is not None else before
    is_cut = left_out or (shape is not None and items and 0 <= before < prod(shape) - 1)
    return [*items, Item(None, "…", items[-1].group)] if is_cut else items


def _flat(index: Index, shape: Index | None) -> int | None:
    """The place of an element in memory; None for one that is not in the array."""
    if shape is None or len(index) != len(shape):
        return None
    if not all(0 <= i < n for i, n in zip(index, shape)):
        return None
    place = 0
    for i, n in zip(index, shape):
        place = place * n + i
    return place


# --- where the rows stand ---


def _width(strip: Strip, cell: float) -> float:
    groups = strip.groups()
    dots = sum(item.key is None for item in strip.items)
    boxes = cell * (len(strip.items) - dots) + DOTS * dots
    tags = sum(_tag(group) for group in groups) if not strip.name else 0
    wide = boxes + BETWEEN_GROUPS * (len(groups) - 1) + tags
    return max(wide, width_of(strip.label))


def _tag(group: Sequence[Item]) -> float:
    """The width of the label that stands before a group of threads."""
    return width_of(group[0].group, SMALL) + 5 if group[0].group else 0


def _fits(strips: Sequence[Strip], cell: float | None = None) -> bool:
    if not strips:
        return True
    least = cell or max(strip.least() for strip in strips)
    return sum(_width(s, least) for s in strips) + BETWEEN_STRIPS * (len(strips) - 1) <= ROOM


def _cell_width(strips: Sequence[Strip]) -> float:
    """As wide as there is room for, up to a comfortable width."""
    least = max((strip.least() for strip in strips), default=18)
    return next((w for w in (34.0, 30.0, 26.0, 22.0) if w > least and _fits(strips, w)), least)


def _fitting(report: Report, panel: Panel, kinds: Sequence[str]) -> list[Strip]:
    """The strips of a row, with as many cells as have a place."""
    names = {access.array for access in panel.accesses if access.kind in kinds}
    cells = sum(prod(report.arrays.get(name, (MOST_CELLS,))) for name in names)
    choices = (None, MOST_CELLS) if cells <= MOST_CELLS else (MOST_CELLS,)
    strips: list[Strip] = []
    for most in (*choices, 32, 24, 16, 12, 8, 6, 4, 3, 2, 1):
        strips = _array_strips(report, panel, kinds, most)
        if _fits(strips):
            break
    return strips


# --- drawing ---


def _draw_panel(canvas: Canvas, y: float, report: Report, place: Triple, panel: Panel) -> float:
    sources = _fitting(report, panel, ("load",))
    targets = _fitting(report, panel, ("store", "atomic"))
    raced = _raced(report, place, panel.epoch)
    tops: dict[Cell, tuple[float, float]] = {}
    bottoms: dict[Cell, tuple[float, float]] = {}
    threads: dict[int, tuple[float, float]] = {}

    y += 4
    if sources:
        y = _draw_names(canvas, y, sources)
        y = _draw_groups(canvas, y, sources)
        _side(canvas, y + HIGH / 2, "reads from")
        _draw_cells(canvas, y, sources, raced, lambda cell, x: tops.update({cell: (x, y + HIGH)}))
        y += HIGH + GAP
    strip = _thread_strip(report, panel.shown)
    _side(canvas, y + HIGH / 2, "threads")
    _draw_boxes(canvas, y, strip, panel, threads)
    thread_top, thread_bottom = y, y + HIGH
    y += HIGH
    if targets:
        y += GAP
        _side(canvas, y + HIGH / 2, "writes to")
        _draw_cells(canvas, y, targets, raced, lambda cell, x: bottoms.update({cell: (x, y)}))
        y = _draw_groups(canvas, y + HIGH, targets)
        y = _draw_names(canvas, y, targets)

    drawn = dict.fromkeys((a.array, a.index, a.thread, a.kind) for a in panel.accesses)
    missing = 0
    for array, index, thread, kind in drawn:
        if thread not in panel.actors:
            continue
        cell, (stroke, style, _) = (array, index), ARROWS[kind]
        ends = tops if kind == "load" else bottoms
        if cell not in ends:
            missing += 1
        elif kind == "load":
            end = (threads[thread][0], thread_top)
            canvas.arrow(ends[cell], end, stroke=stroke, style=style)
        else:
            start = (threads[thread][0], thread_bottom)
            canvas.arrow(start, ends[cell], stroke=stroke, style=style)
    notes = [panel.note]
    if missing:
        notes.append(f"{missing} more arrows go to cells that have no place here.")
    if any(len(index) > 1 for _, index in (*tops, *bottoms)):
        notes.append("A cell shows its column; the row stands above or below.")
    if raced & {*tops, *bottoms}:
        cells = listed(named(*cell) for cell in sorted(raced & {*tops, *bottoms}))
        notes.append(f"Hatched, with an exclamation mark: a race on {cells}.")
    text = " ".join(filter(None, notes))
    return canvas.paragraph(MARGIN, y + 4, text, size=SMALL, fill=MUTED) + 4 if text else y + 4


def _side(canvas: Canvas, y: float, words: str) -> None:
    canvas.text(MARGIN, y, words, fill=MUTED)


def _starts(strips: Sequence[Strip]) -> list[float]:
    """Where each strip begins: together they stand in the middle."""
    cell = _cell_width(strips)
    widths = [_width(strip, cell) for strip in strips]
    x = MARGIN + LEFT + (ROOM - sum(widths) - BETWEEN_STRIPS * (len(strips) - 1)) / 2
    starts = []
    for width in widths:
        starts.append(x)
        x += width + BETWEEN_STRIPS
    return starts


def _draw_names(canvas: Canvas, y: float, strips: Sequence[Strip]) -> float:
    cell = _cell_width(strips)
    for strip, x in zip(strips, _starts(strips)):
        canvas.text(x + _width(strip, cell) / 2, y + 8, strip.label, anchor="middle")
    return y + 18


def _inset(strip: Strip, cell: float) -> float:
    """How far the boxes of a strip are moved right, if its label is wider than they are."""
    return (_width(strip, cell) - _width(Strip("-", "", strip.items), cell)) / 2


def _draw_groups(canvas: Canvas, y: float, strips: Sequence[Strip]) -> float:
    """The rows' numbers, above or below their cells."""
    if not any(item.group for strip in strips for item in strip.items):
        return y
    cell = _cell_width(strips)
    for strip, x in zip(strips, _starts(strips)):
        x += _inset(strip, cell)
        groups = [(group, _boxes_width(group, cell)) for group in strip.groups()]
        words = [f"row {group[0].group}" for group, _ in groups]
        is_long = all(width_of(w, SMALL) <= wide for w, (_, wide) in zip(words, groups))
        for (group, wide), text in zip(groups, words):
            text = text if is_long else group[0].group
            if group[0].group and width_of(text, SMALL) <= wide + BETWEEN_GROUPS - 1:
                canvas.text(x + wide / 2, y + 7, text, size=SMALL, anchor="middle", fill=MUTED)
            x += wide + BETWEEN_GROUPS
    return y + 16


def _boxes_width(group: Sequence[Item], cell: float) -> float:
    return sum(DOTS if item.key is None else cell for item in group)


def _draw_cells(
    canvas: Canvas,
    y: float,
    strips: Sequence[Strip],
    raced: set[Cell],
    note: Callable[[Cell, float], None],
) -> None:
    """The cells of a row of arrays; `note` is told of each cell and its middle."""
    cell = _cell_width(strips)
    for strip, x in zip(strips, _starts(strips)):
        x += _inset(strip, cell)
        for group in strip.groups():
            for item in group:
                if isinstance(item.key, tuple):
                    is_raced = (strip.name, item.key) in raced
                    hatch, thick = ("warn", 2) if is_raced else ("", 1)
                    canvas.rect(x, y, cell, HIGH, fill=PALE, hatch=hatch, thick=thick, kind="cell")
                    text = f"{item.text}!" if is_raced else item.text
                    canvas.text(x + cell / 2, y + HIGH / 2, text, size=SMALL, anchor="middle")
                    note((strip.name, item.key), x + cell / 2)
                    x += cell
                else:
                    canvas.text(x + DOTS / 2, y + HIGH / 2, "…", size=SMALL, anchor="middle")
                    x += DOTS
            x += BETWEEN_GROUPS


def _draw_boxes(
    canvas: Canvas, y: float, strip: Strip, panel: Panel, middles: dict[int, tuple[float, float]]
) -> None:
    """The threads: those that do nothing are hatched; their middles are noted."""
    cell = _cell_width([strip])
    busy = {access.thread for access in panel.accesses}
    (x,) = _starts([strip])
    for group in strip.groups():
        if group[0].group:
            canvas.text(x, y + HIGH / 2, group[0].group, size=SMALL, fill=MUTED)
            x += _tag(group)
        for item in group:
            assert isinstance(item.key, int)
            hatch = "" if item.key in busy else "idle"
            fill = PALE_BLUE if item.key in panel.actors else PAPER
            canvas.rect(
                x, y, cell, HIGH, fill=fill, stroke=INK, hatch=hatch, round=6, kind="thread"
            )
            canvas.text(x + cell / 2, y + HIGH / 2, item.text, size=SMALL, anchor="middle")
            middles[item.key] = (x + cell / 2, y)
            x += cell
        x += BETWEEN_GROUPS


def _raced(report: Report, place: Triple, epoch: int) -> set[Cell]:
    """The elements that threads of this block race on in this epoch."""
    return {
        (fault.array, fault.index)
        for fault in report.faults
        if fault.array is not None and fault.index is not None and fault.kind.startswith("race")
        if fault.epoch in (None, epoch) and any(t.block == place for t in fault.threads)
    }


def _legend(canvas: Canvas, y: float, kinds: set[str]) -> float:
    """How reading, writing and updating look."""
    x: float = MARGIN
    for kind, (stroke, style, word) in ARROWS.items():
        if kind in kinds:
            canvas.arrow((x, y + 8), (x + 36, y + 8), stroke=stroke, style=style)
            canvas.text(x + 42, y + 8, f"a thread {word}", size=SMALL)
            x += 60 + width_of(f"a thread {word}", SMALL)
    canvas.rect(x, y, 24, 16, hatch="idle", stroke=INK, round=5)
    canvas.text(x + 30, y + 8, "a thread that uses no memory here", size=SMALL)
    return y + 20


# --- the same in words ---


def _in_words(report: Report, panel: Panel) -> str:
    """For each drawn thread, the cells that it reads and writes."""
    told = []
    busy = [t for t in panel.shown if any(access.thread == t for access in panel.accesses)]
    listed_threads = [t for t in busy if t in panel.actors][:16]
    for thread in listed_threads:
        does = []
        for kind, (_, _, word) in ARROWS.items():
            cells = dict.fromkeys(
                named(a.array, a.index)
                for a in panel.accesses
                if a.thread == thread and a.kind == kind
            )
            if cells:
                does.append(f"{word} {listed(cells)}")
        told.append(f"thread {_called(report, thread)} {' and '.join(does)}")
    others = len({access.thread for access in panel.accesses}) - len(listed_threads)
    if others:
        told.append(f"{counted(others, 'more thread')} likewise use memory")
    idle = [thread for thread in panel.shown if thread not in busy]
    if idle:
        told.append(f"threads without any access: {listed(_called(report, t) for t in idle)}")
    return f"{'; '.join(told)}. {panel.note}".strip()
