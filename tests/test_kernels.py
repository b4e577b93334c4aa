"""Compiled functions give what numpy's give, and step back where they should."""

import os
import subprocess
import sys

import numpy as np
import pytest

from course.tensor import Tensor, manual_seed, numpy_ops, use_kernels
from course.tensor.devices import get_device
from course.tensor.kernels import COMPILED, TABLE
from course.tensor.nn import Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential, optim


def some(*shape, dtype, seed=0):
    return np.random.default_rng(seed + sum(shape)).normal(size=shape).astype(dtype)


def with_corners(x):
    x = x.copy()
    x.reshape(-1)[:3] = [0.0, -np.inf, np.inf]
    return x


def with_nans(x):
    x = x.copy()
    x.reshape(-1)[1::5] = np.nan
    return x


def cases(dtype):
    """Arguments for each function, by its name."""
    x = some(5, 7, dtype=dtype)
    logits = some(6, 10, dtype=dtype) * 5
    masked = logits.copy()
    masked[:, 4] = -np.inf
    targets = np.array([0, 9, 3, -100, 3, 1])
    p = numpy_ops.cross_entropy(logits, targets, -100, 0.0)[1]
    images = some(2, 3, 7, 6, dtype=dtype)
    w, b = some(7, dtype=dtype), some(7, dtype=dtype, seed=1)
    y, scale = numpy_ops.layer_norm(x, w, b, 1e-5)[1:]
    rows = np.array([0, 3, 3, 1, 0])
    scores = some(2, 3, 5, 5, dtype=dtype)
    weights = numpy_ops.causal_softmax(scores, 0.3)
    geometry = [((3, 3), (1, 1), (1, 1)), ((3, 2), (2, 1), (0, 2)), ((2, 3), (1, 2), (1, 0)), ((1, 1), (3, 3), (0, 0)), ((7, 6), (1, 1), (0, 0)), ((3, 3), (2, 2), (3, 3))]  # fmt: skip
    found = {
        "relu": [(with_corners(x),), (x[::2, ::-1],), (x[:0],), (np.array([np.nan, 1], dtype),)],
        "relu_backward": [(x, x[::-1].copy()), (x.T, x.T)],
        "cross_entropy": [(z, t, i, s) for z in (logits, masked) for t, i in ((targets, -100), (np.maximum(targets, 0), 3)) for s in (0.0, 0.1) if not (s and z is masked)] + [(logits[:0], targets[:0], 0, 0.0), (logits * 100, np.maximum(targets, 0), -1, 0.0)],
        "cross_entropy_backward": [(p, targets, g, -100, s) for g in (np.asarray(0.5, dtype), some(6, dtype=dtype)) for s in (0.0, 0.1)],
        "gelu": [(x * 3,), (np.array([-90, -20, 0, 20, 90, np.nan], dtype),), (x.T,), (x[:0],)],
        "softmax": [(logits, 1), (masked, -1), (logits, 0), (logits[:0], 1), (some(2, 3, 4, dtype=dtype), 2), (logits * 100, 1), (with_nans(logits), 1)],
        "softmax_backward": [(p, logits, 1), (p, logits, 0), (p.T, logits.T, 1)],
        "causal_softmax": [(scores, 0.3), (scores * 1000, 1.0), (scores[0, 0], 0.5), (scores[:, :, :1, :1], 2.0), (scores.swapaxes(0, 1), 0.3), (scores[:0], 0.3)],
        "score_gradients": [(weights, scores, scores[..., 0], 0.3), (weights.swapaxes(0, 1), scores.swapaxes(0, 1), scores[..., 0].swapaxes(0, 1), 0.3)],
        "layer_norm": [(x, w, b, 1e-5), (x[::-1, :], w, b, 1e-3), (x[:0], w, b, 1e-5)],
        "layer_norm_backward": [(y, scale, w, some(5, 7, dtype=dtype, seed=9))],
        "embedding_backward": [(4, rows, x), (6, rows.astype(np.int32), x), (4, rows[:0], x[:0])],
        "im2col": [(images, *g) for g in geometry] + [(images[:, ::2, ::-1], *geometry[0]), (images[:0], *geometry[0])],
        "col2im": [(numpy_ops.im2col(images, *g) * 1.5, images.shape, *g) for g in geometry],
        "max_pool2d": [(np.round(images), k, s) for k, s in (((2, 2), (2, 2)), ((3, 2), (1, 2)), ((7, 6), (1, 1)))] + [(with_corners(images), (2, 2), (2, 2))],
        "max_pool2d_backward": [(numpy_ops.max_pool2d(images, k, s)[1], numpy_ops.max_pool2d(images, k, s)[0], images.shape, k, s) for k, s in (((2, 2), (2, 2)), ((3, 3), (1, 1)))],
    }  # fmt: skip
    for name, options in (
        ("sgd_update", [(0.1, 0.9, n, d) for n in (False, True) for d in (0.0, 0.1)]),
        ("adam_update", [(3, 0.1, b1, 0.999, 1e-8, d, w) for b1 in (0.0, 0.9) for d in (0.0, 0.1) for w in (False, True)]),
    ):  # fmt: skip
        arrays = [x, some(5, 7, dtype=dtype, seed=2), some(5, 7, dtype=dtype, seed=3)]
        arrays += [np.abs(x)] * (name == "adam_update")
        found[name] = [(*arrays, *o) for o in options]
        found[name].append((*[a.T for a in arrays], *options[-1]))
    found["sgd_update"].append((x, arrays[1], None, 0.1, 0.0, False, 0.1))
    return found


