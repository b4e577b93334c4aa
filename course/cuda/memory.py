"""Memory on the device: asked for once, and used again.

Asking the driver for memory is slow, and giving it back is worse: the device has to finish all its
work first. A training step asks for hundreds of arrays, and the next step for the same ones again. So
memory that nobody needs any more is kept, and handed to the next who wants as much. PyTorch calls it
the caching allocator.

Reusing memory at once is safe, though kernels may still be waiting to read it: the device runs kernels
in the order of their launches, so whoever writes the new numbers comes after whoever reads the old.
"""

from typing import Any

import numpy as np
from numba import cuda

SMALLEST = 512
"""Bytes: smaller requests get as much."""


def rounded(n_bytes: int) -> int:
    """The size of the block for so many bytes: the next power of two, and at least SMALLEST.

    With few different sizes, a block that was given back fits the next request more often.
    """
    return max(SMALLEST, 1 << max(n_bytes - 1, 0).bit_length())


class Pool:
    """Blocks of the device's memory, and those of them that are free.

    Attributes:
        free: size in bytes -> the blocks of this size that nobody uses.
        allocated: how often the device was asked for a new block.
        reused: how often a free block did.
        in_use: bytes of the blocks that are handed out.
        peak: the most bytes that were handed out at one time.
    """

    def __init__(self) -> None:
        self.free: dict[int, list[Any]] = {}
        self.allocated = self.reused = self.in_use = self.peak = 0

    def take(self, n_bytes: int) -> Any:
        """A block of at least so many bytes, with whatever is in it.

        A free block of the `rounded` size, if there is one: taken off its list, and counted as reused. Else a
        new one, `cuda.device_array(size, np.uint8)`, counted as allocated. `in_use` grows by the
        block's size, and `peak` with it.

        Args:
            n_bytes: 0 or more.

        Returns:
            A device array of bytes; its `size` is the rounded one.
        """
        size = rounded(n_bytes)
        blocks = self.free.get(size)
        if blocks:
            block = blocks.pop()
            self.reused += 1
        else:
            block = cuda.device_array(size, np.uint8)
            self.allocated += 1
        self.in_use += size
        self.peak = max(self.peak, self.in_use)
        return block

    def give_back(self, block: Any) -> None:
        """Put a block on the list of free ones of its size; it is no longer in use."""
        self.free.setdefault(block.size, []).append(block)
        self.in_use -= block.size

    @property
    def kept(self) -> int:
        """Bytes of the free blocks."""
        return sum(size * len(blocks) for size, blocks in self.free.items())

    def empty_cache(self) -> None:
        """Let go of the free blocks: their memory goes back to the device."""
        self.free.clear()

    def reset(self) -> None:
        """Count from zero again; what is handed out stays counted as in use."""
        self.allocated = self.reused = 0
        self.peak = self.in_use

    def __str__(self) -> str:
        return (
            f"{self.allocated} blocks allocated, {self.reused} times reused; {self.in_use:,} bytes in use, "
            f"{self.peak:,} at most, {self.kept:,} free"
        )


pool = Pool()


class Buffer:
    """Memory for numbers of one dtype, in a row. When the last who holds it is gone, the block is free.

    Attributes:
        data: the numbers, a device array with one axis.
        block: where they lie.
        is_constant: whether others rely on its numbers, so that they must not be changed.
        bounds: of integers, the smallest and the largest, if the host knows them; else None.
    """

    __slots__ = ("block", "bounds", "data", "is_constant")

    def __init__(self, size: int, dtype: np.dtype) -> None:
        n_bytes = size * dtype.itemsize
        self.block = pool.take(n_bytes)
        self.data = self.block[:n_bytes].view(dtype)
        self.is_constant = False
        self.bounds: tuple[int, int] | None = None

    def __del__(self) -> None:
        if hasattr(self, "block"):
            pool.give_back(self.block)
