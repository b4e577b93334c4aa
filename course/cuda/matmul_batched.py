"""Batches of matrix products."""

from numba import cuda, float32

from course.cuda.tiles import PER, ROW, SIDE, TILE


@cuda.jit
def matmul_batched(a, b, out):
    """out[z] = a[z] @ b[z] for each z of the grid: `matmul_blocked` with an index in front.

    Args:
        a: (batch, m, k), float32.
        b: (batch, k, n), float32.
        out: (batch, m, n), float32.

    Launch: grid and block of `blocked_launch(m, n)`, with the batch as the grid's third dimension.
    """
    left = cuda.shared.array((TILE, SIDE), float32)
    right = cuda.shared.array((SIDE, ROW), float32)
    sums = cuda.local.array((PER, PER), float32)
    x, y, z = cuda.threadIdx.x, cuda.threadIdx.y, cuda.blockIdx.z
    row, column = cuda.blockIdx.y * TILE + y, cuda.blockIdx.x * TILE + x
    for i in range(PER):
        for j in range(PER):
            sums[i, j] = float32(0)
    for start in range(0, a.shape[2], SIDE):
        for i in range(0, TILE, SIDE):
            if row + i < a.shape[1] and start + x < a.shape[2]:
                left[y + i, x] = a[z, row + i, start + x]
            else:
                left[y + i, x] = float32(0)
            if start + y < b.shape[1] and column + i < b.shape[2]:
                right[y, x + i] = b[z, start + y, column + i]
            else:
                right[y, x + i] = float32(0)
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
