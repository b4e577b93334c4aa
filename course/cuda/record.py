"""What the host asks of the device: kernels to launch, copies to make. All of it goes through here.

A launch has a price of its own, whatever the kernel does, and a copy between host and device a higher
one. So both are written down for whoever wants to look:

    with record() as log:
        loss = model(x).cross_entropy(y)
    print(log)
"""

import math
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

THREADS = 128
"""Threads in a block, for every kernel of the device that does not ask for another number."""


@dataclass(frozen=True)
class Launch:
    """One launch of a kernel."""

    kernel: str
    grid: tuple[int, ...]
    block: tuple[int, ...]
    bytes: int  # of all arrays that were passed


@dataclass(frozen=True)
class Copy:
    """One copy between host and device."""

    direction: str  # "to the device" or "to the host"
    bytes: int


@dataclass
class Log:
    """What has happened while it was kept.

    Attributes:
        launches: every launch, in order.
        copies: every copy between host and device, in order.
    """

    launches: list[Launch] = field(default_factory=list)
    copies: list[Copy] = field(default_factory=list)

    @property
    def kernels(self) -> Counter:
        """How often each kernel was launched, by name."""
        return Counter(launch.kernel for launch in self.launches)

    @property
    def bytes(self) -> int:
        """The bytes of all arrays that were passed to kernels."""
        return sum(launch.bytes for launch in self.launches)

    def copied(self, direction: str) -> list[int]:
        """The bytes of each copy "to the device" or "to the host"."""
        return [copy.bytes for copy in self.copies if copy.direction == direction]

    def __str__(self) -> str:
        lines = [f"{len(self.launches)} launches of {len(self.kernels)} kernels"]
        lines += [f"{count:4} x {name}" for name, count in self.kernels.most_common()]
        for direction in ("to the device", "to the host"):
            sizes = self.copied(direction)
            lines.append(f"{len(sizes):4} copies {direction}, {sum(sizes):,} bytes")
        return "\n".join(lines)


_logs: list[Log] = []


@contextmanager
def record() -> Iterator[Log]:
    """Within `with record() as log:`, launches and copies are written down."""
    log = Log()
    _logs.append(log)
    try:
        yield log
    finally:
        _logs.remove(log)


def note_copy(direction: str, n_bytes: int) -> None:
    """Write down a copy."""
    for log in _logs:
        log.copies.append(Copy(direction, n_bytes))


def launch(kernel: Any, grid: int | tuple, block: int | tuple, *arguments: Any) -> None:
    """Launch a kernel, and write it down. A grid without blocks is no launch: there is nothing to do.

    Args:
        kernel: of numba.cuda's.
        grid: how many blocks.
        block: how many threads in each.
        arguments: what the kernel takes. Of a CudaArray, which must be dense, it gets the device array.
    """
    grid = grid if isinstance(grid, tuple) else (grid,)
    block = block if isinstance(block, tuple) else (block,)
    if 0 in grid:
        return
    unwrapped = [x.device if hasattr(x, "layout") else x for x in arguments]
    for log in _logs:
        n_bytes = sum(x.nbytes for x in unwrapped if getattr(x, "ndim", 0))
        log.launches.append(Launch(kernel.__name__, grid, block, n_bytes))
    kernel[grid, block](*unwrapped)


def launch_for_each(kernel: Any, n: int, *arguments: Any) -> None:
    """Launch a kernel with a thread for each of n elements."""
    launch(kernel, math.ceil(n / THREADS), THREADS, *arguments)
