"""A choice between two arrays, element by element."""

from typing import Any

import numpy as np
from numba import cuda

from course.cuda.operators import as_array, operands
from course.cuda.record import launch_for_each
from course.cuda.strided import merged, place, position
from course.tensor.shapes import broadcast_shapes


@cuda.jit
def choose(mask, m_strides, m_offset, a, a_strides, a_offset, b, b_strides, b_offset, shape, out):
    """out[i] = a[i] if mask[i] else b[i] for each element i, in reading order; all are read as views.

    Only the one that is chosen is read.
    """
    i = cuda.grid(1)
    if i < out.size:
        if mask[position(i, shape, m_strides, m_offset)]:
            out[i] = a[position(i, shape, a_strides, a_offset)]
        else:
            out[i] = b[position(i, shape, b_strides, b_offset)]


def select(condition: Any, a: Any, b: Any) -> Any:
    """a where the condition holds, b elsewhere, with broadcasting; a and b may be numbers."""
    if not hasattr(a, "layout") and not hasattr(b, "layout"):
        dtype = np.float32 if isinstance(a, float) or isinstance(b, float) else np.int64
        a = condition.constant(a, dtype)
    a, b = operands(as_array(a, b), as_array(b, a))
    shape = broadcast_shapes(condition.shape, a.shape)
    arrays = [x.broadcast_to(shape) for x in (condition, a, b)]
    out = a.new(shape, a.dtype)
    shape, strides = merged([x.layout for x in arrays])
    places = [part for x, s in zip(arrays, strides) for part in place(x, s)]
    launch_for_each(choose, out.size, *places, shape, out.flat)
    return out
