"""Some of the CPU's array functions once more, each compiled into one loop by numba.

numpy takes an operation of several steps several times through memory, and pays for each call. A
compiled loop goes through once. It pays where arrays are small or steps are many; matrix products
stay with numpy. `use_kernels()` switches them on.

Each function here stands for the one of its name in `course.tensor.numpy_ops`, gives the same, and
leaves to it what is out of the ordinary. numba is imported, and compiles, only when one is first used.
"""

import functools
import math
import types
from collections.abc import Callable
from typing import Any

import numpy as np

from course.tensor import numpy_ops
from course.tensor.devices import get_device

Array = np.ndarray
TABLE = types.ModuleType(
    "course.tensor.compiled_ops", "numpy_ops, with compiled functions over it."
)


def use_kernels(on: bool = True) -> None:
    """Let tensors on the CPU use compiled functions, or numpy's again.

    The first use of each takes a second to compile; after that it is kept on disk, where that
    can be written. The environment variable COURSE_KERNELS=1 switches them on from the start.

    Args:
        on: whether to use them.
    """
    if on:
        _keep_freed_memory()
        vars(TABLE).update(
            {name: getattr(numpy_ops, name) for name in numpy_ops.__all__} | COMPILED
        )
    get_device("cpu").ops = TABLE if on else numpy_ops


def _keep_freed_memory() -> None:
    """Let C's allocator keep large arrays that are freed, instead of asking the system each time.

    In training, arrays of the same sizes come and go at each step, and fresh memory has to be
    filled with zeros by the system first. With glibc only; elsewhere nothing happens.
    """
    import ctypes

    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return
    mallopt(-3, 1 << 30)  # M_MMAP_THRESHOLD
    mallopt(-1, 1 << 30)  # M_TRIM_THRESHOLD


COMPILED: dict[str, Callable] = {}


def in_place_of_numpy(fast: Callable) -> Callable:
    """Put a function into the table of compiled ones.

    It gets numpy's function as its first argument, for what it does not do itself. If somebody has
    put a function of their own into numpy_ops, as a student does, that one is called instead.
    """
    name = fast.__name__
    reference = getattr(numpy_ops, name)

    @functools.wraps(reference)
    def choose(*args: Any) -> Any:
        current = getattr(numpy_ops, name)
        return fast(current, *args) if current is reference else current(*args)

    COMPILED[name] = choose
    return fast


def loop(function: Callable) -> Callable:
    """Compile a function of loops, when it is first called.

    error_model: a division by 0 gives inf, as in numpy. To look for it would keep loops from using
    the processor's vector instructions. fastmath: sums may be taken in another order, for the same
    reason; inf and nan stay what they are.
    """

    compiled: list[Callable] = []

    @functools.wraps(function)
    def call(*args: Any) -> Any:
        if not compiled:
            import numba

            fastmath = {"reassoc", "contract", "arcp", "nsz"}
            jit = numba.njit(cache=True, error_model="numpy", fastmath=fastmath)
            compiled.append(jit(function))
        return compiled[0](*args)

    return call


def plain(*arrays: Array) -> bool:
    """Whether these are float arrays of one dtype, their elements in C order, and not empty."""
    dtype = arrays[0].dtype
    if dtype != np.float32 and dtype != np.float64:
        return False
    for array in arrays:
        if array.dtype is not dtype or not array.flags.c_contiguous or not array.size:
            return False
    return True


# ---------------------------------------------------------------- activations


@loop
def _relu(x: Array, y: Array) -> None:
    x, y = x.reshape(-1), y.reshape(-1)
    for i in range(x.size):
        y[i] = x[i] if x[i] > 0 or x[i] != x[i] else 0


@in_place_of_numpy
def relu(slow: Callable, x: Array) -> Array:  # noqa: D103  (numpy_ops says what each of these does)
    if not plain(x):
        return slow(x)
    y = np.empty_like(x)
    _relu(x, y)
    return y


@loop
def _relu_backward(y: Array, grad: Array, out: Array) -> None:
    y, grad, out = y.reshape(-1), grad.reshape(-1), out.reshape(-1)
    for i in range(y.size):
        out[i] = grad[i] if y[i] > 0 else 0


