"""Layouts: how numbers that lie in a row are read as an array of some shape.

Memory has no rows and columns, only addresses, one after the other. An array is a row of numbers
(its *buffer*) and a layout: the shape, and for each axis a *stride*, how far apart neighbours on
that axis lie. Most changes of shape only change the layout. Numpy counts strides in bytes, we count
them in numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from course.tensor.shapes import Shape, broadcast_shapes


def contiguous_strides(shape: Shape) -> tuple[int, ...]:
    """The strides of an array whose numbers lie in reading order, with no gaps.

    On the last axis neighbours lie side by side. On each axis before it, they lie as far apart as a
    whole step takes there: as many numbers as the axes behind it have together.

        (2, 3)      gives (3, 1)
        (4, 2, 3)   gives (6, 3, 1)
        ()          gives ()

    Args:
        shape: a tuple of lengths.

    Returns:
        A tuple with a stride for each axis, counted in numbers.
    """
    strides = []
    step = 1
    for length in reversed(shape):
        strides.append(step)
        step *= length
    return tuple(reversed(strides))


@dataclass(frozen=True)
class Layout:
    """A way to read a buffer as an array. Layouts are never changed: methods return new ones.

    Attributes:
        shape: the length of each axis.
        strides: for each axis, how far apart neighbours lie in the buffer; may be 0 or negative.
        offset: where the element with index (0, 0, ...) lies.
    """

    shape: Shape
    strides: tuple[int, ...]
    offset: int = 0

    @classmethod
    def contiguous(cls, shape: Shape) -> "Layout":
        """The layout of numbers in reading order, beginning at 0."""
        return cls(tuple(shape), contiguous_strides(tuple(shape)))

    @property
    def size(self) -> int:
        """How many elements the array has."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def is_contiguous(self) -> bool:
        """Whether the elements lie in reading order, with no gaps.

        The stride of an axis with one element is never used, so it may be anything; an array without
        elements has nothing out of order.
        """
        pairs = zip(self.shape, self.strides, contiguous_strides(self.shape))
        in_order = all(length == 1 or stride == expected for length, stride, expected in pairs)
        return self.size == 0 or in_order

    def position(self, index: Sequence[int]) -> int:
        """Where in the buffer an element lies: offset + the sum of index times stride on each axis.

        Args:
            index: one number for each axis, from 0 to the axis's length - 1.

        Raises:
            IndexError: if there are more or fewer numbers than axes, or one is outside of its axis.
        """
        if len(index) != len(self.shape):
            raise IndexError(f"{len(index)} indices for {len(self.shape)} axes")
        position = self.offset
        for i, length, stride in zip(index, self.shape, self.strides):
            if not 0 <= i < length:
                raise IndexError(f"index {tuple(index)} is outside of shape {self.shape}")
            position += i * stride
        return position

    def positions(self) -> Any:
        """All positions at once, as a numpy array of the layout's shape."""
        total = np.array(self.offset)
        for length, stride in zip(self.shape, self.strides):
            total = np.expand_dims(total, -1) + np.arange(length) * stride
        return total

    def read(self, buffer: Any) -> Any:
        """The array that this layout makes of a buffer (a row of numbers), as a copy."""
        return np.asarray(buffer)[self.positions()]

    def permute(self, order: Sequence[int]) -> "Layout":
        """The axes in another order: axis i of the result is axis order[i] of this one.

        Args:
            order: each axis once, such as (1, 0) to turn a matrix round.

        Raises:
            ValueError: if it does not name each axis once.
        """
        if sorted(order) != list(range(len(self.shape))):
            raise ValueError(f"{tuple(order)} is no order of {len(self.shape)} axes")
        shape = tuple(self.shape[axis] for axis in order)
        strides = tuple(self.strides[axis] for axis in order)
        return Layout(shape, strides, self.offset)

    def cut(self, axis: int, piece: slice) -> "Layout":
        """Only some elements of one axis: what x[..., start:stop:step, ...] is.

        Args:
            axis: which axis, from 0.
            piece: with start, stop and step as in Python: any of them may be missing or negative.
        """
        start, stop, step = piece.indices(self.shape[axis])
        shape, strides = list(self.shape), list(self.strides)
        shape[axis] = len(range(start, stop, step))
        strides[axis] *= step
        return Layout(tuple(shape), tuple(strides), self.offset + start * self.strides[axis])

    def expand(self, shape: Shape) -> "Layout":
        """Stretched to a shape, by the rule of broadcasting, without a copy.

        All elements of an axis that is stretched are the same number in the buffer: its stride is 0.
        The same is true of axes that are new in front.

        Args:
            shape: what the layout's own shape can be stretched to.

        Raises:
            ValueError: if it cannot be stretched to that shape.
        """
        if broadcast_shapes(self.shape, shape) != tuple(shape):
            raise ValueError(f"shape {self.shape} cannot be stretched to {tuple(shape)}")
        added = len(shape) - len(self.shape)
        strides = [0] * added
        for length, stride, wanted in zip(self.shape, self.strides, shape[added:]):
            strides.append(stride if length == wanted else 0)
        return Layout(tuple(shape), tuple(strides), self.offset)

    def reshape(self, shape: Shape) -> "Layout | None":
        """The same elements in the same reading order, in another shape.

        Returns:
            A layout of the same buffer; None if the elements do not lie in reading order (then they
            must be copied first).

        Raises:
            ValueError: if the shape has more or fewer elements.
        """
        reshaped = Layout(tuple(shape), contiguous_strides(tuple(shape)), self.offset)
        if reshaped.size != self.size:
            raise ValueError(f"{self.size} elements do not fit into shape {tuple(shape)}")
        return reshaped if self.is_contiguous else None
