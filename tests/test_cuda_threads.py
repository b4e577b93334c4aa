"""The first kernels, and the bug clinic: patients, chart and cures."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course import kernellab as lab
from course.cuda import clinic, cures, maps, patients
from course.cuda.chart import chart
from course.tensor.layout import Layout

SIZES = [1, 2, 7, 8, 9, 31, 40]
PATIENTS = {number: getattr(patients, f"patient_{number}") for number in clinic.LAUNCHES}
WARD = list(PATIENTS.values())


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).integers(-9, 10, shape).astype(np.float32)


def zeros(*shape):
    return np.full(shape, 77, np.float32)  # a place that is left out shows


def blocks(n, size=8):
    return -(-n // size)


def clean(kernel, *arguments):
    report = lab.watch(kernel, *arguments)
    lab.assert_clean(report)
    return report


def test_double_and_add():
    a, b, out = numbers(24), numbers(24, seed=1), zeros(24)
    assert clean(maps.double[1, 24], a, out).coalescing == 1
    assert np.array_equal(out, 2 * a)
    assert clean(maps.add[3, 8], a, b, out).coalescing == 1
    assert np.array_equal(out, a + b)


@pytest.mark.parametrize("n", [0, *SIZES])
def test_relu_of_any_size(n):
    x, out = numbers(n), zeros(n)
    clean(maps.relu[blocks(n) + 1, 8], x, out)
    assert np.array_equal(out, np.maximum(x, 0))


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (9, 2), (4, 40), (2, 33)])
def test_two_dimensions(shape):
    rows, columns = shape
    grid = blocks(columns), blocks(rows, 2)
    x, row, out = numbers(*shape), numbers(columns, seed=1), zeros(*shape)
    clean(maps.invert[grid, (8, 2)], x, out)
    assert np.array_equal(out, 1 - x)
    clean(maps.add_row[grid, (8, 2)], x, row, out)
    assert np.array_equal(out, x + row)
    clean(maps.add_row[grid, (8, 2)], x, row[:1], out)
    assert np.array_equal(out, x + row[0])


def test_x_runs_along_rows():
    x, out = numbers(4, 64), zeros(4, 64)
    assert clean(maps.invert[(2, 2), (32, 2)], x, out).coalescing == 1


@st.composite
def layouts(draw):
    """Views of a small array: transposed, cut, turned round, stretched."""
    shape = tuple(draw(st.lists(st.integers(1, 4), min_size=1, max_size=4)))
    axes = range(len(shape))
    strides, low, high = [], 0, 0
    for axis in axes:
        stride = draw(st.integers(-3, 3))
        strides.append(stride)
        low += min(0, stride * (shape[axis] - 1))
        high += max(0, stride * (shape[axis] - 1))
    return Layout(shape, tuple(strides), -low), high - low + 1


@settings(max_examples=20, deadline=None)
@given(layouts())
def test_strided_copies_every_layout(case):
    layout, length = case
    x, out = numbers(length), zeros(layout.size)
    itemsize = x.itemsize
    view = np.lib.stride_tricks.as_strided(
        x[layout.offset :], layout.shape, [itemsize * stride for stride in layout.strides]
    )
    grid = blocks(layout.size)
    clean(maps.strided[grid, 8], x, layout.shape, layout.strides, layout.offset, out)
    assert np.array_equal(out, view.reshape(-1))


@pytest.mark.parametrize("launch", [(1, 1), (1, 7), (3, 8), (9, 16)])
def test_axpy_with_any_launch(launch):
    x, y, out = numbers(50), numbers(50, seed=1), zeros(50)
    report = clean(maps.axpy[launch], np.float32(3), x, y, out)
    assert np.array_equal(out, 3 * x + y)
    assert report.most_reads("x") == report.most_writes("out") == 1


def test_axpy_is_coalesced_with_few_threads():
    x, y, out = numbers(256), numbers(256), zeros(256)
    assert clean(maps.axpy[1, 32], np.float32(1), x, y, out).coalescing == 1


def test_compiled_kernels_give_the_same():
    x, out = numbers(37), zeros(37)
    maps.relu[5, 8](x, out)
    assert np.array_equal(out, np.maximum(x, 0))
    maps.axpy[2, 8](np.float32(2), x, x, out)
    assert np.array_equal(out, 3 * x)
    maps.strided[2, 32](x[:36].copy(), (4, 9), (1, 4), 0, out[:36])
    assert np.array_equal(out[:36], x[:36].reshape(9, 4).T.reshape(-1))
    cures.distances[5, 8](x, out)
    assert np.array_equal(out, np.abs(x[:, None] - x).sum(axis=1))


@pytest.mark.parametrize("number", PATIENTS)
def test_a_patient_has_one_illness_and_it_shows(number):
    found = {
        (fault.kind, fault.array)
        for n in (1, 8, 20, *clinic.SIZES)
        for fault in clinic.examine(PATIENTS[number], n).faults
    }
    finding = chart()[number]
    assert found == (set() if finding is None else {finding})
    assert not clinic.examine(PATIENTS[number], 8).faults or number in range(3, 19)


def test_a_chart_is_confirmed_or_not():
    right = chart()
    assert clinic.unconfirmed(right, WARD) == []
    assert clinic.unconfirmed({}, WARD) == list(PATIENTS)
    wrong = right | {1: ("race", "x"), 2: None, 5: ("race", "x"), 11: ("divergent barrier", "tile")}
    assert clinic.unconfirmed(wrong, WARD) == [1, 2, 5, 11]


def test_the_clinic_examines_what_it_has_room_for():
    with pytest.raises(ValueError, match="1 to 32"):
        clinic.examine(patients.patient_1, 33)


@pytest.mark.parametrize("n", SIZES)
def test_cures(n):
    x, out, grid = numbers(n), zeros(n), blocks(n)
    assert clean(cures.shift[grid, 8], x, out).ok
    assert np.array_equal(out, np.append(x[1:], x[-1:]))

    one = np.array([5], np.float32)
    report = clean(cures.total[grid + 1, 8], x, one)
    assert one[0] == 5 + x.sum() and report.per_thread["global loads"] <= 1

    report = clean(cures.left_mean[grid, 8], x, out)
    starts = np.arange(n) // 8 * 8
    assert np.array_equal(out, (x + x[np.maximum(np.arange(n) - 1, starts)]) / 2)
    assert report.most_reads("x") == 1

    sums = zeros(grid + 1)
    report = clean(cures.block_sums[grid + 1, 8], x, sums)
    padded = np.append(x, np.zeros((grid + 1) * 8 - n, np.float32))
    assert np.array_equal(sums, padded.reshape(-1, 8).sum(axis=1))
    assert report.per_thread["global loads"] <= 1

    report = clean(cures.distances[grid, 8], x, out)
    assert np.array_equal(out, np.abs(x[:, None] - x).sum(axis=1))
    assert report.per_thread["global loads"] <= 1 + grid