@in_place_of_numpy
def relu_backward(slow: Callable, y: Array, grad: Array) -> Array:  # noqa: D103
    if not plain(y, grad):
        return slow(y, grad)
    out = np.empty_like(y)
    _relu_backward(y, grad, out)
    return out


# ---------------------------------------------------------------- the loss of classifiers


@loop
def _cross_entropy(
    x: Array, targets: Array, ignore_index: int, smoothing: float, losses: Array, p: Array
) -> None:
    n, n_classes = x.shape
    for i in range(n):
        largest = x[i, 0]
        for j in range(n_classes):
            largest = max(largest, x[i, j])
        total = x[i, 0] - x[i, 0]  # a 0 of this dtype
        sum_x = total
        for j in range(n_classes):
            p[i, j] = math.exp(x[i, j] - largest)
            total += p[i, j]
            sum_x += x[i, j] - largest
        log_total = math.log(total)
        for j in range(n_classes):
            p[i, j] /= total
        t = targets[i]
        if t == ignore_index:
            losses[i] = 0
        else:
            loss = log_total - (x[i, t] - largest)
            if smoothing > 0:
                mean = sum_x / n_classes - log_total
                loss = (1 - smoothing) * loss - smoothing * mean
            losses[i] = loss


@in_place_of_numpy
def cross_entropy(  # noqa: D103
    slow: Callable, logits: Array, targets: Array, ignore_index: int, smoothing: float
) -> tuple[Array, Array]:
    if not plain(logits):
        return slow(logits, targets, ignore_index, smoothing)
    losses, p = np.empty(len(logits), logits.dtype), np.empty_like(logits)
    _cross_entropy(logits, targets, ignore_index, smoothing, losses, p)
    return losses, p


@loop
def _cross_entropy_backward(
    p: Array, targets: Array, grad: Array, ignore_index: int, smoothing: float, out: Array
) -> None:
    n, n_classes = p.shape
    for i in range(n):
        t = targets[i]
        g = grad[i] if t != ignore_index else 0 * p[i, 0]
        for j in range(n_classes):
            out[i, j] = (p[i, j] - smoothing / n_classes) * g
        if t != ignore_index:
            out[i, t] -= (1 - smoothing) * g


@in_place_of_numpy
def cross_entropy_backward(  # noqa: D103
    slow: Callable, p: Array, targets: Array, grad: Any, ignore_index: int, smoothing: float
) -> Array:
    if not plain(p):
        return slow(p, targets, grad, ignore_index, smoothing)
    out = np.empty_like(p)
    grads = np.empty(len(p), p.dtype)
    grads[:] = grad
    _cross_entropy_backward(p, targets, grads, ignore_index, smoothing, out)
    return out


# ---------------------------------------------------------------- rows


@loop
def _layer_norm(
    x: Array, weight: Array, bias: Array, eps: float, y: Array, normalised: Array, scale: Array
) -> None:
    n, width = x.shape
    for i in range(n):
        mean = x[i, 0] - x[i, 0]
        variance = mean
        for j in range(width):
            mean += x[i, j]
        mean /= width
        for j in range(width):
            variance += (x[i, j] - mean) * (x[i, j] - mean)
        s = 1 / math.sqrt(variance / width + eps)
        scale[i, 0] = s
        for j in range(width):
            normalised[i, j] = (x[i, j] - mean) * s
            y[i, j] = normalised[i, j] * weight[j] + bias[j]


@in_place_of_numpy
def layer_norm(  # noqa: D103
    slow: Callable, x: Array, weight: Array, bias: Array, eps: float
) -> tuple[Array, Array, Array]:
    if not plain(x, weight, bias):
        return slow(x, weight, bias, eps)
    y, normalised, scale = np.empty_like(x), np.empty_like(x), np.empty((len(x), 1), x.dtype)
    _layer_norm(x, weight, bias, eps, y, normalised, scale)
    return y, normalised, scale


