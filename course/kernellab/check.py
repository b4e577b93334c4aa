"""The checker: a kernel runs in plain Python, and every access is looked at.

    report = lab.check(kernel[grid, block], x, out)
    print(report)

It follows some blocks through three schedules (threads forward, in reverse, and shuffled), finds
what a GPU would not forgive, and counts what the hardware would have to do. The arguments are
copied: a check changes nothing.
"""

import ast
import gc
import itertools
import random
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from course.kernellab import counters, python
from course.kernellab.arithmetic import Counts
from course.kernellab.errors import LaunchError
from course.kernellab.launch import Configured
from course.kernellab.limits import Launch, shared_bytes, shared_fault, thread_fault
from course.kernellab.memory import host_view
from course.kernellab.program import Typed, do_atomic, position, program, put_value
from course.kernellab.records import (
    WARP,
    Access,
    Fault,
    Meeting,
    Report,
    Thread,
    short,
)
from course.kernellab.schedule import (
    ORDERS,
    Watcher,
    ordered,
    positions,
    run_block,
)
from course.kernellab.shadow import ATOMIC, LOAD, STORE, Order, Shadow, Touch

Dim = tuple[int, int, int]
KEPT_ACCESSES = 50_000
MOST_STEPS = 100_000
MOST_MEETINGS = 2_000
SHARED_BASE, LOCAL_BASE = 1 << 40, 1 << 50


def check(
    kernel: Any,
    *arguments: Any,
    blocks: Sequence[Any] | str | None = None,
    orders: Sequence[str] = ORDERS,
    seed: int = 0,
) -> Report:
    """Follows a launch and reports what is wrong with it, and what it costs.

    Args:
        kernel: with its launch's shape: `kernel[grid, block]`.
        arguments: those of the launch; they stay as they are.
        blocks: numbers or (x, y, z) of the blocks to follow, or "all". None: all of up to 8, else
            two at the beginning, one in the middle, two at the end.
        orders: the schedules, of "forward", "reverse", "random".
        seed: of the random schedule.

    Raises:
        Refused: if the CUDA compiler would not take the kernel.
        LaunchError: if the kernel has no launch shape, or `blocks` or `orders` make no sense.
    """
    return _check(kernel, arguments, blocks, orders, seed)[0]


def watch(kernel: Any, *arguments: Any, orders: Sequence[str] = ORDERS, seed: int = 0) -> Report:
    """Launches a kernel under the checker's eyes: all blocks, in plain Python, without compiling.

    The arguments are changed as by the launch. So a small launch can be looked at in both ways: for
    what it computes, and for how.

    Args:
        kernel: with its launch's shape: `kernel[grid, block]`.
        arguments: those of the launch. After a fault such as a race, they hold what the schedule
            "forward" gives, or the first of `orders`.
        orders: the schedules, of "forward", "reverse", "random".
        seed: of the random schedule.

    Raises:
        Refused: if the CUDA compiler would not take the kernel.
        LaunchError: if the kernel has no launch shape, or `orders` make no sense.
    """
    report, results = _check(kernel, arguments, "all", orders, seed)
    for argument, array in zip(arguments, results):
        if hasattr(argument, "copy_to_device"):
            argument.copy_to_device(array)
        elif isinstance(argument, np.ndarray):
            argument[...] = array
    return report


def _check(
    kernel: Any,
    arguments: Sequence[Any],
    blocks: Sequence[Any] | str | None,
    orders: Sequence[str],
    seed: int,
) -> tuple[Report, list[Any]]:
    """The report, and what the arguments hold after the first schedule."""
    if hasattr(kernel, "dispatcher") and hasattr(kernel, "griddim"):  # numba's own, on a GPU
        config = (kernel.griddim, kernel.blockdim, 0, kernel.sharedmem)
        kernel = Configured(kernel.dispatcher, config)
    if not isinstance(kernel, Configured):
        raise LaunchError(
            "lab.check wants the launch's shape too: lab.check(kernel[grid, block], x)."
        )
    launch = kernel.launch
    values = [host_view(a) for a in arguments]
    typed = program(kernel.kernel).of(values)
    unknown = [order for order in orders if order not in ORDERS]
    if unknown or not orders:
        raise LaunchError(f"orders are some of {', '.join(ORDERS)}; got {orders!r}.")
    followed = chosen_blocks(blocks, launch)
    # Millions of small records are made, none of them in a circle: looking for circles among them
    # would take a third of the time.
    collecting = gc.isenabled()
    gc.disable()
    try:
        return _through(orders, typed, launch, values, followed, seed)
    finally:
        if collecting:
            gc.enable()


