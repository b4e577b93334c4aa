"""The same as PyTorch: values and gradients of every operation; stored values where it is not installed."""

import json
from pathlib import Path

import numpy as np
import pytest

from course.tensor import Tensor
from tests.tensor_cases import BY_NAME, CASES, run, weights

STORED = Path(__file__).parent / "data" / "torch_values.json"


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch")


def theirs(torch, case, dtype):
    """PyTorch's result and the gradients of the inputs, as arrays."""
    inputs = [
        torch.tensor(x.astype(dtype), requires_grad=True) if x.dtype.kind == "f" else torch.tensor(x)
        for x in case.arrays
    ]  # fmt: skip
    result = case.torch(torch, *inputs)
    result.backward(torch.tensor(weights(tuple(result.shape)), dtype=result.dtype))
    grads = [None if x.grad is None else x.grad.numpy() for x in inputs]
    return result.detach().numpy(), grads


def compare(case, dtype, result, grads, tolerance):
    ours, inputs = run(case, dtype)
    assert ours.shape == result.shape
    assert ours.dtype == result.dtype
    np.testing.assert_allclose(ours.numpy(), result, rtol=tolerance, atol=tolerance)
    for x, grad in zip(inputs, grads):
        if grad is None:
            assert x.grad is None
        else:
            np.testing.assert_allclose(x.grad.numpy(), grad, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", BY_NAME)
def test_float64(torch, name):
    case = BY_NAME[name]
    compare(case, np.float64, *theirs(torch, case, np.float64), 1e-9)


@pytest.mark.parametrize("name", BY_NAME)
def test_float32(torch, name):
    case = BY_NAME[name]
    tolerance = 1e-4 if "far out" in name else 2e-5
    compare(case, np.float32, *theirs(torch, case, np.float32), tolerance)


def test_stored_values():
    """What PyTorch 2.13 gave, for every case; this test runs without it too."""
    stored = json.loads(STORED.read_text(encoding="utf-8"))
    assert set(stored) == set(BY_NAME), "run `python tests/test_tensor_torch.py` with PyTorch"
    for name, (result, grads) in stored.items():
        ours, inputs = run(BY_NAME[name])
        assert summary(ours.numpy()) == pytest.approx(result, rel=1e-6, abs=1e-8, nan_ok=True), name
        for x, grad in zip(inputs, grads):
            if grad is not None:
                got = summary(x.grad.numpy())
                assert got == pytest.approx(grad, rel=1e-6, abs=1e-8, nan_ok=True), name


def summary(x):
    """An array in four numbers: its size, sum, and two sums that depend on where numbers stand."""
    with np.errstate(invalid="ignore"):
        place = np.arange(1, x.size + 1)
        flat = x.reshape(-1)
        return [float(n) for n in (x.size, flat.sum(), (flat * place).sum(), np.abs(flat * np.cos(place)).sum())]  # fmt: skip


KINDS = [[1, 2], [1.0, 2.0], [True, False], np.array([1, 2], np.int32), np.array([1.0], np.float64)]


@pytest.mark.filterwarnings("ignore:.*divide")
@pytest.mark.parametrize("a", KINDS, ids=str)
@pytest.mark.parametrize("b", [*KINDS, 2, 2.5, True], ids=str)
def test_dtypes_of_sums_and_quotients(torch, a, b):
    def both(f):
        ours = f(Tensor(a), b if isinstance(b, int | float) else Tensor(b))
        theirs = f(torch.tensor(a), b if isinstance(b, int | float) else torch.tensor(b))
        return str(ours.dtype), str(theirs.dtype).removeprefix("torch.")

    for operation in (lambda x, y: x + y, lambda x, y: x * y, lambda x, y: y * x):
        ours, expected = both(operation)
        assert ours == expected
    ours, expected = both(lambda x, y: x / y)
    assert ours == expected


if __name__ == "__main__":  # writes the stored values
    import torch as module

    values = {}
    for each in CASES:
        value, gradients = theirs(module, each, np.float64)
        kept = [None if g is None else summary(g) for g in gradients]
        values[each.name] = [summary(value), kept]
    lines = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in values.items()]
    STORED.parent.mkdir(exist_ok=True)
    STORED.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
