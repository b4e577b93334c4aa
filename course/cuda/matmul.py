"""The product of two matrices, four times: each kernel moves less than the one before.

All take C-contiguous float32 matrices a (m, k), b (k, n) and out (m, n), of any size; the last one takes
whole batches of them, as it is the one that a device for tensors needs.
"""

from numba import cuda, float32

SIDE = 16
"""Threads along each side of a block, and the depth of a tile."""

PER = 4
"""Elements along each side of the square that one thread computes in `matmul_blocked`."""

TILE = SIDE * PER
"""Elements along each side of the square that one block computes in `matmul_blocked`."""


@cuda.jit
def matmul_naive(a, b, out):
    """out = a @ b, one thread for each element; x counts rows.

        out[row, column] = sum over k of a[row, k] * b[k, column]

    Args:
        a: (m, k), float32.
        b: (k, n), float32.
        out: (m, n), float32.

    Launch: two dimensions, at least m threads along x and n along y.
    """
    row, column = cuda.grid(2)
    if row < out.shape[0] and column < out.shape[1]:
        total = float32(0)
        for k in range(a.shape[1]):
            total += a[row, k] * b[k, column]
        out[row, column] = total


@cuda.jit
def matmul_coalesced(a, b, out):
    """out = a @ b, one thread for each element; x counts columns, which are neighbours in memory.

    Args:
        a: (m, k), float32.
        b: (k, n), float32.
        out: (m, n), float32.

    Launch: two dimensions, at least n threads along x and m along y.
    """
    column, row = cuda.grid(2)
    if row < out.shape[0] and column < out.shape[1]:
        total = float32(0)
        for k in range(a.shape[1]):
            total += a[row, k] * b[k, column]
        out[row, column] = total


@cuda.jit
def matmul_tiled(a, b, out):
    """out = a @ b: a block loads tiles of a and b into shared memory, where each number serves SIDE threads.

    Beyond the matrices' edges, tiles hold zeros, which add nothing.

    Args:
        a: (m, k), float32.
        b: (k, n), float32.
        out: (m, n), float32.

    Launch: blocks of (SIDE, SIDE) threads, at least n threads along x and m along y.
    """
    left = cuda.shared.array((SIDE, SIDE), float32)
    right = cuda.shared.array((SIDE, SIDE), float32)
    column, row = cuda.grid(2)
    x, y = cuda.threadIdx.x, cuda.threadIdx.y
    total = float32(0)
    for start in range(0, a.shape[1], SIDE):
        left[y, x] = float32(0)
        right[y, x] = float32(0)
        if row < a.shape[0] and start + x < a.shape[1]:
            left[y, x] = a[row, start + x]
        if start + y < b.shape[0] and column < b.shape[1]:
            right[y, x] = b[start + y, column]
        cuda.syncthreads()  # the tiles are full
        for k in range(SIDE):
            total += left[y, k] * right[k, x]
        cuda.syncthreads()  # nobody needs them any more
    if row < out.shape[0] and column < out.shape[1]:
        out[row, column] = total


@cuda.jit
def matmul_blocked(a, b, out):
    """out = a @ b for each pair in a batch: a thread computes PER x PER elements, in registers.

    They are SIDE apart, so that neighbouring threads use neighbouring elements: thread (x, y) of a block
    has the rows y, y + SIDE, y + 2 SIDE ... of the block's square, and the columns x, x + SIDE ...

    Args:
        a: (batch, m, k), float32.
        b: (batch, k, n), float32.
        out: (batch, m, n), float32.

    Launch: as `blocked_launch` says; z counts the batch.
    """
    left = cuda.shared.array((TILE, SIDE), float32)
    right = cuda.shared.array((SIDE, TILE), float32)
    sums = cuda.local.array((PER, PER), float32)
    x, y, z = cuda.threadIdx.x, cuda.threadIdx.y, cuda.blockIdx.z
    row, column = cuda.blockIdx.y * TILE + y, cuda.blockIdx.x * TILE + x
    for i in range(PER):
        for j in range(PER):
            sums[i, j] = float32(0)
    for start in range(0, a.shape[2], SIDE):
        for i in range(0, TILE, SIDE):
            left[y + i, x] = float32(0)
            right[y, x + i] = float32(0)
            if row + i < a.shape[1] and start + x < a.shape[2]:
                left[y + i, x] = a[z, row + i, start + x]
            if start + y < b.shape[1] and column + i < b.shape[2]:
                right[y, x + i] = b[z, start + y, column + i]
        cuda.syncthreads()
        for k in range(SIDE):
            for i in range(PER):
                for j in range(PER):
                    sums[i, j] += left[y + SIDE * i, k] * right[k, x + SIDE * j]
        cuda.syncthreads()
    for i in range(PER):
        for j in range(PER):
            if row + SIDE * i < out.shape[1] and column + SIDE * j < out.shape[2]:
                out[z, row + SIDE * i, column + SIDE * j] = sums[i, j]


def blocked_launch(m: int, n: int, batch: int = 1) -> tuple[tuple[int, int, int], tuple[int, int]]:
    """Grid and block of `matmul_blocked` for a (batch, m, n) result."""
    return (-(-n // TILE), -(-m // TILE), batch), (SIDE, SIDE)
