"""Flash attention, backward: the probabilities are computed again, tile by tile.

One kernel walks over the keys for each query, and one over the queries for each key. So each gradient has
one thread that adds it up, and nothing is added to memory that others add to.
"""

from functools import cache
from typing import Any

from numba import cuda, float32

from course.cuda.attention import empty_like
from course.cuda.flash import launch_shape, scale_for
from course.cuda.flash_terms import add_dk_dv, add_dq, row_dots
from course.cuda.flash_tiles import visible
from course.cuda.rows import load_rows


@cache
def flash_backward_dq(d: int, rows: int) -> Any:
    """The kernel for rows of d numbers, in tiles of `rows` rows."""

    @cuda.jit
    def flash_backward_dq(q, k, v, grad, logsumexp, delta, scale, causal, dq):
        """The gradient by q. Each thread has a query, and walks over the keys as in forward.

        Args:
            q: (batch, t, d), float32, the queries.
            k: (batch, t, d), the keys.
            v: (batch, t, d), the values.
            grad: (batch, t, d), the gradient by the output.
            logsumexp: (batch, t), as from forward.
            delta: (batch, t), as from `row_dots`.
            scale: float32.
            causal: True or False.
            dq: (batch, t, d).

        Launch: blocks of `rows` threads; x is the tile of queries, y the problem of the batch.
        """
        keys = cuda.shared.array((rows, d), float32)
        values = cuda.shared.array((rows, d), float32)
        query = cuda.local.array(d, float32)
        mine = cuda.local.array(d, float32)
        acc = cuda.local.array(d, float32)
        i, b = cuda.grid(1), cuda.blockIdx.y
        t = q.shape[1]
        for c in range(d):
            query[c] = q[b, i, c] if i < t else float32(0)
            mine[c] = grad[b, i, c] if i < t else float32(0)
            acc[c] = float32(0)
        log_total = logsumexp[b, i] if i < t else float32(0)
        my_delta = delta[b, i] if i < t else float32(0)
        stop = min(t, (cuda.blockIdx.x + 1) * rows) if causal else t
        for start in range(0, stop, rows):
            load_rows(k[b], start, keys)
            load_rows(v[b], start, values)
            cuda.syncthreads()
            count = visible(i, start, rows, t, causal)
            add_dq(query, mine, log_total, my_delta, keys, values, count, scale, acc)
            cuda.syncthreads()
        if i < t:
            for c in range(d):
                dq[b, i, c] = acc[c]

    return flash_backward_dq


@cache
def flash_backward_dk_dv(d: int, rows: int) -> Any:
    """The kernel for rows of d numbers, in tiles of `rows` rows."""

    @cuda.jit
    def flash_backward_dk_dv(q, k, v, grad, logsumexp, delta, scale, causal, dk, dv):
        """The gradients by k and v. Each thread has a key and its value, and walks over the queries.

        Args:
            q: (batch, t, d), float32, the queries.
            k: (batch, t, d), the keys.
            v: (batch, t, d), the values.
            grad: (batch, t, d), the gradient by the output.
            logsumexp: (batch, t), as from forward.
            delta: (batch, t), as from `row_dots`.
            scale: float32.
            causal: True or False.
            dk: (batch, t, d).
            dv: (batch, t, d).

        Launch: blocks of `rows` threads; x is the tile of keys, y the problem of the batch.
        """
        queries = cuda.shared.array((rows, d), float32)
        grads = cuda.shared.array((rows, d), float32)
        logsumexps = cuda.shared.array(rows, float32)
        deltas = cuda.shared.array(rows, float32)
        key = cuda.local.array(d, float32)
        value = cuda.local.array(d, float32)
        dkey = cuda.local.array(d, float32)
        dvalue = cuda.local.array(d, float32)
        j, b, own = cuda.grid(1), cuda.blockIdx.y, cuda.threadIdx.x
        t = q.shape[1]
        for c in range(d):
            key[c] = k[b, j, c] if j < t else float32(0)
            value[c] = v[b, j, c] if j < t else float32(0)
            dkey[c] = float32(0)
            dvalue[c] = float32(0)
        begin = cuda.blockIdx.x * rows if causal else 0
        for start in range(begin, t, rows):
            load_rows(q[b], start, queries)
            load_rows(grad[b], start, grads)
            if start + own < t:
                logsumexps[own] = logsumexp[b, start + own]
                deltas[own] = delta[b, start + own]
            cuda.syncthreads()
            first = max(0, j - start) if causal else 0
            stop = min(rows, t - start)
            add_dk_dv(
                key, value, queries, grads, logsumexps, deltas, first, stop, scale, dkey, dvalue
            )
            cuda.syncthreads()
        if j < t:
            for c in range(d):
                dk[b, j, c] = dkey[c]
                dv[b, j, c] = dvalue[c]

    return flash_backward_dk_dv


def flash_gradients(
    q: Any, k: Any, v: Any, out: Any, logsumexp: Any, grad: Any, causal: bool = True
) -> tuple[Any, Any, Any]:
    """The gradients of `flash` by q, k and v.

    Args:
        q: the queries, as in forward.
        k: the keys.
        v: the values.
        out: what `flash_with_logsumexp` gave.
        logsumexp: the other that it gave.
        grad: (batch, t, d), the gradient by the output.
        causal: as in forward.

    Returns:
        (dq, dk, dv), each (batch, t, d), of the same kind of arrays.
    """
    batch, t, d = q.shape
    dq, dk, dv = (empty_like(q, q.shape) for _ in range(3))
    if dq.size:
        delta, scale = empty_like(q, (batch, t)), scale_for(d)
        n = batch * t
        row_dots[-(-n // 64), 64](grad.reshape(n, d), out.reshape(n, d), delta.reshape(n))
        grid, rows = launch_shape(batch, t, d)
        given = (q, k, v, grad, logsumexp, delta, scale, causal)
        flash_backward_dq(d, rows)[grid, rows](*given, dq)
        flash_backward_dk_dv(d, rows)[grid, rows](*given, dk, dv)
    return dq, dk, dv
