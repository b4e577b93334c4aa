"""Wrong kernels: each has a mistake that students really make, and the checker must name it.

The lines that the report must name end in a comment, `# <- fault`.
"""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import cuda, float32, float64, int32, uint32

MARK = "# <- fault"


@dataclass(frozen=True)
class Planted:
    """A wrong kernel, and a launch that shows it.

    Attributes:
        name: unique.
        kernel: what `cuda.jit` returns.
        grid, block: the launch's shape.
        args: makes fresh arguments.
        kind: of the fault, one of `KINDS`.
        array: the array's name in the kernel, where the fault is about one.
        also: other kinds that may rightly be reported with it.
        dynamic_shared: bytes.
    """

    name: str
    kernel: Any
    grid: Any
    block: Any
    args: Callable[[np.random.Generator], tuple]
    kind: str
    array: str | None = None
    also: tuple[str, ...] = ()
    dynamic_shared: int = 0

    @property
    def lines(self) -> tuple[int, ...]:
        """The marked lines of this file, in the kernel and in the device functions it calls."""
        return tuple(sorted(_marked(self.kernel)))


def _marked(kernel: Any) -> Iterator[int]:
    function = kernel.py_func
    source, first = inspect.getsourcelines(function)
    yield from (first + k for k, line in enumerate(source) if line.rstrip().endswith(MARK))
    for name in function.__code__.co_names:
        called = function.__globals__.get(name)
        if hasattr(called, "py_func"):
            yield from _marked(called)


PLANTED: list[Planted] = []
"""All of them."""


def planted(
    kind: str, grid: Any, block: Any, args: Callable, array: str | None = None, **options: Any
) -> Callable:
    """Enter the kernel below under its own name; it stays what it is."""

    def enter(kernel: Any) -> Any:
        name = kernel.py_func.__name__
        PLANTED.append(Planted(name, kernel, grid, block, args, kind, array, **options))
        return kernel

    return enter


