"""Layer norm and rows of a table."""

import math
from collections.abc import Callable

import numpy as np

from course.tensor.kernels.compiling import Array, in_place_of_numpy, loop, plain


@loop
def _layer_norm(
    x: Array, weight: Array, bias: Array, eps: float, y: Array, normalised: Array, scale: Array
) -> None:
    n, width = x.shape
    for i in range(n):
        mean = x[i, 0] - x[i, 0]
        variance = mean
        for j in range(width):
            mean += x[i, j]
        mean /= width
        for j in range(width):
            variance += (x[i, j] - mean) * (x[i, j] - mean)
        s = 1 / math.sqrt(variance / width + eps)
        scale[i, 0] = s
        for j in range(width):
            normalised[i, j] = (x[i, j] - mean) * s
            y[i, j] = normalised[i, j] * weight[j] + bias[j]


@in_place_of_numpy
def layer_norm(  # noqa: D103
    slow: Callable, x: Array, weight: Array, bias: Array, eps: float
) -> tuple[Array, Array, Array]:
    if not plain(x, weight, bias):
        return slow(x, weight, bias, eps)
    y, normalised, scale = np.empty_like(x), np.empty_like(x), np.empty((len(x), 1), x.dtype)
    _layer_norm(x, weight, bias, eps, y, normalised, scale)
    return y, normalised, scale


@loop
def _layer_norm_backward(
    y: Array, scale: Array, weight: Array, grad: Array, dx: Array, dw: Array, db: Array
) -> None:
    n, width = y.shape
    for j in range(width):
        dw[j] = 0
        db[j] = 0
    for i in range(n):
        mean_g = y[i, 0] - y[i, 0]
        mean_gy = mean_g
        for j in range(width):
            g = grad[i, j] * weight[j]
            mean_g += g
            mean_gy += g * y[i, j]
            dw[j] += grad[i, j] * y[i, j]
            db[j] += grad[i, j]
        mean_g /= width
        mean_gy /= width
        for j in range(width):
            dx[i, j] = scale[i, 0] * (grad[i, j] * weight[j] - mean_g - y[i, j] * mean_gy)


@in_place_of_numpy
def layer_norm_backward(  # noqa: D103
    slow: Callable, y: Array, scale: Array, weight: Array, grad: Array
) -> tuple[Array, Array, Array]:
    if not plain(y, scale, weight, grad):
        return slow(y, scale, weight, grad)
    dx, dw, db = np.empty_like(y), np.empty_like(weight), np.empty_like(weight)
    _layer_norm_backward(y, scale, weight, grad, dx, dw, db)
    return dx, dw, db


@loop
def _add_rows(indices: Array, grad: Array, out: Array) -> None:
    for i in range(indices.size):
        row = indices[i]
        for j in range(grad.shape[1]):
            out[row, j] += grad[i, j]


@in_place_of_numpy
def embedding_backward(slow: Callable, n_rows: int, indices: Array, grad: Array) -> Array:  # noqa: D103
    if not plain(grad):
        return slow(n_rows, indices, grad)
    out = np.zeros((n_rows, grad.shape[1]), grad.dtype)
    _add_rows(indices, grad, out)
    return out
