"""Right kernels, as good students write them: the checker must find no fault in any of them.

Each is a row of `CLEAN`: the kernel, a launch of odd size, and what numpy says must come out.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import complex64, cuda, float32, float64, int32, int64, uint32


@dataclass(frozen=True)
class Clean:
    """A right kernel, and a launch of it.

    Attributes:
        name: unique.
        kernel: what `cuda.jit` returns.
        grid, block: the launch's shape.
        args: makes fresh arguments.
        expected: from the arguments before the launch, {position of an output: what it must hold}.
        dynamic_shared: bytes.
        exact: whether the result is the same to the last bit, whatever rounds.
        engines: names of the engines that can run it; None for all.
        ordered: False where the order of the output's elements is left to chance.
    """

    name: str
    kernel: Any
    grid: Any
    block: Any
    args: Callable[[np.random.Generator], tuple]
    expected: Callable[..., dict[int, np.ndarray]]
    dynamic_shared: int = 0
    exact: bool = True
    engines: tuple | None = None
    ordered: bool = True


CLEAN: list[Clean] = []
"""All of them."""


def clean(grid: Any, block: Any, args: Callable, expected: Callable, **options: Any) -> Callable:
    """Enter the kernel below under its own name; it stays what it is."""

    def enter(kernel: Any) -> Any:
        CLEAN.append(Clean(kernel.py_func.__name__, kernel, grid, block, args, expected, **options))
        return kernel

    return enter


def whole(rng: np.random.Generator, *shape: int, dtype: Any = np.float32) -> np.ndarray:
    """Whole numbers from -9 to 9: their sums and products are exact."""
    return rng.integers(-9, 10, shape).astype(dtype)


def reals(rng: np.random.Generator, *shape: int, dtype: Any = np.float32) -> np.ndarray:
    """Numbers from the normal distribution."""
    return rng.standard_normal(shape).astype(dtype)


def zeros(*shape: int, dtype: Any = np.float32) -> np.ndarray:
    """Room for a result."""
    return np.zeros(shape, dtype)


# Maps and guards -------------------------------------------------------------------------------


@clean(3, 32, lambda rng: (whole(rng, 77), zeros(77)), lambda x, y: {1: 2 * x})
@cuda.jit
def double(x, y):
    """y = 2 x: a thread for each element, and a guard for the last block."""
    i = cuda.grid(1)
    if i < x.size:
        y[i] = 2 * x[i]


@clean(
    3,
    32,
    lambda rng: (whole(rng, 77), whole(rng, 77), zeros(77)),
    lambda a, b, c: {2: a + b},
)
@cuda.jit
def add(a, b, c):
    i = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    if i >= c.size:
        return
    c[i] = a[i] + b[i]


@clean(2, 32, lambda rng: (whole(rng, 64), zeros(64)), lambda x, y: {1: -x})
@cuda.jit
def negate_exact_fit(x, y):
    i = cuda.grid(1)
    y[i] = -x[i]


@clean((2, 3), (8, 4), lambda rng: (whole(rng, 13, 11), zeros(13, 11)), lambda a, b: {1: a + 10})
@cuda.jit
def add_ten_2d(a, out):
    row, column = cuda.grid(2)
    if row < a.shape[0] and column < a.shape[1]:
        out[row, column] = a[row, column] + 10


@clean((2, 4), (8, 4), lambda rng: (whole(rng, 13, 11), zeros(13, 11)), lambda a, b: {1: a * a})
@cuda.jit
def square_2d_coalesced(a, out):
    x, y = cuda.grid(2)
    rows, columns = a.shape
    if x < columns and y < rows:
        out[y, x] = a[y, x] * a[y, x]


@clean(
    (2, 2, 2),
    (4, 3, 2),
    lambda rng: (whole(rng, 3, 5, 7), zeros(3, 5, 7)),
    lambda a, b: {1: a - 1},
)
@cuda.jit
def minus_one_3d(a, out):
    x, y, z = cuda.grid(3)
    if z < a.shape[0] and y < a.shape[1] and x < a.shape[2]:
        out[z, y, x] = a[z, y, x] - 1


@clean(
    (2, 2),
    (8, 8),
    lambda rng: (whole(rng, 9), whole(rng, 11), zeros(9, 11)),
    lambda a, b, out: {2: a[:, None] + b[None, :]},
)
@cuda.jit
def broadcast_add(column, row, out):
    j, i = cuda.grid(2)
    if i < out.shape[0] and j < out.shape[1]:
        out[i, j] = column[i] + row[j]


@clean(
    1,
    32,
    lambda rng: (whole(rng, 100), zeros(23), 2, 4, 23),
    lambda x, y, offset, stride, n: {1: x[offset::stride][:n]},
)
@cuda.jit
def take_with_stride(x, y, offset, stride, n):
    i = cuda.grid(1)
    if i < n:
        y[i] = x[offset + i * stride]


def _permuted(shape, strides, x):
    return np.lib.stride_tricks.as_strided(x, shape, [s * x.itemsize for s in strides])


@clean(
    1,
    64,
    lambda rng: (
        whole(rng, 60),
        np.array([5, 3, 4], np.int32),
        np.array([1, 20, 5], np.int32),
        zeros(60),
    ),
    lambda x, shape, strides, out: {3: _permuted(shape, strides, x).ravel()},
)
@cuda.jit
def permute_by_strides(x, shape, strides, out):
    i = cuda.grid(1)
    if i < out.size:
        rest = i
        position = 0
        for d in range(shape.size - 1, -1, -1):
            position += (rest % shape[d]) * strides[d]
            rest //= shape[d]
        out[i] = x[position]


@clean(2, 32, lambda rng: (whole(rng, 201), zeros(201)), lambda x, y: {1: x + 1})
@cuda.jit
def grid_stride(x, y):
    start = cuda.grid(1)
    step = cuda.gridsize(1)
    for i in range(start, x.size, step):
        y[i] = x[i] + 1


@clean((2, 1), (4, 4), lambda rng: (whole(rng, 9, 13), zeros(9, 13)), lambda a, out: {1: -a})
@cuda.jit
def grid_stride_2d(a, out):
    x, y = cuda.grid(2)
    step_x, step_y = cuda.gridsize(2)
    for i in range(y, a.shape[0], step_y):
        for j in range(x, a.shape[1], step_x):
            out[i, j] = -a[i, j]


@clean(2, 32, lambda rng: (whole(rng, 51), zeros(51)), lambda x, y: {1: x[::-1]})
@cuda.jit
def reverse_global(x, y):
    i = cuda.grid(1)
    n = len(x)
    if i < n:
        y[n - 1 - i] = x[i]


@clean(37, 1, lambda rng: (whole(rng, 37), zeros(37)), lambda x, y: {1: x * 3})
@cuda.jit
def one_thread_blocks(x, y):
    i = cuda.blockIdx.x
    y[i] = x[i] * 3


@clean(3, 33, lambda rng: (whole(rng, 70), zeros(70)), lambda x, y: {1: abs(x)})
@cuda.jit
def block_of_33(x, y):
    i = cuda.grid(1)
    if i < x.size:
        y[i] = abs(x[i])


@clean(
    2,
    (10, 5),
    lambda rng: (whole(rng, 93), zeros(93)),
    lambda x, y: {1: np.maximum(x, 0)},
)
@cuda.jit
def block_of_50_in_2d(x, y):
    t = cuda.threadIdx.y * cuda.blockDim.x + cuda.threadIdx.x
    i = cuda.blockIdx.x * cuda.blockDim.x * cuda.blockDim.y + t
    if i < x.size:
        y[i] = max(x[i], float32(0))


@clean(
    (2, 2, 2),
    (2, 3, 2),
    lambda rng: (zeros(96, dtype=np.int32),),
    lambda out: {0: np.arange(96, dtype=np.int32)},
)
@cuda.jit
def number_every_thread(out):
    block = (
        cuda.blockIdx.x
        + cuda.blockIdx.y * cuda.gridDim.x
        + cuda.blockIdx.z * cuda.gridDim.x * cuda.gridDim.y
    )
    thread = (
        cuda.threadIdx.x
        + cuda.threadIdx.y * cuda.blockDim.x
        + cuda.threadIdx.z * cuda.blockDim.x * cuda.blockDim.y
    )
    size = cuda.blockDim.x * cuda.blockDim.y * cuda.blockDim.z
    out[block * size + thread] = block * size + thread


@clean(
    2,
    32,
    lambda rng: (whole(rng, 40), zeros(5), 7, 2.5, True, zeros(40)),
    lambda x, a, n, s, flag, out: {5: x},
)
@cuda.jit
def mostly_unused_arguments(x, unused, n, scale, flag, out):
    i = cuda.grid(1)
    if i < out.size:
        out[i] = x[i]


@clean(
    2,
    32,
    lambda rng: (np.float32(3), whole(rng, 41), whole(rng, 41), 41, True),
    lambda a, x, y, n, negative: {2: y - a * x},
)
@cuda.jit
def axpy_with_scalars(a, x, y, n, negative):
    i = cuda.grid(1)
    if i < n:
        if negative:
            y[i] -= a * x[i]
        else:
            y[i] += a * x[i]


@clean(
    2,
    32,
    lambda rng: (np.asfortranarray(whole(rng, 7, 9)), zeros(7, 9)),
    lambda a, out: {1: a + 1},
)
@cuda.jit
def fortran_order(a, out):
    i = cuda.grid(1)
    if i < a.size:
        row = i // a.shape[1]
        column = i % a.shape[1]
        out[row, column] = a[row, column] + 1


# Types -----------------------------------------------------------------------------------------


@cuda.jit
def arithmetic(x, y):
    i = cuda.grid(1)
    if i < x.size:
        y[i] = x[i] // 3 + x[i] % 5


for _name in ("int8", "int16", "int32", "int64"):
    CLEAN.append(
        Clean(
            f"arithmetic {_name}",
            arithmetic,
            2,
            32,
            lambda rng, dtype=_name: (
                rng.integers(-60, 60, 45).astype(dtype),
                zeros(45, dtype=dtype),
            ),
            lambda x, y: {1: (x // 3 + x % 5).astype(x.dtype)},
        )
    )

for _name in ("uint8", "uint16", "uint32", "uint64"):
    CLEAN.append(
        Clean(
            f"arithmetic {_name}",
            arithmetic,
            2,
            32,
            lambda rng, dtype=_name: (
                rng.integers(0, 200, 45).astype(dtype),
                zeros(45, dtype=dtype),
            ),
            lambda x, y: {1: (x // 3 + x % 5).astype(x.dtype)},
        )
    )


@clean(
    2,
    32,
    lambda rng: (reals(rng, 45, dtype=np.float64), zeros(45, dtype=np.float64)),
    lambda x, y: {1: 0.5 * x**3 - 2.0 * x + 1.0},
    exact=False,
)
@cuda.jit
def polynomial_float64(x, y):
    i = cuda.grid(1)
    if i < x.size:
        v = x[i]
        y[i] = 0.5 * v**3 - 2.0 * v + 1.0


@clean(2, 32, lambda rng: (whole(rng, 45), zeros(45, dtype=np.bool_)), lambda x, y: {1: x > 2})
@cuda.jit
def compare_to_bool(x, mask):
    i = cuda.grid(1)
    if i < x.size:
        mask[i] = x[i] > 2


@clean(
    2,
    32,
    lambda rng: (rng.random(45) < 0.5, whole(rng, 45), whole(rng, 45), zeros(45)),
    lambda m, a, b, out: {3: np.where(m, a, b)},
)
@cuda.jit
def where(mask, a, b, out):
    i = cuda.grid(1)
    if i < out.size:
        out[i] = a[i] if mask[i] else b[i]


@clean(
    1,
    32,
    lambda rng: (
        (whole(rng, 21) + 1j * whole(rng, 21)).astype(np.complex64),
        zeros(21, dtype=np.complex64),
        zeros(21),
    ),
    lambda z, square, norm: {1: z * z, 2: (z.real**2 + z.imag**2).astype(np.float32)},
)
@cuda.jit
def complex_square(z, square, norm):
    i = cuda.grid(1)
    if i < z.size:
        v = z[i]
        square[i] = v * v
        norm[i] = v.real * v.real + v.imag * v.imag


@clean(
    (2, 2),
    (4, 4),
    lambda rng: (zeros(5, 7, dtype=np.int32),),
    lambda out: {0: _mandelbrot(5, 7)},
)
@cuda.jit
def mandelbrot(out):
    x, y = cuda.grid(2)
    if x < out.shape[1] and y < out.shape[0]:
        c = complex64(complex(-2.0 + 0.5 * x, -1.0 + 0.5 * y))
        z = complex64(0j)
        steps = 0
        while steps < 20:
            if z.real * z.real + z.imag * z.imag > 4.0:
                break
            z = z * z + c
            steps += 1
        out[y, x] = steps


def _mandelbrot(rows, columns):
    out = np.zeros((rows, columns), np.int32)
    for y in range(rows):
        for x in range(columns):
            c, z = complex(-2.0 + 0.5 * x, -1.0 + 0.5 * y), 0j
            while out[y, x] < 20 and z.real**2 + z.imag**2 <= 4.0:
                z = z * z + c
                out[y, x] += 1
    return out


# Control flow ----------------------------------------------------------------------------------


@clean(
    2,
    32,
    lambda rng: (whole(rng, 50), zeros(50, dtype=np.int32)),
    lambda x, y: {1: np.select([x < -5, x < 0, x == 0, x < 5], [0, 1, 2, 3], 4).astype(np.int32)},
)
@cuda.jit
def buckets(x, y):
    i = cuda.grid(1)
    if i < x.size:
        v = x[i]
        if v < -5:
            y[i] = 0
        elif v < 0:
            y[i] = 1
        elif v == 0:
            y[i] = 2
        elif v < 5:
            y[i] = 3
        else:
            y[i] = 4


@clean(
    2,
    32,
    lambda rng: (whole(rng, 50), zeros(50)),
    lambda x, y: {1: np.where((x > -3) & (x <= 5), 1, -1).astype(np.float32)},
)
@cuda.jit
def chained_comparison(x, y):
    i = cuda.grid(1)
    if 0 <= i < x.size:
        y[i] = 1 if -3 < x[i] <= 5 else -1


@clean(
    2,
    32,
    lambda rng: (whole(rng, 50), whole(rng, 50), zeros(50, dtype=np.int32)),
    lambda a, b, y: {2: (((a > 0) & (b > 0)) | ~((a < b) | (a == 3))).astype(np.int32)},
)
@cuda.jit
def logic(a, b, y):
    i = cuda.grid(1)
    if i < a.size:
        both = a[i] > 0 and b[i] > 0
        if both or not (a[i] < b[i] or a[i] == 3):
            y[i] = 1
        else:
            y[i] = 0


def _collatz(n):
    steps = 0
    while n != 1:
        n = n // 2 if n % 2 == 0 else 3 * n + 1
        steps += 1
    return steps


@clean(
    2,
    32,
    lambda rng: (np.arange(1, 46), zeros(45, dtype=np.int64)),
    lambda n, steps: {1: np.array([_collatz(k) for k in n.tolist()])},
)
@cuda.jit
def collatz(n, steps):
    i = cuda.grid(1)
    if i < n.size:
        v = n[i]
        count = 0
        while v != 1:
            if v % 2 == 0:
                v //= 2
            else:
                v = 3 * v + 1
            count += 1
        steps[i] = count


def _first(a, limit, missing):
    hits = a > limit
    return np.where(hits.any(1), hits.argmax(1), missing).astype(np.int32)


@clean(
    2,
    8,
    lambda rng: (whole(rng, 13, 6), zeros(13, dtype=np.int32)),
    lambda a, out: {1: _first(a, 7, 6)},
)
@cuda.jit
def first_above_with_break(a, out):
    i = cuda.grid(1)
    if i < a.shape[0]:
        found = a.shape[1]
        for j in range(a.shape[1]):
            if a[i, j] > 7:
                found = j
                break
        out[i] = found


@clean(
    2,
    8,
    lambda rng: (whole(rng, 13, 6), np.full(13, -1, np.int32)),
    lambda a, out: {1: _first(a, 7, -1)},
)
@cuda.jit
def first_above_with_return(a, out):
    i = cuda.grid(1)
    if i >= a.shape[0]:
        return
    for j in range(a.shape[1]):
        if a[i, j] > 7:
            out[i] = j
            return


@clean(
    2,
    8,
    lambda rng: (whole(rng, 13, 6), zeros(13)),
    lambda a, out: {1: np.where(a < 0, 0, a).sum(1, dtype=np.float32)},
)
@cuda.jit
def sum_positive_with_continue(a, out):
    i = cuda.grid(1)
    if i < a.shape[0]:
        total = float32(0)
        for j in range(a.shape[1]):
            if a[i, j] < 0:
                continue
            total += a[i, j]
        out[i] = total


@clean(
    2,
    32,
    lambda rng: (whole(rng, 35), np.array([1, -2, 0, 3], np.float32), zeros(35)),
    lambda x, c, y: {2: np.polyval(c[::-1], x).astype(np.float32)},
)
@cuda.jit
def horner_backwards(x, coefficients, y):
    i = cuda.grid(1)
    if i < x.size:
        acc = float32(0)
        for k in range(coefficients.size - 1, -1, -1):
            acc = acc * x[i] + coefficients[k]
        y[i] = acc


@clean(
    2,
    16,
    lambda rng: (whole(rng, 20, 9), zeros(20)),
    lambda a, out: {1: a[:, 1::3].sum(1) - a[:, ::-2].sum(1)},
)
@cuda.jit
def ranges_with_steps(a, out):
    i = cuda.grid(1)
    if i < a.shape[0]:
        total = float32(0)
        for j in range(1, a.shape[1], 3):
            total += a[i, j]
        for j in range(a.shape[1] - 1, -1, -2):
            total -= a[i, j]
        out[i] = total


@clean(
    2,
    32,
    lambda rng: (rng.integers(1, 99, 40), rng.integers(1, 99, 40), zeros(40, dtype=np.int64)),
    lambda a, b, out: {2: np.gcd(a, b)},
)
@cuda.jit
def gcd_with_tuples(a, b, out):
    i = cuda.grid(1)
    if i < a.size:
        x, y = a[i], b[i]
        while y != 0:
            x, y = y, x % y
        out[i] = x


@clean(
    2,
    32,
    lambda rng: (whole(rng, 40, dtype=np.int32),),
    lambda a: {0: ((((a + 5) * 3 - 1) // 2 ^ 12) << 1) | 1},
)
@cuda.jit
def augmented_assignments(a):
    i = cuda.grid(1)
    if i < a.size:
        a[i] += 5
        a[i] *= 3
        a[i] -= 1
        a[i] //= 2
        a[i] ^= 12
        a[i] <<= 1
        a[i] |= 1


@clean(
    2,
    32,
    lambda rng: (rng.uniform(-9, 9, 40).round(1).astype(np.float32) + np.float32(0.03), zeros(40)),
    lambda x, y: {1: _builtins(x)},
)
@cuda.jit
def python_builtins(x, y):
    i = cuda.grid(1)
    if i < x.size:
        v = x[i]
        low = min(v, float32(4), float32(6))
        high = max(low, float32(-4))
        y[i] = round(high) * 100 + int(v) * 10 + float(abs(int(v)))


def _builtins(x):
    clipped = np.clip(x, -4, 4)
    return (np.rint(clipped) * 100 + np.trunc(x) * 10 + abs(np.trunc(x))).astype(np.float32)


def _functions(x):
    x = x.astype(np.float64)
    tail = np.cos(x) * np.sin(x) + np.tanh(x) + np.floor(x) - np.ceil(x) + np.fabs(x)
    return np.sqrt(x) + np.exp(-x) + np.log(x) + tail + x**1.5 + 1 / np.sqrt(x) + np.arctan2(x, 2)


@clean(
    2,
    32,
    lambda rng: (rng.uniform(0.1, 4, 40).astype(np.float32), zeros(40)),
    lambda x, y: {1: _functions(x)},
    exact=False,
)
@cuda.jit
def math_functions(x, y):
    i = cuda.grid(1)
    if i < x.size:
        v = x[i]
        total = math.sqrt(v) + math.exp(-v) + math.log(v) + math.cos(v) * math.sin(v)
        total += math.tanh(v) + math.floor(v) - math.ceil(v) + math.fabs(v)
        total += math.pow(v, 1.5) + v**-0.5 + math.atan2(v, float32(2))
        y[i] = total


def _bits(x):
    popc = np.array([v.bit_count() for v in x.tolist()])
    clz = np.array([32 - v.bit_length() for v in x.tolist()])
    ffs = np.array([(v & -v).bit_length() for v in x.tolist()])
    brev = np.array([int(f"{v:032b}"[::-1], 2) for v in x.tolist()], np.uint32)
    return {1: (popc * 10000 + clz * 100 + ffs).astype(np.int32), 2: brev}


@clean(
    2,
    32,
    lambda rng: (
        rng.integers(1, 2**31, 40).astype(np.uint32),
        zeros(40, dtype=np.int32),
        zeros(40, dtype=np.uint32),
    ),
    lambda x, counts, reverse: _bits(x),
)
@cuda.jit
def bit_functions(x, counts, reverse):
    i = cuda.grid(1)
    if i < x.size:
        v = x[i]
        counts[i] = cuda.popc(v) * 10000 + cuda.clz(v) * 100 + cuda.ffs(v)
        reverse[i] = cuda.brev(v)


@clean(
    2,
    32,
    lambda rng: (whole(rng, 40), whole(rng, 40), zeros(40)),
    lambda a, b, out: {2: np.where(a > b, a * b + 1, a)},
)
@cuda.jit
def fma_and_selp(a, b, out):
    i = cuda.grid(1)
    if i < a.size:
        product = cuda.fma(a[i], b[i], float32(1))
        out[i] = cuda.selp(a[i] > b[i], product, a[i])


@clean(
    1,
    8,
    lambda rng: (whole(rng, 6, 4), zeros(5, dtype=np.int64)),
    lambda a, out: {1: np.array([6, 4, 24, 2, 6])},
)
@cuda.jit
def shapes_and_sizes(a, out):
    if cuda.grid(1) == 0:
        out[0] = a.shape[0]
        out[1] = a.shape[1]
        out[2] = a.size
        out[3] = a.ndim
        out[4] = len(a)


@clean(2, 8, lambda rng: (whole(rng, 13, 7), zeros(13)), lambda a, out: {1: a.sum(1)})
@cuda.jit
def row_view(a, out):
    i = cuda.grid(1)
    if i < a.shape[0]:
        row = a[i]
        total = float32(0)
        for j in range(row.size):
            total += row[j]
        out[i] = total


@clean(
    3,
    4,
    lambda rng: (whole(rng, 17), zeros(3)),
    lambda x, out: {1: np.array([x[:6].sum(), x[6:12].sum(), x[12:].sum()])},
)
@cuda.jit
def slice_of_the_block(x, out):
    start = cuda.blockIdx.x * 6
    stop = min(start + 6, x.size)
    part = x[start:stop]
    if cuda.threadIdx.x == 0:
        total = float32(0)
        for j in range(part.size):
            total += part[j]
        out[cuda.blockIdx.x] = total


@clean(
    5,
    16,
    lambda rng: (whole(rng, 5, 9), zeros(5, 9)),
    lambda a, out: {1: np.tril(a)},
)
@cuda.jit
def loop_by_block_index(a, out):
    row = cuda.blockIdx.x
    for j in range(cuda.threadIdx.x, row + 1, cuda.blockDim.x):
        out[row, j] = a[row, j]


@clean(
    (2, 2),
    (4, 4),
    lambda rng: ((rng.random((6, 7)) < 0.4).astype(np.int8), zeros(6, 7, dtype=np.int8)),
    lambda a, out: {1: _life(a)},
)
@cuda.jit
def game_of_life(now, after):
    x, y = cuda.grid(2)
    rows, columns = now.shape
    if y >= rows or x >= columns:
        return
    neighbours = 0
    for dy in range(-1, 2):
        for dx in range(-1, 2):
            if dx == 0 and dy == 0:
                continue
            neighbours += now[(y + dy + rows) % rows, (x + dx + columns) % columns]
    alive = neighbours == 3 or (now[y, x] == 1 and neighbours == 2)
    after[y, x] = 1 if alive else 0


def _life(a):
    around = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0)]
    count = sum(np.roll(a, shift, (0, 1)) for shift in around)
    return ((count == 3) | ((a == 1) & (count == 2))).astype(np.int8)


# Constants, closures, device functions ---------------------------------------------------------

SCALE = 3
WEIGHTS = (1, 2, 4, 8)
TABLE = np.array([3, 1, 4, 1, 5, 9, 2, 6], np.float32)
FULL = 0xFFFFFFFF
TILE = 8
WIDTH = TILE + 1


@clean(
    2,
    32,
    lambda rng: (whole(rng, 40), zeros(40)),
    lambda x, y: {1: 3 * x + np.array([1, 2, 4, 8], np.float32)[np.arange(40) % 4]},
)
@cuda.jit
def global_constants(x, y):
    i = cuda.grid(1)
    if i < x.size:
        y[i] = SCALE * x[i] + WEIGHTS[i % 4]


@clean(
    2,
    32,
    lambda rng: (whole(rng, 45), zeros(45)),
    lambda x, y: {1: x * TABLE[np.arange(45) % 8]},
)
@cuda.jit
def constant_memory(x, y):
    table = cuda.const.array_like(TABLE)
    i = cuda.grid(1)
    if i < x.size:
        y[i] = x[i] * table[i % 8]


def _closure(factor, offsets):
    @cuda.jit
    def scale_by_closure(x, y):
        i = cuda.grid(1)
        if i < x.size:
            y[i] = factor * x[i] + offsets[1]

    return scale_by_closure


clean(2, 32, lambda rng: (whole(rng, 45), zeros(45)), lambda x, y: {1: 5 * x + 7})(
    _closure(5, (6, 7))
)


@cuda.jit(device=True)
def square(v):
    return v * v


@cuda.jit(device=True)
def clamp(v, low, high):
    """With a return in each branch."""
    if v < low:
        return low
    if v > high:
        return high
    return v


@cuda.jit(device=True)
def clamped_square(v):
    return clamp(square(v), float32(4), float32(50))


@cuda.jit
def two_results(v):
    """A device function without saying so, that returns two numbers."""
    return v + 1, v - 1


@clean(2, 32, lambda rng: (whole(rng, 45), zeros(45)), lambda x, y: {1: x * x + 1})
@cuda.jit
def device_function(x, y):
    i = cuda.grid(1)
    if i < x.size:
        y[i] = square(x[i]) + 1


@clean(2, 32, lambda rng: (whole(rng, 45), zeros(45)), lambda x, y: {1: np.clip(x, -2, 3)})
@cuda.jit
def device_function_with_early_returns(x, y):
    i = cuda.grid(1)
    if i < x.size:
        y[i] = clamp(x[i], float32(-2), float32(3))


@clean(2, 32, lambda rng: (whole(rng, 45), zeros(45)), lambda x, y: {1: np.clip(x * x, 4, 50)})
@cuda.jit
def nested_device_functions(x, y):
    i = cuda.grid(1)
    if i < x.size:
        y[i] = clamped_square(x[i])


@clean(2, 32, lambda rng: (whole(rng, 45), zeros(45)), lambda x, y: {1: (x + 1) * (x - 1)})
@cuda.jit
def device_function_with_two_results(x, y):
    i = cuda.grid(1)
    if i < x.size:
        more, less = two_results(x[i])
        y[i] = more * less


@cuda.jit(device=True)
def write_row(out, i, value):
    """Changes an array that it was given, and returns nothing."""
    for j in range(out.shape[1]):
        out[i, j] = value + j


@clean(
    1,
    16,
    lambda rng: (whole(rng, 11), zeros(11, 3)),
    lambda x, out: {1: x[:, None] + np.arange(3, dtype=np.float32)},
)
@cuda.jit
def device_function_that_writes(x, out):
    i = cuda.grid(1)
    if i < x.size:
        write_row(out, i, x[i])


@cuda.jit(device=True)
def reverse_in_block(value):
    """Another thread's value: shared memory and a barrier inside."""
    buffer = cuda.shared.array(32, float32)
    buffer[cuda.threadIdx.x] = value
    cuda.syncthreads()
    return buffer[cuda.blockDim.x - 1 - cuda.threadIdx.x]


