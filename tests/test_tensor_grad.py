"""Gradients: every operation against the definition of the derivative, in float64."""

import inspect
import pkgutil
from importlib import import_module

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays, mutually_broadcastable_shapes

import course.tensor.ops
from course.tensor import Function, Tensor
from course.tensor.gradcheck import gradcheck
from tests.tensor_cases import BY_NAME, CASES, run

SMOOTH = [case.name for case in CASES if case.smooth]


@pytest.mark.parametrize("name", SMOOTH)
def test_every_operation(name):
    case = BY_NAME[name]
    inputs = [
        Tensor(x, requires_grad=True) if x.dtype.kind == "f" else Tensor(x) for x in case.arrays
    ]
    assert gradcheck(case.ours, *inputs, tolerance=2e-6)


def test_no_operation_is_forgotten():
    """Each Function of the engine is used by a case."""
    functions = set()
    for info in pkgutil.iter_modules(course.tensor.ops.__path__, "course.tensor.ops."):
        for value in vars(import_module(info.name)).values():
            if inspect.isclass(value) and issubclass(value, Function) and value is not Function:
                functions.add(value)
    used = set()
    for case in CASES:
        todo = [run(case)[0]]
        while todo:
            tensor = todo.pop()
            used.add(type(tensor.grad_fn))
            todo.extend(tensor.inputs)
    assert {f.__name__ for f in functions - used} == set()


PAIRS = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / (b * b + 1.0),
    "mixed": lambda a, b: (a * b).tanh() + (a - b).sigmoid() * a,
    "cat": lambda a, b: Tensor.cat([(a + b).reshape(-1), (a * a).reshape(-1)]),
}


@settings(max_examples=60, deadline=None, derandomize=True)
@given(mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3), st.sampled_from([*PAIRS]), st.integers(0, 99))  # fmt: skip
def test_any_two_shapes_that_broadcast(shapes, operation, seed):
    rng = np.random.default_rng(seed)
    a, b = (Tensor(rng.normal(size=s), requires_grad=True) for s in shapes.input_shapes)
    assert PAIRS[operation](a, b).numel() >= 0
    assert gradcheck(PAIRS[operation], a, b)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.data())
def test_any_reduction(data):
    shape = tuple(data.draw(st.lists(st.integers(1, 3), max_size=3)))
    x = data.draw(arrays(np.float64, shape, elements=st.integers(-3, 3).map(float), unique=False))
    axes = data.draw(st.sets(st.integers(0, len(shape) - 1)) if shape else st.just(set()))
    keepdims = data.draw(st.booleans())
    name = data.draw(st.sampled_from(["sum", "mean", "logsumexp"]))
    axis = tuple(axes)
    ours = getattr(Tensor(x), name)(axis, keepdims=keepdims)
    theirs = np.log(np.exp(x).sum(axis, keepdims=keepdims)) if name == "logsumexp" else getattr(x, name)(axis, keepdims=keepdims)  # fmt: skip
    np.testing.assert_allclose(ours.numpy(), theirs, rtol=1e-12, atol=1e-12)
    assert gradcheck(lambda t: getattr(t * t, name)(axis, keepdims=keepdims), Tensor(x, requires_grad=True))  # fmt: skip


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.data())
def test_any_index(data):
    x = np.arange(24.0).reshape(4, 3, 2)
    parts: list = []
    for length in x.shape[: data.draw(st.integers(0, 3))]:
        if data.draw(st.integers(0, 4)) == 0:
            parts.append(None)
        if data.draw(st.integers(0, 4)) == 0:
            parts.append(Ellipsis)
            break
        whole = st.integers(-length, length - 1)
        two_true = [i < 2 for i in range(length)]
        parts.append(
            data.draw(
                whole
                | st.slices(length)
                | st.lists(whole, min_size=2, max_size=2)
                | st.permutations(two_true)
            )
        )
    index = tuple(parts)
    ours = tuple(Tensor(p) if type(p) is list and data.draw(st.booleans()) else p for p in parts)
    np.testing.assert_array_equal(Tensor(x)[ours].numpy(), x[index])
    assert gradcheck(lambda t: (t * t)[index], Tensor(x / 10, requires_grad=True))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.data())
