"""Optimiser steps: each parameter is read and written once."""

import math
from collections.abc import Callable

from course.tensor.kernels.compiling import Array, in_place_of_numpy, loop, plain


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