@clean(
    2,
    32,
    lambda rng: (whole(rng, 64), zeros(64)),
    lambda x, y: {1: x.reshape(2, 32)[:, ::-1].ravel()},
)
@cuda.jit
def device_function_with_shared_and_barrier(x, y):
    i = cuda.grid(1)
    y[i] = reverse_in_block(x[i])


@cuda.jit(device=True)
def sum_in_block(value, buffer):
    """Every thread gets the block's sum; the block's size is a power of two."""
    t = cuda.threadIdx.x
    buffer[t] = value
    cuda.syncthreads()
    stride = cuda.blockDim.x // 2
    while stride > 0:
        if t < stride:
            buffer[t] += buffer[t + stride]
        cuda.syncthreads()
        stride //= 2
    total = buffer[0]
    cuda.syncthreads()
    return total


@clean(
    3,
    16,
    lambda rng: (reals(rng, 3, 21), zeros(3), zeros(3)),
    lambda a, mean, var: {1: a.mean(1), 2: a.var(1)},
    exact=False,
)
@cuda.jit
def device_function_called_twice(a, mean, variance):
    buffer = cuda.shared.array(16, float32)
    row = cuda.blockIdx.x
    n = a.shape[1]
    part = float32(0)
    for j in range(cuda.threadIdx.x, n, cuda.blockDim.x):
        part += a[row, j]
    centre = sum_in_block(part, buffer) / float32(n)
    part = float32(0)
    for j in range(cuda.threadIdx.x, n, cuda.blockDim.x):
        part += square(a[row, j] - centre)
    spread = sum_in_block(part, buffer) / float32(n)
    if cuda.threadIdx.x == 0:
        mean[row] = centre
        variance[row] = spread


