"""First kernels: each thread makes one element of the result, or a few."""

from numba import cuda, float32


@cuda.jit
def double(x, out):
    """out[i] = 2 * x[i]: a map, with a thread for each element.

    Args:
        x: (n,), float32.
        out: (n,).

    Launch: one block of n threads.
    """
    i = cuda.threadIdx.x
    out[i] = float32(2) * x[i]


@cuda.jit
def add(a, b, out):
    """out[i] = a[i] + b[i]: a zip, in several blocks.

    Args:
        a: (n,), float32.
        b: (n,), float32.
        out: (n,).

    Launch: blocks whose threads are n in all, one for each element.
    """
    i = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    out[i] = a[i] + b[i]


@cuda.jit
def relu(x, out):
    """out[i] = x[i] where that is positive, and 0 elsewhere.

    Args:
        x: (n,), float32.
        out: (n,).

    Launch: at least n threads. Those that are too many do nothing.
    """
    i = cuda.grid(1)
    if i < x.size:
        out[i] = max(x[i], float32(0))


@cuda.jit
def invert(image, out):
    """out = 1 - image: what was black is white, and the other way round.

    Args:
        image: (rows, columns), float32 from 0 to 1.
        out: (rows, columns).

    Launch: in two dimensions, at least `columns` threads along x and at least `rows` along y. Neighbours
    along x take neighbours of a row.
    """
    column, row = cuda.grid(2)
    if row < image.shape[0] and column < image.shape[1]:
        out[row, column] = float32(1) - image[row, column]


@cuda.jit
def add_row(x, row, out):
    """out = x + row: the row is broadcast, added to each row of x. It is never copied.

    Args:
        x: (rows, columns), float32.
        row: (columns,) or (1,), float32. With one element, that is added everywhere.
        out: (rows, columns).

    Launch: in two dimensions, at least `columns` threads along x and at least `rows` along y.
    """
    j, i = cuda.grid(2)
    if i < x.shape[0] and j < x.shape[1]:
        out[i, j] = x[i, j] + row[j if row.size > 1 else 0]


@cuda.jit
def strided(x, shape, strides, offset, out):
    """Copies an array of any layout into reading order, without gaps.

    Element (a, b, c) of an array with three axes lies at offset + a * strides[0] + b * strides[1] + c * strides[2]
    of x, as in `Layout`. In `out` it has its place in reading order.

    Args:
        x: the buffer, float32, one axis.
        shape: a tuple of at least one length.
        strides: for each axis, how far apart neighbours lie in x: a tuple of whole numbers, which may be 0 or negative.
        offset: where the element with index (0, 0, ...) lies in x.
        out: (size,), with as many elements as the shape has.

    Launch: at least `size` threads.
    """
    i = cuda.grid(1)
    if i < out.size:
        rest, position = i, offset
        for k in range(len(shape)):
            axis = len(shape) - 1 - k  # the last axis runs fastest
            position += rest % shape[axis] * strides[axis]
            rest //= shape[axis]
        out[i] = x[position]


@cuda.jit
def axpy(a, x, y, out):
    """out = a * x + y, with a grid-stride loop.

    A thread begins at its own number in the grid, and goes on in steps as long as the grid has threads.

    Args:
        a: a number, float32.
        x: (n,), float32.
        y: (n,), float32.
        out: (n,).

    Launch: any. There may be fewer threads than elements, or more.
    """
    threads = cuda.gridsize(1)
    for i in range(cuda.grid(1), x.size, threads):
        out[i] = a * x[i] + y[i]
