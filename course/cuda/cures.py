"""Patients of the bug clinic, cured."""

from numba import cuda, float32

from course.cuda.clinic import BLOCK


@cuda.jit
def shift(x, out):
    """out[i] = x[i + 1]: each element moves one place to the left. The last one stays: out[n - 1] = x[n - 1].

    Args:
        x: (n,), float32.
        out: (n,), another array.

    Launch: at least n threads, in any number of blocks.
    """
    i = cuda.grid(1)
    if i < x.size:
        out[i] = x[min(i + 1, x.size - 1)]


@cuda.jit
def total(x, out):
    """Adds all elements of x to out[0]. Each thread loads at most one of them.

    Args:
        x: (n,), float32.
        out: (1,), which need not be 0 at the beginning.

    Launch: at least n threads, in any number of blocks.
    """
    i = cuda.grid(1)
    if i < x.size:
        cuda.atomic.add(out, 0, x[i])


@cuda.jit
def left_mean(x, out):
    """out[i] = (x[i] + the element before it in the block) / 2. A block's first element stays as it is.

    Each element of x is loaded from global memory once. The neighbour's comes through shared memory.

    Args:
        x: (n,), float32.
        out: (n,).

    Launch: blocks of BLOCK threads, at least n threads in all.
    """
    shared = cuda.shared.array(BLOCK, float32)
    i, t = cuda.grid(1), cuda.threadIdx.x
    if i < x.size:
        shared[t] = x[i]
    cuda.syncthreads()
    if i < x.size:
        out[i] = (shared[t] + shared[max(t - 1, 0)]) * float32(0.5)


@cuda.jit
def block_sums(x, out):
    """out[b] = the sum of block b's elements. Each element of x is loaded by a thread of its own.

    Args:
        x: (n,), float32.
        out: (blocks,), one number for each block, 0 for a block that has no elements.

    Launch: blocks of BLOCK threads, at least n threads in all.
    """
    shared = cuda.shared.array(BLOCK, float32)
    i, t = cuda.grid(1), cuda.threadIdx.x
    shared[t] = x[i] if i < x.size else float32(0)
    cuda.syncthreads()
    if t == 0:
        acc = float32(0)
        for k in range(BLOCK):
            acc += shared[k]
        out[cuda.blockIdx.x] = acc


@cuda.jit
def distances(x, out):
    """out[i] = |x[i] - x[0]| + |x[i] - x[1]| + ...: how far element i is from all, together.

    A thread does not load all of x from global memory. The block goes through x together: for every BLOCK elements,
    each thread loads one into shared memory, where all threads read it. So a thread loads its own element, and one for
    every BLOCK elements of x.

    Args:
        x: (n,), float32.
        out: (n,).

    Launch: blocks of BLOCK threads, at least n threads in all.
    """
    shared = cuda.shared.array(BLOCK, float32)
    i, t = cuda.grid(1), cuda.threadIdx.x
    own = x[i] if i < x.size else float32(0)
    acc = float32(0)
    for first in range(0, x.size, BLOCK):
        if first + t < x.size:
            shared[t] = x[first + t]
        cuda.syncthreads()
        for k in range(min(BLOCK, x.size - first)):
            acc += abs(own - shared[k])
        cuda.syncthreads()
    if i < x.size:
        out[i] = acc
