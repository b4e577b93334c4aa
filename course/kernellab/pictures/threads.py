"""Which thread reads and writes which cell, in one panel for each stretch between two barriers."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from course.kernellab.pictures.choose import (
    Block,
    Triple,
    called,
    counted,
    listed,
    named,
    pick_block,
    place_of,
    ranges,
    sentences,
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

LEFT = 92  # pixels, for the words to the left of a row
ROOM = WIDE - 2 * MARGIN - LEFT
HIGH, GAP = 24, 62  # of a cell, and of the space that the arrows cross
MOST_CELLS, MOST_THREADS, MOST_ARROWS, MOST_PANELS = 64, 40, 150, 4

READ, WRITTEN = ("load",), ("store", "atomic")  # kinds of access
# Of each kind: how its arrow is drawn, and the word for it
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
        threads: those that are drawn.
        sources: the arrays that are read.
        targets: the arrays that are written.
        note: what is left out.
    """

    epoch: int
    accesses: Sequence[Access]
    actors: set[int]
    threads: Strip
    sources: Sequence[Strip]
    targets: Sequence[Strip]
    note: str

    @property
    def shown(self) -> list[int]:
        """The numbers of the threads that are drawn."""
        return [item.key for item in self.threads.items if isinstance(item.key, int)]

    @property
    def busy(self) -> set[int]:
        """The threads that use memory."""
        return {access.thread for access in self.accesses}

    @property
    def width(self) -> float:
        """Of its widest row."""
        return max(_row_width(row) for row in ([self.threads], self.sources, self.targets))


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
    panels = [_panel(report, [a for a in mine if a.epoch == number], number) for number in drawn]
    y = _legend(canvas, y + 4, panels)
    span = max(panel.width for panel in panels)
    for panel in panels:
        if name := _name(report, place, panel.epoch):
            right = MARGIN + LEFT + span
            canvas.line([(MARGIN, y + 8), (right, y + 8)], stroke=FAINT, thick=2)
            y = canvas.paragraph(MARGIN, y + 12, name, bold=True)
            said.append(f"{name}:")
        raced = _raced(report, place, panel.epoch)
        y = _draw_panel(canvas, y + 4, panel, raced, span)
        said += [_in_words(report, panel), _race_note(raced)]
    return canvas.finish(sentences(said))


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
    total = prod(report.block)
    busy = {access.thread for access in accesses}
    first = 0 if total <= MOST_THREADS else min(busy) // WARP * WARP
    shown = list(range(total) if total <= MOST_THREADS else range(first, min(first + WARP, total)))
    while len(shown) > 1 and not _fits([_thread_strip(report, shown)]):
        shown.pop()
    notes = []
    if len(shown) < total:
        ends = f"{called(report, shown[0])} to {called(report, shown[-1])}"
        notes.append(f"{len(shown)} of {total:,} threads are drawn: {ends}.")
    able = [thread for thread in shown if thread in busy]
    rows: list[list[Strip]] = [[], []]
    actors: set[int] = set()
    for many in (len(able), 16, 8, 4, 2, 1):  # as many threads as the picture can tell of
        actors = set(able[:many])
        rows = [_row(report, accesses, actors, kinds) for kinds in (READ, WRITTEN)]
        arrows = {(a.array, a.index, a.thread, a.kind) for a in accesses if a.thread in actors}
        if len(arrows) <= MOST_ARROWS and all(map(_fits, rows)):
            break
    if len(actors) < len(able):
        whose = f"{called(report, min(actors))} to {called(report, max(actors))}"
        whose = whose if len(actors) > 1 else called(report, *actors)
        notes.append(
            f"Only the first {len(actors)} of them that use memory have arrows: {whose}."
            if len(actors) > 1
            else f"Only thread {whose} has arrows."
        )
    sources, targets = (_cropped(row) for row in rows)
    return Panel(
        epoch, accesses, actors, _thread_strip(report, shown), sources, targets, " ".join(notes)
    )


# --- what stands in the rows ---


def _thread_strip(report: Report, shown: Sequence[int]) -> Strip:
    items = []
    _, high, deep = report.block
    for thread in shown:
        x, y, z = place_of(report, thread)
        group = f"y={y}" if high > 1 or deep > 1 else ""
        items.append(Item(thread, str(x), group + (f" z={z}" if deep > 1 else "")))
    return Strip("", "", items)


