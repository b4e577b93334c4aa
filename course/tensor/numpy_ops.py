"""The table of array functions on the CPU: numpy's own, and a few that numpy does not have.

A back end is a module with these names (see `course.tensor.devices`). Those at the end belong
together in pairs: what forward computes and what backward needs. They take several steps here;
`course.tensor.kernels` has some of them again, each compiled into one loop.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy import (
    abs,
    argmax,
    argmin,
    broadcast_to,
    concatenate,
    cos,
    exp,
    expand_dims,
    flip,
    log,
    matmul,
    maximum,
    minimum,
    pad,
    power,
    sign,
    sin,
    sqrt,
    tanh,
    transpose,
    where,
)

__all__ = [  # noqa: RUF022  (in the order of this file)
    "abs", "argmax", "argmin", "broadcast_to", "concatenate", "cos", "exp", "expand_dims", "flip",
    "log", "matmul", "maximum", "minimum", "pad", "power", "sign", "sin", "sqrt", "tanh",
    "transpose", "where", "asarray", "to_numpy", "zeros", "ones", "counter", "copy", "cast",
    "reshape", "getitem", "assign", "scatter_add", "sum", "max", "min", "sigmoid", "relu",
    "relu_backward", "gelu", "gelu_backward", "softmax", "softmax_backward", "log_softmax",
    "log_softmax_backward", "cross_entropy", "cross_entropy_backward", "normalise",
    "normalise_backward", "layer_norm", "layer_norm_backward", "embedding_backward",
    "causal_softmax", "score_gradients", "im2col", "col2im", "max_pool2d", "max_pool2d_backward", "sgd_update", "adam_update",
]  # fmt: skip

Array = np.ndarray
Pair = tuple[int, int]


# ---------------------------------------------------------------- arrays in and out


def asarray(data: Any, dtype: np.dtype | None = None) -> Array:
    """An array of this device, made from numbers or from an array, without a copy where possible."""
    return np.asarray(data, dtype)


def to_numpy(array: Array) -> Array:
    """A copy of the array as a numpy array."""
    return array.copy()


def zeros(shape: Sequence[int], dtype: np.dtype) -> Array:
    """An array of zeros."""
    return np.zeros(shape, dtype)


def ones(shape: Sequence[int], dtype: np.dtype) -> Array:
    """An array of ones."""
    return np.ones(shape, dtype)


def counter(start: int, dtype: np.dtype) -> int:
    """A number that is counted up with `+= 1`, such as an optimiser's steps. Here, Python's own will do."""
    return start


def copy(x: Array) -> Array:
    """A copy with its elements next to each other, the last axis fastest (C order)."""
    return x.copy()


def cast(x: Array, dtype: np.dtype) -> Array:
    """The same numbers in another dtype."""
    return x.astype(dtype)


def reshape(x: Array, shape: Sequence[int]) -> Array:
    """The same elements in another shape: a view if possible, else a copy."""
    return x.reshape(shape)


def getitem(x: Array, index: Any) -> Array:
    """x[index], by numpy's rules."""
    return x[index]


def assign(x: Array, index: Any, value: Any) -> None:
    """x[index] = value, in place."""
    x[index] = value


def scatter_add(shape: Sequence[int], index: Any, values: Array) -> Array:
    """Zeros of that shape, with values added at index: the way back of `getitem`.

    Where an index stands twice, both values are added. (`x[index] += values` would keep one.)
    """
    x = np.zeros(shape, values.dtype)
    np.add.at(x, index, values)
    return x


# ---------------------------------------------------------------- reductions


def sum(x: Array, axis: Any = None, keepdims: bool = False) -> Array:
    """The sum over an axis, several, or all."""
    return np.add.reduce(x, axis=axis, keepdims=keepdims)


def max(x: Array, axis: Any = None, keepdims: bool = False) -> Array:
    """The largest element over an axis, several, or all."""
    return np.maximum.reduce(x, axis=axis, keepdims=keepdims)


