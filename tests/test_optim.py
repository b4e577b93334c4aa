"""Optimisers: their steps against PyTorch's and against numbers worked out by hand; schedules; clipping."""

import math

import numpy as np
import pytest

from course.tensor import Tensor, manual_seed
from course.tensor.nn import Linear, Parameter, Sequential, get_parameters, optim

START = [[1.0, -2.0, 3.0], [0.5, 0.0, -0.25]]


def train(optimizer, *parameters, steps=50):
    """Minimises something with curvature, the same for both libraries."""
    trajectory = []
    for step in range(steps):
        optimizer.zero_grad()
        a, b = parameters
        loss = ((a * a * a).sum() * 0.1 + (a * b).sum() * 0.5) ** 2 * 0.01
        loss = loss + ((b - 1.5 + 0.1 * (step % 3)) ** 2).sum() + (a * a).sum() * 0.2
        loss.backward()
        optimizer.step()
        trajectory.append([p.tolist() for p in parameters])
    return trajectory


OPTIONS = [
    ("SGD", {"lr": 0.05}),
    ("SGD", {"lr": 0.02, "momentum": 0.9}),
    ("SGD", {"lr": 0.02, "momentum": 0.8, "nesterov": True}),
    ("SGD", {"lr": 0.05, "weight_decay": 0.1}),
    ("SGD", {"lr": 0.02, "momentum": 0.9, "nesterov": True, "weight_decay": 0.05}),
    ("Adam", {"lr": 0.05}),
    ("Adam", {"lr": 0.05, "betas": (0.7, 0.95), "eps": 1e-3}),
    ("Adam", {"lr": 0.05, "weight_decay": 0.1}),
    ("AdamW", {"lr": 0.05}),
    ("AdamW", {"lr": 0.05, "weight_decay": 0.3}),
]


@pytest.mark.parametrize(("name", "options"), OPTIONS)
def test_fifty_steps_are_pytorchs(name, options):
    torch = pytest.importorskip("torch")
    ours = [Parameter(np.array(START)), Parameter(np.array([0.3, -0.6, 0.9]))]
    theirs = [torch.tensor(p.numpy(), requires_grad=True) for p in ours]
    a = train(getattr(optim, name)(ours, **options), *ours)
    b = train(getattr(torch.optim, name)(theirs, **options), *theirs)
    for (x, y), (u, v) in zip(a, b):
        assert np.allclose(x, u, rtol=1e-9, atol=1e-10)
        assert np.allclose(y, v, rtol=1e-9, atol=1e-10)


# After 50 steps of `train`: the first row of the first parameter, and the second parameter.
STORED = [
    [0.3368304498, -0.7709339702, 1.015193498, 1.395248519, 1.396734672, 1.39638286],
    [-0.07765233558, 0.1796194039, -0.2376677761, 1.474359694, 1.539176561, 1.432414865],
    [0.09221033656, -0.2438887136, 0.2838542902, 1.402611094, 1.403176038, 1.402367296],
    [0.2629262669, -0.5925676293, 0.7934611566, 1.331146046, 1.33137568, 1.332272505],
    [-0.05461270109, 0.1350354648, -0.1679304943, 1.393031272, 1.415091657, 1.378660738],
    [-0.0879785332, -0.1040213719, 0.9110210909, 1.470350905, 1.277513324, 1.403214745],
    [-0.02564298048, -0.1938231224, 0.9561774332, 1.404206408, 1.194357186, 1.402277262],
    [-0.07606353603, -0.1057265313, 0.9013028881, 1.384478937, 1.248054024, 1.34940767],
    [-0.08431551745, -0.09303820922, 0.8753988518, 1.46282079, 1.268003884, 1.401026049],
    [-0.01612602038, 0.06126982109, 0.230694943, 1.255765065, 1.027943903, 1.324003367],
]


@pytest.mark.parametrize(("case", "expected"), list(enumerate(STORED)))
def test_fifty_steps_are_as_stored(case, expected):
    name, options = OPTIONS[case]
    ours = [Parameter(np.array(START)), Parameter(np.array([0.3, -0.6, 0.9]))]
    matrix, vector = train(getattr(optim, name)(ours, **options), *ours)[-1]
    assert np.allclose([*matrix[0], *vector], expected, rtol=1e-6)


