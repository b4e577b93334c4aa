"""What a thread of flash attention does with its query: device functions.

A block has as many threads as a tile has rows, and each thread has a query. Keys and values come tile by
tile into shared memory, where all threads of the block use them.
"""

import math

from numba import cuda, float32

from course.cuda.rows import dot, load_rows


@cuda.jit(device=True)
def visible(i, start, rows, t, causal):
    """How many keys of a tile a query sees: always the first ones.

    Args:
        i: the query's place.
        start: the place of the tile's first key.
        rows: how many keys a whole tile has.
        t: how many keys and queries there are. The last tile may have fewer keys; some threads
            have no query, i >= t, and see none.
        causal: whether the query sees only the keys up to its own place.

    Returns:
        A number from 0 to rows.
    """
    if i >= t:
        return 0
    stop = i + 1 if causal else t
    return max(0, min(stop - start, rows))


@cuda.jit(device=True)
def merge(scores, count, values, peak, total, acc):
    """Take one tile into what a query has so far: online softmax, a tile at a time.

        new   = max(peak, scores[0], ..., scores[count - 1])
        total = total * exp(peak - new) + sum of exp(scores[j] - new)
        acc   = acc   * exp(peak - new) + sum of exp(scores[j] - new) * values[j]

    acc is changed in place.

    Args:
        scores: (rows,), the query's scores with the keys of the tile. Only the first count are there.
        count: at least 1.
        values: (rows, d), the values of the tile, shared. Only the first count rows are there for sure.
        peak: the largest score so far, -inf at the beginning.
        total: the sum of exp(score - peak) so far, 0 at the beginning.
        acc: (d,), the sum of exp(score - peak) * value so far, zeros at the beginning.

    Returns:
        (new, total): the new peak and the new total.

    Source: arXiv 2205.14135, algorithm 1.
    """
    new = peak
    for j in range(count):
        new = max(new, scores[j])
    shrink = math.exp(peak - new)
    total *= shrink
    for c in range(acc.shape[0]):
        acc[c] *= shrink
    for j in range(count):
        weight = math.exp(scores[j] - new)
        total += weight
        for c in range(acc.shape[0]):
            acc[c] += weight * values[j, c]
    return new, total


@cuda.jit(device=True)
def attend(k, v, i, query, scale, causal, keys, values, scores, acc):
    """Walk over the keys and values, tile by tile, with a query.

    For each tile, all threads load its keys and values; then each thread fills in the scores of its query with the
    keys that it sees, scale * dot(query, key), and merges the tile into its own peak, total and acc. A
    tile may be overwritten when all threads have done so. With causal, no tile is loaded that no
    thread of the block can see.

    Args:
        k: (t, d), float32, the keys.
        v: (t, d), the values.
        i: the place of the thread's query. The block's first query is at blockIdx.x * rows.
        query: (d,), local.
        scale: float32.
        causal: whether a query sees only the keys up to its own place.
        keys: (rows, d), shared, room for a tile. A block has rows threads.
        values: (rows, d), shared, the same.
        scores: (rows,), local.
        acc: (d,), local, zeros at the beginning.

    Returns:
        (peak, total). What is returned by threads without a query, i >= t, does not matter.
    """
    t, rows = k.shape[0], keys.shape[0]
    stop = min(t, (cuda.blockIdx.x + 1) * rows) if causal else t
    peak, total = float32(-math.inf), float32(0)
    for start in range(0, stop, rows):
        load_rows(k, start, keys)
        load_rows(v, start, values)
        cuda.syncthreads()
        count = visible(i, start, rows, t, causal)
        for j in range(count):
            scores[j] = scale * dot(query, keys, j)
        if count > 0:
            peak, total = merge(scores, count, values, peak, total, acc)
        cuda.syncthreads()  # all have used the tile: the next one may be loaded
    return peak, total
