"""From a number to an element: how a kernel finds its way in a view.

A thread knows only its own number, i. In a view, element number i (in reading order) lies where the
layout says: offset + the sum of index times stride (see `course.tensor.layout`).
"""

from collections.abc import Sequence
from typing import Any

from numba import cuda

from course.tensor.layout import Layout

AXES = 4
"""As many axes as kernels get, whatever the array has: each other number is another kernel to compile."""


@cuda.jit(device=True)
def position(i, shape, strides, offset):
    """Where in the buffer element number i of a view lies; elements are counted in reading order.

    The last axis is the fastest: along it, the index is i modulo its length, and what is left, i divided by
    its length, is a number in the axes before it.

        position(4, (2, 3), (3, 1), 0) = 1 * 3 + 1  rows of 3: element 4 is [1, 1]
        position(4, (3, 2), (1, 3), 0) = 2 + 0 * 3  its transpose, rows of 2: element 4 is [2, 0]
        position(5, (2, 3), (0, 1), 7) = 7 + 2      a row, stretched downwards

    Args:
        i: from 0 to the number of elements - 1.
        shape: a tuple with the length of each axis; at least one.
        strides: a tuple, for each axis how far apart neighbours lie. May be 0 or negative.
        offset: where element 0 lies.
    """
    axis = len(shape) - 1
    while axis > 0 and i >= shape[axis]:  # an i below the length is an index itself: no division
        offset += i % shape[axis] * strides[axis]
        i //= shape[axis]
        axis -= 1
    return offset + i * strides[axis]


def merged(layouts: Sequence[Layout]) -> tuple[tuple[int, ...], list[tuple[int, ...]]]:
    """The same elements in the same order, with as few axes as possible: fewer divisions for each thread.

    Two neighbouring axes are one if in every layout a step on the first goes as far as a whole round on the
    second. Contiguous arrays end up with one axis. Axes of length 1 vanish; in front some are
    put in, until there are AXES (or twice as many).

    Args:
        layouts: of one shape.

    Returns:
        The shape, and the strides of each.
    """
    shape = layouts[0].shape
    axes: list[tuple[int, tuple[int, ...]]] = []  # length and strides of each, the last one first
    for length, *strides in reversed(list(zip(shape, *[x.strides for x in layouts]))):
        if length == 1:
            continue
        if axes:
            n, inner = axes[-1]
            if all(outer == n * step for outer, step in zip(strides, inner)):
                axes[-1] = (n * length, inner)
                continue
        axes.append((length, tuple(strides)))
    n_axes = AXES if len(axes) <= AXES else 2 * AXES
    axes += [(1, (0,) * len(layouts))] * (n_axes - len(axes))
    axes.reverse()
    return tuple(n for n, _ in axes), [tuple(s[k] for _, s in axes) for k in range(len(layouts))]


def place(array: Any, strides: tuple[int, ...]) -> tuple[Any, tuple[int, ...], int]:
    """What a kernel needs to read an array: its buffer, strides and offset."""
    return array.buffer.data, strides, array.layout.offset
