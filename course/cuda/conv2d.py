"""Convolution, forward and backward, without columns: three kernels for operators of PyTorch.

`images.im2col` writes every window into a column, so that a matrix product can do the rest. These kernels
read the windows where they are. Each has one thread for each number of its result, so nobody needs atomics.

They work in the dtype of the arrays: float32 to train, float64 to compare gradients.
"""

from numba import cuda


@cuda.jit(device=True)
def unravel(i, shape):
    """The four indices of element i of an array of four axes, in reading order."""
    column, rest = i % shape[3], i // shape[3]
    row, rest = rest % shape[2], rest // shape[2]
    return rest // shape[1], rest % shape[1], row, column


@cuda.jit
def conv2d_forward(x, weight, stride, padding, out):
    """Slide a window of weights over images: a thread for each number of the output.

        out[n, f, oy, ox] = sum over c, u, v of
            x[n, c, oy * stride + u - padding, ox * stride + v - padding] * weight[f, c, u, v]

    Pixels outside of the image are 0.

    Args:
        x: images, (n, channels, height, width).
        weight: windows, (out channels, channels, window height, window width).
        stride: how far the window moves, in pixels.
        padding: how many zeros are around the image.
        out: (n, out channels, out height, out width).
    """
    i = cuda.grid(1)
    if i < out.size:
        n, f, oy, ox = unravel(i, out.shape)
        total = out.dtype.type(0)
        for c in range(weight.shape[1]):
            for u in range(weight.shape[2]):
                for v in range(weight.shape[3]):
                    row = oy * stride + u - padding
                    column = ox * stride + v - padding
                    if 0 <= row < x.shape[2] and 0 <= column < x.shape[3]:
                        total += x[n, c, row, column] * weight[f, c, u, v]
        out[n, f, oy, ox] = total


@cuda.jit
def conv2d_backward_input(grad, weight, stride, padding, dx):
    """The gradient with respect to the images: a thread for each pixel.

    A pixel's thread asks for each place (u, v) in the window: which output had the pixel there? It is

        oy = (row + padding - u) / stride,    ox = (column + padding - v) / stride

    if both divide without a rest, and are places of the output. From each, of each output channel f, the pixel gets

        grad[n, f, oy, ox] * weight[f, c, u, v]

    Args:
        grad: the gradient with respect to the output, (n, out channels, out height, out width).
        weight: (out channels, channels, window height, window width).
        stride: as in the forward pass.
        padding: as in the forward pass.
        dx: (n, channels, height, width).
    """
    i = cuda.grid(1)
    if i < dx.size:
        n, c, row, column = unravel(i, dx.shape)
        total = dx.dtype.type(0)
        for u in range(weight.shape[2]):
            for v in range(weight.shape[3]):
                down, right = row + padding - u, column + padding - v
                if down >= 0 and right >= 0 and down % stride == 0 and right % stride == 0:
                    oy, ox = down // stride, right // stride
                    if oy < grad.shape[2] and ox < grad.shape[3]:
                        for f in range(weight.shape[0]):
                            total += grad[n, f, oy, ox] * weight[f, c, u, v]
        dx[n, c, row, column] = total


@cuda.jit
def conv2d_backward_weight(grad, x, stride, padding, dw):
    """The gradient with respect to the weights: a thread for each weight.

    A weight meets one pixel for each number of its channel's output, in all images:

        dw[f, c, u, v] = sum over n, oy, ox of
            grad[n, f, oy, ox] * x[n, c, oy * stride + u - padding, ox * stride + v - padding]

    Pixels outside of the image are 0.

    Args:
        grad: the gradient with respect to the output, (n, out channels, out height, out width).
        x: the images, (n, channels, height, width).
        stride: as in the forward pass.
        padding: as in the forward pass.
        dw: (out channels, channels, window height, window width).
    """
    i = cuda.grid(1)
    if i < dw.size:
        f, c, u, v = unravel(i, dw.shape)
        total = dw.dtype.type(0)
        for n in range(grad.shape[0]):
            for oy in range(grad.shape[2]):
                for ox in range(grad.shape[3]):
                    row = oy * stride + u - padding
                    column = ox * stride + v - padding
                    if 0 <= row < x.shape[2] and 0 <= column < x.shape[3]:
                        total += grad[n, f, oy, ox] * x[n, c, row, column]
        dw[f, c, u, v] = total