def outcome(function, args):
    """What a function returns, and what it leaves in its arguments."""
    args = [a.copy(order="K") if isinstance(a, np.ndarray) else a for a in args]
    with np.errstate(all="ignore"):
        result = function(*args)
    results = result if isinstance(result, tuple) else (result,)
    return [a for a in (*results, *args) if isinstance(a, np.ndarray)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", COMPILED)
def test_the_same_as_numpy(name, dtype):
    rtol, atol = (2e-5, 2e-6) if dtype == np.float32 else (1e-12, 1e-13)
    for args in cases(dtype)[name]:
        ours = outcome(COMPILED[name], args)
        theirs = outcome(getattr(numpy_ops, name), args)
        assert len(ours) == len(theirs)
        for a, b in zip(ours, theirs):
            assert (a.shape, a.dtype) == (b.shape, b.dtype)
            np.testing.assert_allclose(a, b, rtol=rtol, atol=atol)


def test_a_nan_is_the_largest():
    """Where it stood is nobody's business: its gradient is of no use either."""
    x = with_nans(some(2, 3, 7, 6, dtype=np.float32))
    for kernel, stride in (((2, 2), (2, 2)), ((3, 2), (1, 2))):
        ours = COMPILED["max_pool2d"](x, kernel, stride)[0]
        np.testing.assert_array_equal(ours, numpy_ops.max_pool2d(x, kernel, stride)[0])
        assert 0 < np.isnan(ours).sum() < ours.size


@pytest.fixture
def kernels():
    use_kernels()
    yield
    use_kernels(False)


def train():
    manual_seed(3)
    model = Sequential(Conv2d(1, 4, 3, padding=1), ReLU(), MaxPool2d(2), Flatten(), Linear(64, 10))
    optimiser = optim.AdamW(model.parameters(), lr=0.01)
    x, y = Tensor.randn(32, 1, 8, 8), Tensor.randint(32)
    losses = []
    for _ in range(10):
        optimiser.zero_grad()
        loss = model(x).cross_entropy(y, label_smoothing=0.1)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return losses


def test_training_is_the_same(kernels):
    with_kernels = train()
    use_kernels(False)
    assert get_device("cpu").ops is numpy_ops
    assert with_kernels == pytest.approx(train(), rel=1e-5)
    assert with_kernels[-1] < with_kernels[0]


def test_a_students_function_is_not_passed_over(kernels, monkeypatch):
    called = []
    monkeypatch.setattr(numpy_ops, "relu", lambda x: called.append(1) or np.maximum(x, 0))
    Tensor([1.0, -1.0]).relu()
    assert called
    assert get_device("cpu").ops is TABLE


def test_switched_on_by_the_environment():
    code = (
        "import sys; from course.tensor import Tensor; x = Tensor([1.0]); "
        "print(x.device.ops.__name__, 'numba' in sys.modules)"
    )
    environment = {**os.environ, "COURSE_KERNELS": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)  # fmt: skip
    assert done.stdout == "course.tensor.compiled_ops False\n", done.stderr
