"""Temporary: a small tiled product."""

from numba import cuda, float32

T = 16


@cuda.jit
def matmul_batched(a, b, out):
    """out[z] = a[z] @ b[z]."""
    sa = cuda.shared.array((T, T), float32)
    sb = cuda.shared.array((T, T), float32)
    z = cuda.blockIdx.z
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    row = cuda.blockIdx.y * T + ty
    column = cuda.blockIdx.x * T + tx
    total = float32(0)
    for start in range(0, a.shape[2], T):
        if row < a.shape[1] and start + tx < a.shape[2]:
            sa[ty, tx] = a[z, row, start + tx]
        else:
            sa[ty, tx] = 0
        if start + ty < a.shape[2] and column < b.shape[2]:
            sb[ty, tx] = b[z, start + ty, column]
        else:
            sb[ty, tx] = 0
        cuda.syncthreads()
        for k in range(T):
            total += sa[ty, k] * sb[k, tx]
        cuda.syncthreads()
    if row < out.shape[1] and column < out.shape[2]:
        out[z, row, column] = total


@cuda.jit
def matmul_blocked(a, b, out):
    """out = a @ b."""
    sa = cuda.shared.array((T, T), float32)
    sb = cuda.shared.array((T, T), float32)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    row = cuda.blockIdx.y * T + ty
    column = cuda.blockIdx.x * T + tx
    total = float32(0)
    for start in range(0, a.shape[1], T):
        if row < a.shape[0] and start + tx < a.shape[1]:
            sa[ty, tx] = a[row, start + tx]
        else:
            sa[ty, tx] = 0
        if start + ty < a.shape[1] and column < b.shape[1]:
            sb[ty, tx] = b[start + ty, column]
        else:
            sb[ty, tx] = 0
        cuda.syncthreads()
        for k in range(T):
            total += sa[ty, k] * sb[k, tx]
        cuda.syncthreads()
    if row < out.shape[0] and column < out.shape[1]:
        out[row, column] = total


def blocked_launch(m, n):
    return (-(-n // T), -(-m // T)), (T, T)
