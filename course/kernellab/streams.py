"""Streams and events. The lab runs one launch after the other, so that there is nothing to wait for;
the times of events are those that really passed."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Stream:
    """A queue of work. Here all work is done at once, in the order in which it is given."""

    handle = 0

    def synchronize(self) -> None:
        """Waits until the queue is empty, which it is."""

    @contextmanager
    def auto_synchronize(self) -> Iterator["Stream"]:
        """Waits at the end of a `with`."""
        yield self

    def __int__(self) -> int:
        return 0

    def __repr__(self) -> str:
        return "<stream of the lab: work is done as it comes>"


class Event:
    """A point in time in a stream."""

    def __init__(self, timing: bool = True) -> None:
        self.timing = timing
        self.at: float | None = None

    def record(self, stream: Any = 0) -> None:
        """Notes that the work up to here is done: now."""
        self.at = time.perf_counter()

    def synchronize(self) -> None:
        """Waits for the work before it, which is done."""

    def wait(self, stream: Any = 0) -> None:
        """Makes a stream wait for it."""

    def query(self) -> bool:
        """Whether the work before it is done."""
        return self.at is not None

    def elapsed_time(self, end: "Event") -> float:
        """Milliseconds from this event to another one: on this computer's cores, not on a GPU."""
        return event_elapsed_time(self, end)


def stream() -> Stream:
    """A new stream."""
    return Stream()


def event(timing: bool = True) -> Event:
    """A new event."""
    return Event(timing)


def event_elapsed_time(start: Event, end: Event) -> float:
    """Milliseconds between two events: on this computer's cores, not on a GPU.

    Raises:
        ValueError: if one of them was not recorded.
    """
    if start.at is None or end.at is None:
        raise ValueError("record() both events before asking for the time between them.")
    return (end.at - start.at) * 1e3


def synchronize() -> None:
    """Waits for all work, which is done."""
