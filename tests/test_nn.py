"""Modules and layers: what they hold, what they compute, what they say when used wrongly."""

import gc
import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from course.learn import assert_gradients
from course.tensor import Tensor, manual_seed, no_grad
from course.tensor.data import load_digits, make_xor
from course.tensor.nn import (
    GELU,
    AvgPool2d,
    BatchNorm1d,
    BatchNorm2d,
    BCEWithLogitsLoss,
    Conv2d,
    CrossEntropyLoss,
    Dropout,
    Embedding,
    Flatten,
    LayerNorm,
    LeakyReLU,
    Linear,
    MaxPool2d,
    Module,
    ModuleList,
    MSELoss,
    Parameter,
    ReLU,
    RMSNorm,
    Sequential,
    Sigmoid,
    SiLU,
    Softmax,
    Tanh,
    get_parameters,
    init,
    optim,
    summary,
)


class Net(Module):
    """Parts in every kind of place."""

    def __init__(self):
        self.first = Linear(2, 3)
        self.layers = [Linear(3, 3), {"a": Linear(3, 3, bias=False)}, (Tanh(), BatchNorm1d(3))]
        self.scale = Tensor([2.0], requires_grad=True)
        self.offset = Tensor([1.0])
        self.name = "net"
        self.activation = Tensor.tanh

    def forward(self, x):
        x = self.activation(self.first(x))
        return self.layers[1]["a"](self.layers[0](x)) * self.scale + self.offset


# ---------------------------------------------------------------- Parameter


def test_a_parameter_requires_a_gradient_and_copies():
    numbers = np.ones(3)
    p = Parameter(numbers)
    assert p.requires_grad and p.is_leaf and isinstance(p, Tensor) and p.dtype == np.float64
    numbers[:] = 5
    assert p.tolist() == [1.0, 1.0, 1.0]
    assert not Parameter([1.0], requires_grad=False).requires_grad
    (p * 2).sum().backward()
    assert p.grad.tolist() == [2.0, 2.0, 2.0]


@pytest.mark.parametrize("requires_grad", [True, False])
def test_integers_are_no_parameters(requires_grad):
    with pytest.raises(TypeError, match=r"only real numbers.*int64"):
        Parameter([1, 2], requires_grad=requires_grad)


# ---------------------------------------------------------------- what a module holds


def test_names_are_the_ways_to_the_parts():
    net = Net()
    assert [name for name, _ in net.named_parameters()] == [
        "first.weight",
        "first.bias",
        "layers.0.weight",
        "layers.0.bias",
        "layers.1.a.weight",
        "layers.2.1.weight",
        "layers.2.1.bias",
        "scale",
    ]
    assert [name for name, _ in net.named_buffers()] == [
        "layers.2.1.running_mean",
        "layers.2.1.running_var",
        "layers.2.1.num_batches_tracked",
        "offset",
    ]
    assert [name for name, _ in net.named_children()] == [
        "first",
        "layers.0",
        "layers.1.a",
        "layers.2.0",
        "layers.2.1",
    ]
    assert net.parameters()[0] is net.first.weight
    assert net.buffers()[-1] is net.offset
    assert len(net.modules()) == 6 and net.modules()[0] is net


def test_names_of_a_sequential_are_as_in_pytorch():
    model = Sequential(Linear(2, 3), Tensor.tanh, Sequential(Linear(3, 1)))
    names = ["0.weight", "0.bias", "2.0.weight", "2.0.bias"]
    assert [name for name, _ in model.named_parameters()] == names
    assert list(model.state_dict()) == names


def test_a_shared_parameter_counts_once():
    a, b = Linear(3, 3), Linear(3, 3)
    b.weight = a.weight
    model = Sequential(a, b, a)
    assert len(model.parameters()) == 3
    assert [name for name, _ in model.named_parameters()] == ["0.weight", "0.bias", "1.bias"]
    assert "1.weight" in model.state_dict() and "2.bias" in model.state_dict()
    assert len(model.modules()) == 3


