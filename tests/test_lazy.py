"""Lazy tensors: the same numbers as numpy's, in fewer kernels, whatever is fused; and replays of them."""

import gc
import os
import subprocess
import sys
import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course.lazy import JitError, LazyArray, as_lazy, count, fusion, jit, uncompiled
from course.lazy import compute as compute_together
from course.lazy.run import written
from course.tensor import Tensor, manual_seed, no_grad
from course.tensor.nn import BatchNorm1d, Conv2d, Linear, ReLU, Sequential, optim
from course.tensor.nn.state import get_state_dict, load_state_dict
from tests.tensor_cases import CASES, weights

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


@pytest.fixture(autouse=True, scope="module")
def kernels_in_a_folder_of_their_own(tmp_path_factory):
    before = os.environ.get("COURSE_LAZY_CACHE")
    os.environ["COURSE_LAZY_CACHE"] = str(tmp_path_factory.mktemp("kernels"))
    yield
    if before is None:
        del os.environ["COURSE_LAZY_CACHE"]
    else:
        os.environ["COURSE_LAZY_CACHE"] = before


def numbers(*shape, seed=0, dtype="float64"):
    return np.random.default_rng(seed).uniform(0.2, 2, shape).astype(dtype)


# ---------------------------------------------------------------- the same numbers


def on_device(case, device):
    inputs = [
        Tensor(x.copy(), device=device, requires_grad=x.dtype.kind == "f") for x in case.arrays
    ]
    result = case.ours(*inputs)
    if result.requires_grad:
        result.backward(Tensor(weights(result.shape), dtype=result.dtype, device=device))
    assert result.device == device
    grads = [x.grad for x in inputs]
    return [result.numpy(), *[None if grad is None else grad.numpy() for grad in grads]]


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("fused", [True, False])
def test_every_operation_gives_what_the_cpu_gives(fused, compiled):
    """Every case with plain Python as the compiler; a few with numba, as that takes long."""
    cases = [case for case in CASES if case.name != "negative ** x"]  # it makes a tensor on the CPU
    if compiled:
        cases = cases[:: 60 if fused else 150]
    for case in cases:
        with np.errstate(all="ignore"):
            expected = on_device(case, "cpu")
            with fusion(fused):
                if compiled:
                    actual = on_device(case, "lazy")
                else:
                    with uncompiled():
                        actual = on_device(case, "lazy")
        assert len(actual) == len(expected)
        for a, b in zip(actual, expected):
            assert (a is None) == (b is None), case.name
            if b is not None:
                assert (a.shape, a.dtype) == (b.shape, b.dtype), case.name
                np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12, err_msg=case.name)


UNARY = [np.exp, np.tanh, np.negative, np.abs, np.square, np.sin, np.sqrt]
BINARY = [np.add, np.subtract, np.multiply, np.maximum, np.minimum, np.divide]


