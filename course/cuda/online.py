"""The maximum of a row and the sum of its exponentials, in one pass: online softmax."""

import math

from numba import cuda, float32

from course.cuda.block import THREADS, block_max, block_sum

LOWEST = float32(-3.4028235e38)
"""The lowest finite float32. Not -inf, as -inf - -inf is nan."""


@cuda.jit(device=True)
def peak_and_total(x, row):
    """A row's maximum, and the sum of exp(x - maximum), reading the row once.

    Each thread goes over its share of the row, with the largest value so far, peak, and the sum of
    exp(value - peak) so far. When a value becomes the new peak, the old total was relative to the old
    one; it is rescaled:

        new = max(peak, value)
        total = total * exp(peak - new) + exp(value - new)

    At the end the threads' totals, each relative to its own peak, are brought to the row's peak and added.

    Args:
        x: (n, width), float32. Some entries may be -inf.
        row: the block's row.

    Returns:
        (peak, total), the same in all THREADS threads of the block.

    Source: arXiv 1805.02867, algorithm 3.
    """
    peak, total = LOWEST, float32(0)
    for column in range(cuda.threadIdx.x, x.shape[1], THREADS):
        value = x[row, column]
        new = max(peak, value)
        total = total * math.exp(peak - new) + math.exp(value - new)
        peak = new
    largest = block_max(peak)
    return largest, block_sum(total * math.exp(peak - largest))