def _row(
    report: Report, accesses: Sequence[Access], actors: set[int], kinds: Sequence[str]
) -> list[Strip]:
    """A strip for each array that is used in this way: all of it if small, or what is touched."""
    used: dict[str, set[Index]] = {}
    for access in accesses:
        if access.kind in kinds:
            cells = used.setdefault(access.array, set())
            if access.thread in actors:
                cells.add(access.index)
    order = {name: i for i, name in enumerate(report.arrays)}
    names = sorted(used, key=lambda name: (order.get(name, len(order)), name))
    choices = [used]
    if sum(prod(report.arrays.get(name, (MOST_CELLS + 1,))) for name in names) <= MOST_CELLS:
        all_of = {name: set(np.ndindex(report.arrays.get(name, ()))) for name in names}
        choices.insert(0, {name: used[name] | all_of[name] for name in names})
    for cells_of in choices:
        strips = [
            Strip(
                name,
                f"{name} ({report.spaces.get(name, '')})",
                _with_dots(sorted(cells_of[name]), report.arrays.get(name)),
            )
            for name in names
            if cells_of[name]
        ]
        if _fits(strips):
            break
    return strips


def _cropped(strips: Sequence[Strip]) -> list[Strip]:
    """The strips, with as many of their first cells as have a place."""
    for most in (10**9, 48, 32, 24, 16, 12, 8, 6, 4, 3, 2, 1):
        cropped = [
            strip
            if len(strip.items) <= most
            else replace(
                strip,
                label=f"{strip.label}: the first {most} boxes of {len(strip.items)}",
                items=[*strip.items[:most], Item(None, "…", strip.items[most - 1].group)],
            )
            for strip in strips
        ]
        if _fits(cropped):
            break
    return cropped


def _with_dots(indices: Sequence[Index], shape: Index | None) -> list[Item]:
    """The cells, with an ellipsis wherever some are left out."""
    items: list[Item] = []
    before = -1
    for index in indices:
        place = _flat(index, shape)
        group = ", ".join(map(str, index[:-1]))
        if place is not None and place > before + 1:
            items.append(Item(None, "…", items[-1].group if items else group))
        items.append(Item(index, str(index[-1]) if index else "", group))
        before = place if place is not None else before
    is_cut = shape is not None and 0 <= before < prod(shape) - 1
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
    tags = sum(_tag(group) for group in groups) if not strip.name and len(groups) > 1 else 0
    wide = boxes + BETWEEN_GROUPS * (len(groups) - 1) + tags
    return max(wide, width_of(strip.label))


def _tag(group: Sequence[Item]) -> float:
    """The width of the label that stands before a group of threads."""
    return width_of(group[0].group, SMALL) + 5 if group[0].group else 0


def _total(strips: Sequence[Strip], cell: float) -> float:
    return sum(_width(s, cell) for s in strips) + BETWEEN_STRIPS * max(0, len(strips) - 1)


def _fits(strips: Sequence[Strip]) -> bool:
    return _total(strips, max((strip.least() for strip in strips), default=0)) <= ROOM


def _cell_width(strips: Sequence[Strip]) -> float:
    """As wide as there is room for, up to a comfortable width."""
    least = max((strip.least() for strip in strips), default=18)
    wider = (w for w in (34.0, 30.0, 26.0, 22.0) if w > least and _total(strips, w) <= ROOM)
    return next(wider, least)


def _row_width(strips: Sequence[Strip]) -> float:
    return _total(strips, _cell_width(strips))


# --- drawing ---