def test_a_module_may_know_its_parent():
    parent, child = Module(), Linear(1, 1)
    parent.child, child.parent = child, parent
    assert [name for name, _ in parent.named_parameters()] == ["child.weight", "child.bias"]


def test_kept_results_are_no_state():
    model = Linear(2, 1)
    model.last = model(Tensor([[1.0, 2.0]]))
    assert list(model.state_dict()) == ["weight", "bias"]
    assert len(model.parameters()) == 2


def test_training_mode_reaches_every_module():
    net = Net()
    assert all(module.training for module in net.modules())
    assert net.eval() is net
    assert not any(module.training for module in net.modules())
    net.train()
    assert all(module.training for module in net.modules())


def test_apply_goes_from_the_inside_out():
    seen = []
    model = Sequential(Linear(1, 1), Sequential(Linear(1, 2)))
    assert model.apply(seen.append) is model
    assert seen[-1] is model and len(seen) == 4
    assert seen.index(model[1][0]) < seen.index(model[1])


def test_freezing_and_zero_grad():
    model = Sequential(Linear(2, 2), Linear(2, 1))
    model[0].requires_grad_(False)
    model(Tensor.ones(3, 2)).sum().backward()
    assert model[0].weight.grad is None and model[1].weight.grad is not None
    assert len(model.parameters()) == 4
    model.zero_grad()
    assert model[1].weight.grad is None
    model.requires_grad_()
    model(Tensor.ones(3, 2)).sum().backward()
    assert model[0].weight.grad is not None


def test_to_another_dtype_in_place():
    model = Sequential(Linear(2, 2), BatchNorm1d(2))
    weight = model[0].weight
    assert model.to("float64") is model
    assert model[0].weight is weight and weight.dtype == np.float64
    assert model[1].running_mean.dtype == np.float64
    assert model[1].num_batches_tracked.dtype == np.int64
    assert model(Tensor.ones(3, 2, dtype="float64")).dtype == np.float64
    assert weight.requires_grad and weight.is_leaf


def test_state_dict_is_a_snapshot():
    model = Linear(2, 1)
    before = model.state_dict()
    with no_grad():
        model.weight[:] = 7.0
    assert before["weight"].tolist() != model.weight.tolist()
    model.load_state_dict(before)
    assert before["weight"].tolist() == model.weight.tolist()


def test_forward_is_missing():
    with pytest.raises(NotImplementedError, match="Module has no forward"):
        Module()(1)


def test_printing():
    text = repr(Sequential(Linear(2, 8), Tensor.tanh, Sequential(Dropout(0.2), Conv2d(1, 4, 3))))
    assert text == (
        "Sequential(\n"
        "  (0): Linear(in_features=2, out_features=8, bias=True)\n"
        "  (1): tanh\n"
        "  (2): Sequential(\n"
        "    (0): Dropout(p=0.2)\n"
        "    (1): Conv2d(1, 4, kernel_size=(3, 3), stride=1, padding=0)\n"
        "  )\n"
        ")"
    )
    assert repr(ReLU()) == "ReLU()" and repr(Sequential()) == "Sequential()"
    assert "(layers.1.a): Linear(in_features=3, out_features=3, bias=False)" in repr(Net())


def test_summary():
    model = Sequential(Conv2d(1, 4, 3), BatchNorm2d(4), ReLU(), Flatten(), Linear(4 * 6 * 6, 10))
    before = model.state_dict()
    text = summary(model, (2, 1, 8, 8))
    lines = text.splitlines()
    assert lines[2].split() == ["0", "Conv2d", "(2,", "4,", "6,", "6)", "40"]
    assert lines[6].split() == ["4", "Linear", "(2,", "10)", "1,450"]
    assert lines[-1] == "parameters: 1,498 (5,992 bytes), of these 1,498 in training"
    after = model.state_dict()
    assert all((before[name].numpy() == after[name].numpy()).all() for name in before)
    assert "forward" not in vars(model[0]) and Tensor.training
    words = Sequential(Embedding(5, 3), Linear(3, 2))
    assert "(4, 3)" in summary(words, Tensor([0, 1, 2, 4]))


