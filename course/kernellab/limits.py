"""The shape of a launch, and what the hardware allows."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from course.kernellab.errors import LaunchError
from course.kernellab.lower import Memory

MAX_THREADS = 1024
MAX_BLOCK = (1024, 1024, 64)
MAX_GRID = (2**31 - 1, 65535, 65535)
MAX_SHARED = 48 * 1024
"""Bytes of shared memory that a block can have without asking for more in a special way."""

Dim = tuple[int, int, int]


@dataclass(frozen=True)
class Launch:
    """The shape of a launch.

    Attributes:
        grid: blocks in x, y, z.
        block: threads of a block in x, y, z.
        dynamic_shared: bytes of shared memory that the launch reserves.
    """

    grid: Dim
    block: Dim
    dynamic_shared: int = 0

    @property
    def threads(self) -> int:
        """Threads in a block."""
        return math.prod(self.block)

    @property
    def blocks(self) -> int:
        """Blocks in the grid."""
        return math.prod(self.grid)


def dimensions(value: Any, what: str) -> Dim:
    """A grid or a block as (x, y, z).

    Raises:
        LaunchError: for what is no integer, or no 1 to 3 of them, or not positive.
    """
    parts = tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else (value,)
    good = all(isinstance(n, (int, np.integer)) and not isinstance(n, bool) for n in parts)
    if not good or not 1 <= len(parts) <= 3:
        raise LaunchError(
            f"the {what} is {value!r}: it takes an integer, or a tuple of up to three. "
            "Blocks for n threads: (n + threads - 1) // threads."
        )
    if min(parts) < 1:
        raise LaunchError(f"the {what} is {value!r}: each size must be at least 1.")
    x, y, z = (*map(int, parts), 1, 1)[:3]
    return x, y, z


def launch_shape(config: Any) -> Launch:
    """The Launch that `kernel[config]` describes: grid, block, and perhaps stream and bytes."""
    if not isinstance(config, tuple) or not 2 <= len(config) <= 4:
        raise LaunchError(
            "a launch is kernel[grid, block](...), or kernel[grid, block, stream, shared_bytes](...): "
            f"got [{config!r}]."
        )
    grid, block = dimensions(config[0], "grid"), dimensions(config[1], "block")
    dynamic = config[3] if len(config) > 3 else 0
    if not isinstance(dynamic, (int, np.integer)) or dynamic < 0:
        raise LaunchError(f"shared memory is a number of bytes, got {dynamic!r}.")
    return Launch(grid, block, int(dynamic))


def thread_fault(launch: Launch) -> str:
    """Why a GPU would refuse this many threads; "" if it would not."""
    if launch.threads > MAX_THREADS:
        shape = launch.block
        return (
            f"a block of {shape[0]} x {shape[1]} x {shape[2]} has {launch.threads} threads, and "
            f"the hardware allows {MAX_THREADS}. Use smaller blocks, and more of them."
        )
    for axis, size, most in zip("xyz", launch.block, MAX_BLOCK):
        if size > most:
            return f"a block may have {most} threads in {axis}, got {size}."
    for axis, size, most in zip("xyz", launch.grid, MAX_GRID):
        if size > most:
            return f"a grid may have {most} blocks in {axis}, got {size}. Put the larger size in x."
    return ""


def shared_bytes(memories: Sequence[Memory], launch: Launch) -> int:
    """The shared memory of a block, in bytes."""
    return sum(memory.nbytes for memory in memories) + launch.dynamic_shared


def shared_fault(memories: Sequence[Memory], launch: Launch) -> str:
    """Why a GPU would refuse this much shared memory; "" if it would not."""
    total = shared_bytes(memories, launch)
    if total <= MAX_SHARED:
        return ""
    parts = [f"{m.name} takes {m.nbytes:,}" for m in memories if m.shape]
    parts += [f"the launch reserves {launch.dynamic_shared:,}"] if launch.dynamic_shared else []
    return (
        f"a block needs {total:,} bytes of shared memory ({', '.join(parts)}), and has "
        f"{MAX_SHARED:,}. Use smaller tiles, or float32 instead of float64."
    )


def validate(launch: Launch, memories: Sequence[Memory]) -> None:
    """Refuses what a GPU would refuse.

    Raises:
        LaunchError: with the reason.
    """
    if reason := thread_fault(launch) or shared_fault(memories, launch):
        raise LaunchError(reason)
