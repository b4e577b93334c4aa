"""Counting: all threads change the same few numbers."""

from numba import cuda, int32

BINS = 32
"""Numbers that are counted are 0 to BINS - 1."""


@cuda.jit
def histogram_atomic(x, counts):
    """counts[b] += how often b occurs in x. Each thread counts one element, in an atomic addition.

    Args:
        x: (n,), int32, each from 0 to BINS - 1.
        counts: (BINS,), int32, to which is added.

    Launch: at least n threads.
    """
    i = cuda.grid(1)
    if i < x.size:
        cuda.atomic.add(counts, x[i], 1)


@cuda.jit
def histogram_private(x, counts):
    """counts[b] += how often b occurs in x. Each block counts in shared memory first.

    The block's part of x is what its threads come to in a grid-stride loop. When they have counted it, they add the
    block's counts to those of all: one atomic addition in global memory for each bin.

    Args:
        x: (n,), int32, each from 0 to BINS - 1.
        counts: (BINS,), int32, to which is added.

    Launch: any number of blocks, of at least BINS threads.
    """
    own = cuda.shared.array(BINS, int32)
    t = cuda.threadIdx.x
    if t < BINS:
        own[t] = 0
    cuda.syncthreads()
    for i in range(cuda.grid(1), x.size, cuda.gridsize(1)):
        cuda.atomic.add(own, x[i], 1)
    cuda.syncthreads()
    if t < BINS:
        cuda.atomic.add(counts, t, own[t])
