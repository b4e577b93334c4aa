"""x[index] and x[index] = value, by numpy's rules."""

from typing import Any

import numpy as np

from course.cuda.embedding import embedding
from course.cuda.move import gather, scatter, scatter_add
from course.cuda.record import launch_for_each


def get(x: Any, index: Any) -> Any:
    """x[index]: a view for integers and slices; for arrays of indices and masks, an array of its own."""
    index = as_tuple(index)
    if is_basic(index):
        return x.cut(index)
    rows = row_numbers(x, index)
    if rows is not None:
        out = x.new((*rows.shape, *x.shape[1:]), x.dtype)
        n, width = rows.size, out.size // max(rows.size, 1)
        launch_for_each(embedding, out.size, x.dense(len(x), width), rows.flat, out.dense(n, width))
        return out
    places = places_of(x, index)
    out = x.new(places.shape, x.dtype)
    launch_for_each(gather, out.size, x.buffer.data, places.flat, out.flat)
    return out


def put(x: Any, index: Any, value: Any) -> None:
    """x[index] = value, in place."""
    index = as_tuple(index)
    if is_basic(index):
        x.cut(index).assign(value)
        return
    places = places_of(x, index)
    values = x.new(places.shape, x.dtype)
    values.assign(value)
    x.buffer.bounds = None
    launch_for_each(scatter, values.size, values.flat, places.flat, x.buffer.data)


def add_at(shape: Any, index: Any, values: Any) -> Any:
    """Zeros of a shape, with values added at an index: where it names a place twice, both."""
    x = values.full(tuple(shape), 0, values.dtype)
    places = places_of(x, as_tuple(index))
    launch_for_each(scatter_add, values.size, values.contiguous().flat, places.flat, x.flat)
    return x


def as_tuple(index: Any) -> tuple:
    """The index as a tuple with a part for each axis."""
    return index if isinstance(index, tuple) else (index,)


def is_basic(index: tuple) -> bool:
    """Whether a view is enough."""
    return all(
        part is None
        or part is Ellipsis
        or (isinstance(part, int | slice) and not isinstance(part, bool))
        for part in index
    )


def row_numbers(x: Any, index: tuple) -> Any:
    """If whole rows are chosen by integers: which, on the device. Else None.

    Integers that are on the device already serve if the host knows their bounds: else they might be negative, or
    name a row that is not there.
    """
    if len(index) != 1 or not x.shape or index[0] is Ellipsis:
        return None
    rows = index[0]
    if isinstance(rows, type(x)):
        bounds = rows.buffer.bounds
        return rows if bounds and bounds[0] >= 0 and bounds[1] < len(x) else None
    if rows.dtype.kind not in "iu" or not rows.size:
        return None
    if not -len(x) <= rows.min() <= rows.max() < len(x):
        raise IndexError(f"indices from {rows.min()} to {rows.max()} in an axis of length {len(x)}")
    return x.from_numpy(rows % len(x))


def places_of(x: Any, index: tuple) -> Any:
    """Where in x's buffer the chosen elements lie, an array of the result's shape.

    The host works it out: how many elements a mask chooses decides the result's shape, and shapes are on the
    host. So indices that are on the device are copied here, and the places there.
    """
    index = tuple(part.numpy() if isinstance(part, type(x)) else part for part in index)
    return x.from_numpy(np.asarray(x.layout.positions()[index]))
