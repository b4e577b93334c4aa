"""course.cuda's convolution for PyTorch: its kernels, on stand-ins, and under PyTorch's own tests."""

import re
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course import kernellab as lab
from course.cuda.conv2d import conv2d_backward_input, conv2d_backward_weight, conv2d_forward
from course.cuda.stand_in import Context, CudaTensor, Library, Tensor, find_torch
from course.cuda.torch_launch import view
from course.cuda.torch_ops import backward, conv2d, empty_output, setup_context
from course.cuda.torch_register import make_function, register
from course.tensor.ops.images import Conv2d
from grader.paths import ROOT

Array = np.ndarray


def normal(*shape: int, seed: int = 0) -> Array:
    """Random float64."""
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def expected(x: Array, w: Array, grad: Array | None, stride: int, padding: int) -> list[Array]:
    """The convolution and its gradients, by one product for each place of the window."""
    n, _, height, width = x.shape
    _, _, rows, columns = w.shape
    padded = np.pad(x, [(0, 0), (0, 0), (padding, padding), (padding, padding)])
    out_h = (height + 2 * padding - rows) // stride + 1
    out_w = (width + 2 * padding - columns) // stride + 1
    out = np.zeros((n, len(w), out_h, out_w))
    dpadded, dw = np.zeros_like(padded), np.zeros_like(w)
    grad = np.ones_like(out) if grad is None else grad
    for u in range(rows):
        for v in range(columns):
            part = (..., slice(u, u + out_h * stride, stride), slice(v, v + out_w * stride, stride))
            part = (slice(None), slice(None), *part[1:])
            pixels = padded[part][:, :, :out_h, :out_w]
            out += np.einsum("ncyx,fc->nfyx", pixels, w[:, :, u, v])
            dw[:, :, u, v] = np.einsum("ncyx,nfyx->fc", pixels, grad)
            dpadded[part][:, :, :out_h, :out_w] += np.einsum("nfyx,fc->ncyx", grad, w[:, :, u, v])
    dx = dpadded[:, :, padding : padding + height, padding : padding + width]
    return [out, dx, dw]


SIZES = st.tuples(
    st.integers(1, 2),  # images
    st.integers(1, 3),  # channels
    st.integers(1, 3),  # output channels
    st.tuples(st.integers(1, 6), st.integers(1, 6)),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.integers(1, 3),  # stride
    st.integers(0, 2),  # padding
).filter(lambda s: all(a + 2 * s[6] >= b for a, b in zip(s[3], s[4])))


@settings(max_examples=40, deadline=None)
@given(SIZES)
def test_kernels_equal_numpy(sizes: Any) -> None:
    n, channels, out_channels, image, window, stride, padding = sizes
    x, w = normal(n, channels, *image), normal(out_channels, channels, *window, seed=1)
    shape = expected(x, w, None, stride, padding)[0].shape
    grad = normal(*shape, seed=2)
    wanted = expected(x, w, grad, stride, padding)
    ctx = Context([True, True, False, False])
    setup_context(ctx, (Tensor(x), Tensor(w), stride, padding), None)
    got = [
        conv2d(Tensor(x), Tensor(w), stride, padding),
        *backward(ctx, Tensor(grad))[:2],
    ]
    for tensor, array in zip(got, wanted):
        np.testing.assert_allclose(tensor.numpy(), array, atol=1e-12)


