"""Attention with the matrix of scores in memory: the kernels before and after softmax."""

import math

from numba import cuda, float32


@cuda.jit
def attention_scores(q, k, scale, causal, scores):
    """How well each query fits each key.

        scores[b, i, j] = scale * sum over c of q[b, i, c] * k[b, j, c]

    With causal, a query sees no later key: where j > i, the score is -inf, and softmax makes it 0.

    Args:
        q: (batch, t, d), float32: in each of batch problems t queries.
        k: (batch, t, d), the keys.
        scale: float32.
        causal: True or False.
        scores: (batch, t, t).

    Launch: a thread for each score; x is the key j, y the query i, z the problem b. The blocks reach
    beyond t.
    """
    j, i, b = cuda.grid(3)
    t, d = q.shape[1], q.shape[2]
    if i < t and j < t:
        total = float32(0)
        for c in range(d):
            total += q[b, i, c] * k[b, j, c]
        hidden = causal and j > i
        scores[b, i, j] = float32(-math.inf) if hidden else scale * total


@cuda.jit
def attention_output(probabilities, v, out):
    """The mean of the values, weighted by the probabilities.

        out[b, i, c] = sum over j of probabilities[b, i, j] * v[b, j, c]

    Args:
        probabilities: (batch, t, t), float32.
        v: (batch, t, d).
        out: (batch, t, d).

    Launch: a thread for each number of out; x is the column c, y the query i, z the problem b. The
    blocks reach beyond d and t.
    """
    c, i, b = cuda.grid(3)
    t, d = v.shape[1], v.shape[2]
    if i < t and c < d:
        total = float32(0)
        for j in range(t):
            total += probabilities[b, i, j] * v[b, j, c]
        out[b, i, c] = total
