"""Sums, maxima, minima along axes: kernels that make one number of many, made from a device function."""

import math
from typing import Any, NamedTuple

import numpy as np
from numba import cuda

from course.cuda import functions
from course.cuda.elementwise import made
from course.cuda.record import THREADS, launch, launch_for_each
from course.cuda.row_reduction import row_kernel
from course.tensor.shapes import normalise_axes


def column_kernel(fn: Any) -> Any:
    """A kernel that combines the middle axis: a thread for each result.

    Threads next to each other take columns next to each other, so that a warp reads neighbours.

    Args:
        fn: a device function of two elements, such as add.

    Returns:
        A kernel (x, start, out): x is (n_outer, length, n_inner), out has one axis with the results
        in reading order.
    """

    @cuda.jit
    def columns(x, start, out):
        i = cuda.grid(1)
        if i < out.size:
            outer, inner = i // x.shape[2], i % x.shape[2]
            total = start
            for k in range(x.shape[1]):
                total = fn(total, x[outer, k, inner])
            out[i] = total

    return columns


def first_kernel(better: Any) -> Any:
    """A kernel that finds where along the middle axis the best element is; of equals, the first.

    Args:
        better: a device function of two elements, which says whether the second is better.

    Returns:
        A kernel (x, out): x is (n_outer, length, n_inner), out has one axis.
    """

    @cuda.jit
    def first(x, out):
        i = cuda.grid(1)
        if i < out.size:
            outer, inner = i // x.shape[2], i % x.shape[2]
            best = 0
            for k in range(1, x.shape[1]):
                if better(x[outer, best, inner], x[outer, k, inner]):
                    best = k
            out[i] = best

    return first


class Reduction(NamedTuple):
    """A function of two elements, and what no elements give."""

    name: str
    fn: Any
    start: float


SUM = Reduction("sum", functions.add, 0)
MAX = Reduction("max", functions.maximum, -np.inf)
MIN = Reduction("min", functions.minimum, np.inf)


def reduce_array(what: Reduction, x: Any, axis: Any, keepdims: bool) -> Any:
    """Combine over one axis, several, or all (None).

    Neighbouring axes are combined at once; of axes that are apart, first the last ones.

    Raises:
        ValueError: for the largest or smallest of no elements.
    """
    axes = sorted(normalise_axes(axis, x.ndim))
    if x.dtype.kind == "b":
        x = x.astype(np.int64)
    if what is not SUM and x.size == 0 and 0 in [x.shape[a] for a in axes]:
        raise ValueError(f"the {what.name} of no numbers: shape {x.shape}, axes {tuple(axes)}")
    result = x
    end = len(axes)
    while end > 0:
        start = end - 1
        while start > 0 and axes[start - 1] == axes[start] - 1:
            start -= 1
        result = combine(what, result, axes[start], axes[end - 1] + 1)
        end = start
    kept = tuple(1 if a in axes else n for a, n in enumerate(x.shape))
    return result.reshape(
        kept if keepdims else tuple(n for a, n in enumerate(x.shape) if a not in axes)
    )


def combine(what: Reduction, x: Any, first: int, last: int) -> Any:
    """Combine over the axes from first to before last, which stay with length 1."""
    before, between, after = x.shape[:first], x.shape[first:last], x.shape[last:]
    outer, length, inner = math.prod(before), math.prod(between), math.prod(after)
    out = x.new((*before, *[1] * len(between), *after), x.dtype)
    start = start_of(what, x.dtype)
    if inner == 1 and x.dtype == np.float32:
        kernel = named(row_kernel, what)
        launch(kernel, outer, THREADS, x.dense(outer, length), start, out.flat)
    else:
        kernel = named(column_kernel, what)
        launch_for_each(kernel, out.size, x.dense(outer, length, inner), start, out.flat)
    return out


def start_of(what: Reduction, dtype: np.dtype) -> Any:
    """What no elements give, in a dtype."""
    if dtype.kind == "f" or what is SUM:
        return dtype.type(what.start)
    limits = np.iinfo(dtype)
    return dtype.type(limits.min if what is MAX else limits.max)


def reduction(what: Reduction) -> Any:
    """A function of the table: it combines over one axis, several, or all."""

    def function(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        return reduce_array(what, x, axis, keepdims)

    return function


def first_place(better: Any) -> Any:
    """A function of the table: where along an axis the best element is; without an axis, as if flattened."""

    def function(x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
        kept = (1,) * x.ndim if axis is None else (*x.shape[:axis], 1, *x.shape[axis + 1 :])
        if axis is None:
            x, axis = x.reshape(-1), 0
        outer, inner = math.prod(x.shape[:axis]), math.prod(x.shape[axis + 1 :])
        out = x.new((*x.shape[:axis], *x.shape[axis + 1 :]), np.int64)
        kernel, columns = made(first_kernel, better), x.dense(outer, x.shape[axis], inner)
        launch_for_each(kernel, out.size, columns, out.flat)
        return out.reshape(kept) if keepdims else out

    return function


def named(factory: Any, what: Reduction) -> Any:
    """The factory's kernel, with a name that says what it does: "sum rows"."""
    return made(factory, what.fn, f"{what.name} {factory.__name__.removesuffix('_kernel')}s")