def steps(draw, pairs):
    """One more operation on arrays that are there: the lazy one and numpy's."""
    kind = draw(st.sampled_from(["unary", "binary", "sum", "max", "view", "where", "in place"]))
    lazy, plain = draw(st.sampled_from(pairs))
    if kind == "unary":
        f = draw(st.sampled_from(UNARY))
        return f(lazy), f(plain)
    if kind in ("binary", "where", "in place"):
        others = [(a, b) for a, b in pairs if b.shape == plain.shape]
        other, plain_other = draw(st.sampled_from(others))
        if kind == "where":
            return np.where(lazy > other, lazy, 0.5), np.where(plain > plain_other, plain, 0.5)
        if kind == "in place":
            lazy, plain = lazy.copy(), plain.copy()
            lazy += other
            plain += plain_other
            return lazy, plain
        f = draw(st.sampled_from(BINARY))
        return f(lazy, other), f(plain, plain_other)
    axis = draw(st.integers(0, plain.ndim - 1)) if plain.ndim else None
    if kind in ("sum", "max") and 0 not in plain.shape:
        keepdims = draw(st.booleans())
        name = kind
        return getattr(lazy, name)(axis, keepdims), getattr(plain, name)(axis, keepdims=keepdims)
    if not plain.ndim:
        return np.broadcast_to(lazy, (2, 3)), np.broadcast_to(plain, (2, 3))
    view = draw(st.sampled_from(["T", "flat", "flip", "cut", "expand"]))
    if view == "T":
        return lazy.T, plain.T
    if view == "flat":
        return lazy.reshape(-1), plain.reshape(-1)
    if view == "flip":
        return np.flip(lazy, axis), np.flip(plain, axis)
    if view == "cut":
        key = (slice(None),) * axis + (slice(1, None, 2),)
        return lazy[key], plain[key]
    return np.broadcast_to(lazy, (2, *plain.shape)), np.broadcast_to(plain, (2, *plain.shape))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_graph_is_right_fused_or_not(data):
    plain = [numbers(3, 4), numbers(4, 3, seed=1), numbers(4, seed=2), numbers(seed=3)]
    pairs = [(as_lazy(x), x) for x in plain]
    with np.errstate(all="ignore"):
        for _ in range(data.draw(st.integers(1, 12))):
            new = steps(data.draw, pairs)
            if new[1].size < 400 and new[1].ndim < 4:
                pairs.append(new)
            if data.draw(st.integers(0, 5)) == 0:
                with uncompiled():
                    pairs[-1][0].compute()
        with uncompiled(), fusion(data.draw(st.booleans())):
            compute_together(*[lazy for lazy, _ in pairs])
            for lazy, expected in pairs:
                assert lazy.shape == expected.shape
                np.testing.assert_allclose(lazy.numpy(), expected, rtol=1e-9, atol=1e-9)


def test_dtypes_are_numpys():
    single, whole = numbers(3, dtype="float32"), np.arange(3, dtype="int32")
    cases = [
        lambda x, n: x * 2.0,
        lambda x, n: x * np.float64(2),
        lambda x, n: x + n,
        lambda x, n: n * 2,
        lambda x, n: n / 2,
        lambda x, n: x > 1,
        lambda x, n: n.sum(),
        lambda x, n: (x > 1).sum(),
        lambda x, n: n.astype("float32") + x,
        lambda x, n: ~(x > 1) & (n > 0),
        lambda x, n: np.where(x > 1, x, 0),
    ]
    for f in cases:
        with uncompiled():
            actual, expected = f(as_lazy(single), as_lazy(whole)), f(single, whole)
            assert actual.dtype == expected.dtype
            np.testing.assert_allclose(actual.numpy(), expected, rtol=1e-6)


# ---------------------------------------------------------------- fewer kernels


def kernels_of(f, *arrays):
    with uncompiled(), count() as work:
        f(*map(as_lazy, arrays)).compute()
    return work


def test_nothing_runs_before_it_is_asked_for():
    with uncompiled(), count() as work:
        y = as_lazy(numbers(3)) * 2 + 1
        assert (work.kernels, y.is_computed) == (0, False)
        assert "to do: add" in repr(y)
        y.numpy()
        y.numpy()
    assert work.kernels == 1


def test_a_chain_is_one_kernel_and_reads_its_inputs_once():
    a, b = numbers(30, 40), numbers(40)
    work = kernels_of(lambda a, b: np.tanh(a * b + 1) * a - b, a, b)
    assert work.kernels == 1
    assert work.bytes == a.nbytes + b.nbytes + a.nbytes
    assert "1 kernel, " in str(work)


def test_operations_fuse_into_the_sum_behind_them_and_views_cost_nothing():
    a = numbers(5, 6)
    assert kernels_of(lambda a: (a.T * 2)[1:, ::-1].sum(axis=0), a).kernels == 1
    with fusion(False):
        assert kernels_of(lambda a: (a.T * 2)[1:, ::-1].sum(axis=0), a).kernels == 2


def test_results_of_one_space_share_a_kernel():
    a = as_lazy(numbers(5, 6))
    with uncompiled(), count() as work:
        compute_together(a * 2, a + 1, (a * 2) * (a + 1), a.sum(axis=0))
    assert work.kernels == 1


