"""What the GPT on "cuda" has besides the device: clipping in a few launches, the profile."""

import numpy as np
import pytest

from course.cuda.clipping import add_squares, clip_grad_norm_
from course.cuda.record import Launch, record
from course.gpt.profile import profile
from course.kernellab import watch
from course.tensor import Tensor
from course.tensor.nn import optim


def with_gradients(device: str) -> list[Tensor]:
    rng = np.random.default_rng(0)
    found = []
    for shape in ((3, 5), (200,), (), (2, 0)):
        p = Tensor(np.zeros(shape, np.float32), requires_grad=True, device=device)
        p.grad = Tensor(rng.normal(size=shape).astype(np.float32), device=device)
        found.append(p)
    return [*found, Tensor([1.0], requires_grad=True, device=device)]


@pytest.mark.parametrize("max_norm", [0.5, 1e9])
def test_clipping_is_the_processors(max_norm: float) -> None:
    ours, theirs = with_gradients("cuda"), with_gradients("cpu")
    with record() as log:
        norm = clip_grad_norm_(ours, max_norm)
    assert norm == pytest.approx(optim.clip_grad_norm_(theirs, max_norm), rel=1e-5)
    for a, b in zip(ours[:4], theirs):
        np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=1e-5)
    assert ours[4].grad is None
    assert log.copied("to the host") == [4]
    assert log.kernels["add_squares"] == 3


def test_squares_are_added_without_faults() -> None:
    x, total = np.arange(300, dtype=np.float32), np.array([7.0], np.float32)
    report = watch(add_squares[3, 64], x, total)
    assert not report.faults
    assert total[0] == pytest.approx(7 + (x.astype(float) ** 2).sum(), rel=1e-6)


def test_a_profile_by_hand() -> None:
    launches = [Launch(k, (1,), (1,), n) for k, n in (("a", 100), ("b", 500), ("a", 200), ("c", 0))]
    rows = profile(launches, overhead=1.0, bandwidth=100.0)
    assert [(r.kernel, r.launches, r.bytes, r.seconds) for r in rows] == [("b", 1, 500, 6.0), ("a", 2, 300, 5.0), ("c", 1, 0, 1.0)]  # fmt: skip
    assert profile([]) == []
    assert "500 bytes" in str(rows[0])
