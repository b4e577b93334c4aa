"""One number of each row: a block for each row, and a tree in its shared memory."""

from typing import Any

from numba import cuda, float32

from course.cuda.record import THREADS


def row_kernel(fn: Any) -> Any:
    """A kernel that combines each row of a matrix to one number: a block for each row.

    Each thread combines every THREADS-th number of the row. What they have is combined in shared memory,
    in pairs: of n partial results, the first half takes on the second, until there is one.

    Args:
        fn: a device function of two elements, such as add.

    Returns:
        A kernel (x, start, out): x is (n_rows, width), out (n_rows,), start what no numbers give, such as 0.
        Launched with n_rows blocks of THREADS threads.
    """

    @cuda.jit
    def rows(x, start, out):
        partial = cuda.shared.array(THREADS, float32)
        row, t = cuda.blockIdx.x, cuda.threadIdx.x
        total = start
        for column in range(t, x.shape[1], THREADS):
            total = fn(total, x[row, column])
        partial[t] = total
        cuda.syncthreads()
        half = THREADS // 2
        while half > 0:
            if t < half:
                partial[t] = fn(partial[t], partial[t + half])
            cuda.syncthreads()
            half //= 2
        if t == 0:
            out[row] = partial[0]

    return rows