def test_what_was_computed_is_stored_before_it_is_stretched():
    """1 / sqrt(...) of each row must not be computed once for each element."""
    work = kernels_of(lambda x: x / np.sqrt((x * x).sum(axis=1, keepdims=True)), numbers(5, 6))
    assert work.kernels == 3


def test_a_kernel_as_it_is_printed():
    a, b = as_lazy(numbers(3, 4)), as_lazy(numbers(4))
    (source,) = written([np.sum(a * b + 1, axis=1, keepdims=True).node])
    assert source.text == (
        "def kernel(out0, in0, in1, c0):\n"
        "    for i0 in range(3):\n"
        "        s_out0 = 0.0\n"
        "        for i1 in range(4):\n"
        "            x0 = in0[4 * i0 + i1]\n"
        "            x1 = in1[i1]\n"
        "            x2 = x0 * x1\n"
        "            x3 = x2 + c0\n"
        "            s_out0 = s_out0 + x3\n"
        "        out0[i0] = s_out0\n"
    )


def test_another_number_is_no_other_kernel():
    a = as_lazy(numbers(3))
    first, second = (written([(a * factor).node])[0] for factor in (2.0, 3.0))
    assert first.text == second.text
    assert (first.constants, second.constants) == ([2.0], [3.0])


def mlp(device="lazy", optimiser=None):
    manual_seed(0)
    model = Sequential(Linear(16, 32), ReLU(), Linear(32, 5)).to(device)
    x = Tensor(numbers(8, 16, dtype="float32"), device=device)
    y = Tensor(np.arange(8) % 5, device=device)
    optimiser = (optimiser or (lambda p: optim.SGD(p, lr=0.1, momentum=0.9)))(model.parameters())

    def step(x, y):
        optimiser.zero_grad()
        loss = model(x).cross_entropy(y)
        loss.backward()
        optimiser.step()
        return loss

    return model, step, x, y


@pytest.mark.parametrize("adam", [False, True])
def test_a_training_step_takes_at_most_half_the_kernels(adam):
    make = (lambda p: optim.AdamW(p, lr=0.01)) if adam else None
    losses = {}
    for device in ("cpu", "lazy"):
        _, step, x, y = mlp(device, make)
        with uncompiled():
            losses[device] = [step(x, y).item() for _ in range(6)]
    assert losses["lazy"] == pytest.approx(losses["cpu"], rel=1e-5)
    _, step, x, y = mlp("lazy", make)
    works = []
    with uncompiled():
        step(x, y).item()
        for fused in (True, False):
            with fusion(fused), count() as work:
                step(x, y).item()
            works.append(work)
    assert works[0].kernels <= works[1].kernels / 2
    assert works[0].bytes < works[1].bytes


def test_networks_with_convolutions_and_batch_norm_train_the_same():
    losses = {}
    for device in ("cpu", "lazy"):
        manual_seed(0)
        conv = Conv2d(1, 4, 3).to(device)
        norm, linear = BatchNorm1d(16).to(device), Linear(16, 3).to(device)
        parameters = [*conv.parameters(), *norm.parameters(), *linear.parameters()]
        optimiser = optim.SGD(parameters, lr=0.1)
        x = Tensor(numbers(6, 1, 6, 6, dtype="float32"), device=device)
        y = Tensor(np.arange(6) % 3, device=device)
        losses[device] = []
        with uncompiled():
            for _ in range(4):
                hidden = conv(x).relu().max_pool2d(2).flatten(1)
                loss = linear(norm(hidden)).cross_entropy(y)
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                losses[device].append(loss.item())
    assert losses["lazy"] == pytest.approx(losses["cpu"], rel=1e-4)


# ---------------------------------------------------------------- in place, deep, large


def test_what_was_noted_before_a_change_in_place_keeps_the_old_numbers():
    a = as_lazy(np.array([1.0, 2.0]))
    before = a * 10
    same = a
    a += 1
    with uncompiled():
        assert same is a
        assert a.numpy().tolist() == [2, 3]
        assert before.numpy().tolist() == [10, 20]
    with pytest.raises(ValueError, match="does not fit"):
        a += np.ones((3, 2))


