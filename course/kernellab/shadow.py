"""Who touched what, and when: the memory of the checker.

Two accesses to one element *conflict* if different threads make them, at least one writes, and not
both are atomic. A conflict is a race if nothing orders the two: between threads of a block only a
barrier does (for lanes of a warp also `syncwarp`), between blocks nothing but the end of the kernel,
or a `threadfence` before an atomic operation that the other block has seen.
"""

from collections.abc import Callable
from typing import NamedTuple

from course.kernellab.records import WARP

LOAD, STORE, ATOMIC = "load", "store", "atomic"


class Touch(NamedTuple):
    """One access, as far as races need it."""

    block: int
    thread: int
    epoch: int
    clock: int
    site: int
    kind: str


class Cell:
    """What happened to one element: in this epoch of the block that runs, and before."""

    __slots__ = ("before", "block", "epoch", "reads", "writes")

    def __init__(self, block: int) -> None:
        self.block = block
        self.epoch = -1
        self.writes: list[Touch] = []
        self.reads: list[Touch] = []
        self.before: list[Touch] = []  # of other blocks, one of each kind


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
        many_blocks: whether blocks share the memory.
    """

    def __init__(self, race: Callable[[Touch, Touch, int], None], many_blocks: bool) -> None:
        self.many_blocks = many_blocks
        self.cells: dict[int, Cell] = {}
        self.race = race
        self.acquired: set[int] = set()  # blocks whose work is known to be done

    def touch(self, address: int, now: Touch, order: Order) -> None:
        """Notes an access, and reports the races that it makes."""
        block, thread, epoch, _, _, kind = now
        cell = self.cells.get(address)
        if cell is None:
            cell = self.cells[address] = Cell(block)
        if cell.epoch != epoch or cell.block != block:
            if self.many_blocks:
                if cell.writes or cell.reads:
                    self._keep(cell)
                cell.block = block
            cell.epoch = epoch
            cell.writes, cell.reads = [], []
        if cell.before:
            self._between_blocks(cell, now, address)
        for write in cell.writes:
            if write[1] == thread or (kind == ATOMIC and write[5] == ATOMIC):
                continue
            if not order.before(write, thread):
                self.race(write, now, address)
        reads = cell.reads
        if kind == LOAD:
            if not reads or reads[-1][1] != thread:
                reads.append(now)
            return
        for read in reads:
            if read[1] != thread and not order.before(read, thread):
                self.race(read, now, address)
                break
        if reads:
            cell.reads = []
        writes = cell.writes
        if not writes or (len(writes) == 1 and writes[0][1] == thread):
            cell.writes = [now]
        else:
            cell.writes = [*[w for w in writes if w[1] != thread][-2:], now]

    def _keep(self, cell: Cell) -> None:
        """Remembers what another block could still meet: one access of each kind."""
        have = {(t.block, t.kind) for t in cell.before}
        for touch in (*cell.writes, *cell.reads):
            if (touch.block, touch.kind) not in have:
                have.add((touch.block, touch.kind))
                cell.before.append(touch)

    def _between_blocks(self, cell: Cell, now: Touch, address: int) -> None:
        for touch in cell.before:
            if touch.block == now.block or touch.block in self.acquired:
                continue
            plain_reads = touch.kind == LOAD and now.kind == LOAD
            if not plain_reads and not (touch.kind == ATOMIC and now.kind == ATOMIC):
                self.race(touch, now, address)
                return
