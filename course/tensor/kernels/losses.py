"""Cross-entropy and its gradient, a row at a time."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from course.tensor.kernels.compiling import Array, in_place_of_numpy, loop, plain


@loop
def _cross_entropy(
    x: Array, targets: Array, ignore_index: int, smoothing: float, losses: Array, p: Array
) -> None:
    n, n_classes = x.shape
    for i in range(n):
        largest = x[i, 0]
        for j in range(n_classes):
            largest = max(largest, x[i, j])
        total = x[i, 0] - x[i, 0]  # a 0 of this dtype
        sum_x = total
        for j in range(n_classes):
            p[i, j] = math.exp(x[i, j] - largest)
            total += p[i, j]
            sum_x += x[i, j] - largest
        log_total = math.log(total)
        for j in range(n_classes):
            p[i, j] /= total
        t = targets[i]
        if t == ignore_index:
            losses[i] = 0
        else:
            loss = log_total - (x[i, t] - largest)
            if smoothing > 0:
                mean = sum_x / n_classes - log_total
                loss = (1 - smoothing) * loss - smoothing * mean
            losses[i] = loss


@in_place_of_numpy
def cross_entropy(  # noqa: D103
    slow: Callable, logits: Array, targets: Array, ignore_index: int, smoothing: float
) -> tuple[Array, Array]:
    if not plain(logits):
        return slow(logits, targets, ignore_index, smoothing)
    losses, p = np.empty(len(logits), logits.dtype), np.empty_like(logits)
    _cross_entropy(logits, targets, ignore_index, smoothing, losses, p)
    return losses, p


@loop
def _cross_entropy_backward(
    p: Array, targets: Array, grad: Array, ignore_index: int, smoothing: float, out: Array
) -> None:
    n, n_classes = p.shape
    for i in range(n):
        t = targets[i]
        g = grad[i] if t != ignore_index else 0 * p[i, 0]
        for j in range(n_classes):
            out[i, j] = (p[i, j] - smoothing / n_classes) * g
        if t != ignore_index:
            out[i, t] -= (1 - smoothing) * g


@in_place_of_numpy
def cross_entropy_backward(  # noqa: D103
    slow: Callable, p: Array, targets: Array, grad: Any, ignore_index: int, smoothing: float
) -> Array:
    if not plain(p):
        return slow(p, targets, grad, ignore_index, smoothing)
    out = np.empty_like(p)
    grads = np.empty(len(p), p.dtype)
    grads[:] = grad
    _cross_entropy_backward(p, targets, grads, ignore_index, smoothing, out)
    return out
