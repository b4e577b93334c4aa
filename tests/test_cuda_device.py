"""The device "cuda": the same numbers as the CPU's, from kernels alone; copies that are asked for alone."""

import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course import kernellab as lab
from course.cuda import images, ops
from course.cuda.array import CudaArray
from course.cuda.errors import NoKernel
from course.cuda.memory import Pool, pool, rounded
from course.cuda.momentum import sgd_momentum
from course.cuda.move import move
from course.cuda.record import launch, record
from course.cuda.strided import merged
from course.tensor import Tensor, manual_seed, no_grad, numpy_ops
from course.tensor.data import load_digits
from course.tensor.layout import Layout
from course.tensor.nn import Dropout, Linear, ReLU, Sequential, optim
from course.tensor.nn.optim import clip_grad_norm_
from course.tensor.resnet import ResNet
from course.tensor.training import fit
from tests.tensor_cases import CASES, weights


@pytest.fixture
def py(monkeypatch):
    """Small arrays, many kernels: nothing is compiled but the product, whose blocks do a lot for little."""

    def launch_product(*arguments):
        with lab.engine("auto"):
            launch(*arguments)

    monkeypatch.setattr("course.cuda.products.launch", launch_product)
    with lab.engine("py"):
        yield


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


# ---------------------------------------------------------------- the same numbers


def on_device(case, device):
    inputs = [
        Tensor(
            x.astype(np.float32) if x.dtype.kind == "f" else x,
            device=device,
            requires_grad=x.dtype.kind == "f",
        )
        for x in case.arrays
    ]
    result = case.ours(*inputs)
    if result.requires_grad:
        result.backward(Tensor(weights(result.shape), dtype="float32", device=device))
    assert result.device == device
    grads = [x.grad for x in inputs]
    return [result.numpy(), *[None if grad is None else grad.numpy() for grad in grads]]


@pytest.mark.parametrize("part", range(4))
def test_every_operation_gives_what_the_cpu_gives(py, part):
    for case in CASES[part::4]:
        if case.name == "negative ** x":  # it makes a tensor on the CPU
            continue
        with np.errstate(all="ignore"):
            expected = on_device(case, "cpu")
        actual = on_device(case, "cuda")
        for a, b in zip(actual, expected, strict=True):
            assert (a is None) == (b is None), case.name
            if b is not None:
                assert (a.shape, a.dtype) == (b.shape, b.dtype), case.name
                scale = np.abs(b[np.isfinite(b)]).max(initial=1)
                np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6 * scale, err_msg=case.name)


def train(device, model, steps, optimizer, flat):
    x, y = load_digits(flat=flat)[:2]
    manual_seed(0)
    network = model().to(device)
    n = 16 * steps
    optimizer = optimizer(network.parameters())
    return fit(network, optimizer, x[:n].to(device), y[:n].to(device), epochs=1, batch_size=16)


@pytest.mark.parametrize("name", ["mlp", "resnet"])
def test_the_same_loss_curve(name):
    def mlp():
        return Sequential(Linear(64, 32), ReLU(), Linear(32, 10))

    options = {
        "mlp": (mlp, 50, lambda p: optim.SGD(p, lr=0.1, momentum=0.9), True),
        # With 0.05, a ReLU whose input is 0 but for rounding can set the two apart for good.
        "resnet": (lambda: ResNet(4), 50, lambda p: optim.SGD(p, lr=0.02, momentum=0.9), False),
    }[name]
    cpu, cuda = (train(device, *options) for device in ("cpu", "cuda"))
    assert len(cuda) == 50
    np.testing.assert_allclose(cuda, cpu, rtol=0, atol=1e-4)


