"""The table of array functions of the device "cuda": each is a launch of a kernel, or a few.

The names and what they mean are `course.tensor.numpy_ops`'s. Nothing here computes on the processor: what
has no kernel is refused, by its name.
"""

import builtins
from collections.abc import Sequence
from typing import Any

import numpy as np

from course.cuda import functions
from course.cuda.array import CudaArray
from course.cuda.convolution import col2im, im2col, max_pool2d, max_pool2d_backward
from course.cuda.errors import NoKernel
from course.cuda.indexing import add_at, get, put
from course.cuda.layers import (
    causal_softmax,
    cross_entropy,
    cross_entropy_backward,
    embedding_backward,
    gelu,
    layer_norm,
    layer_norm_backward,
    log_softmax,
    log_softmax_backward,
    normalise,
    normalise_backward,
    score_gradients,
    softmax,
    softmax_backward,
)
from course.cuda.operators import pairwise, unary
from course.cuda.optimisers import adam_update, sgd_update
from course.cuda.products import multiply
from course.cuda.reductions import MAX, MIN, SUM, first_place, reduction
from course.cuda.select import select

__all__ = [  # noqa: RUF022  (in the order of numpy_ops)
    "abs", "argmax", "argmin", "broadcast_to", "concatenate", "cos", "exp", "expand_dims", "flip",
    "log", "matmul", "maximum", "minimum", "pad", "power", "sign", "sin", "sqrt", "tanh",
    "transpose", "where", "asarray", "to_numpy", "zeros", "ones", "counter", "copy", "cast",
    "reshape", "getitem", "assign", "scatter_add", "sum", "max", "min", "sigmoid", "relu",
    "relu_backward", "gelu", "gelu_backward", "softmax", "softmax_backward", "log_softmax",
    "log_softmax_backward", "cross_entropy", "cross_entropy_backward", "normalise",
    "normalise_backward", "layer_norm", "layer_norm_backward", "embedding_backward",
    "causal_softmax", "score_gradients", "im2col", "col2im", "max_pool2d", "max_pool2d_backward", "sgd_update", "adam_update",
]  # fmt: skip

Array = CudaArray
Pair = tuple[int, int]

# ---------------------------------------------------------------- kernels from a device function

abs = unary(functions.absolute)
cos = unary(functions.cos)
exp = unary(functions.exp)
log = unary(functions.log)
relu = unary(functions.relu)
sigmoid = unary(functions.sigmoid)
sign = unary(functions.sign)
sin = unary(functions.sin)
sqrt = unary(functions.sqrt)
tanh = unary(functions.tanh)

gelu_backward = pairwise(functions.multiply)  # slope * grad
maximum = pairwise(functions.maximum)
minimum = pairwise(functions.minimum)
power = pairwise(functions.power)
relu_backward = pairwise(functions.relu_backward)

sum = reduction(SUM)
max = reduction(MAX)
min = reduction(MIN)
argmax = first_place(functions.is_larger)
argmin = first_place(functions.is_smaller)

# ---------------------------------------------------------------- kernels with a module of their own

where = select
getitem = get
assign = put
scatter_add = add_at

# ---------------------------------------------------------------- views: no kernel

reshape = CudaArray.reshape
transpose = CudaArray.transpose
expand_dims = CudaArray.expand_dims
broadcast_to = CudaArray.broadcast_to
flip = CudaArray.flip

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


def matmul(a: Array, b: Array) -> Array:
    """a @ b, by numpy's rules; of real numbers only."""
    if a.dtype != np.float32 or b.dtype != np.float32:
        raise NoKernel(f"matmul of {a.dtype} and {b.dtype}")
    return multiply(a, b)


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


def __getattr__(name: str) -> Any:
    if name.startswith("_"):
        raise AttributeError(name)
    raise NoKernel(name)
