"""A stencil: each element of the result needs an element and its neighbours."""

from numba import cuda, float32

BLOCK = 64
"""Threads in a block."""

RADIUS = 2
"""Neighbours on each side."""

WIDTH = BLOCK + 2 * RADIUS
"""Elements that a block needs: its own, and a halo on both sides."""


@cuda.jit
def blur(x, out):
    """out[i] = (x[i - RADIUS] + ... + x[i] + ... + x[i + RADIUS]) / (2 RADIUS + 1).

    What lies outside of x counts as 0. A block loads each of the WIDTH elements that it needs once, into shared memory.

    Args:
        x: (n,), float32.
        out: (n,).

    Launch: blocks of BLOCK threads, at least n threads in all.
    """
    tile = cuda.shared.array(WIDTH, float32)
    i, t = cuda.grid(1), cuda.threadIdx.x
    first = cuda.blockIdx.x * BLOCK - RADIUS  # the element in tile[0]
    for k in range(t, WIDTH, BLOCK):
        j = first + k
        tile[k] = x[j] if 0 <= j < x.size else float32(0)
    cuda.syncthreads()
    if i < x.size:
        acc = float32(0)
        for k in range(2 * RADIUS + 1):
            acc += tile[t + k]
        out[i] = acc / float32(2 * RADIUS + 1)
