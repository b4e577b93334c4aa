"""The table of array functions of the device "cuda": each is a launch of a kernel, or a few.

The names and what they mean are `course.tensor.numpy_ops`'s. There is no function here that computes on
the processor: what has no kernel is refused, by its name.
"""

from collections.abc import Sequence
from typing import Any

import builtins
import math

import numpy as np

from course.cuda import functions
from course.cuda.array import CudaArray
from course.cuda.elementwise import map_array
from course.cuda.errors import NoKernel
from course.cuda.images import col2im as col2im_kernel
from course.cuda.images import im2col as im2col_kernel
from course.cuda.images import max_pool2d as max_pool2d_kernel
from course.cuda.images import max_pool2d_backward as max_pool2d_backward_kernel
from course.cuda.indexing import add_at, get, put
from course.cuda.operators import binary
from course.cuda.products import multiply
from course.cuda.record import launch_for_each
from course.cuda.reductions import MAX, MIN, SUM, first_array, reduce_array
from course.cuda.select import select
from course.cuda.sgd import sgd, sgd_momentum
from course.tensor.numpy_ops import window_count

Array = CudaArray
Pair = tuple[int, int]

# ---------------------------------------------------------------- arrays in and out


def asarray(data: Any, dtype: Any = None) -> Array:
    """An array of this device; from the host, numbers are copied."""
    if isinstance(data, CudaArray):
        return data if dtype is None or data.dtype == dtype else data.astype(dtype)
    if isinstance(data, bool | int | float):
        return CudaArray.constant(data, dtype or np.asarray(data).dtype)
    return CudaArray.from_numpy(np.asarray(data, dtype))


def to_numpy(array: Array) -> np.ndarray:
    """A copy on the host."""
    return array.numpy()


def zeros(shape: Sequence[int], dtype: Any) -> Array:
    """An array of zeros."""
    return CudaArray.full(tuple(shape), 0, dtype)


def ones(shape: Sequence[int], dtype: Any) -> Array:
    """An array of ones."""
    return CudaArray.full(tuple(shape), 1, dtype)


def counter(start: int, dtype: Any) -> int:
    """An optimiser counts its steps on the host."""
    return start


def copy(x: Array) -> Array:
    """A copy in reading order."""
    return x.copy()


def cast(x: Array, dtype: Any) -> Array:
    """The same numbers in another dtype; a copy also if it is the same."""
    return x.astype(dtype)


# ---------------------------------------------------------------- views


def reshape(x: Array, shape: Sequence[int]) -> Array:
    """The same elements in another shape."""
    return x.reshape(tuple(shape))


def transpose(x: Array, axes: Sequence[int] | None = None) -> Array:
    """The axes in another order."""
    return x.transpose(axes)


def expand_dims(x: Array, axis: Any) -> Array:
    """Axes of length 1 put in."""
    return x.expand_dims(axis)


def broadcast_to(x: Array, shape: Sequence[int]) -> Array:
    """Stretched to a shape."""
    return x.broadcast_to(tuple(shape))


def flip(x: Array, axis: Any = None) -> Array:
    """The elements in reverse order along some axes."""
    return x.flip(axis)


# ---------------------------------------------------------------- elements that move


def getitem(x: Array, index: Any) -> Array:
    """x[index]."""
    return get(x, index)


def assign(x: Array, index: Any, value: Any) -> None:
    """x[index] = value, in place."""
    put(x, index, value)


def scatter_add(shape: Sequence[int], index: Any, values: Array) -> Array:
    """Zeros of that shape, with values added at index."""
    return add_at(tuple(shape), index, values)


def concatenate(arrays: Sequence[Array], axis: int = 0) -> Array:
    """Arrays one after the other: one copy for each, into its part of the result."""
    first = arrays[0]
    length = builtins.sum(x.shape[axis] for x in arrays)
    out = CudaArray.new((*first.shape[:axis], length, *first.shape[axis + 1 :]), first.dtype)
    at = 0
    for x in arrays:
        out.cut((*[slice(None)] * axis, slice(at, at + x.shape[axis]))).assign(x)
        at += x.shape[axis]
    return out


