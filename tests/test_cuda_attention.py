"""course.cuda's attention: equal to float64 and to PyTorch, without faults, and linear in memory if flash."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import cuda

from course import kernellab as lab
from course.cuda.attention import BLOCK, attention, blocks
from course.cuda.attention_kernels import attention_output, attention_scores
from course.cuda.flash import flash, flash_forward, flash_with_logsumexp, scale_for
from course.cuda.flash_backward import flash_backward_dk_dv, flash_backward_dq, flash_gradients
from course.cuda.flash_terms import row_dots

Array = np.ndarray
SHAPES = [(1, 1, 1), (2, 9, 3), (1, 8, 4), (1, 7, 5)]
ROWS = 4
CAUSAL = pytest.mark.parametrize("causal", [True, False])


def normal(*shape: int, seed: int = 0) -> Array:
    """Random float32."""
    return np.random.default_rng([seed, *shape]).normal(size=shape).astype(np.float32)


def room(*shape: int) -> Array:
    """An array that a kernel must fill: no number in it is right by accident."""
    return np.full(shape, np.nan, np.float32)


def inputs(*shape: int) -> list[Array]:
    """q, k, v, and a gradient by the output."""
    return [normal(*shape, seed=seed) for seed in range(4)]


def expected(q: Array, k: Array, v: Array, grad: Array, causal: bool) -> dict[str, Array]:
    """All results, in float64."""
    q, k, v, grad = (x.astype(np.float64) for x in (q, k, v, grad))
    scale, t = 1 / math.sqrt(q.shape[2]), q.shape[1]
    scores = scale * q @ k.swapaxes(1, 2)
    if causal:
        scores[:, np.triu(np.ones((t, t), bool), 1)] = -np.inf
    peak = scores.max(2, keepdims=True)
    logsumexp = peak + np.log(np.exp(scores - peak).sum(2, keepdims=True))
    p = np.exp(scores - logsumexp)
    out = p @ v
    delta = (grad * out).sum(2, keepdims=True)
    dscores = scale * p * (grad @ v.swapaxes(1, 2) - delta)
    return {
        "scores": scores,
        "probabilities": p,
        "out": out,
        "logsumexp": logsumexp[:, :, 0],
        "delta": delta[:, :, 0],
        "dq": dscores @ k,
        "dk": dscores.swapaxes(1, 2) @ q,
        "dv": p.swapaxes(1, 2) @ grad,
    }


def assert_near(actual: Array, wanted: Array) -> None:
    """Equal to 1e-5, and the same shape."""
    assert actual.shape == wanted.shape
    np.testing.assert_allclose(actual, wanted, rtol=1e-5, atol=1e-5)


def forward(
    q: Array, k: Array, v: Array, causal: bool, rows: int = ROWS
) -> tuple[lab.Report, Array, Array]:
    """A launch of flash attention under the checker's eyes, in small tiles."""
    batch, t, d = q.shape
    out, logsumexp = room(batch, t, d), room(batch, t)
    kernel = flash_forward(d, rows)[(-(-t // rows), batch), rows]
    report = lab.watch(kernel, q, k, v, scale_for(d), causal, out, logsumexp)
    return report, out, logsumexp


@CAUSAL
@pytest.mark.parametrize("shape", SHAPES)
def test_scores_and_output(shape: tuple[int, ...], causal: bool) -> None:
    q, k, v, grad = inputs(*shape)
    batch, t, d = shape
    right = expected(q, k, v, grad, causal)
    scores, out = room(batch, t, t), room(*shape)
    grid = (-(-t // 4), -(-t // 2) + 1, batch)
    lab.assert_clean(lab.watch(attention_scores[grid, (4, 2)], q, k, scale_for(d), causal, scores))
    assert_near(scores, right["scores"])
    p = right["probabilities"].astype(np.float32)
    grid = (-(-d // 4), -(-t // 2) + 1, batch)
    lab.assert_clean(lab.watch(attention_output[grid, (4, 2)], p, v, out))
    assert_near(out, right["out"])


@CAUSAL
@pytest.mark.parametrize("shape", SHAPES)
def test_flash_forward(shape: tuple[int, ...], causal: bool) -> None:
    q, k, v, grad = inputs(*shape)
    right = expected(q, k, v, grad, causal)
    report, out, logsumexp = forward(q, k, v, causal)
    lab.assert_clean(report)
    assert_near(out, right["out"])
    assert_near(logsumexp, right["logsumexp"])


@CAUSAL
@pytest.mark.parametrize("shape", SHAPES)
def test_flash_backward(shape: tuple[int, ...], causal: bool) -> None:
    q, k, v, grad = inputs(*shape)
    batch, t, d = shape
    right = expected(q, k, v, grad, causal)
    n, grid = batch * t, (-(-t // ROWS), batch)
    out = right["out"].astype(np.float32)
    delta = room(n)
    lab.assert_clean(
        lab.watch(row_dots[-(-n // 4), 4], grad.reshape(n, d), out.reshape(n, d), delta)
    )
    assert_near(delta.reshape(batch, t), right["delta"])
    logsumexp = right["logsumexp"].astype(np.float32)
    given = (q, k, v, grad, logsumexp, delta.reshape(batch, t), scale_for(d), causal)
    dq, dk, dv = (room(*shape) for _ in range(3))
    lab.assert_clean(lab.watch(flash_backward_dq(d, ROWS)[grid, ROWS], *given, dq))
    lab.assert_clean(lab.watch(flash_backward_dk_dv(d, ROWS)[grid, ROWS], *given, dk, dv))
    assert_near(dq, right["dq"])
    assert_near(dk, right["dk"])
    assert_near(dv, right["dv"])


@settings(max_examples=12, deadline=None, derandomize=True)
@given(st.integers(1, 11), st.integers(1, 4), st.booleans(), st.sampled_from([0.1, 1.0, 30.0]))
def test_flash_forward_of_any_length(t: int, rows: int, causal: bool, spread: float) -> None:
    q, k, v, grad = inputs(1, t, 2)
    q = np.float32(spread) * q
    right = expected(q, k, v, grad, causal)
    report, out, logsumexp = forward(q, k, v, causal, rows)
    lab.assert_clean(report)
    assert_near(out, right["out"])
    assert_near(logsumexp, right["logsumexp"])


def test_scores_too_large_for_exp() -> None:
    q, k, v, grad = inputs(1, 6, 2)
    q, k = q + np.float32(20), k + np.float32(20)  # scores of about 570; exp(89) is too large
    right = expected(q, k, v, grad, False)
    _, out, logsumexp = forward(q, k, v, False)
    np.testing.assert_allclose(out, right["out"], rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(logsumexp, right["logsumexp"], rtol=1e-6)


def test_a_causal_block_loads_no_tile_that_it_cannot_see() -> None:
    q, k, v, _ = inputs(1, 16, 2)
    report = forward(q, k, v, True)[0]
    assert [report.reads["k"][0, j, 0] for j in range(0, 16, ROWS)] == [4, 3, 2, 1]
    report = forward(q, k, v, False)[0]
    assert [report.reads["k"][0, j, 0] for j in range(0, 16, ROWS)] == [4, 4, 4, 4]


def test_tiles_are_loaded_side_by_side_and_read_without_bank_conflicts() -> None:
    q, k, v, _ = inputs(1, 64, 8)
    batch, t, d = q.shape
    out, logsumexp = room(batch, t, d), room(batch, t)
    kernel = flash_forward(d, 32)[(2, 1), 32]
    report = lab.check(kernel, q, k, v, scale_for(d), False, out, logsumexp, orders=["forward"])
    tiles = [t for t in report.traffic.values() if t.site.text.startswith("source")]
    assert len(tiles) == 1 and all(t.efficiency == 1 for t in tiles)
    assert report.bank_ways == 1


def test_bytes_are_linear_for_flash_and_quadratic_for_three_kernels() -> None:
    flash_bytes, score_bytes = [], []
    for t in (16, 32):
        q, k, v, _ = inputs(1, t, 2)
        flash_bytes.append(forward(q, k, v, False, 16)[0].dram_bytes)
        scores = room(1, t, t)
        launch = attention_scores[blocks(t, t, 1), BLOCK]
        score_bytes.append(
            lab.watch(launch, q, k, scale_for(2), True, scores, orders=["forward"]).dram_bytes
        )
    assert flash_bytes == [4 * (4 * 16 * 2 + 16), 4 * (4 * 32 * 2 + 32)]
    assert score_bytes == [4 * (2 * 16 * 2 + 16 * 16), 4 * (2 * 32 * 2 + 32 * 32)]


Q = np.array([[[1, 0], [0, 1], [1, 1]]], np.float32)
K = np.array([[[1, 2], [0, 1], [-1, 0]]], np.float32)
V = np.array([[[1, 0], [0, 2], [3, 1]]], np.float32)
GRAD = np.array([[[1, 2], [-1, 0], [0, 1]]], np.float32)


def test_stored_values() -> None:
    """Computed with PyTorch in float64."""
    stored = {
        True: {
            "out": [[1.0, 0.0], [0.669762, 0.660477], [0.904083, 0.418776]],
            "dq": [[0.0, 0.0], [-0.156399, -0.156399], [-0.246049, -0.246049]],
            "dk": [[-0.227395, -0.383794], [0.208741, 0.36514], [0.018654, 0.018654]],
            "dv": [[0.330238, 2.767918], [-0.330238, 0.186694], [0.0, 0.045388]],
        },
        False: {
            "out": [[0.996063, 0.70802], [0.996063, 0.70802], [0.904083, 0.418776]],
            "dq": [[-0.831358, -0.831358], [0.196818, 0.196818], [-0.246049, -0.246049]],
            "dk": [[-0.802511, -0.228999], [0.527615, 0.408766], [0.274896, -0.179767]],
            "dv": [[0.0, 1.919869], [0.0, 0.754685], [0.0, 0.325447]],
        },
    }
    for causal, values in stored.items():
        right = expected(Q, K, V, GRAD, causal)
        for name, value in values.items():
            np.testing.assert_allclose(right[name][0], value, atol=1e-6)
        assert_near(attention(Q, K, V, causal), right["out"])
        assert_near(forward(Q, K, V, causal)[1], right["out"])


@pytest.fixture(scope="module")
def compiled() -> dict[str, Any]:
    """All results on the default engine: t is no multiple of a tile."""
    q, k, v, grad = inputs(2, 70, 8)
    results: dict[str, Any] = {"inputs": (q, k, v, grad)}
    for causal in (True, False):
        out, logsumexp = flash_with_logsumexp(q, k, v, causal)
        gradients = flash_gradients(q, k, v, out, logsumexp, grad, causal)
        results[f"{causal}"] = (attention(q, k, v, causal), out, logsumexp, *gradients)
    return results


@CAUSAL
def test_host_functions(compiled: dict[str, Any], causal: bool) -> None:
    right = expected(*compiled["inputs"], causal)
    names = ("out", "out", "logsumexp", "dq", "dk", "dv")
    for name, actual in zip(names, compiled[f"{causal}"]):
        assert_near(actual, right[name])


@CAUSAL
def test_against_pytorch(compiled: dict[str, Any], causal: bool) -> None:
    torch = pytest.importorskip("torch")
    q, k, v, grad = (torch.tensor(x, requires_grad=True) for x in compiled["inputs"])
    out = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=causal)
    gradients = torch.autograd.grad(out, (q, k, v), grad)
    ours = compiled[f"{causal}"]
    for actual, theirs in zip((ours[0], ours[1], *ours[3:]), (out, out, *gradients)):
        np.testing.assert_allclose(actual, theirs.detach().numpy(), rtol=1e-4, atol=1e-5)


def test_device_arrays_stay_on_the_device() -> None:
    q, k, v, grad = inputs(2, 70, 8)
    on_device = [cuda.to_device(x) for x in (q, k, v, grad)]
    right = expected(q, k, v, grad, True)
    assert_near(attention(*on_device[:3]).copy_to_host(), right["out"])
    assert_near(flash(*on_device[:3]).copy_to_host(), right["out"])
    out, logsumexp = flash_with_logsumexp(*on_device[:3])
    gradients = flash_gradients(*on_device[:3], out, logsumexp, on_device[3])
    assert_near(out.copy_to_host(), right["out"])
    for name, actual in zip(("dq", "dk", "dv"), gradients):
        assert_near(actual.copy_to_host(), right[name])


@pytest.mark.parametrize("shape", [(0, 3, 2), (2, 0, 4), (2, 3, 0)])
def test_nothing_to_attend_to(shape: tuple[int, ...]) -> None:
    q, k, v, grad = inputs(*shape)
    out, logsumexp = flash_with_logsumexp(q, k, v)
    assert attention(q, k, v).shape == out.shape == shape
    assert [x.shape for x in flash_gradients(q, k, v, out, logsumexp, grad)] == [shape] * 3
