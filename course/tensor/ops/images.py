"""Convolution and pooling, of images in the layout (n, channels, height, width)."""

from collections.abc import Sequence
from typing import Any

from course.tensor.autograd import Function
from course.tensor.numpy_ops import window_count

Pair = tuple[int, int]


def window_counts(
    shape: Sequence[int], kernel: Sequence[int], stride: Pair, padding: Pair
) -> tuple[int, int]:
    """How many windows fit on images of this shape, down and to the right: (out height, out width)."""
    out_height = window_count(shape[2], kernel[0], stride[0], padding[0])
    out_width = window_count(shape[3], kernel[1], stride[1], padding[1])
    return out_height, out_width


class Conv2d(Function):
    """Slide a small window of weights over an image, and take a weighted sum at each place."""

    symbol = "conv2d"

    def forward(self, x: Any, weight: Any, bias: Any = None, *, stride: Pair, padding: Pair) -> Any:
        """One matrix product for each image: weights times columns (see `im2col`).

        Args:
            x: (n, channels, height, width).
            weight: (out channels, channels, kernel height, kernel width).
            bias: (out channels,), or None.
            stride: how far the window moves, down and to the right.
            padding: zeros put around the image, above and below, left and right.

        Returns:
            (n, out channels, out height, out width), where
            out height = (height + 2 * padding - kernel height) // stride + 1.
        """
        ops = self.ops
        self.x_shape, self.geometry = x.shape, (weight.shape[2:], stride, padding)
        out_h, out_w = window_counts(x.shape, *self.geometry)
        columns = ops.im2col(x, *self.geometry)  # (n, channels * kh * kw, out_h * out_w)
        self.save(columns, weight)
        y = ops.matmul(ops.reshape(weight, (weight.shape[0], -1)), columns)
        if bias is not None:
            y += ops.expand_dims(bias, -1)
        return ops.reshape(y, (x.shape[0], weight.shape[0], out_h, out_w))

    def backward(self, grad: Any) -> tuple[Any, ...]:
        """The product's backward, and then each column's numbers back to their pixels.

        d/dweight = grad @ columns^T, summed over the images; d/dcolumns = weight^T @ grad;
        d/dbias = grad, summed over images and places.

        Args:
            grad: (n, out channels, out height, out width).

        Returns:
            The gradients by x, weight and, if there was a bias, bias. That by x may be None where
            `self.needs_grad[0]` is False, as it is for images: it is as much work as the rest.
        """
        ops = self.ops
        columns, weight = self.saved
        grad = ops.reshape(grad, (*grad.shape[:2], columns.shape[2]))
        dx = None
        if self.needs_grad[0]:
            matrix = ops.reshape(weight, (weight.shape[0], -1))
            dx = ops.col2im(ops.matmul(matrix.mT, grad), self.x_shape, *self.geometry)
        dw = ops.sum(ops.matmul(grad, columns.mT), axis=0)
        dw = ops.reshape(dw, weight.shape)
        if len(self.inputs) == 2:
            return dx, dw
        return dx, dw, ops.sum(grad, axis=(0, 2))


class GroupedConv2d(Function):
    """Convolutions side by side: each group of channels has weights of its own."""

    symbol = "conv2d"

    def forward(self, x: Any, weight: Any, *, stride: Pair, padding: Pair, groups: int) -> Any:
        """One matrix product for each image and group.

        Args:
            x: (n, channels, height, width).
            weight: (out channels, channels / groups, kernel height, kernel width).
            stride: as for Conv2d.
            padding: as for Conv2d.
            groups: the channels are cut into so many groups.

        Returns:
            (n, out channels, out height, out width).
        """
        ops = self.ops
        self.x_shape = x.shape
        self.geometry = (weight.shape[2:], stride, padding)
        out_h, out_w = window_counts(x.shape, *self.geometry)
        columns = ops.im2col(x, *self.geometry)
        columns = ops.reshape(
            columns, (x.shape[0], groups, columns.shape[1] // groups, out_h * out_w)
        )
        matrices = ops.reshape(weight, (groups, weight.shape[0] // groups, -1))
        self.save(columns, matrices)
        y = ops.matmul(matrices, columns)  # (n, groups, out channels / groups, out_h * out_w)
        return ops.reshape(y, (x.shape[0], weight.shape[0], out_h, out_w))

    def backward(self, grad: Any) -> tuple[Any, Any]:
        """As for Conv2d, group by group."""
        ops = self.ops
        columns, matrices = self.saved
        n, groups, rows, places = columns.shape
        grad = ops.reshape(grad, (n, groups, matrices.shape[1], places))
        d_columns = ops.reshape(ops.matmul(matrices.mT, grad), (n, groups * rows, places))
        dx = ops.col2im(d_columns, self.x_shape, *self.geometry)
        dw = ops.sum(ops.matmul(grad, columns.mT), axis=0)
        return dx, ops.reshape(dw, self.inputs[1].shape)


class MaxPool2d(Function):
    """The largest number in each window."""

    symbol = "max pool"

    def forward(self, x: Any, kernel: Pair, stride: Pair) -> Any:
        """(n, channels, height, width) to (n, channels, out height, out width)."""
        y, place = self.ops.max_pool2d(x, kernel, stride)
        self.geometry = (x.shape, kernel, stride)
        self.save(place)
        return y

    def backward(self, grad: Any) -> Any:
        """The gradient goes to the largest; of equal numbers, to the first in the window."""
        (place,) = self.saved
        return self.ops.max_pool2d_backward(place, grad, *self.geometry)


class AvgPool2d(Function):
    """The mean of each window."""

    symbol = "avg pool"

    def forward(self, x: Any, kernel: Pair, stride: Pair) -> Any:
        """(n, channels, height, width) to (n, channels, out height, out width)."""
        n, channels = x.shape[:2]
        self.geometry = (x.shape, kernel, stride, (0, 0))
        self.count = kernel[0] * kernel[1]
        out_h, out_w = window_counts(x.shape, kernel, stride, (0, 0))
        columns = self.ops.im2col(x, kernel, stride, (0, 0))
        columns = self.ops.reshape(columns, (n, channels, self.count, out_h, out_w))
        return self.ops.sum(columns, axis=2) / columns.dtype.type(self.count)

    def backward(self, grad: Any) -> Any:
        """Every pixel of the window gets the same share of the gradient."""
        n, channels, out_h, out_w = grad.shape
        grad = self.ops.expand_dims(grad / grad.dtype.type(self.count), 2)
        columns = self.ops.broadcast_to(grad, (n, channels, self.count, out_h, out_w))
        columns = self.ops.reshape(columns, (n, channels * self.count, out_h * out_w))
        return self.ops.col2im(columns, *self.geometry)