@clean(
    1,
    16,
    lambda rng: (whole(rng, 5, 13), zeros(5)),
    lambda a, out: {1: a.sum(1)},
)
@cuda.jit
def barrier_of_a_device_function_in_a_loop(a, out):
    buffer = cuda.shared.array(16, float32)
    t = cuda.threadIdx.x
    for row in range(a.shape[0]):
        value = a[row, t] if t < a.shape[1] else float32(0)
        total = sum_in_block(value, buffer)
        if t == 0:
            out[row] = total


# Shared and local memory -----------------------------------------------------------------------


@clean(
    2,
    32,
    lambda rng: (whole(rng, 64), zeros(64)),
    lambda x, y: {1: x.reshape(2, 32)[:, ::-1].ravel()},
)
@cuda.jit
def shared_reverse(x, y):
    buffer = cuda.shared.array(32, float32)
    t = cuda.threadIdx.x
    i = cuda.grid(1)
    buffer[t] = x[i]
    cuda.syncthreads()
    y[i] = buffer[31 - t]


@clean(
    3,
    16,
    lambda rng: (whole(rng, 43), zeros(43)),
    lambda x, y: {1: np.concatenate([np.roll(part, -1) for part in np.split(x, [16, 32])])},
)
@cuda.jit
def shared_rotate_ragged(x, y):
    buffer = cuda.shared.array(16, float32)
    t = cuda.threadIdx.x
    i = cuda.grid(1)
    if i < x.size:
        buffer[t] = x[i]
    cuda.syncthreads()
    here = min(cuda.blockDim.x, x.size - cuda.blockIdx.x * cuda.blockDim.x)
    if i < x.size:
        y[i] = buffer[(t + 1) % here]


# fmt: off
@clean(1, 32, lambda rng: (whole(rng, 32), zeros(32)), lambda x, y: {1: x + x[::-1]})
@cuda.jit
def two_shared_arrays_on_one_line(x, y):
    a = cuda.shared.array(32, float32); b = cuda.shared.array(32, float32)  # noqa: E702
    t = cuda.threadIdx.x
    a[t], b[31 - t] = x[t], x[t]
    cuda.syncthreads()
    y[t] = a[t] + b[t]
# fmt: on


@clean(
    1,
    (5, 4),
    lambda rng: (whole(rng, 4, 5), zeros(4, 5)),
    lambda a, out: {1: a[::-1, ::-1]},
)
@cuda.jit
def shared_2d(a, out):
    tile = cuda.shared.array((4, 5), float32)
    x = cuda.threadIdx.x
    y = cuda.threadIdx.y
    tile[y, x] = a[y, x]
    cuda.syncthreads()
    out[y, x] = tile[3 - y, 4 - x]


@clean(
    1,
    (3, 4, 2),
    lambda rng: (whole(rng, 2, 4, 3), zeros(3, 4, 2)),
    lambda a, out: {1: a.transpose(2, 1, 0)},
)
@cuda.jit
def shared_3d(a, out):
    cube = cuda.shared.array((2, 4, 3), float32)
    x, y, z = cuda.threadIdx.x, cuda.threadIdx.y, cuda.threadIdx.z
    cube[z, y, x] = a[z, y, x]
    cuda.syncthreads()
    number = x + 3 * (y + 4 * z)
    i = number // 8
    j = number // 2 % 4
    k = number % 2
    out[i, j, k] = cube[k, j, i]


@clean(
    2,
    24,
    lambda rng: (whole(rng, 41), zeros(41)),
    lambda x, y: {1: np.concatenate([x[:24][::-1], x[24:][::-1]])},
    dynamic_shared=24 * 4,
)
@cuda.jit
def dynamic_shared(x, y):
    buffer = cuda.shared.array(0, float32)
    t = cuda.threadIdx.x
    first = cuda.blockIdx.x * cuda.blockDim.x
    here = min(cuda.blockDim.x, x.size - first)
    if t < here:
        buffer[t] = x[first + t]
    cuda.syncthreads()
    if t < here:
        y[first + t] = buffer[here - 1 - t]


@clean(
    1,
    20,
    lambda rng: (whole(rng, 20), whole(rng, 20), zeros(20)),
    lambda a, b, out: {2: a[::-1] * np.roll(b, -1)},
    dynamic_shared=40 * 4,
)
@cuda.jit
def two_views_of_dynamic_shared(a, b, out):
    n = cuda.blockDim.x
    buffer = cuda.shared.array(0, float32)
    first = buffer[:n]
    second = buffer[n : 2 * n]
    t = cuda.threadIdx.x
    first[t] = a[t]
    second[t] = b[t]
    cuda.syncthreads()
    out[t] = first[n - 1 - t] * second[(t + 1) % n]


@clean(
    1,
    20,
    lambda rng: (whole(rng, 20), rng.permutation(20).astype(np.int32), zeros(20)),
    lambda x, order, out: {2: x[order]},
    dynamic_shared=20 * 4 + 20 * 4,
)
@cuda.jit
def dynamic_shared_of_two_types(x, order, out):
    values = cuda.shared.array(0, dtype=float32)[:20]
    places = cuda.shared.array(0, dtype=int32)[20:40]
    t = cuda.threadIdx.x
    values[t] = x[t]
    places[t] = order[t]
    cuda.syncthreads()
    other = (t + 7) % 20
    out[other] = values[places[other]]


@clean(
    2,
    16,
    lambda rng: (whole(rng, 19, 6), zeros(19, 6)),
    lambda a, out: {1: np.sort(a, axis=1)},
)
@cuda.jit
def sort_in_local_memory(a, out):
    values = cuda.local.array(6, float32)
    i = cuda.grid(1)
    if i < a.shape[0]:
        for j in range(6):
            values[j] = a[i, j]
        for j in range(1, 6):
            v = values[j]
            k = j
            while k > 0 and values[k - 1] > v:
                values[k] = values[k - 1]
                k -= 1
            values[k] = v
        for j in range(6):
            out[i, j] = values[j]


@clean(
    1,
    8,
    lambda rng: (whole(rng, 7, 3, 3), zeros(7)),
    lambda a, out: {1: np.array([m[0] @ np.cross(m[1], m[2]) for m in a])},
)
@cuda.jit
def determinant_in_local_memory(a, out):
    m = cuda.local.array((3, 3), float32)
    i = cuda.grid(1)
    if i < a.shape[0]:
        for r in range(3):
            for c in range(3):
                m[r, c] = a[i, r, c]
        total = float32(0)
        for c in range(3):
            d = (c + 1) % 3
            e = (c + 2) % 3
            total += m[0, c] * (m[1, d] * m[2, e] - m[1, e] * m[2, d])
        out[i] = total


# Reductions ------------------------------------------------------------------------------------


def _block_sums(x, size):
    padded = np.concatenate([x, np.zeros(-x.size % size, x.dtype)])
    return {1: padded.reshape(-1, size).sum(1)}


@clean(3, 64, lambda rng: (whole(rng, 150), zeros(3)), lambda x, out: _block_sums(x, 64))
@cuda.jit
def reduce_interleaved_divergent(x, out):
    buffer = cuda.shared.array(64, float32)
    t = cuda.threadIdx.x
    i = cuda.grid(1)
    buffer[t] = x[i] if i < x.size else float32(0)
    cuda.syncthreads()
    stride = 1
    while stride < cuda.blockDim.x:
        if t % (2 * stride) == 0:
            buffer[t] += buffer[t + stride]
        cuda.syncthreads()
        stride *= 2
    if t == 0:
        out[cuda.blockIdx.x] = buffer[0]


@clean(3, 64, lambda rng: (whole(rng, 150), zeros(3)), lambda x, out: _block_sums(x, 64))
@cuda.jit
def reduce_interleaved_strided(x, out):
    buffer = cuda.shared.array(64, float32)
    t = cuda.threadIdx.x
    i = cuda.grid(1)
    if i < x.size:
        buffer[t] = x[i]
    else:
        buffer[t] = 0
    cuda.syncthreads()
    stride = 1
    while stride < cuda.blockDim.x:
        k = 2 * stride * t
        if k < cuda.blockDim.x:
            buffer[k] += buffer[k + stride]
        cuda.syncthreads()
        stride *= 2
    if t == 0:
        out[cuda.blockIdx.x] = buffer[0]


