"""Clipping gradients with one number copied to the host, not one for each parameter."""

import math
from collections.abc import Iterable

from numba import cuda, float32

from course.cuda.array import CudaArray
from course.cuda.block import THREADS, block_sum
from course.cuda.record import launch
from course.tensor import Tensor
from course.tensor.nn.clipping import with_grad

BLOCKS = 64
"""Blocks for each gradient, at most: the threads walk over what is longer."""


@cuda.jit
def add_squares(x, total):
    """total[0] += the sum of x[i]^2, whatever is there already.

    Each thread sums what it comes to in a grid-stride loop, each block adds up its threads' sums, and its first thread
    adds that to the total: one atomic addition for each block.

    Args:
        x: (n,), float32.
        total: (1,), float32.

    Launch: any number of blocks of THREADS threads.
    """
    own = float32(0)
    for i in range(cuda.grid(1), x.size, cuda.gridsize(1)):
        value = x[i]
        own += value * value
    squares = block_sum(own)
    if cuda.threadIdx.x == 0:
        cuda.atomic.add(total, 0, squares)


def clip_grad_norm_(parameters: Iterable[Tensor], max_norm: float) -> float:
    """As `course.tensor.nn.clipping.clip_grad_norm_`, for parameters on the device "cuda".

    The squares of all gradients are added up on the device. Only then is there something to wait for: one number.
    """
    tensors = with_grad(parameters)
    total = CudaArray.full((1,), 0, "float32")
    for p in tensors:
        x = p.grad.data.flat
        launch(add_squares, min(-(-x.size // THREADS), BLOCKS), THREADS, x, total)
    norm = math.sqrt(total.numpy()[0])
    if norm > max_norm:
        for p in tensors:
            p.grad = p.grad * (max_norm / norm)
    return norm