# ---------------------------------------------------------------- views and strides


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_views_are_numpys(data):
    x = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    with lab.engine("py"):
        y = CudaArray.from_numpy(x)
        with record() as log:
            for _ in range(data.draw(st.integers(1, 4))):
                kind = data.draw(st.sampled_from(["T", "cut", "flip", "int", "None", "expand"]))
                axis = data.draw(st.integers(0, x.ndim - 1)) if x.ndim else None
                if kind == "None" and x.ndim < 4:
                    x, y = x[..., None], y[..., None]
                elif kind == "expand" and x.ndim < 4:
                    x, y = np.broadcast_to(x, (2, *x.shape)), y.broadcast_to((2, *y.shape))
                elif x.ndim and kind in ("T", "flip"):
                    x, y = (x.T, y.T) if kind == "T" else (np.flip(x, axis), y.flip(axis))
                elif x.ndim and kind in ("cut", "int") and x.shape[axis]:
                    part = slice(1, None, 2) if kind == "cut" else -1
                    index = (slice(None),) * axis + (part,)
                    x, y = x[index], y[index]
        assert not log.launches and not log.copies
        assert y.shape == x.shape
        assert y.numpy().tolist() == x.tolist()


@given(st.permutations([0, 1, 2, 3]), st.lists(st.integers(1, 3), min_size=4, max_size=4))
def test_merged_axes_are_the_same_elements(order, shape):
    layout = Layout.contiguous(tuple(shape)).permute(order)
    other = Layout.contiguous(layout.shape)
    short, (strides, in_order) = merged([layout, other])
    assert len(short) == 4
    assert (
        Layout(short, strides).positions().ravel().tolist() == layout.positions().ravel().tolist()
    )
    assert Layout(short, in_order).positions().ravel().tolist() == list(range(layout.size))
    if list(order) == [0, 1, 2, 3]:
        assert short[:3] == (1, 1, 1)


def test_more_axes_than_kernels_usually_get(py):
    x = numbers(2, 2, 2, 2, 2, 2)
    order = (5, 3, 1, 0, 2, 4)
    assert (CudaArray.from_numpy(x).transpose(order) * 2).numpy().tolist() == (
        x.transpose(order) * 2
    ).tolist()


def test_in_place_reads_before_it_is_overwritten(py):
    x = numbers(5, 5)
    y = CudaArray.from_numpy(x)
    y += y.T
    np.testing.assert_allclose(y.numpy(), x + x.T)
    z = CudaArray.from_numpy(x)
    z[1:] = z[:-1]
    np.testing.assert_allclose(z.numpy(), np.concatenate([x[:1], x[:-1]]))
    view = z.T
    view *= 2
    np.testing.assert_allclose(z.numpy(), 2 * np.concatenate([x[:1], x[:-1]]))


def test_a_temporary_copy_lives_until_its_kernel_is_launched(py):
    a, b = numbers(2, 1, 3, 4), numbers(5, 4, 2, seed=1)
    product = ops.matmul(CudaArray.from_numpy(a), CudaArray.from_numpy(b))
    np.testing.assert_allclose(product.numpy(), a @ b, rtol=1e-5, atol=1e-6)


# ---------------------------------------------------------------- memory


def test_blocks_are_used_again():
    own = Pool()
    blocks = [own.take(n) for n in (0, 1, 512, 513)]
    assert [block.size for block in blocks] == [512, 512, 512, 1024]
    for block in blocks:
        own.give_back(block)
    assert own.in_use == 0 and own.kept == 2560 and own.peak == 2560
    assert own.take(700) is blocks[3]
    own.empty_cache()
    assert own.kept == 0
    assert rounded(1 << 20) == 1 << 20 and rounded((1 << 20) + 1) == 1 << 21


def test_a_step_needs_no_new_memory(py):
    model = Sequential(Linear(4, 8), ReLU(), Linear(8, 3)).to("cuda")
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    x, y = Tensor(numbers(6, 4)), Tensor(np.array([0, 1, 2, 0, 1, 2]))

    def step():
        loss = model(x.to("cuda")).cross_entropy(y.to("cuda"))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    losses = [step(), step()]
    pool.reset()
    before = pool.in_use
    with record() as log:
        losses.append(step())
    assert losses[2] < losses[0]
    assert pool.allocated == 0 and pool.in_use == before
    assert log.copied("to the device") == [96, 48] and log.copied("to the host") == [4]


