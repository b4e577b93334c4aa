"""Activations, each one loop over the elements."""

from collections.abc import Callable

import numpy as np

from course.tensor.kernels.compiling import Array, in_place_of_numpy, loop, plain


@loop
def _relu(x: Array, y: Array) -> None:
    x, y = x.reshape(-1), y.reshape(-1)
    for i in range(x.size):
        y[i] = x[i] if x[i] > 0 or x[i] != x[i] else 0


@in_place_of_numpy
def relu(slow: Callable, x: Array) -> Array:  # noqa: D103
    if not plain(x):
        return slow(x)
    y = np.empty_like(x)
    _relu(x, y)
    return y


@loop
def _relu_backward(y: Array, grad: Array, out: Array) -> None:
    y, grad, out = y.reshape(-1), grad.reshape(-1), out.reshape(-1)
    for i in range(y.size):
        out[i] = grad[i] if y[i] > 0 else 0


@in_place_of_numpy
def relu_backward(slow: Callable, y: Array, grad: Array) -> Array:  # noqa: D103
    if not plain(y, grad):
        return slow(y, grad)
    out = np.empty_like(y)
    _relu_backward(y, grad, out)
    return out
