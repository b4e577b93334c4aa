"""Windows of images: im2col, col2im, max pool."""

import math
from collections.abc import Callable

import numpy as np

from course.tensor import numpy_ops
from course.tensor.kernels.compiling import Array, in_place_of_numpy, loop, plain


@loop
def _im2col(x: Array, columns: Array, sh: int, sw: int, ph: int, pw: int) -> None:
    n, channels, kh, kw, out_h, out_w = columns.shape
    height, width = x.shape[2:]
    # One image with its border, which stays in the processor's cache: then no window needs a question.
    padded = np.zeros((height + 2 * ph, width + 2 * pw), x.dtype)
    for b in range(n):
        for c in range(channels):
            for h in range(height):
                for w in range(width):
                    padded[h + ph, w + pw] = x[b, c, h, w]
            for i in range(kh):
                for j in range(kw):
                    if sw == 1:  # neighbours to neighbours: the processor copies many at once
                        for u in range(out_h):
                            for v in range(out_w):
                                columns[b, c, i, j, u, v] = padded[u * sh + i, v + j]
                    else:
                        for u in range(out_h):
                            for v in range(out_w):
                                columns[b, c, i, j, u, v] = padded[u * sh + i, v * sw + j]


@in_place_of_numpy
def im2col(slow: Callable, x: Array, kernel: tuple, stride: tuple, padding: tuple) -> Array:  # noqa: D103
    if not plain(x):
        return slow(x, kernel, stride, padding)
    n, channels, height, width = x.shape
    out_h = numpy_ops.window_count(height, kernel[0], stride[0], padding[0])
    out_w = numpy_ops.window_count(width, kernel[1], stride[1], padding[1])
    columns = np.empty((n, channels, *kernel, out_h, out_w), x.dtype)
    _im2col(x, columns, *stride, *padding)
    return columns.reshape(n, channels * kernel[0] * kernel[1], out_h * out_w)


@loop
def _col2im(columns: Array, x: Array, sh: int, sw: int, ph: int, pw: int) -> None:
    n, channels, kh, kw, out_h, out_w = columns.shape
    height, width = x.shape[2:]
    padded = np.empty((height + 2 * ph, width + 2 * pw), x.dtype)
    for b in range(n):
        for c in range(channels):
            padded[:] = 0
            for i in range(kh):
                for j in range(kw):
                    if sw == 1:
                        for u in range(out_h):
                            for v in range(out_w):
                                padded[u * sh + i, v + j] += columns[b, c, i, j, u, v]
                    else:
                        for u in range(out_h):
                            for v in range(out_w):
                                padded[u * sh + i, v * sw + j] += columns[b, c, i, j, u, v]
            for h in range(height):
                for w in range(width):
                    x[b, c, h, w] = padded[h + ph, w + pw]


@in_place_of_numpy
def col2im(  # noqa: D103
    slow: Callable, columns: Array, shape: tuple, kernel: tuple, stride: tuple, padding: tuple
) -> Array:
    if not plain(columns):
        return slow(columns, shape, kernel, stride, padding)
    n, channels, height, width = shape
    out_h = numpy_ops.window_count(height, kernel[0], stride[0], padding[0])
    out_w = numpy_ops.window_count(width, kernel[1], stride[1], padding[1])
    x = np.empty(shape, columns.dtype)
    columns = columns.reshape(n, channels, *kernel, out_h, out_w)
    _col2im(columns, x, *stride, *padding)
    return x


@loop
def _max_pool2d(x: Array, kh: int, kw: int, sh: int, sw: int, y: Array, place: Array) -> None:
    n, channels, height, width = x.shape
    out_h, out_w = y.shape[2:]
    x, y, place = x.reshape(-1, width), y.reshape(-1, out_w), place.reshape(-1, out_w)
    for image in range(n * channels):
        for u in range(out_h):
            top = image * height + u * sh
            for v in range(out_w):
                best = x[top, v * sw]
                at = 0
                has_nan = False  # a nan is the largest, as with np.maximum; a flag needs no branch
                for i in range(kh):
                    for j in range(kw):
                        candidate = x[top + i, v * sw + j]
                        at = i * kw + j if candidate > best else at
                        best = candidate if candidate > best else best
                        has_nan |= candidate != candidate
                y[image * out_h + u, v] = math.nan if has_nan else best
                place[image * out_h + u, v] = at


@in_place_of_numpy
def max_pool2d(slow: Callable, x: Array, kernel: tuple, stride: tuple) -> tuple[Array, Array]:  # noqa: D103
    if not plain(x):
        return slow(x, kernel, stride)
    out_h = numpy_ops.window_count(x.shape[2], kernel[0], stride[0], 0)
    out_w = numpy_ops.window_count(x.shape[3], kernel[1], stride[1], 0)
    y = np.empty((*x.shape[:2], out_h, out_w), x.dtype)
    place = np.empty(y.shape, np.int16)
    _max_pool2d(x, *kernel, *stride, y, place)
    return y, place


@loop
def _max_pool2d_backward(place: Array, grad: Array, kw: int, sh: int, sw: int, x: Array) -> None:
    n, channels, out_h, out_w = grad.shape
    for b in range(n):
        for c in range(channels):
            for u in range(out_h):
                for v in range(out_w):
                    at = place[b, c, u, v]
                    x[b, c, u * sh + at // kw, v * sw + at % kw] += grad[b, c, u, v]


@in_place_of_numpy
def max_pool2d_backward(  # noqa: D103
    slow: Callable, place: Array, grad: Array, shape: tuple, kernel: tuple, stride: tuple
) -> Array:
    if not plain(grad):
        return slow(place, grad, shape, kernel, stride)
    x = np.zeros(shape, grad.dtype)
    _max_pool2d_backward(place, grad, kernel[1], *stride, x)
    return x
