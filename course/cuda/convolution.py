"""Images: from the table's entries to the kernels in `images`."""

from collections.abc import Sequence

import numpy as np

from course.cuda import images
from course.cuda.array import CudaArray
from course.cuda.record import launch_for_each
from course.tensor.numpy_ops import window_count

Array = CudaArray
Pair = tuple[int, int]


def im2col(x: Array, kernel: Pair, stride: Pair, padding: Pair) -> Array:
    """The pixels under each position of the window in a column: (n, channels * kh * kw, out_h * out_w)."""
    n, channels, height, width = x.shape
    out_h = window_count(height, kernel[0], stride[0], padding[0])
    out_w = window_count(width, kernel[1], stride[1], padding[1])
    columns = CudaArray.new((n, channels, kernel[0] * kernel[1], out_h, out_w), x.dtype)
    launch_for_each(
        images.im2col, columns.size, x.dense(), stride, padding, kernel, columns.dense()
    )
    return columns.reshape(n, channels * kernel[0] * kernel[1], out_h * out_w)


def col2im(
    columns: Array, shape: Sequence[int], kernel: Pair, stride: Pair, padding: Pair
) -> Array:
    """Every column's numbers added back to their pixels."""
    n, channels, height, width = shape
    out_h = window_count(height, kernel[0], stride[0], padding[0])
    out_w = window_count(width, kernel[1], stride[1], padding[1])
    columns = columns.reshape(n, channels, kernel[0] * kernel[1], out_h, out_w)
    x = CudaArray.new(tuple(shape), columns.dtype)
    launch_for_each(images.col2im, x.size, columns.dense(), stride, padding, kernel, x.dense())
    return x


def max_pool2d(x: Array, kernel: Pair, stride: Pair) -> tuple[Array, Array]:
    """The largest number of each window, and where in the window it was."""
    n, channels, height, width = x.shape
    out_h = window_count(height, kernel[0], stride[0], 0)
    out_w = window_count(width, kernel[1], stride[1], 0)
    out = CudaArray.new((n, channels, out_h, out_w), x.dtype)
    place = CudaArray.new(out.shape, np.int32)
    launch_for_each(
        images.max_pool2d, out.size, x.dense(), stride, kernel, out.dense(), place.dense()
    )
    return out, place


def max_pool2d_backward(
    place: Array, grad: Array, shape: Sequence[int], kernel: Pair, stride: Pair
) -> Array:
    """Each gradient at the pixel that was the largest."""
    dx = CudaArray.new(tuple(shape), grad.dtype)
    launch_for_each(
        images.max_pool2d_backward, dx.size, place.dense(), grad.dense(), stride, kernel, dx.dense()
    )
    return dx