def _draw_panel(canvas: Canvas, y: float, panel: Panel, raced: set[Cell], span: float) -> float:
    """Draw the rows in the middle of `span` pixels, and the arrows between them."""
    tops: dict[Cell, tuple[float, float]] = {}
    bottoms: dict[Cell, tuple[float, float]] = {}
    threads: dict[int, float] = {}
    y += 4
    if panel.sources:
        row = _placed(panel.sources, span)
        y = _draw_groups(canvas, _draw_names(canvas, y, row), row)
        canvas.text(MARGIN, y + HIGH / 2, "reads from", fill=MUTED)
        middles = _draw_cells(canvas, y, row, raced)
        y += HIGH
        tops = {cell: (x, y) for cell, x in middles.items()}
        y += GAP
    top, bottom = y, y + HIGH
    threads = _draw_boxes(canvas, y, panel, span)
    y = bottom
    if panel.targets:
        y += GAP
        row = _placed(panel.targets, span)
        canvas.text(MARGIN, y + HIGH / 2, "writes to", fill=MUTED)
        bottoms = {cell: (x, y) for cell, x in _draw_cells(canvas, y, row, raced).items()}
        y = _draw_names(canvas, _draw_groups(canvas, y + HIGH, row), row)

    missing = 0
    for array, index, thread, kind in dict.fromkeys(
        (a.array, a.index, a.thread, a.kind) for a in panel.accesses if a.thread in panel.actors
    ):
        stroke, style, _ = ARROWS[kind]
        cell = (tops if kind in READ else bottoms).get((array, index))
        if cell is None:
            missing += 1
        elif kind in READ:
            canvas.arrow(cell, (threads[thread], top), stroke=stroke, style=style)
        else:
            canvas.arrow((threads[thread], bottom), cell, stroke=stroke, style=style)
    notes = [panel.note]
    if missing:
        notes.append(f"{counted(missing, 'more arrow')} would go to cells that have no place here.")
    if raced & {*tops, *bottoms}:
        notes.append(f"{_race_note(raced)} Its cells are hatched, with an exclamation mark.")
    y += 4 if panel.targets else 8
    return canvas.paragraph(MARGIN, y, " ".join(notes).strip(), size=SMALL, fill=MUTED) + 4


def _placed(strips: Sequence[Strip], span: float) -> list[tuple[Strip, float, float]]:
    """Each strip, its left edge, and the width of its cells: together they stand in the middle."""
    cell = _cell_width(strips)
    x = MARGIN + LEFT + (span - _total(strips, cell)) / 2
    row = []
    for strip in strips:
        row.append((strip, x, cell))
        x += _width(strip, cell) + BETWEEN_STRIPS
    return row


def _draw_names(canvas: Canvas, y: float, row: Sequence[tuple[Strip, float, float]]) -> float:
    for strip, x, cell in row:
        canvas.text(x + _width(strip, cell) / 2, y + 8, strip.label, anchor="middle")
    return y + 18


def _inset(strip: Strip, cell: float) -> float:
    """How far the boxes of a strip are moved right, if its label is wider than they are."""
    return (_width(strip, cell) - _width(replace(strip, label=""), cell)) / 2


def _boxes_width(group: Sequence[Item], cell: float) -> float:
    return sum(DOTS if item.key is None else cell for item in group)


def _draw_groups(canvas: Canvas, y: float, row: Sequence[tuple[Strip, float, float]]) -> float:
    """The rows' numbers, above or below their cells."""
    if not any(item.group for strip, _, _ in row for item in strip.items):
        return y
    for strip, x, cell in row:
        x += _inset(strip, cell)
        groups = strip.groups()
        texts = [f"row {group[0].group}" for group in groups]
        room = [_boxes_width(group, cell) for group in groups]
        has_room = all(width_of(text, SMALL) <= wide + 4 for text, wide in zip(texts, room))
        for group, text, wide in zip(groups, texts, room):
            text = text if has_room else group[0].group
            # In front of an ellipsis: the number stands over the cell.
            middle = x + (wide if has_room else cell) / 2
            if group[0].group and width_of(text, SMALL) <= wide + BETWEEN_GROUPS - 1:
                canvas.text(middle, y + 7, text, size=SMALL, anchor="middle", fill=MUTED)
            x += wide + BETWEEN_GROUPS
    return y + 16


