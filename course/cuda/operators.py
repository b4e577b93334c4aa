"""Operators of arrays on the device: each is one launch of one kernel."""

from typing import Any

import numpy as np

from course.cuda import functions
from course.cuda.elementwise import map_array, zip_arrays
from course.cuda.errors import HIDDEN_COPY, NoKernel
from course.tensor.dtypes import promote
from course.tensor.shapes import broadcast_shapes

BOOL = np.dtype(bool)
FLOAT = np.dtype(np.float32)
INT = np.dtype(np.int64)


class Operators:
    """What a CudaArray can do with + and >. Numbers take on the array's dtype, as in numpy."""

    __slots__ = ()
    __hash__ = object.__hash__

    def __add__(self, other: Any) -> Any:
        return binary(functions.add, self, other)

    def __sub__(self, other: Any) -> Any:
        return binary(functions.subtract, self, other)

    def __mul__(self, other: Any) -> Any:
        return binary(functions.multiply, self, other)

    def __truediv__(self, other: Any) -> Any:
        return binary(functions.divide, self, other)

    def __pow__(self, other: Any) -> Any:
        return binary(functions.power, self, other)

    def __radd__(self, other: Any) -> Any:
        return binary(functions.add, other, self)

    def __rsub__(self, other: Any) -> Any:
        return binary(functions.subtract, other, self)

    def __rmul__(self, other: Any) -> Any:
        return binary(functions.multiply, other, self)

    def __rtruediv__(self, other: Any) -> Any:
        return binary(functions.divide, other, self)

    def __rpow__(self, other: Any) -> Any:
        return binary(functions.power, other, self)

    def __iadd__(self, other: Any) -> Any:
        return in_place(functions.add, self, other)

    def __isub__(self, other: Any) -> Any:
        return in_place(functions.subtract, self, other)

    def __imul__(self, other: Any) -> Any:
        return in_place(functions.multiply, self, other)

    def __itruediv__(self, other: Any) -> Any:
        return in_place(functions.divide, self, other)

    def __neg__(self) -> Any:
        return map_array(functions.negative, self)

    def __abs__(self) -> Any:
        return map_array(functions.absolute, self)

    def __invert__(self) -> Any:
        return map_array(functions.logical_not, self)

    def __eq__(self, other: object) -> Any:
        return binary(functions.equal, self, other, BOOL)

    def __ne__(self, other: object) -> Any:
        return binary(functions.not_equal, self, other, BOOL)

    def __lt__(self, other: Any) -> Any:
        return binary(functions.less, self, other, BOOL)

    def __le__(self, other: Any) -> Any:
        return binary(functions.less_equal, self, other, BOOL)

    def __gt__(self, other: Any) -> Any:
        return binary(functions.less, other, self, BOOL)

    def __ge__(self, other: Any) -> Any:
        return binary(functions.less_equal, other, self, BOOL)

    def __and__(self, other: Any) -> Any:
        return binary(functions.logical_and, self, other)

    def __or__(self, other: Any) -> Any:
        return binary(functions.logical_or, self, other)

    def __xor__(self, other: Any) -> Any:
        return binary(functions.logical_xor, self, other)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        """numpy asks this if one of its numbers is on the left: np.float32(2) * x."""
        name = UFUNCS.get(ufunc.__name__)
        if name is None or method != "__call__" or options:
            raise NoKernel(ufunc.__name__)
        return getattr(inputs[1], name)(inputs[0])


UFUNCS = {
    "add": "__radd__", "subtract": "__rsub__", "multiply": "__rmul__", "divide": "__rtruediv__",
    "power": "__rpow__", "equal": "__eq__", "not_equal": "__ne__", "less": "__gt__",
    "less_equal": "__ge__", "greater": "__lt__", "greater_equal": "__le__",
}  # fmt: skip


def binary(fn: Any, a: Any, b: Any, dtype: Any = None) -> Any:
    """fn of two elements at a time, with broadcasting, in an array of its own.

    Args:
        fn: a device function.
        a: an array or a number.
        b: an array or a number; one of the two is an array.
        dtype: of the result; by default the one that both have together.
    """
    a, b = operands(a, b)
    out = a.new(a.shape, dtype or a.dtype)
    zip_arrays(fn, a, b, out)
    return out


def in_place(fn: Any, x: Any, other: Any) -> Any:
    """x becomes fn(x, other), for whoever shares its numbers; a constant is left as it is."""
    if x.buffer.is_constant:
        return binary(fn, x, other)
    _, other = operands(x, other)
    if other.shape != x.shape:
        raise ValueError(f"shape {other.shape} does not fit an array of shape {x.shape}")
    if other.dtype != x.dtype:
        raise TypeError(f"an array of {x.dtype} cannot become {other.dtype} in place")
    if not x.layout.is_contiguous:
        x.assign(binary(fn, x, other))
        return x
    if other.buffer is x.buffer and other.layout != x.layout:
        other = other.copy()  # no thread may read what another has already overwritten
    x.buffer.bounds = None
    zip_arrays(fn, x, other, x)
    return x


def operands(a: Any, b: Any) -> tuple[Any, Any]:
    """Both sides of an operation as arrays of one shape and dtype.

    Raises:
        TypeError: if one of them is an array on the host.
    """
    a, b = as_array(a, b), as_array(b, a)
    if a.dtype != b.dtype:
        dtype = promote(a.dtype, b.dtype)
        a, b = (x if x.dtype == dtype else x.astype(dtype) for x in (a, b))
    if a.shape != b.shape:
        shape = broadcast_shapes(a.shape, b.shape)
        a, b = a.broadcast_to(shape), b.broadcast_to(shape)
    return a, b


def as_array(x: Any, other: Any) -> Any:
    """An array as it is; a number as a constant of the other's dtype, or of float32 beside integers."""
    if isinstance(x, Operators):
        return x
    if isinstance(x, np.ndarray) and x.ndim:
        raise TypeError(HIDDEN_COPY)
    dtype = other.dtype
    if isinstance(x, float | np.floating) and dtype.kind != "f":
        dtype = FLOAT
    elif dtype == BOOL and not isinstance(x, bool | np.bool_):
        dtype = INT
    return other.constant(x.item() if isinstance(x, np.generic | np.ndarray) else x, dtype)


def unary(fn: Any) -> Any:
    """A function of the table: fn of each element of an array."""
    return named(lambda x: map_array(fn, x), fn)


def pairwise(fn: Any) -> Any:
    """A function of the table: fn of two elements at a time, of arrays or numbers."""
    return named(lambda a, b: binary(fn, a, b), fn)


def named(function: Any, fn: Any) -> Any:
    """The function, with the name and the docstring of a device function."""
    function.__name__, function.__doc__ = fn.__name__, fn.__doc__
    return function
