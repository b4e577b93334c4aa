"""Who touched what, and when: the memory of the checker.

Two accesses to one element *conflict* if different threads make them, at least one writes, and not
both are atomic. A conflict is a race if nothing orders the two: between threads of a block only a
barrier does (for lanes of a warp also `syncwarp`), between blocks nothing but the end of the kernel,
or a `threadfence` before an atomic operation that the other block has seen.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from course.kernellab.records import WARP

LOAD, STORE, ATOMIC = "load", "store", "atomic"


@dataclass(slots=True)
class Touch:
    """One access, as far as races need it."""

    block: int
    thread: int
    epoch: int
    clock: int
    site: int
    kind: str


@dataclass(slots=True)
class Cell:
    """What happened to one element: in the block that runs, and in those before it."""

    block: int
    epoch: int = -1
    writes: list[Touch] = field(default_factory=list)
    reads: list[Touch] = field(default_factory=list)
    before: list[Touch] = field(default_factory=list)


class Order:
    """What orders the lanes of warps: each `syncwarp` is a tick of its members' clocks."""

    def __init__(self, threads: int) -> None:
        self.clock = [0] * threads
        self.seen: list[list[int]] = [[-1] * WARP for _ in range(threads)]

    def meet(self, members: list[int]) -> None:
        """Lanes wait for each other: what they did before is before what they do after."""
        merged = [max(column) for column in zip(*(self.seen[t] for t in members))]
        for thread in members:
            merged[thread % WARP] = self.clock[thread]
            self.clock[thread] += 1
        for thread in members:
            self.seen[thread] = merged

    def before(self, touch: Touch, thread: int) -> bool:
        """Whether an earlier access in this epoch is ordered before what `thread` does now."""
        same_warp = touch.thread // WARP == thread // WARP
        return same_warp and self.seen[thread][touch.thread % WARP] >= touch.clock


class Shadow:
    """The cells of one memory: global memory for a launch, shared memory for a block.

    Args:
        race: is called with (earlier touch, this touch, address) for each race.
    """

    def __init__(self, race: Callable[[Touch, Touch, int], None]) -> None:
        self.cells: dict[int, Cell] = {}
        self.race = race
        self.acquired: set[int] = set()  # blocks whose work is known to be done

    def touch(self, address: int, now: Touch, order: Order) -> None:
        """Notes an access, and reports the races that it makes."""
        cell = self.cells.get(address)
        if cell is None:
            cell = self.cells[address] = Cell(now.block)
        elif cell.block != now.block:
            self._close(cell)
            cell.block = now.block
        if cell.before:
            self._between_blocks(cell, now, address)
        if cell.epoch != now.epoch:
            cell.epoch = now.epoch
            cell.before = self._keep(cell)
            cell.writes, cell.reads = [], []
        kind, thread = now.kind, now.thread
        for write in cell.writes:
            if write.thread == thread or (kind == ATOMIC and write.kind == ATOMIC):
                continue
            if not order.before(write, thread):
                self.race(write, now, address)
        if kind == LOAD:
            if not cell.reads or cell.reads[-1].thread != thread:
                cell.reads.append(now)
            return
        for read in cell.reads:
            if read.thread != thread and not order.before(read, thread):
                self.race(read, now, address)
                break
        cell.reads = []
        others = [w for w in cell.writes if w.thread != thread][-2:]
        cell.writes = [*others, now]

    def _keep(self, cell: Cell) -> list[Touch]:
        """The touches of a past epoch that another block could still meet: one of each kind."""
        kept = list(cell.before)
        have = {(t.block, t.kind) for t in kept}
        for touch in (*cell.writes, *cell.reads):
            if (touch.block, touch.kind) not in have:
                have.add((touch.block, touch.kind))
                kept.append(touch)
        return kept

    def _close(self, cell: Cell) -> None:
        cell.before = self._keep(cell)
        cell.writes, cell.reads, cell.epoch = [], [], -1

    def _between_blocks(self, cell: Cell, now: Touch, address: int) -> None:
        for touch in cell.before:
            if touch.block == now.block or touch.block in self.acquired:
                continue
            plain_reads = touch.kind == LOAD and now.kind == LOAD
            if not plain_reads and not (touch.kind == ATOMIC and now.kind == ATOMIC):
                self.race(touch, now, address)
                return
