"""The logarithm of softmax, of each row of a matrix, in a block for each row."""

import math

from numba import cuda, float32

from course.cuda.block import THREADS, block_sum
from course.cuda.online import peak_and_total


@cuda.jit
def log_softmax(x, out):
    """x - peak - log(total) in each row, with peak and total of `peak_and_total`.

    Args:
        x: (n, width), float32.
        out: (n, width).

    Launch: n blocks of THREADS threads, a block for each row.
    """
    row = cuda.blockIdx.x
    peak, total = peak_and_total(x, row)
    log_total = math.log(total)
    for column in range(cuda.threadIdx.x, x.shape[1], THREADS):
        out[row, column] = x[row, column] - peak - log_total


@cuda.jit
def log_softmax_backward(y, grad, out):
    """grad - exp(y) * sum(grad) in each row, with log_softmax's output y.

    Args:
        y: (n, width), float32.
        grad: (n, width), the gradient by y.
        out: (n, width), the gradient by x.

    Launch: n blocks of THREADS threads, a block for each row.
    """
    row, t = cuda.blockIdx.x, cuda.threadIdx.x
    part = float32(0)
    for column in range(t, y.shape[1], THREADS):
        part += grad[row, column]
    total = block_sum(part)
    for column in range(t, y.shape[1], THREADS):
        out[row, column] = grad[row, column] - math.exp(y[row, column]) * total
