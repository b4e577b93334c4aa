"""The gradients of flash attention, a tile at a time, and what they have in common for each query.

With p = exp(score - logsumexp), the probability that forward did not store, and dp = grad . value,

    dscore = p * (dp - delta)        delta = grad . out, one number for each query
    dq = scale * sum over the keys    of dscore * key
    dk = scale * sum over the queries of dscore * query
    dv =         sum over the queries of p * grad

Source: arXiv 2205.14135, appendix B.4; the two loops are those of arXiv 2307.08691.
"""

import math

from numba import cuda, float32

from course.cuda.rows import dot


@cuda.jit
def row_dots(grad, out, delta):
    """delta[r] = sum over c of grad[r, c] * out[r, c].

    Args:
        grad: (n, d), float32: the gradient by attention's output, a row for each query.
        out: (n, d), the output.
        delta: (n,).

    Launch: a thread for each row, and perhaps more.
    """
    r = cuda.grid(1)
    if r < delta.shape[0]:
        total = float32(0)
        for c in range(grad.shape[1]):
            total += grad[r, c] * out[r, c]
        delta[r] = total


@cuda.jit(device=True)
def add_dq(query, grad, logsumexp, delta, keys, values, count, scale, dq):
    """Add what the keys of one tile give to the gradient of a query.

        p  = exp(scale * (query . key) - logsumexp)
        dq += scale * p * ((grad . value) - delta) * key

    Args:
        query: (d,), local.
        grad: (d,), local, the gradient by the query's output.
        logsumexp: the query's, float32.
        delta: the query's, float32.
        keys: (rows, d), shared, the tile.
        values: (rows, d), shared, the tile.
        count: how many keys of the tile the query sees, the first ones.
        scale: float32.
        dq: (d,), local; changed in place.
    """
    for j in range(count):
        p = math.exp(scale * dot(query, keys, j) - logsumexp)
        dscore = p * (dot(grad, values, j) - delta)
        for c in range(dq.shape[0]):
            dq[c] += scale * dscore * keys[j, c]


@cuda.jit(device=True)
def add_dk_dv(key, value, queries, grads, logsumexps, deltas, first, stop, scale, dk, dv):
    """Add what the queries of one tile give to the gradients of a key and its value.

        p  = exp(scale * (query . key) - logsumexp)
        dv += p * grad
        dk += scale * p * ((grad . value) - delta) * query

    Args:
        key: (d,), local.
        value: (d,), local.
        queries: (rows, d), shared, a tile of queries.
        grads: (rows, d), shared, the gradients by their outputs.
        logsumexps: (rows,), shared, the queries'.
        deltas: (rows,), shared, the queries'.
        first: the first query of the tile that sees the key.
        stop: the query behind the last one that does. If it is not above first, none sees the key.
        scale: float32.
        dk: (d,), local; changed in place.
        dv: (d,), local; changed in place.
    """
    for r in range(first, stop):
        p = math.exp(scale * dot(key, queries, r) - logsumexps[r])
        dscore = p * (dot(value, grads, r) - deltas[r])
        for c in range(dk.shape[0]):
            dv[c] += p * grads[r, c]
            dk[c] += scale * dscore * queries[r, c]