def pad(x: Array, widths: Sequence[Pair], constant_values: float = 0) -> Array:
    """A border of a constant around the elements."""
    shape = tuple(n + before + after for n, (before, after) in zip(x.shape, widths))
    out = CudaArray.full(shape, constant_values, x.dtype)
    out.cut(tuple(slice(b, b + n) for n, (b, _) in zip(x.shape, widths))).assign(x)
    return out


# ---------------------------------------------------------------- element by element


def exp(x: Array) -> Array:
    return map_array(functions.exp, x)


def log(x: Array) -> Array:
    return map_array(functions.log, x)


def sqrt(x: Array) -> Array:
    return map_array(functions.sqrt, x)


def sin(x: Array) -> Array:
    return map_array(functions.sin, x)


def cos(x: Array) -> Array:
    return map_array(functions.cos, x)


def tanh(x: Array) -> Array:
    return map_array(functions.tanh, x)


def abs(x: Array) -> Array:
    return map_array(functions.absolute, x)


def sign(x: Array) -> Array:
    return map_array(functions.sign, x)


def sigmoid(x: Array) -> Array:
    return map_array(functions.sigmoid, x)


def relu(x: Array) -> Array:
    return map_array(functions.relu, x)


def relu_backward(y: Array, grad: Array) -> Array:
    return binary(functions.relu_backward, y, grad)


def maximum(a: Any, b: Any) -> Array:
    return binary(functions.maximum, a, b)


def minimum(a: Any, b: Any) -> Array:
    return binary(functions.minimum, a, b)


def power(a: Any, b: Any) -> Array:
    return binary(functions.power, a, b)


def where(condition: Array, a: Any, b: Any) -> Array:
    return select(condition, a, b)


# ---------------------------------------------------------------- many numbers to one


def sum(x: Array, axis: Any = None, keepdims: bool = False) -> Array:
    return reduce_array(SUM, x, axis, keepdims)


def max(x: Array, axis: Any = None, keepdims: bool = False) -> Array:
    return reduce_array(MAX, x, axis, keepdims)


def min(x: Array, axis: Any = None, keepdims: bool = False) -> Array:
    return reduce_array(MIN, x, axis, keepdims)


def argmax(x: Array, axis: int | None = None, keepdims: bool = False) -> Array:
    return first_array(functions.is_larger, x, axis, keepdims)


def argmin(x: Array, axis: int | None = None, keepdims: bool = False) -> Array:
    return first_array(functions.is_smaller, x, axis, keepdims)


def matmul(a: Array, b: Array) -> Array:
    return multiply(a, b)


# ---------------------------------------------------------------- activations, softmax and its losses


def gelu(x: Array) -> tuple[Array, Array]:
    t = tanh(0.7978845608028654 * (x * (1 + 0.044715 * (x * x))))
    half = 0.5 * (1 + t)
    return x * half, half + 0.5 * 0.7978845608028654 * x * (1 - t * t) * (1 + 3 * 0.044715 * (x * x))


def gelu_backward(slope: Array, grad: Array) -> Array:
    return grad * slope


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


def cross_entropy(logits: Array, targets: Array, ignore_index: int, smoothing: float) -> tuple[Array, Array]:
    log_p = log_softmax(logits, 1)
    columns = asarray(np.arange(logits.shape[1]))
    counted = targets != ignore_index
    losses = -sum(where(columns == targets.expand_dims(1), log_p, 0.0), 1)
    if smoothing:
        losses = (1 - smoothing) * losses - (smoothing / logits.shape[1]) * sum(log_p, 1)
    return where(counted, losses, 0.0), exp(log_p)


def cross_entropy_backward(probabilities: Array, targets: Array, grad: Array, ignore_index: int, smoothing: float) -> Array:
    counted = targets != ignore_index
    columns = asarray(np.arange(probabilities.shape[1]))
    result = probabilities - smoothing / probabilities.shape[1] - where(columns == targets.expand_dims(1), 1 - smoothing, probabilities * 0)
    return result * where(counted, grad, 0.0).expand_dims(1)


