"""Softmax of each row of a matrix, in a block for each row."""

import math

from numba import cuda, float32

from course.cuda.block import THREADS, block_max, block_sum
from course.cuda.online import peak_and_total


@cuda.jit
def softmax_three_pass(x, out):
    """exp(x - peak) / total in each row, in three passes over the row.

    First the row's maximum, peak; then total, the sum of exp(x - peak); then the quotients.

    Args:
        x: (n, width), float32. Some entries of a row may be -inf: their result is 0.
        out: (n, width).

    Launch: n blocks of THREADS threads, a block for each row. Thread t takes the columns t, t + THREADS, ...
    """
    row, t = cuda.blockIdx.x, cuda.threadIdx.x
    peak = float32(-math.inf)
    for column in range(t, x.shape[1], THREADS):
        peak = max(peak, x[row, column])
    peak = block_max(peak)
    total = float32(0)
    for column in range(t, x.shape[1], THREADS):
        total += math.exp(x[row, column] - peak)
    total = block_sum(total)
    for column in range(t, x.shape[1], THREADS):
        out[row, column] = math.exp(x[row, column] - peak) / total


@cuda.jit
def softmax_online(x, out):
    """exp(x - peak) / total in each row, in two passes over the row.

    Peak and total come from one pass, `peak_and_total`; the second pass writes the quotients.

    Args:
        x: (n, width), float32. Some entries of a row may be -inf: their result is 0.
        out: (n, width).

    Launch: n blocks of THREADS threads, a block for each row.
    """
    row = cuda.blockIdx.x
    peak, total = peak_and_total(x, row)
    for column in range(cuda.threadIdx.x, x.shape[1], THREADS):
        out[row, column] = math.exp(x[row, column] - peak) / total


@cuda.jit
def softmax_backward(y, grad, out):
    """y * (grad - sum(grad * y)) in each row, with softmax's output y.

    Args:
        y: (n, width), float32.
        grad: (n, width), the gradient by y.
        out: (n, width), the gradient by x.

    Launch: n blocks of THREADS threads, a block for each row.
    """
    row = cuda.blockIdx.x
    part = float32(0)
    for column in range(cuda.threadIdx.x, y.shape[1], THREADS):
        part += grad[row, column] * y[row, column]
    total = block_sum(part)
    for column in range(cuda.threadIdx.x, y.shape[1], THREADS):
        out[row, column] = y[row, column] * (grad[row, column] - total)