def test_an_array_given_is_copied():
    numbers = np.array([1.0, 2.0])
    x = Tensor(numbers, device="lazy")
    numbers[0] = 9
    assert x.tolist() == [1, 2]


def test_weights_that_nobody_reads_do_not_pile_up():
    _model, step, x, y = mlp()
    with uncompiled():
        for _ in range(3):
            step(x, y).item()
        with count() as first:
            step(x, y).item()
        for _ in range(20):
            step(x, y).item()
        with count() as last:
            step(x, y).item()
    assert last.kernels == first.kernels


def test_graphs_are_freed():
    model, step, x, y = mlp()
    with uncompiled():
        step(x, y).item()
        hidden = model(x)
        node = weakref.ref(hidden._data)
        hidden.numpy()
        del hidden
        gc.collect()
        assert node() is None


def test_deep_and_doubled_graphs():
    x = as_lazy(np.array([1.0]))
    for _ in range(5000):
        x = x + 1
    y = as_lazy(np.array([1.0]))
    for _ in range(60):
        y = (y + y) * 0.5
    z = as_lazy(numbers(2, 3))
    for _ in range(3000):
        z = z.T
    with uncompiled():
        assert x.numpy()[0] == 5001
        assert y.numpy()[0] == 1
        assert np.array_equal(z.numpy(), numbers(2, 3))


def test_errors_come_when_the_mistake_is_made_not_later():
    a, b = as_lazy(numbers(2, 3)), as_lazy(numbers(2, 4))
    with pytest.raises(ValueError, match="do not broadcast"):
        a + b
    with pytest.raises(ValueError, match=r"cannot multiply shapes \(2, 3\) and \(2, 4\)"):
        a @ b
    with pytest.raises(ValueError, match="6 elements do not fit"):
        a.reshape(4, 2)
    with pytest.raises(ValueError, match="the max of no numbers"):
        as_lazy(np.zeros((0, 3))).max(axis=0)
    with pytest.raises(IndexError, match="outside of axis 1"):
        a[0, 3]
    with pytest.raises(IndexError, match="3 indices for an array of 2 axes"):
        a[0, 0, 0]
    with pytest.raises(ValueError, match="on lazy and on cpu"):
        Tensor([1.0], device="lazy") + Tensor([1.0])


def test_options_of_numpys_functions_are_not_overlooked():
    x = numbers(3, 4)
    lazy = as_lazy(x)
    with uncompiled():
        assert np.add.reduce(lazy, axis=0, initial=5.0).numpy() == pytest.approx(
            x.sum(0, initial=5)
        )
        assert lazy.max(axis=1, initial=1.0).numpy() == pytest.approx(x.max(1, initial=1.0))
        assert as_lazy(np.zeros((0, 2))).min(axis=0, initial=7.0).numpy().tolist() == [7, 7]
        single = as_lazy(x.astype("float32"))
        assert np.add.reduce(single, axis=0, dtype="float64").dtype == "float64"
        total = np.zeros(4)
        assert np.add.reduce(lazy, axis=0, out=total) is total
        assert total == pytest.approx(x.sum(0))
        array = np.ones(4)
        array += lazy[0]
        assert array == pytest.approx(1 + x[0])
        whole = as_lazy(np.arange(4))
        with pytest.raises(TypeError, match="an array of int64 cannot become float64"):
            whole += 0.5
        assert as_lazy(x)[True].shape == (1, 3, 4)


def test_numpys_other_functions_run_at_once():
    x = numbers(3, 3)
    lazy = as_lazy(x)
    assert np.allclose(np.linalg.inv(lazy).numpy(), np.linalg.inv(x))
    assert np.allclose(np.cumsum(lazy, axis=1).numpy(), np.cumsum(x, axis=1))
    assert np.allclose(lazy[[0, 2, 2]].numpy(), x[[0, 2, 2]])
    assert np.allclose(np.concatenate([lazy, lazy * 2]).numpy(), np.concatenate([x, x * 2]))
    assert isinstance(np.cumsum(lazy), LazyArray)


