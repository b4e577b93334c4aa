"""Kernels that treat each element by itself, made from a device function.

Two factories make all of them. The function says what is done with an element, the factory which thread
does it and where it finds its numbers.
"""

from collections.abc import Callable
from typing import Any

from numba import cuda

from course.cuda.record import launch_for_each
from course.cuda.strided import merged, place, position


def map_kernel(fn: Any) -> Any:
    """A kernel that computes out[i] = fn(x[i]) for each element i of x, in reading order.

    Args:
        fn: a device function of one element.

    Returns:
        A kernel (x, strides, offset, shape, out). x is a buffer, of which shape, strides and offset make a
        view (see `position`). out has one axis and an element for each of the view; it is the guard.
    """

    @cuda.jit
    def kernel(x, strides, offset, shape, out):
        i = cuda.grid(1)
        if i < out.size:
            out[i] = fn(x[position(i, shape, strides, offset)])

    return kernel


def zip_kernel(fn: Any) -> Any:
    """A kernel that computes out[i] = fn(a[i], b[i]) for each element i, in reading order.

    Args:
        fn: a device function of two elements.

    Returns:
        A kernel (a, a_strides, a_offset, b, b_strides, b_offset, shape, out). a and b are buffers, read as
        views of one shape. out has one axis and an element for each of the view.
    """

    @cuda.jit
    def kernel(a, a_strides, a_offset, b, b_strides, b_offset, shape, out):
        i = cuda.grid(1)
        if i < out.size:
            x = a[position(i, shape, a_strides, a_offset)]
            y = b[position(i, shape, b_strides, b_offset)]
            out[i] = fn(x, y)

    return kernel


_made: dict[tuple[Any, Any], Any] = {}


def made(factory: Callable[[Any], Any], fn: Any, name: str = "") -> Any:
    """The factory's kernel for a device function: made once, and named after the function."""
    if (factory, fn) not in _made:
        kernel = _made[factory, fn] = factory(fn)
        kernel.__name__ = name or fn.__name__
    return _made[factory, fn]


def map_array(fn: Any, x: Any, dtype: Any = None) -> Any:
    """fn of each element, in an array of its own.

    Args:
        fn: a device function of one element.
        x: a CudaArray.
        dtype: of the result; x's own by default.
    """
    out = x.new(x.shape, dtype or x.dtype)
    shape, (strides,) = merged([x.layout])
    launch_for_each(made(map_kernel, fn), x.size, *place(x, strides), shape, out.flat)
    return out


def zip_arrays(fn: Any, a: Any, b: Any, out: Any) -> None:
    """fn of two elements at a time.

    Args:
        fn: a device function of two elements.
        a: a CudaArray.
        b: a CudaArray of the same shape.
        out: a contiguous CudaArray of this shape, which gets the result. It may be a or b.
    """
    shape, (a_strides, b_strides) = merged([a.layout, b.layout])
    places = (*place(a, a_strides), *place(b, b_strides))
    launch_for_each(made(zip_kernel, fn), out.size, *places, shape, out.flat)
