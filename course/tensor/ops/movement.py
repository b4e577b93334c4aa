"""Operations that move elements and compute nothing."""

from itertools import accumulate
from typing import Any

from course.tensor.autograd import Function
from course.tensor.shapes import broadcast_shapes


class Reshape(Function):
    """The same elements, in the same order, in another shape."""

    symbol = "reshape"
    is_view = True

    def forward(self, x: Any, shape: tuple[int, ...]) -> Any:
        """The elements in row-major order (the last axis fastest) stay in that order."""
        self.shape = x.shape
        return self.ops.reshape(x, shape)

    def backward(self, grad: Any) -> Any:
        """The gradient in the old shape."""
        return self.ops.reshape(grad, self.shape)


class Permute(Function):
    """The same elements with the axes in another order."""

    symbol = "permute"
    is_view = True

    def forward(self, x: Any, axes: tuple[int, ...]) -> Any:
        """Axis i of the output is axis axes[i] of x."""
        self.axes = axes
        return self.ops.transpose(x, axes)

    def backward(self, grad: Any) -> Any:
        """The axes go back to where they came from: the inverse permutation."""
        inverse = [0] * len(self.axes)
        for i, axis in enumerate(self.axes):
            inverse[axis] = i
        return self.ops.transpose(grad, tuple(inverse))


class Expand(Function):
    """Axes of length 1 stretched, and new axes put in front, as broadcasting does."""

    symbol = "expand"
    is_view = True

    def forward(self, x: Any, shape: tuple[int, ...]) -> Any:
        """A view in which the stretched elements stand many times.

        Raises:
            ValueError: if x does not broadcast to the shape.
        """
        if broadcast_shapes(x.shape, shape) != shape:
            raise ValueError(f"a tensor of shape {x.shape} cannot be expanded to shape {shape}")
        return self.ops.broadcast_to(x, shape)

    def backward(self, grad: Any) -> Any:
        """The engine sums over what was stretched, as for every broadcast."""
        return grad


class Flip(Function):
    """The elements in reverse order along some axes."""

    symbol = "flip"
    is_view = True

    def forward(self, x: Any, axes: tuple[int, ...]) -> Any:
        """The first element along an axis becomes the last."""
        self.axes = axes
        return self.ops.flip(x, axes)

    def backward(self, grad: Any) -> Any:
        """Flipped twice is not flipped."""
        return self.ops.flip(grad, self.axes)


class Pad(Function):
    """A border of a constant around the elements."""

    symbol = "pad"

    def forward(self, x: Any, widths: tuple[tuple[int, int], ...], value: float) -> Any:
        """Put widths[i][0] elements before and widths[i][1] after the others on axis i."""
        self.inside = tuple(slice(before, before + n) for n, (before, _) in zip(x.shape, widths))
        return self.ops.pad(x, widths, constant_values=value)

    def backward(self, grad: Any) -> Any:
        """The gradient without the border."""
        return self.ops.getitem(grad, self.inside)


class Cat(Function):
    """Tensors one after the other along an axis they have."""

    symbol = "cat"

    def forward(self, *arrays: Any, axis: int) -> Any:
        """Join the arrays along the axis.

        Raises:
            ValueError: if they differ on another axis, or in the number of axes.
        """
        first = arrays[0].shape
        for array in arrays[1:]:
            if array.ndim != len(first) or any(
                m != n for i, (m, n) in enumerate(zip(first, array.shape)) if i != axis
            ):
                raise ValueError(
                    f"cannot join shapes {first} and {array.shape} along axis {axis}: "
                    "all other axes must have the same lengths"
                )
        self.axis = axis
        self.ends = list(accumulate(array.shape[axis] for array in arrays))
        return self.ops.concatenate(arrays, axis=axis)

    def backward(self, grad: Any) -> tuple[Any, ...]:
        """Each input gets the piece of the gradient that came from it."""
        before = (slice(None),) * self.axis
        starts = [0, *self.ends[:-1]]
        return tuple(
            self.ops.getitem(grad, (*before, slice(start, end)))
            for start, end in zip(starts, self.ends)
        )


class GetItem(Function):
    """x[index], with numpy's indices: integers, slices, arrays of integers, masks."""

    symbol = "[ ]"

    def forward(self, x: Any, index: Any) -> Any:
        """The chosen elements."""
        self.index, self.shape = index, x.shape
        parts = index if isinstance(index, tuple) else (index,)
        # integers and slices give a view; an array of indices may name an element twice, and copies
        self.is_basic = all(
            part is None or part is Ellipsis or isinstance(part, int | slice) for part in parts
        )
        self.is_view = self.is_basic  # of this use, not of the class
        return self.ops.getitem(x, index)

    def backward(self, grad: Any) -> Any:
        """Zeros, with the gradient added where the elements came from; chosen twice, added twice."""
        if not self.is_basic:
            return self.ops.scatter_add(self.shape, self.index, grad)
        x = self.ops.zeros(self.shape, grad.dtype)
        self.ops.assign(x, self.index, grad)
        return x
