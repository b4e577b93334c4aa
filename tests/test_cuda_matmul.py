"""The matrix products of course.cuda: right for every size, clean, and each with less traffic."""

import numpy as np
import pytest

from course import kernellab as lab
from course.cuda.matmul import (
    blocked_launch,
    matmul_blocked,
    matmul_coalesced,
    matmul_naive,
    matmul_tiled,
)
from course.cuda.roofline import bytes_moved, roofline
from course.cuda.tiles import PER, SIDE, TILE

KERNELS = [matmul_naive, matmul_coalesced, matmul_tiled, matmul_blocked]
SIZES = [(1, 1, 1), (3, 5, 2), (17, 16, 15), (20, 18, 70), (5, 0, 4)]


def launch(kernel, m, n):
    if kernel is matmul_blocked:
        return blocked_launch(m, n)
    x, y = (SIDE, SIDE) if kernel is matmul_tiled else (32, 4)
    if kernel is matmul_naive:
        m, n = n, m
    return (-(-n // x), -(-m // y)), (x, y)


def matrices(*batch, m, k, n):
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((*batch, m, k)), rng.standard_normal((*batch, k, n))
    return a.astype(np.float32), b.astype(np.float32), np.full((*batch, m, n), np.nan, np.float32)


def batched(kernel, *arrays):
    return [x[None] for x in arrays] if kernel is matmul_blocked else arrays


def name(kernel):
    return kernel.py_func.__name__


@pytest.mark.parametrize("kernel", KERNELS, ids=name)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_products_of_any_size_are_right_and_clean(kernel, size):
    m, k, n = size
    a, b, out = matrices(m=m, k=k, n=n)
    report = lab.watch(kernel[launch(kernel, m, n)], *batched(kernel, a, b, out), orders=["random"])
    assert report.ok, str(report)
    np.testing.assert_allclose(out, a @ b, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kernel", KERNELS, ids=name)
def test_compiled_products(kernel):
    a, b, out = matrices(m=130, k=70, n=67)
    for _ in range(2):  # the first launch of a shape is other code
        kernel[launch(kernel, 130, 67)](*batched(kernel, a, b, out))
        np.testing.assert_allclose(out, a @ b, rtol=1e-4, atol=1e-4)


def test_a_batch():
    a, b, out = matrices(3, m=20, k=18, n=33)
    report = lab.watch(matmul_blocked[blocked_launch(20, 33, 3)], a, b, out, orders=["random"])
    assert report.ok
    np.testing.assert_allclose(out, a @ b, rtol=1e-5, atol=1e-5)
    out[...] = np.nan
    matmul_blocked[blocked_launch(20, 33, 3)](a, b, out)
    np.testing.assert_allclose(out, a @ b, rtol=1e-5, atol=1e-5)


def test_each_kernel_moves_less():
    n = TILE
    reports = {}
    for kernel in KERNELS:
        arrays = batched(kernel, *matrices(m=n, k=SIDE, n=n))
        reports[kernel] = lab.watch(kernel[launch(kernel, n, n)], *arrays, orders=["forward"])
    naive, coalesced, tiled, blocked = reports.values()
    assert naive.coalescing < 0.2
    assert min(coalesced.coalescing, tiled.coalescing, blocked.coalescing) == 1
    assert coalesced.most_reads("a") == coalesced.most_reads("b") == n
    assert tiled.most_reads("a") == tiled.most_reads("b") == n // SIDE
    assert blocked.most_reads("a") == blocked.most_reads("b") == 1
    assert tiled.bank_ways == blocked.bank_ways == 1
    for report, tile in zip(reports.values(), (1, 1, SIDE, TILE)):
        assert report.bytes() == bytes_moved(n, SIDE, n, tile)


@pytest.mark.parametrize("kernel", [matmul_tiled, matmul_blocked], ids=name)
def test_bytes_at_ragged_edges(kernel):
    a, b, out = matrices(m=20, k=5, n=70)
    report = lab.watch(
        kernel[launch(kernel, 20, 70)], *batched(kernel, a, b, out), orders=["forward"]
    )
    tile = SIDE if kernel is matmul_tiled else TILE
    assert report.bytes() == bytes_moved(20, 5, 70, tile)


def test_the_roofline_is_the_larger_of_two_times():
    chip = lab.GPUS["T4"]
    assert roofline(int(chip.flops), 0, chip) == pytest.approx(1)
    assert roofline(0, int(chip.bandwidth), chip) == pytest.approx(1)
    n = 1024
    seconds = [roofline(2 * n**3, bytes_moved(n, n, n, tile), chip) for tile in (1, SIDE, TILE, n)]
    assert seconds == sorted(seconds, reverse=True)
    assert seconds[-1] == pytest.approx(2 * n**3 / chip.flops)


def test_sums_are_float32_and_nothing_is_float64():
    a = np.array([[2**25, 1, -(2**25)]], np.float32)
    b = np.ones((3, 1), np.float32)
    for kernel in KERNELS:
        out = np.ones((1, 1), np.float32)
        lab.watch(kernel[launch(kernel, 1, 1)], *batched(kernel, a, b, out), orders=["forward"])
        assert out[0, 0] == 0  # in float64 it is 1
    try:
        codes = [
            lab.asm(kernel, *batched(kernel, *matrices(m=64, k=64, n=64))) for kernel in KERNELS
        ]
    except lab.PtxUnavailable as error:
        pytest.skip(str(error))
    assert [code.lint() for code in codes] == [[]] * len(KERNELS)


def test_blocked_launch_covers_the_result():
    assert blocked_launch(TILE, TILE + 1) == ((2, 1, 1), (SIDE, SIDE))
    assert blocked_launch(1, 1, 5) == ((1, 1, 5), (SIDE, SIDE))
    assert PER * SIDE == TILE
