"""Layer normalisation, forward and backward."""

import math

from numba import cuda, float32

from course.cuda.block import THREADS, block_sum


@cuda.jit
def layer_norm(x, weight, bias, eps, out, y, scale):
    """Normalise each row, then weight and bias for each column.

        scale = 1 / sqrt(variance + eps),   y = (x - mean) * scale,   out = y * weight + bias

    The variance is the mean of (x - mean)^2, in a pass of its own.

    Args:
        x: (n, width), float32.
        weight: (width,).
        bias: (width,).
        eps: a number, added to the variance.
        out: (n, width), the result.
        y: (n, width), the normalised x, which backward needs.
        scale: (n,), which backward needs too.

    Launch: n blocks of THREADS threads, a block for each row. Source: arXiv 1607.06450.
    """
    row, t, width = cuda.blockIdx.x, cuda.threadIdx.x, float32(x.shape[1])
    part = float32(0)
    for column in range(t, x.shape[1], THREADS):
        part += x[row, column]
    mean = block_sum(part) / width
    part = float32(0)
    for column in range(t, x.shape[1], THREADS):
        part += (x[row, column] - mean) * (x[row, column] - mean)
    factor = float32(1) / math.sqrt(block_sum(part) / width + float32(eps))
    if t == 0:
        scale[row] = factor
    for column in range(t, x.shape[1], THREADS):
        normal = (x[row, column] - mean) * factor
        y[row, column] = normal
        out[row, column] = normal * weight[column] + bias[column]


@cuda.jit
def layer_norm_backward(y, scale, weight, grad, dx):
    """The gradient by x: every element of a row moves the row's mean and variance too.

        g = grad * weight
        dx = scale * (g - mean(g) - y * mean(g * y)),   the means over the row

    Args:
        y: (n, width), float32, the normalised x, which `layer_norm` has kept.
        scale: (n,), kept too.
        weight: (width,).
        grad: (n, width), the gradient by out.
        dx: (n, width).

    Launch: n blocks of THREADS threads, a block for each row.
    """
    row, t, width = cuda.blockIdx.x, cuda.threadIdx.x, float32(y.shape[1])
    part, part_y = float32(0), float32(0)
    for column in range(t, y.shape[1], THREADS):
        g = grad[row, column] * weight[column]
        part += g
        part_y += g * y[row, column]
    mean, mean_y = block_sum(part) / width, block_sum(part_y) / width
    for column in range(t, y.shape[1], THREADS):
        g = grad[row, column] * weight[column]
        dx[row, column] = scale[row] * (g - mean - y[row, column] * mean_y)


@cuda.jit
def layer_norm_backward_parameters(y, grad, dweight, dbias):
    """The gradients by weight and bias: sums over the rows, for each column.

        dweight = sum(grad * y),   dbias = sum(grad),   over the rows

    Args:
        y: (n, width), float32, the normalised x.
        grad: (n, width), the gradient by layer_norm's out.
        dweight: (width,).
        dbias: (width,).

    Launch: at least width threads in one dimension, a thread for each column.
    """
    column = cuda.grid(1)
    if column < y.shape[1]:
        by_weight, by_bias = float32(0), float32(0)
        for row in range(y.shape[0]):
            by_weight += grad[row, column] * y[row, column]
            by_bias += grad[row, column]
        dweight[column] = by_weight
        dbias[column] = by_bias
