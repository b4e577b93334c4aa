"""Rows of a table: taken by their indices, and gradients added back to them."""

from numba import cuda


@cuda.jit
def embedding(table, indices, out):
    """out[i] = table[indices[i]]: gather.

    Args:
        table: (rows, width), float32.
        indices: (n,), int64, each from 0 to rows - 1.
        out: (n, width).

    Launch: at least n * width threads in one dimension, a thread for each element.
    """
    i, column = divmod(cuda.grid(1), out.shape[1])
    if i < out.shape[0]:
        out[i, column] = table[indices[i], column]


@cuda.jit
def embedding_backward(indices, grad, dtable):
    """dtable[indices[i]] += grad[i]: scatter-add. Rows that were taken several times get all of it.

    Args:
        indices: (n,), int64, as given to `embedding`.
        grad: (n, width), float32, the gradient by embedding's out.
        dtable: (rows, width). It is added to; begin with zeros.

    Launch: at least n * width threads in one dimension, a thread for each element.
    """
    i, column = divmod(cuda.grid(1), grad.shape[1])
    if i < grad.shape[0]:
        cuda.atomic.add(dtable, (indices[i], column), grad[i, column])