def min(x: Array, axis: Any = None, keepdims: bool = False) -> Array:
    """The smallest element over an axis, several, or all."""
    return np.minimum.reduce(x, axis=axis, keepdims=keepdims)


# ---------------------------------------------------------------- activations


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), element by element.

    Written with tanh, which is flat far out: exp(-x) would overflow for x below -88 in float32.
    """
    return 0.5 * (np.tanh(0.5 * x) + 1.0)


def relu(x: Array) -> Array:
    """The larger of x and 0, element by element; nan stays nan."""
    return np.maximum(x, 0)


def relu_backward(y: Array, grad: Array) -> Array:
    """The gradient passes where relu's output y is positive, and is 0 elsewhere."""
    return grad * (y > 0)


SQRT_2_OVER_PI = 0.7978845608028654
CUBIC = 0.044715


def gelu(x: Array) -> tuple[Array, Array]:
    """The Gaussian error linear unit in its tanh form, as in GPT-2, and its slope.

        gelu(x) = x/2 * (1 + t),   t = tanh(sqrt(2/pi) * (x + 0.044715 x^3))

    Returns:
        gelu(x), and d gelu(x) / dx, element by element. Source: arXiv 1606.08415, section 2.
    """
    square = x * x  # x**3 would call the general power, which takes far longer than two products
    t = np.tanh(SQRT_2_OVER_PI * (x * (1 + CUBIC * square)))
    half = 0.5 * (1 + t)
    slope = half + 0.5 * SQRT_2_OVER_PI * x * (1 - t * t) * (1 + 3 * CUBIC * square)
    return x * half, slope


def gelu_backward(slope: Array, grad: Array) -> Array:
    """The output's gradient times the slope that gelu has kept."""
    return grad * slope


# ---------------------------------------------------------------- softmax and its losses


def softmax(x: Array, axis: int) -> Array:
    """exp(x) along an axis, divided by its sum there: positive numbers that sum to 1.

    The largest element is subtracted first. That changes nothing, as it cancels in the quotient,
    and the largest power is exp(0): nothing overflows.
    """
    y = np.exp(x - x.max(axis, keepdims=True, initial=-np.inf))
    y /= y.sum(axis, keepdims=True)
    return y


def softmax_backward(y: Array, grad: Array, axis: int) -> Array:
    """y * (grad - sum(grad * y)), with softmax's output y."""
    return y * (grad - sum(grad * y, axis, keepdims=True))


def log_softmax(x: Array, axis: int) -> Array:
    """The logarithm of softmax: x - log(sum(exp(x))) along an axis.

    Not log(softmax(x)): a probability that has become 0 would have the logarithm -inf.
    """
    shifted = x - x.max(axis, keepdims=True, initial=-np.inf)
    return shifted - np.log(np.exp(shifted).sum(axis, keepdims=True))


def log_softmax_backward(y: Array, grad: Array, axis: int) -> Array:
    """Grad - softmax * sum(grad), with log_softmax's output y, so that softmax is exp(y)."""
    return grad - np.exp(y) * sum(grad, axis, keepdims=True)


def cross_entropy(
    logits: Array, targets: Array, ignore_index: int, smoothing: float
) -> tuple[Array, Array]:
    """How surprised each row's prediction is by its target: -log of the probability it gave.

    With smoothing s, the target is not 1 at one class, but 1 - s there, and s / n_classes more at
    every class.

    Args:
        logits: (n, n_classes), any real numbers.
        targets: (n,), the index of the right class in each row.
        ignore_index: rows with this target have loss 0 and gradient 0.
        smoothing: from 0 to 1.

    Returns:
        The losses, (n,), and the probabilities, (n, n_classes), which backward needs.
    """
    log_p = log_softmax(logits, 1)
    counted = targets != ignore_index
    rows = np.arange(len(targets))
    chosen = log_p[rows, np.where(counted, targets, 0)]
    losses = -chosen
    if smoothing:
        losses = (1 - smoothing) * losses - smoothing * log_p.mean(1)
    return np.where(counted, losses, losses.dtype.type(0)), np.exp(log_p)