def one_step(make, value=2.0, grad=0.5, steps=1):
    p = Parameter(np.array([value]))
    optimizer = make([p])
    for _ in range(steps):
        p.grad = Tensor(np.array([grad]))
        optimizer.step()
    return p.item()


def test_steps_by_hand():
    assert math.isclose(one_step(lambda p: optim.SGD(p, 0.1)), 1.95)
    assert math.isclose(one_step(lambda p: optim.SGD(p, 0.1, momentum=0.9), steps=2), 1.95 - 0.095)
    nesterov = optim.SGD
    assert math.isclose(
        one_step(lambda p: nesterov(p, 0.1, momentum=0.9, nesterov=True)), 2 - 0.1 * (0.5 + 0.45)
    )
    assert math.isclose(one_step(lambda p: optim.SGD(p, 0.1, weight_decay=0.5)), 2 - 0.1 * 1.5)
    assert math.isclose(one_step(lambda p: optim.Adam(p, 0.1)), 1.9, rel_tol=1e-7)
    assert math.isclose(one_step(lambda p: optim.Adam(p, 0.1), grad=1e-6), 1.9, rel_tol=1e-2)
    adamw = one_step(lambda p: optim.AdamW(p, 0.1, weight_decay=0.5))
    assert math.isclose(adamw, 2 * 0.95 - 0.1, rel_tol=1e-7)


def test_it_works_in_place_and_says_so():
    p = Parameter([1.0, 2.0])
    array = p._data
    loss = (p * p).sum()
    for optimizer in (optim.SGD([p], 0.1), optim.Adam([p]), optim.AdamW([p])):
        p.grad = Tensor([1.0, 1.0])
        optimizer.step()
    assert p._data is array
    with pytest.raises(RuntimeError, match="changed in place"):
        loss.backward()


def test_float32_stays_float32():
    for name, options in OPTIONS:
        p = Parameter([1.0, 2.0])
        optimizer = getattr(optim, name)([p], **options)
        p.grad = Tensor([0.5, 0.5])
        optimizer.step()
        assert p.dtype == np.float32
        assert all(
            x.dtype == np.float32
            for x in optimizer.state.get(p, {}).values()
            if not isinstance(x, int)
        )


def test_without_a_gradient_nothing_moves():
    p, q = Parameter([1.0]), Parameter([1.0])
    optimizer = optim.AdamW([p, q], lr=0.1, weight_decay=0.5)
    p.grad = Tensor([1.0])
    optimizer.step()
    assert q.item() == 1.0 and q not in optimizer.state and p.item() != 1.0


def test_zero_grad_forgets():
    p = Parameter([1.0])
    optimizer = optim.SGD([p])
    p.grad = Tensor([1.0])
    optimizer.zero_grad()
    assert p.grad is None


def test_groups_have_their_own_options():
    p, q = Parameter([1.0]), Parameter([1.0])
    optimizer = optim.SGD([{"params": [p], "lr": 0.5}, {"params": q}], lr=0.1)
    for x in (p, q):
        x.grad = Tensor([1.0])
    optimizer.step()
    assert np.isclose(p.item(), 0.5) and np.isclose(q.item(), 0.9)
    assert optimizer.lr == 0.5
    optimizer.lr = 0.2
    assert [group["lr"] for group in optimizer.param_groups] == [0.2, 0.2]


