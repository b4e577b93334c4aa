"""Tensor as a user meets it: examples, gradients that accumulate, changes in place, memory, errors."""

import copy
import gc
import os
import pickle
import subprocess
import sys
import tracemalloc
import weakref

import numpy as np
import pytest

from course.tensor import Function, Tensor, float64, get_device, manual_seed, no_grad, where
from course.tensor.dtypes import promote
from course.tensor.shapes import broadcast_shapes, unbroadcast
from tests.tensor_cases import CASES, run, weights


def leaf(*numbers, dtype=None):
    return Tensor(list(numbers), dtype=dtype, requires_grad=True)


# ---------------------------------------------------------------- the examples everybody tries first


def test_the_examples_of_an_article_on_tinygrad():
    assert repr(Tensor([1, 2, 3])) == "Tensor([1, 2, 3])"
    assert Tensor.zeros(3).tolist() == [0, 0, 0]
    assert Tensor.rand(2, 3).shape == (2, 3)
    a, b = Tensor([1, 2, 3]), Tensor.zeros(3)
    e = (a + b) * 2
    assert e.numpy().tolist() == [2, 4, 6]
    f = a @ Tensor([[1], [2], [3]])
    assert (f.shape, f.tolist()) == ((1,), [14])
    x = Tensor([1.0, 2.0, 3.0], requires_grad=True)
    y = (x * 2).sum()
    y.backward()
    assert x.grad.numpy().tolist() == [2, 2, 2]
    y.backward()
    assert x.grad.numpy().tolist() == [4, 4, 4]
    y.backward()
    assert x.grad.numpy().tolist() == [6, 6, 6]


def test_tensors_print_their_values():
    assert repr(Tensor([[1.0, 2.5]])) == "Tensor([[1. , 2.5]])"
    assert repr(Tensor(3)) == "Tensor(3)"
    assert repr(leaf(1.0)) == "Tensor([1.], requires_grad=True)"
    assert repr(leaf(1.0) * 2) == "Tensor([2.], grad_fn=<Mul>)"
    assert repr(Tensor([1.0], dtype="float64")) == "Tensor([1.], dtype=float64)"
    assert repr(Tensor([[]])) == "Tensor([], shape=(1, 0))"
    assert len(repr(Tensor.zeros(1000, 1000))) < 1000


def test_creation():
    assert Tensor.ones((2, 2)).tolist() == [[1, 1], [1, 1]]
    assert Tensor.full((2,), 7).dtype == "int64"
    assert Tensor.full(2, 7.0).tolist() == [7, 7]
    assert Tensor.arange(3).tolist() == [0, 1, 2]
    assert Tensor.arange(1, 2, 0.5).tolist() == [1, 1.5]
    assert Tensor.arange(3).dtype == "int64"
    assert Tensor.arange(3.0).dtype == "float32"
    assert Tensor.linspace(0, 1, 3).tolist() == [0, 0.5, 1]
    assert Tensor.eye(2).tolist() == [[1, 0], [0, 1]]
    assert Tensor.randint(100, low=2, high=4).numpy().min() >= 2
    assert sorted(Tensor.randperm(5).tolist()) == [0, 1, 2, 3, 4]
    x = Tensor([[1, 2]], dtype="int32")
    assert (x.zeros_like().dtype, x.ones_like().tolist()) == ("int32", [[1, 1]])
    assert x.full_like(3).tolist() == [[3, 3]]
    assert Tensor(x).tolist() == [[1, 2]]
    u = Tensor.uniform(1000, low=-2, high=-1).numpy()
    assert -2 <= u.min() < -1.9 and -1.1 < u.max() < -1


def test_seeds():
    draws = []
    for seed in (1, 1, 2):
        manual_seed(seed)
        draws.append([*Tensor.rand(3).tolist(), *Tensor.randn(3).tolist()])
    assert draws[0] == draws[1] != draws[2]


def test_dtypes():
    assert Tensor(1.0).dtype == "float32"
    assert Tensor(np.zeros(2)).dtype == float64
    assert Tensor([True]).dtype == "bool"
    assert Tensor([1.0], dtype=float).dtype == "float32"
    assert (Tensor([1]) / 2).dtype == "float32"
    assert (Tensor([1]) * 2.5).tolist() == [2.5]
    assert Tensor([1, 2]).mean().item() == 1.5
    assert Tensor([1]).exp().dtype == "float32"
    assert (Tensor([1.0]) + Tensor([1])).dtype == "float32"
    assert Tensor([1.7]).int().tolist() == [1]
    assert Tensor([0.0, 2.0]).bool().tolist() == [False, True]
    assert Tensor([1.0]).to("float64").dtype == float64
    assert promote(np.dtype("int64"), np.dtype("float32")) == "float32"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_float32_stays_float32(case):
    """No operation makes float64 of float32, forward or backward, or a numpy scalar of an array."""
    result, inputs = run(case, np.float32)
    assert result.dtype == np.float32
    assert isinstance(result.data, np.ndarray)
    for x in inputs:
        if x.requires_grad:
            assert x.grad.dtype == np.float32
            assert isinstance(x.grad.data, np.ndarray)
            assert x.grad.shape == x.shape