def _through(
    orders: Sequence[str],
    typed: Typed,
    launch: Launch,
    values: list[Any],
    followed: list[Dim],
    seed: int,
) -> tuple[Report, list[Any]]:
    """The report of a launch, followed through several schedules; and its arguments after the first."""
    first: Report | None = None
    after: list[Any] = []
    results: list[list[np.ndarray]] = []
    for order in orders:
        run = _Run(typed, launch, values, followed, order, seed, keep=first is None)
        run.all_blocks()
        results.append(run.results())
        if first is None:
            first = run.report
            after = [x.array if isinstance(x, Traced) else x for x in run.arguments]
        else:
            _merge(first, run.report)
        if run.impossible:
            return first, after
    assert first is not None
    _compare(first, results, orders)
    return first, after


def chosen_blocks(blocks: Sequence[Any] | str | None, launch: Launch) -> list[Dim]:
    """The places of the blocks to follow."""
    total = launch.blocks
    if blocks is None:
        numbers = range(total) if total <= 8 else [0, 1, total // 2, total - 2, total - 1]
    elif blocks == "all":
        numbers = range(total)
    else:
        out = []
        for block in blocks:
            if isinstance(block, (int, np.integer)):
                inside = 0 <= block < total
                place = position(int(block), launch.grid)
            else:
                place = (*block, 0, 0)[:3]
                inside = all(0 <= b < g for b, g in zip(place, launch.grid))
            if not inside:
                raise LaunchError(f"there is no block {block!r} in a grid of {launch.grid}.")
            out.append(place)
        return out
    return [position(number, launch.grid) for number in numbers]


def _merge(into: Report, other: Report) -> None:
    """Faults that only another schedule shows."""
    known = {_same(fault) for fault in into.faults}
    into.faults += [fault for fault in other.faults if _same(fault) not in known]


def _same(fault: Fault) -> tuple:
    return fault.kind, fault.array, frozenset(site.id for site in fault.sites)


def _compare(report: Report, results: list[list[np.ndarray]], orders: Sequence[str]) -> None:
    for order, other in zip(orders[1:], results[1:]):
        for one, two in zip(results[0], other):
            close = np.allclose(one, two, rtol=1e-3, atol=1e-5, equal_nan=True)
            if not (close if one.dtype.kind in "fc" else np.array_equal(one, two)):
                report.notes.append(
                    f"the result depends on the order of the threads: {orders[0]} and {order} differ"
                )
                return


class Traced:
    """An array in the checker's eyes: its memory, and where it lies.

    Attributes:
        array: its contents.
        base: its address.
        space: "global", "shared", "local" or "constant".
        name: in the kernel.
        root: the whole array of which it is a part.
    """

    __slots__ = ("array", "base", "name", "ndim", "root", "shape", "size", "space", "strides")

    def __init__(self, array: np.ndarray, base: int, space: str, name: str, root: Any) -> None:
        self.array, self.base, self.space, self.name = array, base, space, name
        self.shape, self.strides, self.ndim = array.shape, array.strides, array.ndim
        self.size = array.size
        self.root = root if root is not None else self

    @property
    def dtype(self) -> np.dtype:
        """The elements' type."""
        return self.array.dtype

    def __len__(self) -> int:
        return len(self.array)

    def __iter__(self) -> Any:
        raise TypeError("write `for i in range(x.size)`: the checker follows indices")


class Stop(Exception):
    """The launch is not followed any further."""


class _Run(Watcher):
    """One launch through one schedule."""

    def __init__(
        self,
        typed: Typed,
        launch: Launch,
        arguments: Sequence[Any],
        followed: list[Dim],
        order: str,
        seed: int,
        keep: bool,
    ) -> None:
        self.typed, self.launch, self.order, self.keep = typed, launch, order, keep
        self.lowered = typed.program.lowered
        self.sites = self.lowered.tables.sites
        source = self.lowered.source
        self.report = Report(
            typed.program.name, source.text, source.first_line, launch.grid, launch.block
        )
        self.report.sites = list(self.sites)
        self.dice = random.Random(seed)
        self.counts = Counts()
        self.found: dict[tuple, Fault] = {}
        self.impossible = False
        self.followed = followed
        self.block: Dim = (0, 0, 0)
        self.number = 0
        self.epoch = 0
        self.threads = launch.threads
        self.steps = [0] * self.threads
        self.last: dict[int, tuple[int, str]] = {}  # of threads that have run for long
        self.order_of = Order(self.threads)
        self.fenced: set[int] = set()
        self.published: dict[int, set[int]] = {}
        self.globals = Shadow(self.race, many_blocks=True)
        self.shared = Shadow(self.race, many_blocks=False)
        self.written: set[int] = set()
        self.roots: dict[int, Traced] = {}
        self.tally = counters.Tally(self.sites)
        self.requests: dict[tuple, list[tuple[int, int]]] = {}
        self.logged = 0
        self.local_bases = itertools.count(LOCAL_BASE, 1 << 20)
        self.arguments = self._arguments(arguments)
        environment = {
            "_load": self.load,
            "_store": self.store,
            "_atomic": self.atomic,
            "_counts": self.counts,
            "_local_array": self.local_array,
            "_tick": self.tick,
            "_threadfence": self.threadfence,
        }
        self.run = python.build(self.lowered, typed.scalars, environment)

    # ----------------------------------------------------------------- memory

    def _arguments(self, arguments: Sequence[Any]) -> list[Any]:
        base = 0
        out: list[Any] = []
        known: dict[tuple, Traced] = {}
        for label, value in zip(self.lowered.params, arguments):
            if not isinstance(value, np.ndarray):
                value = int(value) if type(value) is np.int64 else value
                out.append(np.float64(value) if type(value) is float else value)
                continue
            key = (value.__array_interface__["data"][0], value.shape, value.strides, value.dtype)
            if value.size == 0 or key not in known:
                known[key] = self._root(value.copy(order="K"), base, "global", label)
                base += -(-max(1, value.nbytes) // 512) * 512
            out.append(known[key])
        self.outputs = list(known.values())
        self.constants = [
            self._root(array, base + (i << 30), "constant", f"constant {i}")
            for i, array in enumerate(self.lowered.tables.constants, 1)
        ]
        return out

    def _root(self, array: np.ndarray, base: int, space: str, label: str) -> Traced:
        traced = Traced(array, base, space, label, None)
        if space != "local":
            self.roots[base] = traced
        self.report.arrays.setdefault(label, array.shape)
        self.report.spaces.setdefault(label, space)
        return traced

    def _shared_arrays(self) -> list[Traced]:
        out = []
        offset = 0
        dynamic = np.zeros(self.launch.dynamic_shared, np.uint8)
        places: list[tuple[Any, int]] = []
        for memory in self.lowered.tables.shared:
            if memory.shape:
                offset = -(-offset // memory.dtype.itemsize) * memory.dtype.itemsize
                places.append((np.zeros(memory.shape, memory.dtype), offset))
                offset += memory.nbytes
            else:
                places.append((None, 0))
        start = -(-offset // 128) * 128  # behind the static arrays
        for memory, (array, at) in zip(self.lowered.tables.shared, places):
            if array is None:
                size = memory.dtype.itemsize
                array, at = dynamic[: dynamic.size // size * size].view(memory.dtype), start
            out.append(self._root(array, SHARED_BASE + at, "shared", memory.name))
        return out

    def local_array(self, memory: Any) -> Traced:
        """A thread's own array."""
        array = np.zeros(memory.shape, memory.dtype)
        return self._root(array, next(self.local_bases), "local", memory.name)

    def results(self) -> list[np.ndarray]:
        """The arguments' contents after the run."""
        return [traced.array for traced in self.outputs]

    # ----------------------------------------------------------------- faults

    def who(self, thread: int | None = None, block: int | None = None) -> Thread:
        place = self.followed[block] if block is not None else self.block
        return Thread(position(self.thread if thread is None else thread, self.launch.block), place)

    def fault(self, key: tuple, make: Callable[[], Fault]) -> None:
        """Notes a fault, or that it happened once more."""
        if key in self.found:
            old = self.found[key]
            self.found[key] = replace(old, count=old.count + 1)
        else:
            self.found[key] = make()

    def element(self, address: int) -> tuple[Traced, tuple[int, ...]]:
        """The array that an address lies in, and the index."""
        base = max(b for b in self.roots if b <= address)
        traced = self.roots[base]
        return traced, _index(traced.array, address - base)

    def race(self, earlier: Touch, now: Touch, address: int) -> None:
        """Two accesses that nothing orders."""
        between = earlier.block != now.block
        kind = "race between blocks" if between else "race"
        base = max(b for b in self.roots if b <= address)
        key = (kind, base, frozenset((earlier.site, now.site)))

        def make() -> Fault:
            traced, index = self.element(address)
            one, two = self.who(earlier.thread, earlier.block), self.who(now.thread, now.block)
            first, second = self.sites[earlier.site], self.sites[now.site]
            name = f"{traced.name}[{', '.join(map(str, index))}]"
            if between:
                a, b = str(one), str(two)
                end = "Blocks run in any order, and nothing makes one wait for another."
            else:
                a, b = f"thread {short(one.thread)}", f"thread {short(two.thread)}"
                end = (
                    f"No barrier is between them (both after barrier {self.epoch} of the block)."
                    if self.epoch
                    else "No barrier is between them."
                )
            what = f"{a} {VERBS[earlier.kind]} it (line {first.line}: {first.text})"
            what += f" and {b} {VERBS[now.kind]} it (line {second.line}: {second.text})"
            return Fault(
                kind,
                f"`{name}` in {traced.space} memory: {what}. {end}",
                traced.name,
                traced.space,
                index,
                (one, two),
                (first, second),
                None if between else self.epoch,
            )

        self.fault(key, make)

    def bad_index(self, traced: Traced, parts: tuple, site: int, negative: bool) -> None:
        """An index that its dimension does not have."""
        kind = "negative index" if negative else "out of bounds"
        where = self.sites[site]
        if negative and _is_written_negative(where.text):
            return

        def make() -> Fault:
            index = tuple(int(p) for p in parts if not isinstance(p, slice))
            shown = index[0] if len(index) == 1 else index
            wraps = negative and all(i >= -n for i, n in zip(index, traced.shape))
            end = (
                "On a GPU it counts from the end, as in Python: is that meant?"
                if wraps
                else "On a GPU it reads or writes other memory: does every thread check its index?"
            )
            return Fault(
                kind,
                f"thread {short(self.who().thread)} of block {short(self.block)} uses index {shown} "
                f"of `{traced.name}`, whose shape is {traced.shape} "
                f"(line {where.line}: {where.text}). {end}",
                traced.root.name,
                traced.space,
                index,
                (self.who(),),
                (where,),
                self.epoch,
            )

        self.fault((kind, traced.root.name, site), make)

    # --------------------------------------------------------------- accesses

    def locate(self, traced: Traced, at: Any, site: int) -> int | None:
        """The offset of an element in bytes; -1 if there is none, None if it is a part of the array."""
        # The two usual cases first: this is called for every access.
        if type(at) is int:
            if traced.ndim == 1 and 0 <= at < traced.shape[0]:
                return at * traced.strides[0]
        elif type(at) is tuple and traced.ndim == 2 == len(at):
            i, j = at
            if type(i) is int and type(j) is int:
                rows, columns = traced.shape
                if 0 <= i < rows and 0 <= j < columns:
                    down, right = traced.strides
                    return i * down + j * right
        parts = at if type(at) is tuple else (at,)
        if len(parts) != traced.ndim:
            return None
        offset = 0
        for part, size, stride in zip(parts, traced.shape, traced.strides):
            if type(part) is slice:
                return None
            if not 0 <= part < size:
                self.bad_index(traced, parts, site, negative=part < 0)
                if part >= size or part < -size:
                    return -1
                part += size
            offset += int(part) * stride
        return offset

    def note(self, traced: Traced, offset: int, site: int, path: tuple, kind: str) -> None:
        """All that an access has to be noted for."""
        thread, space = self.thread, traced.space
        address = traced.base + offset
        steps = self.steps[thread] = self.steps[thread] + 1
        if steps > MOST_STEPS - 100:
            self.last[thread] = site, traced.root.name
            self.tick()
        if space == "global":
            clock = self.order_of.clock[thread]
            touch = Touch(self.number, thread, self.epoch, clock, site, kind)
            self.globals.touch(address, touch, self.order_of)
        elif space == "shared":
            clock = self.order_of.clock[thread]
            touch = Touch(self.number, thread, self.epoch, clock, site, kind)
            self.shared.touch(address, touch, self.order_of)
        if self.keep:
            key = (site, thread // WARP, path)
            found = self.requests.get(key)
            if found is None:
                root = traced.root
                size = root.array.itemsize
                found = self.requests[key] = self.tally.request(site, root.name, space, kind, size)
            found.append((thread, address))
            if self.logged < KEPT_ACCESSES:
                self._log(traced, address, site, key, kind)

    def _log(self, traced: Traced, address: int, site: int, key: tuple, kind: str) -> None:
        self.logged += 1
        root, space = traced.root, traced.space
        index = _index(root.array, address - root.base)
        address -= SHARED_BASE if space == "shared" else 0
        size = root.array.itemsize
        place = (site, root.name, space, kind, self.block, self.thread, index, address, size)
        self.report.accesses.append(Access(*place, self.epoch, key))

    def view(self, traced: Traced, at: Any, site: int) -> Any:
        """A part of an array."""
        parts = at if type(at) is tuple else (at,)
        for part, size in zip(parts, traced.array.shape):
            if type(part) is not slice and not 0 <= part < size:
                self.bad_index(traced, parts, site, negative=part < 0)
                if part >= size or part < -size:
                    return traced.array.dtype.type(0)
        part = traced.array[at]
        start = part.__array_interface__["data"][0] - traced.array.__array_interface__["data"][0]
        return Traced(part, traced.base + start, traced.space, traced.name, traced.root)

    def load(self, traced: Any, at: Any, site: int, path: tuple) -> Any:
        if type(traced) is not Traced:
            value = traced[at]
            return int(value) if type(value) is np.int64 else value
        offset = self.locate(traced, at, site)
        if offset is None:
            return self.view(traced, at, site)
        if offset < 0:
            return _plain(traced.array.dtype.type(0))
        self.note(traced, offset, site, path, LOAD)
        if traced.space != "global" and traced.base + offset not in self.written:
            self.unknown(traced, offset, site)
        value = traced.array[at]
        return int(value) if type(value) is np.int64 else value

    def unknown(self, traced: Traced, offset: int, site: int) -> None:
        """What is read has not been written before."""
        if traced.space == "constant":
            return
        where = self.sites[site]

        def make() -> Fault:
            index = _index(traced.root.array, traced.base + offset - traced.root.base)
            name = f"{traced.root.name}[{', '.join(map(str, index))}]"
            return Fault(
                "uninitialised read",
                f"thread {short(self.who().thread)} of block {short(self.block)} reads `{name}` "
                f"(line {where.line}: {where.text}), and nobody has written it: "
                f"{traced.space} memory begins with whatever is in it.",
                traced.root.name,
                traced.space,
                index,
                (self.who(),),
                (where,),
                self.epoch,
            )

        self.fault(("uninitialised read", traced.root.name, site), make)

    def store(self, traced: Any, at: Any, value: Any, site: int, path: tuple) -> None:
        offset = self.locate(traced, at, site)
        if offset is None:
            raise LaunchError(f"{self.sites[site]}: kernels assign single elements")
        if offset < 0:
            return
        self.note(traced, offset, site, path, STORE)
        put_value(traced.array, at, value)
        self.written.add(traced.base + offset)

    def atomic(self, what: str, site: int, path: tuple, traced: Any, at: Any, *values: Any) -> Any:
        offset = self.locate(traced, at, site)
        if offset is None or offset < 0:
            return _plain(traced.array.dtype.type(0))
        address = traced.base + offset
        self.note(traced, offset, site, path, ATOMIC)
        if traced.space == "shared":
            if address not in self.written:
                self.unknown(traced, offset, site)
            self.written.add(address)
        elif traced.space == "global":
            published = self.published.setdefault(address, set())
            self.globals.acquired |= published - {self.number}
            if self.thread in self.fenced:
                published.add(self.number)
        return do_atomic(what, traced.array, at, *values)

    def threadfence(self) -> None:
        """From here on, what the thread has written is seen by who sees its next atomic."""
        self.fenced.add(self.thread)

    def tick(self) -> None:
        """One step of a thread: an access, or a turn of a loop."""
        thread = self.thread
        self.steps[thread] += 1
        if self.steps[thread] > MOST_STEPS:
            self.endless(f"after {MOST_STEPS:,} accesses and turns of loops")

    def endless(self, when: str) -> None:
        def make() -> Fault:
            last = self.last.get(self.thread)
            sites = (self.sites[last[0]],) if last else ()
            return Fault(
                "endless",
                f"thread {short(self.who().thread)} of block {short(self.block)} was still running "
                f"{when}. Does its loop end? If it waits for another block, that block may never run.",
                last[1] if last else None,
                threads=(self.who(),),
                sites=sites,
                epoch=self.epoch,
            )

        self.fault(("endless",), make)
        raise Stop

    # --------------------------------------------------------------- meetings

    def block_meeting(self, arrived: dict[int, list[int]], gone: list[int]) -> None:
        if len(arrived) > 1 or gone:
            self._divergent_barrier(arrived, gone)
        if self.keep:
            places = {site: tuple(threads) for site, threads in arrived.items()}
            self.report.meetings.append(Meeting(self.block, self.epoch, places, tuple(gone)))
        self.epoch += 1
        if self.epoch > MOST_MEETINGS:
            self.endless(f"after {MOST_MEETINGS:,} barriers")

    def _divergent_barrier(self, arrived: dict[int, list[int]], left: list[int]) -> None:
        sites = tuple(self.sites[site] for site in sorted(arrived))

        def make() -> Fault:
            groups = [
                f"{_several(arrived[site.id])} at line {site.line} ({site.text})" for site in sites
            ]
            story = " and ".join(groups)
            if left:
                story += f", while {_several(left)} left the kernel without coming by"
            who = [self.who(arrived[site.id][0]) for site in sites]
            who += [self.who(left[0])] if left else []
            return Fault(
                "divergent barrier",
                f"in block {short(self.block)}, {story}. A barrier must be reached by all threads of "
                "a block, or by none: on a GPU they may wait forever.",
                threads=tuple(who),
                sites=sites,
                epoch=self.epoch,
            )

        self.fault(("divergent barrier", frozenset(arrived), bool(left)), make)

    def warp_meeting(
        self, kind: str, sites: set[int], mask: int, members: list[int], absent: list[int]
    ) -> None:
        strangers = [t for t in members if not mask >> (t % WARP) & 1]
        if absent or strangers:
            self._divergent_warp(kind, sites, mask, members, absent, strangers)
        if kind == "syncwarp":
            self.order_of.meet(members)

    def _divergent_warp(
        self,
        kind: str,
        sites: set[int],
        mask: int,
        members: list[int],
        absent: list[int],
        strangers: list[int],
    ) -> None:
        places = tuple(self.sites[site] for site in sorted(sites))

        def make() -> Fault:
            lanes = sorted(t % WARP for t in absent)
            if absent:
                story = f"its mask {mask:#010x} names {_lanes(lanes)}, which do not come to it"
            else:
                own = sorted(t % WARP for t in strangers)
                story = f"{_lanes(own)} call it, and its mask {mask:#010x} does not name them"
            others = absent[:1] or strangers[:1]
            return Fault(
                "divergent warp",
                f"`{places[0].text}` (line {places[0].line}) of {kind} in block "
                f"{short(self.block)}: {story}. What it returns is undefined, or it never returns.",
                threads=(self.who(members[0]), *(self.who(t) for t in others)),
                sites=places,
                epoch=self.epoch,
            )

        self.fault(("divergent warp", frozenset(sites), bool(absent)), make)

    def lost_lane(self, site: int, thread: int, lane: int) -> None:
        where = self.sites[site]

        def make() -> Fault:
            return Fault(
                "divergent warp",
                f"lane {thread % WARP} asks for the value of lane {lane} in `{where.text}` (line "
                f"{where.line}), and that lane takes no part: the value is undefined.",
                threads=(self.who(thread),),
                sites=(where,),
                epoch=self.epoch,
            )

        self.fault(("divergent warp", site, "lost"), make)

    # -------------------------------------------------------------------- run

    def all_blocks(self) -> None:
        """Runs the chosen blocks, and writes the report."""
        memories = self.lowered.tables.shared
        for kind, reason in (
            ("too many threads", thread_fault(self.launch)),
            ("too much shared memory", shared_fault(memories, self.launch)),
        ):
            if reason:
                self.impossible = True
                self.report.faults.append(Fault(kind, reason))
        if self.impossible:
            return
        numbers = ordered(range(len(self.followed)), self.order, self.dice)
        done = 0
        try:
            with np.errstate(all="ignore"):
                for number in numbers:
                    self._one_block(number)
                    done += 1
        except Stop:
            pass
        self.report.faults += self.found.values()
        if self.keep:
            bases = sorted(self.roots)

            def locate(address: int) -> tuple[str, tuple[int, ...]]:
                root = self.roots[bases[bisect_right(bases, address) - 1]]
                return root.name, _index(root.array, address - root.base)

            self.report.reads = self.tally.by_index("reads", locate)
            self.report.writes = self.tally.by_index("writes", locate)
            shared = shared_bytes(memories, self.launch)
            self.tally.finish(
                self.report, self.launch, max(1, done), self.counts, shared, self.epochs
            )

    epochs = 0

    def _one_block(self, number: int) -> None:
        self.number, self.block = number, self.followed[number]
        self.epoch = 0
        self.steps = [0] * self.threads
        self.fenced = set()
        self.order_of = Order(self.threads)
        for base in [b for b in self.roots if b >= SHARED_BASE]:
            del self.roots[base]
        self.shared = Shadow(self.race, many_blocks=False)
        self.globals.acquired = set()
        self.written = set()
        shared = self._shared_arrays()
        places = list(positions(self.launch.block))
        rest = (*self.block, *self.launch.block, *self.launch.grid, (), *shared, *self.constants)

        def start(thread: int) -> Any:
            generator = self.run(*self.arguments, *places[thread], *rest)
            return generator if self.lowered.meets else None

        try:
            run_block(start, self.threads, self, self.order, self.dice)
        finally:
            self.tally.end_block(self.requests)
            self.requests = {}
            self.epochs += self.epoch


VERBS = {LOAD: "reads", STORE: "writes", ATOMIC: "atomically updates"}


def _plain(value: Any) -> Any:
    return int(value) if type(value) is np.int64 else value


def _index(array: np.ndarray, offset: int) -> tuple[int, ...]:
    """The index of the element at an offset in bytes."""
    out = [0] * array.ndim
    for d in sorted(range(array.ndim), key=lambda d: -abs(array.strides[d])):
        if array.strides[d]:
            out[d], offset = divmod(offset, array.strides[d])
    return tuple(out)


def _is_written_negative(text: str) -> bool:
    """Whether a subscript was written with a negative number, as in `x[-1]`."""
    tree = ast.parse(text, mode="eval").body
    if not isinstance(tree, ast.Subscript):
        return False
    parts = tree.slice.elts if isinstance(tree.slice, ast.Tuple) else [tree.slice]
    return any(
        isinstance(p, ast.UnaryOp)
        and isinstance(p.op, ast.USub)
        and isinstance(p.operand, ast.Constant)
        for p in parts
    )


def _several(threads: list[int]) -> str:
    return f"{len(threads)} thread{'s' if len(threads) > 1 else ''} ({_ranges(threads)})"


def _lanes(lanes: list[int]) -> str:
    return f"lane{'s' if len(lanes) > 1 else ''} {_ranges(lanes)}"


def _ranges(numbers: list[int]) -> str:
    """`0-31, 40` for a sorted list of numbers."""
    out: list[str] = []
    for _, group in itertools.groupby(enumerate(sorted(numbers)), lambda pair: pair[1] - pair[0]):
        run = [number for _, number in group]
        out.append(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}")
    return ", ".join(out[:4]) + (", ..." if len(out) > 4 else "")