def test_what_cannot_be_trained_is_refused():
    model = Linear(2, 1)
    with pytest.raises(
        TypeError, match=r"item 0 is a Linear: write optim.Adam\(get_parameters\(model\)"
    ):
        optim.Adam([model])
    with pytest.raises(TypeError, match=r"got a Linear: write optim.SGD\(get_parameters"):
        optim.SGD(model)
    with pytest.raises(TypeError, match=r"got a Sequential: write optim.Adam\(get_parameters"):
        optim.Adam(Sequential(model))
    with pytest.raises(TypeError, match="got a dict"):
        optim.Adam(model.state_dict())
    with pytest.raises(TypeError, match="put it in a list"):
        optim.Adam(model.weight)
    with pytest.raises(TypeError, match="item 0 is a tuple"):
        optim.Adam(model.named_parameters())
    with pytest.raises(ValueError, match="no parameters"):
        optim.Adam([])
    with pytest.raises(ValueError, match=r"tensor 0 of shape \(1, 2\) was computed \(\*\)"):
        optim.Adam([model.weight * 2])
    with pytest.raises(ValueError, match=r"tensor 1 of shape \(2,\) does not require a gradient"):
        optim.Adam([model.weight, Tensor([1.0, 2.0])])
    with pytest.raises(ValueError, match="comes twice"):
        optim.Adam([model.weight, model.weight])
    with pytest.raises(ValueError, match="comes twice"):
        optim.Adam([{"params": [model.weight]}, {"params": [model.weight]}])
    with pytest.raises(ValueError, match="lr is 0 or more"):
        optim.SGD(get_parameters(model), lr=-1)
    with pytest.raises(ValueError, match="betas"):
        optim.Adam(get_parameters(model), betas=(0.9, 1.0))
    with pytest.raises(ValueError, match="nesterov"):
        optim.SGD(get_parameters(model), nesterov=True)
    with pytest.raises(TypeError, match="no option 'learning_rate'"):
        optim.Adam([{"params": [model.weight], "learning_rate": 1}])
    optim.Adam(p for p in get_parameters(model))  # a generator will do


def test_a_frozen_parameter_waits():
    model = Linear(2, 1)
    model.weight.requires_grad_(False)
    optimizer = optim.SGD(get_parameters(model), lr=0.1)
    before = model.weight.tolist()
    model(Tensor([[1.0, 1.0]])).sum().backward()
    optimizer.step()
    assert model.weight.tolist() == before


@pytest.mark.parametrize(("name", "options"), OPTIONS)
def test_training_goes_on_where_it_stopped(name, options):
    make = getattr(optim, name)

    def parameters():
        return [Parameter(np.array(START)), Parameter(np.array([0.3, -0.6, 0.9]))]

    straight = parameters()
    train(make(straight, **options), *straight, steps=12)
    first = parameters()
    optimizer = make(first, **options)
    train(optimizer, *first, steps=6)
    second = [Parameter(p.numpy()) for p in first]
    other = make(second, lr=123.0, momentum=0.1) if name == "SGD" else make(second, lr=123.0)
    saved = optimizer.state_dict()
    train(optimizer, *first, steps=3)  # what was saved does not change any more
    other.load_state_dict(saved)
    assert other.lr == options["lr"]
    train(other, *second, steps=6)
    for p, q in zip(straight, second):
        assert p.tolist() == q.tolist()


def test_a_state_that_does_not_fit():
    p, q = Parameter([1.0]), Parameter([1.0, 2.0])
    saved = optim.Adam([p]).state_dict()
    with pytest.raises(ValueError, match=r"groups of \[2\] parameters, the saved one of \[1\]"):
        optim.Adam([p, q]).load_state_dict(saved)
    optimizer = optim.Adam([p])
    p.grad = Tensor([1.0])
    optimizer.step()
    with pytest.raises(
        ValueError, match=r"m of parameter 0 has shape \(1,\), the parameter \(2,\)"
    ):
        optim.Adam([q]).load_state_dict(optimizer.state_dict())


def test_printing():
    assert repr(optim.SGD([Parameter([1.0])], lr=0.1)) == (
        "SGD(1 parameters, lr=0.1, momentum=0.0, nesterov=False, weight_decay=0.0)"
    )


# ---------------------------------------------------------------- schedules


def rates(make, n, lr=0.8):
    optimizer = optim.SGD([Parameter([1.0])], lr=lr)
    schedule = make(optimizer)
    found = []
    for _ in range(n):
        found.append(optimizer.lr)
        schedule.step()
    return found


def test_schedules_by_hand():
    assert np.allclose(rates(lambda o: optim.StepLR(o, 2, 0.5), 5), [0.8, 0.8, 0.4, 0.4, 0.2])
    assert np.allclose(
        rates(lambda o: optim.LambdaLR(o, lambda t: 1 / (t + 1)), 3), [0.8, 0.4, 0.8 / 3]
    )
    cosine = rates(lambda o: optim.CosineAnnealingLR(o, 4, eta_min=0.2), 7)
    assert np.allclose(cosine[::2], [0.8, 0.5, 0.2, 0.2])
    warm = rates(lambda o: optim.LambdaLR(o, optim.warmup_cosine(3, 7, floor=0.5)), 9)
    assert np.allclose(warm, [0.2, 0.4, 0.6, 0.8, *warm[4:7], 0.4, 0.4])
    assert math.isclose(warm[5], 0.6) and warm[3] > warm[4] > warm[5] > warm[6] > warm[7]
    only_up = optim.warmup_cosine(3, 3, floor=0.3)
    assert [only_up(step) for step in range(5)] == [0.25, 0.5, 0.75, 0.3, 0.3]