def test_summary_restores_the_model_after_an_error():
    model = Sequential(Linear(2, 3))
    with pytest.raises(ValueError, match=r"\(\.\.\., 2\)"):
        summary(model, (1, 5))
    assert "forward" not in vars(model[0])


def test_lists_of_layers():
    layers = ModuleList([Linear(1, 1), Linear(1, 1)])
    layers.append(Linear(1, 1))
    assert len(layers) == 3 and len(layers.parameters()) == 6 and layers[2] in set(layers)
    assert {layers: 1}[layers] == 1
    with pytest.raises(TypeError, match="layer 1"):
        Sequential(Linear(1, 1), 3)
    assert len(Sequential([Linear(1, 1), ReLU()])) == 2


# ---------------------------------------------------------------- layers, by hand


def test_linear_by_hand():
    layer = Linear(2, 3)
    layer.load_state_dict(
        {"weight": np.array([[1, 2], [3, 4], [5, 6.0]]), "bias": np.array([0.5, 0, -1])}
    )
    assert layer(Tensor([[1.0, -1.0]])).tolist() == [[-0.5, -1.0, -2.0]]
    assert layer(Tensor([1.0, 0.0])).tolist() == [1.5, 3.0, 4.0]
    assert Linear(2, 3, bias=False).bias is None
    assert len(Linear(2, 3, bias=False).parameters()) == 1


def test_linear_starts_between_the_bounds():
    manual_seed(0)
    layer = Linear(100, 200)
    for p in layer.parameters():
        assert p.dtype == np.float32
        assert abs(p.numpy()).max() <= 0.1
        assert abs(p.numpy()).max() > 0.095
        assert abs(p.numpy().mean()) < 0.015
    assert math.isclose(layer.weight.numpy().std(), 0.1 / math.sqrt(3), rel_tol=0.02)


def test_the_same_seed_gives_the_same_weights():
    models = []
    for seed in (1, 1, 2):
        manual_seed(seed)
        models.append(Linear(3, 3).weight.tolist())
    assert models[0] == models[1] != models[2]


@pytest.mark.parametrize(
    ("fill", "spread"),
    [
        (init.xavier_uniform_, math.sqrt(2 / 500)),
        (init.xavier_normal_, math.sqrt(2 / 500)),
        (init.kaiming_uniform_, math.sqrt(2 / 300)),
        (init.kaiming_normal_, math.sqrt(2 / 300)),
    ],
)
def test_initial_weights_have_the_promised_spread(fill, spread):
    manual_seed(0)
    weight = Parameter(Tensor.zeros(200, 300))
    array = weight._data
    assert fill(weight) is weight and weight._data is array
    assert abs(array.mean()) < 0.05 * spread
    assert math.isclose(array.std(), spread, rel_tol=0.02)


def test_initial_weights_of_a_window():
    weight = Parameter(Tensor.zeros(8, 4, 3, 3))
    assert init.fans(weight) == (36, 72)
    init.constant_(weight, 2.5)
    assert weight.numpy().min() == weight.numpy().max() == 2.5
    assert init.zeros_(weight).numpy().max() == 0 and init.ones_(weight).numpy().min() == 1
    assert init.gain("relu") == math.sqrt(2)
    with pytest.raises(ValueError, match="'swish'"):
        init.gain("swish")
    with pytest.raises(ValueError, match=r"two axes.*\(3,\)"):
        init.kaiming_normal_(Tensor.zeros(3))


def test_batch_norm_by_hand():
    layer = BatchNorm1d(1, eps=0.0)
    x = Tensor([[1.0], [3.0]])
    assert layer(x).tolist() == [[-1.0], [1.0]]
    assert np.isclose(layer.running_mean.item(), 0.9 * 0 + 0.1 * 2)
    assert np.isclose(layer.running_var.item(), 0.9 * 1 + 0.1 * 2)  # (1 + 1) / (2 - 1)
    assert layer.num_batches_tracked.item() == 1
    layer.eval()
    y = layer(x).numpy()
    assert np.allclose(y, [[0.8 / math.sqrt(1.1)], [2.8 / math.sqrt(1.1)]])
    assert layer.num_batches_tracked.item() == 1