def test_as_the_tensor_engine_has_it() -> None:
    x, w = normal(2, 3, 5, 4).astype(np.float32), normal(4, 3, 3, 2, seed=1).astype(np.float32)
    from course.tensor import Tensor as OurTensor

    ours = Conv2d.apply(OurTensor(x), OurTensor(w), stride=(2, 2), padding=(1, 1)).numpy()
    np.testing.assert_allclose(
        conv2d(Tensor(x), Tensor(w), 2, 1).numpy(), ours, rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize(("stride", "padding"), [(1, 0), (2, 1), (3, 2)])
def test_kernels_have_no_faults(stride: int, padding: int) -> None:
    x, w = normal(2, 2, 5, 4), normal(3, 2, 3, 2, seed=1)
    out, dx, dw = (np.full(a.shape, np.nan) for a in expected(x, w, None, stride, padding))
    grad = normal(*out.shape, seed=2)
    for kernel, arrays in (
        (conv2d_forward, (x, w, out)),
        (conv2d_backward_input, (grad, w, dx)),
        (conv2d_backward_weight, (grad, x, dw)),
    ):
        launch = kernel[-(-arrays[-1].size // 16), 16]
        lab.assert_clean(lab.watch(launch, *arrays[:2], stride, padding, arrays[-1]))
    for got, array in zip((out, dx, dw), expected(x, w, grad, stride, padding)):
        np.testing.assert_allclose(got, array, atol=1e-12)


def test_only_what_is_wanted_is_computed() -> None:
    ctx = Context([False, True, False, False])
    setup_context(ctx, (Tensor(normal(1, 1, 3, 3)), Tensor(normal(1, 1, 2, 2)), 1, 0), None)
    assert [x is None for x in backward(ctx, Tensor(np.ones((1, 1, 2, 2))))] == [1, 0, 1, 1]


def test_channels_must_fit() -> None:
    with pytest.raises(ValueError, match="3 channels, the windows are for 2"):
        empty_output(Tensor(np.zeros((1, 3, 4, 4))), Tensor(np.zeros((1, 2, 3, 3))), 1, 0)


def test_nothing_is_copied() -> None:
    tensor = Tensor(np.zeros(3), requires_grad=True)
    view(tensor)[1] = 7
    assert tensor.detach().numpy()[1] == 7
    with pytest.raises(RuntimeError, match="detach"):
        tensor.numpy()
    distant = CudaTensor(np.arange(3.0), requires_grad=True)
    before = lab.transfers.bytes_to_device
    assert view(distant).copy_to_host().tolist() == [0, 1, 2]
    assert lab.transfers.bytes_to_device == before
    with pytest.raises(TypeError, match="cuda:0"):
        distant.detach().numpy()


def test_the_stand_in_is_strict() -> None:
    library = Library()
    operator = register(library)
    assert set(library.operators) == {
        "course::conv2d",
        "course::conv2d_input_gradient",
        "course::conv2d_weight_gradient",
    }
    ghost = Tensor(np.zeros((1, 1, 4, 4)), requires_grad=True, is_fake=True)
    w = Tensor(np.ones((2, 1, 3, 3)))
    assert operator(ghost, w, 1, 0).shape == (1, 2, 2, 2)
    grad = Tensor(np.zeros((1, 2, 2, 2)), is_fake=True)
    assert operator.gradients((ghost, w, 1, 0), grad)[0].shape == (1, 1, 4, 4)
    with pytest.raises(RuntimeError, match="no numbers"):
        conv2d(ghost, w, 1, 0)
    with pytest.raises(TypeError, match="int"):
        Context().save_for_backward(w, 3)  # type: ignore[arg-type]
    bare = library.custom_op("course::bare", conv2d, mutates_args=())
    with pytest.raises(RuntimeError, match="no fake"):
        bare(ghost, w, 1, 0)
    with pytest.raises(RuntimeError, match="no autograd formula"):
        bare.gradients((ghost, w, 1, 0), grad)
    bare.register_fake(empty_output)
    bare.register_autograd(lambda ctx, grad: (grad,))
    with pytest.raises(RuntimeError, match="1 gradients for 4 inputs"):
        bare.gradients((ghost, w, 1, 0), grad)
    with pytest.raises(ValueError, match="namespace::name"):
        library.custom_op("conv2d", conv2d, mutates_args=())


def test_without_pytorch(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    assert find_torch() is None
    assert "PyTorch is not installed" in capsys.readouterr().out


@pytest.mark.parametrize(("stride", "padding"), [(1, 0), (2, 1)])
def test_pytorchs_own_tests_pass(stride: int, padding: int) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: gradcheck, opcheck")
    operator, function = register(torch.library), make_function()
    torch.manual_seed(0)
    x = torch.randn(2, 3, 6, 5, dtype=torch.float64, requires_grad=True)
    w = torch.randn(4, 3, 3, 2, dtype=torch.float64, requires_grad=True)
    theirs = torch.nn.functional.conv2d(x, w, None, stride, padding)
    for call in (operator, function.apply):
        torch.testing.assert_close(call(x, w, stride, padding), theirs)
        assert torch.autograd.gradcheck(call, (x, w, stride, padding))
    results = torch.library.opcheck(operator, (x, w, stride, padding))
    assert set(results.values()) == {"SUCCESS"}
    assert len(results) == 4


def test_tensors_of_any_layout() -> None:
    """A gradient stretched with strides of 0, images whose channels lie together, nothing at all."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: its layouts")
    apply = make_function().apply
    x = torch.randn(2, 3, 5, 4).to(memory_format=torch.channels_last).requires_grad_()
    w = torch.randn(4, 3, 3, 2, requires_grad=True)
    got = torch.autograd.grad(apply(x, w, 1, 1).sum(), (x, w))
    wanted = torch.autograd.grad(torch.nn.functional.conv2d(x, w, padding=1).sum(), (x, w))
    for a, b in zip(got, wanted):
        torch.testing.assert_close(a, b)
    assert apply(x[:0], w, 1, 1).shape == (0, 4, 5, 5)
    y = apply(x, w, 1, 1)
    (slope,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="twice"):
        slope.sum().backward()


def test_what_the_documentation_shows_runs() -> None:
    text = (ROOT / "docs" / "cuda.md").read_text(encoding="utf-8")
    first, with_torch = re.findall("`{3}python\n(.*?)`{3}", text, re.DOTALL)
    exec(first, {})
    pytest.importorskip("torch", reason="PyTorch is not installed: docs/cuda.md")
    names: dict[str, Any] = {}
    exec(with_torch, names)
    assert names["weight"].grad.shape == (4, 3, 3, 3)