def test_any_product(data):
    n, k, m = (data.draw(st.integers(0, 3)) for _ in range(3))
    batches = data.draw(mutually_broadcastable_shapes(num_shapes=2, max_dims=2, max_side=2))
    a_shape = data.draw(st.sampled_from([(k,), (*batches.input_shapes[0], n, k)]))
    b_shape = data.draw(st.sampled_from([(k,), (*batches.input_shapes[1], k, m)]))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    a, b = rng.normal(size=a_shape), rng.normal(size=b_shape)
    np.testing.assert_allclose((Tensor(a) @ Tensor(b)).numpy(), a @ b, rtol=1e-12, atol=1e-14)
    assert gradcheck(lambda a, b: a @ b, Tensor(a, requires_grad=True), Tensor(b, requires_grad=True))  # fmt: skip


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.data())
def test_any_convolution(data):
    """Values against the sum that defines it, written out; gradients against the difference."""
    draw = data.draw
    groups = draw(st.integers(1, 2))
    n, width, out = (
        draw(st.integers(0, 2)),
        draw(st.integers(1, 2)),
        groups * draw(st.integers(1, 2)),
    )
    kernel = (draw(st.integers(1, 3)), draw(st.integers(1, 2)))
    stride = (draw(st.integers(1, 3)), draw(st.integers(1, 2)))
    padding = (draw(st.integers(0, 2)), draw(st.integers(0, 1)))
    size = tuple(draw(st.integers(max(k - 2 * p, 1), 4)) for k, p in zip(kernel, padding))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    x = rng.normal(size=(n, groups * width, *size))
    w, b = rng.normal(size=(out, width, *kernel)), rng.normal(size=out)

    def conv(x, w, b):
        return x.conv2d(w, b, stride, padding, groups)

    result = conv(Tensor(x), Tensor(w), Tensor(b)).numpy()
    padded = np.pad(x, ((0, 0), (0, 0), (padding[0],) * 2, (padding[1],) * 2))
    for o in range(out):
        first = o // (out // groups) * width
        for i, j in np.ndindex(result.shape[2:]):
            y, z = i * stride[0], j * stride[1]
            window = padded[:, first : first + width, y : y + kernel[0], z : z + kernel[1]]
            np.testing.assert_allclose(result[:, o, i, j], (window * w[o]).sum((1, 2, 3)) + b[o], atol=1e-12)  # fmt: skip
    for axis in (0, 1):
        assert result.shape[2 + axis] == (size[axis] + 2 * padding[axis] - kernel[axis]) // stride[axis] + 1  # fmt: skip
    assert gradcheck(conv, *(Tensor(a, requires_grad=True) for a in (x, w, b)))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.data())
def test_any_pool(data):
    draw = data.draw
    kernel = (draw(st.integers(1, 3)), draw(st.integers(1, 3)))
    stride = draw(st.none() | st.tuples(st.integers(1, 3), st.integers(1, 3)))
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    size = tuple(draw(st.integers(max(k - 2 * p, 1), 5)) for k, p in zip(kernel, padding))
    x = np.random.default_rng(draw(st.integers(0, 99))).permutation(2 * size[0] * size[1]) / 10.0
    x = x.reshape(1, 2, *size)
    step = stride or kernel
    for name, border, reduce in (("max_pool2d", -np.inf, np.max), ("avg_pool2d", 0.0, np.mean)):
        pool = getattr(Tensor, name)
        result = pool(Tensor(x), kernel, stride, padding).numpy()
        padded = np.pad(x, ((0, 0), (0, 0), *((p, p) for p in padding)), constant_values=border)
        for i, j in np.ndindex(result.shape[2:]):
            y, z = i * step[0], j * step[1]
            window = padded[:, :, y : y + kernel[0], z : z + kernel[1]]
            np.testing.assert_allclose(result[:, :, i, j], reduce(window, (2, 3)), atol=1e-12)
        assert gradcheck(lambda t, f=pool: f(t, kernel, stride, padding), Tensor(x, requires_grad=True))  # fmt: skip


def test_gradcheck_finds_what_is_wrong():
    class Wrong(Function):
        def forward(self, x):
            return x * x

        def backward(self, grad):
            return grad

    with pytest.raises(AssertionError, match=r"input 0, element \(0,\): backward gives .* the central difference"):  # fmt: skip
        gradcheck(lambda x: Wrong.apply(x), Tensor([3.0], "float64", requires_grad=True))
    with pytest.raises(AssertionError, match="got no gradient"):
        gradcheck(lambda x, y: x * y.detach(), *[Tensor([3.0], "float64", requires_grad=True)] * 2)
    with pytest.raises(TypeError, match="float64"):
        gradcheck(lambda x: x, Tensor([3.0], requires_grad=True))
    with pytest.raises(AssertionError, match="element"):  # a gradient at the wrong element
        gradcheck(lambda x: Swapped.apply(x), Tensor([1.0, 2.0], "float64", requires_grad=True))


class Swapped(Function):
    def forward(self, x):
        return x * 2

    def backward(self, grad):
        return grad[::-1] * 2
