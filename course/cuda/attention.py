"""Attention in three kernels: scores, softmax, output. The scores of all pairs lie in memory."""

import math
from typing import Any

import numpy as np
from numba import cuda

from course.cuda.attention_kernels import attention_output, attention_scores
from course.cuda.block import THREADS
from course.cuda.softmax import softmax_online

BLOCK = (32, 8)
"""Threads of a block: keys or columns, queries."""


def attention(q: Any, k: Any, v: Any, causal: bool = True) -> Any:
    """softmax(q @ k.T / sqrt(d)) @ v in each problem of a batch.

    Args:
        q: the queries, (batch, t, d), float32, C-contiguous, an array of numpy or on the device. Several
            heads are one batch of batch * heads.
        k: the keys, as q.
        v: the values, as q.
        causal: whether a query sees only the keys up to its own place.

    Returns:
        (batch, t, d), of the same kind of arrays.
    """
    batch, t, d = q.shape
    out, scores, probabilities = (empty_like(q, (batch, t, n)) for n in (d, t, t))
    if out.size:
        scale = np.float32(1 / math.sqrt(d))
        attention_scores[blocks(t, t, batch), BLOCK](q, k, scale, causal, scores)
        rows = [x.reshape(batch * t, t) for x in (scores, probabilities)]
        softmax_online[batch * t, THREADS](*rows)
        attention_output[blocks(d, t, batch), BLOCK](probabilities, v, out)
    return out


def blocks(width: int, height: int, batch: int) -> tuple[int, int, int]:
    """As many blocks as cover a batch of matrices."""
    return -(-width // BLOCK[0]), -(-height // BLOCK[1]), batch


def empty_like(x: Any, shape: tuple[int, ...]) -> Any:
    """An array of float32 where x is: of numpy, or on the device."""
    if isinstance(x, np.ndarray):
        return np.empty(shape, np.float32)
    return cuda.device_array(shape, np.float32)
