"""A transpose: nothing is computed, and everything depends on who touches what, when."""

from numba import cuda, float32

TILE = 32
"""A tile is TILE x TILE elements: as wide as a warp."""

PADDED = TILE + 1
"""The length of a row of the tile that has no bank conflicts."""


@cuda.jit
def transpose_naive(x, out):
    """out[j, i] = x[i, j]. It reads along rows, so it writes along columns.

    Args:
        x: (rows, columns), float32.
        out: (columns, rows).

    Launch: a block of (TILE, 8) or (TILE, TILE) threads for each tile of x: along x as many as its columns need, along y as
    many as its rows need.
    """
    column = cuda.blockIdx.x * TILE + cuda.threadIdx.x
    for k in range(cuda.threadIdx.y, TILE, cuda.blockDim.y):
        row = cuda.blockIdx.y * TILE + k
        if row < x.shape[0] and column < x.shape[1]:
            out[column, row] = x[row, column]


@cuda.jit
def transpose_tiled(x, out):
    """out[j, i] = x[i, j]. A tile is read along its rows and written along those of the result.

    It is turned round in shared memory, of TILE x TILE numbers. Threads that are neighbours along x read neighbours of
    a row of x, and write neighbours of a row of out.

    Args:
        x: (rows, columns), float32.
        out: (columns, rows).

    Launch: as `transpose_naive`. With fewer than TILE threads along y, each thread takes several rows.
    """
    tile = cuda.shared.array((TILE, TILE), float32)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    left, top = cuda.blockIdx.x * TILE, cuda.blockIdx.y * TILE
    for k in range(ty, TILE, cuda.blockDim.y):
        if top + k < x.shape[0] and left + tx < x.shape[1]:
            tile[k, tx] = x[top + k, left + tx]
    cuda.syncthreads()
    for k in range(ty, TILE, cuda.blockDim.y):
        if left + k < out.shape[0] and top + tx < out.shape[1]:
            out[left + k, top + tx] = tile[tx, k]


@cuda.jit
def transpose_padded(x, out):
    """out[j, i] = x[i, j]. As `transpose_tiled`, without bank conflicts.

    Each row of the tile has room for one number more (PADDED = TILE + 1), which is never used: the tile's columns now lie in different banks.

    Args:
        x: (rows, columns), float32.
        out: (columns, rows).

    Launch: as `transpose_naive`.
    """
    tile = cuda.shared.array((TILE, PADDED), float32)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    left, top = cuda.blockIdx.x * TILE, cuda.blockIdx.y * TILE
    for k in range(ty, TILE, cuda.blockDim.y):
        if top + k < x.shape[0] and left + tx < x.shape[1]:
            tile[k, tx] = x[top + k, left + tx]
    cuda.syncthreads()
    for k in range(ty, TILE, cuda.blockDim.y):
        if left + k < out.shape[0] and top + tx < out.shape[1]:
            out[left + k, top + tx] = tile[tx, k]
