"""A step of AdamW in one kernel."""

import math

from numba import cuda, float32


@cuda.jit
def adamw(w, grad, m, v, lr, beta1, beta2, eps, decay, correction1, correction2):
    """One step, which changes w, m and v in place.

        m = beta1 * m + (1 - beta1) * grad
        v = beta2 * v + (1 - beta2) * grad^2
        w = w - lr * decay * w - lr * (m / correction1) / (sqrt(v / correction2) + eps)

    Args:
        w: (n,), float32, the parameters.
        grad: (n,).
        m: (n,), the running mean of the gradient.
        v: (n,), the running mean of its square.
        lr: the learning rate. This and all below are Python's numbers, so float64.
        beta1: how much of m stays.
        beta2: how much of v stays.
        eps: keeps the quotient finite.
        decay: pulls parameters towards 0.
        correction1: 1 - beta1**step, where the first step is 1.
        correction2: 1 - beta2**step.

    Launch: at least n threads in one dimension, a thread for each element.

    Source: arXiv 1711.05101, algorithm 2; that lr multiplies the decay, too, is PyTorch's form.
    """
    i = cuda.grid(1)
    if i < w.size:
        g = grad[i]
        mean = float32(beta1) * m[i] + float32(1 - beta1) * g
        square = float32(beta2) * v[i] + float32(1 - beta2) * g * g
        root = math.sqrt(square / float32(correction2)) + float32(eps)
        kept = w[i] * float32(1 - lr * decay)
        w[i] = kept - float32(lr / correction1) * mean / root
        m[i] = mean
        v[i] = square
