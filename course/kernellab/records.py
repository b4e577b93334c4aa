"""What the checker notes down while a kernel runs, and what it says about it.

A kernel's memory accesses are grouped the way the hardware groups them: the 32 threads of a warp
execute one instruction together, and their 32 addresses are one *request*.
"""

import html
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

WARP = 32
"""Threads in a warp."""


@dataclass(frozen=True)
class Site:
    """A place in a kernel's source where memory is accessed, or where threads meet.

    Attributes:
        id: its number within the kernel, in the order of the source.
        kind: "load", "store", "atomic", "barrier", "warp" (syncwarp, shuffles, votes).
        line: the line in its file or notebook cell, from 1.
        text: the expression as written, such as `tile[ty, tx]`.
    """

    id: int
    kind: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.text}"


@dataclass(frozen=True)
class Thread:
    """One thread of a launch: its place in the block, and the block's place in the grid."""

    thread: tuple[int, int, int]
    block: tuple[int, int, int]

    def __str__(self) -> str:
        return f"thread {short(self.thread)} of block {short(self.block)}"


def short(xyz: tuple[int, int, int]) -> str:
    """`3` for (3, 0, 0), else `(3, 1)` or `(3, 1, 2)`: without the zeros that nobody wrote."""
    x, y, z = xyz
    if z:
        return f"({x}, {y}, {z})"
    return f"({x}, {y})" if y else str(x)


@dataclass(frozen=True)
class Fault:
    """Something that a GPU would not forgive, or not every time.

    Attributes:
        kind: one of `KINDS`.
        message: the whole story, in one or two sentences.
        array: the array's name in the kernel, if there is one.
        space: "global", "shared" or "local".
        index: the element, as the kernel indexes it.
        threads: who met: two for a race, one for most others.
        sites: where in the source, one for each of the threads.
        epoch: how many block barriers had been passed; None where that says nothing.
        count: how often the same fault was seen.
    """

    kind: str
    message: str
    array: str | None = None
    space: str | None = None
    index: tuple[int, ...] | None = None
    threads: tuple[Thread, ...] = ()
    sites: tuple[Site, ...] = ()
    epoch: int | None = None
    count: int = 1

    @property
    def lines(self) -> tuple[int, ...]:
        """The source lines of the sites."""
        return tuple(site.line for site in self.sites)

    def __str__(self) -> str:
        times = f" ({self.count} times)" if self.count > 1 else ""
        return f"{self.kind}: {self.message}{times}"


KINDS = {
    "race": "two threads of a block use one element, one of them writes, and no barrier is between",
    "race between blocks": "two blocks use one element, one of them writes: blocks have no order",
    "out of bounds": "an index that is too large for its dimension",
    "negative index": "an index below zero: it counts from the end, or leaves the array",
    "uninitialised read": "shared or local memory is read before it is written",
    "divergent barrier": "threads of a block wait at different barriers, or some have left",
    "divergent warp": "a warp operation names lanes that do not take part in it",
    "too many threads": "more threads in a block than the hardware has places for",
    "too much shared memory": "more shared memory in a block than the hardware has",
    "endless": "a thread was still running after very many steps",
}
"""The kinds of fault, and what each means."""


@dataclass(slots=True)
class Access:
    """One thread's access to one element.

    Attributes:
        site: the id of its place in the source.
        array: the array's name.
        space: "global", "shared" or "local".
        kind: "load", "store" or "atomic".
        block: the block's place in the grid.
        thread: the thread's number in its block: x runs fastest, then y, then z.
        index: the element.
        address: in bytes; arrays in global memory start at multiples of 512, shared memory at 0.
        size: of the element, in bytes.
        epoch: how many block barriers the thread had passed.
        request: equal for the accesses of a warp that one instruction makes.
    """

    site: int
    array: str
    space: str
    kind: str
    block: tuple[int, int, int]
    thread: int
    index: tuple[int, ...]
    address: int
    size: int
    epoch: int
    request: tuple