def test_a_schedule_goes_where_it_is_sent():
    optimizer = optim.SGD([Parameter([0.0])], lr=0.8)
    schedule = optim.LambdaLR(optimizer, lambda step: 0.5**step)
    schedule.go_to(3)
    assert (schedule.steps, optimizer.lr) == (3, 0.1)
    schedule.step()
    assert (schedule.steps, optimizer.lr) == (4, 0.05)


def test_schedules_are_pytorchs():
    torch = pytest.importorskip("torch")
    scheduler = torch.optim.lr_scheduler
    for ours, theirs in (
        (lambda o: optim.StepLR(o, 3, 0.3), lambda o: scheduler.StepLR(o, 3, 0.3)),
        (
            lambda o: optim.CosineAnnealingLR(o, 20, 0.01),
            lambda o: scheduler.CosineAnnealingLR(o, 20, 0.01),
        ),
    ):
        optimizer = torch.optim.SGD([torch.tensor([1.0], requires_grad=True)], lr=0.8)
        other, expected = theirs(optimizer), []
        for _ in range(20):
            expected.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            other.step()
        assert np.allclose(rates(ours, 20), expected)


def test_a_schedule_keeps_the_groups_apart():
    groups = [{"params": [Parameter([1.0])], "lr": 1.0}, {"params": [Parameter([1.0])], "lr": 0.1}]
    optimizer = optim.SGD(groups)
    schedule = optim.StepLR(optimizer, 1, 0.5)
    schedule.step()
    assert [group["lr"] for group in optimizer.param_groups] == [0.5, 0.05]


# ---------------------------------------------------------------- clipping


def with_gradients():
    p, q, r = Parameter([1.0, 1.0]), Parameter([[1.0]]), Parameter([1.0])
    p.grad, q.grad = Tensor([3.0, 0.0]), Tensor([[-4.0]])
    return p, q, r


def test_clipping_by_the_norm():
    p, q, r = with_gradients()
    assert optim.clip_grad_norm_([p, q, r], 10.0) == 5.0
    assert p.grad.tolist() == [3.0, 0.0]
    assert optim.clip_grad_norm_([p, q, r], 1.0) == 5.0
    assert np.allclose([*p.grad.tolist(), q.grad.item()], [0.6, 0.0, -0.8])
    assert r.grad is None
    assert optim.clip_grad_norm_([r], 1.0) == 0.0
    p.grad = Tensor([float("nan"), 0.0])
    assert math.isnan(optim.clip_grad_norm_([p], 1.0))


def test_clipping_by_the_value():
    p, q, _ = with_gradients()
    optim.clip_grad_value_([p, q], 1.5)
    assert p.grad.tolist() == [1.5, 0.0] and q.grad.tolist() == [[-1.5]]


def test_clipping_a_model_is_refused():
    with pytest.raises(TypeError, match=r"Linear: write get_parameters\(model\)"):
        optim.clip_grad_norm_(Sequential(Linear(1, 1)), 1.0)


def test_clipping_is_pytorchs():
    torch = pytest.importorskip("torch")
    manual_seed(0)
    ours = [Parameter(Tensor.randn(3, 4)), Parameter(Tensor.randn(5))]
    theirs = [torch.tensor(p.numpy(), requires_grad=True) for p in ours]
    for p, q in zip(ours, theirs):
        p.grad = Tensor.randn(*p.shape)
        q.grad = torch.tensor(p.grad.numpy())
    norm = torch.nn.utils.clip_grad_norm_(theirs, 0.7)
    assert np.isclose(optim.clip_grad_norm_(ours, 0.7), norm.item(), rtol=1e-5)
    for p, q in zip(ours, theirs):
        assert np.allclose(p.grad.numpy(), q.grad.numpy(), rtol=1e-5)