@clean(3, 64, lambda rng: (whole(rng, 150), zeros(3)), lambda x, out: _block_sums(x, 64))
@cuda.jit
def reduce_sequential(x, out):
    buffer = cuda.shared.array(64, float32)
    t = cuda.threadIdx.x
    i = cuda.grid(1)
    buffer[t] = 0
    if i < x.size:
        buffer[t] = x[i]
    cuda.syncthreads()
    stride = cuda.blockDim.x >> 1
    while stride > 0:
        if t < stride:
            buffer[t] += buffer[t + stride]
        cuda.syncthreads()
        stride >>= 1
    if t == 0:
        out[cuda.blockIdx.x] = buffer[0]


@clean(2, 64, lambda rng: (whole(rng, 201), zeros(2)), lambda x, out: _block_sums(x, 128))
@cuda.jit
def reduce_first_add_during_load(x, out):
    buffer = cuda.shared.array(64, float32)
    t = cuda.threadIdx.x
    i = cuda.blockIdx.x * cuda.blockDim.x * 2 + t
    v = float32(0)
    if i < x.size:
        v = x[i]
    if i + cuda.blockDim.x < x.size:
        v += x[i + cuda.blockDim.x]
    buffer[t] = v
    cuda.syncthreads()
    for k in range(6):
        stride = 32 >> k
        if t < stride:
            buffer[t] += buffer[t + stride]
        cuda.syncthreads()
    if t == 0:
        out[cuda.blockIdx.x] = buffer[0]


@clean(2, 128, lambda rng: (whole(rng, 201), zeros(2)), lambda x, out: _block_sums(x, 128))
@cuda.jit
def reduce_unrolled_last_warp(x, out):
    buffer = cuda.shared.array(128, float32)
    t = cuda.threadIdx.x
    i = cuda.grid(1)
    buffer[t] = x[i] if i < x.size else float32(0)
    cuda.syncthreads()
    if t < 64:
        buffer[t] += buffer[t + 64]
    cuda.syncthreads()
    if t < 32:
        v = buffer[t] + buffer[t + 32]
        cuda.syncwarp()
        buffer[t] = v
        cuda.syncwarp()
        v += buffer[t + 16]
        cuda.syncwarp()
        buffer[t] = v
        cuda.syncwarp()
        v += buffer[t + 8]
        cuda.syncwarp()
        buffer[t] = v
        cuda.syncwarp()
        v += buffer[t + 4]
        cuda.syncwarp()
        buffer[t] = v
        cuda.syncwarp()
        v += buffer[t + 2]
        cuda.syncwarp()
        buffer[t] = v
        cuda.syncwarp()
        v += buffer[t + 1]
        if t == 0:
            out[cuda.blockIdx.x] = v


@clean(3, 32, lambda rng: (whole(rng, 301), zeros(1)), lambda x, out: {1: x.sum(keepdims=True)})
@cuda.jit
def reduce_grid_stride_atomic(x, out):
    buffer = cuda.shared.array(32, float32)
    t = cuda.threadIdx.x
    v = float32(0)
    for i in range(cuda.grid(1), x.size, cuda.gridsize(1)):
        v += x[i]
    buffer[t] = v
    cuda.syncthreads()
    stride = cuda.blockDim.x // 2
    while stride > 0:
        if t < stride:
            buffer[t] += buffer[t + stride]
        cuda.syncthreads()
        stride //= 2
    if t == 0:
        cuda.atomic.add(out, 0, buffer[0])


@clean(2, 96, lambda rng: (whole(rng, 181), zeros(2)), lambda x, out: _block_sums(x, 96))
@cuda.jit
def reduce_block_of_96(x, out):
    """For any size of block: an odd one out waits for the next round."""
    buffer = cuda.shared.array(96, float32)
    t = cuda.threadIdx.x
    i = cuda.grid(1)
    buffer[t] = x[i] if i < x.size else float32(0)
    cuda.syncthreads()
    width = cuda.blockDim.x
    while width > 1:
        half = (width + 1) // 2
        if t + half < width:
            buffer[t] += buffer[t + half]
        cuda.syncthreads()
        width = half
    if t == 0:
        out[cuda.blockIdx.x] = buffer[0]


@clean(
    5,
    64,
    lambda rng: (whole(rng, 301), zeros(5), zeros(1, dtype=np.uint32), zeros(1)),
    lambda x, partial, ticket, out: {
        1: _block_sums(x, 64)[1],
        2: np.zeros(1, np.uint32),
        3: x.sum(keepdims=True),
    },
)
@cuda.jit
def reduce_last_block_done(x, partial, ticket, out):
    """The block that finishes last adds up what all blocks left: CUDA's threadFenceReduction."""
    buffer = cuda.shared.array(64, float32)
    last = cuda.shared.array(1, int32)
    t = cuda.threadIdx.x
    i = cuda.grid(1)
    total = sum_in_block(x[i] if i < x.size else float32(0), buffer)
    if t == 0:
        partial[cuda.blockIdx.x] = total
        cuda.threadfence()
        place = cuda.atomic.inc(ticket, 0, uint32(cuda.gridDim.x - 1))
        last[0] = 1 if place == cuda.gridDim.x - 1 else 0
    cuda.syncthreads()
    if last[0] == 1:
        cuda.threadfence()
        v = float32(0)
        for k in range(t, cuda.gridDim.x, cuda.blockDim.x):
            v += partial[k]
        total = sum_in_block(v, buffer)
        if t == 0:
            out[0] = total


# Warps -----------------------------------------------------------------------------------------


