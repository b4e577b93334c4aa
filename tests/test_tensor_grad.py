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
    parts = []
    for length in x.shape[: data.draw(st.integers(1, 3))]:
        parts.append(
            data.draw(
                st.one_of(
                    st.integers(-length, length - 1),
                    st.slices(length),
                    st.just(None),
                    st.lists(st.integers(-length, length - 1), min_size=2, max_size=2),
                )
            )
        )
    index = tuple(p for p in parts if p is not None)
    np.testing.assert_array_equal(Tensor(x)[index].numpy(), x[index])
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
