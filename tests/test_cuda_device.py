"""The device "cuda": the same numbers as the CPU's, from kernels alone."""

import numpy as np

from course.tensor import Tensor
from tests.tensor_cases import CASES, weights


def on_device(case, device):
    inputs = [
        Tensor(
            x.astype("float32") if x.dtype.kind == "f" else x,
            device=device,
            requires_grad=x.dtype.kind == "f",
        )
        for x in case.arrays
    ]
    result = case.ours(*inputs)
    if result.requires_grad:
        start = weights(result.shape).astype("float32")
        result.backward(Tensor(start, dtype=result.dtype, device=device))
    assert result.device == device
    grads = [x.grad for x in inputs]
    return [result.numpy(), *[None if grad is None else grad.numpy() for grad in grads]]


def test_every_operation_gives_what_the_cpu_gives():
    wrong = []
    for case in CASES:
        if case.name == "negative ** x":  # it makes a tensor on the CPU
            continue
        with np.errstate(all="ignore"):
            expected = on_device(case, "cpu")
        try:
            actual = on_device(case, "cuda")
            assert len(actual) == len(expected)
            for a, b in zip(actual, expected):
                assert (a is None) == (b is None), case.name
                if b is not None:
                    assert (a.shape, a.dtype) == (b.shape, b.dtype), (
                        case.name,
                        a.shape,
                        a.dtype,
                        b.shape,
                        b.dtype,
                    )
                    scale = np.nanmax(np.abs(np.where(np.isfinite(b), b, 0)), initial=1)
                    np.testing.assert_allclose(
                        a, b, rtol=2e-5, atol=2e-6 * scale, err_msg=case.name
                    )
        except Exception as e:
            wrong.append((case.name, type(e).__name__, str(e)[:300]))
    for w in wrong:
        print(w)
    assert not wrong
