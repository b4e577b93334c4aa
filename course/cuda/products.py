"""Matrix products of the device: from numpy's rules to two kernels, for matrices and for batches of them."""

import math
from typing import Any

from course.cuda.matmul import blocked_launch, matmul_batched, matmul_blocked
from course.cuda.record import launch
from course.tensor.ops.products import product_shape
from course.tensor.shapes import broadcast_shapes


def multiply(a: Any, b: Any) -> Any:
    """a @ b, by numpy's rules (see `product_shape`).

    A vector is made a matrix, a batch is stretched, and what does not lie in reading order is copied: that
    takes n^2 steps where the product takes n^3.
    """
    shape = product_shape(a.shape, b.shape)
    a = a.expand_dims(0) if a.ndim == 1 else a
    b = b.expand_dims(1) if b.ndim == 1 else b
    n, k, m = a.shape[-2], a.shape[-1], b.shape[-1]
    out = a.new(shape, a.dtype)
    if k == 0:
        return a.full(shape, 0, a.dtype)
    grid, block = blocked_launch(n, m)
    if a.ndim == 2 and b.ndim == 2:
        launch(matmul_blocked, grid, block, a.dense(), b.dense(), out.dense(n, m))
        return out
    batch = broadcast_shapes(a.shape[:-2], b.shape[:-2])
    size = math.prod(batch)
    a = a.broadcast_to((*batch, n, k)).dense(size, n, k)
    b = b.broadcast_to((*batch, k, m)).dense(size, k, m)
    launch(matmul_batched, (*grid, size), block, a, b, out.dense(size, n, m))
    return out