FLOAT64 = np.float64(0.5)  # it is a Python float too, but numpy would make the result float64
OPTIONS = {
    "+": lambda x: x + FLOAT64,
    "r*": lambda x: FLOAT64 * x,
    "**": lambda x: x**FLOAT64,
    "r**": lambda x: FLOAT64**x,
    "clamp": lambda x: x.clamp(FLOAT64, np.float64(2)),
    "leaky_relu": lambda x: x.leaky_relu(FLOAT64),
    "maximum": lambda x: x.maximum(FLOAT64),
    "where": lambda x: where(x > 1, x, FLOAT64),
    "masked_fill": lambda x: x.masked_fill(x > 1, FLOAT64),
    "pad": lambda x: x.pad(((1, 1), (0, 0)), FLOAT64),
    "dropout": lambda x: x.dropout(FLOAT64),
    "var": lambda x: x.var(correction=FLOAT64),
    "normalise": lambda x: x.normalise(eps=FLOAT64),
    "layer_norm": lambda x: x.layer_norm(Tensor.ones(2), Tensor.ones(2), eps=FLOAT64),
    "cross_entropy": lambda x: x.cross_entropy([0, 1], label_smoothing=FLOAT64),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_float64_scalars_of_numpy_do_not_change_the_dtype(name):
    x = Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    y = OPTIONS[name](x)
    y.sum().backward()
    assert (y.dtype, x.grad.dtype) == ("float32", "float32")


def test_layers_take_integers_and_mixed_dtypes():
    """As in `+`: integers become float32 beside float32, and never float64."""
    image, window = Tensor.ones(1, 1, 3, 3), Tensor.ones(1, 1, 2, 2, requires_grad=True)
    weight, one = Tensor.ones(2, 3, requires_grad=True), Tensor.ones(3)
    for result in (
        Tensor([1, 2, 3]).linear(weight, Tensor.ones(2)),
        image.long().conv2d(window),
        Tensor(np.ones((1, 1, 3, 3), np.uint8)).conv2d(window),
        Tensor([[1, 2, 3]]).layer_norm(one, one),
        image.long().max_pool2d(2, padding=1),
        Tensor([[1, 2]]).cross_entropy([0]),
    ):
        assert result.dtype == "float32"
    y = Tensor(np.ones(3)).linear(weight)
    y.sum().backward()
    assert (y.dtype, weight.grad.dtype) == ("float64", "float32")
    assert Tensor([1, 2, 3]).clamp(max=2.5).tolist() == [1, 2, 2.5]
    assert Tensor([1, 2, 3]).clamp(max=2).dtype == "int64"
    assert Tensor.arange(np.int64(2)).dtype == "int64"


def test_masks_stay_masks():
    mask = Tensor([True, False])
    assert where(mask, True, False).dtype == "bool"
    assert (mask & True).tolist() == [True, False]
    assert (mask ^ ~mask).tolist() == [True, True]
    assert (1 - mask).tolist() == [0, 1]
    assert where([True, False], 1.0, mask.float()).tolist() == [1, 0]


def test_any_and_all():
    x = Tensor([[0.0, 2.0], [0.0, 0.0]], requires_grad=True)
    assert x.any().tolist() is True and x.all().tolist() is False
    assert x.any(axis=1).tolist() == [True, False]
    assert x.all(axis=0, keepdims=True).tolist() == [[False, False]]
    assert Tensor([]).all().item() is True and Tensor([]).any().item() is False
    assert Tensor([np.nan]).any().item() is True
    assert not x.any().requires_grad


def test_a_tensor_is_a_copy():
    array = np.array([1.0, 2.0])
    x = Tensor(array, requires_grad=True)
    y = (x * x).sum()
    array[0] = 9.0
    assert x.tolist() == [1, 2]
    y.backward()
    assert x.grad.tolist() == [2, 4]
    x.numpy()[0] = 9.0
    assert x.tolist() == [1, 2]
    z = Tensor(x)
    z[0] = 9.0
    assert x.tolist() == [1, 2]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_operation_is_pure(case):
    """Inputs and the starting gradient stay as they were; backward again adds the same again; no cycles."""
    inputs = [Tensor(x, requires_grad=x.dtype.kind == "f") for x in case.arrays]
    leaves = [x for x in inputs if x.requires_grad]
    gc.disable()
    try:
        with np.errstate(all="ignore"):
            result = case.ours(*inputs)
            watched = weakref.ref(result)
            start = Tensor(weights(result.shape), dtype=result.dtype)
            once: list[np.ndarray] = []
            for times in (1, 2, 3):
                result.backward(start)
                once = once or [x.grad.numpy() for x in leaves]
                for x, grad in zip(leaves, once):
                    np.testing.assert_allclose(x.grad.numpy(), times * grad, rtol=1e-14)
        np.testing.assert_array_equal(start.numpy(), weights(result.shape))
        for x, array in zip(inputs, case.arrays):
            np.testing.assert_array_equal(x.numpy(), array)
        arrays = [start.data, *[x.data for x in inputs], *[x.grad.data for x in leaves]]
        for i, a in enumerate(arrays):
            assert not any(np.shares_memory(a, b) for b in arrays[:i])
        del result
        assert watched() is None
    finally:
        gc.enable()


def test_single_numbers_stay_arrays():
    x = Tensor(3.0, requires_grad=True)
    for y in (x + 1, x * x, x.exp(), x.sum(), x.max(), -x, x > 1, x.T, x.clone(), x[None][0]):
        assert isinstance(y.data, np.ndarray) and y.shape == ()
    (x * x + x).backward()
    assert isinstance(x.grad.data, np.ndarray) and x.grad.shape == ()
    x.backward()
    assert isinstance(x.grad.data, np.ndarray)
    x.data -= 1.0
    assert isinstance(x.data, np.ndarray)


@pytest.mark.parametrize("twin", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_and_pickles(twin):
    x = Tensor([1.0, 2.0], requires_grad=True)
    y = twin(x)
    y.data += 1.0
    assert (x.tolist(), y.tolist(), y.requires_grad) == ([1, 2], [2, 3], True)
    assert (x + y).tolist() == [3, 5]  # on the same device still


def test_numpy_arrays_on_the_left():
    x = leaf(1.0, 2.0, dtype="float64")
    a = np.array([10.0, 20.0])
    for result, expected in (
        (a + x, [11, 22]),
        (a - x, [9, 18]),
        (a * x, [10, 40]),
        (a / x, [10, 10]),
        (a**x, [10, 400]),
        (a @ x, 50),
        (np.float64(3) * x, [3, 6]),
    ):
        assert isinstance(result, Tensor)
        assert result.tolist() == expected
    assert np.asarray(x).tolist() == [1, 2]


def test_like_numbers_and_lists():
    x = Tensor([[1.0, 2.0], [3.0, 4.0]])
    assert [row.tolist() for row in x] == [[1, 2], [3, 4]]
    assert len(x) == 2
    assert float(x[0, 1]) == 2.0
    assert int(Tensor([3])) == 3
    assert [10, 20, 30][Tensor(1)] == 20
    assert bool(Tensor(0.0)) is False
    assert (x == x).all().item() is True
    assert (x > 3).any()
    assert (x != 1).tolist() == [[False, True], [True, True]]
    assert (~(x > 1)).tolist() == [[True, False], [False, False]]
    assert ((x > 1) & (x < 4)).sum().item() == 2
    assert ((x < 2) | (x > 3)).sum().item() == 2
    assert x.size() == (2, 2) and x.size(-1) == 2 and x.numel() == 4 and x.nbytes == 16
    assert x.argmax().item() == 3
    assert x.argmin(axis=1).tolist() == [0, 0]
    assert x.argmax(0, keepdims=True).tolist() == [[1, 1]]
    assert {x: "tensors are told apart by identity"}[x]
    assert f"{x[0, 1]:.2f}" == "2.00"
    assert f"{x[0]}" == "Tensor([1., 2.])"
    assert 3.0 in x and Tensor(3.0) in x and 5 not in x
    assert [row.tolist() for row, _ in zip(x, "ab")] == x.tolist()
    assert sum(x).tolist() == [4, 6] and max(x[0]).item() == 2
    assert x[0].T.tolist() == [1, 2]
    assert (x == None, x != None) == (False, True)  # noqa: E711


def test_where_in_both_spellings():
    x = Tensor([-1.0, 2.0])
    assert (x > 0).where(x, 0.0).tolist() == where(x > 0, x, 0.0).tolist() == [0, 2]
    assert where(x > 0, 1.0, x).tolist() == [-1, 1]
    assert where(x > 0, 1, 0).dtype == "int64"


# ---------------------------------------------------------------- gradients


def test_use_many_times():
    x = leaf(3.0)
    (x * x).backward()
    assert x.grad.item() == 6
    x.grad = None
    total = x
    for _ in range(999):
        total = total + x
    total.backward()
    assert x.grad.item() == 1000
    m = Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    (m @ m).sum().backward()
    assert m.grad.tolist() == [[7, 11], [9, 13]]


def test_computed_tensors_do_not_accumulate_between_calls():
    x = leaf(3.0)
    y = x * x
    z = y * 2
    for times in (1, 2, 3):
        z.backward()
        assert x.grad.item() == 12 * times
    assert y.grad is None
    z.backward(retain_grads=True)
    z.backward(retain_grads=True)
    assert (y.grad.item(), z.grad.item()) == (2, 1)


def test_gradient_of_one_thing_by_another():
    x, w = leaf(2.0), leaf(5.0)
    y = x * w
    z = (y * y).sum()
    dy, dx = z.gradient(y, x)
    assert (dy.item(), dx.item()) == (20, 100)
    assert x.grad is None and w.grad is None
    (d,) = (x * w).gradient(w, gradient=Tensor([3.0]))
    assert d.item() == 6
    with pytest.raises(RuntimeError, match=r"target 0 of shape .* was not computed from it"):
        z.gradient(leaf(1.0))


def test_backward_of_many_numbers_takes_a_gradient():
    x = leaf(1.0, 2.0)
    (x * x).backward(Tensor([1.0, 10.0]))
    assert x.grad.tolist() == [2, 40]
    with pytest.raises(ValueError, match=r"gradient has shape \(3,\), and this tensor \(2,\)"):
        (x * x).backward(Tensor([1.0, 1.0, 1.0]))


def test_a_leaf_is_its_own_result():
    x = Tensor(3.0, requires_grad=True)
    x.backward()
    assert x.grad.item() == 1


def test_integers_carry_no_gradient():
    """Not even those that were computed from something that has one: their slope is 0 or nothing."""
    x = leaf(1.5, 2.5)
    for y in (x.int(), x.long(), x.bool(), x > 2):
        assert not y.requires_grad and y.grad_fn is None
    with pytest.raises(RuntimeError, match="requires a gradient"):
        x.int().sum().backward()
    (x * x.int()).sum().backward()
    assert x.grad.tolist() == [1, 2]


def test_hooks():
    x = leaf(1.0)
    seen = []
    remove = x.register_hook(lambda grad: seen.append(grad.item()))
    y = x * 3
    y.register_hook(lambda grad: grad * 10)
    y.backward()
    assert (seen, x.grad.item()) == ([30], 30)
    remove()
    y.backward()
    assert seen == [30]


def test_a_hook_may_change_its_gradient_in_place():
    a, b = leaf(1.0, 2.0), leaf(3.0, 4.0)

    def five_times(grad):
        grad.data *= 5

    a.register_hook(five_times)
    (a + b).sum().backward()
    assert (a.grad.tolist(), b.grad.tolist()) == ([5, 5], [1, 1])


@pytest.mark.parametrize("result", [lambda g: g.sum(), lambda g: g.numpy(), lambda g: 2.0])
def test_a_hook_that_returns_no_gradient(result):
    x = leaf(1.0, 2.0)
    x.register_hook(result)
    with pytest.raises(TypeError, match=r"None or a tensor of the gradient's shape \(2,\)"):
        (x * 2).sum().backward()


def test_retained_gradients_are_arrays_of_their_own():
    a, b = leaf(1.0, 2.0), leaf(3.0, 4.0)
    c = a + b
    d = c + 1.0
    d.sum().backward(retain_grads=True)
    d.grad.data *= 10
    assert [t.grad.tolist() for t in (a, b, c)] == [[1, 1]] * 3


def test_a_given_gradient_is_not_shared():
    x = leaf(1.0, 2.0)
    start = Tensor([1.0, 1.0])
    x.backward(start)
    x.grad.data *= 10
    assert start.tolist() == [1, 1]
    (d,) = x.gradient(x, gradient=start)
    d.data *= 10
    assert start.tolist() == [1, 1]


def test_no_grad_is_safe_in_recursion():
    @no_grad()
    def down(n):
        return leaf(1.0) * n if n == 0 else down(n - 1) * 2

    assert not down(5).requires_grad
    assert (leaf(1.0) * 2).requires_grad


def test_no_grad():
    x = leaf(1.0)
    with no_grad():
        assert not (x * 2).requires_grad
        with no_grad():
            pass
        assert not (x * 2).requires_grad
    assert (x * 2).requires_grad
    with pytest.raises(KeyError), no_grad():
        raise KeyError
    assert (x * 2).requires_grad

    @no_grad()
    def predict():
        return x * 2

    assert not predict().requires_grad
    assert not x.detach().requires_grad
    assert not (x > 0).requires_grad
    assert not x.argmax().requires_grad


def test_two_leaves_never_share_a_gradient():
    a, b = leaf(1.0, 2.0), leaf(3.0, 4.0)
    (a + b).sum().backward()
    a.grad.data *= 0
    assert b.grad.tolist() == [1, 1]


def test_an_operation_of_ones_own():
    class Cube(Function):
        def forward(self, x):
            self.save(x)
            return x * x * x

        def backward(self, grad):
            (x,) = self.saved
            return grad * 3 * x * x

    x = leaf(2.0)
    y = Cube.apply(x)
    y.backward()
    assert (y.item(), x.grad.item(), y.op) == (8, 12, "Cube")


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (lambda grad: (grad, grad), "Bad.backward gave 2 gradients for 1 inputs"),
        (lambda grad: grad[:1], r"Bad.backward: a gradient of shape \(1,\) does not fit .* \(2,\)"),
    ],
)
def test_an_operation_of_ones_own_that_is_wrong(result, message):
    class Bad(Function):
        def forward(self, x):
            return x * 1

        def backward(self, grad):
            return result(grad)

    with pytest.raises(ValueError, match=message):
        Bad.apply(leaf(1.0, 2.0)).sum().backward()


