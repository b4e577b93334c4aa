"""Layers and losses: from any axis of any array to kernels that take the rows of a matrix.

Each function is one of `course.tensor.numpy_ops`, which says what it computes.
"""

import math
from typing import Any

import numpy as np

from course.cuda import cross_entropy as losses
from course.cuda import embedding as tables
from course.cuda import functions, layernorm
from course.cuda import gelu as gelus
from course.cuda import log_softmax as logs
from course.cuda import softmax as softmaxes
from course.cuda.array import CudaArray
from course.cuda.block import THREADS
from course.cuda.operators import unary
from course.cuda.record import launch, launch_for_each
from course.cuda.select import select

sqrt = unary(functions.sqrt)


def gelu(x: CudaArray) -> tuple[CudaArray, CudaArray]:
    """gelu(x) and its slope: one launch for both."""
    y, slope = x.new(x.shape, x.dtype), x.new(x.shape, x.dtype)
    launch_for_each(gelus.gelu, x.size, x.flat, y.flat, slope.flat)
    return y, slope


def softmax(x: CudaArray, axis: int) -> CudaArray:
    """Softmax along an axis."""
    return along(axis, softmaxes.softmax_online, x)


def softmax_backward(y: CudaArray, grad: CudaArray, axis: int) -> CudaArray:
    """The gradient by softmax's input."""
    return along(axis, softmaxes.softmax_backward, y, grad)


def causal_softmax(scores: CudaArray, scale: float) -> CudaArray:
    """The weights of causal attention, step by step. Flash attention has no need of it."""
    seen = CudaArray.from_numpy(np.tri(scores.shape[-1], dtype=bool))
    return softmax(select(seen, scores * scale, -math.inf), scores.ndim - 1)


def score_gradients(
    weights: CudaArray, grad: CudaArray, means: CudaArray, scale: float
) -> CudaArray:
    """The gradient by the scores, step by step."""
    return weights * (grad - means.expand_dims(means.ndim)) * scale


def log_softmax(x: CudaArray, axis: int) -> CudaArray:
    """The logarithm of softmax along an axis."""
    return along(axis, logs.log_softmax, x)


def log_softmax_backward(y: CudaArray, grad: CudaArray, axis: int) -> CudaArray:
    """The gradient by log_softmax's input."""
    return along(axis, logs.log_softmax_backward, y, grad)


def along(axis: int, kernel: Any, *arrays: CudaArray) -> CudaArray:
    """What a kernel of rows makes of arrays whose rows lie along an axis.

    The axis becomes the last one, which is a view; if it was not, the kernel gets a copy in that order.

    Args:
        axis: of the arrays.
        kernel: takes matrices of one shape, and then the result; a block of THREADS threads for each row.
        arrays: of one shape.
    """
    order = [i for i in range(arrays[0].ndim) if i != axis] + [axis]
    turned = [x.transpose(order) for x in arrays]
    shape = turned[0].shape
    out = arrays[0].new(shape, arrays[0].dtype)
    rows = (math.prod(shape[:-1]), shape[-1])
    if out.size:
        launch(kernel, rows[0], THREADS, *[x.dense(*rows) for x in turned], out.dense(*rows))
    return out.transpose(np.argsort(order).tolist())


def cross_entropy(
    logits: CudaArray, targets: CudaArray, ignore_index: int, smoothing: float
) -> tuple[CudaArray, CudaArray]:
    """Each row's loss, and the probabilities: one launch for both."""
    n = len(logits)
    out, probabilities = logits.new((n,), logits.dtype), logits.new(logits.shape, logits.dtype)
    arguments = (logits.dense(), targets.dense(), ignore_index, smoothing, out, probabilities)
    launch(losses.cross_entropy, n, THREADS, *arguments)
    return out, probabilities


def cross_entropy_backward(
    probabilities: CudaArray,
    targets: CudaArray,
    grad: CudaArray,
    ignore_index: int,
    smoothing: float,
) -> CudaArray:
    """The gradient by the logits."""
    out = probabilities.new(probabilities.shape, probabilities.dtype)
    grad = grad.broadcast_to((len(probabilities),)).dense()
    arguments = (probabilities, targets.dense(), grad, ignore_index, smoothing, out)
    launch_for_each(losses.cross_entropy_backward, out.size, *arguments)
    return out


def normalise(
    x: CudaArray, axes: tuple[int, ...], eps: float
) -> tuple[CudaArray, CudaArray, CudaArray, CudaArray]:
    """Mean 0 and variance 1 over any axes, step by step: y, mean, variance, scale."""
    n = max(math.prod(x.shape[axis] for axis in axes), 1)
    mean = x.sum(axes, keepdims=True) / n
    y = x - mean
    variance = (y * y).sum(axes, keepdims=True) / n
    scale = 1 / sqrt(variance + eps)
    y *= scale
    return y, mean, variance, scale


def normalise_backward(
    y: CudaArray, scale: CudaArray, grad: CudaArray, axes: tuple[int, ...]
) -> CudaArray:
    """The gradient by normalise's input, step by step."""
    n = y.size // max(scale.size, 1)
    direct = grad - grad.sum(axes, keepdims=True) / n
    direct -= y * ((grad * y).sum(axes, keepdims=True) / n)
    direct *= scale
    return direct


def layer_norm(
    x: CudaArray, weight: CudaArray, bias: CudaArray, eps: float
) -> tuple[CudaArray, CudaArray, CudaArray]:
    """Rows with mean 0 and variance 1, weighted: one launch for the result and what backward needs."""
    out, y = x.new(x.shape, x.dtype), x.new(x.shape, x.dtype)
    scale = x.new((len(x), 1), x.dtype)
    arguments = (x.dense(), weight.dense(), bias.dense(), eps, out, y, scale.flat)
    launch(layernorm.layer_norm, len(x), THREADS, *arguments)
    return out, y, scale


def layer_norm_backward(
    y: CudaArray, scale: CudaArray, weight: CudaArray, grad: CudaArray
) -> tuple[CudaArray, CudaArray, CudaArray]:
    """The gradients by x, by weight and by bias: two launches."""
    dx, grad, weight = y.new(y.shape, y.dtype), grad.dense(), weight.dense()
    dweight, dbias = y.new(weight.shape, y.dtype), y.new(weight.shape, y.dtype)
    launch(layernorm.layer_norm_backward, len(y), THREADS, y, scale.flat, weight, grad, dx)
    kernel = layernorm.layer_norm_backward_parameters
    launch_for_each(kernel, weight.size, y, grad, dweight, dbias)
    return dx, dweight, dbias


def embedding_backward(n_rows: int, indices: CudaArray, grad: CudaArray) -> CudaArray:
    """Each gradient is added to the row that it came from."""
    table = CudaArray.full((n_rows, grad.shape[1]), 0, grad.dtype)
    arguments = (indices.dense(), grad.dense(), table)
    launch_for_each(tables.embedding_backward, grad.size, *arguments)
    return table