def cross_entropy_backward(
    probabilities: Array, targets: Array, grad: Array, ignore_index: int, smoothing: float
) -> Array:
    """The gradient by the logits: probability minus target, times each row's gradient.

    Args:
        probabilities: (n, n_classes), from `cross_entropy`.
        targets: (n,), as given to it.
        grad: (n,), the gradient of each row's loss; or (), if it is the same for all.
        ignore_index: as given to it.
        smoothing: as given to it.

    Returns:
        (n, n_classes).
    """
    counted = targets != ignore_index
    rows = np.arange(len(targets))
    result = probabilities - probabilities.dtype.type(smoothing / probabilities.shape[1])
    result[rows, np.where(counted, targets, 0)] -= 1 - smoothing
    result *= np.where(counted, grad, 0)[:, None]
    return result


# ---------------------------------------------------------------- normalisation


def normalise(x: Array, axes: tuple[int, ...], eps: float) -> tuple[Array, Array, Array, Array]:
    """Shift and scale to mean 0 and variance 1 over some axes.

        y = (x - mean) / sqrt(variance + eps)

    Returns:
        y, and mean, variance and 1 / sqrt(variance + eps), which keep the axes as lengths of 1.
    """
    n = 1
    for axis in axes:
        n *= x.shape[axis]
    mean = sum(x, axes, keepdims=True) / n
    y = x - mean
    variance = sum(y * y, axes, keepdims=True) / n
    scale = 1 / np.sqrt(variance + eps)
    y *= scale
    return y, mean, variance, scale


def normalise_backward(y: Array, scale: Array, grad: Array, axes: tuple[int, ...]) -> Array:
    """scale * (grad - mean(grad) - y * mean(grad * y)): every x moves mean and variance too."""
    n = y.size // scale.size if scale.size else 1
    direct = grad - sum(grad, axes, keepdims=True) / n
    direct -= y * (sum(grad * y, axes, keepdims=True) / n)
    direct *= scale
    return direct


def layer_norm(x: Array, weight: Array, bias: Array, eps: float) -> tuple[Array, Array, Array]:
    """Normalise each row, then weight and bias for each column.

    Args:
        x: (n, width).
        weight: (width,).
        bias: (width,).
        eps: added to the variance.

    Returns:
        The result, (n, width); the normalised x, (n, width); the scale of each row, (n, 1).
    """
    y, _, _, scale = normalise(x, (1,), eps)
    return y * weight + bias, y, scale


def layer_norm_backward(
    y: Array, scale: Array, weight: Array, grad: Array
) -> tuple[Array, Array, Array]:
    """The gradients by x, (n, width), by weight and by bias, (width,), from what `layer_norm` gave."""
    dx = normalise_backward(y, scale, grad * weight, (1,))
    return dx, sum(grad * y, 0), sum(grad, 0)


# ---------------------------------------------------------------- rows of a table

ONE_HOT_LIMIT = (
    1 << 22
)  # elements of the one-hot matrix: above that, memory costs more than it saves


def embedding_backward(n_rows: int, indices: Array, grad: Array) -> Array:
    """Add each gradient to the row it came from; rows that were taken twice get both.

    Args:
        n_rows: rows of the table.
        indices: (n,), which row each gradient belongs to.
        grad: (n, width).

    Returns:
        (n_rows, width).
    """
    if n_rows * len(indices) > ONE_HOT_LIMIT:
        return scatter_add((n_rows, grad.shape[1]), indices, grad)
    one_hot = np.zeros((len(indices), n_rows), grad.dtype)
    one_hot[np.arange(len(indices)), indices] = 1
    return one_hot.T @ grad  # one matrix product is faster than adding rows one by one


# ---------------------------------------------------------------- attention's rows


