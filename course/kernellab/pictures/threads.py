"""Which thread reads and writes which cell, in one panel for each stretch between two barriers."""

from collections.abc import Sequence
from dataclasses import dataclass
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
from course.kernellab.pictures.strips import (
    BETWEEN_GROUPS,
    HIGH,
    LEFT,
    Cell,
    Index,
    Item,
    Strip,
    cropped,
    draw_cells,
    draw_groups,
    draw_names,
    fits,
    placed,
    row_width,
    tag,
    with_dots,
)
from course.kernellab.records import WARP, Access, Report, short
from course.kernellab.svg import (
    BLUE,
    FAINT,
    INK,
    MARGIN,
    MUTED,
    ORANGE,
    PALE_BLUE,
    PAPER,
    SMALL,
    Canvas,
    Picture,
    width_of,
)

GAP = 62  # pixels that the arrows cross
MOST_CELLS, MOST_THREADS, MOST_ARROWS, MOST_PANELS = 64, 40, 150, 4

READ, WRITTEN = ("load",), ("store", "atomic")  # kinds of access
# Of each kind: how its arrow is drawn, and the word for it
ARROWS = {
    "load": (BLUE, "", "reads"),
    "store": (ORANGE, "dashed", "writes"),
    "atomic": (INK, "dotted", "updates atomically"),
}


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
        return max(row_width(row) for row in ([self.threads], self.sources, self.targets))


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
    while len(shown) > 1 and not fits([_thread_strip(report, shown)]):
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
        if len(arrows) <= MOST_ARROWS and all(map(fits, rows)):
            break
    if len(actors) < len(able):
        whose = f"{called(report, min(actors))} to {called(report, max(actors))}"
        whose = whose if len(actors) > 1 else called(report, *actors)
        notes.append(
            f"Only the first {len(actors)} of them that use memory have arrows: {whose}."
            if len(actors) > 1
            else f"Only thread {whose} has arrows."
        )
    sources, targets = (cropped(row) for row in rows)
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
                with_dots(sorted(cells_of[name]), report.arrays.get(name)),
            )
            for name in names
            if cells_of[name]
        ]
        if fits(strips):
            break
    return strips


# --- drawing ---


def _draw_panel(canvas: Canvas, y: float, panel: Panel, raced: set[Cell], span: float) -> float:
    """Draw the rows in the middle of `span` pixels, and the arrows between them."""
    tops: dict[Cell, tuple[float, float]] = {}
    bottoms: dict[Cell, tuple[float, float]] = {}
    threads: dict[int, float] = {}
    y += 4
    if panel.sources:
        row = placed(panel.sources, span)
        y = draw_groups(canvas, draw_names(canvas, y, row), row)
        canvas.text(MARGIN, y + HIGH / 2, "reads from", fill=MUTED)
        middles = draw_cells(canvas, y, row, raced)
        y += HIGH
        tops = {cell: (x, y) for cell, x in middles.items()}
        y += GAP
    top, bottom = y, y + HIGH
    threads = _draw_boxes(canvas, y, panel, span)
    y = bottom
    if panel.targets:
        y += GAP
        row = placed(panel.targets, span)
        canvas.text(MARGIN, y + HIGH / 2, "writes to", fill=MUTED)
        bottoms = {cell: (x, y) for cell, x in draw_cells(canvas, y, row, raced).items()}
        y = draw_names(canvas, draw_groups(canvas, y + HIGH, row), row)

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


def _draw_boxes(canvas: Canvas, y: float, panel: Panel, span: float) -> dict[int, float]:
    """Draw the threads, those that do nothing hatched; gives the middle of each."""
    ((strip, x, cell),) = placed([panel.threads], span)
    groups = strip.groups()
    only = f", {groups[0][0].group}" if len(groups) == 1 and groups[0][0].group else ""
    canvas.text(MARGIN, y + HIGH / 2, f"threads{only}", fill=MUTED)
    middles: dict[int, float] = {}
    busy = panel.busy
    for group in groups:
        if len(groups) > 1:
            canvas.text(x, y + HIGH / 2, group[0].group, size=SMALL, fill=MUTED)
            x += tag(group)
        for item in group:
            assert isinstance(item.key, int)
            hatch = "" if item.key in busy else "idle"
            is_actor = item.key in panel.actors
            fill, style = (PALE_BLUE, "") if is_actor or hatch else (PAPER, "dotted")
            canvas.rect(
                x,
                y,
                cell,
                HIGH,
                fill=fill,
                stroke=INK,
                style=style,
                hatch=hatch,
                round=6,
                kind="thread",
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
