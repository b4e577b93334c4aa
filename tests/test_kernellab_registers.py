"""Small local arrays on the split engine: which become registers, and that nothing else changes."""

import numpy as np
import pytest
from numba import cuda, float32

from course import kernellab as lab
from course.kernellab.program import program
from course.kernellab.split import Split

N = 32


@cuda.jit
def outer_products(a, b, out):
    """Sums of outer products: the loops over i and j are written out, the one over k is not."""
    tile = cuda.shared.array((8, N), float32)
    sums = cuda.local.array((2, 3), float32)
    t = cuda.threadIdx.x
    for i in range(2):
        for j in range(3):
            sums[i, j] = float32(0)
    for k in range(8):
        tile[k, t] = a[k, t]
    cuda.syncthreads()
    for k in range(8):
        for i in range(2):
            for j in range(3):
                sums[i, j] += tile[k, (t + i) % N] * b[k, j]
    cuda.syncthreads()
    for i in range(2):
        for j in range(3):
            out[i, j, t] = sums[i, j]


@cuda.jit
def index_of_data(x, where, out):
    """An index that only the data tell."""
    values = cuda.local.array(4, float32)
    t = cuda.threadIdx.x
    for i in range(4):
        values[i] = x[t] * i
    cuda.syncthreads()
    out[t] = values[where[t]]


@cuda.jit
def counter_behind(x, out):
    """The loop's variable is used behind it."""
    values = cuda.local.array(4, float32)
    t = cuda.threadIdx.x
    for i in range(4):
        values[i] = x[t] + i
    cuda.syncthreads()
    out[t] = values[i]


@cuda.jit
def left_early(x, out):
    """Threads leave the loop at different times."""
    values = cuda.local.array(4, float32)
    t = cuda.threadIdx.x
    for i in range(4):
        values[i] = float32(0)
    for i in range(4):
        if x[t] < i:
            break
        values[i] = float32(1)
    cuda.syncthreads()
    out[t] = values[0] + values[1] + values[2] + values[3]


@cuda.jit
def atomics(x, out):
    """A float sum that depends on who comes first."""
    values = cuda.local.array(2, float32)
    t = cuda.threadIdx.x
    for i in range(2):
        values[i] = x[t] / (i + 1)
    cuda.syncthreads()
    for _ in range(3):
        for i in range(2):
            cuda.atomic.add(out, 0, values[i])


@cuda.jit
def one_too_many(x, out):
    """The last index is beyond the array."""
    values = cuda.local.array(4, float32)
    t = cuda.threadIdx.x
    for i in range(5):
        values[i] = x[t]
    cuda.syncthreads()
    out[t] = values[0]


def numbers():
    return np.random.default_rng(0).uniform(0, 4, N).astype(np.float32)


def arguments(kernel):
    if kernel is outer_products:
        rng = np.random.default_rng(1)
        a, b = rng.standard_normal((8, N)), rng.standard_normal((8, 3))
        return a.astype(np.float32), b.astype(np.float32), np.zeros((2, 3, N), np.float32)
    if kernel is index_of_data:
        return numbers(), np.arange(N) % 4, np.zeros(N, np.float32)
    return numbers(), np.zeros(N, np.float32)


def registers(kernel):
    typed = program(kernel).of(arguments(kernel))
    return Split(typed.flat, typed.kinds).registers


KERNELS = {
    outer_products: True,
    index_of_data: False,
    counter_behind: False,
    left_early: False,
    atomics: True,
}


@pytest.mark.parametrize(
    ("kernel", "kept"), KERNELS.items(), ids=lambda k: getattr(k, "__name__", k)
)
def test_registers_give_the_same_bits(kernel, kept):
    assert registers(kernel) == ({0} if kept else set())
    given, expected = arguments(kernel), arguments(kernel)
    with lab.engine("py"):
        kernel[1, N](*expected)
    for _ in range(2):  # the first launch checks every index, and is other code
        given = arguments(kernel)
        kernel[1, N](*given)
        assert np.array_equal(given[-1], expected[-1])
    assert np.any(expected[-1])


def test_an_index_beyond_the_array_is_still_told():
    assert registers(one_too_many) == set()
    with pytest.raises(lab.OutOfBounds, match=r"values\[i\]"):
        one_too_many[1, N](*arguments(one_too_many))