# ---------------------------------------------------------------- changes in place


def change_data(x):
    x.data -= 1.0


def change_item(x):
    with no_grad():
        x[0] = 9.0


def change_through_a_view(x):
    view = x.detach().reshape(2, 1)
    view.data += 1.0


@pytest.mark.parametrize("change", [change_data, change_item, change_through_a_view])
def test_a_change_that_backward_would_not_notice_is_refused(change):
    x = leaf(1.0, 2.0)
    y = (x * x).sum()
    change(x)
    with pytest.raises(
        RuntimeError, match=r"Mul needs an input of shape \(2,\).* changed in place"
    ):
        y.backward()


def test_a_changed_view_is_noticed():
    x = leaf(1.0, 2.0)
    view = x.reshape(2, 1)
    y = (view * view).sum()
    x.data += 1.0
    with pytest.raises(RuntimeError, match="changed in place"):
        y.backward()


def test_a_changed_output_is_noticed():
    x = leaf(1.0, 2.0)
    y = x.exp()
    y.data *= 0.0
    with pytest.raises(RuntimeError, match=r"Exp needs its output of shape \(2,\)"):
        y.sum().backward()


def test_a_changed_condition_or_target_is_noticed_and_a_changed_index_does_no_harm():
    x = leaf(1.0, 2.0)
    mask = Tensor([True, False])
    y = where(mask, x, 0.0).sum()
    mask[0] = False
    with pytest.raises(RuntimeError, match="Where needs an input"):
        y.backward()
    targets = Tensor([0])
    loss = x.reshape(1, 2).cross_entropy(targets)
    targets[0] = 1
    with pytest.raises(RuntimeError, match="CrossEntropy needs an input"):
        loss.backward()
    for index in (Tensor([0, 0]), np.array([0, 0])):
        x.grad = None
        y = x[index].sum()
        index[1] = 1
        y.backward()
        assert x.grad.tolist() == [2, 0]


