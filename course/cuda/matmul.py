"""The product of two matrices, four times: each kernel moves less than the one before.

All take C-contiguous float32 matrices a (m, k), b (k, n) and out (m, n), of any size; the last one takes whole
batches of them, as it is the one that a device for tensors needs.
"""

from numba import cuda, float32

from course.cuda.tiles import PER, ROW, SIDE, TILE


@cuda.jit
def matmul_naive(a, b, out):
    """out = a @ b, one thread for each element; x counts the rows.

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
    """out = a @ b, one thread for each element; x counts the columns, which are neighbours in memory.

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
    """out = a @ b: a block shares tiles of a and b, so that each number it loads serves SIDE threads.

    For each step of SIDE along k, the block loads a tile of a and a tile of b, an element of each for each
    thread, and every thread adds SIDE products to its sum. Beyond the matrices' edges the tiles hold zeros,
    which add nothing.

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
        if row < a.shape[0] and start + x < a.shape[1]:
            left[y, x] = a[row, start + x]
        else:
            left[y, x] = float32(0)
        if start + y < b.shape[0] and column < b.shape[1]:
            right[y, x] = b[start + y, column]
        else:
            right[y, x] = float32(0)
        cuda.syncthreads()  # the tiles are full
        for k in range(SIDE):
            total += left[y, k] * right[k, x]
        cuda.syncthreads()  # nobody needs them any more
    if row < out.shape[0] and column < out.shape[1]:
        out[row, column] = total


@cuda.jit(device=True)
def load_tiles(a, b, start, left, right):
    """Load a step's tiles for the block's square of TILE x TILE elements; return when they are full.

        left[i, k] = a[z, top + i, start + k]       top: the first row of the block's square
        right[k, j] = b[z, start + k, first + j]    first: its first column; z: the block's place in the batch

    Each thread loads PER elements of left, SIDE rows apart, and PER of right, SIDE columns apart. Beyond the
    matrices' edges the tiles hold zeros. At the end is a barrier.

    Args:
        a: (batch, m, k), float32.
        b: (batch, k, n), float32.
        start: how far the block has come along k.
        left: (TILE, SIDE), shared memory.
        right: (SIDE, ROW), shared memory. Of a row, the first TILE elements are used.

    Launch: as `blocked_launch` says.
    """
    x, y, z = cuda.threadIdx.x, cuda.threadIdx.y, cuda.blockIdx.z
    row, column = cuda.blockIdx.y * TILE + y, cuda.blockIdx.x * TILE + x
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


@cuda.jit
def matmul_blocked(a, b, out):
    """out = a @ b for each pair of a batch: a thread computes PER x PER elements, with their sums in registers.

    They are SIDE apart, so that neighbouring threads work on neighbouring columns: thread (x, y) of a block
    has the rows y, y + SIDE, y + 2 SIDE ... of the block's square, and the columns x, x + SIDE, ...
    For each k, a thread reads PER elements of one tile and PER of the other one, once, and adds PER x PER products.

    Args:
        a: (batch, m, k), float32.
        b: (batch, k, n), float32.
        out: (batch, m, n), float32.

    Launch: as `blocked_launch` says: a block for each square of TILE x TILE elements; z counts the batch.
    """
    left = cuda.shared.array((TILE, SIDE), float32)
    right = cuda.shared.array((SIDE, ROW), float32)
    across = cuda.local.array(PER, float32)
    sums = cuda.local.array((PER, PER), float32)
    x, y, z = cuda.threadIdx.x, cuda.threadIdx.y, cuda.blockIdx.z
    row, column = cuda.blockIdx.y * TILE + y, cuda.blockIdx.x * TILE + x
    for i in range(PER):
        for j in range(PER):
            sums[i, j] = float32(0)
    for step in range(0, a.shape[2], SIDE):
        load_tiles(a, b, step, left, right)
        for k in range(SIDE):
            for j in range(PER):
                across[j] = right[k, x + SIDE * j]
            for i in range(PER):
                down = left[y + SIDE * i, k]
                for j in range(PER):
                    sums[i, j] += down * across[j]
        cuda.syncthreads()  # nobody needs the tiles any more
    for i in range(PER):
        for j in range(PER):
            if row + SIDE * i < out.shape[1] and column + SIDE * j < out.shape[2]:
                out[z, row + SIDE * i, column + SIDE * j] = sums[i, j]


def blocked_launch(m: int, n: int, batch: int = 1) -> tuple[tuple[int, int, int], tuple[int, int]]:
    """Grid and block for `matmul_blocked` with a result (batch, m, n).

    Returns:
        ((blocks along x, along y, along z), (threads along x, along y)): x counts columns, y rows, z the batch.
    """
    return (-(-n // TILE), -(-m // TILE), batch), (SIDE, SIDE)
