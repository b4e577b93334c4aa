"""The kinds of numbers that tensors hold, and which kind results from two."""

from typing import Any

import numpy as np

float32 = np.dtype(np.float32)
float64 = np.dtype(np.float64)
int32 = np.dtype(np.int32)
int64 = np.dtype(np.int64)
bool_ = np.dtype(np.bool_)

DEFAULT = float32  # of Python floats, and of everything random


def as_dtype(kind: Any) -> np.dtype:
    """The dtype meant by a dtype, a name such as "float32", or one of Python's float, int, bool.

    Python's `float` means float32, as everywhere in this package.

    Raises:
        TypeError: if it is no kind of number.
    """
    if kind is float:
        return DEFAULT
    try:
        dtype = np.dtype(kind)
    except TypeError:
        dtype = None
    if kind is None or dtype is None or dtype.kind not in "fiub":
        raise TypeError(f"{kind!r} is no dtype. There are float32, float64, int32, int64 and bool.")
    return dtype


def is_floating(dtype: np.dtype) -> bool:
    """Whether numbers of this dtype have gradients: real numbers do, integers and booleans do not."""
    return dtype.kind == "f"


def promote(a: np.dtype, b: np.dtype) -> np.dtype:
    """The dtype of `a + b`.

    As in PyTorch, a floating dtype wins over an integer one and keeps its size: int64 and float32
    give float32. (numpy would give float64, and everything after it would take twice the memory.)
    """
    if a == b:
        return a
    if is_floating(a) != is_floating(b):
        return a if is_floating(a) else b
    return np.result_type(a, b)