@clean(2, 64, lambda rng: (whole(rng, 120), zeros(4)), lambda x, out: _block_sums(x, 32))
@cuda.jit
def warp_reduce_down(x, out):
    i = cuda.grid(1)
    v = float32(0)
    if i < x.size:
        v = x[i]
    for d in (16, 8, 4, 2, 1):
        v += cuda.shfl_down_sync(0xFFFFFFFF, v, d)
    if cuda.threadIdx.x % 32 == 0:
        out[i // 32] = v


@clean(
    2,
    64,
    lambda rng: (whole(rng, 128), zeros(128)),
    lambda x, out: {1: np.repeat(x.reshape(4, 32).max(1), 32)},
)
@cuda.jit
def warp_max_xor(x, out):
    i = cuda.grid(1)
    v = x[i]
    step = 16
    while step > 0:
        v = max(v, cuda.shfl_xor_sync(FULL, v, step))
        step >>= 1
    out[i] = v


@clean(
    1,
    64,
    lambda rng: (whole(rng, 64), zeros(64)),
    lambda x, out: {1: np.repeat(x.reshape(2, 32)[:, 5], 32)},
)
@cuda.jit
def warp_broadcast(x, out):
    i = cuda.grid(1)
    out[i] = cuda.shfl_sync(FULL, x[i], 5)


@clean(
    1,
    64,
    lambda rng: (whole(rng, 64), zeros(64)),
    lambda x, out: {1: np.cumsum(x.reshape(2, 32), axis=1).ravel()},
)
@cuda.jit
def warp_scan_up(x, out):
    i = cuda.grid(1)
    lane = cuda.threadIdx.x % 32
    v = x[i]
    d = 1
    while d < 32:
        other = cuda.shfl_up_sync(FULL, v, d)
        if lane >= d:
            v += other
        d *= 2
    out[i] = v


@clean(1, 20, lambda rng: (whole(rng, 20), zeros(20)), lambda x, out: {1: np.cumsum(x)})
@cuda.jit
def warp_scan_in_a_block_of_20(x, out):
    """The mask names the 20 lanes that there are."""
    t = cuda.threadIdx.x
    v = x[t]
    for k in range(5):
        d = 1 << k
        other = cuda.shfl_up_sync(0xFFFFF, v, d)
        if t >= d:
            v += other
    out[t] = v


@clean(
    1,
    32,
    lambda rng: (whole(rng, 32), zeros(2)),
    lambda x, out: {1: x.reshape(2, 16).sum(1)},
)
@cuda.jit
def half_warps_with_their_own_masks(x, out):
    t = cuda.threadIdx.x
    v = x[t]
    if t < 16:
        for d in (8, 4, 2, 1):
            v += cuda.shfl_xor_sync(0x0000FFFF, v, d)
    else:
        for d in (8, 4, 2, 1):
            v += cuda.shfl_xor_sync(0xFFFF0000, v, d)
    if t % 16 == 0:
        out[t // 16] = v


@clean(
    2,
    64,
    lambda rng: (whole(rng, 128), zeros(4, dtype=np.int32)),
    lambda x, out: {1: (x.reshape(4, 32) > 0).sum(1).astype(np.int32)},
)
@cuda.jit
def count_by_ballot(x, out):
    i = cuda.grid(1)
    votes = cuda.ballot_sync(FULL, x[i] > 0)
    if cuda.laneid == 0:
        out[i // 32] = cuda.popc(votes)


@clean(
    1,
    64,
    lambda rng: (
        np.where(np.arange(64) == 40, 9, -1).astype(np.float32),
        zeros(64, dtype=np.int32),
    ),
    lambda x, out: {1: np.repeat([2, 1 + 0], 32).astype(np.int32)},
)
@cuda.jit
def any_and_all(x, out):
    i = cuda.grid(1)
    result = 0
    if cuda.any_sync(FULL, x[i] > 0):
        result += 1
    if cuda.all_sync(FULL, x[i] < 0):
        result += 2
    out[i] = result


@clean(
    1,
    32,
    lambda rng: (rng.integers(0, 5, 32).astype(np.int32), zeros(32, dtype=np.int32)),
    lambda x, out: {1: (x[:, None] == x[None, :]).sum(1).astype(np.int32)},
)
@cuda.jit
def count_equals_by_match(x, out):
    i = cuda.grid(1)
    out[i] = cuda.popc(cuda.match_any_sync(FULL, x[i]))


@clean(
    1,
    32,
    lambda rng: (whole(rng, 32), np.full(32, -99, np.float32), zeros(1, dtype=np.int32)),
    lambda x, out, count: {
        1: np.concatenate([x[x > 0], np.full((x <= 0).sum(), -99, np.float32)]),
        2: np.array([(x > 0).sum()], np.int32),
    },
)
@cuda.jit
def compact_by_ballot(x, out, count):
    t = cuda.threadIdx.x
    keep = x[t] > 0
    votes = cuda.ballot_sync(FULL, keep)
    before = votes & ((1 << t) - 1)
    if keep:
        out[cuda.popc(before)] = x[t]
    if t == 0:
        count[0] = cuda.popc(votes)


@clean(2, 128, lambda rng: (whole(rng, 201), zeros(2)), lambda x, out: _block_sums(x, 128))
@cuda.jit
def reduce_by_warps_then_shared(x, out):
    partial = cuda.shared.array(32, float32)
    t = cuda.threadIdx.x
    lane = t % 32
    warp = t // 32
    i = cuda.grid(1)
    v = x[i] if i < x.size else float32(0)
    for d in (16, 8, 4, 2, 1):
        v += cuda.shfl_down_sync(FULL, v, d)
    if lane == 0:
        partial[warp] = v
    cuda.syncthreads()
    if warp == 0:
        v = partial[lane] if lane < cuda.blockDim.x // 32 else float32(0)
        for d in (16, 8, 4, 2, 1):
            v += cuda.shfl_down_sync(FULL, v, d)
        if lane == 0:
            out[cuda.blockIdx.x] = v


@cuda.jit(device=True)
def warp_sum(v):
    for d in (16, 8, 4, 2, 1):
        v += cuda.shfl_xor_sync(FULL, v, d)
    return v


@clean(2, (32, 4), lambda rng: (whole(rng, 7, 41), zeros(7)), lambda a, out: {1: a.sum(1)})
@cuda.jit
def warp_for_each_row(a, out):
    lane = cuda.threadIdx.x
    row = cuda.blockIdx.x * cuda.blockDim.y + cuda.threadIdx.y
    if row < a.shape[0]:
        v = float32(0)
        for j in range(lane, a.shape[1], 32):
            v += a[row, j]
        v = warp_sum(v)
        if lane == 0:
            out[row] = v


@clean(
    1,
    64,
    lambda rng: (whole(rng, 64), zeros(64)),
    lambda x, y: {1: x.reshape(2, 32)[:, ::-1].ravel()},
)
@cuda.jit
def reverse_in_warp_with_syncwarp(x, y):
    buffer = cuda.shared.array((2, 32), float32)
    t = cuda.threadIdx.x
    lane = t % 32
    warp = t // 32
    buffer[warp, lane] = x[t]
    cuda.syncwarp()
    y[t] = buffer[warp, 31 - lane]


# Barriers --------------------------------------------------------------------------------------


@clean(
    2,
    50,
    lambda rng: (whole(rng, 91), zeros(2, 3, dtype=np.int32)),
    lambda x, out: {
        1: np.array(
            [[(part > 3).sum(), (part > -20).all(), (part == 9).any()] for part in (x[:50], x[50:])]
        ).astype(np.int32)
    },
)
@cuda.jit
def barriers_that_count(x, out):
    i = cuda.grid(1)
    inside = i < x.size
    count = cuda.syncthreads_count(1 if inside and x[i] > 3 else 0)
    every = cuda.syncthreads_and(int32(not inside or x[i] > -20))
    some = cuda.syncthreads_or(int32(inside and x[i] == 9))
    if cuda.threadIdx.x == 0:
        out[cuda.blockIdx.x, 0] = count
        out[cuda.blockIdx.x, 1] = 1 if every else 0
        out[cuda.blockIdx.x, 2] = 1 if some else 0


@clean(
    2,
    32,
    lambda rng: (whole(rng, 64), zeros(64), zeros(2, dtype=np.int32)),
    lambda x, out, rounds: _until_sorted(x),
)
@cuda.jit
def while_with_barrier_and_break(x, out, rounds):
    """Odd-even sort: all threads leave together, after a round without a swap."""
    buffer = cuda.shared.array(32, float32)
    t = cuda.threadIdx.x
    i = cuda.grid(1)
    buffer[t] = x[i]
    cuda.syncthreads()
    count = 0
    while True:
        swapped = 0
        for odd in range(2):
            k = 2 * t + odd
            if k + 1 < 32 and buffer[k] > buffer[k + 1]:
                low = buffer[k + 1]
                buffer[k + 1] = buffer[k]
                buffer[k] = low
                swapped = 1
            cuda.syncthreads()
        count += 1
        if cuda.syncthreads_or(swapped) == 0:
            break
    out[i] = buffer[t]
    if t == 0:
        rounds[cuda.blockIdx.x] = count


def _until_sorted(x):
    rounds = []
    parts = x.reshape(2, 32).copy()
    for part in parts:
        rounds.append(0)
        swapped = True
        while swapped:
            swapped = False
            rounds[-1] += 1
            for k in (*range(0, 31, 2), *range(1, 31, 2)):
                if part[k] > part[k + 1]:
                    part[k], part[k + 1] = part[k + 1], part[k]
                    swapped = True
    return {1: parts.ravel(), 2: np.array(rounds, np.int32)}


@clean(
    1,
    16,
    lambda rng: (whole(rng, 6, 16), np.array([1, 0, 1, 1, 0, 1], np.int32), zeros(6, 16)),
    lambda a, use, out: {2: a[:, ::-1] * use.astype(np.float32)[:, None]},
)
@cuda.jit
def for_with_barrier_and_continue(a, use, out):
    """The condition is the same in the whole block, so all threads skip the same rows."""
    buffer = cuda.shared.array(16, float32)
    t = cuda.threadIdx.x
    for row in range(a.shape[0]):
        if use[row] == 0:
            continue
        buffer[t] = a[row, t]
        cuda.syncthreads()
        out[row, t] = buffer[15 - t]
        cuda.syncthreads()


@clean(
    4,
    16,
    lambda rng: (whole(rng, 64), zeros(64)),
    lambda x, y: {1: np.concatenate([x[:16][::-1], x[16:32], x[32:48][::-1], x[48:]])},
)
@cuda.jit
def barrier_in_a_uniform_if(x, y):
    buffer = cuda.shared.array(16, float32)
    t = cuda.threadIdx.x
    i = cuda.grid(1)
    if cuda.blockIdx.x % 2 == 0:
        buffer[t] = x[i]
        cuda.syncthreads()
        y[i] = buffer[15 - t]
    else:
        y[i] = x[i]


@clean(
    2,
    16,
    lambda rng: (whole(rng, 21), zeros(2)),
    lambda x, out: {1: np.array([x[:16].max(), x[16:].max()])},
)
@cuda.jit
def early_return_after_the_last_barrier(x, out):
    buffer = cuda.shared.array(16, float32)
    t = cuda.threadIdx.x
    i = cuda.grid(1)
    buffer[t] = x[i] if i < x.size else float32(-math.inf)
    cuda.syncthreads()
    if t > 0:
        return
    best = buffer[0]
    for k in range(1, 16):
        best = max(best, buffer[k])
    out[cuda.blockIdx.x] = best


@clean(
    5,
    16,
    lambda rng: (whole(rng, 33), zeros(33)),
    lambda x, y: {
        1: np.concatenate([x[:16][::-1], x[16:32][::-1], x[32:]]),
    },
)
@cuda.jit
def whole_blocks_return_before_a_barrier(x, y):
    """Blocks with nothing to do leave as a whole."""
    buffer = cuda.shared.array(16, float32)
    first = cuda.blockIdx.x * cuda.blockDim.x
    if first >= x.size:
        return
    t = cuda.threadIdx.x
    here = min(16, x.size - first)
    if t < here:
        buffer[t] = x[first + t]
    cuda.syncthreads()
    if t < here:
        y[first + t] = buffer[here - 1 - t]


@clean(
    3,
    8,
    lambda rng: (whole(rng, 3, 29), np.array([29, 3, 17], np.int32), zeros(3)),
    lambda a, length, out: {2: np.array([a[i, :n].sum() for i, n in enumerate(length)])},
)
@cuda.jit
def loop_with_barriers_by_block(a, length, out):
    """How often the loop runs depends on the block, and on nothing else."""
    buffer = cuda.shared.array(8, float32)
    t = cuda.threadIdx.x
    row = cuda.blockIdx.x
    n = length[row]
    total = float32(0)
    start = 0
    while start < n:
        if start + t < n:
            buffer[t] = a[row, start + t]
        else:
            buffer[t] = 0
        cuda.syncthreads()
        if t == 0:
            for k in range(8):
                total += buffer[k]
        cuda.syncthreads()
        start += 8
    if t == 0:
        out[row] = total


@clean(
    1,
    8,
    lambda rng: (whole(rng, 8), zeros(8)),
    lambda x, y: {1: _relax(x)},
)
@cuda.jit
def nested_loops_with_barriers(x, y):
    buffer = cuda.shared.array(8, float32)
    t = cuda.threadIdx.x
    buffer[t] = x[t]
    cuda.syncthreads()
    for outer in range(3):
        for inner in range(1, outer + 2):
            v = buffer[(t + inner) % 8]
            cuda.syncthreads()
            buffer[t] += v
            cuda.syncthreads()
    y[t] = buffer[t]


def _relax(x):
    for outer in range(3):
        for inner in range(1, outer + 2):
            x = x + np.roll(x, -inner)
    return x


# Scans and sorts -------------------------------------------------------------------------------


@clean(
    2,
    32,
    lambda rng: (whole(rng, 51), zeros(51)),
    lambda x, y: {1: np.concatenate([np.cumsum(x[:32]), np.cumsum(x[32:])])},
)
@cuda.jit
def scan_hillis_steele(x, y):
    """Two buffers that take turns."""
    buffer = cuda.shared.array((2, 32), float32)
    t = cuda.threadIdx.x
    i = cuda.grid(1)
    old = 0
    buffer[old, t] = x[i] if i < x.size else float32(0)
    cuda.syncthreads()
    d = 1
    while d < 32:
        new = 1 - old
        if t >= d:
            buffer[new, t] = buffer[old, t] + buffer[old, t - d]
        else:
            buffer[new, t] = buffer[old, t]
        cuda.syncthreads()
        old = new
        d *= 2
    if i < x.size:
        y[i] = buffer[old, t]


@clean(1, 32, lambda rng: (whole(rng, 29), zeros(29)), lambda x, y: {1: np.cumsum(x)})
@cuda.jit
def scan_in_place_with_two_barriers(x, y):
    buffer = cuda.shared.array(32, float32)
    t = cuda.threadIdx.x
    if t < x.size:
        buffer[t] = x[t]
    cuda.syncthreads()
    d = 1
    while d < x.size:
        v = float32(0)
        if d <= t < x.size:
            v = buffer[t - d]
        cuda.syncthreads()
        if d <= t < x.size:
            buffer[t] += v
        cuda.syncthreads()
        d *= 2
    if t < x.size:
        y[t] = buffer[t]


@clean(
    1,
    16,
    lambda rng: (whole(rng, 27), zeros(27)),
    lambda x, y: {1: np.concatenate([[0], np.cumsum(x)[:-1]]).astype(np.float32)},
)
@cuda.jit
def scan_blelloch(x, y):
    """Exclusive: up the tree with sums, then down; a thread has two elements."""
    buffer = cuda.shared.array(32, float32)
    t = cuda.threadIdx.x
    n = x.size
    buffer[2 * t] = x[2 * t] if 2 * t < n else float32(0)
    buffer[2 * t + 1] = x[2 * t + 1] if 2 * t + 1 < n else float32(0)
    offset = 1
    active = 16
    while active > 0:
        cuda.syncthreads()
        if t < active:
            left = offset * (2 * t + 1) - 1
            right = offset * (2 * t + 2) - 1
            buffer[right] += buffer[left]
        offset *= 2
        active //= 2
    if t == 0:
        buffer[31] = 0
    active = 1
    while active < 32:
        offset //= 2
        cuda.syncthreads()
        if t < active:
            left = offset * (2 * t + 1) - 1
            right = offset * (2 * t + 2) - 1
            v = buffer[left]
            buffer[left] = buffer[right]
            buffer[right] += v
        active *= 2
    cuda.syncthreads()
    if 2 * t < n:
        y[2 * t] = buffer[2 * t]
    if 2 * t + 1 < n:
        y[2 * t + 1] = buffer[2 * t + 1]


@clean(1, 64, lambda rng: (whole(rng, 51), zeros(51)), lambda x, y: {1: np.sort(x)})
@cuda.jit
def sort_bitonic(x, y):
    buffer = cuda.shared.array(64, float32)
    t = cuda.threadIdx.x
    buffer[t] = x[t] if t < x.size else float32(math.inf)
    cuda.syncthreads()
    size = 2
    while size <= 64:
        stride = size // 2
        while stride > 0:
            partner = t ^ stride
            if partner > t:
                ascending = t & size == 0
                if (buffer[t] > buffer[partner]) == ascending:
                    v = buffer[t]
                    buffer[t] = buffer[partner]
                    buffer[partner] = v
            cuda.syncthreads()
            stride //= 2
        size *= 2
    if t < x.size:
        y[t] = buffer[t]


# Matrices --------------------------------------------------------------------------------------


@clean((2, 3), (8, 4), lambda rng: (whole(rng, 13, 11), zeros(11, 13)), lambda a, out: {1: a.T})
@cuda.jit
def transpose_naive(a, out):
    i, j = cuda.grid(2)
    if i < a.shape[0] and j < a.shape[1]:
        out[j, i] = a[i, j]


@clean((2, 2), (8, 8), lambda rng: (whole(rng, 13, 11), zeros(11, 13)), lambda a, out: {1: a.T})
@cuda.jit
def transpose_tiled(a, out):
    tile = cuda.shared.array((8, 8), float32)
    tx = cuda.threadIdx.x
    ty = cuda.threadIdx.y
    column = cuda.blockIdx.x * 8 + tx
    row = cuda.blockIdx.y * 8 + ty
    if row < a.shape[0] and column < a.shape[1]:
        tile[ty, tx] = a[row, column]
    cuda.syncthreads()
    column = cuda.blockIdx.y * 8 + tx
    row = cuda.blockIdx.x * 8 + ty
    if row < out.shape[0] and column < out.shape[1]:
        out[row, column] = tile[tx, ty]


@clean((2, 2), (8, 4), lambda rng: (whole(rng, 13, 11), zeros(11, 13)), lambda a, out: {1: a.T})
@cuda.jit
def transpose_padded(a, out):
    """Two elements for a thread, and one column more than is used: no bank conflicts."""
    tile = cuda.shared.array((8, 9), float32)
    tx = cuda.threadIdx.x
    x = cuda.blockIdx.x * 8
    y = cuda.blockIdx.y * 8
    for k in range(cuda.threadIdx.y, 8, cuda.blockDim.y):
        if y + k < a.shape[0] and x + tx < a.shape[1]:
            tile[k, tx] = a[y + k, x + tx]
    cuda.syncthreads()
    for k in range(cuda.threadIdx.y, 8, cuda.blockDim.y):
        if x + k < out.shape[0] and y + tx < out.shape[1]:
            out[x + k, y + tx] = tile[tx, k]


def _matrices(rows, inner, columns):
    return lambda rng: (whole(rng, rows, inner), whole(rng, inner, columns), zeros(rows, columns))


@clean((2, 3), (8, 4), _matrices(13, 7, 11), lambda a, b, c: {2: a @ b})
@cuda.jit
def matmul_naive(a, b, c):
    i, j = cuda.grid(2)
    if i < c.shape[0] and j < c.shape[1]:
        acc = float32(0)
        for k in range(a.shape[1]):
            acc += a[i, k] * b[k, j]
        c[i, j] = acc


@clean((2, 2), (TILE, TILE), _matrices(13, 19, 11), lambda a, b, c: {2: a @ b})
@cuda.jit
def matmul_tiled(a, b, c):
    tile_a = cuda.shared.array((TILE, TILE), float32)
    tile_b = cuda.shared.array((TILE, TILE), float32)
    x, y = cuda.grid(2)
    tx = cuda.threadIdx.x
    ty = cuda.threadIdx.y
    acc = float32(0)
    for start in range(0, a.shape[1], TILE):
        tile_a[ty, tx] = 0
        tile_b[ty, tx] = 0
        if y < a.shape[0] and start + tx < a.shape[1]:
            tile_a[ty, tx] = a[y, start + tx]
        if start + ty < b.shape[0] and x < b.shape[1]:
            tile_b[ty, tx] = b[start + ty, x]
        cuda.syncthreads()
        for k in range(TILE):
            acc += tile_a[ty, k] * tile_b[k, tx]
        cuda.syncthreads()
    if y < c.shape[0] and x < c.shape[1]:
        c[y, x] = acc


@clean((2, 2), (4, 4), _matrices(21, 11, 19), lambda a, b, c: {2: a @ b})
@cuda.jit
def matmul_register_blocked(a, b, c):
    """A tile of 16 by 16 for 16 threads: each keeps 4 by 4 sums in registers."""
    tile_a = cuda.shared.array((16, 8), float32)
    tile_b = cuda.shared.array((8, 16), float32)
    sums = cuda.local.array((4, 4), float32)
    left = cuda.local.array(4, float32)
    right = cuda.local.array(4, float32)
    tx = cuda.threadIdx.x
    ty = cuda.threadIdx.y
    t = ty * 4 + tx
    row = cuda.blockIdx.y * 16
    column = cuda.blockIdx.x * 16
    for i in range(4):
        for j in range(4):
            sums[i, j] = 0
    for start in range(0, a.shape[1], 8):
        for e in range(t, 128, 16):
            r = e // 8
            k = e % 8
            if row + r < a.shape[0] and start + k < a.shape[1]:
                tile_a[r, k] = a[row + r, start + k]
            else:
                tile_a[r, k] = 0
        for e in range(t, 128, 16):
            k = e // 16
            q = e % 16
            if start + k < b.shape[0] and column + q < b.shape[1]:
                tile_b[k, q] = b[start + k, column + q]
            else:
                tile_b[k, q] = 0
        cuda.syncthreads()
        for k in range(8):
            for i in range(4):
                left[i] = tile_a[ty * 4 + i, k]
            for j in range(4):
                right[j] = tile_b[k, j * 4 + tx]
            for i in range(4):
                for j in range(4):
                    sums[i, j] += left[i] * right[j]
        cuda.syncthreads()
    for i in range(4):
        for j in range(4):
            y = row + ty * 4 + i
            x = column + j * 4 + tx
            if y < c.shape[0] and x < c.shape[1]:
                c[y, x] = sums[i, j]


@clean(
    (2, 2, 3),
    (4, 4, 1),
    lambda rng: (whole(rng, 3, 5, 6), whole(rng, 3, 6, 7), zeros(3, 5, 7)),
    lambda a, b, c: {2: a @ b},
)
@cuda.jit
def matmul_batched(a, b, c):
    x, y, batch = cuda.grid(3)
    if y < c.shape[1] and x < c.shape[2]:
        acc = float32(0)
        for k in range(a.shape[2]):
            acc += a[batch, y, k] * b[batch, k, x]
        c[batch, y, x] = acc


@clean(
    (2, 2),
    (TILE, TILE),
    lambda rng: (reals(rng, 11, 10), reals(rng, 10, 13), reals(rng, 13), zeros(11, 13)),
    lambda a, w, b, out: {3: np.maximum(a.astype(np.float64) @ w + b, 0)},
    exact=False,
)
@cuda.jit
def linear_relu_fused(a, w, bias, out):
    tile_a = cuda.shared.array((TILE, WIDTH), float32)
    tile_w = cuda.shared.array((TILE, WIDTH), float32)
    tx = cuda.threadIdx.x
    ty = cuda.threadIdx.y
    column = cuda.blockIdx.x * TILE + tx
    row = cuda.blockIdx.y * TILE + ty
    acc = float32(0)
    for k in range((a.shape[1] + TILE - 1) // TILE):
        inside = row < a.shape[0] and k * TILE + tx < a.shape[1]
        tile_a[ty, tx] = a[row, k * TILE + tx] if inside else float32(0)
        inside = k * TILE + ty < w.shape[0] and column < w.shape[1]
        tile_w[ty, tx] = w[k * TILE + ty, column] if inside else float32(0)
        cuda.syncthreads()
        for j in range(TILE):
            acc = cuda.fma(tile_a[ty, j], tile_w[j, tx], acc)
        cuda.syncthreads()
    if row < out.shape[0] and column < out.shape[1]:
        out[row, column] = max(acc + bias[column], float32(0))


# Convolutions and stencils ---------------------------------------------------------------------


@clean(
    2,
    16,
    lambda rng: (whole(rng, 27), whole(rng, 5), zeros(23)),
    lambda x, w, y: {2: np.correlate(x, w, "valid")},
)
@cuda.jit
def conv1d(x, w, y):
    i = cuda.grid(1)
    if i < y.size:
        acc = float32(0)
        for k in range(w.size):
            acc += x[i + k] * w[k]
        y[i] = acc


@clean(
    2,
    16,
    lambda rng: (whole(rng, 27), whole(rng, 4), zeros(27)),
    lambda x, w, y: {2: np.correlate(np.pad(x, (0, 3)), w, "valid")},
)
@cuda.jit
def conv1d_shared(x, w, y):
    """GPU-Puzzles 11: a block loads its own part, and three more for the right edge."""
    part = cuda.shared.array(19, float32)
    weight = cuda.shared.array(4, float32)
    t = cuda.threadIdx.x
    i = cuda.grid(1)
    part[t] = x[i] if i < x.size else float32(0)
    if t < 3:
        part[16 + t] = x[i + 16] if i + 16 < x.size else float32(0)
    if t < 4:
        weight[t] = w[t]
    cuda.syncthreads()
    if i < x.size:
        acc = float32(0)
        for k in range(4):
            acc += part[t + k] * weight[k]
        y[i] = acc


def _conv2d(x, w):
    windows = np.lib.stride_tricks.sliding_window_view(x, w.shape[2:], (1, 2))
    return np.einsum("cijpq,ocpq->oij", windows, w)


@clean(
    (2, 2, 2),
    (4, 4, 1),
    lambda rng: (whole(rng, 3, 8, 9), whole(rng, 2, 3, 3, 3), zeros(2, 6, 7)),
    lambda x, w, y: {2: _conv2d(x, w)},
)
@cuda.jit
def conv2d(x, w, y):
    j, i, o = cuda.grid(3)
    if o < y.shape[0] and i < y.shape[1] and j < y.shape[2]:
        acc = float32(0)
        for c in range(w.shape[1]):
            for p in range(w.shape[2]):
                for q in range(w.shape[3]):
                    acc += x[c, i + p, j + q] * w[o, c, p, q]
        y[o, i, j] = acc


def _blur(a):
    padded = np.pad(a, 1)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3))
    return windows.sum((2, 3))


@clean((2, 2), (6, 6), lambda rng: (whole(rng, 9, 11), zeros(9, 11)), lambda a, out: {1: _blur(a)})
@cuda.jit
def box_filter_with_halo(a, out):
    """A tile of 8 by 8, loaded by 36 threads in turns."""
    tile = cuda.shared.array((8, 8), float32)
    tx = cuda.threadIdx.x
    ty = cuda.threadIdx.y
    left = cuda.blockIdx.x * 6 - 1
    top = cuda.blockIdx.y * 6 - 1
    for e in range(ty * 6 + tx, 64, 36):
        i = e // 8
        j = e % 8
        inside = 0 <= top + i < a.shape[0] and 0 <= left + j < a.shape[1]
        tile[i, j] = a[top + i, left + j] if inside else float32(0)
    cuda.syncthreads()
    x, y = cuda.grid(2)
    if x < a.shape[1] and y < a.shape[0]:
        acc = float32(0)
        for i in range(3):
            for j in range(3):
                acc += tile[ty + i, tx + j]
        out[y, x] = acc


@clean(
    2,
    16,
    lambda rng: (whole(rng, 27), zeros(27)),
    lambda x, y: {1: np.pad(x, 1)[:-2] + x + np.pad(x, 1)[2:]},
)
@cuda.jit
def stencil_with_halo(x, y):
    buffer = cuda.shared.array(18, float32)
    t = cuda.threadIdx.x
    i = cuda.grid(1)
    n = x.size
    buffer[t + 1] = x[i] if i < n else float32(0)
    if t == 0:
        buffer[0] = x[i - 1] if i > 0 else float32(0)
    if t == cuda.blockDim.x - 1:
        buffer[t + 2] = x[i + 1] if i + 1 < n else float32(0)
    cuda.syncthreads()
    if i < n:
        y[i] = buffer[t] + buffer[t + 1] + buffer[t + 2]


@clean(
    1,
    40,
    lambda rng: (whole(rng, 40), zeros(40), 4),
    lambda x, y, steps: {1: _heat(x, steps)},
    exact=False,
)
@cuda.jit
def heat_in_one_block(x, y, steps):
    """The numba documentation's 1-D heat equation: two buffers, a barrier for each step."""
    now = cuda.shared.array(40, float32)
    after = cuda.shared.array(40, float32)
    t = cuda.threadIdx.x
    n = cuda.blockDim.x
    now[t] = x[t]
    cuda.syncthreads()
    for _ in range(steps):
        left = now[t - 1] if t > 0 else now[t]
        right = now[t + 1] if t < n - 1 else now[t]
        after[t] = now[t] + float32(0.25) * (left - 2 * now[t] + right)
        cuda.syncthreads()
        now[t] = after[t]
        cuda.syncthreads()
    y[t] = now[t]


def _heat(x, steps):
    for _ in range(steps):
        padded = np.pad(x.astype(np.float64), 1, mode="edge")
        x = x + 0.25 * (padded[:-2] - 2 * x + padded[2:])
    return x


@clean(
    2,
    16,
    lambda rng: (whole(rng, 2, 5, 6), zeros(27, 16)),
    lambda x, out: {1: _im2col(x)},
)
@cuda.jit
def im2col(x, out):
    """A row of `out` for each of the 2 * 3 * 3 weights; the rest of `out` is left alone."""
    column = cuda.grid(1)
    height = x.shape[1] - 2
    width = x.shape[2] - 2
    if column >= height * width:
        return
    i = column // width
    j = column % width
    row = 0
    for c in range(x.shape[0]):
        for p in range(3):
            for q in range(3):
                out[row, column] = x[c, i + p, j + q]
                row += 1


def _im2col(x):
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), (1, 2))
    out = np.zeros((27, 16), np.float32)
    out[:18, :12] = windows.transpose(0, 3, 4, 1, 2).reshape(18, 12)
    return out


