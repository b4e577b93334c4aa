"""course.kernellab: the three engines agree to the last bit, and with numpy, whatever the launch.

The first half runs kernels with barriers on launches of odd shape. The second half runs single
expressions: plain Python must compute them as compiled code does.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from numba import cuda, float32, float64, int32, int64, uint8, uint32

from course import kernellab  # noqa: F401  (kernels run in the lab from here on)
from course.kernellab.errors import Unsupported
from course.kernellab.launch import run
from course.kernellab.limits import Launch
from course.kernellab.program import ENGINES

OPTIONS: Any = {"deadline": None, "derandomize": True, "report_multiple_bugs": False}
OPTIONS |= {"phases": (Phase.explicit, Phase.generate)}  # to make a failure smaller takes minutes
few = settings(max_examples=8, **OPTIONS)
many = settings(max_examples=25, **OPTIONS)


def three(size: Any) -> tuple[int, int, int]:
    """A grid or a block with all its three sizes."""
    parts = size if isinstance(size, tuple) else (size,)
    return (*parts, 1, 1)[:3]


def on_engine(kernel, grid, block, args, engine, dynamic=0):
    """The arguments after a launch, which had copies of them."""
    held = [a.copy(order="K") if isinstance(a, np.ndarray) else a for a in args]
    run(kernel, Launch(three(grid), three(block), dynamic), held, engine=engine)
    return held


def assert_same_bits(actual, expected, message):
    assert actual.dtype == expected.dtype and actual.shape == expected.shape
    if actual.dtype.kind == "f":  # of nan there are many
        np.testing.assert_array_equal(np.isnan(actual), np.isnan(expected), err_msg=message)
        actual, expected = (np.where(np.isnan(a), a.dtype.type(0), a) for a in (actual, expected))
    if actual.tobytes() != expected.tobytes():
        np.testing.assert_array_equal(actual, expected, err_msg=message)
        raise AssertionError(f"{message}: the sign of a zero differs")


def everywhere(kernel, grid, block, *args, dynamic=0, engines=ENGINES):
    """The arguments after a launch, equal on all engines.

    The split engine runs twice: the second time it has code for this size of block, with fewer
    checks. As that is compiled for each size, it happens with some sizes only.
    """
    results = [on_engine(kernel, grid, block, args, engine, dynamic) for engine in engines]
    if "split" in engines and math.prod(three(block)) in COMPILED_AGAIN:
        results.append(on_engine(kernel, grid, block, args, "split", dynamic))
    for engine, result in zip((*engines, "split, the second time"), results):
        for number, (a, b) in enumerate(zip(results[0], result)):
            if isinstance(a, np.ndarray):
                assert_same_bits(b, a, f"argument {number} on {engine}, not as on {engines[0]}")
    return results[0]


def whole(seed, *shape, dtype=np.float32):
    """Whole numbers: their sums are exact in any order."""
    low = 0 if np.dtype(dtype).kind == "u" else -9
    return np.random.default_rng(seed).integers(low, 10, shape).astype(dtype)


COMPILED_AGAIN = (7, 12, 16, 33)
seeds = st.integers(0, 2**16)
grids = st.integers(1, 4)
blocks = st.sampled_from([1, 2, 7, 31, 32, 33, 65, 96])
planes = st.tuples(st.sampled_from([1, 2, 3, 5, 8]), st.sampled_from([1, 3, 4, 7]))
solids = st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(1, 3))
numeric = st.sampled_from(["float32", "int32"])


# ------------------------------------------------------------------ kernels of several threads


@cuda.jit
def map_guarded(x, y):
    i = cuda.grid(1)
    if i < x.size:
        y[i] = 3 * x[i] - 1


@few
@given(seeds, grids, blocks, st.integers(1, 130), numeric)
def test_map(seed, grid, block, n, dtype):
    x, y = whole(seed, n, dtype=dtype), np.zeros(n, dtype)
    _, actual = everywhere(map_guarded, grid, block, x, y)
    reached = np.arange(n) < grid * block
    np.testing.assert_array_equal(actual, np.where(reached, 3 * x - 1, 0))


@cuda.jit
def map_plane(x, y):
    i, j = cuda.grid(2)
    rows, columns = x.shape
    if i < rows and j < columns:
        y[i, j] += x[i, j] * (i - j)


@few
@given(seeds, planes, planes, planes, st.booleans())
def test_map_in_two_dimensions(seed, grid, block, shape, fortran):
    x, y = whole(seed, *shape), whole(seed + 1, *shape)
    x = np.asfortranarray(x) if fortran else x
    actual = everywhere(map_plane, grid, block, x, y)[1]
    i, j = np.indices(shape)
    inside = (i < grid[0] * block[0]) & (j < grid[1] * block[1])
    np.testing.assert_array_equal(actual, np.where(inside, y + x * (i - j), y))


@cuda.jit
def who_is_where(out):
    x, y, z = cuda.grid(3)
    width, height, _ = cuda.gridsize(3)
    t = cuda.threadIdx.x + cuda.blockDim.x * (cuda.threadIdx.y + cuda.blockDim.y * cuda.threadIdx.z)
    out[x + width * (y + height * z)] = t * 100 + cuda.laneid


@few
@given(solids, solids)
def test_every_thread_of_a_solid_block_has_its_place(grid, block):
    grid_size = [g * b for g, b in zip(grid, block)]
    (actual,) = everywhere(who_is_where, grid, block, np.full(math.prod(grid_size), -1))
    z, y, x = np.indices(grid_size[::-1])
    t = x % block[0] + block[0] * (y % block[1] + block[1] * (z % block[2]))
    np.testing.assert_array_equal(actual, (t * 100 + t % 32).ravel())


TILE = 4


@cuda.jit
def tiled_matmul(a, b, out):
    left = cuda.shared.array((TILE, TILE), float32)
    right = cuda.shared.array((TILE, TILE), float32)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    column, row = cuda.grid(2)
    total = float32(0)
    for start in range(0, a.shape[1], TILE):
        if row < a.shape[0] and start + tx < a.shape[1]:
            left[ty, tx] = a[row, start + tx]
        else:
            left[ty, tx] = 0
        if start + ty < b.shape[0] and column < b.shape[1]:
            right[ty, tx] = b[start + ty, column]
        else:
            right[ty, tx] = 0
        cuda.syncthreads()
        for k in range(TILE):
            total += left[ty, k] * right[k, tx]
        cuda.syncthreads()
    if row < out.shape[0] and column < out.shape[1]:
        out[row, column] = total


@few
@given(seeds, st.integers(1, 9), st.integers(1, 9), st.integers(1, 9))
def test_tiled_matmul(seed, n, m, k):
    a, b = whole(seed, n, k), whole(seed + 1, k, m)
    grid = (-(-m // TILE), -(-n // TILE))
    actual = everywhere(tiled_matmul, grid, (TILE, TILE), a, b, np.zeros((n, m), np.float32))[2]
    np.testing.assert_array_equal(actual, a @ b)


@cuda.jit
def block_sum(x, out):
    buffer = cuda.shared.array(128, float64)
    t = cuda.threadIdx.x
    i = cuda.grid(1)
    buffer[t] = x[i] if i < x.size else 0
    cuda.syncthreads()
    active = cuda.blockDim.x
    while active > 1:
        half = (active + 1) // 2
        if t + half < active:
            buffer[t] += buffer[t + half]
        cuda.syncthreads()
        active = half
    if t == 0:
        out[cuda.blockIdx.x] = buffer[0]


@few
@given(seeds, grids, blocks, st.integers(1, 130), numeric)
def test_block_reduction(seed, grid, block, n, dtype):
    x = whole(seed, n, dtype=dtype)
    actual = everywhere(block_sum, grid, block, x, np.zeros(grid))[1]
    padded = np.zeros(max(grid * block, n))
    padded[:n] = x
    np.testing.assert_array_equal(actual, padded[: grid * block].reshape(grid, block).sum(1))


@cuda.jit
def inclusive_scan(x, out):
    one, two = cuda.shared.array(128, int64), cuda.shared.array(128, int64)
    t = cuda.threadIdx.x
    i = cuda.grid(1)
    one[t] = x[i]
    cuda.syncthreads()
    step = 1
    while step < cuda.blockDim.x:
        if t >= step:
            two[t] = one[t] + one[t - step]
        else:
            two[t] = one[t]
        cuda.syncthreads()
        one, two = two, one
        step *= 2
    out[i] = one[t]


@cuda.jit
def inclusive_scan_in_place(x, out):
    buffer = cuda.shared.array(128, int64)
    t = cuda.threadIdx.x
    i = cuda.grid(1)
    buffer[t] = x[i]
    cuda.syncthreads()
    step = 1
    while step < cuda.blockDim.x:
        other = 0
        if t >= step:
            other = buffer[t - step]
        cuda.syncthreads()
        buffer[t] += other
        cuda.syncthreads()
        step <<= 1
    out[i] = buffer[t]


@few
@given(seeds, grids, blocks, st.sampled_from([inclusive_scan, inclusive_scan_in_place]))
def test_scan(seed, grid, block, kernel):
    x = whole(seed, grid * block, dtype=np.int32)
    actual = everywhere(kernel, grid, block, x, np.zeros(x.size, np.int64))[1]
    np.testing.assert_array_equal(actual, x.reshape(grid, block).cumsum(1).ravel())


@cuda.jit
def warp_sum(x, out, ballots):
    i = cuda.grid(1)
    total = x[i]
    offset = 16
    while offset > 0:
        total += cuda.shfl_xor_sync(0xFFFFFFFF, total, offset)
        offset //= 2
    out[i] = total
    above = cuda.shfl_down_sync(0xFFFFFFFF, x[i], 3)
    below = cuda.shfl_up_sync(0xFFFFFFFF, x[i], 1)
    first = cuda.shfl_sync(0xFFFFFFFF, x[i], 5)
    out[i] += 1000 * above + 100000 * below + 10000000 * first
    ballots[i] = cuda.ballot_sync(0xFFFFFFFF, x[i] > 0)


@few
@given(seeds, grids, st.sampled_from([32, 64, 96]))
def test_shuffles_of_whole_warps(seed, grid, block):
    dtype = np.float32
    x = whole(seed, grid * block, dtype=dtype) % 8
    outputs = np.zeros(x.size, dtype), np.zeros(x.size, np.uint32)
    _, out, ballots = everywhere(warp_sum, grid, block, x, *outputs)
    lanes = x.reshape(-1, 32)
    above = np.concatenate([lanes[:, 3:], lanes[:, 29:]], 1)
    below = np.concatenate([lanes[:, :1], lanes[:, :-1]], 1)
    expected = lanes.sum(1, keepdims=True, dtype=dtype) + 1000 * above + 100000 * below
    expected = expected + lanes[:, 5:6] * dtype(10000000)
    np.testing.assert_array_equal(out, expected.astype(dtype).ravel())
    bits = ((lanes > 0) * 2 ** np.arange(32, dtype=np.uint64)).sum(1, dtype=np.uint64)
    np.testing.assert_array_equal(ballots, np.repeat(bits, 32).astype(np.uint32))


@cuda.jit
def warps_of_a_plane(out):
    """Lanes are counted through x, then y: a warp may hold several rows of a block."""
    t = cuda.threadIdx.x + cuda.blockDim.x * cuda.threadIdx.y
    n = cuda.blockDim.x * cuda.blockDim.y
    lane = t % 32
    lanes = min(32, n - t // 32 * 32)
    mask = (1 << lanes) - 1
    out[t, 0] = -1
    if lanes % 2 == 0:
        out[t, 0] = cuda.shfl_xor_sync(mask, t, 1)
    out[t, 1] = cuda.any_sync(mask, lane == 2)
    out[t, 2] = cuda.all_sync(mask, lane < 20)
    out[t, 3] = cuda.ballot_sync(mask, t % 3 == 0)


@few
@given(planes)
def test_warps_in_blocks_of_two_dimensions(block):
    n = block[0] * block[1]
    (actual,) = everywhere(warps_of_a_plane, 1, block, np.zeros((n, 4), np.int64))
    expected = np.zeros((n, 4), np.int64)
    for t in range(n):
        warp = [u for u in range(n) if u // 32 == t // 32]
        expected[t] = (
            t ^ 1 if len(warp) % 2 == 0 else -1,
            any(u % 32 == 2 for u in warp),
            all(u % 32 < 20 for u in warp),
            sum(1 << u % 32 for u in warp if u % 3 == 0),
        )
    np.testing.assert_array_equal(actual, expected)


@cuda.jit
def halves_by_masks(x, out):
    buffer = cuda.shared.array(128, int64)
    t = cuda.threadIdx.x
    lane = t % 32
    buffer[t] = x[t]
    if lane < 16:
        cuda.syncwarp(0x0000FFFF)
        v = buffer[t ^ 1]
        cuda.syncwarp(0x0000FFFF)
        buffer[t] = v + 10
        cuda.syncwarp(0x0000FFFF)
        out[t] = buffer[t ^ 2]
    else:
        v = cuda.shfl_xor_sync(0xFFFF0000, x[t], 4)
        cuda.syncwarp(0xFFFF0000)
        out[t] = v * 2
    cuda.syncthreads()
    positive = int32(out[t] > 0)
    out[t] += cuda.syncthreads_count(positive) * 1000


@few
@given(seeds, st.sampled_from([32, 64, 96]))
def test_divergent_branches_with_warp_barriers(seed, block):
    x = whole(seed, block, dtype=np.int64)
    actual = everywhere(halves_by_masks, 1, block, x, np.zeros(block, np.int64))[1]
    t = np.arange(block)
    expected = np.where(t % 32 < 16, x[t ^ 2 ^ 1] + 10, 2 * x[t ^ 4])
    np.testing.assert_array_equal(actual, expected + 1000 * (expected > 0).sum())


@cuda.jit
def search_with_break(x, limit, out, rounds):
    """All threads leave together, by a vote."""
    found = cuda.shared.array(1, int32)
    t = cuda.threadIdx.x
    if t == 0:
        found[0] = -1
    cuda.syncthreads()
    count = 0
    for start in range(0, x.size, cuda.blockDim.x):
        i = start + t
        if i < x.size and x[i] == limit:
            found[0] = i
        cuda.syncthreads()
        count += 1
        if found[0] >= 0:
            break
    out[t] = found[0]
    rounds[t] = count


@cuda.jit
def skip_with_continue(x, out):
    buffer = cuda.shared.array(128, int64)
    t = cuda.threadIdx.x
    total = 0
    for k in range(x.size):
        if x[k] < 0:
            continue
        if k > 20 and x[k] == 3:
            break
        buffer[t] = x[k] * (t + 1)
        cuda.syncthreads()
        total += buffer[cuda.blockDim.x - 1 - t]
        cuda.syncthreads()
    out[t] = total


@cuda.jit
def otherwise(x, out):
    """What only the py engine can: a loop with `else` and a barrier, a meeting in an expression."""
    buffer = cuda.shared.array(128, int64)
    t = cuda.threadIdx.x
    total = 0
    for k in range(x.size):
        if x[k] == 3:
            break
        buffer[t] = x[k] * (t + 1)
        cuda.syncthreads()
        total += buffer[cuda.blockDim.x - 1 - t]
        cuda.syncthreads()
    else:
        total = -total
    everybody = cuda.all_sync(1, True) if cuda.blockDim.x == 1 else False
    out[t] = total + 1000 * everybody


@few
@given(seeds, blocks, st.integers(1, 12))
def test_what_the_compiled_engines_cannot_runs_in_python(seed, block, n):
    x = whole(seed, n, dtype=np.int64)
    for engine in ("split", "gen"):
        with pytest.raises(Unsupported, match=r"otherwise: the engine .* cannot: .*line \d+"):
            on_engine(otherwise, 1, block, (x, np.zeros(block, np.int64)), engine)
    actual = everywhere(otherwise, 1, block, x, np.zeros(block, np.int64), engines=("auto", "py"))
    threes = np.flatnonzero(x == 3)
    total = x[: threes[0]].sum() if threes.size else -x.sum()
    expected = total * (block - np.arange(block)) + 1000 * (block == 1)
    np.testing.assert_array_equal(actual[1], expected)


@few
@given(seeds, blocks, st.integers(1, 60))
def test_break_out_of_a_loop_with_a_barrier(seed, block, n):
    x = np.random.default_rng(seed).permutation(n)
    outputs = np.zeros(block, np.int32), np.zeros(block, np.int64)
    target = n // 2
    _, _, out, rounds = everywhere(search_with_break, 1, block, x, target, *outputs)
    where = int(np.flatnonzero(x == target)[0])
    assert set(out) == {where} and set(rounds) == {where // block + 1}


@few
@given(seeds, blocks, st.integers(1, 60))
def test_continue_and_break_around_barriers(seed, block, n):
    x = whole(seed, n, dtype=np.int64)
    actual = everywhere(skip_with_continue, 1, block, x, np.zeros(block, np.int64))[1]
    total = 0
    for k, v in enumerate(x):
        if v >= 0:
            if k > 20 and v == 3:
                break
            total += v
    expected = total * (block - np.arange(block))
    np.testing.assert_array_equal(actual, expected)


@cuda.jit
def local_history(x, out):
    window = cuda.local.array(5, float32)
    square = cuda.local.array((2, 2), int64)
    buffer = cuda.shared.array(128, float32)
    t = cuda.threadIdx.x
    for k in range(5):
        window[k] = x[t] * k
    square[0, 0] = square[1, 1] = t
    square[0, 1] = square[1, 0] = -1
    buffer[t] = window[4]
    cuda.syncthreads()
    window[0] = buffer[(t + 1) % cuda.blockDim.x]
    cuda.syncthreads()
    total = float32(0)
    for k in range(len(window)):
        total += window[k]
    out[t] = total + square[0, 0] * square[1, 1] - square[0, 1] * square[1, 0]


@few
@given(seeds, blocks)
def test_local_arrays_live_across_barriers(seed, block):
    x = whole(seed, block)
    actual = everywhere(local_history, 1, block, x, np.zeros(block))[1]
    t = np.arange(block)
    np.testing.assert_array_equal(actual, 10 * x + 4 * np.roll(x, -1) + t * t - 1)


@cuda.jit(device=True)
def total_of_block(buffer, value):
    t = cuda.threadIdx.x
    buffer[t] = value
    cuda.syncthreads()
    total = 0
    for k in range(cuda.blockDim.x):
        total += buffer[k]
    cuda.syncthreads()
    return total


@cuda.jit(device=True)
def clamp(value, low, high):
    if value < low:
        return low
    if value > high:
        return high
    return value


@cuda.jit
def centre(x, y):
    buffer = cuda.shared.array(128, int64)
    i = cuda.grid(1)
    first = total_of_block(buffer, x[i])
    squares = total_of_block(buffer, x[i] * x[i])
    y[i] = clamp(x[i] * cuda.blockDim.x - first, -40, 40) + 1000 * squares


@few
@given(seeds, grids, blocks)
def test_device_function_with_a_barrier(seed, grid, block):
    x = whole(seed, grid * block, dtype=np.int64)
    actual = everywhere(centre, grid, block, x, np.zeros_like(x))[1]
    rows = x.reshape(grid, block)
    squares = (rows * rows).sum(1, keepdims=True)
    expected = np.clip(rows * block - rows.sum(1, keepdims=True), -40, 40) + 1000 * squares
    np.testing.assert_array_equal(actual, expected.ravel())


@cuda.jit
def reverse_dynamic(x, y):
    buffer = cuda.shared.array(0, float64)
    same = cuda.shared.array(0, int32)
    n = cuda.blockDim.x
    t = cuda.threadIdx.x
    i = cuda.grid(1)
    buffer[t] = x[i]
    cuda.syncthreads()
    y[i] = buffer[n - 1 - t]
    cuda.syncthreads()
    same[t] = t
    cuda.syncthreads()
    y[i] += same[n - 1 - t] * 100


@few
@given(seeds, grids, blocks)
def test_dynamic_shared_memory(seed, grid, block):
    x = whole(seed, grid * block, dtype=np.float64)
    actual = everywhere(reverse_dynamic, grid, block, x, np.zeros_like(x), dynamic=8 * block)[1]
    expected = x.reshape(grid, block)[:, ::-1] + 100 * np.arange(block)[::-1]
    np.testing.assert_array_equal(actual, expected.ravel())


@cuda.jit
def every_atomic(x, histogram, out):
    i = cuda.grid(1)
    if i < x.size:
        cuda.atomic.add(histogram, x[i] % 5, 1)
        cuda.atomic.sub(out, 0, x[i])
        cuda.atomic.max(out, 1, x[i])
        cuda.atomic.min(out, 2, x[i])
        cuda.atomic.and_(out, 3, x[i])
        cuda.atomic.or_(out, 4, x[i])
        cuda.atomic.xor(out, 5, x[i])
        cuda.atomic.add(histogram, 5, 2)
        if cuda.atomic.cas(out, 6, -1, i) == -1:
            cuda.atomic.exch(out, 7, x[i])


@few
@given(seeds, grids, blocks, st.sampled_from(["int32", "int64"]))
def test_atomics_on_integers(seed, grid, block, dtype):
    x = whole(seed, grid * block, dtype=dtype) * 31
    start = np.array([0, -999, 999, -1, 0, 0, -1, 0], dtype)
    _, histogram, out = everywhere(every_atomic, grid, block, x, np.zeros(6, np.int32), start)
    assert histogram[:5].tolist() == np.bincount(x % 5, minlength=5).tolist()
    assert histogram[5] == 2 * x.size
    assert out[:3].tolist() == [-x.sum(), x.max(), x.min()]
    assert out[3] == np.bitwise_and.reduce(x) and out[4] == np.bitwise_or.reduce(x)
    assert out[5] == np.bitwise_xor.reduce(x)
    assert x[out[6]] == out[7]


# ------------------------------------------------------- one expression, in Python and compiled


@dataclass
class Out:
    """Where an expression kernel puts its results; wide enough to show the type of each."""

    n: int
    floats: int = 0
    integers: int = 0

    def arrays(self):
        return np.zeros((self.floats, self.n)), np.zeros((self.integers, self.n), np.int64)


def compare(kernel, *inputs, floats=0, integers=0, numbers=(), signs_of_zeros=True):
    """Runs an expression kernel on every element, and returns its floats and integers."""
    out = Out(inputs[0].size, floats, integers).arrays()
    held = [x for x in (*inputs, *numbers, *(o for o in out if o.size))]
    results = {}
    for engine in ("split", "py"):
        results[engine] = on_engine(kernel, 1, inputs[0].size, held, engine)[-len(held) :]
    for number, (a, b) in enumerate(zip(results["split"], results["py"])):
        if isinstance(a, np.ndarray) and a.ndim == 2:
            if not signs_of_zeros:
                a, b = a + 0.0, b + 0.0
            for row in range(len(a)):
                assert_same_bits(
                    b[row], a[row], f"{kernel.__name__}: output {number}, row {row}, py and split"
                )
    return [a for a in results["split"] if isinstance(a, np.ndarray) and a.ndim == 2]


INT_MIXES = [
    ("int64", "int64"),
    ("uint32", "int32"),
    ("uint8", "int16"),
    ("uint64", "uint64"),
]


def integers_of(dtype):
    """All that is special about a type of integers, and some that is not."""
    info = np.iinfo(dtype)
    values = [info.min, info.max, info.max - 1, info.max // 2 + 1, 0, 1, 2, 3, 7, 100]
    values += [-1, -2, -7, info.min + 1] if info.min else [200, 50]
    return st.lists(st.sampled_from(values), min_size=6, max_size=6).map(
        lambda v: np.array(v, dtype)
    )


def pairs(dtypes):
    return dtypes.flatmap(lambda two: st.tuples(integers_of(two[0]), integers_of(two[1])))


@cuda.jit
def integer_ring(a, b, out):
    i = cuda.grid(1)
    x, y = a[i], b[i]
    out[0, i] = x + y
    out[1, i] = x - y
    out[2, i] = x * y
    out[3, i] = x * x * x + 1
    out[4, i] = -x
    out[5, i] = ~x
    out[6, i] = x & y
    out[7, i] = x | y
    out[8, i] = x ^ y
    out[9, i] = x * 3 - 7
    out[10, i] = (x + y) * (x - y) * 0x7FFFFFFF
    out[11, i] = 5 - y
    out[12, i] = +x


@many
@given(pairs(st.sampled_from(INT_MIXES)))
def test_integers_wrap_around(two):
    compare(integer_ring, *two, integers=13)


def test_integers_wrap_around_at_64_bits():
    a, b = np.array([2**63 - 1, -(2**63)]), np.array([1, -1])
    (out,) = compare(integer_ring, a, b, integers=13)
    assert out[0].tolist() == [-(2**63), 2**63 - 1]
    assert out[4].tolist() == [-(2**63) + 1, -(2**63)]


@cuda.jit
def integer_division(a, b, out, floats):
    i = cuda.grid(1)
    x, y = a[i], b[i]
    out[0, i] = x // y
    out[1, i] = x % y
    out[2, i] = x // 3
    out[3, i] = x % 3
    out[4, i] = x // -4
    out[5, i] = x % -4
    out[6, i] = 100 // y
    out[7, i] = (x // y) * y + x % y
    floats[0, i] = x / y
    floats[1, i] = x / 7
    floats[2, i] = 1 / y


@many
@given(pairs(st.sampled_from([("int64", "int64"), ("int32", "int32"), ("uint32", "int32")])))
def test_integer_division(two):
    a, b = two
    a = np.where((b == -1) & (a == np.iinfo(a.dtype).min), 5, a).astype(a.dtype)  # no such number
    out = np.zeros((8, a.size), np.int64), np.zeros((3, a.size))
    results = [on_engine(integer_division, 1, a.size, (a, b, *out), e) for e in ("split", "py")]
    for number in (2, 3):
        for row in range(len(results[0][number])):
            fast, slow = results[0][number][row], results[1][number][row]
            assert_same_bits(slow, fast, f"output {number}, row {row}, of {a} and {b}")
    whole, floats = results[0][2:]
    there = b != 0
    exact = [(int(x), int(y)) for x, y in zip(a[there], b[there])]
    assert whole[0][there].tolist() == [x // y for x, y in exact]
    assert whole[1][there].tolist() == [x % y for x, y in exact]
    assert whole[4].tolist() == [int(x) // -4 for x in a]
    assert whole[5].tolist() == [int(x) % -4 for x in a]
    np.testing.assert_allclose(floats[0][there], [x / y for x, y in exact], rtol=1e-15)


@cuda.jit
def shifts(a, b, out):
    i = cuda.grid(1)
    x, y = a[i], b[i]
    out[0, i] = x << y
    out[1, i] = x >> y
    out[2, i] = 1 << y
    out[3, i] = x << 3
    out[4, i] = x >> 1
    out[5, i] = (x << 31) >> 31
    out[6, i] = -1 >> y
    out[7, i] = 0xFFFFFFFF >> y
    out[8, i] = x << 2


@many
@given(
    st.sampled_from(["int64", "int32", "uint8"]).flatmap(integers_of),
    st.lists(st.integers(0, 31), min_size=6, max_size=6),
)
def test_shifts(a, by):
    (out,) = compare(shifts, a, np.array(by, np.int32), integers=9)
    wide = [int(x) for x in a]
    assert out[1].tolist() == [x >> y for x, y in zip(wide, by)]
    assert out[2].tolist() == [1 << y for y in by]


FLOATS = [0.0, -0.0, 1.0, -1.0, 0.1, 2.5, -3.5, 1e30, -1e-30, math.inf, -math.inf, math.nan, 7.0]
FLOATS += [16777216.0, 1 / 3, 1e-45]


def floats_of(dtype, values=FLOATS):
    return st.lists(st.sampled_from(values), min_size=6, max_size=6).map(
        lambda v: np.array(v, dtype)
    )


@cuda.jit
def promotions(a, b, k, out):
    i = cuda.grid(1)
    x, y, n = a[i], b[i], k[i]
    out[0, i] = x + y
    out[1, i] = x - y
    out[2, i] = x * y
    out[3, i] = x / y
    out[4, i] = x * 0.1
    out[5, i] = x * float32(0.1)
    out[6, i] = x + 1
    out[7, i] = n * x
    out[8, i] = x / n
    out[9, i] = n * 0.1
    out[10, i] = float32(x) / 3
    out[11, i] = i * x
    out[12, i] = x * a.size
    out[13, i] = float32(n) * y
    out[14, i] = -x
    out[15, i] = abs(x)
    out[16, i] = x * x + y * y
    out[17, i] = (x + y) * 0.5
    out[18, i] = x * int32(3)
    out[19, i] = x * uint8(3) - float64(y)
    out[20, i] = (x > y) * x
    out[21, i] = x if x > y else n
    v = x
    v += 0.1
    out[22, i] = v
    v = x * 2
    out[23, i] = v


@many
@given(
    st.sampled_from([("float32", "float32", "int64"), ("float64", "float32", "int32")]),
    st.data(),
)
def test_promotions_of_floats(kinds, data):
    a, b = (data.draw(floats_of(kind)) for kind in kinds[:2])
    k = data.draw(integers_of(kinds[2]))
    (out,) = compare(promotions, a, b, k, floats=24)
    wide = np.float64
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(out[4], a.astype(wide) * 0.1)
        if a.dtype == np.float32:
            np.testing.assert_array_equal(out[5], a * np.float32(0.1))
        np.testing.assert_array_equal(out[2], a * b)


@cuda.jit
def accumulators(a, out):
    i = cuda.grid(1)
    acc = 0
    for k in range(a.size):
        acc += a[k]
    out[0, i] = acc
    acc = 0.0
    for k in range(a.size):
        acc += a[k] * a[i]
    out[1, i] = acc
    total = float32(0)
    for k in range(a.size):
        total += a[k]
        total *= float32(1.1)
    out[2, i] = total
    wide = float32(0)
    for k in range(a.size):
        wide = wide + a[k] * 0.1
    out[3, i] = wide
    largest = -math.inf
    for k in range(a.size):
        largest = max(largest, a[k])
    out[4, i] = largest
    number = 0
    if a[i] > 0:
        number = a[i]
    out[5, i] = number / 3
    both = 1
    for _ in range(3):
        both = both * 1.1
    out[6, i] = both
    n = a.size
    mean = total / n
    out[7, i] = mean
    x = i
    x = a[i] * x
    x = x + 1
    out[8, i] = x


@many
@given(st.sampled_from(["float32", "int32"]), st.data())
def test_accumulators_that_begin_as_integers(dtype, data):
    a = data.draw(integers_of("int32") if dtype == "int32" else floats_of(dtype))
    (out,) = compare(accumulators, a, floats=9)
    if dtype == "int32":
        np.testing.assert_array_equal(out[0], np.full(a.size, a.sum(dtype=np.int64)))


@cuda.jit
def extremes(a, b, k, out):
    i = cuda.grid(1)
    x, y, n = a[i], b[i], k[i]
    out[0, i] = min(x, y)
    out[1, i] = max(x, y)
    out[2, i] = min(x, 0.0)
    out[3, i] = max(0.0, x)
    out[4, i] = max(x, n)
    out[5, i] = min(n, 3)
    out[6, i] = max(x, y, n)
    out[7, i] = min(x, float32(1), y)
    out[8, i] = max(n, -n)
    out[9, i] = max(x, 0)
    out[10, i] = min(0, y)


@many
@given(floats_of("float32"), floats_of("float32"), integers_of("int64"))
def test_min_and_max_with_nan_and_zeros(a, b, k):
    # Which of 0.0 and -0.0 comes out is left open by CUDA's fmin and fmax, and by LLVM here.
    compare(extremes, a, b, k, floats=11, signs_of_zeros=False)


@cuda.jit
def conversions(a, k, out, whole):
    i = cuda.grid(1)
    x, n = a[i], k[i]
    whole[0, i] = int(x)
    whole[1, i] = int32(x)
    whole[2, i] = round(x)
    whole[3, i] = x
    whole[4, i] = int64(x) + n
    whole[5, i] = uint8(n)
    whole[6, i] = int32(n)
    whole[7, i] = uint32(n)
    whole[8, i] = bool(x)
    whole[9, i] = bool(n) + 1
    whole[10, i] = int(x > 1)
    whole[11, i] = np.int16(n)
    whole[12, i] = int(n / 3)
    out[0, i] = float(n)
    out[1, i] = float(x)
    out[2, i] = float32(n)
    out[3, i] = float32(float64(x) * 0.1)
    out[4, i] = math.floor(x)
    out[5, i] = math.ceil(x)
    out[6, i] = math.trunc(x)
    out[7, i] = math.fmod(x, 3)
    out[8, i] = np.float32(n) * x


SMALL = [0.0, -0.0, 0.5, 1.5, 2.5, -0.5, -1.5, 99.9, -99.9, 3.0, 1e6, -1e6, 0.49999997]


@many
@given(floats_of("float32", SMALL), st.lists(st.integers(-(2**62), 2**62), min_size=6, max_size=6))
def test_conversions(a, k):
    k = np.array(k)
    _, whole = compare_two(conversions, (a, k), (9, 13))
    assert whole[0].tolist() == [int(x) for x in a]
    assert whole[2].tolist() == [round(float(x)) for x in a]
    assert whole[3].tolist() == [int(x) for x in a]
    assert whole[7].tolist() == [int(n) % 2**32 for n in k]


def compare_two(kernel, inputs, rows, others=()):
    """As `compare`, for kernels with floats and integers as outputs."""
    n = inputs[0].size
    held = (*inputs, *others, np.zeros((rows[0], n)), np.zeros((rows[1], n), np.int64))
    fast, slow = (on_engine(kernel, 1, n, held, engine)[-2:] for engine in ("split", "py"))
    for number, (a, b) in enumerate(zip(fast, slow)):
        for row in range(len(a)):
            kind = ("floats", "integers")[number]
            assert_same_bits(b[row], a[row], f"{kernel.__name__}: {kind}, row {row}, of {inputs}")
    return fast


@cuda.jit
def truth(a, b, m, out, whole):
    i = cuda.grid(1)
    x, y, p = a[i], b[i], m[i]
    q = x > y
    whole[0, i] = p + q
    whole[1, i] = p * 3
    whole[2, i] = p & q
    whole[3, i] = p | q
    whole[4, i] = p ^ q
    whole[5, i] = not p
    whole[6, i] = p and q
    whole[7, i] = p or not q
    whole[8, i] = -p
    whole[9, i] = q - p
    whole[10, i] = p == q
    whole[11, i] = x < y <= 1
    whole[12, i] = p << 3
    whole[13, i] = p >> 1
    count = 0
    count += q
    count += x == y
    whole[14, i] = count
    whole[15, i] = (x != x) | (y >= 0)
    out[0, i] = p * x
    out[1, i] = q / 2
    out[2, i] = x + q
    out[3, i] = (x > 0) * (y > 0) * 0.5


@many
@given(floats_of("float32"), floats_of("float64"), st.lists(st.booleans(), min_size=6, max_size=6))
def test_arithmetic_with_booleans(a, b, m):
    _, whole = compare_two(truth, (a, b, np.array(m)), (4, 16))
    q = a > b
    assert whole[0].tolist() == (np.array(m, int) + q).tolist()
    assert whole[4].tolist() == [int(s != t) for s, t in zip(m, q)]


@cuda.jit
def powers(a, k, out, whole):
    i = cuda.grid(1)
    x, n = a[i], k[i]
    out[0, i] = x**2
    out[1, i] = x**0.5
    out[2, i] = x**4
    out[3, i] = x**3
    out[4, i] = x ** float32(2)
    out[5, i] = x**7
    out[6, i] = x**n
    out[7, i] = 2.0**n
    out[8, i] = 2**x
    out[9, i] = math.pow(x, 2)
    out[10, i] = x**0
    out[11, i] = x**5 * 0.1
    out[12, i] = n**0.5
    out[13, i] = math.sqrt(x)
    out[14, i] = x**x
    whole[0, i] = n**2
    whole[1, i] = n**3
    whole[2, i] = 2 ** abs(n)


@many
@given(floats_of("float32"), st.lists(st.integers(0, 12), min_size=6, max_size=6))
def test_powers(a, k):
    k = np.array(k)
    floats, whole = compare_two(powers, (a, k), (15, 3))
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(floats[0], a * a)
    assert whole[1].tolist() == (k**3).tolist() and whole[2].tolist() == (2 ** abs(k)).tolist()


@cuda.jit
def negative_powers(a, k, out):
    i = cuda.grid(1)
    out[3, i] = a[i] ** k[i]
    out[0, i] = a[i] ** -1
    out[1, i] = a[i] ** -2
    out[2, i] = a[i] ** -0.5


@many
@given(st.sampled_from(["float32", "float64"]).flatmap(floats_of))
def test_negative_powers_also_of_zero(a):
    (out,) = compare(negative_powers, a, np.arange(-6, 0), floats=4)
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(out[0], (1 / a).astype(np.float64))


@cuda.jit
def far_shifts(a, out):
    i = cuda.grid(1)
    out[0, i] = a[i] << 40
    out[1, i] = 1 << (a[i] & 63)


@many
@given(st.sampled_from(["int64", "int32"]).flatmap(integers_of))
def test_shifts_beyond_the_highest_bit(a):
    (out,) = compare(far_shifts, a, integers=2)
    assert out[0].tolist() == (a.astype(np.int64) << 40).tolist()


@cuda.jit
def absolutes(a, m, out):
    i = cuda.grid(1)
    out[0, i] = abs(a[i])
    out[1, i] = abs(-a[i])
    out[2, i] = ~m[i]


@many
@given(st.sampled_from(["int64", "int32"]).flatmap(integers_of))
def test_absolute_values_and_inverted_booleans(a):
    compare(absolutes, a, a > 0, integers=3)


@cuda.jit
def mathematics(a, out):
    i = cuda.grid(1)
    x = a[i]
    out[0, i] = math.exp(x)
    out[1, i] = math.log(x)
    out[3, i] = math.tanh(x)
    out[4, i] = math.sqrt(x)
    out[5, i] = math.erf(x)
    out[7, i] = math.fabs(x)
    out[8, i] = math.copysign(1.0, x)
    out[9, i] = math.isnan(x) + 2 * math.isinf(x)
    out[2, i] = 1 / (1 + math.exp(-x))
    out[6, i] = math.log(float32(2)) * x


@many
@given(floats_of("float32"))
def test_mathematics(a):
    (out,) = compare(mathematics, a, floats=10)
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(out[0], np.exp(a), rtol=1e-6)
        np.testing.assert_array_equal(out[4], np.sqrt(a))


@cuda.jit
def division_by_zero(a, k, out, whole):
    i = cuda.grid(1)
    x, n = a[i], k[i]
    out[0, i] = x / 0.0
    out[1, i] = 1 / x
    out[2, i] = x // 0.0
    out[3, i] = x % 0.0
    out[4, i] = 1.0 % x
    out[5, i] = x // 2
    out[6, i] = x % 2
    out[7, i] = x % -2.5
    out[8, i] = 5 / n
    out[9, i] = x / n
    out[10, i] = x // x
    whole[0, i] = 5 // n
    whole[1, i] = 5 % n
    whole[2, i] = n // (n - n)


@many
@given(floats_of("float32"), st.lists(st.integers(-2, 2), min_size=6, max_size=6))
def test_division_by_zero_is_a_value(a, k):
    floats, _ = compare_two(division_by_zero, (a, np.array(k)), (11, 3))
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(floats[0], a / 0.0)
        np.testing.assert_array_equal(floats[1], 1 / a.astype(np.float64))


@cuda.jit
def in_narrow_places(a, k, bytes_, words, halves):
    """What an element keeps of a value that does not fit."""
    i = cuda.grid(1)
    bytes_[i] = k[i]
    words[i] = a[i]
    halves[i] = a[i] * k[i]
    bytes_[i] += 250
    words[i] *= 3


@many
@given(floats_of("float64", SMALL), st.lists(st.integers(-(2**40), 2**40), min_size=6, max_size=6))
def test_stores_drop_the_high_bits(a, k):
    k = np.array(k)
    room = np.zeros(6, np.uint8), np.zeros(6, np.int32), np.zeros(6, np.float32)
    actual = everywhere(in_narrow_places, 1, 6, a, k, *room, engines=("split", "py"))
    np.testing.assert_array_equal(actual[2], ((k + 250) % 256).astype(np.uint8))
    np.testing.assert_array_equal(actual[4], (a * k).astype(np.float32))


@cuda.jit
def scalars_of_all_kinds(flag, n, f, single, small, out):
    i = cuda.grid(1)
    out[0, i] = f * single
    out[1, i] = single * 3
    out[2, i] = n * single
    out[3, i] = small * small
    out[4, i] = flag + n
    out[5, i] = single if flag else f
    out[6, i] = single / n
    out[7, i] = n // 2 * f


@pytest.mark.parametrize("flag", [True, False])
def test_numbers_as_arguments_have_their_types(flag):
    out = np.zeros((8, 2))
    args = (flag, 7, 0.1, np.float32(0.1), np.int32(2**20), out)
    actual = everywhere(scalars_of_all_kinds, 1, 2, *args)[5][:, 0]
    single = np.float32(0.1)
    wide = float(single)
    expected = [0.1 * wide, wide * 3, wide * 7, 2.0**40, flag + 7, wide if flag else 0.1]
    np.testing.assert_array_equal(actual, [*expected, wide / 7, 3 * 0.1])


@cuda.jit(device=True)
def largest_in_block(value):
    partial = cuda.shared.array(8, float32)
    t = cuda.threadIdx.x
    partial[t] = value
    cuda.syncthreads()
    half = 4
    while half > 0:
        if t < half:
            partial[t] = max(partial[t], partial[t + half])
        cuda.syncthreads()
        half //= 2
    return partial[0]


@cuda.jit
def below_the_largest_of_the_row(x, out):
    row, t = cuda.blockIdx.x, cuda.threadIdx.x
    peak = float32(-math.inf)
    for column in range(t, x.shape[1], 8):
        peak = max(peak, x[row, column])
    peak = largest_in_block(peak)
    for column in range(t, x.shape[1], 8):
        out[row, column] = x[row, column] - peak


@pytest.mark.filterwarnings("error")
def test_max_in_a_loop_with_barriers_compiles_without_warnings():
    x = np.arange(18, dtype=np.float32).reshape(2, 9)
    actual = everywhere(below_the_largest_of_the_row, 2, 8, x, np.zeros_like(x))
    np.testing.assert_array_equal(actual[1], x - x.max(1, keepdims=True))