def test_kernels_are_kept_on_disk_and_run_without_one(tmp_path):
    program = (
        "import numpy as np\nfrom course.lazy import as_lazy\n"
        "print((as_lazy(np.arange(3.0)) * 2 + 1).numpy().tolist())"
    )
    for folder in (tmp_path / "kernels", tmp_path / "kernels", tmp_path / "file"):
        if folder.name == "file":
            folder.write_text("no folder")
        result = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "COURSE_LAZY_CACHE": str(folder)},
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        assert result.stdout == "[1.0, 3.0, 5.0]\n", result.stderr
    assert len(list((tmp_path / "kernels").glob("kernel_*.py"))) == 1


# ---------------------------------------------------------------- replays


def test_a_replayed_step_trains_as_the_step_itself():
    trained = []
    for replayed in (False, True):
        model, step, _x, y = mlp()
        run = jit(step) if replayed else step
        batches = [Tensor(numbers(8, 16, seed=i, dtype="float32"), device="lazy") for i in range(8)]
        with uncompiled():
            losses = [run(batch, y) for batch in batches]
            trained.append(([loss.item() for loss in losses], model[0].weight.numpy()))
    assert trained[0][0] == pytest.approx(trained[1][0], rel=1e-6)
    np.testing.assert_allclose(trained[0][1], trained[1][1], rtol=1e-5)


def test_a_replay_runs_no_python_of_the_function():
    calls = []

    def double(x):
        calls.append(1)
        return x * 2

    quick = jit(double)
    with uncompiled():
        results = [quick(as_lazy(np.array([float(i)]))) for i in range(6)]
        assert [x.numpy()[0] for x in results] == [
            0,
            2,
            4,
            6,
            8,
            10,
        ]  # none overwritten by a later one
    assert len(calls) == 2


def test_a_replay_sees_what_was_changed_between_calls():
    model, _step, x, _y = mlp()
    predict = jit(lambda x: model(x))
    with uncompiled(), no_grad():
        for _ in range(4):
            predict(x)
        saved = {name: t * 0 for name, t in get_state_dict(model).items()}
        load_state_dict(model, saved)
        assert abs(predict(x).numpy()).max() == 0


def test_results_of_another_shape_have_memory_of_their_own():
    """A sum is stored with axes of length 1, and handed out without them."""
    with uncompiled():
        total = jit(lambda x: x.sum())
        results = [total(as_lazy(np.array([1.0, i]))) for i in range(5)]
        assert [float(x) for x in results] == [1, 2, 3, 4, 5]

        def computes_on_the_way(x):
            y = (x * 2).reshape(1, 2)
            y.compute()
            return np.cumsum(y) + (y * 3).sum()

        quick = jit(computes_on_the_way)
        for i in range(5):
            x = np.array([1.0, i])
            expected = np.cumsum(x * 2) + (x * 6).sum()
            assert np.array_equal(quick(as_lazy(x)).numpy(), expected)

        turned = jit(lambda x: np.matmul(x, x.T) + x.reshape(3, 2).sum())
        for i in range(5):
            x = np.asfortranarray(numbers(3, 2, seed=i)).T
            assert np.allclose(turned(as_lazy(x)).numpy(), x @ x.T + x.sum())


def test_replays_are_counted_and_hand_out_what_they_only_pass_on():
    weight = as_lazy(np.array([1.0]))
    both = jit(lambda x: (x * 2, weight))
    with uncompiled():
        for i in range(4):
            with count() as work:
                doubled, same = both(as_lazy(np.array([float(i)])))
            assert work.kernels == 1
            assert (doubled.numpy()[0], same.numpy()[0]) == (2 * i, 1 + i)
            weight += 1
            weight.compute()


