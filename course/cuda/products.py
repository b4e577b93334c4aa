"""Matrix products of the device: from numpy's rules to one kernel for batches of matrices."""

import math
from typing import Any

from course.cuda.matmul import blocked_launch, matmul_blocked
from course.cuda.record import launch
from course.tensor.ops.products import product_shape
from course.tensor.shapes import broadcast_shapes


def multiply(a: Any, b: Any) -> Any:
    """a @ b, by numpy's rules (see `product_shape`), in one launch of `matmul_blocked`.

    A vector becomes a matrix of one row (on the left) or one column (on the right). Both batches are stretched
    to the one that they have together, and its axes become one: the kernel takes (size, n, k), (size, k, m) and
    the result as (size, n, m). Two matrices are a batch of size 1.

    The kernel wants arrays in reading order, `x.dense(*shape)`, which copies what lies otherwise: about
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
    batch = broadcast_shapes(a.shape[:-2], b.shape[:-2])
    size = math.prod(batch)
    left = a.broadcast_to((*batch, n, k)).dense(size, n, k)
    right = b.broadcast_to((*batch, k, m)).dense(size, k, m)
    out = a.new(shape, a.dtype)
    grid, block = blocked_launch(n, m, size)
    launch(matmul_blocked, grid, block, left, right, out.dense(size, n, m))
    return out
