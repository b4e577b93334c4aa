"""Kernels that move numbers and compute nothing."""

from typing import Any

from numba import cuda

from course.cuda.record import launch_for_each
from course.cuda.strided import merged, place, position


@cuda.jit
def fill(value, out):
    """out[i] = value for each i. out has one axis."""
    i = cuda.grid(1)
    if i < out.size:
        out[i] = value


@cuda.jit
def move(x, x_strides, x_offset, out, out_strides, out_offset, shape, n):
    """Each element of a view goes to the same index of another view of the same shape, in its dtype.

    One kernel for many things: a copy into reading order, x[2:5] = y, a border around an image, arrays that
    are joined, another dtype.

    Args:
        x: a buffer, read as a view of x_strides and x_offset.
        x_strides: a tuple.
        x_offset: where the view's first element lies.
        out: a buffer, written as a view of out_strides and out_offset. No two of its elements may lie in
            one place.
        out_strides: a tuple.
        out_offset: where the view's first element lies.
        shape: of both views.
        n: how many elements they have.
    """
    i = cuda.grid(1)
    if i < n:
        value = x[position(i, shape, x_strides, x_offset)]
        out[position(i, shape, out_strides, out_offset)] = value


@cuda.jit
def gather(x, places, out):
    """out[i] = x[places[i]] for each i. All have one axis."""
    i = cuda.grid(1)
    if i < out.size:
        out[i] = x[places[i]]


@cuda.jit
def scatter(values, places, x):
    """x[places[i]] = values[i] for each i, in place. No place may come twice."""
    i = cuda.grid(1)
    if i < values.size:
        x[places[i]] = values[i]


@cuda.jit
def scatter_add(values, places, x):
    """x[places[i]] += values[i] for each i, in place. A place that comes twice gets both."""
    i = cuda.grid(1)
    if i < values.size:
        cuda.atomic.add(x, places[i], values[i])


def move_array(x: Any, out: Any) -> None:
    """Write x's elements into out, of the same shape, whatever their layouts and dtypes."""
    shape, (strides, out_strides) = merged([x.layout, out.layout])
    places = (*place(x, strides), *place(out, out_strides))
    launch_for_each(move, x.size, *places, shape, x.size)
