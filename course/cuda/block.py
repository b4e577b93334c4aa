"""Sums and maxima over a block, known to all of its threads: device functions.

A warp first combines its 32 values by shuffles. The warps' results then meet in shared memory.
"""

import math

from numba import cuda, float32

THREADS = 64
"""Threads in a block of every kernel that gives a block to each row."""

WARPS = THREADS // 32
ALL_LANES = 0xFFFFFFFF


@cuda.jit(device=True)
def block_sum(value):
    """The sum of the value over the THREADS threads of the block.

    All threads of the block must call it; all get the same sum. It may be called again and again.
    """
    partial = cuda.shared.array(WARPS, float32)
    for distance in (16, 8, 4, 2, 1):
        value += cuda.shfl_xor_sync(ALL_LANES, value, distance)
    if cuda.threadIdx.x % 32 == 0:
        partial[cuda.threadIdx.x // 32] = value
    cuda.syncthreads()  # what the warps have written can be read
    total = float32(0)
    for warp in range(WARPS):
        total += partial[warp]
    cuda.syncthreads()  # all have read: the next call may write
    return total


@cuda.jit(device=True)
def block_max(value):
    """The largest of the values of the THREADS threads of the block: as block_sum, with max."""
    partial = cuda.shared.array(WARPS, float32)
    for distance in (16, 8, 4, 2, 1):
        value = max(value, cuda.shfl_xor_sync(ALL_LANES, value, distance))
    if cuda.threadIdx.x % 32 == 0:
        partial[cuda.threadIdx.x // 32] = value
    cuda.syncthreads()
    largest = float32(-math.inf)
    for warp in range(WARPS):
        largest = max(largest, partial[warp])
    cuda.syncthreads()
    return largest