@clean(
    (1, 1, 3),
    (4, 4),
    lambda rng: (whole(rng, 3, 7, 6), zeros(3, 3, 3), zeros(3, 3, 3, dtype=np.int32)),
    lambda x, out, where: _pool(x),
)
@cuda.jit
def max_pool_with_argmax(x, out, where):
    j, i, c = cuda.grid(3)
    if i < out.shape[1] and j < out.shape[2]:
        best = x[c, 2 * i, 2 * j]
        place = 0
        for k in range(1, 4):
            v = x[c, 2 * i + k // 2, 2 * j + k % 2]
            if v > best:
                best = v
                place = k
        out[c, i, j] = best
        where[c, i, j] = place


def _pool(x):
    windows = x[:, :6].reshape(3, 3, 2, 3, 2).transpose(0, 1, 3, 2, 4).reshape(3, 3, 3, 4)
    return {1: windows.max(-1), 2: windows.argmax(-1).astype(np.int32)}


# Atomics ---------------------------------------------------------------------------------------


@clean(
    3,
    32,
    lambda rng: (rng.integers(0, 7, 90), zeros(7, dtype=np.int64)),
    lambda x, counts: {1: np.bincount(x, minlength=7)},
)
@cuda.jit
def histogram_atomic(x, counts):
    i = cuda.grid(1)
    if i < x.size:
        cuda.atomic.add(counts, x[i], 1)


@clean(
    3,
    32,
    lambda rng: (rng.integers(0, 7, 90).astype(np.int32), zeros(7, dtype=np.int32)),
    lambda x, counts: {1: np.bincount(x, minlength=7).astype(np.int32)},
)
@cuda.jit
def histogram_privatised(x, counts):
    mine = cuda.shared.array(7, int32)
    t = cuda.threadIdx.x
    if t < 7:
        mine[t] = 0
    cuda.syncthreads()
    for i in range(cuda.grid(1), x.size, cuda.gridsize(1)):
        cuda.atomic.add(mine, x[i], 1)
    cuda.syncthreads()
    if t < 7:
        cuda.atomic.add(counts, t, mine[t])


@clean(
    3,
    32,
    lambda rng: (
        whole(rng, 90, dtype=np.int32),
        np.full(3, -99, np.int32),
        np.full(3, 99, np.int32),
    ),
    lambda x, high, low: {
        1: np.array([x[k::3].max() for k in range(3)]),
        2: np.array([x[k::3].min() for k in range(3)]),
    },
)
@cuda.jit
def atomic_extremes(x, high, low):
    i = cuda.grid(1)
    if i < x.size:
        cuda.atomic.max(high, i % 3, x[i])
        cuda.atomic.min(low, i % 3, x[i])


@clean(
    2,
    32,
    lambda rng: (reals(rng, 50), np.full(1, -np.inf, np.float32), np.full((1, 1), np.inf)),
    lambda x, high, low: {1: x.max(keepdims=True), 2: np.full((1, 1), x.min(), np.float64)},
)
@cuda.jit
def atomic_extremes_of_floats(x, high, low):
    i = cuda.grid(1)
    if i < x.size:
        cuda.atomic.max(high, 0, x[i])
        cuda.atomic.min(low, (0, 0), float64(x[i]))


@clean(
    2,
    32,
    lambda rng: (
        rng.integers(0, 2**31, 50).astype(np.uint32),
        np.full(3, 0x7FFF0000, np.uint32),
    ),
    lambda x, out: {
        1: np.array(
            [
                0x7FFF0000 & np.bitwise_and.reduce(x),
                0x7FFF0000 | np.bitwise_or.reduce(x),
                0x7FFF0000 ^ np.bitwise_xor.reduce(x),
            ],
            np.uint32,
        )
    },
)
@cuda.jit
def atomic_bits(x, out):
    i = cuda.grid(1)
    if i < x.size:
        cuda.atomic.and_(out, 0, x[i])
        cuda.atomic.or_(out, 1, x[i])
        cuda.atomic.xor(out, 2, x[i])


@clean(
    2,
    32,
    lambda rng: (50, np.array([0, 30], np.uint32), np.array([1000], np.int32)),
    lambda n, wheel, rest: {
        1: np.array([50 % 8, (30 - 50) % 31], np.uint32),
        2: np.array([1000 - 50 * 3], np.int32),
    },
)
@cuda.jit
def atomic_inc_dec_sub(n, wheel, rest):
    i = cuda.grid(1)
    if i < n:
        cuda.atomic.inc(wheel, 0, uint32(7))
        cuda.atomic.dec(wheel, 1, uint32(30))
        cuda.atomic.sub(rest, 0, 3)


@clean(
    2,
    32,
    lambda rng: (50, zeros(1, dtype=np.int32), zeros(1, dtype=np.int32)),
    lambda n, flag, winners: {1: np.ones(1, np.int32), 2: np.ones(1, np.int32)},
)
@cuda.jit
def atomic_exchange(n, flag, winners):
    """All put a 1; the one that takes out the 0 was first."""
    i = cuda.grid(1)
    if i < n and cuda.atomic.exch(flag, 0, 1) == 0:
        cuda.atomic.add(winners, 0, 1)


@clean(
    2,
    32,
    lambda rng: (np.arange(50, dtype=np.int32), np.full(5, -1, np.int32), zeros(5, dtype=np.int32)),
    lambda x, owner, wins: {2: np.ones(5, np.int32)},
)
@cuda.jit
def atomic_claim_with_cas(x, owner, wins):
    """Of the ten threads that want a place, one gets it: which one is left to chance."""
    i = cuda.grid(1)
    if i < x.size and cuda.atomic.cas(owner, i % 5, -1, x[i]) == -1:
        cuda.atomic.add(wins, i % 5, 1)


@clean(
    2,
    32,
    lambda rng: (rng.integers(1, 99, 50).astype(np.int32), np.ones(1, np.int32)),
    lambda x, out: {1: x.max(keepdims=True)},
)
@cuda.jit
def max_with_cas_loop(x, out):
    """Try again as long as somebody else was faster."""
    i = cuda.grid(1)
    if i < x.size:
        seen = cuda.atomic.add(out, 0, 0)
        while seen < x[i]:
            before = cuda.atomic.cas(out, 0, seen, x[i])
            if before == seen:
                break
            seen = before


@clean(
    2,
    32,
    lambda rng: (whole(rng, 50), np.full(50, 99, np.float32), zeros(1, dtype=np.int32)),
    lambda x, out, count: {
        1: np.concatenate([x[x > 0], np.full((x <= 0).sum(), 99, np.float32)]),
        2: np.array([(x > 0).sum()], np.int32),
    },
    ordered=False,
)
@cuda.jit
def compact_with_atomic_counter(x, out, count):
    i = cuda.grid(1)
    if i < x.size and x[i] > 0:
        place = cuda.atomic.add(count, 0, 1)
        out[place] = x[i]


def _scatter(rows, ids, values):
    out = np.zeros(rows, np.float32)
    np.add.at(out, ids, values)
    return out


# Layers ----------------------------------------------------------------------------------------


@clean(
    (1, 2),
    (8, 4),
    lambda rng: (whole(rng, 9, 6), rng.integers(0, 9, 7).astype(np.int32), zeros(7, 6)),
    lambda table, ids, out: {2: table[ids]},
)
@cuda.jit
def embedding_gather(table, ids, out):
    c, i = cuda.grid(2)
    if i < ids.size and c < table.shape[1]:
        out[i, c] = table[ids[i], c]


@clean(
    (1, 2),
    (8, 4),
    lambda rng: (zeros(4, 6), rng.integers(0, 4, 7).astype(np.int32), whole(rng, 7, 6)),
    lambda grad, ids, out: {0: _scatter((4, 6), ids, out)},
)
@cuda.jit
def embedding_scatter_add(grad_table, ids, grad_out):
    c, i = cuda.grid(2)
    if i < ids.size and c < grad_table.shape[1]:
        cuda.atomic.add(grad_table, (ids[i], c), grad_out[i, c])


def _softmax(x):
    e = np.exp(x.astype(np.float64) - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


@clean(
    3,
    16,
    lambda rng: (reals(rng, 3, 37), zeros(3, 37)),
    lambda x, y: {1: _softmax(x)},
    exact=False,
)
@cuda.jit
def softmax(x, y):
    buffer = cuda.shared.array(16, float32)
    row = cuda.blockIdx.x
    t = cuda.threadIdx.x
    n = x.shape[1]
    peak = float32(-math.inf)
    for j in range(t, n, cuda.blockDim.x):
        peak = max(peak, x[row, j])
    buffer[t] = peak
    cuda.syncthreads()
    stride = cuda.blockDim.x // 2
    while stride > 0:
        if t < stride:
            buffer[t] = max(buffer[t], buffer[t + stride])
        cuda.syncthreads()
        stride //= 2
    peak = buffer[0]
    cuda.syncthreads()
    total = float32(0)
    for j in range(t, n, cuda.blockDim.x):
        total += math.exp(x[row, j] - peak)
    buffer[t] = total
    cuda.syncthreads()
    stride = cuda.blockDim.x // 2
    while stride > 0:
        if t < stride:
            buffer[t] += buffer[t + stride]
        cuda.syncthreads()
        stride //= 2
    total = buffer[0]
    for j in range(t, n, cuda.blockDim.x):
        y[row, j] = math.exp(x[row, j] - peak) / total


@clean(
    2,
    (32, 2),
    lambda rng: (reals(rng, 3, 75), zeros(3, 75)),
    lambda x, y: {1: _softmax(x)},
    exact=False,
)
@cuda.jit
def softmax_online(x, y):
    """One pass for the maximum and the sum; a warp for a row."""
    lane = cuda.threadIdx.x
    row = cuda.blockIdx.x * cuda.blockDim.y + cuda.threadIdx.y
    if row >= x.shape[0]:
        return
    peak = float32(-1e30)
    total = float32(0)
    for j in range(lane, x.shape[1], 32):
        v = x[row, j]
        if v > peak:
            total *= math.exp(peak - v)
            peak = v
        total += math.exp(v - peak)
    for d in (16, 8, 4, 2, 1):
        other_peak = cuda.shfl_xor_sync(FULL, peak, d)
        other_total = cuda.shfl_xor_sync(FULL, total, d)
        both = max(peak, other_peak)
        total = total * math.exp(peak - both) + other_total * math.exp(other_peak - both)
        peak = both
    for j in range(lane, x.shape[1], 32):
        y[row, j] = math.exp(x[row, j] - peak) / total


def _layernorm(x, weight, bias, eps):
    x = x.astype(np.float64)
    centred = x - x.mean(1, keepdims=True)
    return centred / np.sqrt(x.var(1, keepdims=True) + eps) * weight + bias


@clean(
    3,
    16,
    lambda rng: (reals(rng, 3, 21), reals(rng, 21), reals(rng, 21), zeros(3, 21), 1e-5),
    lambda x, weight, bias, y, eps: {3: _layernorm(x, weight, bias, eps)},
    exact=False,
)
@cuda.jit
def layernorm(x, weight, bias, y, eps):
    buffer = cuda.shared.array(16, float32)
    row = cuda.blockIdx.x
    t = cuda.threadIdx.x
    n = x.shape[1]
    part = float32(0)
    for j in range(t, n, cuda.blockDim.x):
        part += x[row, j]
    mean = sum_in_block(part, buffer) / n
    part = float32(0)
    for j in range(t, n, cuda.blockDim.x):
        part += (x[row, j] - mean) ** 2
    variance = sum_in_block(part, buffer) / n
    scale = 1.0 / math.sqrt(variance + eps)
    for j in range(t, n, cuda.blockDim.x):
        y[row, j] = (x[row, j] - mean) * scale * weight[j] + bias[j]


@clean(
    5,
    32,
    lambda rng: (reals(rng, 5, 41), reals(rng, 41), zeros(5, 41)),
    lambda x, w, y: {2: x / np.sqrt((x.astype(float) ** 2).mean(1, keepdims=True) + 1e-6) * w},
    exact=False,
)
@cuda.jit
def rmsnorm(x, weight, y):
    row = cuda.blockIdx.x
    lane = cuda.threadIdx.x
    n = x.shape[1]
    squares = float32(0)
    for j in range(lane, n, 32):
        squares += x[row, j] * x[row, j]
    squares = warp_sum(squares)
    scale = 1 / math.sqrt(squares / n + 1e-6)
    for j in range(lane, n, 32):
        y[row, j] = x[row, j] * scale * weight[j]


@clean(
    3,
    4,
    lambda rng: (reals(rng, 9, 6), rng.integers(0, 6, 9), zeros(9), zeros(9, 6)),
    lambda x, target, loss, grad: {
        2: -np.log(_softmax(x)[np.arange(9), target]),
        3: _softmax(x) - np.eye(6)[target],
    },
    exact=False,
)
@cuda.jit
def cross_entropy(logits, target, loss, grad):
    row = cuda.grid(1)
    if row >= logits.shape[0]:
        return
    peak = logits[row, 0]
    for j in range(1, logits.shape[1]):
        peak = max(peak, logits[row, j])
    total = float32(0)
    for j in range(logits.shape[1]):
        total += math.exp(logits[row, j] - peak)
    label = target[row]
    loss[row] = math.log(total) + peak - logits[row, label]
    for j in range(logits.shape[1]):
        p = math.exp(logits[row, j] - peak) / total
        grad[row, j] = p - 1 if j == label else p


def _gelu(x):
    return np.array([0.5 * v * (1 + math.erf(v / math.sqrt(2))) for v in x.tolist()])


@clean(
    2,
    32,
    lambda rng: (reals(rng, 50), zeros(50), zeros(50)),
    lambda x, a, b: {
        1: 0.5 * x * (1 + np.tanh(0.7978845608 * (x + 0.044715 * x.astype(float) ** 3))),
        2: _gelu(x),
    },
    exact=False,
)
@cuda.jit
def gelu(x, by_tanh, by_erf):
    i = cuda.grid(1)
    if i < x.size:
        v = x[i]
        inner = float32(0.7978845608) * (v + float32(0.044715) * v * v * v)
        by_tanh[i] = float32(0.5) * v * (float32(1) + math.tanh(inner))
        by_erf[i] = 0.5 * v * (1.0 + math.erf(v / math.sqrt(2.0)))


def _adamw(p, grad, m, v, lr, step):
    p, grad = p.astype(np.float64), grad.astype(np.float64)
    m = 0.9 * m + 0.1 * grad
    v = 0.99 * v + 0.01 * grad**2
    p = p * (1 - lr * 0.1)
    return {0: p - lr * (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.99**step)) + 1e-8), 2: m, 3: v}