# ---------------------------------------------------------------- normalisation


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


def layer_norm_backward(y: Array, scale: Array, weight: Array, grad: Array) -> tuple[Array, Array, Array]:
    dx = normalise_backward(y, scale, grad * weight, (1,))
    return dx, sum(grad * y, 0), sum(grad, 0)


def embedding_backward(n_rows: int, indices: Array, grad: Array) -> Array:
    return scatter_add((n_rows, grad.shape[1]), indices, grad)


# ---------------------------------------------------------------- images


def im2col(x: Array, kernel: Pair, stride: Pair, padding: Pair) -> Array:
    n, channels, height, width = x.shape
    out_h = window_count(height, kernel[0], stride[0], padding[0])
    out_w = window_count(width, kernel[1], stride[1], padding[1])
    columns = CudaArray.new((n, channels, kernel[0] * kernel[1], out_h, out_w), x.dtype)
    launch_for_each(im2col_kernel, columns.size, x.dense(), stride, padding, kernel, columns.dense())
    return columns.reshape(n, channels * kernel[0] * kernel[1], out_h * out_w)


def col2im(columns: Array, shape: Sequence[int], kernel: Pair, stride: Pair, padding: Pair) -> Array:
    n, channels, height, width = shape
    out_h = window_count(height, kernel[0], stride[0], padding[0])
    out_w = window_count(width, kernel[1], stride[1], padding[1])
    columns = columns.reshape(n, channels, kernel[0] * kernel[1], out_h, out_w)
    x = CudaArray.new(tuple(shape), columns.dtype)
    launch_for_each(col2im_kernel, x.size, columns.dense(), stride, padding, kernel, x.dense())
    return x


def max_pool2d(x: Array, kernel: Pair, stride: Pair) -> tuple[Array, Array]:
    n, channels, height, width = x.shape
    out_h = window_count(height, kernel[0], stride[0], 0)
    out_w = window_count(width, kernel[1], stride[1], 0)
    out = CudaArray.new((n, channels, out_h, out_w), x.dtype)
    place = CudaArray.new(out.shape, np.int32)
    launch_for_each(max_pool2d_kernel, out.size, x.dense(), stride, kernel, out.dense(), place.dense())
    return out, place


def max_pool2d_backward(place: Array, grad: Array, shape: Sequence[int], kernel: Pair, stride: Pair) -> Array:
    dx = CudaArray.new(tuple(shape), grad.dtype)
    launch_for_each(max_pool2d_backward_kernel, dx.size, place.dense(), grad.dense(), stride, kernel, dx.dense())
    return dx


# ---------------------------------------------------------------- optimisers


def sgd_update(param: Array, grad: Array, velocity: Array | None, lr: float, momentum: float, nesterov: bool, weight_decay: float) -> None:
    f = np.float32
    if velocity is None:
        launch_for_each(sgd, param.size, param.flat, grad.dense(grad.size), f(lr), f(weight_decay))
    else:
        launch_for_each(sgd_momentum, param.size, param.flat, grad.dense(grad.size), velocity.flat, f(lr), f(momentum), f(weight_decay), f(nesterov))


def adam_update(param: Array, grad: Array, m: Array, v: Array, step: int, lr: float, beta1: float, beta2: float, eps: float, weight_decay: float, decoupled: bool) -> None:
    if weight_decay and decoupled:
        param *= 1 - lr * weight_decay
    elif weight_decay:
        grad = grad + weight_decay * param
    m *= beta1
    m += (1 - beta1) * grad
    v *= beta2
    v += (1 - beta2) * (grad * grad)
    root = sqrt(v)
    root *= (1 - beta2**step) ** -0.5
    root += eps
    param -= (lr / (1 - beta1**step)) * m / root


def __getattr__(name: str) -> Any:
    if name.startswith("_"):
        raise AttributeError(name)
    raise NoKernel(name)
