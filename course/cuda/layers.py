"""Layers and losses: from an axis of any array to kernels for rows."""

import math

import numpy as np

from course.cuda import functions
from course.cuda.array import CudaArray
from course.cuda.indexing import add_at as scatter_add
from course.cuda.operators import unary
from course.cuda.reductions import MAX, SUM, reduction
from course.cuda.select import select as where

Array = CudaArray
exp, log, sqrt, tanh = map(unary, (functions.exp, functions.log, functions.sqrt, functions.tanh))
sum, max = reduction(SUM), reduction(MAX)
asarray = CudaArray.from_numpy


def gelu(x: Array) -> tuple[Array, Array]:
    t = tanh(0.7978845608028654 * (x * (1 + 0.044715 * (x * x))))
    half = 0.5 * (1 + t)
    return x * half, half + 0.5 * 0.7978845608028654 * x * (1 - t * t) * (
        1 + 3 * 0.044715 * (x * x)
    )


def softmax(x: Array, axis: int) -> Array:
    if x.size == 0:
        return x.copy()
    y = exp(x - max(x, axis, True))
    return y / sum(y, axis, True)


def softmax_backward(y: Array, grad: Array, axis: int) -> Array:
    return y * (grad - sum(grad * y, axis, keepdims=True))


def log_softmax(x: Array, axis: int) -> Array:
    if x.size == 0:
        return x.copy()
    shifted = x - max(x, axis, True)
    return shifted - log(sum(exp(shifted), axis, True))


def log_softmax_backward(y: Array, grad: Array, axis: int) -> Array:
    return grad - exp(y) * sum(grad, axis, keepdims=True)


def cross_entropy(
    logits: Array, targets: Array, ignore_index: int, smoothing: float
) -> tuple[Array, Array]:
    log_p = log_softmax(logits, 1)
    columns = asarray(np.arange(logits.shape[1]))
    counted = targets != ignore_index
    losses = -sum(where(columns == targets.expand_dims(1), log_p, 0.0), 1)
    if smoothing:
        losses = (1 - smoothing) * losses - (smoothing / logits.shape[1]) * sum(log_p, 1)
    return where(counted, losses, 0.0), exp(log_p)


def cross_entropy_backward(
    probabilities: Array, targets: Array, grad: Array, ignore_index: int, smoothing: float
) -> Array:
    counted = targets != ignore_index
    columns = asarray(np.arange(probabilities.shape[1]))
    result = (
        probabilities
        - smoothing / probabilities.shape[1]
        - where(columns == targets.expand_dims(1), 1 - smoothing, probabilities * 0)
    )
    return result * where(counted, grad, 0.0).expand_dims(1)


def normalise(x: Array, axes: tuple[int, ...], eps: float) -> tuple[Array, Array, Array, Array]:
    n = math.prod(x.shape[a] for a in axes)
    mean = sum(x, axes, keepdims=True) / n
    y = x - mean
    variance = sum(y * y, axes, keepdims=True) / n
    scale = 1 / sqrt(variance + eps)
    y *= scale
    return y, mean, variance, scale


def normalise_backward(y: Array, scale: Array, grad: Array, axes: tuple[int, ...]) -> Array:
    n = y.size // scale.size if scale.size else 1
    direct = grad - sum(grad, axes, keepdims=True) / n
    direct -= y * (sum(grad * y, axes, keepdims=True) / n)
    direct *= scale
    return direct


def layer_norm(x: Array, weight: Array, bias: Array, eps: float) -> tuple[Array, Array, Array]:
    y, _, _, scale = normalise(x, (1,), eps)
    return y * weight + bias, y, scale


def layer_norm_backward(
    y: Array, scale: Array, weight: Array, grad: Array
) -> tuple[Array, Array, Array]:
    dx = normalise_backward(y, scale, grad * weight, (1,))
    return dx, sum(grad * y, 0), sum(grad, 0)


def embedding_backward(n_rows: int, indices: Array, grad: Array) -> Array:
    return scatter_add((n_rows, grad.shape[1]), indices, grad)
