"""One step of gradient descent with momentum, as one kernel."""

from numba import cuda


@cuda.jit
def sgd_momentum(param, grad, velocity, lr, momentum, decay, nesterov):
    """Gradient descent with momentum, in place.

        g = grad + decay * param
        velocity = momentum * velocity + g
        param -= lr * velocity                              plain momentum, nesterov = 0
        param -= lr * (g + momentum * velocity)             Nesterov, nesterov = 1

    Args:
        param: one axis; changed.
        grad: of the same length.
        velocity: of the same length; changed.
        lr: the learning rate.
        momentum: how much of the velocity stays.
        decay: pulls parameters towards 0.
        nesterov: 0.0 or 1.0.
    """
    i = cuda.grid(1)
    if i < param.size:
        g = grad[i] + decay * param[i]
        v = momentum * velocity[i] + g
        velocity[i] = v
        param[i] -= lr * ((g + momentum * v) if nesterov > 0 else v)