def test_batch_norm_averages_with_and_without_a_graph():
    x = np.random.default_rng(0).normal(2, 3, (5, 2, 3, 3))
    layers = [BatchNorm2d(2, affine=affine) for affine in (True, False, True)]
    layers[0](Tensor(x, requires_grad=True))
    layers[1](Tensor(x))
    with no_grad():
        layers[2](Tensor(x, requires_grad=True))
    for layer in layers:
        assert np.allclose(layer.running_mean.numpy(), 0.1 * x.mean((0, 2, 3)))
        expected = 0.9 + 0.1 * x.var((0, 2, 3), ddof=1)
        assert np.allclose(layer.running_var.numpy(), expected)
        assert not layer.running_mean.requires_grad


def test_batch_norm_trains_if_both_switches_are_on():
    layer, x = BatchNorm1d(2), Tensor([[1.0, 2.0], [3.0, 5.0]])
    with Tensor.train(False):
        layer(x)
    layer.eval()(x)
    assert layer.num_batches_tracked.item() == 0
    assert layer.running_mean.tolist() == [0.0, 0.0]
    layer.train()(x)
    assert layer.num_batches_tracked.item() == 1


def test_batch_norm_refuses():
    with pytest.raises(
        ValueError, match=r"BatchNorm2d\(3\) takes .*\(n, 3, height, width\).*\(2, 3\)"
    ):
        BatchNorm2d(3)(Tensor.ones(2, 3))
    with pytest.raises(ValueError, match=r"\(n, 3\) or \(n, 3, length\).*\(2, 4\)"):
        BatchNorm1d(3)(Tensor.ones(2, 4))
    with pytest.raises(ValueError, match=r"several numbers for each channel.*\(1, 3\)"):
        BatchNorm1d(3)(Tensor.ones(1, 3))
    assert BatchNorm1d(3).eval()(Tensor.ones(1, 3)).shape == (1, 3)


@given(n=st.integers(2, 5), channels=st.integers(1, 3), side=st.integers(1, 3))
def test_batch_norm_gives_mean_0_and_variance_1(n, channels, side):
    x = Tensor(np.random.default_rng(n).normal(3, 2, (n, channels, side, side)))
    y = BatchNorm2d(channels, affine=False)(x).numpy()
    assert np.allclose(y.mean((0, 2, 3)), 0, atol=1e-9)
    assert np.allclose(y.var((0, 2, 3)), 1, atol=1e-2)


def test_gradients_of_norms():
    rng = np.random.default_rng(0)
    x = Tensor(rng.normal(size=(4, 3)))
    for layer in (BatchNorm1d(3), LayerNorm(3), RMSNorm(3)):
        layer.to("float64")
        for p in layer.parameters():
            p.data = rng.normal(size=p.shape)
        assert_gradients(layer, x)
        layer.eval()
        assert_gradients(layer, x)
    layer = BatchNorm2d(2).to("float64")
    assert_gradients(layer, Tensor(rng.normal(size=(2, 2, 2, 2))))


def test_norms_by_hand():
    x = Tensor([[1.0, 3.0]], dtype="float64")
    assert np.allclose(LayerNorm(2, eps=0.0).to("float64")(x).numpy(), [[-1, 1]])
    assert np.allclose(RMSNorm(2, eps=0.0).to("float64")(x).numpy(), [[1, 3]] / np.sqrt(5))
    with pytest.raises(ValueError, match=r"\(\.\.\., 2\), and got \(1, 3\)"):
        RMSNorm(2)(Tensor.ones(1, 3))


def test_embedding_by_hand():
    table = Embedding(4, 2)
    table.weight.data = np.arange(8.0).reshape(4, 2)
    rows = table(Tensor([[3, 0], [3, 3]]))
    assert rows.tolist() == [[[6, 7], [0, 1]], [[6, 7], [6, 7]]]
    rows.sum().backward()
    assert table.weight.grad.tolist() == [[1, 1], [0, 0], [0, 0], [3, 3]]
    with pytest.raises(ValueError, match="4 is none of the 4"):
        table(Tensor([4]))


