"""Convolution and pooling, of images in the layout (n, channels, height, width)."""

from typing import Any

from course.tensor.autograd import Function

Pair = tuple[int, int]


class Conv2d(Function):
    """Slide a small window of weights over an image, and take a weighted sum at each place."""

    symbol = "conv2d"

    def forward(
        self, x: Any, weight: Any, bias: Any = None, *, stride: Pair, padding: Pair, groups: int
    ) -> Any:
        """One matrix product for each image: weights times columns (see `im2col`).

        Args:
            x: (n, channels, height, width).
            weight: (out channels, channels / groups, kernel height, kernel width).
            bias: (out channels,).
            stride: how far the window moves, down and to the right.
            padding: zeros put around the image, above and below, left and right.
            groups: the channels are cut into so many groups, each with its own weights.

        Returns:
            (n, out channels, out height, out width), where
            out height = (height + 2 * padding - kernel height) // stride + 1.
        """
        ops = self.ops
        n, _, height, width = x.shape
        out_channels, _, kh, kw = weight.shape
        self.geometry = ((kh, kw), stride, padding)
        self.x_shape, self.groups = x.shape, groups
        out_h = (height + 2 * padding[0] - kh) // stride[0] + 1
        out_w = (width + 2 * padding[1] - kw) // stride[1] + 1
        columns = ops.im2col(x, *self.geometry)  # (n, channels * kh * kw, out_h * out_w)
        if groups > 1:  # (n, groups, channels / groups * kh * kw, out_h * out_w)
            columns = ops.reshape(columns, (n, groups, -1, out_h * out_w))
        self.save(columns, weight)
        y = ops.matmul(self._matrix(weight), columns)
        y = ops.reshape(y, (n, out_channels, out_h * out_w))
        if bias is not None:
            y += ops.expand_dims(bias, -1)
        return ops.reshape(y, (n, out_channels, out_h, out_w))

    def backward(self, grad: Any) -> tuple[Any, ...]:
        """d/dweight = grad @ columns^T; d/dcolumns = weight^T @ grad, and each column back to its pixels."""
        ops = self.ops
        columns, weight = self.saved
        n, out_channels = grad.shape[:2]
        places = columns.shape[-1]
        if self.groups > 1:
            grad = ops.reshape(grad, (n, self.groups, out_channels // self.groups, places))
        else:
            grad = ops.reshape(grad, (n, out_channels, places))
        dx = dw = db = None
        if self.needs_grad[0]:
            d_columns = ops.matmul(self._matrix(weight).mT, grad)
            d_columns = ops.reshape(d_columns, (n, -1, places))
            dx = ops.col2im(d_columns, self.x_shape, *self.geometry)
        if self.needs_grad[1]:
            dw = ops.sum(ops.matmul(grad, columns.mT), axis=0)
            dw = ops.reshape(dw, weight.shape)
        if len(self.inputs) == 2:
            return dx, dw
        if self.needs_grad[2]:
            db = ops.sum(ops.reshape(grad, (n, out_channels, places)), axis=(0, 2))
        return dx, dw, db

    def _matrix(self, weight: Any) -> Any:
        """The weights as a matrix: a row for each output channel; one matrix for each group."""
        out_channels = weight.shape[0]
        if self.groups == 1:
            return self.ops.reshape(weight, (out_channels, -1))
        return self.ops.reshape(weight, (self.groups, out_channels // self.groups, -1))


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
        n, channels, height, width = x.shape
        (kh, kw), (sh, sw) = kernel, stride
        self.geometry = (x.shape, kernel, stride, (0, 0))
        self.count = kh * kw
        out_h, out_w = (height - kh) // sh + 1, (width - kw) // sw + 1
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
