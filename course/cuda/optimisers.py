"""Optimisers: from the table's entries to kernels that change arrays in place."""

import numpy as np

from course.cuda import functions
from course.cuda.array import CudaArray
from course.cuda.momentum import sgd_momentum
from course.cuda.operators import unary
from course.cuda.record import launch_for_each
from course.cuda.sgd import sgd

Array = CudaArray
sqrt = unary(functions.sqrt)


def sgd_update(
    param: Array,
    grad: Array,
    velocity: Array | None,
    lr: float,
    momentum: float,
    nesterov: bool,
    weight_decay: float,
) -> None:
    f = np.float32
    if velocity is None:
        launch_for_each(sgd, param.size, param.flat, grad.dense(grad.size), f(lr), f(weight_decay))
    else:
        launch_for_each(
            sgd_momentum,
            param.size,
            param.flat,
            grad.dense(grad.size),
            velocity.flat,
            f(lr),
            f(momentum),
            f(weight_decay),
            f(nesterov),
        )


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
    if weight_decay and decoupled:
        param *= 1 - lr * weight_decay
    elif weight_decay:
        grad = grad + weight_decay * param
    m *= beta1
    m += (1 - beta1) * grad
    v *= beta2
    v += (1 - beta2) * (grad * grad)
    root = sqrt(v)
    root *= (1 - beta2**step) ** -0.5
    root += eps
    param -= (lr / (1 - beta1**step)) * m / root
