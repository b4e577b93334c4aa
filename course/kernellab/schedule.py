"""The order in which the Python engine lets threads run, and what happens where they meet.

A thread runs until it must wait. Lanes of a warp that wait for each other go on as soon as all of
them have come; threads that wait for their block go on when every thread of the block waits there
or has left. Between two meetings a GPU may run threads in any order, so the checker tries several.
"""

import random
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

import numpy as np

from course.kernellab.lower import BLOCK_MEETINGS, VOTES
from course.kernellab.records import WARP

ORDERS = ("forward", "reverse", "random")

Dim = tuple[int, int, int]


class Watcher:
    """Is told who runs and who meets. This one is not interested."""

    thread = 0

    def block_starts(self, block: Dim, threads: int) -> None:
        """A block begins."""

    def block_meeting(self, arrived: dict[int, list[int]], gone: list[int]) -> None:
        """Threads wait for their block: {site: threads}; `gone` have left the kernel."""

    def warp_meeting(
        self, kind: str, sites: set[int], mask: int, members: list[int], absent: list[int]
    ) -> None:
        """Lanes meet: thread numbers; `absent` are threads that the mask names and that never come."""

    def lost_lane(self, site: int, thread: int, lane: int) -> None:
        """A shuffle asks for the value of a lane that takes no part."""


def ordered(items: Sequence[Any], order: str, dice: random.Random) -> list[Any]:
    """The items in the order of a schedule."""
    out = list(items)
    if order == "reverse":
        out.reverse()
    elif order == "random":
        dice.shuffle(out)
    return out


def positions(size: Dim) -> Iterator[Dim]:
    """All (x, y, z) of a block or a grid: x runs fastest."""
    for z in range(size[2]):
        for y in range(size[1]):
            for x in range(size[0]):
                yield x, y, z


def run_block(
    start: Callable[[int], Generator | None],
    threads: int,
    watcher: Watcher,
    order: str = "forward",
    dice: random.Random | None = None,
) -> None:
    """Runs all threads of one block.

    Args:
        start: makes the generator of a thread, given its number; None if it has run through
            at once, because its kernel has no meetings.
        threads: how many there are.
        watcher: is told.
        order: one of ORDERS.
        dice: for the random order.
    """
    dice = dice or random.Random(0)
    generators: list[Generator | None] = [None] * threads
    waiting: list[Any] = [None] * threads  # what a thread has yielded
    answer: list[Any] = [None] * threads
    gone = [False] * threads
    fresh = [True] * threads
    warps = [list(range(w, min(w + WARP, threads))) for w in range(0, threads, WARP)]

    def step(thread: int) -> None:
        watcher.thread = thread
        try:
            if fresh[thread]:
                fresh[thread] = False
                generator = generators[thread] = start(thread)
                if generator is None:
                    raise StopIteration
                waiting[thread] = next(generator)
            else:
                generator = generators[thread]
                assert generator is not None
                waiting[thread] = generator.send(answer[thread])
        except StopIteration:
            gone[thread], waiting[thread] = True, None

    running = set(range(threads))
    while not all(gone):
        for warp in ordered(warps, order, dice):
            lanes = [t for t in warp if t in running]
            while lanes:
                for thread in ordered(lanes, order, dice):
                    step(thread)
                lanes = _warp_meetings(warp, gone, waiting, answer, watcher)
        here = [t for t in range(threads) if not gone[t]]
        if here:
            left = [t for t in range(threads) if gone[t]]
            _block_meeting(here, left, waiting, answer, watcher)
        running = set(here)


def _warp_meetings(
    warp: list[int], gone: list[bool], waiting: list, answer: list, watcher: Watcher
) -> list[int]:
    """Lets the lanes go on that have met; returns them.

    Lanes that a mask names and that have left the kernel are not waited for, as on a GPU.
    """
    groups: dict[tuple[str, int, int], list[int]] = {}
    for thread in warp:
        request = waiting[thread]
        if request is not None and request[0] not in BLOCK_MEETINGS:
            mask = int(request[2]) & 0xFFFFFFFF
            # syncwarp may be called from several lines; what hands out values, from one.
            site = -1 if request[0] == "syncwarp" else request[1]
            groups.setdefault((request[0], mask, site), []).append(thread)
    whole: list[tuple] = []
    partial: list[tuple] = []
    for (kind, mask, _), members in groups.items():
        named = [t for t in warp if mask >> (t - warp[0]) & 1]
        absent = [t for t in named if t not in members]
        waits = any(not gone[t] for t in absent) or any(t not in named for t in members)
        (partial if waits else whole).append((kind, mask, members, absent))
    # Who still waits for others when nobody can move any more has waited in vain.
    for kind, mask, members, absent in whole or partial:
        watcher.warp_meeting(kind, {waiting[t][1] for t in members}, mask, members, absent)
        _warp_answers(kind, warp, members, waiting, answer, watcher)
    return sorted(t for _, _, members, _ in whole or partial for t in members)


def _warp_answers(
    kind: str, warp: list[int], members: list[int], waiting: list, answer: list, watcher: Watcher
) -> None:
    values = {t: waiting[t][3] if len(waiting[t]) > 3 else None for t in members}
    for thread in members:
        site = waiting[thread][1]
        lane = thread - warp[0]
        if kind == "syncwarp":
            answer[thread] = None
        elif kind in VOTES:
            answer[thread] = _vote(kind, values, thread, warp[0])
        else:
            by = int(waiting[thread][4])
            source = _source(kind, lane, by)
            if source == lane or warp[0] + source in values:
                answer[thread] = values[warp[0] + source]
            else:
                watcher.lost_lane(site, thread, source)
                answer[thread] = values[thread]


def _source(kind: str, lane: int, by: int) -> int:
    if kind == "shfl_sync":
        return by % WARP
    source = {"shfl_up_sync": lane - by, "shfl_down_sync": lane + by, "shfl_xor_sync": lane ^ by}
    return source[kind] if 0 <= source[kind] < WARP else lane


def _vote(kind: str, values: dict[int, Any], thread: int, first: int) -> Any:
    if kind == "all_sync":
        return all(values.values())
    if kind == "any_sync":
        return any(values.values())
    if kind == "eq_sync":
        return len({bool(v) for v in values.values()}) == 1
    if kind == "ballot_sync":
        return np.uint32(sum(1 << (t - first) for t, v in values.items() if v))
    same = sum(1 << (t - first) for t, v in values.items() if v == values[thread])
    if kind == "match_any_sync":
        return same
    everybody = sum(1 << (t - first) for t in values)
    return (everybody, True) if same == everybody else (0, False)


def _block_meeting(
    here: list[int], gone: list[int], waiting: list, answer: list, watcher: Watcher
) -> None:
    arrived: dict[int, list[int]] = {}
    for thread in here:
        arrived.setdefault(waiting[thread][1], []).append(thread)
    watcher.block_meeting(arrived, gone)
    votes = [waiting[t][2] for t in here if len(waiting[t]) > 2]
    results = {
        "syncthreads": None,
        "syncthreads_count": sum(1 for v in votes if v),
        "syncthreads_and": int(all(votes)),
        "syncthreads_or": int(any(votes)),
    }
    for thread in here:
        answer[thread] = results[waiting[thread][0]]