@clean(
    2,
    32,
    lambda rng: (reals(rng, 50), reals(rng, 50), reals(rng, 50), reals(rng, 50) ** 2, 0.01, 3),
    lambda *args: _adamw(*args),
    exact=False,
)
@cuda.jit
def adamw(p, grad, m, v, lr, step):
    i = cuda.grid(1)
    if i < p.size:
        g = grad[i]
        m[i] = 0.9 * m[i] + 0.1 * g
        v[i] = 0.99 * v[i] + 0.01 * g * g
        m_hat = m[i] / (1.0 - 0.9**step)
        v_hat = v[i] / (1.0 - 0.99**step)
        p[i] *= 1.0 - lr * 0.1
        p[i] -= lr * m_hat / (math.sqrt(v_hat) + 1e-8)


@cuda.jit(device=True)
def scramble(x):
    """A hash of 32 bits; numba's integers are wider, so what is beyond 32 bits is cut off."""
    x = uint32(x ^ (x >> uint32(16)))
    x = uint32(x * uint32(0x7FEB352D))
    x = uint32(x ^ (x >> uint32(15)))
    x = uint32(x * uint32(0x846CA68B))
    return uint32(x ^ (x >> uint32(16)))


def _scramble(x):
    x = x.astype(np.uint32)
    x = x ^ (x >> np.uint32(16))
    x = x * np.uint32(0x7FEB352D)
    x = x ^ (x >> np.uint32(15))
    x = x * np.uint32(0x846CA68B)
    return x ^ (x >> np.uint32(16))


