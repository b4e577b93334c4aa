"""One step of gradient descent, as one kernel."""

from numba import cuda


@cuda.jit
def sgd(param, grad, lr, decay):
    """Plain gradient descent, in place: param -= lr * (grad + decay * param).

    Args:
        param: one axis; changed.
        grad: of the same length.
        lr: the learning rate.
        decay: pulls parameters towards 0.
    """
    i = cuda.grid(1)
    if i < param.size:
        param[i] -= lr * (grad[i] + decay * param[i])
