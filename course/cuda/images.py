"""Kernels for images, (n, channels, height, width): columns of windows and back, and the largest of a window."""

from numba import cuda


@cuda.jit
def im2col(x, stride, padding, kernel, columns):
    """Write the pixels under each position of the window into a column: a thread for each number.

        columns[n, c, i, j, row, column] = x[n, c, row * stride + i - padding, column * stride + j - padding]

    and 0 where that is outside of the image. Neighbouring threads write neighbours.

    Args:
        x: (n, channels, height, width).
        stride: (down, to the right).
        padding: (above and below, left and right).
        kernel: (height, width) of the window.
        columns: (n, channels, kernel height * kernel width, out height, out width).
    """
    i = cuda.grid(1)
    if i < columns.size:
        out_h, out_w = columns.shape[3], columns.shape[4]
        ox, rest = i % out_w, i // out_w
        oy, rest = rest % out_h, rest // out_h
        place, rest = rest % columns.shape[2], rest // columns.shape[2]
        channel, n = rest % x.shape[1], rest // x.shape[1]
        row = oy * stride[0] + place // kernel[1] - padding[0]
        column = ox * stride[1] + place % kernel[1] - padding[1]
        if 0 <= row < x.shape[2] and 0 <= column < x.shape[3]:
            columns[n, channel, place, oy, ox] = x[n, channel, row, column]
        else:
            columns[n, channel, place, oy, ox] = 0


@cuda.jit
def col2im(columns, stride, padding, kernel, x):
    """Add every column's numbers back to their pixels: a thread for each pixel.

    A pixel's thread looks through the places of the window in which it can have been, and adds up what stands
    there. So no two threads write to one pixel, and no atomics are needed.

    Args:
        columns: (n, channels, kernel height * kernel width, out height, out width).
        stride: as for im2col.
        padding: as for im2col.
        kernel: as for im2col.
        x: (n, channels, height, width).
    """
    i = cuda.grid(1)
    if i < x.size:
        column, rest = i % x.shape[3], i // x.shape[3]
        row, rest = rest % x.shape[2], rest // x.shape[2]
        channel, n = rest % x.shape[1], rest // x.shape[1]
        total = x.dtype.type(0)
        for place in range(columns.shape[2]):
            down = row + padding[0] - place // kernel[1]
            right = column + padding[1] - place % kernel[1]
            if down >= 0 and right >= 0 and down % stride[0] == 0 and right % stride[1] == 0:
                oy, ox = down // stride[0], right // stride[1]
                if oy < columns.shape[3] and ox < columns.shape[4]:
                    total += columns[n, channel, place, oy, ox]
        x[n, channel, row, column] = total


@cuda.jit
def max_pool2d(x, stride, kernel, out, place):
    """The largest number in each window, and where in the window it was: a thread for each window.

    Args:
        x: (n, channels, height, width).
        stride: (down, to the right).
        kernel: (height, width) of the window.
        out: (n, channels, out height, out width).
        place: of the same shape, integers: the place in the window, row by row; of equals, the first.
    """
    i = cuda.grid(1)
    if i < out.size:
        ox, rest = i % out.shape[3], i // out.shape[3]
        oy, rest = rest % out.shape[2], rest // out.shape[2]
        channel, n = rest % x.shape[1], rest // x.shape[1]
        top, left = oy * stride[0], ox * stride[1]
        best = 0
        largest = x[n, channel, top, left]
        for k in range(1, kernel[0] * kernel[1]):
            value = x[n, channel, top + k // kernel[1], left + k % kernel[1]]
            if value > largest:
                largest = value
                best = k
        out[n, channel, oy, ox] = largest
        place[n, channel, oy, ox] = best


@cuda.jit
def max_pool2d_backward(place, grad, stride, kernel, dx):
    """Each pixel gets the gradients of the windows in which it was the largest: a thread for each pixel.

    Args:
        place: from max_pool2d, (n, channels, out height, out width).
        grad: of the same shape.
        stride: as for max_pool2d.
        kernel: as for max_pool2d.
        dx: (n, channels, height, width).
    """
    i = cuda.grid(1)
    if i < dx.size:
        column, rest = i % dx.shape[3], i // dx.shape[3]
        row, rest = rest % dx.shape[2], rest // dx.shape[2]
        channel, n = rest % dx.shape[1], rest // dx.shape[1]
        total = dx.dtype.type(0)
        for k in range(kernel[0] * kernel[1]):
            down, right = row - k // kernel[1], column - k % kernel[1]
            if down >= 0 and right >= 0 and down % stride[0] == 0 and right % stride[1] == 0:
                oy, ox = down // stride[0], right // stride[1]
                if oy < grad.shape[2] and ox < grad.shape[3] and place[n, channel, oy, ox] == k:
                    total += grad[n, channel, oy, ox]
        dx[n, channel, row, column] = total
