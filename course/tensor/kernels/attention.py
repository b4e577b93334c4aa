"""What a transformer needs: gelu, softmax, and the rows between attention's two matrix products."""

from collections.abc import Callable

import numpy as np

from course.tensor.kernels.compiling import Array, in_place_of_numpy, loop, plain
from course.tensor.kernels.fast_exp import f32, fast_exp

TWICE_ROOT = f32(2 * 0.7978845608028654)  # 2 sqrt(2/pi)
CUBIC = f32(0.044715)


def single(*arrays: Array) -> bool:
    """Whether these are plain arrays of float32, for which `fast_exp` is made."""
    return arrays[0].dtype == np.float32 and plain(*arrays)


@loop
def _gelu(x: Array, y: Array, slope: Array) -> None:
    x, y, slope = x.reshape(-1), y.reshape(-1), slope.reshape(-1)
    for i in range(x.size):
        square = x[i] * x[i]
        # (1 + tanh(u)) / 2 = 1 / (1 + exp(-2 u))
        half = f32(1) / (f32(1) + fast_exp(-TWICE_ROOT * x[i] * (f32(1) + CUBIC * square)))
        y[i] = x[i] * half
        inner = TWICE_ROOT * (f32(1) + f32(3) * CUBIC * square)
        slope[i] = half + x[i] * half * (f32(1) - half) * inner


@in_place_of_numpy
def gelu(slow: Callable, x: Array) -> tuple[Array, Array]:  # noqa: D103
    if not single(x):
        return slow(x)
    y, slope = np.empty_like(x), np.empty_like(x)
    _gelu(x, y, slope)
    return y, slope


@loop
def _softmax(x: Array, y: Array) -> None:
    for i in range(x.shape[0]):
        largest = x[i, 0]
        for j in range(x.shape[1]):
            largest = max(largest, x[i, j])
        total = f32(0)
        for j in range(x.shape[1]):
            y[i, j] = fast_exp(x[i, j] - largest)
            total += y[i, j]
        for j in range(x.shape[1]):
            y[i, j] /= total


@in_place_of_numpy
def softmax(slow: Callable, x: Array, axis: int) -> Array:  # noqa: D103
    if not single(x) or axis not in (-1, x.ndim - 1):
        return slow(x, axis)
    y = np.empty_like(x)
    _softmax(x.reshape(-1, x.shape[-1]), y.reshape(-1, x.shape[-1]))
    return y


@loop
def _softmax_backward(y: Array, grad: Array, dx: Array) -> None:
    for i in range(y.shape[0]):
        total = y[i, 0] - y[i, 0]
        for j in range(y.shape[1]):
            total += y[i, j] * grad[i, j]
        for j in range(y.shape[1]):
            dx[i, j] = y[i, j] * (grad[i, j] - total)


@in_place_of_numpy
def softmax_backward(slow: Callable, y: Array, grad: Array, axis: int) -> Array:  # noqa: D103
    if not plain(y, grad) or axis not in (-1, y.ndim - 1):
        return slow(y, grad, axis)
    dx, width = np.empty_like(y), y.shape[-1]
    _softmax_backward(y.reshape(-1, width), grad.reshape(-1, width), dx.reshape(-1, width))
    return dx


@loop
def _causal_softmax(scores: Array, scale: float, weights: Array) -> None:
    n, t, _ = scores.shape
    factor = f32(scale)
    for m in range(n):
        for i in range(t):
            row, out = scores[m, i], weights[m, i]
            largest = row[0]
            for j in range(i + 1):
                largest = max(largest, row[j])
            total = f32(0)
            for j in range(i + 1):
                out[j] = fast_exp((row[j] - largest) * factor)
                total += out[j]
            for j in range(i + 1):
                out[j] /= total
            for j in range(i + 1, t):
                out[j] = 0


@in_place_of_numpy
def causal_softmax(slow: Callable, scores: Array, scale: float) -> Array:  # noqa: D103
    if not single(scores):
        return slow(scores, scale)
    weights = np.empty_like(scores)
    square = (-1, *scores.shape[-2:])
    _causal_softmax(scores.reshape(square), scale, weights.reshape(square))
    return weights


@loop
def _score_gradients(weights: Array, grad: Array, means: Array, scale: float, out: Array) -> None:
    n, t, _ = weights.shape
    factor = weights.dtype.type(scale)
    for m in range(n):
        for i in range(t):
            for j in range(i + 1):
                out[m, i, j] = factor * weights[m, i, j] * (grad[m, i, j] - means[m, i])
            for j in range(i + 1, t):
                out[m, i, j] = 0


@in_place_of_numpy
def score_gradients(  # noqa: D103
    slow: Callable, weights: Array, grad: Array, means: Array, scale: float
) -> Array:
    if not plain(weights, grad) or means.dtype != grad.dtype:
        return slow(weights, grad, means, scale)
    out = np.empty_like(grad)
    square = (-1, *grad.shape[-2:])
    rows = means.reshape(-1, square[1])
    _score_gradients(
        weights.reshape(square), grad.reshape(square), rows, scale, out.reshape(square)
    )
    return out
