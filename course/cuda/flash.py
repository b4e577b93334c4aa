"""Flash attention, forward: attention without the matrix of scores."""

import math
from functools import cache
from typing import Any

import numpy as np
from numba import cuda, float32

from course.cuda.attention import empty_like
from course.cuda.flash_tiles import attend


@cache
def flash_forward(d: int, rows: int) -> Any:
    """The kernel for rows of d numbers, in tiles of `rows` rows; both are constants of the compiled kernel."""

    @cuda.jit
    def flash_forward(q, k, v, scale, causal, out, logsumexp):
        """softmax(scale * q @ k.T) @ v, and the logarithm of each query's sum of exponentials.

        Args:
            q: (batch, t, d), float32, the queries.
            k: (batch, t, d), the keys.
            v: (batch, t, d), the values.
            scale: float32.
            causal: True or False.
            out: (batch, t, d).
            logsumexp: (batch, t).

        Launch: blocks of `rows` threads; x is the tile of queries, y the problem of the batch.
        """
        keys = cuda.shared.array((rows, d), float32)
        values = cuda.shared.array((rows, d), float32)
        scores = cuda.local.array(rows, float32)
        query = cuda.local.array(d, float32)
        acc = cuda.local.array(d, float32)
        i, b = cuda.grid(1), cuda.blockIdx.y
        t = q.shape[1]
        for c in range(d):
            query[c] = q[b, i, c] if i < t else float32(0)
            acc[c] = float32(0)
        peak, total = attend(k[b], v[b], i, query, scale, causal, keys, values, scores, acc)
        if i < t:
            for c in range(d):
                out[b, i, c] = acc[c] / total
            logsumexp[b, i] = peak + math.log(total)

    return flash_forward


def flash(q: Any, k: Any, v: Any, causal: bool = True) -> Any:
    """softmax(q @ k.T / sqrt(d)) @ v in each problem of a batch; memory grows with t, not with its square.

    Args:
        q: the queries, (batch, t, d), float32, C-contiguous, an array of numpy or on the device. Several
            heads are one batch of batch * heads.
        k: the keys, as q.
        v: the values, as q.
        causal: whether a query sees only the keys up to its own place.

    Returns:
        (batch, t, d), of the same kind of arrays.
    """
    return flash_with_logsumexp(q, k, v, causal)[0]


def flash_with_logsumexp(q: Any, k: Any, v: Any, causal: bool = True) -> tuple[Any, Any]:
    """(output, logsumexp): what `flash` gives, and the (batch, t) that `flash_gradients` wants besides."""
    batch, t, d = q.shape
    out, logsumexp = empty_like(q, (batch, t, d)), empty_like(q, (batch, t))
    if out.size:
        grid, rows = launch_shape(batch, t, d)
        kernel = flash_forward(d, rows)
        kernel[grid, rows](q, k, v, scale_for(d), causal, out, logsumexp)
    return out, logsumexp


def launch_shape(batch: int, t: int, d: int) -> tuple[tuple[int, int], int]:
    """(grid, rows of a tile). Two tiles of float32 must fit into 48 KiB of shared memory."""
    rows = 64 if d <= 64 else 32
    return (-(-t // rows), batch), rows


def scale_for(d: int) -> np.float32:
    """1 / sqrt(d): the scores of random rows get the same spread for any d."""
    return np.float32(1 / math.sqrt(d))
