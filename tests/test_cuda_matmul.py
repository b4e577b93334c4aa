"""The matrix products of course.cuda: right for every size, clean, and each with less traffic."""

from itertools import pairwise

import numpy as np
import pytest
from numba import cuda

from course import kernellab as lab
from course.cuda.matmul import (
    PER,
    SIDE,
    TILE,
    blocked_launch,
    matmul_blocked,
    matmul_coalesced,
    matmul_naive,
    matmul_tiled,
)


def blocks(n):
    return -(-n // SIDE)


def launch(kernel, m, n):
    if kernel is matmul_blocked:
        return blocked_launch(m, n)
    along = (blocks(m), blocks(n)) if kernel is matmul_naive else (blocks(n), blocks(m))
    return along, (SIDE, SIDE)


def batched(kernel, *matrices):
    return [x[None] if kernel is matmul_blocked else x for x in matrices]


def matrices(m, k, n, seed=0):
    rng = np.random.default_rng(seed)
    a, b = rng.standard_normal((m, k)), rng.standard_normal((k, n))
    return a.astype(np.float32), b.astype(np.float32), np.full((m, n), 9, np.float32)


KERNELS = [matmul_naive, matmul_coalesced, matmul_tiled, matmul_blocked]
SIZES = [(1, 1, 1), (3, 5, 2), (17, 16, 15), (20, 33, 70), (5, 0, 4)]


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda k: k.py_func.__name__)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_products_of_any_size_are_right_and_clean(kernel, size):
    a, b, out = matrices(*size)
    report = lab.watch(
        kernel[launch(kernel, *out.shape)], *batched(kernel, a, b, out), orders=["random"]
    )
    assert report.ok, str(report)
    np.testing.assert_allclose(out, a @ b, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda k: k.py_func.__name__)
def test_compiled_products(kernel):
    a, b, out = matrices(130, 70, 67)
    for _ in range(2):  # the first launch of a shape is other code
        kernel[launch(kernel, *out.shape)](*batched(kernel, a, b, out))
        np.testing.assert_allclose(out, a @ b, rtol=1e-4, atol=1e-4)


def test_a_batch():
    rng = np.random.default_rng(1)
    a = rng.standard_normal((3, 20, 18)).astype(np.float32)
    b = rng.standard_normal((3, 18, 70)).astype(np.float32)
    out = np.zeros((3, 20, 70), np.float32)
    report = lab.check(matmul_blocked[blocked_launch(20, 70, 3)], a, b, out, orders=["forward"])
    assert report.ok
    matmul_blocked[blocked_launch(20, 70, 3)](a, b, out)
    np.testing.assert_allclose(out, a @ b, rtol=1e-5, atol=1e-5)


def test_each_kernel_moves_less():
    n = TILE
    a, b, out = matrices(n, n, n)
    reports = {
        kernel: lab.watch(
            kernel[launch(kernel, n, n)], *batched(kernel, a, b, out), orders=["forward"]
        )
        for kernel in KERNELS
    }
    naive, coalesced, tiled, blocked = (reports[kernel] for kernel in KERNELS)
    assert naive.coalescing < 0.2 and min(tiled.coalescing, blocked.coalescing) > 0.9
    sectors = [report.cost.sectors for report in (naive, coalesced, tiled, blocked)]
    assert all(more > 2 * less for more, less in pairwise(sectors))
    assert coalesced.most_reads("a") == n
    assert tiled.most_reads("a") == tiled.most_reads("b") == n // SIDE
    assert blocked.most_reads("a") == blocked.most_reads("b") == 1 == n // TILE
    assert tiled.bank_ways == 1
    shared = [r.cost.loads["shared"] / (2 * n**3) for r in (tiled, blocked)]
    assert shared[1] <= shared[0]  # loads of shared memory for each operation
    assert PER * SIDE == TILE


@pytest.mark.skipif(not cuda.is_available(), reason="no GPU")
def test_on_a_gpu():
    a, b, out = matrices(300, 200, 100)
    matmul_blocked[blocked_launch(300, 100)](a[None], b[None], out[None])
    np.testing.assert_allclose(out, a @ b, rtol=1e-3, atol=1e-3)