def causal_softmax(scores: Array, scale: float) -> Array:
    """The weights: softmax(scale * scores) over the keys that a query sees, 0 for the others.

    Args:
        scores: (..., t, t), how well each query (row) fits each key (column). Query i sees the keys 0, ..., i.
        scale: for the scores, positive.

    Returns:
        (..., t, t).
    """
    seen = np.tri(scores.shape[-1], dtype=bool)
    return softmax(np.where(seen, scale * scores, -np.inf), -1)


def score_gradients(weights: Array, grad: Array, means: Array, scale: float) -> Array:
    """The gradient by the scores: scale * weights * (grad - means).

    Args:
        weights: (..., t, t), which `causal_softmax` has made.
        grad: (..., t, t), the gradient by the weights.
        means: (..., t), of each row the sum of weights * grad.
        scale: of the scores.

    Returns:
        (..., t, t).
    """
    return scale * weights * (grad - means[..., None])


# ---------------------------------------------------------------- images: (n, channels, height, width)


def window_count(length: int, kernel: int, stride: int, padding: int) -> int:
    """How many windows of a kernel's length fit along an axis."""
    return (length + 2 * padding - kernel) // stride + 1


def im2col(x: Array, kernel: Pair, stride: Pair, padding: Pair) -> Array:
    """Write the pixels under each position of the kernel into a column.

    Args:
        x: (n, channels, height, width).
        kernel: height and width of the window.
        stride: how far the window moves, down and to the right.
        padding: how many zeros are put around the image, above and below, left and right.

    Returns:
        (n, channels * kernel height * kernel width, out height * out width). A convolution is
        then one matrix product for each image.
    """
    n, channels, height, width = x.shape
    (kh, kw), (sh, sw), (ph, pw) = kernel, stride, padding
    out_h, out_w = window_count(height, kh, sh, ph), window_count(width, kw, sw, pw)
    if ph or pw:
        padded = np.zeros((n, channels, height + 2 * ph, width + 2 * pw), x.dtype)
        padded[:, :, ph : ph + height, pw : pw + width] = x
        x = padded
    columns = np.empty((n, channels, kh, kw, out_h, out_w), x.dtype)
    for i in range(kh):
        for j in range(kw):
            columns[:, :, i, j] = x[:, :, i : i + sh * out_h : sh, j : j + sw * out_w : sw]
    return columns.reshape(n, channels * kh * kw, out_h * out_w)


def col2im(
    columns: Array, shape: Sequence[int], kernel: Pair, stride: Pair, padding: Pair
) -> Array:
    """Add every column's numbers back to the pixels they came from: the way back of `im2col`.

    Args:
        columns: (n, channels * kernel height * kernel width, out height * out width).
        shape: of the image, (n, channels, height, width).
        kernel: as given to im2col.
        stride: as given to im2col.
        padding: as given to im2col.

    Returns:
        An array of that shape. A pixel that was in several columns gets the sum.
    """
    n, channels, height, width = shape
    (kh, kw), (sh, sw), (ph, pw) = kernel, stride, padding
    out_h, out_w = window_count(height, kh, sh, ph), window_count(width, kw, sw, pw)
    columns = columns.reshape(n, channels, kh, kw, out_h, out_w)
    x = np.zeros((n, channels, height + 2 * ph, width + 2 * pw), columns.dtype)
    for i in range(kh):
        for j in range(kw):
            x[:, :, i : i + sh * out_h : sh, j : j + sw * out_w : sw] += columns[:, :, i, j]
    return x[:, :, ph : ph + height, pw : pw + width]


def max_pool2d(x: Array, kernel: Pair, stride: Pair) -> tuple[Array, Array]:
    """The largest number in each window, and where in the window it was found.

    Args:
        x: (n, channels, height, width).
        kernel: height and width of the window.
        stride: how far the window moves, down and to the right.

    Returns:
        The maxima, (n, channels, out height, out width), and for each its place in the window,
        counted row by row. Of equal numbers, the first is taken.
    """
    (kh, kw), (sh, sw) = kernel, stride
    out_h, out_w = window_count(x.shape[2], kh, sh, 0), window_count(x.shape[3], kw, sw, 0)
    best = x[:, :, : sh * out_h : sh, : sw * out_w : sw].copy()
    place = np.zeros(best.shape, np.int16)
    for k in range(1, kh * kw):
        i, j = divmod(k, kw)
        candidate = x[:, :, i : i + sh * out_h : sh, j : j + sw * out_w : sw]
        better = candidate > best
        place[better] = k
        np.maximum(best, candidate, out=best)
    return best, place


