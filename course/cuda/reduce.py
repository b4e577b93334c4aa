"""Sums over a block, in five versions: each mends what is slow in the one before."""

from numba import cuda, float32

THREADS = 256
"""Threads in a block. A power of two."""

WARPS = THREADS // 32
"""Warps in a block."""

ALL = 0xFFFFFFFF
"""The mask of a whole warp: 32 ones, one for each thread."""


@cuda.jit
def sum_interleaved(x, out):
    """out[b] = the sum of the THREADS elements of block b. In a step, every second of the threads before adds.

    With distance 1, threads 0, 2, 4, ... each add the number of their neighbour to their own; with distance 2, threads 0, 4,
    8, ...; the distance doubles until thread 0 has all.

    Args:
        x: (n,), float32. What lies beyond counts as 0.
        out: (blocks,).

    Launch: blocks of THREADS threads, at least n threads in all.
    """
    tile = cuda.shared.array(THREADS, float32)
    i, t = cuda.grid(1), cuda.threadIdx.x
    tile[t] = x[i] if i < x.size else float32(0)
    cuda.syncthreads()
    distance = 1
    while distance < THREADS:
        if t % (2 * distance) == 0:
            tile[t] += tile[t + distance]
        cuda.syncthreads()
        distance *= 2
    if t == 0:
        out[cuda.blockIdx.x] = tile[0]


@cuda.jit
def sum_strided(x, out):
    """out[b] = the sum of the THREADS elements of block b. The same additions, by threads 0, 1, 2, ... without gaps.

    In the step with distance d, the pairs begin at 0, 2d, 4d, ... in the tile. Thread t takes the one that begins at 2dt.

    Args:
        x: (n,), float32. What lies beyond counts as 0.
        out: (blocks,).

    Launch: blocks of THREADS threads, at least n threads in all.
    """
    tile = cuda.shared.array(THREADS, float32)
    i, t = cuda.grid(1), cuda.threadIdx.x
    tile[t] = x[i] if i < x.size else float32(0)
    cuda.syncthreads()
    distance = 1
    while distance < THREADS:
        place = 2 * distance * t
        if place < THREADS:
            tile[place] += tile[place + distance]
        cuda.syncthreads()
        distance *= 2
    if t == 0:
        out[cuda.blockIdx.x] = tile[0]


@cuda.jit
def sum_sequential(x, out):
    """out[b] = the sum of the THREADS elements of block b. The first half of the tile takes on the second half.

    The distance begins at THREADS // 2, and halves until it is 1. In each step, threads 0 to distance - 1 each add the
    number that lies `distance` further on to their own. No bank has more than one word to give in a request.

    Args:
        x: (n,), float32. What lies beyond counts as 0.
        out: (blocks,).

    Launch: blocks of THREADS threads, at least n threads in all.
    """
    tile = cuda.shared.array(THREADS, float32)
    i, t = cuda.grid(1), cuda.threadIdx.x
    tile[t] = x[i] if i < x.size else float32(0)
    cuda.syncthreads()
    distance = THREADS // 2
    while distance > 0:
        if t < distance:
            tile[t] += tile[t + distance]
        cuda.syncthreads()
        distance //= 2
    if t == 0:
        out[cuda.blockIdx.x] = tile[0]


@cuda.jit
def sum_loaded(x, out):
    """out[b] = the sum of block b's part of x. Each thread first adds up many elements, in a grid-stride loop.

    Only then do the threads of a block share what they have, as in `sum_sequential`.

    Args:
        x: (n,), float32.
        out: (blocks,).

    Launch: any number of blocks, of THREADS threads.
    """
    tile = cuda.shared.array(THREADS, float32)
    t = cuda.threadIdx.x
    acc = float32(0)
    for i in range(cuda.grid(1), x.size, cuda.gridsize(1)):
        acc += x[i]
    tile[t] = acc
    cuda.syncthreads()
    distance = THREADS // 2
    while distance > 0:
        if t < distance:
            tile[t] += tile[t + distance]
        cuda.syncthreads()
        distance //= 2
    if t == 0:
        out[cuda.blockIdx.x] = tile[0]


@cuda.jit(device=True)
def warp_sum(value):
    """The sum of the 32 values that the threads of a warp have. All of them get it.

    With distances 16, 8, 4, 2 and 1, each thread adds the number of the one whose lane differs from its own in that bit.
    There is no shared memory in it, and no barrier. All threads of the warp must call it.

    Args:
        value: each thread's own, float32.
    """
    for distance in (16, 8, 4, 2, 1):
        value += cuda.shfl_xor_sync(ALL, value, distance)
    return value


@cuda.jit
def sum_shuffled(x, out):
    """out[b] = the sum of block b's part of x. Warps add up by shuffling; shared memory has one number for each warp.

    Each thread adds up many elements in a grid-stride loop, and each warp what its threads have. One barrier later, the
    first warp adds up the numbers of the WARPS warps.

    Args:
        x: (n,), float32.
        out: (blocks,).

    Launch: any number of blocks, of THREADS threads.
    """
    tile = cuda.shared.array(WARPS, float32)
    t = cuda.threadIdx.x
    acc = float32(0)
    for i in range(cuda.grid(1), x.size, cuda.gridsize(1)):
        acc += x[i]
    acc = warp_sum(acc)
    if t % 32 == 0:
        tile[t // 32] = acc
    cuda.syncthreads()
    if t < 32:
        total = warp_sum(tile[t] if t < WARPS else float32(0))
        if t == 0:
            out[cuda.blockIdx.x] = total