def whole(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Whole numbers from -9 to 9."""
    return rng.integers(-9, 10, shape).astype(np.float32)


def zeros(*shape: int, dtype: Any = np.float32) -> np.ndarray:
    """Room for a result."""
    return np.zeros(shape, dtype)


def vectors(n: int, m: int | None = None) -> Callable[[np.random.Generator], tuple]:
    """An input of n numbers, and room for m; as many if m is not given."""
    return lambda rng: (whole(rng, n), zeros(n if m is None else m))


def _matrices(rows: int, inner: int, columns: int) -> Callable[[np.random.Generator], tuple]:
    return lambda rng: (whole(rng, rows, inner), whole(rng, inner, columns), zeros(rows, columns))


RACE = "race"
BLOCKS = "race between blocks"
BOUNDS = "out of bounds"
NEGATIVE = "negative index"
UNWRITTEN = "uninitialised read"
BARRIER = "divergent barrier"
WARP = "divergent warp"
THREADS = "too many threads"
MEMORY = "too much shared memory"
ENDLESS = "endless"

TILE = 4
FULL = 0xFFFFFFFF


# Races in a block ------------------------------------------------------------------------------


@planted(RACE, (2, 2), (TILE, TILE), _matrices(8, 12, 8), "tile_a")
@cuda.jit
def tiled_matmul_without_second_barrier(a, b, c):
    """A fast thread fills the next tile while a slow one still reads this one."""
    tile_a = cuda.shared.array((TILE, TILE), float32)
    tile_b = cuda.shared.array((TILE, TILE), float32)
    x, y = cuda.grid(2)
    tx = cuda.threadIdx.x
    ty = cuda.threadIdx.y
    acc = float32(0)
    for k in range(a.shape[1] // TILE):
        tile_a[ty, tx] = a[y, k * TILE + tx]  # <- fault
        tile_b[ty, tx] = b[k * TILE + ty, x]  # <- fault
        cuda.syncthreads()
        for j in range(TILE):
            acc += tile_a[ty, j] * tile_b[j, tx]  # <- fault
    c[y, x] = acc


@planted(RACE, (2, 2), (TILE, TILE), _matrices(8, 12, 8), "tile_a", also=(UNWRITTEN,))
@cuda.jit
def tiled_matmul_without_first_barrier(a, b, c):
    tile_a = cuda.shared.array((TILE, TILE), float32)
    tile_b = cuda.shared.array((TILE, TILE), float32)
    x, y = cuda.grid(2)
    tx = cuda.threadIdx.x
    ty = cuda.threadIdx.y
    acc = float32(0)
    for k in range(a.shape[1] // TILE):
        tile_a[ty, tx] = a[y, k * TILE + tx]  # <- fault
        tile_b[ty, tx] = b[k * TILE + ty, x]  # <- fault
        for j in range(TILE):
            acc += tile_a[ty, j] * tile_b[j, tx]  # <- fault
        cuda.syncthreads()
    c[y, x] = acc


@planted(RACE, (2, 2), (TILE, TILE), _matrices(8, 12, 8), "tile_b", also=(UNWRITTEN,))
@cuda.jit
def tiled_matmul_without_barriers(a, b, c):
    tile_a = cuda.shared.array((TILE, TILE), float32)
    tile_b = cuda.shared.array((TILE, TILE), float32)
    x, y = cuda.grid(2)
    tx = cuda.threadIdx.x
    ty = cuda.threadIdx.y
    acc = float32(0)
    for k in range(a.shape[1] // TILE):
        tile_a[ty, tx] = a[y, k * TILE + tx]  # <- fault
        tile_b[ty, tx] = b[k * TILE + ty, x]  # <- fault
        for j in range(TILE):
            acc += tile_a[ty, j] * tile_b[j, tx]  # <- fault
    c[y, x] = acc


@planted(
    RACE,
    (3, 3),
    (3, 3),
    lambda rng: (zeros(8, 8), whole(rng, 8, 8), whole(rng, 8, 8), 8),
    "part_a",
)
@cuda.jit
def puzzle_14_without_second_barrier(out, a, b, size):
    """GPU-Puzzles issue 14: its test passes with and without the second barrier."""
    part_a = cuda.shared.array((3, 3), float32)
    part_b = cuda.shared.array((3, 3), float32)
    i = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    j = cuda.blockIdx.y * cuda.blockDim.y + cuda.threadIdx.y
    local_i = cuda.threadIdx.x
    local_j = cuda.threadIdx.y
    total = float32(0)
    for k in range((size + 2) // 3):
        if i < size and k * 3 + local_j < size:
            part_a[local_i, local_j] = a[i, k * 3 + local_j]  # <- fault
        if k * 3 + local_i < size and j < size:
            part_b[local_i, local_j] = b[k * 3 + local_i, j]  # <- fault
        cuda.syncthreads()
        if i < size and j < size:
            for m in range(min(3, size - k * 3)):
                total += part_a[local_i, m] * part_b[m, local_j]  # <- fault
    if i < size and j < size:
        out[i, j] = total


@planted(RACE, 1, 64, vectors(60, 1), "out")
@cuda.jit
def sum_into_one_place(x, out):
    i = cuda.grid(1)
    if i < x.size:
        out[0] += x[i]  # <- fault


@planted(
    RACE,
    1,
    64,
    lambda rng: (rng.integers(0, 5, 60), zeros(5, dtype=np.int64)),
    "counts",
)
@cuda.jit
def histogram_without_atomics(x, counts):
    i = cuda.grid(1)
    if i < x.size:
        counts[x[i]] += 1  # <- fault


@planted(
    RACE,
    1,
    64,
    lambda rng: (rng.integers(0, 5, 60), zeros(5, dtype=np.int32)),
    "mine",
)
@cuda.jit
def shared_histogram_without_atomics(x, counts):
    mine = cuda.shared.array(5, int32)
    t = cuda.threadIdx.x
    if t < 5:
        mine[t] = 0
    cuda.syncthreads()
    if t < x.size:
        mine[x[t]] += 1  # <- fault
    cuda.syncthreads()
    if t < 5:
        counts[t] = mine[t]


@planted(RACE, 1, 64, lambda rng: (whole(rng, 50),), "x")
@cuda.jit
def shift_left_in_place(x):
    i = cuda.grid(1)
    if i < x.size - 1:
        x[i] = x[i + 1]  # <- fault


@planted(RACE, 2, 32, lambda rng: (whole(rng, 50),), "x", also=(BLOCKS,))
@cuda.jit
def shift_right_in_place(x):
    i = cuda.grid(1)
    if 0 < i < x.size:
        x[i] = x[i - 1]  # <- fault


@planted(RACE, 1, 128, vectors(128, 1), "buffer")
@cuda.jit
def reduction_without_barriers_in_the_loop(x, out):
    buffer = cuda.shared.array(128, float32)
    t = cuda.threadIdx.x
    buffer[t] = x[t]
    cuda.syncthreads()
    stride = 64
    while stride > 0:
        if t < stride:
            buffer[t] += buffer[t + stride]  # <- fault
        stride //= 2
    if t == 0:
        out[0] = buffer[0]


@planted(RACE, 1, 128, vectors(128, 1), "buffer", also=(UNWRITTEN,))
@cuda.jit
def reduction_without_barrier_after_the_load(x, out):
    buffer = cuda.shared.array(128, float32)
    t = cuda.threadIdx.x
    buffer[t] = x[t]  # <- fault
    stride = 64
    while stride > 0:
        if t < stride:
            buffer[t] += buffer[t + stride]  # <- fault
        cuda.syncthreads()
        stride //= 2
    if t == 0:
        out[0] = buffer[0]


@planted(RACE, 1, 64, vectors(64, 1), "buffer")
@cuda.jit
def warp_synchronous_reduction(x, out):
    """From the days when a warp's threads were always in step: no barriers for the last warp."""
    buffer = cuda.shared.array(64, float32)
    t = cuda.threadIdx.x
    buffer[t] = x[t]
    cuda.syncthreads()
    if t < 32:
        buffer[t] += buffer[t + 32]  # <- fault
        buffer[t] += buffer[t + 16]  # <- fault
        buffer[t] += buffer[t + 8]  # <- fault
        buffer[t] += buffer[t + 4]  # <- fault
        buffer[t] += buffer[t + 2]  # <- fault
        buffer[t] += buffer[t + 1]  # <- fault
    if t == 0:
        out[0] = buffer[0]


@planted(RACE, 1, 64, vectors(64, 1), "buffer")
@cuda.jit
def syncwarp_between_but_not_within(x, out):
    """Lane t + 16 may write its element before or after lane t has read it."""
    buffer = cuda.shared.array(64, float32)
    t = cuda.threadIdx.x
    buffer[t] = x[t]
    cuda.syncthreads()
    if t < 32:
        buffer[t] += buffer[t + 32]
        cuda.syncwarp()
        buffer[t] += buffer[t + 16]  # <- fault
        cuda.syncwarp()
    if t == 0:
        total = float32(0)
        for k in range(16):
            total += buffer[k]
        out[0] = total


@planted(RACE, 1, 64, vectors(64), "buffer", also=(UNWRITTEN,))
@cuda.jit
def syncwarp_where_the_block_must_wait(x, y):
    buffer = cuda.shared.array(64, float32)
    t = cuda.threadIdx.x
    buffer[t] = x[t]  # <- fault
    cuda.syncwarp()
    y[t] = buffer[63 - t]  # <- fault


@planted(RACE, 1, 32, vectors(32), "buffer", also=(UNWRITTEN,))
@cuda.jit
def neighbour_in_the_same_warp(x, y):
    """One warp only, and still no thread may rely on the others being as far."""
    buffer = cuda.shared.array(32, float32)
    t = cuda.threadIdx.x
    buffer[t] = x[t]  # <- fault
    y[t] = buffer[(t + 1) % 32]  # <- fault


@planted(RACE, 1, 64, lambda rng: (whole(rng, 64), zeros(1, dtype=np.int32)), "count")
@cuda.jit
def plain_read_of_an_atomic_counter(x, out):
    count = cuda.shared.array(1, int32)
    t = cuda.threadIdx.x
    if t == 0:
        count[0] = 0
    cuda.syncthreads()
    if x[t] > 0:
        cuda.atomic.add(count, 0, 1)  # <- fault
    if t == 0:
        out[0] = count[0]  # <- fault


@planted(
    RACE,
    1,
    64,
    lambda rng: (rng.integers(0, 5, 64).astype(np.int32), zeros(5, dtype=np.int32)),
    "mine",
    also=(UNWRITTEN,),
)
@cuda.jit
def atomics_before_all_is_zero(x, counts):
    mine = cuda.shared.array(5, int32)
    t = cuda.threadIdx.x
    if t < 5:
        mine[t] = 0  # <- fault
    cuda.atomic.add(mine, x[t], 1)  # <- fault
    cuda.syncthreads()
    if t < 5:
        counts[t] = mine[t]


@planted(RACE, 1, 32, vectors(32), "buffer", also=(UNWRITTEN,))
@cuda.jit
def double_buffer_reads_the_new_half(x, y):
    buffer = cuda.shared.array((2, 32), float32)
    t = cuda.threadIdx.x
    old = 0
    buffer[old, t] = x[t]
    cuda.syncthreads()
    d = 1
    while d < 32:
        new = 1 - old
        if t >= d:
            buffer[new, t] = buffer[old, t] + buffer[new, t - d]  # <- fault
        else:
            buffer[new, t] = buffer[old, t]  # <- fault
        cuda.syncthreads()
        old = new
        d *= 2
    y[t] = buffer[old, t]


@planted(RACE, 1, 16, lambda rng: (whole(rng, 5, 16), zeros(5, 16)), "now")
@cuda.jit
def double_buffer_without_second_barrier(a, out):
    """After the copy back, the next step reads neighbours that may not have copied yet."""
    now = cuda.shared.array(16, float32)
    after = cuda.shared.array(16, float32)
    t = cuda.threadIdx.x
    now[t] = a[0, t]
    cuda.syncthreads()
    for step in range(a.shape[0]):
        after[t] = now[t] + now[(t + 1) % 16]  # <- fault
        cuda.syncthreads()
        now[t] = after[t]  # <- fault
        out[step, t] = now[t]


@planted(RACE, 1, 8, lambda rng: (zeros(8), whole(rng, 8), 8), "buffer")
@cuda.jit
def prefix_sum_in_place(out, a, size):
    """Mojo GPU Puzzles issue 26, a shipped solution: reads and writes with no barrier between."""
    buffer = cuda.shared.array(8, float32)
    i = cuda.grid(1)
    t = cuda.threadIdx.x
    if i < size:
        buffer[t] = a[i]
    cuda.syncthreads()
    offset = 1
    for _ in range(3):
        if t >= offset and t < size:
            buffer[t] += buffer[t - offset]  # <- fault
        cuda.syncthreads()
        offset *= 2
    if i < size:
        out[i] = buffer[t]


@planted(RACE, 1, 16, lambda rng: (whole(rng, 4, 16), zeros(4)), "buffer")
@cuda.jit
def buffer_reused_in_the_next_round(a, out):
    """Thread 0 still adds up row 0 while the others already load row 1."""
    buffer = cuda.shared.array(16, float32)
    t = cuda.threadIdx.x
    for row in range(a.shape[0]):
        buffer[t] = a[row, t]  # <- fault
        cuda.syncthreads()
        if t == 0:
            total = float32(0)
            for k in range(16):
                total += buffer[k]  # <- fault
            out[row] = total


@planted(RACE, 3, 16, lambda rng: (whole(rng, 3, 16), zeros(3, 16)), "buffer")
@cuda.jit
def softmax_overwrites_the_maximum(x, y):
    """All must have read the maximum from buffer[0] before thread 0 puts its sum there."""
    buffer = cuda.shared.array(16, float32)
    row = cuda.blockIdx.x
    t = cuda.threadIdx.x
    buffer[t] = x[row, t]
    cuda.syncthreads()
    stride = 8
    while stride > 0:
        if t < stride:
            buffer[t] = max(buffer[t], buffer[t + stride])
        cuda.syncthreads()
        stride //= 2
    v = x[row, t] - buffer[0]  # <- fault
    buffer[t] = v  # <- fault
    cuda.syncthreads()
    stride = 8
    while stride > 0:
        if t < stride:
            buffer[t] += buffer[t + stride]
        cuda.syncthreads()
        stride //= 2
    y[row, t] = v / buffer[0]


@cuda.jit(device=True)
def sum_without_last_barrier(value, scratch):
    """Right once; the second call writes what slow threads of the first still want to read."""
    t = cuda.threadIdx.x
    scratch[t] = value  # <- fault
    cuda.syncthreads()
    stride = cuda.blockDim.x // 2
    while stride > 0:
        if t < stride:
            scratch[t] += scratch[t + stride]
        cuda.syncthreads()
        stride //= 2
    return scratch[0]  # <- fault


@planted(RACE, 1, 16, vectors(16))
@cuda.jit
def device_function_called_twice(x, y):
    buffer = cuda.shared.array(16, float32)
    t = cuda.threadIdx.x
    mean = sum_without_last_barrier(x[t], buffer) / float32(16)
    centred = x[t] - mean
    variance = sum_without_last_barrier(centred * centred, buffer) / float32(16)
    y[t] = centred / (variance + float32(1))


@planted(RACE, 1, 32, lambda rng: (whole(rng, 32), zeros(1, dtype=np.int32)), "found")
@cuda.jit
def several_threads_set_a_flag(x, found):
    """All write the same value, and yet nothing says what a reader sees."""
    t = cuda.threadIdx.x
    if x[t] > -5:
        found[0] = 1  # <- fault


@planted(RACE, 1, 32, lambda rng: (whole(rng, 32), zeros(1, dtype=np.int32)), "place")
@cuda.jit
def the_last_writer_wins(x, place):
    """Whichever that is."""
    t = cuda.threadIdx.x
    if x[t] > -5:
        place[0] = t  # <- fault


@planted(RACE, 1, 32, vectors(32), "buffer")
@cuda.jit
def both_partners_swap(x, y):
    """Odd-even sort in which the left and the right partner swap the same pair."""
    buffer = cuda.shared.array(32, float32)
    t = cuda.threadIdx.x
    buffer[t] = x[t]
    cuda.syncthreads()
    partner = t ^ 1
    low = min(t, partner)
    high = max(t, partner)
    if buffer[low] > buffer[high]:  # <- fault
        v = buffer[low]
        buffer[low] = buffer[high]  # <- fault
        buffer[high] = v  # <- fault
    cuda.syncthreads()
    y[t] = buffer[t]


@planted(
    RACE, (2, 2), (4, 4), lambda rng: (whole(rng, 8, 8), zeros(8, 8)), "tile", also=(UNWRITTEN,)
)
@cuda.jit
def transpose_without_barrier(a, out):
    tile = cuda.shared.array((4, 4), float32)
    x, y = cuda.grid(2)
    tx = cuda.threadIdx.x
    ty = cuda.threadIdx.y
    tile[ty, tx] = a[y, x]  # <- fault
    out[cuda.blockIdx.x * 4 + ty, cuda.blockIdx.y * 4 + tx] = tile[tx, ty]  # <- fault


@planted(RACE, 1, (5, 5), lambda rng: (whole(rng, 5, 5),), "a")
@cuda.jit
def transpose_in_place(a):
    i, j = cuda.grid(2)
    a[i, j] = a[j, i]  # <- fault


@planted(RACE, 1, 32, vectors(32), "first", also=(UNWRITTEN,))
@cuda.jit
def one_thread_loads_for_all(x, y):
    first = cuda.shared.array(1, float32)
    t = cuda.threadIdx.x
    if t == 0:
        first[0] = x[0]  # <- fault
    y[t] = x[t] - first[0]  # <- fault


@planted(RACE, 1, 16, vectors(16, 14), "buffer", also=(UNWRITTEN,))
@cuda.jit
def barrier_before_the_store(x, y):
    buffer = cuda.shared.array(16, float32)
    t = cuda.threadIdx.x
    cuda.syncthreads()
    buffer[t] = x[t]  # <- fault
    if t < 14:
        y[t] = buffer[t] + buffer[t + 1] + buffer[t + 2]  # <- fault


@planted(RACE, 1, 32, vectors(32, 16), "out")
@cuda.jit
def two_threads_for_a_place(x, out):
    t = cuda.threadIdx.x
    out[t // 2] = x[t]  # <- fault


@planted(RACE, 1, 16, vectors(16, 1), "total")
@cuda.jit
def maximum_without_atomics(x, out):
    total = cuda.shared.array(1, float32)
    t = cuda.threadIdx.x
    if t == 0:
        total[0] = x[0]
    cuda.syncthreads()
    total[0] = max(total[0], x[t])  # <- fault
    cuda.syncthreads()
    if t == 0:
        out[0] = total[0]


@planted(
    RACE,
    1,
    32,
    lambda rng: (whole(rng, 32), whole(rng, 32), zeros(32)),
    dynamic_shared=2 * 32 * 4,
)
@cuda.jit
def two_dynamic_arrays_are_one(a, b, out):
    """Both begin where the dynamic shared memory begins; the second needs an offset."""
    first = cuda.shared.array(0, float32)
    second = cuda.shared.array(0, float32)
    t = cuda.threadIdx.x
    first[t] = a[t]  # <- fault
    second[31 - t] = b[t]  # <- fault
    cuda.syncthreads()
    out[t] = first[t] + second[t]


@planted(
    RACE,
    (2, 2),
    (4, 4),
    lambda rng: ((rng.random((8, 8)) < 0.4).astype(np.int32),),
    "cells",
    also=(BLOCKS,),
)
@cuda.jit
def game_of_life_in_place(cells):
    x, y = cuda.grid(2)
    rows, columns = cells.shape
    count = 0
    for dy in range(-1, 2):
        for dx in range(-1, 2):
            if dx != 0 or dy != 0:
                count += cells[(y + dy + rows) % rows, (x + dx + columns) % columns]  # <- fault
    cells[y, x] = 1 if count == 3 else 0  # <- fault


@planted(RACE, 1, 16, vectors(16), "buffer")
@cuda.jit
def shuffle_is_no_barrier(x, y):
    """A shuffle exchanges registers; it does not order shared memory, nor reach another warp."""
    buffer = cuda.shared.array(16, float32)
    t = cuda.threadIdx.x
    buffer[15 - t] = x[t]  # <- fault
    v = cuda.shfl_xor_sync(0xFFFF, x[t], 1)
    y[t] = buffer[t] + v  # <- fault


@planted(RACE, 1, 64, vectors(64, 2), "partial", also=(UNWRITTEN,))
@cuda.jit
def warp_sums_read_without_barrier(x, out):
    partial = cuda.shared.array(2, float32)
    t = cuda.threadIdx.x
    v = x[t]
    for d in (16, 8, 4, 2, 1):
        v += cuda.shfl_down_sync(FULL, v, d)
    if t % 32 == 0:
        partial[t // 32] = v  # <- fault
    if t == 0:
        out[0] = partial[0] + partial[1]  # <- fault


@planted(RACE, 1, 16, vectors(16), "y")
@cuda.jit
def global_memory_needs_barriers_too(x, y):
    t = cuda.threadIdx.x
    y[t] = 2 * x[t]  # <- fault
    if t < 15:
        y[t] += y[t + 1]  # <- fault


# Races between blocks --------------------------------------------------------------------------


@planted(BLOCKS, 6, 1, vectors(6, 1), "out")
@cuda.jit
def blocks_add_to_one_place(x, out):
    i = cuda.blockIdx.x
    out[0] += x[i]  # <- fault


@planted(BLOCKS, 3, 16, vectors(48, 1), "out")
@cuda.jit
def block_sums_without_atomics(x, out):
    """Right within the block; but then every block adds to the same place."""
    buffer = cuda.shared.array(16, float32)
    t = cuda.threadIdx.x
    buffer[t] = x[cuda.grid(1)]
    cuda.syncthreads()
    stride = 8
    while stride > 0:
        if t < stride:
            buffer[t] += buffer[t + stride]
        cuda.syncthreads()
        stride //= 2
    if t == 0:
        out[0] += buffer[0]  # <- fault


@planted(BLOCKS, 3, 16, lambda rng: (whole(rng, 48),), "x")
@cuda.jit
def stencil_in_place(x):
    """The barrier orders the threads of a block; the neighbour may be in another one."""
    i = cuda.grid(1)
    v = x[i]
    if i + 1 < x.size:
        v += x[i + 1]  # <- fault
    cuda.syncthreads()
    x[i] = v  # <- fault


@planted(BLOCKS, 2, 1, vectors(1, 2), "out")
@cuda.jit
def block_1_reads_what_block_0_wrote(x, out):
    if cuda.blockIdx.x == 0:
        out[0] = x[0]  # <- fault
    else:
        out[1] = out[0] * 2  # <- fault


@planted(
    BLOCKS,
    4,
    16,
    lambda rng: (whole(rng, 64), zeros(4), zeros(1, dtype=np.uint32), zeros(1)),
    "partial",
)
@cuda.jit
def last_block_without_threadfence(x, partial, ticket, out):
    """The counter may be seen by others before the sum that was written first."""
    buffer = cuda.shared.array(16, float32)
    last = cuda.shared.array(1, int32)
    t = cuda.threadIdx.x
    buffer[t] = x[cuda.grid(1)]
    cuda.syncthreads()
    if t == 0:
        total = float32(0)
        for k in range(16):
            total += buffer[k]
        partial[cuda.blockIdx.x] = total  # <- fault
        place = cuda.atomic.inc(ticket, 0, uint32(3))
        last[0] = 1 if place == 3 else 0
    cuda.syncthreads()
    if last[0] == 1 and t == 0:
        total = float32(0)
        for k in range(4):
            total += partial[k]  # <- fault
        out[0] = total


@planted(BLOCKS, 3, 16, vectors(46), "y")
@cuda.jit
def blocks_overlap_by_one(x, y):
    """A step of 15 for blocks of 16: the last element of each is also the next one's first."""
    i = cuda.blockIdx.x * (cuda.blockDim.x - 1) + cuda.threadIdx.x
    if i < x.size:
        y[i] = 2 * x[i]  # <- fault


@planted(BLOCKS, 3, 16, vectors(18), "y")
@cuda.jit
def forgot_to_multiply_by_block_size(x, y):
    i = cuda.blockIdx.x + cuda.threadIdx.x
    if i < x.size:
        y[i] = x[i] + 1  # <- fault


@planted(BLOCKS, 2, 16, vectors(70), "y")
@cuda.jit
def grid_stride_by_the_block(x, y):
    """A step of one block for a grid of two: all elements but the first are done twice."""
    for i in range(cuda.grid(1), x.size, cuda.blockDim.x):
        y[i] += x[i]  # <- fault


@planted(
    BLOCKS,
    3,
    16,
    lambda rng: (rng.integers(0, 5, 48).astype(np.int32), zeros(5, dtype=np.int32)),
    "counts",
)
@cuda.jit
def private_histograms_merged_without_atomics(x, counts):
    mine = cuda.shared.array(5, int32)
    t = cuda.threadIdx.x
    if t < 5:
        mine[t] = 0
    cuda.syncthreads()
    cuda.atomic.add(mine, x[cuda.grid(1)], 1)
    cuda.syncthreads()
    if t < 5:
        counts[t] += mine[t]  # <- fault


@planted(BLOCKS, 3, 16, lambda rng: (whole(rng, 48), zeros(3), zeros(48)), "edges")
@cuda.jit
def halo_exchange_in_one_launch(x, edges, y):
    t = cuda.threadIdx.x
    block = cuda.blockIdx.x
    i = cuda.grid(1)
    if t == 15:
        edges[block] = x[i]  # <- fault
    cuda.syncthreads()
    if t == 0 and block > 0:
        y[i] = x[i] + edges[block - 1]  # <- fault
    else:
        y[i] = x[i]


@planted(BLOCKS, 3, 8, lambda rng: (whole(rng, 24), zeros(3), zeros(24)), "totals")
@cuda.jit
def scan_that_waits_for_no_other_block(x, totals, y):
    """Each block leaves its sum, and adds those of the blocks before: if they are there yet."""
    buffer = cuda.shared.array(8, float32)
    t = cuda.threadIdx.x
    i = cuda.grid(1)
    buffer[t] = x[i]
    cuda.syncthreads()
    mine = float32(0)
    for k in range(t + 1):
        mine += buffer[k]
    if t == 7:
        totals[cuda.blockIdx.x] = mine  # <- fault
    cuda.syncthreads()
    for block in range(cuda.blockIdx.x):
        mine += totals[block]  # <- fault
    y[i] = mine


@planted(BLOCKS, 3, 16, vectors(48, 1), "total")
@cuda.jit
def block_0_clears_the_total(x, total):
    """Other blocks may have added before, and lose it: the barrier is for this block only."""
    i = cuda.grid(1)
    if i == 0:
        total[0] = 0  # <- fault
    cuda.syncthreads()
    cuda.atomic.add(total, 0, x[i])  # <- fault


@planted(BLOCKS, 4, 1, lambda rng: (np.arange(4, dtype=np.float32), zeros(1)), "best")
@cuda.jit
def maximum_of_blocks_without_atomics(x, best):
    i = cuda.blockIdx.x
    if x[i] > best[0]:  # <- fault
        best[0] = x[i]  # <- fault


@planted(
    BLOCKS,
    (1, 1, 2),
    (4, 4),
    lambda rng: (whole(rng, 4, 6), whole(rng, 6, 4), zeros(4, 4)),
    "c",
)
@cuda.jit
def split_matmul_without_atomics(a, b, c):
    """Two blocks share the sum for each element of c."""
    x, y = cuda.grid(2)
    acc = float32(0)
    for k in range(cuda.blockIdx.z * 3, cuda.blockIdx.z * 3 + 3):
        acc += a[y, k] * b[k, x]
    c[y, x] += acc  # <- fault


@planted(
    BLOCKS,
    6,
    4,
    lambda rng: (zeros(3, 4), np.array([0, 1, 0, 2, 1, 0], np.int32), whole(rng, 6, 4)),
    "grad",
)
@cuda.jit
def embedding_gradient_without_atomics(grad, ids, grad_out):
    """A token that comes twice gets its gradient from two blocks."""
    row = cuda.blockIdx.x
    column = cuda.threadIdx.x
    grad[ids[row], column] += grad_out[row, column]  # <- fault


@planted(BLOCKS, 3, 8, lambda rng: (whole(rng, 24), zeros(24), 3), "now")
@cuda.jit
def barrier_taken_for_a_grid_barrier(now, after, steps):
    """Two buffers and two barriers a step: right for one block, and for no more."""
    i = cuda.grid(1)
    for _ in range(steps):
        v = now[i]
        if i > 0:
            v += now[i - 1]  # <- fault
        after[i] = v
        cuda.syncthreads()
        now[i] = after[i]  # <- fault
        cuda.syncthreads()


@planted(BLOCKS, (2, 2), (4, 4), lambda rng: (whole(rng, 6, 7), zeros(6)), "out", also=(RACE,))
@cuda.jit
def row_sums_from_a_2d_grid(a, out):
    x, y = cuda.grid(2)
    if y < a.shape[0] and x < a.shape[1]:
        out[y] += a[y, x]  # <- fault


# Out of bounds ---------------------------------------------------------------------------------


@planted(BOUNDS, 2, 32, vectors(50), "x")
@cuda.jit
def no_guard(x, y):
    i = cuda.grid(1)
    y[i] = 2 * x[i]  # <- fault


@planted(BOUNDS, 2, 32, vectors(50), "x")
@cuda.jit
def guard_with_less_or_equal(x, y):
    i = cuda.grid(1)
    if i <= x.size:
        y[i] = 2 * x[i]  # <- fault


@planted(BOUNDS, 2, 32, lambda rng: (whole(rng, 50), zeros(45)), "y")
@cuda.jit
def guard_of_the_wrong_array(x, y):
    i = cuda.grid(1)
    if i < x.size:
        y[i] = x[i]  # <- fault


@planted(BOUNDS, (2, 2), (4, 4), lambda rng: (whole(rng, 5, 7), zeros(5, 7)), "a")
@cuda.jit
def x_and_y_swapped(a, out):
    """x counts columns in the guard, and rows in the index."""
    x, y = cuda.grid(2)
    if x < a.shape[1] and y < a.shape[0]:
        out[x, y] = a[x, y]  # <- fault


@planted(BOUNDS, 1, 64, lambda rng: (whole(rng, 4, 16), zeros(64)), "a")
@cuda.jit
def flat_index_into_a_matrix(a, out):
    """Element 16 of row 0 exists in memory: it is row 1's first. The result is even right."""
    i = cuda.grid(1)
    out[i] = a[0, i]  # <- fault


@planted(BOUNDS, 1, 32, vectors(32), "buffer")
@cuda.jit
def shared_smaller_than_the_block(x, y):
    buffer = cuda.shared.array(16, float32)
    t = cuda.threadIdx.x
    buffer[t] = x[t]  # <- fault
    cuda.syncthreads()
    y[t] = buffer[t]  # <- fault


@planted(BOUNDS, 1, 8, lambda rng: (whole(rng, 8, 5), zeros(8)), "values")
@cuda.jit
def local_array_too_small(a, out):
    values = cuda.local.array(4, float32)
    t = cuda.threadIdx.x
    for j in range(a.shape[1]):
        values[j] = a[t, j]  # <- fault
    out[t] = values[0] + values[3]


@planted(BOUNDS, 2, 16, vectors(32), "buffer")
@cuda.jit
def room_for_one_side_of_the_halo(x, y):
    buffer = cuda.shared.array(17, float32)
    t = cuda.threadIdx.x
    i = cuda.grid(1)
    buffer[t + 1] = x[i]
    if t == 0:
        buffer[0] = x[i - 1] if i > 0 else float32(0)
    if t == 15:
        buffer[t + 2] = x[i + 1] if i + 1 < x.size else float32(0)  # <- fault
    cuda.syncthreads()
    if t < 15:
        y[i] = buffer[t] + buffer[t + 1] + buffer[t + 2]
    else:
        y[i] = buffer[t] + buffer[t + 1]


@planted(BOUNDS, 1, 32, vectors(32), "buffer", dynamic_shared=32)
@cuda.jit
def dynamic_shared_counted_in_elements(x, y):
    """The launch asked for 32 bytes, which are 8 numbers."""
    buffer = cuda.shared.array(0, float32)
    t = cuda.threadIdx.x
    buffer[t] = x[t]  # <- fault
    cuda.syncthreads()
    y[t] = buffer[t]  # <- fault


@planted(
    BOUNDS,
    1,
    32,
    lambda rng: (np.arange(32) % 11, zeros(10, dtype=np.int64)),
    "counts",
)
@cuda.jit
def one_bin_too_few(x, counts):
    i = cuda.grid(1)
    cuda.atomic.add(counts, x[i], 1)  # <- fault


@planted(
    BOUNDS,
    1,
    8,
    lambda rng: (whole(rng, 5, 3), np.array([0, 4, 5, 1, 2, 3, 0, 1], np.int32), zeros(8, 3)),
    "table",
)
@cuda.jit
def token_beyond_the_vocabulary(table, ids, out):
    i = cuda.grid(1)
    for c in range(3):
        out[i, c] = table[ids[i], c]  # <- fault


@planted(BOUNDS, 1, 32, vectors(32), "x")
@cuda.jit
def right_neighbour_of_the_last(x, y):
    i = cuda.grid(1)
    if i < x.size:
        y[i] = x[i] + x[i + 1]  # <- fault


@planted(BOUNDS, 1, 32, lambda rng: (whole(rng, 30), whole(rng, 4), zeros(30)), "x")
@cuda.jit
def convolution_past_the_end(x, w, y):
    i = cuda.grid(1)
    if i < x.size:
        acc = float32(0)
        for k in range(w.size):
            acc += x[i + k] * w[k]  # <- fault
        y[i] = acc


@planted(BOUNDS, (2, 2), (4, 4), lambda rng: (whole(rng, 5, 7), zeros(5, 7)), "out")
@cuda.jit
def transpose_into_the_same_shape(a, out):
    x, y = cuda.grid(2)
    if y < a.shape[0] and x < a.shape[1]:
        out[x, y] = a[y, x]  # <- fault


@planted(BOUNDS, 1, 32, vectors(32, 1), "buffer")
@cuda.jit
def reduction_starts_with_the_whole_block(x, out):
    buffer = cuda.shared.array(32, float32)
    t = cuda.threadIdx.x
    buffer[t] = x[t]
    cuda.syncthreads()
    stride = cuda.blockDim.x
    while stride > 0:
        if t < stride:
            buffer[t] += buffer[t + stride]  # <- fault
        cuda.syncthreads()
        stride //= 2
    if t == 0:
        out[0] = buffer[0]


@planted(BOUNDS, (2, 2), (TILE, TILE), _matrices(7, 6, 5))
@cuda.jit
def tiled_matmul_for_multiples_only(a, b, c):
    """Written for sizes that the tile divides, and launched on others."""
    tile_a = cuda.shared.array((TILE, TILE), float32)
    tile_b = cuda.shared.array((TILE, TILE), float32)
    x, y = cuda.grid(2)
    tx = cuda.threadIdx.x
    ty = cuda.threadIdx.y
    acc = float32(0)
    for k in range((a.shape[1] + TILE - 1) // TILE):
        tile_a[ty, tx] = a[y, k * TILE + tx]  # <- fault
        tile_b[ty, tx] = b[k * TILE + ty, x]  # <- fault
        cuda.syncthreads()
        for j in range(TILE):
            acc += tile_a[ty, j] * tile_b[j, tx]
        cuda.syncthreads()
    c[y, x] = acc  # <- fault


@planted(BOUNDS, (1, 1, 2), (4, 4, 1), lambda rng: (whole(rng, 2, 3, 4), zeros(2, 3, 4)), "a")
@cuda.jit
def one_axis_without_guard(a, out):
    x, y, z = cuda.grid(3)
    if x < a.shape[2] and z < a.shape[0]:
        out[z, y, x] = a[z, y, x]  # <- fault


@planted(BOUNDS, 2, 16, vectors(30, 2), "x")
@cuda.jit
def slice_beyond_the_end(x, out):
    """A slice stops at the end of the array, so the last block's part is shorter than it thinks."""
    start = cuda.blockIdx.x * 16
    part = x[start : start + 16]
    if cuda.threadIdx.x == 0:
        total = float32(0)
        for k in range(16):
            total += part[k]  # <- fault
        out[cuda.blockIdx.x] = total


# Negative indices ------------------------------------------------------------------------------


@planted(NEGATIVE, 1, 32, vectors(32), "x")
@cuda.jit
def left_neighbour_of_the_first(x, y):
    """In Python x[-1] is the last element, and numba keeps to that: no crash, a wrong number."""
    i = cuda.grid(1)
    y[i] = x[i - 1] + x[i]  # <- fault


@planted(NEGATIVE, 1, 32, vectors(32), "x", also=(BOUNDS,))
@cuda.jit
def blur_without_guards(x, y):
    i = cuda.grid(1)
    y[i] = (x[i - 1] + x[i] + x[i + 1]) / 3  # <- fault


@planted(NEGATIVE, 1, 32, vectors(32), "x")
@cuda.jit
def reversed_by_minus(x, y):
    i = cuda.grid(1)
    y[i] = x[-i]  # <- fault


@planted(NEGATIVE, 2, 16, vectors(32), "buffer", also=(UNWRITTEN,))
@cuda.jit
def halo_without_offset(x, y):
    buffer = cuda.shared.array(18, float32)
    t = cuda.threadIdx.x
    i = cuda.grid(1)
    buffer[t] = x[i]
    if t == 0 and i > 0:
        buffer[t - 1] = x[i - 1]  # <- fault
    cuda.syncthreads()
    y[i] = buffer[t - 1] + buffer[t]  # <- fault


@planted(NEGATIVE, 1, 16, vectors(16), "buffer")
@cuda.jit
def scan_without_guard(x, y):
    buffer = cuda.shared.array((2, 16), float32)
    t = cuda.threadIdx.x
    buffer[0, t] = x[t]
    cuda.syncthreads()
    old = 0
    d = 1
    while d < 16:
        buffer[1 - old, t] = buffer[old, t] + buffer[old, t - d]  # <- fault
        cuda.syncthreads()
        old = 1 - old
        d *= 2
    y[t] = buffer[old, t]


@planted(
    NEGATIVE,
    1,
    8,
    lambda rng: (whole(rng, 5, 3), np.array([0, 4, -1, 1, 2, 3, -1, 1], np.int32), zeros(8, 3)),
    "table",
)
@cuda.jit
def padding_token_of_minus_one(table, ids, out):
    i = cuda.grid(1)
    for c in range(3):
        out[i, c] = table[ids[i], c]  # <- fault


@planted(NEGATIVE, 1, 32, lambda rng: (whole(rng, 30), whole(rng, 3), zeros(30)), "x")
@cuda.jit
def convolution_before_the_start(x, w, y):
    i = cuda.grid(1)
    if i < x.size:
        acc = float32(0)
        for k in range(w.size):
            if i + k - 1 < x.size:
                acc += x[i + k - 1] * w[k]  # <- fault
        y[i] = acc


@planted(NEGATIVE, (1, 1), (4, 4), lambda rng: (whole(rng, 4, 4), zeros(4, 4)), "a", also=(BOUNDS,))
@cuda.jit
def neighbours_without_borders(a, out):
    x, y = cuda.grid(2)
    out[y, x] = a[y - 1, x] + a[y + 1, x] + a[y, x - 1] + a[y, x + 1]  # <- fault


@planted(
    NEGATIVE,
    1,
    16,
    lambda rng: (np.arange(-3, 13, dtype=np.int32), zeros(13, dtype=np.int32)),
    "counts",
)
@cuda.jit
def atomic_at_a_negative_place(x, counts):
    i = cuda.grid(1)
    cuda.atomic.add(counts, x[i], 1)  # <- fault


# Reads before writes ---------------------------------------------------------------------------


@planted(UNWRITTEN, 1, 64, vectors(64), "buffer")
@cuda.jit
def shared_taken_for_zero(x, y):
    buffer = cuda.shared.array(64, float32)
    t = cuda.threadIdx.x
    buffer[t] += x[t]  # <- fault
    cuda.syncthreads()
    y[t] = buffer[63 - t]


@planted(UNWRITTEN, 1, 64, vectors(64), "buffer")
@cuda.jit
def shared_partly_filled(x, y):
    buffer = cuda.shared.array(64, float32)
    t = cuda.threadIdx.x
    if t < 60:
        buffer[t] = x[t]
    cuda.syncthreads()
    y[t] = buffer[63 - t]  # <- fault


@planted(UNWRITTEN, (2, 2), (TILE, TILE), _matrices(7, 6, 5))
@cuda.jit
def ragged_tiles_without_zeros(a, b, c):
    """What is beyond the matrix is not loaded, but it is multiplied."""
    tile_a = cuda.shared.array((TILE, TILE), float32)
    tile_b = cuda.shared.array((TILE, TILE), float32)
    x, y = cuda.grid(2)
    tx = cuda.threadIdx.x
    ty = cuda.threadIdx.y
    acc = float32(0)
    for k in range((a.shape[1] + TILE - 1) // TILE):
        if y < a.shape[0] and k * TILE + tx < a.shape[1]:
            tile_a[ty, tx] = a[y, k * TILE + tx]
        if k * TILE + ty < b.shape[0] and x < b.shape[1]:
            tile_b[ty, tx] = b[k * TILE + ty, x]
        cuda.syncthreads()
        for j in range(TILE):
            acc += tile_a[ty, j] * tile_b[j, tx]  # <- fault
        cuda.syncthreads()
    if y < c.shape[0] and x < c.shape[1]:
        c[y, x] = acc


@planted(UNWRITTEN, 1, 8, lambda rng: (whole(rng, 8, 6), zeros(8, 3)), "sums")
@cuda.jit
def local_taken_for_zero(a, out):
    sums = cuda.local.array(3, float32)
    t = cuda.threadIdx.x
    for j in range(6):
        sums[j % 3] += a[t, j]  # <- fault
    for j in range(3):
        out[t, j] = sums[j]


@planted(UNWRITTEN, 2, 32, vectors(50, 2), "buffer")
@cuda.jit
def last_block_without_identity(x, out):
    """The last block has 18 numbers, and adds up 32."""
    buffer = cuda.shared.array(32, float32)
    t = cuda.threadIdx.x
    i = cuda.grid(1)
    if i < x.size:
        buffer[t] = x[i]
    cuda.syncthreads()
    stride = 16
    while stride > 0:
        if t < stride:
            buffer[t] += buffer[t + stride]  # <- fault
        cuda.syncthreads()
        stride //= 2
    if t == 0:
        out[cuda.blockIdx.x] = buffer[0]


@planted(
    UNWRITTEN,
    2,
    32,
    lambda rng: (rng.integers(0, 5, 64).astype(np.int32), zeros(5, dtype=np.int32)),
    "mine",
)
@cuda.jit
def private_histogram_not_cleared(x, counts):
    mine = cuda.shared.array(5, int32)
    t = cuda.threadIdx.x
    cuda.atomic.add(mine, x[cuda.grid(1)], 1)  # <- fault
    cuda.syncthreads()
    if t < 5:
        cuda.atomic.add(counts, t, mine[t])


@planted(UNWRITTEN, 1, 64, vectors(64, 1), "partial")
@cuda.jit
def sums_of_warps_that_are_not_there(x, out):
    """A block of two warps leaves two sums; the first warp reads 32."""
    partial = cuda.shared.array(32, float32)
    t = cuda.threadIdx.x
    v = x[t]
    for d in (16, 8, 4, 2, 1):
        v += cuda.shfl_down_sync(FULL, v, d)
    if t % 32 == 0:
        partial[t // 32] = v
    cuda.syncthreads()
    if t < 32:
        v = partial[t]  # <- fault
        for d in (16, 8, 4, 2, 1):
            v += cuda.shfl_down_sync(FULL, v, d)
        if t == 0:
            out[0] = v


@planted(UNWRITTEN, 1, 8, lambda rng: (whole(rng, 8, 5), zeros(8)), "kept")
@cuda.jit
def local_filled_under_a_condition(a, out):
    kept = cuda.local.array(5, float32)
    t = cuda.threadIdx.x
    for j in range(5):
        if a[t, j] > 0:
            kept[j] = a[t, j]
    total = float32(0)
    for j in range(5):
        total += kept[j]  # <- fault
    out[t] = total


@planted(UNWRITTEN, 1, (4, 4), lambda rng: (whole(rng, 6, 6), zeros(4, 4)), "tile")
@cuda.jit
def halo_without_corners(a, out):
    """The edges are loaded and the corners are not; the 3 by 3 filter wants them all."""
    tile = cuda.shared.array((6, 6), float32)
    x = cuda.threadIdx.x
    y = cuda.threadIdx.y
    tile[y + 1, x + 1] = a[y + 1, x + 1]
    if x == 0:
        tile[y + 1, 0] = a[y + 1, 0]
        tile[y + 1, 5] = a[y + 1, 5]
    if y == 0:
        tile[0, x + 1] = a[0, x + 1]
        tile[5, x + 1] = a[5, x + 1]
    cuda.syncthreads()
    acc = float32(0)
    for i in range(3):
        for j in range(3):
            acc += tile[y + i, x + j]  # <- fault
    out[y, x] = acc


@planted(UNWRITTEN, 1, 16, vectors(16), "buffer", dynamic_shared=32 * 4)
@cuda.jit
def second_half_of_dynamic_shared(x, y):
    buffer = cuda.shared.array(0, float32)
    t = cuda.threadIdx.x
    buffer[t] = x[t]
    cuda.syncthreads()
    y[t] = buffer[t] - buffer[t + 16]  # <- fault


@planted(UNWRITTEN, 2, 8, lambda rng: (zeros(2), whole(rng, 15), 15), "cache")
@cuda.jit
def puzzle_12_partner_not_there(out, a, size):
    """GPU-Puzzles issue 20, with its barriers mended: thread 6 adds what thread 7 never loaded."""
    cache = cuda.shared.array(8, float32)
    i = cuda.grid(1)
    t = cuda.threadIdx.x
    if i < size:
        cache[t] = a[i]
    cuda.syncthreads()
    for k in range(3):
        p = 2**k
        if t % (p * 2) == 0 and i < size:
            cache[t] = cache[t] + cache[t + p]  # <- fault
        cuda.syncthreads()
    if t == 0:
        out[cuda.blockIdx.x] = cache[0]


@planted(UNWRITTEN, 2, 16, vectors(32), "buffer")
@cuda.jit
def shared_memory_does_not_outlive_its_block(x, y):
    """Block 0 fills it, block 1 finds rubbish: each block has a buffer of its own."""
    buffer = cuda.shared.array(16, float32)
    t = cuda.threadIdx.x
    if cuda.blockIdx.x == 0:
        buffer[t] = x[t]
    cuda.syncthreads()
    y[cuda.grid(1)] = buffer[15 - t]  # <- fault


# Barriers that not all threads reach -----------------------------------------------------------


@planted(BARRIER, 1, 64, vectors(64), also=(UNWRITTEN, RACE))
@cuda.jit
def barrier_for_half_of_the_block(x, y):
    buffer = cuda.shared.array(64, float32)
    t = cuda.threadIdx.x
    if t < 32:
        buffer[t] = x[t]
        cuda.syncthreads()  # <- fault
    y[t] = buffer[t % 32]


@planted(BARRIER, 1, 64, vectors(64), also=(RACE, UNWRITTEN))
@cuda.jit
def barrier_on_the_line_of_an_if(x, y):
    buffer = cuda.shared.array(64, float32)
    t = cuda.threadIdx.x
    buffer[t] = x[t]
    if t < 48:
        cuda.syncthreads()  # <- fault
    y[t] = buffer[63 - t]


@planted(BARRIER, 2, 64, lambda rng: (whole(rng, 100), zeros(100), 100))
@cuda.jit
def early_return_before_the_barrier(x, y, n):
    """The guard that is right in a kernel without barriers."""
    buffer = cuda.shared.array(64, float32)
    i = cuda.grid(1)
    t = cuda.threadIdx.x
    if i >= n:
        return
    buffer[t] = x[i]
    cuda.syncthreads()  # <- fault
    y[i] = buffer[0] + buffer[t]


@planted(BARRIER, 1, 64, vectors(64), also=(RACE, UNWRITTEN))
@cuda.jit
def a_barrier_in_each_branch(x, y):
    """All threads wait, but not at the same place."""
    buffer = cuda.shared.array(64, float32)
    t = cuda.threadIdx.x
    if t < 32:
        buffer[t] = x[t]
        cuda.syncthreads()  # <- fault
    else:
        buffer[t] = x[t]
        cuda.syncthreads()  # <- fault
    y[t] = buffer[63 - t]


@planted(BARRIER, 1, 32, vectors(32), also=(RACE, UNWRITTEN))
@cuda.jit
def as_many_rounds_as_the_thread_number(x, y):
    buffer = cuda.shared.array(32, float32)
    t = cuda.threadIdx.x
    buffer[t] = x[t]
    for _ in range(t):
        cuda.syncthreads()  # <- fault
    y[t] = buffer[31 - t]


@cuda.jit(device=True)
def exchange(value, scratch):
    """Hidden in here is a barrier."""
    t = cuda.threadIdx.x
    scratch[t] = value
    cuda.syncthreads()  # <- fault
    return scratch[t ^ 1]


@planted(BARRIER, 1, 32, vectors(30))
@cuda.jit
def barrier_in_a_device_function(x, y):
    buffer = cuda.shared.array(32, float32)
    t = cuda.threadIdx.x
    if t < x.size:
        y[t] = exchange(x[t], buffer)


@planted(BARRIER, 1, 32, vectors(32, 1), also=(RACE,))
@cuda.jit
def break_before_the_barrier(x, out):
    """Threads without work leave the loop early, and the others wait for them in vain."""
    buffer = cuda.shared.array(32, float32)
    t = cuda.threadIdx.x
    buffer[t] = x[t]
    cuda.syncthreads()
    stride = 16
    while stride > 0:
        if t >= stride:
            break
        buffer[t] += buffer[t + stride]
        cuda.syncthreads()  # <- fault
        stride //= 2
    if t == 0:
        out[0] = buffer[0]


@planted(BARRIER, 1, 32, vectors(32, 1), also=(RACE,))
@cuda.jit
def return_within_the_reduction(x, out):
    buffer = cuda.shared.array(32, float32)
    t = cuda.threadIdx.x
    buffer[t] = x[t]
    cuda.syncthreads()
    for k in range(5):
        stride = 16 >> k
        if t >= stride:
            return
        buffer[t] += buffer[t + stride]
        cuda.syncthreads()  # <- fault
    out[0] = buffer[0]


@planted(BARRIER, 1, 16, lambda rng: (whole(rng, 4, 16), zeros(4, 16)))
@cuda.jit
def continue_past_the_barrier(a, out):
    buffer = cuda.shared.array(16, float32)
    t = cuda.threadIdx.x
    for row in range(4):
        if a[row, t] < 0:
            continue
        buffer[t] = a[row, t]
        cuda.syncthreads()  # <- fault
        out[row, t] = buffer[t]


@planted(BARRIER, 2, 32, vectors(50))
@cuda.jit
def barrier_inside_the_guard(x, y):
    """Right in the first block; in the last one 14 threads are beyond the end."""
    buffer = cuda.shared.array(32, float32)
    t = cuda.threadIdx.x
    i = cuda.grid(1)
    if i < x.size:
        buffer[t] = x[i]
        cuda.syncthreads()  # <- fault
        y[i] = buffer[0] - buffer[t]


@planted(BARRIER, 2, 8, lambda rng: (zeros(2), whole(rng, 15), 15), also=(UNWRITTEN, RACE))
@cuda.jit
def puzzle_12_ragged(out, a, size):
    """GPU-Puzzles issues 20 and 26: barriers inside the guard, and a partner that is not there."""
    cache = cuda.shared.array(8, float32)
    i = cuda.grid(1)
    t = cuda.threadIdx.x
    if i < size:
        cache[t] = a[i]
        cuda.syncthreads()  # <- fault
        for k in range(3):
            p = 2**k
            if t % (p * 2) == 0:
                cache[t] = cache[t] + cache[t + p]
            cuda.syncthreads()
        if t == 0:
            out[cuda.blockIdx.x] = cache[t]


@planted(BARRIER, 1, 32, vectors(32))
@cuda.jit
def while_by_the_threads_own_value(x, y):
    buffer = cuda.shared.array(32, float32)
    t = cuda.threadIdx.x
    v = x[t]
    while v > 0:
        buffer[t] = v
        cuda.syncthreads()  # <- fault
        v -= 3
    y[t] = v


@planted(BARRIER, 1, 64, lambda rng: (whole(rng, 64), zeros(1, dtype=np.int32)))
@cuda.jit
def counting_barrier_in_a_branch(x, out):
    t = cuda.threadIdx.x
    if t < 50:
        positive = 1 if x[t] > 0 else 0
        count = cuda.syncthreads_count(positive)  # <- fault
        if t == 0:
            out[0] = count


@planted(BARRIER, 1, 32, vectors(32), also=(RACE, UNWRITTEN))
@cuda.jit
def barrier_of_thread_0(x, y):
    first = cuda.shared.array(1, float32)
    t = cuda.threadIdx.x
    if t == 0:
        first[0] = x[0]
        cuda.syncthreads()  # <- fault
    y[t] = x[t] - first[0]


@planted(BARRIER, 1, 64, vectors(64, 1))
@cuda.jit
def barrier_for_the_last_warp_only(x, out):
    """The other warp is through with its work, but not with its duty to wait."""
    buffer = cuda.shared.array(64, float32)
    t = cuda.threadIdx.x
    buffer[t] = x[t]
    cuda.syncthreads()
    if t < 32:
        v = buffer[t] + buffer[t + 32]
        cuda.syncthreads()  # <- fault
        buffer[t] = v
        cuda.syncthreads()  # <- fault
        if t == 0:
            total = float32(0)
            for k in range(32):
                total += buffer[k]
            out[0] = total


# Warp operations that name absent lanes --------------------------------------------------------


@planted(WARP, 1, 32, vectors(32, 1))
@cuda.jit
def shuffle_of_half_a_warp(x, out):
    t = cuda.threadIdx.x
    v = x[t]
    if t < 16:
        v += cuda.shfl_down_sync(FULL, v, 8)  # <- fault
    if t == 0:
        out[0] = v


@planted(WARP, 1, 20, vectors(20, 1))
@cuda.jit
def full_mask_in_a_block_of_20(x, out):
    t = cuda.threadIdx.x
    v = x[t]
    for d in (16, 8, 4, 2, 1):
        v += cuda.shfl_down_sync(0xFFFFFFFF, v, d)  # <- fault
    if t == 0:
        out[0] = v


@planted(WARP, 1, 48, vectors(48, 2))
@cuda.jit
def full_mask_in_half_of_the_last_warp(x, out):
    """A block of 48 threads is one warp, and half of one."""
    t = cuda.threadIdx.x
    v = x[t]
    for d in (16, 8, 4, 2, 1):
        v += cuda.shfl_xor_sync(FULL, v, d)  # <- fault
    if t % 32 == 0:
        out[t // 32] = v


@planted(WARP, 1, 32, lambda rng: (whole(rng, 32), zeros(1, dtype=np.int32)))
@cuda.jit
def ballot_in_a_branch(x, out):
    t = cuda.threadIdx.x
    if t % 2 == 0:
        votes = cuda.ballot_sync(FULL, x[t] > 0)  # <- fault
        if t == 0:
            out[0] = cuda.popc(votes)


@planted(WARP, 1, 32, vectors(32), also=(RACE, UNWRITTEN))
@cuda.jit
def syncwarp_in_a_branch(x, y):
    buffer = cuda.shared.array(32, float32)
    t = cuda.threadIdx.x
    if t < 10:
        buffer[t] = x[t]
        cuda.syncwarp()  # <- fault
        y[t] = buffer[9 - t]


@planted(WARP, 2, 32, vectors(50, 2))
@cuda.jit
def early_return_before_a_shuffle(x, out):
    """The guard sends 14 lanes of the last warp away, and the mask still names them."""
    i = cuda.grid(1)
    if i >= x.size:
        return
    v = x[i]
    for d in (16, 8, 4, 2, 1):
        v += cuda.shfl_down_sync(FULL, v, d)  # <- fault
    if cuda.threadIdx.x == 0:
        out[cuda.blockIdx.x] = v


@planted(WARP, 1, 32, lambda rng: (whole(rng, 40), zeros(1)))
@cuda.jit
def shuffle_in_a_loop_of_uneven_length(x, out):
    """40 numbers for 32 lanes: 8 of them go round twice."""
    t = cuda.threadIdx.x
    total = float32(0)
    for i in range(t, x.size, 32):
        total += cuda.shfl_xor_sync(FULL, x[i], 1)  # <- fault
    if t == 0:
        out[0] = total


@planted(WARP, 1, 32, vectors(32))
@cuda.jit
def lane_that_is_not_in_its_own_mask(x, y):
    t = cuda.threadIdx.x
    y[t] = cuda.shfl_sync(0x0000FFFF, x[t], 0)  # <- fault


@planted(WARP, 1, 32, vectors(32))
@cuda.jit
def value_of_a_lane_outside_the_mask(x, y):
    t = cuda.threadIdx.x
    if t < 16:
        y[t] = cuda.shfl_sync(0x0000FFFF, x[t], 20)  # <- fault


@planted(WARP, 1, 32, lambda rng: (whole(rng, 32), zeros(32, dtype=np.int32)))
@cuda.jit
def vote_after_break(x, y):
    """Lanes leave one by one; the vote of those that are left still names all."""
    t = cuda.threadIdx.x
    v = x[t]
    steps = 0
    while True:
        if v < 0:
            break
        if cuda.all_sync(FULL, v < 0):  # <- fault
            break
        v -= 2
        steps += 1
    y[t] = steps


@planted(WARP, 1, 32, vectors(32))
@cuda.jit
def a_full_shuffle_in_each_branch(x, y):
    """Both branches shuffle, but a branch is only half of the warp."""
    t = cuda.threadIdx.x
    if t < 16:
        y[t] = cuda.shfl_xor_sync(FULL, x[t], 1)  # <- fault
    else:
        y[t] = -cuda.shfl_xor_sync(FULL, x[t], 1)  # <- fault


# Launches that the hardware refuses ------------------------------------------------------------


@cuda.jit
def set_one(x):
    """Harmless, and launched with blocks that do not exist."""
    i = cuda.grid(1)
    if i == 0 and cuda.threadIdx.y == 0 and cuda.threadIdx.z == 0:
        x[0] = 1


for _name, _block in (
    ("block of 2048", 2048),
    ("block of 1025", 1025),
    ("block of 32 x 32 x 2", (32, 32, 2)),
    ("block with z of 65", (1, 1, 65)),
):
    PLANTED.append(Planted(_name, set_one, 1, _block, lambda rng: (zeros(1),), THREADS))


@planted(MEMORY, 1, 1, lambda rng: (zeros(1, dtype=np.float64),))
@cuda.jit
def tile_of_128_kib(x):
    tile = cuda.shared.array((128, 128), float64)
    tile[0, 0] = 1
    x[0] = tile[0, 0]


@planted(MEMORY, 1, 32, vectors(32))
@cuda.jit
def two_tiles_that_do_not_fit_together(x, y):
    """28 KiB each: one would do."""
    tile_a = cuda.shared.array((224, 32), float32)
    tile_b = cuda.shared.array((224, 32), float32)
    t = cuda.threadIdx.x
    tile_a[0, t] = x[t]
    tile_b[0, t] = -x[t]
    cuda.syncthreads()
    y[t] = tile_a[0, 31 - t] + tile_b[0, t]


@planted(MEMORY, 1, 32, vectors(32), dynamic_shared=50 * 1024)
@cuda.jit
def dynamic_shared_of_50_kib(x, y):
    buffer = cuda.shared.array(0, float32)
    t = cuda.threadIdx.x
    buffer[t] = x[t]
    cuda.syncthreads()
    y[t] = buffer[31 - t]


@planted(MEMORY, 1, 32, vectors(32), dynamic_shared=20 * 1024)
@cuda.jit
def static_and_dynamic_shared_together(x, y):
    """32 KiB that the kernel declares and 20 KiB that the launch adds are one store."""
    tile = cuda.shared.array((256, 32), float32)
    buffer = cuda.shared.array(0, float32)
    t = cuda.threadIdx.x
    tile[0, t] = x[t]
    buffer[t] = x[t]
    cuda.syncthreads()
    y[t] = tile[0, 31 - t] + buffer[t]


# Kernels without an end ------------------------------------------------------------------------


@planted(
    ENDLESS,
    2,
    1,
    lambda rng: (zeros(1, dtype=np.int32), zeros(1)),
    "flag",
    also=(BLOCKS,),
)
@cuda.jit
def wait_for_a_later_block(flag, out):
    """Block 0 may keep the place that block 1 needs to begin."""
    if cuda.blockIdx.x == 0:
        while flag[0] == 0:  # <- fault
            pass
        out[0] = 1
    else:
        flag[0] = 1


@planted(
    ENDLESS,
    3,
    8,
    lambda rng: (zeros(1, dtype=np.int32), whole(rng, 24), zeros(24)),
    "arrived",
    also=(BARRIER,),
)
@cuda.jit
def home_made_grid_barrier(arrived, x, y):
    """Counts the blocks with atomics; works as long as all blocks fit on the chip at once."""
    i = cuda.grid(1)
    if cuda.threadIdx.x == 0:
        cuda.atomic.add(arrived, 0, 1)
        while cuda.atomic.add(arrived, 0, 0) < cuda.gridDim.x:  # <- fault
            pass
    cuda.syncthreads()
    y[i] = x[x.size - 1 - i]


@planted(ENDLESS, 1, 4, vectors(4), "y")
@cuda.jit
def condition_that_never_changes(x, y):
    t = cuda.threadIdx.x
    k = 0
    while k < 10:
        y[t] += x[t]  # <- fault


@planted(ENDLESS, 1, 32, vectors(32, 1), also=(BARRIER,))
@cuda.jit
def stride_that_is_never_halved(x, out):
    buffer = cuda.shared.array(32, float32)
    t = cuda.threadIdx.x
    buffer[t] = x[t]
    cuda.syncthreads()
    stride = 16
    while stride > 0:
        if t < stride:
            buffer[t] += buffer[t + stride]
        cuda.syncthreads()
    if t == 0:
        out[0] = buffer[0]


@planted(ENDLESS, 1, 8, vectors(8), "y")
@cuda.jit
def doubling_of_zero(x, y):
    t = cuda.threadIdx.x
    d = 0
    while d < 8:
        y[t] += x[d]  # <- fault
        d *= 2


@planted(ENDLESS, 1, 4, lambda rng: (np.arange(1, 5), zeros(4, dtype=np.int64)))
@cuda.jit
def loop_without_memory(n, out):
    """3 n + 1 never reaches 0."""
    t = cuda.threadIdx.x
    v = n[t]
    steps = 0
    while v != 0:
        v = v // 2 if v % 2 == 0 else 3 * v + 1
        steps += 1
    out[t] = steps
