"""The Gaussian error linear unit in its tanh form, with a bias and alone.

    gelu(x) = x/2 * (1 + t),   t = tanh(SQRT_2_OVER_PI * (x + CUBIC * x^3))

Source: arXiv 1606.08415, section 2.
"""

import math

from numba import cuda, float32

SQRT_2_OVER_PI, CUBIC = float32(math.sqrt(2 / math.pi)), float32(0.044715)


@cuda.jit
def bias_gelu(x, bias, out):
    """gelu(x + bias), in one go.

        gelu(z) = z/2 * (1 + t),   t = tanh(SQRT_2_OVER_PI * (z + CUBIC * z^3))

    Args:
        x: (n, width), float32.
        bias: (width,).
        out: (n, width).

    Launch: at least n * width threads in one dimension, a thread for each element.
    """
    row, column = divmod(cuda.grid(1), x.shape[1])
    if row < x.shape[0]:
        z = x[row, column] + bias[column]
        t = math.tanh(SQRT_2_OVER_PI * (z + CUBIC * z * z * z))
        out[row, column] = float32(0.5) * z * (float32(1) + t)


@cuda.jit
def bias_gelu_backward(x, bias, grad, dx):
    """The gradient by x: grad times the slope of gelu at z = x + bias, which is computed again.

        slope = (1 + t)/2 + z/2 * (1 - t^2) * SQRT_2_OVER_PI * (1 + 3 * CUBIC * z^2)

    Args:
        x: (n, width), float32.
        bias: (width,).
        grad: (n, width), the gradient by `bias_gelu`'s out.
        dx: (n, width).

    Launch: at least n * width threads in one dimension, a thread for each element.
    """
    row, column = divmod(cuda.grid(1), x.shape[1])
    if row < x.shape[0]:
        z = x[row, column] + bias[column]
        t = math.tanh(SQRT_2_OVER_PI * (z + CUBIC * z * z * z))
        inner = SQRT_2_OVER_PI * (float32(1) + float32(3) * CUBIC * z * z)
        slope = float32(0.5) * (float32(1) + t + z * (float32(1) - t * t) * inner)
        dx[row, column] = grad[row, column] * slope


@cuda.jit
def gelu(x, out, slope):
    """gelu(x), and its slope at x.

    Args:
        x: (n,), float32.
        out: (n,).
        slope: (n,).

    Launch: at least n threads in one dimension, a thread for each element.
    """
    i = cuda.grid(1)
    if i < x.size:
        z = x[i]
        t = math.tanh(SQRT_2_OVER_PI * (z + CUBIC * z * z * z))
        inner = SQRT_2_OVER_PI * (float32(1) + float32(3) * CUBIC * z * z)
        out[i] = float32(0.5) * z * (float32(1) + t)
        slope[i] = float32(0.5) * (float32(1) + t + z * (float32(1) - t * t) * inner)