@pytest.mark.parametrize("make", [optim.Adam, optim.AdamW])
def test_adam_counts_its_steps_in_a_replay_too(make):
    losses = {}
    for device in ("cpu", "lazy"):
        _, step, x, y = mlp(device, lambda p: make(p, lr=0.05, weight_decay=0.1))
        with uncompiled():
            run = step if device == "cpu" else jit(step)
            losses[device] = [run(x, y).item() for _ in range(8)]
    assert losses["lazy"] == pytest.approx(losses["cpu"], rel=1e-5)


def test_what_adam_keeps_moves_between_devices():
    """Saved on one device after three steps, a fourth one on the other is the same."""
    losses = {}
    for first, second in (("cpu", "lazy"), ("lazy", "cpu"), ("cpu", "cpu")):
        optimisers = []

        def made(p, kept=optimisers):
            kept.append(optim.AdamW(p, lr=0.05))
            return kept[-1]

        model, step, x, y = mlp(first, made)
        other, go_on, x2, y2 = mlp(second, made)
        with uncompiled():
            for _ in range(3):
                step(x, y)
            other.load_state_dict(model.state_dict())
            saved = optimisers[0].state_dict()
            assert [kept["step"] for kept in saved["state"].values()] == [3, 3, 3, 3]
            optimisers[1].load_state_dict(saved)
            losses[first, second] = [go_on(x2, y2).item() for _ in range(2)]
    for found in losses.values():
        assert found == pytest.approx(losses["cpu", "cpu"], rel=1e-5)


def test_what_a_function_makes_for_itself_and_changes_is_not_stored():
    """Neither at the first run nor in a replay: `square` is forgotten when the function ends."""

    def function(x):
        square = x * x
        square += 1
        return square * 2

    with uncompiled():
        quick = jit(function)
        for i in range(4):
            with count() as work:
                result = quick(as_lazy(np.array([float(i), 2.0]))).numpy()
            assert [len(launch.outputs) for launch in work.launches] == [1]
            assert result.tolist() == [2 * (i * i + 1), 10]


def test_a_result_that_was_changed_in_place_is_not_overwritten_by_replays():
    def function(x):
        doubled = x * 2
        doubled += 1
        return doubled

    with uncompiled():
        quick = jit(function)
        results = [quick(as_lazy(np.array([float(i)]))) for i in range(5)]
        assert [x.numpy().tolist() for x in results] == [[1.0], [3.0], [5.0], [7.0], [9.0]]


def test_what_cannot_be_replayed_is_refused():
    x = Tensor(numbers(8, 16, dtype="float32"), device="lazy")
    rates = iter([0.1, 0.2, 0.3])
    with uncompiled():
        quick = jit(lambda x: x * next(rates))
        with pytest.raises(JitError, match="a number in kernel"):
            for _ in range(3):
                quick(as_lazy(numbers(3)))

        noisy = jit(lambda x: x * Tensor.rand(16, device="lazy"))
        with pytest.raises(JitError, match="held other numbers"):
            for _ in range(3):
                noisy(x)

        quick = jit(lambda x: x * 2)
        quick(as_lazy(numbers(3)))
        with pytest.raises(JitError, match=r"\(3,\) float64, and now \(4,\) float64"):
            quick(as_lazy(numbers(4)))
        with pytest.raises(TypeError, match=r"x.to\(\"lazy\"\)"):
            quick(numbers(3))
        with pytest.raises(TypeError, match="got a float"):
            quick(2.0)
        x = as_lazy(numbers(3))
        with pytest.raises(JitError, match="two arguments are the same array"):
            jit(lambda a, b: a - b)(x, x)


def test_results_may_be_several_or_none():
    with uncompiled():
        both = jit(lambda a, b: (a + b, a * b))
        for i in range(4):
            total, product = both(as_lazy(np.array([1.0 + i])), as_lazy(np.array([2.0])))
            assert (total.numpy()[0], product.numpy()[0]) == (3 + i, 2 + 2 * i)
        counter = as_lazy(np.zeros(1))

        def up():
            nonlocal counter
            counter += 1

        more = jit(up)
        for _ in range(5):
            assert more() is None
        assert counter.numpy()[0] == 5