def max_pool2d_backward(
    place: Array, grad: Array, shape: Sequence[int], kernel: Pair, stride: Pair
) -> Array:
    """Each gradient goes to the pixel that was the largest, and the others get nothing.

    Args:
        place: from `max_pool2d`.
        grad: (n, channels, out height, out width).
        shape: of the image, (n, channels, height, width).
        kernel: as given to max_pool2d.
        stride: as given to max_pool2d.

    Returns:
        An array of that shape. A pixel that won in several windows gets the sum.
    """
    (kh, kw), (sh, sw) = kernel, stride
    out_h, out_w = grad.shape[2:]
    x = np.zeros(shape, grad.dtype)
    for k in range(kh * kw):
        i, j = divmod(k, kw)
        x[:, :, i : i + sh * out_h : sh, j : j + sw * out_w : sw] += grad * (place == k)
    return x


# ---------------------------------------------------------------- optimisers: these change arrays in place


def sgd_update(
    param: Array,
    grad: Array,
    velocity: Array | None,
    lr: float,
    momentum: float,
    nesterov: bool,
    weight_decay: float,
) -> None:
    """One step of gradient descent, with momentum if there is a velocity.

        g = grad + weight_decay * param
        velocity = momentum * velocity + g
        param = param - lr * velocity                       (plain momentum)
        param = param - lr * (g + momentum * velocity)      (Nesterov)

    Args:
        param: changed in place.
        grad: of the same shape; not changed.
        velocity: of the same shape, changed in place; None for plain gradient descent.
        lr: the learning rate.
        momentum: how much of the velocity stays at each step.
        nesterov: whether to look ahead.
        weight_decay: pulls parameters towards 0.
    """
    if weight_decay:
        grad = grad + weight_decay * param
    if velocity is not None:
        velocity *= momentum
        velocity += grad
        grad = grad + momentum * velocity if nesterov else velocity
    param -= lr * grad


def adam_update(
    param: Array,
    grad: Array,
    m: Array,
    v: Array,
    step: int,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    decoupled: bool,
) -> None:
    """One step of Adam: a step of about lr for each number, whatever the size of its gradient.

        m = beta1 * m + (1 - beta1) * grad          a running mean of the gradient
        v = beta2 * v + (1 - beta2) * grad^2        and of its square
        param = param - lr * (m / (1 - beta1^step)) / (sqrt(v / (1 - beta2^step)) + eps)

    m and v start at 0, so they are too small at first; the two quotients make up for it.

    Weight decay comes in one of two ways. Adam adds weight_decay * param to the gradient; AdamW
    ("decoupled") takes lr * weight_decay * param off the parameter, and leaves the gradient alone.

    Args:
        param: changed in place.
        grad: of the same shape; not changed.
        m: of the same shape, changed in place.
        v: of the same shape, changed in place.
        step: 1 for the first step.
        lr: the learning rate.
        beta1: how much of m stays at each step.
        beta2: how much of v stays at each step.
        eps: keeps the quotient finite.
        weight_decay: pulls parameters towards 0.
        decoupled: whether weight decay is AdamW's.

    Source: arXiv 1412.6980, algorithm 1; arXiv 1711.05101, algorithm 2.
    """
    if weight_decay and decoupled:
        param *= 1 - lr * weight_decay
    elif weight_decay:
        grad = grad + weight_decay * param
    m *= beta1
    m += (1 - beta1) * grad
    v *= beta2
    v += (1 - beta2) * (grad * grad)
    root = np.sqrt(v)
    root *= (1 - beta2**step) ** -0.5
    root += eps
    param -= (lr / (1 - beta1**step)) * m / root