def test_dropout_statistics():
    manual_seed(0)
    x = Tensor.ones(400, 500)
    layer = Dropout(0.3)
    y = layer(x).numpy()
    assert set(np.unique(y)) == {np.float32(0), np.float32(1 / 0.7)}
    assert abs((y == 0).mean() - 0.3) < 0.005
    assert abs(y.mean() - 1) < 0.005
    assert (layer(x).numpy() != y).any()
    assert layer.eval()(x) is x
    with Tensor.train(False):
        assert Dropout(0.3)(x) is x
    assert (Dropout(1.0)(x).numpy() == 0).all()
    with pytest.raises(ValueError, match="probability"):
        Dropout(1.5)


def test_dropout_passes_the_gradient_where_it_passed_the_number():
    manual_seed(1)
    x = Tensor.ones(50, requires_grad=True)
    y = Dropout(0.5)(x)
    y.sum().backward()
    assert (x.grad.numpy() == y.numpy()).all()


def test_activations_call_the_methods():
    x = Tensor([[-1.5, 0.0, 2.0]])
    for layer, expected in (
        (ReLU(), x.relu()),
        (LeakyReLU(0.2), x.leaky_relu(0.2)),
        (Tanh(), x.tanh()),
        (Sigmoid(), x.sigmoid()),
        (GELU(), x.gelu()),
        (SiLU(), x.silu()),
        (Softmax(), x.softmax(-1)),
    ):
        assert layer(x).tolist() == expected.tolist()


# ---------------------------------------------------------------- layers, against PyTorch

X = np.random.default_rng(3).normal(size=(3, 4, 6, 6))


def layer_pairs():
    torch = pytest.importorskip("torch")
    nn = torch.nn
    flat = X[:, :, 0, 0]
    return [
        (Linear(4, 5), nn.Linear(4, 5), flat),
        (Linear(4, 5, bias=False), nn.Linear(4, 5, bias=False), flat),
        (Conv2d(4, 6, 3), nn.Conv2d(4, 6, 3), X),
        (
            Conv2d(4, 6, (3, 2), stride=2, padding=(1, 0), groups=2, bias=False),
            nn.Conv2d(4, 6, (3, 2), stride=2, padding=(1, 0), groups=2, bias=False),
            X,
        ),
        (BatchNorm1d(4), nn.BatchNorm1d(4), flat),
        (BatchNorm1d(4, momentum=0.4, eps=1e-3), nn.BatchNorm1d(4, 1e-3, 0.4), X[:, :, 0]),
        (BatchNorm2d(4), nn.BatchNorm2d(4), X),
        (BatchNorm2d(4, affine=False), nn.BatchNorm2d(4, affine=False), X),
        (LayerNorm(6), nn.LayerNorm(6), X),
        (RMSNorm(6, eps=1e-5), nn.RMSNorm(6, eps=1e-5), X),
        (MaxPool2d(2), nn.MaxPool2d(2), X),
        (MaxPool2d(3, 2, 1), nn.MaxPool2d(3, 2, 1), X),
        (AvgPool2d(2), nn.AvgPool2d(2), X),
        (Flatten(), nn.Flatten(), X),
        (GELU(), nn.GELU(approximate="tanh"), X),
        (SiLU(), nn.SiLU(), X),
        (LeakyReLU(), nn.LeakyReLU(), X),
        (Sequential(Linear(4, 5), Tanh(), Linear(5, 2)), None, flat),
    ]