def _draw_cells(
    canvas: Canvas, y: float, row: Sequence[tuple[Strip, float, float]], raced: set[Cell]
) -> dict[Cell, float]:
    """Draw the cells of a row of arrays; gives the middle of each."""
    middles: dict[Cell, float] = {}
    for strip, x, cell in row:
        x += _inset(strip, cell)
        for group in strip.groups():
            for item in group:
                if isinstance(item.key, tuple):
                    is_raced = (strip.name, item.key) in raced
                    hatch, thick = ("warn", 2) if is_raced else ("", 1)
                    canvas.rect(x, y, cell, HIGH, fill=PALE, hatch=hatch, thick=thick, kind="cell")
                    text = f"{item.text}!" if is_raced else item.text
                    canvas.text(x + cell / 2, y + HIGH / 2, text, size=SMALL, anchor="middle")
                    middles[strip.name, item.key] = x + cell / 2
                    x += cell
                else:
                    canvas.text(x + DOTS / 2, y + HIGH / 2, "…", size=SMALL, anchor="middle")
                    x += DOTS
            x += BETWEEN_GROUPS
    return middles


def _draw_boxes(canvas: Canvas, y: float, panel: Panel, span: float) -> dict[int, float]:
    """Draw the threads, those that do nothing hatched; gives the middle of each."""
    ((strip, x, cell),) = _placed([panel.threads], span)
    groups = strip.groups()
    tag = f", {groups[0][0].group}" if len(groups) == 1 and groups[0][0].group else ""
    canvas.text(MARGIN, y + HIGH / 2, f"threads{tag}", fill=MUTED)
    middles: dict[int, float] = {}
    busy = panel.busy
    for group in groups:
        if len(groups) > 1:
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
            middles[item.key] = x + cell / 2
            x += cell
        x += BETWEEN_GROUPS
    return middles


def _raced(report: Report, place: Triple, epoch: int) -> set[Cell]:
    """The elements that threads of this block race on in this epoch."""
    return {
        (fault.array, fault.index)
        for fault in report.faults
        if fault.array is not None and fault.index is not None and fault.kind.startswith("race")
        if fault.epoch in (None, epoch) and any(t.block == place for t in fault.threads)
    }


def _race_note(raced: set[Cell]) -> str:
    return f"There is a race on {listed(named(*cell) for cell in sorted(raced))}." if raced else ""


def _legend(canvas: Canvas, y: float, panels: Sequence[Panel]) -> float:
    """What arrows, boxes and numbers mean, as far as they occur."""
    x: float = MARGIN
    kinds = {access.kind for panel in panels for access in panel.accesses}
    for kind, (stroke, style, word) in ARROWS.items():
        if kind in kinds:
            canvas.arrow((x, y + 8), (x + 36, y + 8), stroke=stroke, style=style)
            canvas.text(x + 42, y + 8, f"a thread {word}", size=SMALL)
            x += 56 + width_of(f"a thread {word}", SMALL)
    if any(set(panel.shown) - panel.busy for panel in panels):
        canvas.rect(x, y, 24, 16, hatch="idle", stroke=INK, round=5)
        canvas.text(x + 30, y + 8, "a thread that uses no memory here", size=SMALL)
    y += 20
    strips = [strip for panel in panels for strip in (*panel.sources, *panel.targets)]
    if any(item.group for strip in strips for item in strip.items):
        words = "The number in a cell is its column; its row stands above or below."
        y = canvas.paragraph(MARGIN, y, words, size=SMALL, fill=MUTED)
    return y


# --- the same in words ---


def _in_words(report: Report, panel: Panel) -> str:
    """For each drawn thread, the cells that it reads and writes."""
    told = []
    actors = sorted(panel.actors)[:16]
    for thread in actors:
        does = []
        for kind, (_, _, word) in ARROWS.items():
            cells = dict.fromkeys(
                named(a.array, a.index)
                for a in panel.accesses
                if a.thread == thread and a.kind == kind
            )
            if cells:
                does.append(f"{word} {listed(cells)}")
        told.append(f"thread {called(report, thread)} {' and '.join(does)}")
    others = len(panel.busy) - len(actors)
    if others:
        told.append(f"{counted(others, 'more thread')} {'uses' if others == 1 else 'use'} memory")
    busy = panel.busy
    idle = [thread for thread in panel.shown if thread not in busy]
    if idle:
        told.append(f"threads without any access: {listed(called(report, t) for t in idle)}")
    return f"{'; '.join(told)}. {panel.note}".strip()
