"""Rows of numbers: copied into a tile by the whole block, and multiplied. Device functions."""

from numba import cuda, float32


@cuda.jit(device=True)
def load_rows(source, start, tile):
    """Copy the rows start, start + 1, ... of a matrix into a tile of shared memory, all threads together.

    Neighbouring threads copy neighbouring numbers. Rows of the tile for which the matrix has none stay as
    they are. There is no barrier, neither before nor after.

    Args:
        source: (t, d), float32.
        start: the first row.
        tile: (rows, d), shared.
    """
    d = tile.shape[1]
    rows = min(tile.shape[0], source.shape[0] - start)
    for place in range(cuda.threadIdx.x, rows * d, cuda.blockDim.x):
        row, c = place // d, place % d
        tile[row, c] = source[start + row, c]


@cuda.jit(device=True)
def dot(row, tile, j):
    """The sum of the products of a thread's own row, (d,), and row j of a tile, (rows, d)."""
    total = float32(0)
    for c in range(row.shape[0]):
        total += row[c] * tile[j, c]
    return total
