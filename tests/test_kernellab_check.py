"""What the checker counts, what is demanded of it, and what it predicts: against numbers by hand."""

import numpy as np
import pytest
from numba import cuda, float32, float64

from course import kernellab as lab
from course.kernellab import hardware
from course.kernellab.launch import State
from course.kernellab.records import Report

SIDE, PADDED = 32, 33


@cuda.jit
def transpose_plain(a, out):
    x, y = cuda.grid(2)
    out[x, y] = a[y, x]


@cuda.jit
def transpose_tile(a, out):
    tile = cuda.shared.array((SIDE, SIDE), float32)
    x = cuda.blockIdx.x * SIDE + cuda.threadIdx.x
    y = cuda.blockIdx.y * SIDE + cuda.threadIdx.y
    tile[cuda.threadIdx.y, cuda.threadIdx.x] = a[y, x]
    cuda.syncthreads()
    row = cuda.blockIdx.x * SIDE + cuda.threadIdx.y
    column = cuda.blockIdx.y * SIDE + cuda.threadIdx.x
    out[row, column] = tile[cuda.threadIdx.x, cuda.threadIdx.y]


@cuda.jit
def transpose_padded(a, out):
    tile = cuda.shared.array((SIDE, PADDED), float32)
    x = cuda.blockIdx.x * SIDE + cuda.threadIdx.x
    y = cuda.blockIdx.y * SIDE + cuda.threadIdx.y
    tile[cuda.threadIdx.y, cuda.threadIdx.x] = a[y, x]
    cuda.syncthreads()
    row = cuda.blockIdx.x * SIDE + cuda.threadIdx.y
    column = cuda.blockIdx.y * SIDE + cuda.threadIdx.x
    out[row, column] = tile[cuda.threadIdx.x, cuda.threadIdx.y]


@cuda.jit
def scale(x, out):
    i = cuda.grid(1)
    if i < x.size:
        out[i] = float32(2) * x[i] + float32(1)


@cuda.jit
def double_precision(x, out):
    buffer = cuda.shared.array(64, float64)
    t = cuda.threadIdx.x
    buffer[t] = x[t]
    cuda.syncthreads()
    out[t] = buffer[63 - t]


@cuda.jit
def shift(x):
    i = cuda.grid(1)
    if i < x.size - 1:
        x[i] = x[i + 1]


def matrix(side=64):
    return np.arange(side * side, dtype=np.float32).reshape(side, side)


def traffic(report: Report, text: str):
    return next(t for t in report.traffic.values() if t.site.text == text)


@pytest.fixture(scope="module")
def transposes():
    a, out = matrix(), np.zeros((64, 64), np.float32)
    kernels = (transpose_plain, transpose_tile, transpose_padded)
    return [lab.check(k[(2, 2), (32, 32)], a, out, orders=("forward",)) for k in kernels]


def test_sectors_of_a_transpose(transposes):
    plain, tile, padded = transposes
    assert all(report.ok for report in transposes)
    load, store = traffic(plain, "a[y, x]"), traffic(plain, "out[x, y]")
    assert (load.requests, load.sectors) == (128, 128 * 4)  # 4 blocks of 32 warps
    assert (store.sectors, store.efficiency) == (128 * 32, 1 / 8)
    for report in (tile, padded):
        assert traffic(report, "out[row, column]").efficiency == 1.0


def test_banks_of_a_transpose(transposes):
    _, tile, padded = transposes
    read = traffic(tile, "tile[cuda.threadIdx.x, cuda.threadIdx.y]")
    assert (read.ways, read.worst_ways) == (32.0, 32)
    read = traffic(padded, "tile[cuda.threadIdx.x, cuda.threadIdx.y]")
    assert (read.ways, read.worst_ways) == (1.0, 1)


def test_elements_of_eight_bytes_take_two_turns_without_a_conflict():
    x, out = np.zeros(64), np.zeros(64)
    report = lab.check(double_precision[1, 64], x, out)
    read = traffic(report, "buffer[63 - t]")
    assert (read.wavefronts, read.ideal_wavefronts, read.ways) == (4, 4, 1.0)
    assert traffic(report, "x[t]").sectors == 2 * 8


@pytest.mark.parametrize(
    ("addresses", "size", "expected"),
    [
        ([(i, 4 * i) for i in range(32)], 4, (1, 1, 1)),
        ([(i, 8 * i) for i in range(32)], 4, (2, 1, 2)),
        ([(i, 128 * i) for i in range(32)], 4, (32, 1, 32)),
        ([(i, 0) for i in range(32)], 4, (1, 1, 1)),  # one word for all: a broadcast
        ([(i, 8 * i) for i in range(32)], 8, (2, 2, 1)),
        ([(i, 16 * i) for i in range(32)], 8, (4, 2, 2)),
        ([(i, i) for i in range(32)], 1, (1, 1, 1)),
    ],
)
def test_turns(addresses, size, expected):
    served = hardware.turns(addresses, size)
    assert (served.taken, served.ideal, served.ways) == expected


