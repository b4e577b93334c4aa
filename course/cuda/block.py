"""Sums and maxima over a block, known to all of its threads: device functions."""

from numba import cuda, float32

THREADS = 64
"""Threads in a block of every kernel that gives a block to each row. A power of two."""


@cuda.jit(device=True)
def block_sum(value):
    """The sum of the value over the THREADS threads of the block.

    In shared memory, the first half of the values takes on the second half, until one is left.
    All threads of the block must call it; all get the same sum. It may be called again and again.

    Args:
        value: each thread's own, float32.
    """
    partial = cuda.shared.array(THREADS, float32)
    t = cuda.threadIdx.x
    partial[t] = value
    cuda.syncthreads()
    half = THREADS // 2
    while half > 0:
        if t < half:
            partial[t] += partial[t + half]
        cuda.syncthreads()
        half //= 2
    total = partial[0]
    cuda.syncthreads()  # all have read it: the next call may write
    return total


@cuda.jit(device=True)
def block_max(value):
    """The largest of the values of the THREADS threads of the block: as `block_sum`.

    Args:
        value: each thread's own, float32.
    """
    partial = cuda.shared.array(THREADS, float32)
    t = cuda.threadIdx.x
    partial[t] = value
    cuda.syncthreads()
    half = THREADS // 2
    while half > 0:
        if t < half:
            partial[t] = max(partial[t], partial[t + half])
        cuda.syncthreads()
        half //= 2
    largest = partial[0]
    cuda.syncthreads()
    return largest