@loop
def _layer_norm_backward(
    y: Array, scale: Array, weight: Array, grad: Array, dx: Array, dw: Array, db: Array
) -> None:
    n, width = y.shape
    for j in range(width):
        dw[j] = 0
        db[j] = 0
    for i in range(n):
        mean_g = y[i, 0] - y[i, 0]
        mean_gy = mean_g
        for j in range(width):
            g = grad[i, j] * weight[j]
            mean_g += g
            mean_gy += g * y[i, j]
            dw[j] += grad[i, j] * y[i, j]
            db[j] += grad[i, j]
        mean_g /= width
        mean_gy /= width
        for j in range(width):
            dx[i, j] = scale[i, 0] * (grad[i, j] * weight[j] - mean_g - y[i, j] * mean_gy)


@in_place_of_numpy
def layer_norm_backward(  # noqa: D103
    slow: Callable, y: Array, scale: Array, weight: Array, grad: Array
) -> tuple[Array, Array, Array]:
    if not plain(y, scale, weight, grad):
        return slow(y, scale, weight, grad)
    dx, dw, db = np.empty_like(y), np.empty_like(weight), np.empty_like(weight)
    _layer_norm_backward(y, scale, weight, grad, dx, dw, db)
    return dx, dw, db


@loop
def _add_rows(indices: Array, grad: Array, out: Array) -> None:
    for i in range(indices.size):
        row = indices[i]
        for j in range(grad.shape[1]):
            out[row, j] += grad[i, j]


@in_place_of_numpy
def embedding_backward(slow: Callable, n_rows: int, indices: Array, grad: Array) -> Array:  # noqa: D103
    if not plain(grad):
        return slow(n_rows, indices, grad)
    out = np.zeros((n_rows, grad.shape[1]), grad.dtype)
    _add_rows(indices, grad, out)
    return out


# ---------------------------------------------------------------- images


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


# ---------------------------------------------------------------- optimisers


@loop
def _sgd_update(
    param: Array,
    grad: Array,
    velocity: Array,
    lr: float,
    momentum: float,
    nesterov: bool,
    decay: float,
) -> None:
    real = param.dtype.type
    lr, momentum, decay = real(lr), real(momentum), real(decay)
    param, grad, velocity = param.reshape(-1), grad.reshape(-1), velocity.reshape(-1)
    for i in range(param.size):
        g = grad[i] + decay * param[i]
        velocity[i] = momentum * velocity[i] + g
        param[i] -= lr * (g + momentum * velocity[i] if nesterov else velocity[i])


@in_place_of_numpy
def sgd_update(  # noqa: D103
    slow: Callable,
    param: Array,
    grad: Array,
    velocity: Array | None,
    lr: float,
    momentum: float,
    nesterov: bool,
    weight_decay: float,
) -> None:
    if velocity is None or not plain(param, grad, velocity):
        slow(param, grad, velocity, lr, momentum, nesterov, weight_decay)
        return
    _sgd_update(param, grad, velocity, float(lr), float(momentum), nesterov, float(weight_decay))


@loop
def _adam_update(
    param: Array,
    grad: Array,
    m: Array,
    v: Array,
    step_size: float,
    beta1: float,
    beta2: float,
    root_scale: float,
    eps: float,
    shrink: float,
    decay: float,
) -> None:
    real = param.dtype.type  # one float64 among float32 numbers would make the whole loop float64
    b1, b2, c1, c2 = real(beta1), real(beta2), real(1 - beta1), real(1 - beta2)
    step_size, root_scale, eps = real(step_size), real(root_scale), real(eps)
    shrink, decay = real(shrink), real(decay)
    param, grad, m, v = param.reshape(-1), grad.reshape(-1), m.reshape(-1), v.reshape(-1)
    for i in range(param.size):
        g = grad[i] + decay * param[i]
        m[i] = b1 * m[i] + c1 * g
        v[i] = b2 * v[i] + c2 * (g * g)
        param[i] = shrink * param[i] - step_size * m[i] / (math.sqrt(v[i]) * root_scale + eps)


@in_place_of_numpy
def adam_update(  # noqa: D103
    slow: Callable,
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
    if not plain(param, grad, m, v):
        slow(param, grad, m, v, step, lr, beta1, beta2, eps, weight_decay, decoupled)
        return
    _adam_update(
        param,
        grad,
        m,
        v,
        lr / (1 - beta1**step),
        float(beta1),
        float(beta2),
        (1 - beta2**step) ** -0.5,
        float(eps),
        1.0 - lr * weight_decay if decoupled else 1.0,
        0.0 if decoupled else float(weight_decay),
    )
