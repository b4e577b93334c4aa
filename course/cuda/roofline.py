"""The roofline of a matrix product, to be drawn before anything is measured."""

from course.kernellab import Gpu


def bytes_moved(m: int, k: int, n: int, tile: int) -> int:
    """What a product by square tiles loads and stores in global memory, in bytes of float32.

    A square of tile x tile elements of the result needs tile rows of a and tile columns of b, and the block that
    computes it loads each of their elements once. So an element of a is loaded once for each square beside its
    row, an element of b once for each square below its column, and each element of the result is stored once.
    A square at an edge loads only elements that exist, and counts as one square.

    Args:
        m: rows of a (m, k) and of the result (m, n).
        k: columns of a, rows of b (k, n).
        n: columns of b and of the result.
        tile: elements along a side of the square. 1: every thread for itself.
    """
    across, down = -(-n // tile), -(-m // tile)
    return 4 * (m * k * across + k * n * down + m * n)


def roofline(flops: int, moved: int, gpu: Gpu) -> float:
    """The least time in seconds for so many operations on floats and so many bytes, both at the same time.

    The one limit is the arithmetic, gpu.flops operations a second; the other one the memory, gpu.bandwidth
    bytes a second.
    """
    return max(flops / gpu.flops, moved / gpu.bandwidth)
