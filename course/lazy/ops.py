"""The table of array functions of the device "lazy": the CPU's own, on lazy arrays.

Most of numpy_ops is written with numpy's functions, and numpy asks a lazy array what to do. So those
are taken over as they are. What stands here writes into arrays, or picks elements one by one.
"""

from typing import Any

import numpy as np

from course.lazy.array import LazyArray, arange, as_lazy, call_at_once, full
from course.tensor import numpy_ops
from course.tensor.devices import get_device

Array = Any  # a LazyArray; numpy_ops, which is used here, says ndarray


def asarray(data: Any, dtype: Any = None) -> Array:
    """A lazy array of numbers; an array of numpy's is copied, as its owner may change it."""
    if isinstance(data, LazyArray):
        return as_lazy(data, dtype)
    return as_lazy(np.array(data, dtype))


def to_numpy(array: Array) -> np.ndarray:
    """Compute the array, and copy it out."""
    return array.numpy()


def zeros(shape: Any, dtype: Any) -> Array:
    """Zeros, which take no memory."""
    return full(shape, 0, dtype)


def ones(shape: Any, dtype: Any) -> Array:
    """Ones, which take no memory."""
    return full(shape, 1, dtype)


def counter(start: int, dtype: Any) -> Array:
    """A number that is counted up, in memory: a replay goes on counting. Python's would be a constant."""
    return as_lazy(np.array(start, np.result_type(dtype, np.float32)))  # float16 counts to 2048


def assign(x: Array, index: Any, value: Any) -> None:
    """x[index] = value, in place: for whoever holds x."""

    def written(x: np.ndarray, value: Any) -> np.ndarray:
        x = x.copy()
        x[index] = value
        return x

    x.assign(call_at_once(written, x, value))


def _at_once(name: str) -> Any:
    # numpy_ops' function, or the compiled one if these are switched on
    function = getattr(get_device("cpu").ops, name)

    def run(*args: Any, **options: Any) -> Any:
        return call_at_once(function, *args, **options)

    run.__name__ = name
    run.__doc__ = function.__doc__
    return run


def cross_entropy(
    logits: Array, targets: Array, ignore_index: int, smoothing: float
) -> tuple[Array, Array]:
    """As numpy_ops says. The target's logarithm is chosen by comparing positions, not by an index."""
    log_p = numpy_ops.log_softmax(logits, 1)
    counted = targets != ignore_index
    losses = -np.where(_is_target(log_p, targets), log_p, log_p.dtype.type(0)).sum(1)
    if smoothing:
        losses = (1 - smoothing) * losses - smoothing * log_p.mean(1)
    return np.where(counted, losses, losses.dtype.type(0)), np.exp(log_p)


def cross_entropy_backward(
    probabilities: Array, targets: Array, grad: Array, ignore_index: int, smoothing: float
) -> Array:
    """As numpy_ops says: probability minus target."""
    n_classes = probabilities.shape[1]
    right = _is_target(probabilities, targets) * probabilities.dtype.type(1 - smoothing)
    result = probabilities - probabilities.dtype.type(smoothing / n_classes) - right
    return result * np.where(targets != ignore_index, grad, grad.dtype.type(0))[:, None]


def _is_target(x: Array, targets: Array) -> Array:
    """For each element of a row, whether it stands at the row's target."""
    return arange(x.shape, 1) == targets[:, None]


_AT_ONCE = [
    "argmax", "argmin", "concatenate", "pad", "scatter_add", "embedding_backward", "im2col", "col2im",
    "max_pool2d", "max_pool2d_backward",
]  # fmt: skip
__all__ = list(numpy_ops.__all__)


def __getattr__(name: str) -> Any:
    """The functions that are taken over: looked up anew each time, as a student may put in their own."""
    if name in _AT_ONCE:
        return _at_once(name)
    if name in numpy_ops.__all__:
        return getattr(numpy_ops, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
