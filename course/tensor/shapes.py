"""Shapes: which ones go together, what broadcasting stretches, and how to take it back."""

from collections.abc import Sequence
from typing import Any

Shape = tuple[int, ...]


def broadcast_shapes(*shapes: Shape) -> Shape:
    """The shape that arrays of these shapes have together, by numpy's rule of broadcasting.

    Shapes are compared from their last axis to the first. On each axis the lengths must be equal,
    or 1: a length of 1 is stretched to the others'. Missing axes in front count as 1.

        (2, 3) and (3,)      give (2, 3)
        (2, 1) and (1, 3)    give (2, 3)
        (0, 3) and (1, 3)    give (0, 3)

    Args:
        shapes: tuples of lengths; none at all gives ().

    Returns:
        A tuple of lengths.

    Raises:
        ValueError: if two lengths on an axis differ and neither is 1. It names the shapes.
    """
    n_axes = max((len(shape) for shape in shapes), default=0)
    result = [1] * n_axes
    for shape in shapes:
        offset = n_axes - len(shape)
        for i, length in enumerate(shape):
            axis = offset + i
            if result[axis] == 1:
                result[axis] = length
            elif length not in (1, result[axis]):
                raise ValueError(
                    f"shapes {' and '.join(map(str, shapes))} do not broadcast: "
                    f"on axis {axis - n_axes}, the lengths {result[axis]} and {length} differ, "
                    "and neither is 1"
                )
    return tuple(result)


def unbroadcast(grad: Any, shape: Shape) -> Any:
    """Sum a gradient over everything that broadcasting had stretched: the way back.

    A number that was used n times by stretching gets the sum of n shares, like any other number
    that is used n times.

    Args:
        grad: an array of the shape after broadcasting.
        shape: the shape before broadcasting.

    Returns:
        An array of that shape.

    Raises:
        ValueError: if `shape` could not have been stretched to the gradient's shape.
    """
    if grad.shape == shape:
        return grad
    added = grad.ndim - len(shape)
    if added < 0 or any(
        length not in (1, stretched) for length, stretched in zip(shape, grad.shape[added:])
    ):
        raise ValueError(f"a gradient of shape {grad.shape} does not fit a tensor of shape {shape}")
    stretched_axes = tuple(
        added + axis
        for axis, length in enumerate(shape)
        if length == 1 and grad.shape[added + axis] != 1
    )
    return grad.sum(axis=tuple(range(added)) + stretched_axes).reshape(shape)


def normalise_axis(axis: int, n_axes: int, what: str = "axis") -> int:
    """An axis counted from the front: -1 is the last one.

    Raises:
        IndexError: if there is no such axis.
        TypeError: if it is not an integer.
    """
    try:
        i = axis.__index__()
    except AttributeError:
        raise TypeError(f"{what} must be an integer, and is {axis!r}") from None
    if not -n_axes <= i < n_axes:
        there_are = f"the axes are {-n_axes} to {n_axes - 1}" if n_axes else "it has no axes"
        raise IndexError(f"there is no {what} {axis} in a tensor of {n_axes} axes: {there_are}")
    return i % n_axes


def normalise_axes(axis: int | Sequence[int] | None, n_axes: int) -> tuple[int, ...]:
    """All axes that are meant, counted from the front: None means all of them.

    Raises:
        IndexError: if one of them does not exist.
        ValueError: if one is named twice.
    """
    if axis is None:
        return tuple(range(n_axes))
    if not isinstance(axis, Sequence):
        return (normalise_axis(axis, n_axes),)
    axes = tuple(normalise_axis(a, n_axes) for a in axis)
    if len(set(axes)) != len(axes):
        raise ValueError(f"axes {tuple(axis)} name the same axis twice")
    return axes


def as_shape(*lengths: Any) -> Shape:
    """A shape from `f(2, 3)` or from `f((2, 3))`.

    Raises:
        TypeError: if a length is not an integer.
    """
    if len(lengths) == 1 and isinstance(lengths[0], Sequence):
        lengths = tuple(lengths[0])
    try:
        return tuple([length.__index__() for length in lengths])
    except AttributeError:
        raise TypeError(f"a shape is made of integers, and this one is {lengths}") from None


def fill_in_shape(shape: Shape, size: int) -> Shape:
    """The shape with its one -1 replaced by what is left for it.

    Args:
        shape: lengths, of which one may be -1.
        size: how many elements there are.

    Raises:
        ValueError: if the elements do not fit into the shape.
    """
    known = 1
    for length in shape:
        if length != -1:
            known *= length
    if shape.count(-1) == 1 and known > 0 and size % known == 0:
        shape = tuple(size // known if length == -1 else length for length in shape)
    elif known != size or min(shape, default=0) < 0:
        raise ValueError(f"{size} elements do not fit into shape {shape}")
    return shape