@dataclass
class SiteTraffic:
    """What all the warp requests of one site cost together.

    Attributes:
        site: the place in the source.
        array: the array's name (of several, the first).
        space: "global" or "shared".
        requests: how many times a warp executed it.
        accesses: how many threads took part in these, together.
        sectors: 32-byte pieces of global memory that were touched, over all requests.
        ideal_sectors: as few as hold the bytes that were asked for.
        wavefronts: turns that shared memory took, over all requests.
        ideal_wavefronts: with no two lanes asking one bank for different words.
        worst_ways: the most words asked of one bank in one turn's worth of lanes.
        bytes: asked for by the threads.
    """

    site: Site
    array: str
    space: str
    requests: int = 0
    accesses: int = 0
    sectors: int = 0
    ideal_sectors: int = 0
    wavefronts: int = 0
    ideal_wavefronts: int = 0
    worst_ways: int = 0
    bytes: int = 0

    @property
    def efficiency(self) -> float:
        """Share of the moved sectors' bytes that was needed: 1.0 is fully coalesced."""
        return min(1.0, self.ideal_sectors / self.sectors) if self.sectors else 1.0

    @property
    def ways(self) -> float:
        """Turns for each turn that is needed: 1.0 is free of bank conflicts."""
        return self.wavefronts / self.ideal_wavefronts if self.ideal_wavefronts else 1.0


@dataclass
class Cost:
    """What a launch did, counted. Scaled to the whole grid where not every block was followed.

    Attributes:
        flops: additions, subtractions, multiplications, divisions of floats; fma counts two.
        special: exp, log, sqrt, tanh and their like.
        loads, stores, atomics: bytes by space: {"global": ..., "shared": ..., "local": ...}.
        sectors: of 32 bytes, asked of the L2 cache by all requests to global memory.
        unique_sectors: different ones: what must come from or go to DRAM at least once.
        wavefronts: turns of shared memory.
        barriers: block barriers, summed over blocks.
        blocks: in the grid.
        followed: blocks that the checker ran.
        threads: in a block.
        shared_bytes: of a block.
    """

    flops: int = 0
    special: int = 0
    loads: dict[str, int] = field(default_factory=dict)
    stores: dict[str, int] = field(default_factory=dict)
    atomics: dict[str, int] = field(default_factory=dict)
    sectors: int = 0
    unique_sectors: int = 0
    wavefronts: int = 0
    barriers: int = 0
    blocks: int = 0
    followed: int = 0
    threads: int = 0
    shared_bytes: int = 0


@dataclass(frozen=True)
class Meeting:
    """A barrier as it happened: who came, at which sites, and who was missing.

    Attributes:
        block: whose threads met.
        epoch: how many barriers the block had passed before this one.
        arrived: {site id: thread numbers}.
        missing: threads that had already left the kernel.
    """

    block: tuple[int, int, int]
    epoch: int
    arrived: dict[int, tuple[int, ...]]
    missing: tuple[int, ...]


