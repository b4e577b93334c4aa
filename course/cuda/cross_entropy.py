"""Cross-entropy of each row's logits with its target, forward and backward."""

import math

from numba import cuda, float32

from course.cuda.block import THREADS, block_sum
from course.cuda.online import peak_and_total


@cuda.jit
def cross_entropy(logits, targets, ignore_index, smoothing, losses, probabilities):
    """-log of the probability that each row gives to its target, and all probabilities.

        log_p = logits - peak - log(total)
        loss = -(1 - smoothing) * log_p[target] - smoothing * mean(log_p)

    Args:
        logits: (n, classes), float32.
        targets: (n,), int64, the index of the right class in each row.
        ignore_index: rows with this target have the loss 0. It need not be a class.
        smoothing: a number from 0 to 1. Where it is 0, the mean counts for nothing, even if it is -inf.
        losses: (n,).
        probabilities: (n, classes), exp(log_p), also of ignored rows.

    Launch: n blocks of THREADS threads, a block for each row.
    """
    row, target, smooth = cuda.blockIdx.x, targets[cuda.blockIdx.x], float32(smoothing)
    peak, total = peak_and_total(logits, row)
    log_total = math.log(total)
    part = float32(0)
    for c in range(cuda.threadIdx.x, logits.shape[1], THREADS):
        log_p = logits[row, c] - peak - log_total
        probabilities[row, c] = math.exp(log_p)
        if smooth > 0:
            part += log_p * (smooth / float32(logits.shape[1]))
        if c == target:
            part += log_p * (float32(1) - smooth)
    loss = -block_sum(part)
    if cuda.threadIdx.x == 0:
        losses[row] = loss if target != ignore_index else float32(0)


@cuda.jit
def cross_entropy_backward(probabilities, targets, grad, ignore_index, smoothing, out):
    """The gradient by the logits: probability minus target, times the gradient of the row's loss.

    With smoothing, the target is not 1 at one class, but 1 - smoothing there, and smoothing / classes
    more at every class.

    Args:
        probabilities: (n, classes), float32, from `cross_entropy`.
        targets: (n,), int64.
        grad: (n,), the gradient of each row's loss.
        ignore_index: rows with this target have the gradient 0.
        smoothing: a number from 0 to 1.
        out: (n, classes).

    Launch: at least n * classes threads in one dimension, a thread for each element.
    """
    row, c = divmod(cuda.grid(1), out.shape[1])
    if row < out.shape[0]:
        smooth = float32(smoothing)
        result = probabilities[row, c] - smooth / float32(out.shape[1])
        if c == targets[row]:
            result -= float32(1) - smooth
        out[row, c] = result * grad[row] if targets[row] != ignore_index else float32(0)