def test_an_element_across_two_sectors_counts_for_both():
    assert hardware.sectors([28], 8) == {0, 1}


def test_counts_of_a_map():
    n = 100
    x, out = np.zeros(n, np.float32), np.zeros(n, np.float32)
    report = lab.check(scale[4, 32], x, out)
    assert report.cost.flops == 2 * n
    assert report.cost.loads == {"global": 4 * n} and report.cost.stores == {"global": 4 * n}
    assert report.cost.unique_sectors == 2 * 13  # 400 bytes each
    assert report.per_thread == {"global loads": 1, "global stores": 1}
    assert report.reads["x"] == {(i,): 1 for i in range(n)}
    assert report.writes["out"] == {(i,): 1 for i in range(n)}


@cuda.jit(device=True)
def _first_of(row):
    return row[0]


@cuda.jit
def _first_of_two(a, b, out):
    i = cuda.threadIdx.x
    out[i] = _first_of(a[i]) + _first_of(b[i])


def test_reads_in_a_device_function_belong_to_the_array_that_it_was_given():
    a, b, out = np.ones((4, 2), np.float32), np.ones((4, 3), np.float32), np.zeros(4, np.float32)
    report = lab.check(_first_of_two[1, 4], a, b, out)
    assert report.reads == {name: {(i, 0): 1 for i in range(4)} for name in "ab"}
    assert report.writes == {"out": {(i,): 1 for i in range(4)}}


def test_blocks_that_are_not_followed_are_counted_in():
    x, out = np.zeros(32 * 100, np.float32), np.zeros(32 * 100, np.float32)
    report = lab.check(scale[100, 32], x, out)
    assert (report.cost.followed, report.cost.blocks) == (5, 100)
    assert report.cost.flops == 2 * 3200
    assert report.cost.unique_sectors == 2 * 3200 * 4 // 32
    whole = lab.check(scale[100, 32], x, out, blocks="all", orders=("forward",))
    assert whole.cost.flops == report.cost.flops
    one = lab.check(scale[100, 32], x, out, blocks=[(3, 0)])
    assert set(one.reads["x"]) == {(i,) for i in range(96, 128)}
    with pytest.raises(lab.LaunchError, match="no block 100 in a grid"):
        lab.check(scale[100, 32], x, out, blocks=[100])


def test_a_race_in_words():
    report = lab.check(shift[2, 32], np.arange(64, dtype=np.float32))
    inside = next(f for f in report.faults if f.kind == "race")
    assert inside.array == "x" and inside.space == "global"
    for part in ("x[i]", "x[i + 1]", "thread 0", "thread 1", "No barrier", "reads", "writes"):
        assert part in inside.message, inside.message
    between = next(f for f in report.faults if f.kind == "race between blocks")
    assert "block 0" in between.message and "block 1" in between.message
    assert report.notes and "order" in report.notes[0]
    assert not report.ok and str(report).startswith("shift[2, 32]: 2 faults")


def test_the_same_array_twice_is_the_same_memory():
    @cuda.jit
    def copy_back(x, y):
        i = cuda.grid(1)
        if i < x.size - 1:
            y[i] = x[i + 1]

    x = np.zeros(64, np.float32)
    assert "race" in lab.check(copy_back[1, 64], x, x).kinds()
    assert lab.check(copy_back[1, 64], x, x.copy()).ok


def test_a_negative_number_as_index_is_meant():
    @cuda.jit
    def last(x, out):
        i = cuda.grid(1)
        out[i] = x[-1] + x[x.shape[0] - 1]

    x, out = np.arange(5, dtype=np.float32), np.zeros(32, np.float32)
    assert lab.check(last[1, 32], x, out).ok


