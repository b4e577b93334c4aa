"""course.cuda's kernels for networks: equal to numpy_ops, without faults, and lean with memory."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import cuda, float32

from course import kernellab as lab
from course.cuda.adamw import adamw
from course.cuda.block import THREADS, block_max, block_sum
from course.cuda.cross_entropy import cross_entropy, cross_entropy_backward
from course.cuda.embedding import embedding, embedding_backward
from course.cuda.gelu import bias_gelu, bias_gelu_backward, gelu
from course.cuda.layernorm import layer_norm, layer_norm_backward, layer_norm_backward_parameters
from course.cuda.log_softmax import log_softmax, log_softmax_backward
from course.cuda.softmax import softmax_backward, softmax_online, softmax_three_pass
from course.tensor import numpy_ops as ops

Array = np.ndarray
SHAPES = [(1, 1), (3, 150), (2, THREADS), (2, THREADS + 1), (4, 7)]


def normal(*shape: int, seed: int = 0) -> Array:
    """Random float32."""
    return np.random.default_rng([seed, *shape]).normal(size=shape).astype(np.float32)


def room(*shape: int) -> Array:
    """An array that a kernel must fill: no number in it is right by accident."""
    return np.full(shape, np.nan, np.float32)


def for_each(count: int) -> int:
    """Blocks of THREADS threads for so many elements, and one that has nothing to do."""
    return -(-count // THREADS) + 1


def launched(kernel: Any, grid: int, *arguments: Any) -> list[Any]:
    """The arguments after a launch, which must be free of faults."""
    held = [a.copy() if isinstance(a, np.ndarray) else a for a in arguments]
    lab.assert_clean(lab.watch(kernel[grid, THREADS], *held))
    return held


def assert_near(actual: Array, expected: Array, atol: float = 1e-6) -> None:
    """Equal to 1e-5, and the same shape."""
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=atol)


@cuda.jit
def sums_and_maxima(x, out):
    t = cuda.threadIdx.x
    out[t, 0] = block_sum(x[t])
    out[t, 1] = block_sum(float32(1))
    out[t, 2] = block_max(x[t])
    out[t, 3] = block_max(-x[t])


def test_block_sum_and_max_one_after_the_other() -> None:
    x = normal(THREADS)
    out = launched(sums_and_maxima, 1, x, room(THREADS, 4))[1]
    assert_near(out, np.tile([x.sum(), THREADS, x.max(), -x.min()], (THREADS, 1)))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kernel", [softmax_three_pass, softmax_online])
def test_softmax(kernel: Any, shape: tuple[int, int]) -> None:
    x = 30 * normal(*shape)
    assert_near(launched(kernel, shape[0], x, room(*shape))[1], ops.softmax(x, 1))


@pytest.mark.parametrize("kernel", [softmax_three_pass, softmax_online])
def test_softmax_of_large_numbers_and_masked_rows(kernel: Any) -> None:
    x = normal(4, 130)
    x[0] += 1e4
    x[1] -= 1e4
    x[2, 3:] = -np.inf
    x[3, :100] = -np.inf
    assert_near(launched(kernel, 4, x, room(4, 130))[1], ops.softmax(x, 1))


@pytest.mark.parametrize("kernel", [softmax_three_pass, softmax_online])
def test_softmax_of_a_row_that_is_all_masked_is_nan(kernel: Any) -> None:
    x = np.full((2, 70), -np.inf, np.float32)
    x[1] = 1
    out = launched(kernel, 2, x, room(2, 70))[1]
    assert np.isnan(out[0]).all()
    assert_near(out[1], np.full(70, 1 / 70, np.float32))


@settings(max_examples=15, deadline=None, derandomize=True)
@given(st.integers(1, 3), st.integers(1, 200), st.sampled_from([0.01, 1.0, 100.0]))
def test_softmax_online_is_softmax(n: int, width: int, spread: float) -> None:
    x = np.float32(spread) * normal(n, width)
    assert_near(launched(softmax_online, n, x, room(n, width))[1], ops.softmax(x, 1))


@pytest.mark.parametrize("shape", SHAPES)
def test_softmax_backward(shape: tuple[int, int]) -> None:
    y, grad = ops.softmax(normal(*shape), 1), normal(*shape, seed=1)
    out = launched(softmax_backward, shape[0], y, grad, room(*shape))[2]
    assert_near(out, ops.softmax_backward(y, grad, 1))


@pytest.mark.parametrize("shape", SHAPES)
def test_log_softmax(shape: tuple[int, int]) -> None:
    x, grad = normal(*shape), normal(*shape, seed=1)
    y = ops.log_softmax(x, 1)
    assert_near(launched(log_softmax, shape[0], x, room(*shape))[1], y)
    out = launched(log_softmax_backward, shape[0], y, grad, room(*shape))[2]
    assert_near(out, ops.log_softmax_backward(y, grad, 1))


@pytest.mark.parametrize("shape", SHAPES)
def test_layer_norm(shape: tuple[int, int]) -> None:
    n, width = shape
    x, weight, bias, grad = (
        normal(n, width),
        normal(width),
        normal(width, seed=1),
        normal(n, width, seed=2),
    )
    out, y, scale = ops.layer_norm(x, weight, bias, 1e-5)
    after = launched(layer_norm, n, x, weight, bias, 1e-5, room(n, width), room(n, width), room(n))
    assert_near(after[4], out)
    assert_near(after[5], y)
    assert_near(after[6], scale[:, 0])
    dx, dweight, dbias = ops.layer_norm_backward(y, scale, weight, grad)
    after = launched(layer_norm_backward, n, y, scale[:, 0].copy(), weight, grad, room(n, width))
    np.testing.assert_allclose(
        after[4], dx, rtol=1e-4 if width == 1 else 1e-5, atol=1e-4 if width == 1 else 2e-6
    )
    after = launched(
        layer_norm_backward_parameters, for_each(width), y, grad, room(width), room(width)
    )
    assert_near(after[2], dweight)
    assert_near(after[3], dbias)


def test_layer_norm_far_from_zero() -> None:
    x = normal(2, 100) + np.float32(1000)
    one, zero = np.ones(100, np.float32), np.zeros(100, np.float32)
    y = launched(layer_norm, 2, x, one, zero, 1e-5, room(2, 100), room(2, 100), room(2))[5]
    wide = x.astype(np.float64)
    expected = (wide - wide.mean(1, keepdims=True)) / np.sqrt(wide.var(1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(y, expected, atol=1e-3)  # of x itself, float32 knows 6e-5


@pytest.mark.parametrize("shape", SHAPES)
def test_bias_gelu(shape: tuple[int, int]) -> None:
    n, width = shape
    x, bias, grad = 3 * normal(n, width), normal(width), normal(n, width, seed=1)
    y, slope = ops.gelu(x + bias)
    assert_near(launched(bias_gelu, for_each(x.size), x, bias, room(n, width))[2], y)
    assert_near(
        launched(bias_gelu_backward, for_each(x.size), x, bias, grad, room(n, width))[3],
        grad * slope,
        atol=1e-5,  # 1 + t, where t is nearly -1, has few digits left
    )
    flat = launched(gelu, for_each(x.size), (x + bias).ravel(), room(x.size), room(x.size))
    assert_near(flat[1], y.ravel())
    assert_near(flat[2], slope.ravel(), atol=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize(
    ("shape", "ignore"), [((1, 1), -100), ((5, 150), -100), ((5, 7), 2), ((3, THREADS), 0)]
)
def test_cross_entropy(shape: tuple[int, int], ignore: int, smoothing: float) -> None:
    n, classes = shape
    logits, grad = 10 * normal(n, classes), normal(n)
    targets = np.random.default_rng(0).integers(0, classes, n)
    targets[n // 2] = ignore
    losses, probabilities = ops.cross_entropy(logits, targets, ignore, smoothing)
    after = launched(
        cross_entropy, n, logits, targets, ignore, smoothing, room(n), room(n, classes)
    )
    np.testing.assert_allclose(after[4], losses, rtol=1e-5, atol=1e-5)
    assert_near(after[5], probabilities)
    expected = ops.cross_entropy_backward(probabilities, targets, grad, ignore, smoothing)
    after = launched(
        cross_entropy_backward,
        for_each(logits.size),
        probabilities,
        targets,
        grad,
        ignore,
        smoothing,
        room(n, classes),
    )
    assert_near(after[5], expected)


def test_cross_entropy_with_classes_that_are_impossible() -> None:
    logits = normal(2, 9)
    logits[:, 4:7] = -np.inf
    targets = np.array([1, 8])
    losses, _ = ops.cross_entropy(logits, targets, -100, 0.0)
    after = launched(cross_entropy, 2, logits, targets, -100, 0.0, room(2), room(2, 9))
    assert_near(after[4], losses)


@pytest.mark.parametrize(("rows", "n", "width"), [(1, 1, 1), (7, 30, 20), (50, 3, 65)])
def test_embedding(rows: int, n: int, width: int) -> None:
    table, indices = normal(rows, width), np.random.default_rng(0).integers(0, rows, n)
    grad = normal(n, width)
    out = launched(embedding, for_each(grad.size), table, indices, room(n, width))[2]
    np.testing.assert_array_equal(out, table[indices])
    dtable = launched(
        embedding_backward, for_each(grad.size), indices, grad, np.zeros((rows, width), np.float32)
    )[2]
    assert_near(dtable, ops.embedding_backward(rows, indices, grad))


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_adamw(decay: float) -> None:
    w, m, v = normal(100), np.zeros(100, np.float32), np.zeros(100, np.float32)
    expected = w.copy(), m.copy(), v.copy()
    for step in range(1, 5):
        grad = normal(100, seed=step)
        corrections = 1 - 0.9**step, 1 - 0.999**step
        w, _, m, v = launched(
            adamw, for_each(100), w, grad, m, v, 1e-2, 0.9, 0.999, 1e-8, decay, *corrections
        )[:4]
        ops.adam_update(expected[0], grad, *expected[1:], step, 1e-2, 0.9, 0.999, 1e-8, decay, True)
    for actual, wanted in zip((w, m, v), expected):
        assert_near(actual, wanted)


def cases(n: int, width: int) -> dict[str, tuple[Any, int, tuple[Any, ...]]]:
    """{name: (kernel, blocks, arguments)} of every kernel, where each row of the table is used."""
    x, y, weight, bias = (
        normal(n, width),
        normal(n, width, seed=1),
        normal(width),
        normal(width, seed=1),
    )
    targets = np.random.default_rng(0).integers(0, width, n)
    some = np.arange(n) % 16
    flat = [np.abs(normal(n * width, seed=k)) for k in range(4)]
    new, blocks = room(n, width), for_each(n * width)
    out = {
        "softmax_three_pass": (softmax_three_pass, n, (x, new)),
        "softmax_online": (softmax_online, n, (x, new)),
        "softmax_backward": (softmax_backward, n, (x, y, new)),
        "layer_norm": (layer_norm, n, (x, weight, bias, 1e-5, new, room(n, width), room(n))),
        "layer_norm_backward": (layer_norm_backward, n, (x, normal(n), weight, y, new)),
        "layer_norm_backward_parameters": (
            layer_norm_backward_parameters,
            for_each(width),
            (x, y, room(width), room(width)),
        ),
        "bias_gelu": (bias_gelu, blocks, (x, bias, new)),
        "bias_gelu_backward": (bias_gelu_backward, blocks, (x, bias, y, new)),
        "cross_entropy": (cross_entropy, n, (x, targets, -100, 0.1, room(n), new)),
        "cross_entropy_backward": (
            cross_entropy_backward,
            blocks,
            (x, targets, normal(n), -100, 0.1, new),
        ),
        "embedding": (embedding, blocks, (normal(16, width), some, new)),
        "embedding_backward": (
            embedding_backward,
            blocks,
            (some, x, np.zeros((16, width), np.float32)),
        ),
        "adamw": (adamw, blocks, (*flat, 1e-3, 0.9, 0.999, 1e-8, 0.1, 0.1, 0.001)),
    }
    return out


@pytest.mark.parametrize("name", cases(1, 1))
def test_no_more_memory_traffic_than_needed(name: str) -> None:
    kernel, blocks, arguments = cases(32, 128)[name]
    report = lab.watch(kernel[blocks, THREADS], *arguments)
    least = sum(a.nbytes for a in arguments if isinstance(a, np.ndarray))
    assert report.dram_bytes <= 1.2 * least
    assert report.coalescing > 0.9
    assert report.bank_ways == 1


@pytest.mark.parametrize(
    "name", ["softmax_online", "layer_norm", "cross_entropy", "embedding_backward"]
)
def test_compiled_the_results_are_the_same(name: str) -> None:
    kernel, blocks, arguments = cases(3, 70)[name]
    expected = launched(kernel, blocks, *arguments)
    kernel[blocks, THREADS](*arguments)
    for actual, wanted in zip(arguments, expected):
        np.testing.assert_array_equal(actual, wanted)


def test_values_that_are_known() -> None:
    x = np.array([[1, 2, 3]], np.float32)
    zero = np.zeros(3, np.float32)
    probabilities = np.array([[0.09003057, 0.24472847, 0.66524096]], np.float32)
    assert_near(launched(softmax_online, 1, x, room(1, 3))[1], probabilities)
    after = launched(cross_entropy, 1, x, np.array([1]), -100, 0.0, room(1), room(1, 3))
    assert_near(after[4], np.array([1.407606], np.float32))
    gelus = np.array([[0.841192, 1.9545977, 2.9963627]], np.float32)
    assert_near(launched(bias_gelu, 1, x, zero, room(1, 3))[2], gelus)
    after = launched(layer_norm, 1, x, zero + 1, zero, 1e-5, room(1, 3), room(1, 3), room(1))
    assert_near(after[4], np.array([[-1.2247357, 0, 1.2247357]], np.float32))


def test_values_of_torch() -> None:
    torch = pytest.importorskip("torch")
    x, weight, bias, grad = normal(3, 20), normal(20), normal(20, seed=1), normal(3, 20, seed=1)
    tx = torch.tensor(x, requires_grad=True)
    out = torch.nn.functional.layer_norm(tx, (20,), torch.tensor(weight), torch.tensor(bias))
    out.backward(torch.tensor(grad))
    after = launched(layer_norm, 3, x, weight, bias, 1e-5, room(3, 20), room(3, 20), room(3))
    assert_near(after[4], out.detach().numpy())
    dx = launched(layer_norm_backward, 3, after[5], after[6], weight, grad, room(3, 20))[4]
    assert_near(dx, tx.grad.numpy())
    logits = torch.tensor(x)
    targets = np.array([3, -100, 19])
    losses = torch.nn.functional.cross_entropy(
        logits, torch.tensor(targets), reduction="none", label_smoothing=0.2, ignore_index=-100
    )
    after = launched(cross_entropy, 3, x, targets, -100, 0.2, room(3), room(3, 20))
    assert_near(after[4], losses.numpy())