# ---------------------------------------------------------------- copies, and what is refused


def test_nothing_is_copied_silently(py):
    x = CudaArray.from_numpy(numbers(3))
    for hidden in (np.asarray, np.array, list, float, bool):
        with pytest.raises(TypeError, match="on the device 'cuda'"):
            hidden(x)
    with pytest.raises(TypeError, match="on the device 'cuda'"):
        x + np.ones(3)
    with pytest.raises(NoKernel, match="'cumsum'"):
        np.cumsum(x)
    with pytest.raises(NoKernel, match="'arctan'"):
        np.arctan(x)
    with pytest.raises(NoKernel, match=r"no kernel for 'cumsum'; x\.cpu"):
        ops.cumsum(x)
    with pytest.raises(NoKernel, match="'cumsum'"):
        x.cumsum()
    with pytest.raises(NoKernel, match="matmul of int64"):
        ops.matmul(CudaArray.from_numpy(np.ones((2, 2), int)), x)
    with pytest.raises(TypeError, match=r'Tensor\(x, dtype="float32"\)'):
        Tensor(np.ones(3), device="cuda")
    assert (np.float32(2) * x).numpy().tolist() == (np.float32(2) * x.numpy()).tolist()


def test_the_table_has_every_name():
    for name in numpy_ops.__all__:
        assert callable(getattr(ops, name)), name


def test_constants_are_not_changed(py):
    x = Tensor(np.array([1.0, 2.0], np.float32), device="cuda")
    two = ops.asarray(2.0, np.float32)
    two += 1
    assert (x * 2.0).tolist() == [2.0, 4.0]
    with pytest.raises(ValueError, match="constant"):
        ops.asarray(2.0, np.float32)[...] = 5.0
    start = Tensor(3.0, device="cuda")
    start.data -= 1.0
    assert start.item() == 2.0 and Tensor(3.0, device="cuda").item() == 3.0


def test_indices_are_checked_without_a_copy(py):
    table = Tensor(numbers(4, 3), device="cuda", requires_grad=True)
    indices = Tensor(np.array([[3, 0], [3, 1]]), device="cuda")
    with record() as log:
        rows = indices.embedding(table)
        rows.sum().backward()
    assert not log.copies
    assert table.grad.numpy().tolist() == [[1.0] * 3, [1.0] * 3, [0.0] * 3, [2.0] * 3]
    with pytest.raises(ValueError, match="4 is none of"):
        Tensor(np.array([4]), device="cuda").embedding(table)
    indices[0, 0] = 7  # the host does not know any more
    with pytest.raises(ValueError, match="7 is none of"):
        indices.embedding(table)
    with record() as log:
        assert table.argmax(1).embedding(table).shape == (4, 3)
    assert log.copied("to the host")


@pytest.mark.parametrize("index", [[-1, 0], ([0, 2], [1, 1]), np.array([True, False, True])])
def test_picking_and_putting(py, index):
    x = numbers(3, 4)
    index = np.array(index) if isinstance(index, list) else index
    y = CudaArray.from_numpy(x)
    np.testing.assert_array_equal(ops.getitem(y, index).numpy(), x[index])
    ops.assign(y, index, 7.0)
    x[index] = 7
    np.testing.assert_array_equal(y.numpy(), x)
    values = numbers(*x[index].shape)
    sums = ops.scatter_add((3, 4), index, CudaArray.from_numpy(values)).numpy()
    np.testing.assert_allclose(sums, numpy_ops.scatter_add((3, 4), index, values))


# ---------------------------------------------------------------- the rest of the engine