def test_a_change_after_no_grad_views_and_parts_is_noticed():
    x = Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    for view in (lambda: x.T, lambda: x[0], lambda: x.flip(0), lambda: x.detach(), lambda: x.unsqueeze(0), lambda: next(iter(x)), lambda: x.split(1)[1]):  # fmt: skip
        y = (x * x).sum()
        with no_grad():
            part = view()
        part.data *= 2.0
        with pytest.raises(RuntimeError, match="changed in place"):
            y.backward()


def test_a_copy_may_be_changed():
    x = leaf(1.0, 2.0)
    y = (x * x).sum()
    for copied in (x.clone(), Tensor(x), x[[0, 1]], x.contiguous()):
        copied.data *= 2.0
    y.backward()
    assert x.grad.tolist() == [2, 4]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_after_a_change_in_place_gradients_are_right_or_refused(case):
    """For every operation, and each of its inputs and its output: never a silently wrong gradient."""
    _, expected = run(case)
    for changed in range(len(case.arrays) + 1):
        inputs = [Tensor(x, requires_grad=x.dtype.kind == "f") for x in case.arrays]
        with np.errstate(all="ignore"):
            result = case.ours(*inputs)
            start = Tensor(weights(result.shape), dtype=result.dtype)
            tensor = [*inputs, result][changed]
            if not tensor.data.flags.writeable:  # stretched by expand: numpy refuses to change it
                continue
            tensor.data += tensor.data.dtype.type(1)
            try:
                result.backward(start)
            except RuntimeError as error:
                assert "changed in place" in str(error)
                continue
        for x, right in zip(inputs, expected):
            if x.requires_grad:
                np.testing.assert_array_equal(x.grad.numpy(), right.grad.numpy())