@clean(
    2,
    32,
    lambda rng: (whole(rng, 50), zeros(50), np.uint32(77)),
    lambda x, y, seed: {1: np.where(_scramble(np.arange(50) + seed) < 2**30, 0, x)},
)
@cuda.jit
def dropout(x, y, seed):
    i = cuda.grid(1)
    if i < x.size:
        bits = scramble(uint32(i + seed))
        y[i] = 0 if bits < 1073741824 else x[i]


@clean(
    2,
    32,
    lambda rng: (zeros(40, dtype=np.int64), 12345),
    lambda out, seed: {0: _lcg(40, seed)},
)
@cuda.jit
def linear_congruential(out, seed):
    i = cuda.grid(1)
    if i < out.size:
        state = seed + i
        for _ in range(3):
            state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
        out[i] = state >> 8


def _lcg(n, seed):
    state = np.arange(n) + seed
    for _ in range(3):
        state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
    return state >> 8


@clean(
    (2, 2, 2),
    (4, 4),
    lambda rng: (whole(rng, 2, 7, 7),),
    lambda scores: {0: np.where(np.triu(np.ones((7, 7)), 1) == 1, -np.inf, scores)},
)
@cuda.jit
def causal_mask(scores):
    j, i, head = cuda.grid(3)
    if i < scores.shape[1] and j < scores.shape[2] and j > i:
        scores[head, i, j] = -math.inf


def _attention(q, k, v, scale):
    scores = q.astype(np.float64) @ k.T * scale
    scores[np.triu(np.ones(scores.shape), 1) == 1] = -np.inf
    return _softmax(scores) @ v


@clean(
    2,
    16,
    lambda rng: (
        reals(rng, 21, 4),
        reals(rng, 21, 4),
        reals(rng, 21, 4),
        zeros(21, 4),
        np.float32(0.5),
    ),
    lambda q, k, v, out, scale: {3: _attention(q, k, v, scale)},
    exact=False,
)
@cuda.jit
def flash_attention(q, k, v, out, scale):
    """A query for each thread, keys and values by tiles, and never a matrix of scores."""
    keys = cuda.shared.array((16, 4), float32)
    values = cuda.shared.array((16, 4), float32)
    query = cuda.local.array(4, float32)
    acc = cuda.local.array(4, float32)
    t = cuda.threadIdx.x
    i = cuda.grid(1)
    n = q.shape[0]
    for c in range(4):
        query[c] = q[i, c] if i < n else float32(0)
        acc[c] = 0
    peak = float32(-1e30)
    total = float32(0)
    for start in range(0, n, 16):
        if start + t < n:
            for c in range(4):
                keys[t, c] = k[start + t, c]
                values[t, c] = v[start + t, c]
        cuda.syncthreads()
        for j in range(min(16, n - start)):
            if start + j > i:
                break
            score = float32(0)
            for c in range(4):
                score += query[c] * keys[j, c]
            score *= scale
            higher = max(peak, score)
            shrink = math.exp(peak - higher)
            weight = math.exp(score - higher)
            total = total * shrink + weight
            for c in range(4):
                acc[c] = acc[c] * shrink + weight * values[j, c]
            peak = higher
        cuda.syncthreads()
    if i < n:
        for c in range(4):
            out[i, c] = acc[c] / total


@clean(
    2,
    8,
    lambda rng: (reals(rng, 11, 3), reals(rng, 11, 3), reals(rng, 3), zeros(11, 3)),
    lambda x, gate, decay, out: {3: _selective_scan(x, gate, decay)},
    exact=False,
)
@cuda.jit
def selective_scan(x, gate, decay, out):
    channel = cuda.grid(1)
    if channel < x.shape[1]:
        state = float32(0)
        for step in range(x.shape[0]):
            openness = 1 / (1 + math.exp(-gate[step, channel]))
            state = decay[channel] * state + openness * x[step, channel]
            out[step, channel] = state


def _selective_scan(x, gate, decay):
    out = np.zeros(x.shape)
    state = np.zeros(x.shape[1])
    for step in range(x.shape[0]):
        state = decay * state + x[step] / (1 + np.exp(-gate[step].astype(np.float64)))
        out[step] = state
    return out


@clean(
    2,
    32,
    lambda rng: (rng.integers(0, 10**12, 40), zeros(40, dtype=np.int64)),
    lambda x, y: {1: np.array([int(str(v)[::-1]) for v in x.tolist()])},
)
@cuda.jit
def reverse_digits_int64(x, y):
    i = cuda.grid(1)
    if i < x.size:
        v = x[i]
        result = int64(0)
        while v > 0:
            result = result * 10 + v % 10
            v //= 10
        y[i] = result


# Habits ----------------------------------------------------------------------------------------

SHAPE = (3, 4)


@clean(1, 12, lambda rng: (whole(rng, 3, 4), zeros(3, 4)), lambda a, out: {1: a[::-1]})
@cuda.jit
def shape_from_a_constant(a, out):
    tile = cuda.shared.array(shape=SHAPE, dtype=np.float32)
    t = cuda.threadIdx.x
    i, j = t // 4, t % 4
    tile[i][j] = a[i][j]
    cuda.syncthreads()
    out[i][j] = tile[2 - i][j]


@clean(
    2,
    32,
    lambda rng: (reals(rng, 40), zeros(40)),
    lambda x, y: {1: np.cos(np.pi * x.astype(float)) + np.arange(40) // 2},
    exact=False,
)
@cuda.jit
def casts_by_numpy_types(x, y):
    i = cuda.grid(1)
    if i < x.size:
        total = half = np.float32(0)
        half += np.int32(i) // np.int32(2)
        total += np.float32(math.cos(math.pi * x[i]))
        y[i] = total + half


def _tensor_map(function):
    """As in minitorch: a kernel for each function."""

    @cuda.jit
    def mapped(out, x, size):
        i = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
        if i < size:
            out[i] = function(x[i])

    return mapped


CLEAN.append(
    Clean(
        "device function in a closure",
        _tensor_map(square),
        2,
        32,
        lambda rng: (zeros(45), whole(rng, 45), 45),
        lambda out, x, size: {0: x * x},
    )
)


def _tensor_reduce(function, start):
    @cuda.jit
    def reduced(out, a):
        buffer = cuda.shared.array(16, float32)
        t = cuda.threadIdx.x
        row = cuda.blockIdx.x
        acc = float32(start)
        for j in range(t, a.shape[1], 16):
            acc = function(acc, a[row, j])
        buffer[t] = acc
        cuda.syncthreads()
        width = 8
        while width:
            if t < width:
                buffer[t] = function(buffer[t], buffer[t + width])
            cuda.syncthreads()
            width >>= 1
        if t == 0:
            out[row] = buffer[0]

    return reduced


@cuda.jit(device=True)
def larger(a, b):
    return a if a > b else b


@cuda.jit(device=True)
def plus(a, b):
    return a + b


CLEAN.append(
    Clean(
        "reduction by a closure, maximum",
        _tensor_reduce(larger, -1e30),
        3,
        16,
        lambda rng: (zeros(3), whole(rng, 3, 37)),
        lambda out, a: {0: a.max(1)},
    )
)
CLEAN.append(
    Clean(
        "reduction by a closure, sum",
        _tensor_reduce(plus, 0.0),
        3,
        16,
        lambda rng: (zeros(3), whole(rng, 3, 37)),
        lambda out, a: {0: a.sum(1)},
    )
)


@clean(
    1,
    96,
    lambda rng: (whole(rng, 6, 32), zeros(6)),
    lambda a, out: {1: a.sum(1)},
)
@cuda.jit
def warps_with_loops_of_their_own(a, out):
    """Warp 0 has one row, warp 1 two, warp 2 three: warps wait for no other warp here."""
    warp = cuda.threadIdx.x // 32
    lane = cuda.threadIdx.x % 32
    first = warp * (warp + 1) // 2
    for row in range(first, first + warp + 1):
        total = warp_sum(a[row, lane])
        if lane == 0:
            out[row] = total


@clean(
    1,
    32,
    lambda rng: (whole(rng, 32), zeros(32)),
    lambda x, y: {1: np.concatenate([-x[16:], 2 * x[:16]])},
)
@cuda.jit
def branches_meet_at_syncwarp(x, y):
    buffer = cuda.shared.array(32, float32)
    t = cuda.threadIdx.x
    if t < 16:
        buffer[t] = 2 * x[t]
    else:
        buffer[t] = -x[t]
    cuda.syncwarp()
    y[t] = buffer[(t + 16) % 32]


@clean(
    1,
    24,
    lambda rng: (rng.integers(1, 9, 24).astype(np.int32), zeros(24, dtype=np.int32)),
    lambda n, out: {1: np.array([(n >= k).sum() for k in range(24)], np.int32)},
)
@cuda.jit
def those_that_are_done_wait_with_the_others(n, out):
    """Loops of different length, made equal: a thread that is done still comes to the barrier."""
    t = cuda.threadIdx.x
    for step in range(24):
        busy = step <= n[t]
        count = cuda.syncthreads_count(int32(busy))
        if t == step:
            out[t] = count


@clean(
    1,
    32,
    lambda rng: (whole(rng, 32), whole(rng, 32), zeros(32)),
    lambda a, b, out: {2: (a - b)[::-1]},
)
@cuda.jit
def shared_of_a_device_function_used_twice(a, b, out):
    """Both calls have one buffer: a barrier is between the first's reads and the second's writes."""
    t = cuda.threadIdx.x
    v = reverse_in_block(a[t])
    cuda.syncthreads()
    v -= reverse_in_block(b[t])
    out[t] = v


@clean(
    2,
    16,
    lambda rng: (whole(rng, 2, 16), zeros(2, 16)),
    lambda a, out: {1: a[:, ::-1] + a.max(1, keepdims=True)},
)
@cuda.jit
def one_buffer_for_two_purposes(a, out):
    buffer = cuda.shared.array(16, float32)
    t = cuda.threadIdx.x
    row = cuda.blockIdx.x
    buffer[t] = a[row, t]
    cuda.syncthreads()
    v = buffer[15 - t]
    cuda.syncthreads()
    stride = 8
    while stride > 0:
        if t < stride:
            buffer[t] = max(buffer[t], buffer[t + stride])
        cuda.syncthreads()
        stride //= 2
    out[row, t] = v + buffer[0]


@clean(
    3,
    16,
    lambda rng: (whole(rng, 48), zeros(3), zeros(1, dtype=np.int32), zeros(1)),
    lambda x, partial, count, out: {
        1: _block_sums(x, 16)[1],
        2: np.array([3], np.int32),
        3: x.sum(keepdims=True),
    },
)
@cuda.jit
def last_block_by_atomic_add(x, partial, count, out):
    """As the last block above, but one thread does it all: no barrier after the counter."""
    buffer = cuda.shared.array(16, float32)
    t = cuda.threadIdx.x
    buffer[t] = x[cuda.grid(1)]
    cuda.syncthreads()
    if t == 0:
        total = float32(0)
        for k in range(16):
            total += buffer[k]
        partial[cuda.blockIdx.x] = total
        cuda.threadfence()
        if cuda.atomic.add(count, 0, 1) == cuda.gridDim.x - 1:
            cuda.threadfence()
            total = float32(0)
            for k in range(cuda.gridDim.x):
                total += partial[k]
            out[0] = total