def test_saving_loading_clipping_dropping(py):
    manual_seed(0)
    model = Sequential(Linear(3, 4), Dropout(0.5), Linear(4, 2)).to("cuda")
    state = model.state_dict()
    x = Tensor(numbers(5, 3), device="cuda")
    optimizer = optim.Adam(model.parameters(), lr=0.1, weight_decay=0.1)
    (model(x) * 100).sum().backward()
    assert clip_grad_norm_(model.parameters(), 1.0) > 1
    norm = sum(float((p.grad * p.grad).sum().item()) for p in model.parameters()) ** 0.5
    assert abs(norm - 1) < 1e-4
    optimizer.step()
    kept = optimizer.state_dict()
    fresh = optim.Adam(model.parameters(), lr=0.1)
    fresh.load_state_dict(kept)
    assert fresh.state[model.parameters()[0]]["step"] == 1
    twin = copy.deepcopy(model)
    model.load_state_dict(state)
    with no_grad():
        assert model[0].weight.tolist() == state["0.weight"].tolist()
        assert twin[0].weight.tolist() != model[0].weight.tolist()


@pytest.mark.parametrize("decoupled", [False, True])
def test_optimisers_are_the_cpus(py, decoupled):
    arrays = [numbers(7, seed=i) for i in range(4)]
    arrays[3] = np.abs(arrays[3])
    mine = [CudaArray.from_numpy(x) for x in arrays]
    numpy_ops.adam_update(*arrays, 3, 0.1, 0.9, 0.99, 1e-8, 0.1, decoupled)
    ops.adam_update(*mine, 3, 0.1, 0.9, 0.99, 1e-8, 0.1, decoupled)
    for a, b in zip(mine, arrays):
        np.testing.assert_allclose(a.numpy(), b, rtol=1e-5, atol=1e-6)
    for velocity in (False, True):
        theirs, ours = arrays[:3], mine[:3]
        if not velocity:
            theirs[2] = ours[2] = None
        options = (0.1, 0.9 * velocity, decoupled and velocity, 0.01)
        numpy_ops.sgd_update(*theirs, *options)
        ops.sgd_update(*ours, *options)
        np.testing.assert_allclose(ours[0].numpy(), theirs[0], rtol=1e-5, atol=1e-6)


def test_a_parameter_that_is_a_view_is_changed(py):
    x, grad = numbers(2, 3), numbers(3, 2, seed=1)
    mine = CudaArray.from_numpy(x)
    ops.sgd_update(mine.T, CudaArray.from_numpy(grad), None, 0.5, 0, False, 0)
    np.testing.assert_allclose(mine.numpy(), x - 0.5 * grad.T, rtol=1e-6)


# ---------------------------------------------------------------- the kernels themselves


def test_kernels_are_clean_and_coalesced():
    x, out = numbers(12), np.zeros(12, np.float32)
    shape, strides = (1, 1, 3, 4), (0, 0, 4, 1)
    reports = [
        lab.check(move[2, 8], x, strides, 0, out, strides, 0, shape, 12),
        lab.check(sgd_momentum[2, 8], x, out, out.copy(), *map(np.float32, (0.1, 0.9, 0, 0))),
    ]
    picture, columns = numbers(2, 1, 5, 4), np.zeros((2, 1, 6, 3, 3), np.float32)
    geometry = ((2, 1), (1, 0), (3, 2))
    columns = np.zeros((2, 1, 6, 3, 3), np.float32)
    reports.append(lab.check(images.im2col[4, 32], picture, *geometry, columns))
    reports.append(lab.check(images.col2im[2, 32], columns, *geometry, picture.copy()))
    best, place = np.zeros((2, 1, 2, 2), np.float32), np.zeros((2, 1, 2, 2), np.int32)
    reports.append(lab.check(images.max_pool2d[1, 32], picture, (2, 2), (2, 2), best, place))
    args = (place, best, (2, 2), (2, 2), picture.copy())
    reports.append(lab.check(images.max_pool2d_backward[2, 32], *args))
    for report in reports:
        lab.assert_clean(report)


def test_operators_take_numbers_of_all_kinds(py):
    x, n, b = numbers(3), np.arange(3), np.array([True, False, True])
    for array in (x, n, b):
        mine = Tensor(array, device="cuda")
        for other in (2, 0.5, True):
            expected, actual = Tensor(array) * other, mine * other
            assert actual.dtype == expected.dtype
            np.testing.assert_allclose(actual.numpy(), expected.numpy(), rtol=1e-6)