def test_changes_that_do_no_harm():
    x, w = leaf(1.0, 2.0), leaf(3.0, 4.0)
    for _ in range(3):  # as in training
        (x * w).sum().backward()
        w.data -= 0.1
    y = (x + w).sum()  # a sum needs no numbers for its gradients
    x.data += 1.0
    y.backward()
    z = (x * x).sum()
    x.data = x.data * 2  # another array: the old one is as it was
    x.grad = None
    z.backward()
    assert x.grad.tolist() == [4, 6]


def test_assignment_is_not_differentiated_and_says_so():
    x = leaf(1.0, 2.0)
    for change in (lambda: x.__setitem__(0, 1.0), lambda: Tensor.zeros(2).__setitem__(0, x[0])):
        with pytest.raises(RuntimeError, match=r"cannot be differentiated. Use where or cat"):
            change()
    y = Tensor.zeros(3)
    y[1:] = Tensor([5.0, 6.0])
    y[y > 5.5] = 0.0
    assert y.tolist() == [0, 5, 0]
    with pytest.raises(ValueError, match="broadcast"):
        y[:2] = Tensor([1.0, 2.0, 3.0])


def test_plus_equals_makes_a_new_tensor():
    x = leaf(1.0)
    y = x
    y += 1
    assert (x.item(), y.item()) == (1, 2)


def test_within_no_grad_parameters_change_in_place_as_in_pytorch():
    w = leaf(1.0, 2.0)
    params = [w]
    (w * w).sum().backward()
    with no_grad():
        for p in params:
            p -= 0.5 * p.grad
        w += 1.0
        w *= 4.0
        w /= 2
    assert (w.tolist(), params[0] is w, w.requires_grad) == ([2, 2], True, True)
    with no_grad():
        x = y = Tensor([1.0])  # this one is no parameter
        y += 1.0
    assert (x.item(), y.item()) == (1, 2)
    loss = (w * w).sum()
    with no_grad():
        w -= 1.0
    with pytest.raises(RuntimeError, match="changed in place"):
        loss.backward()


# ---------------------------------------------------------------- depth and memory


def test_a_deep_graph_needs_no_recursion():
    x = leaf(1.0)
    y = x
    for _ in range(20_000):
        y = y + 1.0
    y.backward()
    assert x.grad.item() == 1


def test_thirty_diamonds():
    x = leaf(1.0)
    y = x
    for _ in range(30):
        y = y + y
    y.backward()
    assert x.grad.item() == 2**30


def test_freeing_a_deep_graph_does_not_crash():
    code = (
        "from course.tensor import Tensor\n"
        "y = Tensor([1.0], requires_grad=True)\n"
        "for _ in range(200_000): y = -y\n"
        "del y\nprint('alive')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "alive\n", done.stderr[-500:]


def test_a_graph_is_freed_without_the_garbage_collector():
    x = leaf(1.0, 2.0)
    gc.collect()
    gc.disable()
    try:
        y = (x.exp() * x).softmax().log()
        watched = [weakref.ref(y), weakref.ref(y.inputs[0])]
        y.sum().backward()
        del y
        assert [ref() for ref in watched] == [None, None]
    finally:
        gc.enable()


def test_a_detached_tensor_keeps_no_graph():
    x = leaf(1.0)
    y = x * 2
    watched = weakref.ref(y)
    z = y.detach()
    del y
    assert watched() is None and z.item() == 2


def test_memory_stays_flat():
    w = Tensor(np.ones((50, 50)), requires_grad=True)
    x = Tensor(np.ones((20, 50)))

    def step():
        w.grad = None
        loss = ((x @ w).tanh() ** 2).mean()
        loss.backward()
        w.data -= 0.01 * w.grad.data

    for _ in range(5):
        step()
    tracemalloc.start()
    step()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(50):
        step()
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert after - before < 20_000


def test_dropout():
    manual_seed(0)
    x = Tensor.ones(10_000, requires_grad=True)
    y = x.dropout(0.2)
    kept = y.numpy() != 0
    assert 0.78 < kept.mean() < 0.82
    np.testing.assert_allclose(y.numpy()[kept], 1.25)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), y.numpy())
    assert x.dropout(0.0) is x
    assert x.dropout(1.0).sum().item() == 0
    with Tensor.train(False):
        assert x.dropout(0.5) is x
        assert not Tensor.training
    assert Tensor.training


