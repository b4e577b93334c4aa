"""Matrix products of the device: from numpy's rules to two kernels, for matrices and for batches of them."""

import math
from typing import Any

from course.cuda.matmul import blocked_launch, matmul_batched, matmul_blocked
from course.cuda.record import launch
from course.tensor.ops.products import product_shape
from course.tensor.shapes import broadcast_shapes


def multiply(a: Any, b: Any) -> Any:
    """a @ b, by numpy's rules (see `product_shape`), in one launch of a kernel for products.

    A vector becomes a matrix of one row (on the left) or one column (on the right). Two matrices go to
    `matmul_blocked`. All else is a batch: both batches are stretched to the one that they have together, its axes
    become one, and `matmul_batched` takes (size, n, k), (size, k, m) and the result as (size, n, m).

    The kernels want arrays in reading order, `x.dense(*shape)`, which copies what lies otherwise: about
    n^2 steps beside the product's n^3.

    Args:
        a: a CudaArray of float32.
        b: a CudaArray of float32.

    Returns:
        A new CudaArray of the shape that `product_shape` gives.
    """
    shape = product_shape(a.shape, b.shape)
    if a.ndim == 1:
        a = a.expand_dims(0)
    if b.ndim == 1:
        b = b.expand_dims(1)
    (n, k), m = a.shape[-2:], b.shape[-1]
    out = a.new(shape, a.dtype)
    grid, block = blocked_launch(n, m)
    if a.ndim == 2 and b.ndim == 2:
        launch(matmul_blocked, grid, block, a.dense(), b.dense(), out.dense(n, m))
        return out
    batch = broadcast_shapes(a.shape[:-2], b.shape[:-2])
    size = math.prod(batch)
    left = a.broadcast_to((*batch, n, k)).dense(size, n, k)
    right = b.broadcast_to((*batch, k, m)).dense(size, k, m)
    launch(matmul_batched, (*grid, size), block, left, right, out.dense(size, n, m))
    return out
