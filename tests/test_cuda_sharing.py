"""Kernels whose threads share: histograms, stencil, sums, scan, transpose."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import cuda

from course import kernellab as lab
from course.cuda import histogram, reduce, scan, stencil, transpose

SUMS = [reduce.sum_interleaved, reduce.sum_strided, reduce.sum_sequential]
GRID_SUMS = [reduce.sum_loaded, reduce.sum_shuffled]
TRANSPOSES = [transpose.transpose_naive, transpose.transpose_tiled, transpose.transpose_padded]
SIZES = [1, 2, 63, 64, 65, 200, 513]


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).integers(-9, 10, shape).astype(np.float32)


def zeros(*shape):
    return np.full(shape, 77, np.float32)  # a place that is left out shows


def blocks(n, size):
    return -(-n // size)


def clean(kernel, *arguments):
    report = lab.watch(kernel, *arguments)
    lab.assert_clean(report)
    return report


def requests(report):
    """How often a warp asked for something in shared memory."""
    return sum(traffic.requests for traffic in report.traffic.values() if traffic.space == "shared")


@pytest.mark.parametrize("n", [0, *SIZES])
def test_histograms(n):
    x = np.random.default_rng(n).integers(0, histogram.BINS, n).astype(np.int32)
    expected = np.bincount(x, minlength=histogram.BINS)
    counts = np.zeros(histogram.BINS, np.int32)
    clean(histogram.histogram_atomic[blocks(n, 64) + 1, 64], x, counts)
    assert np.array_equal(counts, expected)
    report = clean(histogram.histogram_private[2, 64], x, counts)
    assert np.array_equal(counts, 2 * expected)  # counts are added to what is there
    assert report.most_writes("counts") <= 2  # blocks


@pytest.mark.parametrize("n", SIZES)
def test_blur(n):
    x, out = numbers(n), zeros(n)
    report = clean(stencil.blur[blocks(n, stencil.BLOCK), stencil.BLOCK], x, out)
    width = 2 * stencil.RADIUS + 1
    np.testing.assert_allclose(
        out, np.convolve(x, np.ones(width))[stencil.RADIUS :][:n] / width, rtol=1e-5, atol=1e-6
    )
    assert report.most_reads("x") <= 2  # by its own block, and in a neighbour's halo


@pytest.mark.parametrize("kernel", SUMS)
@pytest.mark.parametrize("n", [1, 255, 256, 700])
def test_sums_of_blocks(kernel, n):
    x, out = numbers(n), zeros(blocks(n, reduce.THREADS))
    clean(kernel[out.size, reduce.THREADS], x, out)
    padded = np.pad(x, (0, -n % reduce.THREADS))
    assert np.array_equal(out, padded.reshape(-1, reduce.THREADS).sum(axis=1))


@pytest.mark.parametrize("kernel", GRID_SUMS)
@pytest.mark.parametrize("n", [0, 1, 300, 1500])
def test_sums_of_parts(kernel, n):
    x, out = numbers(n), zeros(2)
    report = clean(kernel[2, reduce.THREADS], x, out)
    parts = np.pad(x, (0, -n % (2 * reduce.THREADS))).reshape(-1, 2, reduce.THREADS)
    assert np.array_equal(out, parts.sum(axis=(0, 2)))
    assert n == 0 or report.most_reads("x") == 1


def test_each_sum_mends_the_one_before():
    x = numbers(8 * reduce.THREADS)
    interleaved, strided, sequential, loaded, shuffled = (
        clean(kernel[8 if kernel in SUMS else 1, reduce.THREADS], x, zeros(8))
        for kernel in SUMS + GRID_SUMS
    )
    assert requests(strided) < requests(interleaved) / 2  # warps with a few threads at work
    assert strided.bank_ways > 2 > 1 == sequential.bank_ways  # banks that give word after word
    assert loaded.cost.barriers == sequential.cost.barriers / 8  # for the same elements
    assert requests(loaded) == requests(sequential) / 8
    assert shuffled.cost.barriers == 1
    assert shuffled.cost.shared_bytes == 4 * reduce.WARPS
    assert loaded.coalescing == shuffled.coalescing == 1


@cuda.jit
def warp_totals(x, out):
    i = cuda.grid(1)
    out[i] = reduce.warp_sum(x[i])


def test_warp_sum():
    x, out = numbers(96), zeros(96)
    clean(warp_totals[1, 96], x, out)
    assert np.array_equal(out, np.repeat(x.reshape(3, 32).sum(axis=1), 32))


@pytest.mark.parametrize("n", SIZES)
def test_scan_of_blocks(n):
    x, out, totals = numbers(n), zeros(n), zeros(blocks(n, scan.SCAN))
    clean(scan.scan_blocks[totals.size, scan.SCAN], x, out, totals)
    each = np.pad(x, (0, -n % scan.SCAN)).reshape(-1, scan.SCAN).cumsum(axis=1)
    assert np.array_equal(out, each.ravel()[:n])
    assert np.array_equal(totals, each[:, -1])
    totals = totals.cumsum(dtype=np.float32)
    clean(scan.add_totals[totals.size, scan.SCAN], totals, out)
    assert np.array_equal(out, x.cumsum())


@pytest.mark.parametrize("n", [0, *SIZES, scan.SCAN**2 + 3])
def test_scan_of_any_length(n):
    x, out = numbers(n), zeros(n)
    with lab.engine("py"):
        scan.scan(x, out)
        assert np.array_equal(out, x.cumsum())
        scan.scan(x, x)  # in place
    assert np.array_equal(x, out)


@pytest.mark.parametrize("kernel", TRANSPOSES)
@pytest.mark.parametrize("shape", [(1, 1), (5, 70), (33, 31), (64, 32)])
@pytest.mark.parametrize("rows", [8, 32])
def test_transpose(kernel, shape, rows):
    x, out = numbers(*shape), zeros(*shape[::-1])
    clean(kernel[(blocks(shape[1], 32), blocks(shape[0], 32)), (32, rows)], x, out)
    assert np.array_equal(out, x.T)


def test_each_transpose_mends_the_one_before():
    x = numbers(64, 32)
    naive, tiled, padded = (
        clean(kernel[(1, 2), (32, 8)], x, zeros(32, 64)) for kernel in TRANSPOSES
    )
    assert (naive.coalescing, tiled.coalescing, padded.coalescing) == (0.125, 1, 1)
    assert (tiled.bank_ways, padded.bank_ways) == (32, 1)
    assert padded.dram_bytes == 2 * x.nbytes


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(-99, 99), min_size=1, max_size=150))
def test_last_of_the_scan_is_the_sum(values):
    x = np.array(values, np.float32)
    out, total = np.zeros_like(x), np.zeros(1, np.float32)
    with lab.engine("py"):
        scan.scan(x, out)
        reduce.sum_shuffled[1, reduce.THREADS](x, total)
    assert out[-1] == total[0] == sum(values)


def test_compiled():
    """The default engine, on more than the checker would follow."""
    rng = np.random.default_rng(0)
    x = rng.integers(-9, 10, 100_003).astype(np.float32)
    out = np.zeros_like(x)
    scan.scan(x, out)
    assert np.array_equal(out, x.cumsum())
    stencil.blur[blocks(x.size, stencil.BLOCK), stencil.BLOCK](x, out)
    np.testing.assert_allclose(out, np.convolve(x, np.ones(5), "same") / 5, rtol=1e-5, atol=1e-6)
    for kernel in GRID_SUMS:
        sums = np.zeros(7, np.float32)
        kernel[7, reduce.THREADS](x, sums)
        assert sums.sum() == x.sum()
    bins = rng.integers(0, histogram.BINS, 100_003).astype(np.int32)
    counts = np.zeros(histogram.BINS, np.int32)
    histogram.histogram_private[8, 128](bins, counts)
    assert np.array_equal(counts, np.bincount(bins, minlength=histogram.BINS))
    image, turned = numbers(301, 257), zeros(257, 301)
    transpose.transpose_padded[(9, 10), (32, 8)](image, turned)
    assert np.array_equal(turned, image.T)