def test_layers_are_as_in_pytorch():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(5)
    for ours, theirs, x in layer_pairs():
        if theirs is None:
            nn = torch.nn
            theirs = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2))
        ours.to("float64")
        theirs.double()
        assert list(ours.state_dict()) == list(theirs.state_dict())
        for p in ours.parameters():
            p.data = rng.normal(size=p.shape)
        theirs.load_state_dict({k: torch.tensor(v.numpy()) for k, v in ours.state_dict().items()})
        a = Tensor(x, requires_grad=True)
        b = torch.tensor(x, requires_grad=True)
        for _ in range(2):
            y, z = ours(a), theirs(b)
        assert np.allclose(y.numpy(), z.detach().numpy()), ours
        weights = rng.normal(size=y.shape)
        y.backward(Tensor(weights))
        z.backward(torch.tensor(weights))
        assert np.allclose(a.grad.numpy(), b.grad.numpy()), ours
        for (name, p), (_, q) in zip(ours.named_parameters(), theirs.named_parameters()):
            assert np.allclose(p.grad.numpy(), q.grad.numpy()), (ours, name)
        for (name, p), q in zip(ours.state_dict().items(), theirs.state_dict().values()):
            assert np.allclose(p.numpy(), q.numpy()), (ours, name)
        ours.eval()
        theirs.eval()
        assert np.allclose(ours(a).numpy(), theirs(b).detach().numpy()), ours


def test_losses_are_as_in_pytorch():
    torch = pytest.importorskip("torch")
    logits = np.random.default_rng(0).normal(size=(4, 3))
    targets = np.array([2, 0, -100, 1])
    ours = CrossEntropyLoss(label_smoothing=0.1)(Tensor(logits), Tensor(targets)).item()
    theirs = torch.nn.CrossEntropyLoss(label_smoothing=0.1)
    assert np.isclose(ours, theirs(torch.tensor(logits), torch.tensor(targets)).item())
    other = logits[::-1].copy()
    for a, b in (
        (MSELoss(), torch.nn.MSELoss()),
        (MSELoss("sum"), torch.nn.MSELoss(reduction="sum")),
    ):
        expected = b(torch.tensor(logits), torch.tensor(other)).item()
        assert np.isclose(a(Tensor(logits), Tensor(other)).item(), expected)
    yes = (other > 0) * 1.0
    expected = torch.nn.BCEWithLogitsLoss()(torch.tensor(logits), torch.tensor(yes)).item()
    assert np.isclose(BCEWithLogitsLoss()(Tensor(logits), Tensor(yes)).item(), expected)


# ---------------------------------------------------------------- networks that learn


def test_xor_is_learned_from_every_seed():
    corners, labels = make_xor()
    targets = labels.reshape(4, 1).float()
    for seed in range(20):
        manual_seed(seed)
        hidden, out = Linear(2, 8), Linear(8, 1)
        optimizer = optim.Adam(get_parameters([hidden, out]), lr=0.1)
        for _ in range(300):
            loss = (out(hidden(corners).tanh()).sigmoid() - targets).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        answers = out(hidden(corners).tanh()).sigmoid()
        assert ((answers > 0.5) == (targets > 0.5)).all(), (seed, answers)


@pytest.mark.parametrize("seed", range(3))
def test_digits_are_learned(seed):
    images, labels, test_images, test_labels = load_digits(flat=True)
    manual_seed(seed)
    model = Sequential(Linear(64, 64), ReLU(), Linear(64, 10))
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    rng = np.random.default_rng(seed)
    for _ in range(12):
        order = rng.permutation(len(images))
        for at in range(0, len(order), 64):
            batch = order[at : at + 64]
            loss = model(images[batch]).cross_entropy(labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with no_grad():
        accuracy = (model(test_images).argmax(1) == test_labels).sum().item() / len(test_labels)
    assert accuracy >= 0.97


def test_memory_of_training_is_flat():
    model = Sequential(Linear(20, 50), BatchNorm1d(50), ReLU(), Dropout(0.2), Linear(50, 5))
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    x, y = Tensor.randn(30, 20), Tensor.randint(30, low=0, high=5)

    def steps(n):
        for _ in range(n):
            loss = model(x).cross_entropy(y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    steps(5)
    tracemalloc.start()
    steps(5)
    gc.collect()  # gives back what Python keeps for later, too
    before = tracemalloc.get_traced_memory()[0]
    steps(100)
    gc.collect()
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert after - before < 2_000  # one step's graph alone is over 100 kB