@dataclass(repr=False)
class Report:
    """All that the checker found out about one launch.

    Attributes:
        kernel: its name.
        source: its source, as written.
        first_line: the number of the source's first line in its file or cell.
        grid, block: the launch's shape.
        faults: in the order in which they were found; empty for a kernel without faults.
        notes: what is worth a look, and no fault.
        sites: by id.
        traffic: by site id, for sites that use global or shared memory.
        cost: the counters.
        accesses: every access, in the order in which it happened; empty if not kept.
        meetings: every block barrier.
        arrays: {name: shape} of the arrays the kernel uses.
        spaces: {name: space} of the same.
        reads, writes: {array name: {index: how many times}}, over the followed blocks.
        per_thread: {"global loads": the most that one thread did, ...}; 0 for what none did.
    """

    kernel: str
    source: str
    first_line: int
    grid: tuple[int, int, int]
    block: tuple[int, int, int]
    faults: list[Fault] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    sites: list[Site] = field(default_factory=list)
    traffic: dict[int, SiteTraffic] = field(default_factory=dict)
    cost: Cost = field(default_factory=Cost)
    accesses: list[Access] = field(default_factory=list)
    meetings: list[Meeting] = field(default_factory=list)
    arrays: dict[str, tuple[int, ...]] = field(default_factory=dict)
    spaces: dict[str, str] = field(default_factory=dict)
    reads: dict[str, dict[tuple[int, ...], int]] = field(default_factory=dict)
    writes: dict[str, dict[tuple[int, ...], int]] = field(default_factory=dict)
    per_thread: Counter[str] = field(default_factory=Counter)

    @property
    def ok(self) -> bool:
        """Whether no fault was found."""
        return not self.faults

    @property
    def coalescing(self) -> float:
        """The worst place's share of moved bytes that was needed, in global memory: 1.0 is the best."""
        places = [t.efficiency for t in self.traffic.values() if t.space == "global"]
        return min(places, default=1.0)

    @property
    def bank_ways(self) -> float:
        """The worst place's turns for each turn that is needed, in shared memory: 1.0 is the best."""
        return max((t.ways for t in self.traffic.values() if t.space == "shared"), default=1.0)

    def bytes(self, space: str = "global") -> int:
        """What the threads load, store and change in atomic operations, together."""
        cost = self.cost
        return sum(kind.get(space, 0) for kind in (cost.loads, cost.stores, cost.atomics))

    @property
    def dram_bytes(self) -> int:
        """What must cross the memory bus at least: each 32-byte sector that is touched, once."""
        return 32 * self.cost.unique_sectors

    def most_reads(self, array: str) -> int:
        """How often that element of an array is read which is read most often.

        Raises:
            ValueError: if the kernel has no array of this name.
        """
        return self._most("reads", array)

    def most_writes(self, array: str) -> int:
        """How often that element of an array is written which is written most often.

        Raises:
            ValueError: if the kernel has no array of this name.
        """
        return self._most("writes", array)

    def _most(self, what: str, array: str) -> int:
        if array not in self.arrays:
            raise ValueError(
                f"the kernel has no array {array!r}: choose from {', '.join(self.arrays)}."
            )
        return max(getattr(self, what).get(array, {}).values(), default=0)

    def kinds(self) -> set[str]:
        """The kinds of fault that were found."""
        return {fault.kind for fault in self.faults}

    def lines(self) -> Iterator[tuple[int, str]]:
        """(line number, text) of the kernel's source."""
        yield from enumerate(self.source.splitlines(), self.first_line)

    def __str__(self) -> str:
        """The report in words: faults first, then what the accesses cost."""
        shape = f"{self.kernel}[{_dims(self.grid)}, {_dims(self.block)}]"
        if self.faults:
            count = f"{len(self.faults)} fault{'s' if len(self.faults) > 1 else ''}"
            out = [f"{shape}: {count}", *(f"* {fault}" for fault in self.faults)]
        else:
            out = [f"{shape}: no faults"]
        out += [f"Note: {note}." for note in self.notes]
        cost = self.cost
        if cost.followed < cost.blocks:
            out.append(f"({cost.followed} of {cost.blocks} blocks followed; costs are scaled)")
        for traffic in self.traffic.values():
            out.append(f"  {describe(traffic)}")
        if cost.followed:
            moved = cost.sectors * 32
            out.append(
                f"  {cost.flops:,} operations on floats, {cost.special:,} of special functions, "
                f"{moved:,} bytes asked of the caches, {cost.barriers:,} barriers"
            )
        return "\n".join(out)

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        """The report in a notebook: the words, and a picture of the first faults."""
        from course.kernellab.pictures import draw_fault  # which draws what is defined here

        pictures = [draw_fault(self, fault)._repr_html_() for fault in self.faults[:PICTURES]]
        return "".join([f"<pre>{html.escape(str(self))}</pre>", *pictures])


PICTURES = 3
"""Faults that a report shows as pictures in a notebook."""


def _dims(xyz: tuple[int, int, int]) -> str:
    x, y, z = xyz
    return str(x) if y == z == 1 else f"({x}, {y})" if z == 1 else f"({x}, {y}, {z})"


def describe(traffic: SiteTraffic) -> str:
    """What one site's requests cost, in a line."""
    head = f"line {traffic.site.line}: {traffic.site.text}"
    head = f"{traffic.space} {traffic.site.kind:6} {head:44}"
    if traffic.space == "global":
        each = f"{traffic.sectors / traffic.requests:.1f} sectors a request"
        return f"{head} {each} (ideal {traffic.ideal_sectors / traffic.requests:.1f})"
    ways = f"{traffic.ways:.1f} turns a request" if traffic.ways > 1 else "no bank conflicts"
    return f"{head} {ways}"
