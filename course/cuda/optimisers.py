"""Optimisers: from the table's entries to kernels that change parameters in place.

Each function is one of `course.tensor.numpy_ops`, which says what it computes.
"""

import numpy as np

from course.cuda.adamw import adamw
from course.cuda.array import CudaArray
from course.cuda.momentum import sgd_momentum
from course.cuda.record import launch_for_each
from course.cuda.sgd import sgd


def sgd_update(
    param: CudaArray,
    grad: CudaArray,
    velocity: CudaArray | None,
    lr: float,
    momentum: float,
    nesterov: bool,
    weight_decay: float,
) -> None:
    """One step of gradient descent: one launch."""
    target = in_order(param)
    single = (
        np.float32
    )  # Python's own numbers are float64, and so would be what the kernel computes
    if velocity is None:
        launch_for_each(sgd, param.size, target.flat, grad.flat, single(lr), single(weight_decay))
    else:
        numbers = (single(lr), single(momentum), single(weight_decay), single(nesterov))
        arrays = (target.flat, grad.flat, velocity.flat)
        launch_for_each(sgd_momentum, param.size, *arrays, *numbers)
    write_back(target, param)


def adam_update(
    param: CudaArray,
    grad: CudaArray,
    m: CudaArray,
    v: CudaArray,
    step: int,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    decoupled: bool,
) -> None:
    """One step of Adam or AdamW: one launch, or three if Adam has a weight decay."""
    if weight_decay and not decoupled:
        grad = grad + weight_decay * param
    target = in_order(param)
    decay = float(weight_decay) if decoupled else 0.0
    numbers = (lr, beta1, beta2, eps, decay, 1 - beta1**step, 1 - beta2**step)
    arrays = (target.flat, grad.flat, m.flat, v.flat)
    launch_for_each(adamw, param.size, *arrays, *map(float, numbers))
    write_back(target, param)


def in_order(param: CudaArray) -> CudaArray:
    """The parameter, or if it is a view out of order, a copy, which is written back afterwards."""
    if param.buffer.is_constant:
        raise ValueError("this parameter is a constant that others use too; make it of a copy()")
    return param.contiguous()


def write_back(target: CudaArray, param: CudaArray) -> None:
    """What was computed in a copy goes into the parameter."""
    if target is not param:
        param.assign(target)