# ---------------------------------------------------------------- shapes


def test_broadcast_shapes():
    assert broadcast_shapes() == ()
    assert broadcast_shapes((2, 1), (3,)) == (2, 3)
    assert broadcast_shapes((0, 3), (1, 3)) == (0, 3)
    assert broadcast_shapes((1,), (0,)) == (0,)
    with pytest.raises(ValueError, match=r"\(2, 3\) and \(2,\) do not broadcast: on axis -1"):
        broadcast_shapes((2, 3), (2,))


def test_unbroadcast():
    grad = np.arange(6.0).reshape(2, 3)
    assert unbroadcast(grad, (2, 3)) is grad
    assert unbroadcast(grad, (3,)).tolist() == [3, 5, 7]
    assert unbroadcast(grad, (2, 1)).tolist() == [[3], [12]]
    assert unbroadcast(grad, ()) == 15
    assert unbroadcast(np.ones((0, 3)), (1, 3)).tolist() == [[0, 0, 0]]
    for shape in ((2,), (4, 2, 3), (3, 3)):
        with pytest.raises(ValueError, match=r"a gradient of shape \(2, 3\) does not fit"):
            unbroadcast(grad, shape)


# ---------------------------------------------------------------- errors name what was given, and what would fit

X = Tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
IMAGE = Tensor.ones(1, 2, 5, 5)
WRONG = {
    "add": (lambda: X + Tensor([1.0, 2.0]), ValueError, r"shapes \(2, 3\) and \(2,\) do not broadcast: on axis -1, the lengths 3 and 2 differ"),
    "matmul": (lambda: X @ X, ValueError, r"@ cannot multiply shapes \(2, 3\) and \(2, 3\).*length 3.*2"),
    "matmul vector": (lambda: X @ Tensor([1.0, 2.0]), ValueError, r"\(2, 3\) and \(2,\).*only axis"),
    "matmul number": (lambda: X @ 2.0, ValueError, r"vectors or matrices.*\(2, 3\) and \(\)"),
    "reshape": (lambda: X.reshape(4, 2), ValueError, r"6 elements do not fit into shape \(4, 2\)"),
    "reshape -1": (lambda: X.reshape(4, -1), ValueError, r"6 elements .* \(4, -1\)"),
    "reshape two": (lambda: X.reshape(-1, -1), ValueError, r"6 elements .* \(-1, -1\)"),
    "shape of floats": (lambda: X.reshape(2.0, 3), TypeError, "a shape is made of integers"),
    "sum axis": (lambda: X.sum(2), IndexError, r"no axis 2 in a tensor of 2 axes: the axes are -2 to 1"),
    "sum axis twice": (lambda: X.sum((0, -2)), ValueError, "the same axis twice"),
    "sum axis float": (lambda: X.sum(1.0), TypeError, "axis must be an integer"),
    "sum axis of number": (lambda: Tensor(1.0).sum(0), IndexError, "it has no axes"),
    "max of nothing": (lambda: Tensor.zeros(0, 3).max(), ValueError, r"max over no elements: the shape is \(0, 3\)"),
    "argmax of nothing": (lambda: Tensor.zeros(0).argmax(), ValueError, "argmax over no elements"),
    "reshape negative": (lambda: X.reshape(-2, -3), ValueError, r"6 elements .* \(-2, -3\)"),
    "flatten": (lambda: X.flatten(1, 0), ValueError, "from 1 to 0"),
    "repeat": (lambda: X.repeat(2), ValueError, r"each of the 2 axes of shape \(2, 3\), and got \(2,\)"),
    "chunk": (lambda: X.chunk(0), ValueError, "at least 1"),
    "expand new -1": (lambda: X.expand(-1, 2, 3), ValueError, r"\(2, 3\) cannot be expanded to \(-1, 2, 3\)"),
    "split negative": (lambda: X.split([-1, 3]), ValueError, r"\[-1, 3\] do not add up to 2"),
    "unsqueeze": (lambda: X.unsqueeze(4), IndexError, "no axis 4"),
    "compare": (lambda: Tensor([1.0, 2.0]) == X, ValueError, r"\(2,\) and \(2, 3\) do not broadcast: on axis -1"),
    "clamp": (lambda: X.clamp(Tensor([1.0])), TypeError, "numbers.*maximum"),
    "add text": (lambda: X + "a", TypeError, "numbers, and this holds str: 'a'"),
    "softmax axis": (lambda: X.softmax(2), IndexError, "no axis 2 in a tensor of 2 axes"),
    "softmax axes": (lambda: X.softmax((0, 1)), TypeError, r"axis must be an integer, and is \(0, 1\)"),
    "permute": (lambda: X.permute(0), ValueError, r"permute needs all 2 axes, each once, and got \(0,\)"),
    "permute twice": (lambda: X.permute(0, 0), ValueError, "the same axis twice"),
    "expand": (lambda: X.expand(2, 4), ValueError, r"\(2, 3\) and \(2, 4\) do not broadcast|cannot be expanded"),
    "expand to less": (lambda: X.expand(3), ValueError, r"shape \(2, 3\) cannot be expanded to shape \(3,\)"),
    "pad": (lambda: X.pad((1, 1)), (ValueError, TypeError), "pair|not iterable"),
    "pad negative": (lambda: X.pad(((0, 0), (-1, 0))), ValueError, "none of it negative"),
    "cat": (lambda: Tensor.cat([X, Tensor.zeros(2, 2)]), ValueError, r"\(2, 3\) and \(2, 2\) along axis 0"),
    "cat axes": (lambda: Tensor.cat([X, Tensor.zeros(3)]), ValueError, r"\(2, 3\) and \(3,\)"),
    "cat nothing": (lambda: Tensor.cat([]), ValueError, "at least one tensor"),
    "cat numbers": (lambda: Tensor.cat([X, 1.0]), TypeError, "cat takes tensors, and one of these is a float"),
    "stack": (lambda: Tensor.stack([X, X.T]), ValueError, r"\(2, 3\) and \(3, 2\)"),
    "split": (lambda: X.split([1, 1], 1), ValueError, r"\[1, 1\] do not add up to 3"),
    "split 0": (lambda: X.split(0), ValueError, "at least 1"),
    "index": (lambda: X[5], IndexError, "out of bounds for axis 0 with size 2"),
    "index float": (lambda: X[Tensor([1.0])], TypeError, "not float32"),
    "index as index": (lambda: [1][Tensor(0.0)], TypeError, "an index must be an integer"),
    "mask": (lambda: where(X, X, X), TypeError, "where is for masks .* float32"),
    "not a mask": (lambda: ~X, TypeError, "for masks"),
    "item": (lambda: X.item(), ValueError, r"one element, and this tensor has shape \(2, 3\)"),
    "truth": (lambda: bool(X > 1), ValueError, "neither true nor false.*all"),
    "len": (lambda: len(Tensor(1.0)), TypeError, "no length"),
    "iter": (lambda: list(Tensor(1.0)), TypeError, "nothing to iterate over"),
    "ragged": (lambda: Tensor([[1.0], [1.0, 2.0]]), ValueError, "different lengths"),
    "text": (lambda: Tensor("abc"), TypeError, "a tensor holds numbers, and this holds str"),
    "None": (lambda: Tensor(None), TypeError, "a tensor holds numbers"),
    "add None": (lambda: X + None, TypeError, "numbers"),
    "list of tensors": (lambda: Tensor([X, X]), TypeError, r"Tensor.stack"),
    "list with a tensor": (lambda: Tensor([[1.0, 2.0], [3.0, X[0, 0]]]), TypeError, r"Tensor.stack"),
    "Function of array": (lambda: Function.apply(X, np.ones(3)), TypeError, "Function takes tensors, and got a ndarray"),
    "dtype": (lambda: Tensor([1.0], dtype="flaot32"), TypeError, "'flaot32' is no dtype.*float32"),
    "integers": (lambda: Tensor([1, 2], requires_grad=True), TypeError, r"only real numbers have gradients.*int64.*\[1.0, 2.0\]"),
    "gradient off": (lambda: (leaf(1.0) * 2).requires_grad_(False), ValueError, "detach"),
    "backward": (lambda: X.sum().backward(), RuntimeError, "requires_grad=True"),
    "backward of many": (lambda: leaf(1.0, 2.0).backward(), ValueError, r"one number.*shape \(2,\).*sum"),
    "device": (lambda: Tensor([1.0], device="gpu"), ValueError, "no device 'gpu'.*cpu"),
    "one_hot": (lambda: Tensor([3]).one_hot(3), ValueError, "one_hot: 3 is none of the 3 classes"),
    "one_hot float": (lambda: Tensor([1.0]).one_hot(3), TypeError, "one_hot needs integers.*float32"),
    "embedding": (lambda: Tensor([-1]).embedding(X), ValueError, "embedding: -1 is none of the 2"),
    "embedding row": (lambda: Tensor([2]).embedding(X), ValueError, "embedding: 2 is none of the 2"),
    "embedding float": (lambda: Tensor([0.0]).embedding(X), TypeError, "needs integers.*float32"),
    "embedding table": (lambda: Tensor([0]).embedding(X[0]), ValueError, r"\(n_rows, width\), and got \(3,\)"),
    "one_hot negative": (lambda: Tensor([-1]).one_hot(3), ValueError, "-1 is none of the 3"),
    "linear weight": (lambda: X.linear(X[0]), ValueError, r"\(n_outputs, n_inputs\), and got \(3,\)"),
    "linear bias": (lambda: X.linear(X, Tensor([1.0])), ValueError, r"bias of shape \(2,\), and got \(1,\)"),
    "linear array": (lambda: X.linear(np.ones((2, 3))), TypeError, "linear takes tensors, and one of these is a ndarray"),
    "layer norm bias": (lambda: X.layer_norm(Tensor.ones(3), Tensor.ones(2)), ValueError, r"\(3,\) and \(2,\)"),
    "cross entropy one-hot": (lambda: X.cross_entropy(X), ValueError, r"got \(2, 3\) and \(2, 3\)"),
    "cross entropy negative": (lambda: X.cross_entropy([0, -1]), ValueError, "-1 is none of the 3"),
    "bce": (lambda: X.binary_cross_entropy_with_logits(Tensor([1.0])), ValueError, r"\(2, 3\) and \(1,\)"),
    "mse reduction": (lambda: X.mse_loss(X, "avg"), ValueError, "'avg'"),
    "conv groups": (lambda: IMAGE.conv2d(Tensor.ones(2, 1, 2, 2), groups=3), ValueError, "have 2 channels.*3 group"),
    "conv padding": (lambda: IMAGE.conv2d(Tensor.ones(1, 2, 2, 2), padding="same"), ValueError, "padding is an integer"),
    "conv stride 1.5": (lambda: IMAGE.conv2d(Tensor.ones(1, 2, 2, 2), stride=1.5), ValueError, "stride is an integer"),
    "dropout": (lambda: X.dropout(1.5), ValueError, "from 0 to 1, and is 1.5"),
    "linear": (lambda: X.linear(Tensor.ones(4, 2)), ValueError, r"shape \(..., 2\), and got \(2, 3\)"),
    "layer norm": (lambda: X.layer_norm(Tensor.ones(2), Tensor.ones(2)), ValueError, r"\(..., 2\), and got \(2, 3\)"),
    "cross entropy": (lambda: X.cross_entropy(Tensor([0])), ValueError, r"\(n,\), and got \(2, 3\) and \(1,\).*reshape"),
    "cross entropy class": (lambda: X.cross_entropy([0, 3]), ValueError, "3 is none of the 3 classes"),
    "cross entropy float": (lambda: X.cross_entropy([0.0, 1.0]), TypeError, "needs integers"),
    "cross entropy smoothing": (lambda: X.cross_entropy([0, 1], label_smoothing=2), ValueError, "from 0 to 1"),
    "reduction": (lambda: X.cross_entropy([0, 1], reduction="avg"), ValueError, "'avg'"),
    "mse": (lambda: X.mse_loss(Tensor([1.0, 2.0, 3.0])), ValueError, r"\(2, 3\) and \(3,\); reshape"),
    "conv shape": (lambda: X.conv2d(Tensor.ones(1, 1, 2, 2)), ValueError, r"\(n, channels, height, width\).*\(2, 3\)"),
    "conv channels": (lambda: IMAGE.conv2d(Tensor.ones(1, 3, 2, 2)), ValueError, "have 2 channels.* 3"),
    "conv window": (lambda: IMAGE.conv2d(Tensor.ones(1, 2, 7, 7)), ValueError, r"\(7, 7\) is larger than images of \(5, 5\)"),
    "conv stride": (lambda: IMAGE.conv2d(Tensor.ones(1, 2, 2, 2), stride=0), ValueError, "stride is an integer of at least 1"),
    "conv bias": (lambda: IMAGE.conv2d(Tensor.ones(1, 2, 2, 2), Tensor.ones(3)), ValueError, r"bias has shape \(3,\), and needs \(1,\)"),
    "pool window": (lambda: IMAGE.max_pool2d(6), ValueError, "larger than the image"),
    "pool shape": (lambda: X.avg_pool2d(1), ValueError, r"pooling needs shape .*\(2, 3\)"),
    "pool padding": (lambda: IMAGE.max_pool2d(2, padding=2), ValueError, "at most half"),
    "data of a list": (lambda: setattr(Tensor([1.0]), "data", [2.0]), TypeError, r"x.data is an array of numbers, and this is \[2.0\].*Tensor"),
    "data of text": (lambda: setattr(Tensor([1.0]), "data", np.array(["a"])), TypeError, "an array of numbers"),
    "data of None": (lambda: setattr(Tensor([1.0]), "data", None), TypeError, "an array of numbers"),
    "triangle": (lambda: Tensor([1.0]).tril(), ValueError, "at least two axes"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_errors(name):
    attempt, error, words = WRONG[name]
    with pytest.raises(error, match=words):
        attempt()


# ---------------------------------------------------------------- devices and imports


def in_python(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )


def test_the_default_device_comes_from_the_environment():
    code = "from course.tensor import Tensor; print(Tensor([1.0]).device)"
    assert in_python(code, COURSE_DEVICE="cpu").stdout == "cpu\n"
    wrong = in_python(code, COURSE_DEVICE="tpu").stderr
    assert "there is no device 'tpu' (from the environment variable COURSE_DEVICE)" in wrong


def test_devices():
    x = Tensor([1.0])
    assert x.device == "cpu" and x.device == get_device("cpu") and str(x.device) == "cpu"
    assert x.to("cpu") is x and x.cpu() is x


def test_tensors_on_two_devices_do_not_mix():
    from course.tensor.devices import Device

    x, y = Tensor([1.0]), Tensor([1.0])
    y.device = Device("elsewhere", y.device.ops)
    with pytest.raises(ValueError, match=r'Add: inputs are on cpu and on elsewhere.*x.to\("cpu"\)'):
        x + y


def test_importing_loads_nothing_large():
    code = "import sys, course.tensor, course.tensor.nn; print(*sys.modules)"
    loaded = in_python(code).stdout.split()
    assert not {"numba", "matplotlib", "IPython", "pandas", "torch"} & set(loaded)