def test_budgets():
    a, out = matrix(), np.zeros((64, 64), np.float32)
    plain = lab.check(transpose_plain[(2, 2), (32, 32)], a, out)
    tile = lab.check(transpose_tile[(2, 2), (32, 32)], a, out)
    padded = lab.check(transpose_padded[(2, 2), (32, 32)], a, out)
    lab.assert_clean(padded)
    lab.assert_coalesced(padded)
    lab.assert_no_bank_conflicts(padded)
    lab.assert_reads(padded, "a", at_most=1)
    lab.assert_writes(padded, "out")
    lab.assert_bytes(padded, at_most=2 * 64 * 64 * 4)
    lab.assert_per_thread(padded, "global loads", at_most=1)
    with pytest.raises(AssertionError, match=r"out\[x, y\].*32.0 sectors a request where 4.0"):
        lab.assert_coalesced(plain)
    with pytest.raises(AssertionError, match="up to 32 lanes want different words of one bank"):
        lab.assert_no_bank_conflicts(tile)
    with pytest.raises(AssertionError, match=r"`a\[0, 0\]` is read 1 times, and at most 0"):
        lab.assert_reads(padded, "a", at_most=0)
    with pytest.raises(AssertionError, match="at most 100 is wanted"):
        lab.assert_bytes(padded, at_most=100)
    with pytest.raises(AssertionError, match="one thread does 1 global loads"):
        lab.assert_per_thread(padded, "global loads", at_most=0)
    with pytest.raises(ValueError, match="no array 'b': choose from a, out"):
        lab.assert_reads(padded, "b", at_most=1)
    with pytest.raises(AssertionError, match=r"2 faults\n\* race"):
        lab.assert_clean(lab.check(shift[2, 32], np.zeros(64, np.float32)))


def test_a_prediction_is_the_slowest_part_and_says_what_it_is():
    n = 1 << 12
    x, out = np.zeros(n, np.float32), np.zeros(n, np.float32)
    report = lab.check(scale[n // 128, 128], x, out, blocks="all", orders=("forward",))
    found = lab.predict(report, "T4")
    assert found.bound == "memory" and found.time == pytest.approx(8 * n / 320e9)
    assert found.intensity == pytest.approx(2 / 8)
    assert "prediction" in str(found) and "Not measured" in str(found)
    mine = lab.Gpu("mine", 1e9, 1e12, 1e12, 1, 1e9, 1024, 16, 65536, 65536)
    assert lab.predict(report, mine).bound == "arithmetic"
    with pytest.raises(ValueError, match="choose from T4, A100, H100"):
        lab.predict(report, "T5")


@pytest.mark.parametrize(
    ("threads", "shared", "registers", "fraction", "limit"),
    [
        (256, 0, 32, 1.0, "threads"),
        (32, 0, 32, 0.5, "blocks"),  # 16 blocks of one warp
        (256, 0, 128, 0.5, "registers"),
        (256, 32 * 1024, 32, 0.5, "shared memory"),
        (1024, 0, 32, 1.0, "threads"),
    ],
)
def test_occupancy_on_a_t4(threads, shared, registers, fraction, limit):
    found = lab.occupancy(threads, shared, registers, on="T4")
    assert (found.fraction, found.limit) == (fraction, limit)


def test_compare_right_wrong_and_faulty():
    x = np.arange(100, dtype=np.float32)
    good = lab.case(4, 32, x, np.zeros(100, np.float32))
    right = lab.compare(scale, lambda x, out: 2 * x + 1, [good], rounds=1)
    assert right.ok and "right in 1 cases" in str(right)
    where = "lab" if State.on else "GPU"
    assert any(where in who for who in right.seconds) and "reference" in right.seconds
    assert not x.flags.writeable or np.array_equal(x, np.arange(100))
    wrong = lab.compare(scale, lambda x, out: 2 * x, [good])
    assert not wrong.ok and "the first at [0]: got 1.0, expected 0.0" in str(wrong)

    def in_place(x):
        x[:-1] = x[1:].copy()

    faulty = lab.compare(shift, in_place, [lab.case(2, 32, np.arange(64, dtype=np.float32))])
    assert "race" in str(faulty)  # the result is right, on this computer
    with pytest.raises(lab.LaunchError, match="at least one case"):
        lab.compare(scale, in_place, [])


def test_check_wants_a_shape():
    with pytest.raises(lab.LaunchError, match=r"check\(kernel\[grid, block\]"):
        lab.check(scale, np.zeros(3, np.float32), np.zeros(3, np.float32))
    with pytest.raises(lab.LaunchError, match="forward, reverse, random"):
        lab.check(scale[1, 32], np.zeros(3), np.zeros(3), orders=("sideways",))


def test_pictures_of_a_real_report():
    a, out = matrix(), np.zeros((64, 64), np.float32)
    report = lab.check(transpose_tile[(2, 2), (32, 32)], a, out)
    assert "32" in lab.draw_banks(report).alt
    assert "out" in lab.draw_warp(lab.check(transpose_plain[(2, 2), (32, 32)], a, out)).alt
    assert "barrier" in lab.draw_barriers(report).alt.lower()
    broken = lab.check(shift[2, 32], np.zeros(64, np.float32))
    assert "x" in lab.draw_fault(broken, broken.faults[0]).alt
    assert lab.draw_threads(broken).alt and lab.draw_heat(broken, "x").alt
