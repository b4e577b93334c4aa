"""Running totals: within a block, and of any length in three kernels."""

from typing import Any

import numpy as np
from numba import cuda, float32

SCAN = 64
"""Threads in a block of a scan, and the elements that it scans. A power of two."""


@cuda.jit
def scan_blocks(x, out, totals):
    """Scans each block's SCAN elements on their own, and notes their sum (Hillis and Steele, 1986).

    out[i] = the sum of the elements of i's block up to x[i] and with it. totals[b] = the sum of all elements of block b.
    With distances 1, 2, 4, ... each place adds what lies `distance` before it, if there is such a place in the block.

    Args:
        x: (n,), float32.
        out: (n,), which may be x itself.
        totals: (blocks,).

    Launch: blocks of SCAN threads, as many as n elements need.
    """
    tile = cuda.shared.array(SCAN, float32)
    i, t = cuda.grid(1), cuda.threadIdx.x
    tile[t] = x[i] if i < x.size else float32(0)
    cuda.syncthreads()
    distance = 1
    while distance < SCAN:
        before = tile[t - distance] if t >= distance else float32(0)
        cuda.syncthreads()  # all have read, before anybody writes
        tile[t] += before
        cuda.syncthreads()
        distance *= 2
    if i < x.size:
        out[i] = tile[t]
    if t == SCAN - 1:
        totals[cuda.blockIdx.x] = tile[t]


@cuda.jit
def add_totals(totals, out):
    """Adds to each element of block b what all blocks before it have together: totals[b - 1]. The first block stays.

    Args:
        totals: (blocks,), float32, already scanned: totals[b] is the sum of blocks 0 to b.
        out: (n,), scanned block by block.

    Launch: blocks of SCAN threads, as many as n elements need.
    """
    i, b = cuda.grid(1), cuda.blockIdx.x
    if b > 0 and i < out.size:
        out[i] += totals[b - 1]


def scan(x: Any, out: Any) -> None:
    """out[i] = x[0] + ... + x[i], for any number of elements.

    Scans the blocks, then scans their totals, which is the same task with fewer numbers, then adds these to the blocks.
    With a single block, its scan is all there is to do; with no elements, nothing is.

    Args:
        x: (n,), float32, on the device or on the host.
        out: (n,), which may be x itself.
    """
    blocks = (x.size + SCAN - 1) // SCAN
    if blocks == 0:
        return  # a launch has at least one block
    totals = cuda.device_array(blocks, np.float32)
    scan_blocks[blocks, SCAN](x, out, totals)
    if blocks > 1:
        scan(totals, totals)
        add_totals[blocks, SCAN](totals, out)
