"""The scalar engine: right values, right gradients, whatever the graph."""

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course.micrograd import (
    MLP,
    SGD,
    Value,
    accuracy,
    dot,
    evaluate,
    gradcheck,
    hinge_loss,
    linear_decay,
    make_moons,
    minibatches,
    mse_loss,
    numerical_derivative,
    topological_order,
    train,
    weighted_sum,
)

NUMBERS = st.floats(-3, 3).filter(lambda x: abs(x) > 0.05)
POSITIVE = st.floats(0.1, 3)


def tangle(a, b):
    """The example of micrograd's README."""
    c = a + b
    d = a * b + b**3
    c += c + 1
    c += 1 + c + (-a)
    d += d * 2 + (b + a).relu()
    d += 3 * d + (b - a).relu()
    e = c - d
    f = e**2
    g = f / 2.0
    g += 10.0 / f
    return g


EXPRESSIONS = {
    "tangle": (tangle, (-4.0, 2.0)),
    "square": (lambda a: a * a, (3.0,)),
    "quotient": (lambda a, b: a / b - b / a, (1.5, -0.5)),
    "reflected": (lambda a: 1 + 2 - a * 3 + 4 / a, (0.7,)),
    "powers": (lambda a, b: a**b + b**a + 2**a + a**-1.5, (1.3, 0.6)),
    "functions": (lambda a, b: (a.exp() * b.tanh()).log() + (a * b).relu(), (0.4, 0.8)),
}
# What PyTorch 2.13 gives for the expressions above, in float64: value, then gradients.
STORED = {
    "tangle": (24.70408163265306, (138.83381924198252, 645.5772594752186)),
    "square": (9.0, (6.0,)),
    "quotient": (-2.6666666666666665, (-2.2222222222222223, -6.666666666666667)),
    "reflected": (6.614285714285715, (-11.16326530612245,)),
    "powers": (4.82218459002997, (1.2055510850150188, 1.4223859090227362)),
    "functions": (0.3105822458704636, (1.7999999999999998, 1.2419039317758576)),
}


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_expressions_agree_with_stored_values(name):
    function, numbers = EXPRESSIONS[name]
    inputs = [Value(x) for x in numbers]
    result = function(*inputs)
    result.backward()
    value, gradients = STORED[name]
    assert result.data == pytest.approx(value, rel=1e-12)
    assert [x.grad for x in inputs] == pytest.approx(gradients, rel=1e-12)


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_expressions_agree_with_pytorch(name):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed; stored values are used")
    function, numbers = EXPRESSIONS[name]
    inputs = [Value(x) for x in numbers]
    result = function(*inputs)
    result.backward()
    tensors = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in numbers]
    expected = function(*tensors)
    expected.backward()
    assert result.data == pytest.approx(expected.item(), rel=1e-12)
    assert [x.grad for x in inputs] == pytest.approx([t.grad.item() for t in tensors], rel=1e-12)


def test_readme_numbers():
    a, b = Value(-4.0), Value(2.0)
    g = tangle(a, b)
    g.backward()
    assert f"{g.data:.4f} {a.grad:.4f} {b.grad:.4f}" == "24.7041 138.8338 645.5773"


@given(NUMBERS, NUMBERS, POSITIVE)
def test_gradients_agree_with_the_numerical_derivative(x, y, z):
    assert gradcheck(lambda a, b: a * b + a - b, x, y, tolerance=1e-5)
    assert gradcheck(lambda a, b: a / b, x, y, tolerance=1e-4)
    assert gradcheck(lambda a, b: a.tanh() * b.exp(), x, y, tolerance=1e-5)
    assert gradcheck(lambda a, n: a**n + a.log(), z, y, tolerance=1e-4)
    assert gradcheck(lambda a: 2.5**a, x, tolerance=1e-5)
    assert gradcheck(lambda a: a**3 - a**2 + 1 / a, y, tolerance=1e-3)
    assert gradcheck(lambda a, b: (a * b).relu(), x, y, tolerance=1e-5)


@st.composite
def graphs(draw):
    """A random graph: each node an operation on any two nodes before it."""
    return draw(
        st.lists(
            st.tuples(st.sampled_from("+-*t"), st.integers(0, 99), st.integers(0, 99)),
            min_size=1,
            max_size=25,
        )
    )


@given(graphs(), NUMBERS, NUMBERS)
@settings(deadline=None)
def test_random_graphs(graph, x, y):
    def build(a, b):
        nodes = [a, b]
        for op, i, j in graph:
            p, q = nodes[i % len(nodes)], nodes[j % len(nodes)]
            nodes.append({"+": p + q, "-": p - q, "*": (p * q).tanh(), "t": p.tanh() * 0.5}[op])
        return nodes[-1]

    a, b = Value(x), Value(y)
    result = build(a, b)
    order = topological_order(result)
    place = {id(node): i for i, node in enumerate(order)}
    assert len(place) == len(order)
    assert all(place[id(i)] < place[id(n)] for n in order for i in n.inputs)
    scale = 2.0 ** len(graph)  # + may double what it gets
    assert gradcheck(build, x, y, tolerance=1e-5 * scale)


def test_topological_order_keeps_the_inputs_order_and_ends_with_the_root():
    a, b = Value(1.0), Value(2.0)
    c = a + b
    assert c.inputs == (a, b)
    assert topological_order(c)[-1] is c
    assert set(topological_order(c)) == {a, b, c}


def test_long_chain_and_diamonds_need_no_recursion():
    x = Value(1.0)
    y = x
    for _ in range(20_000):
        y = y + 0.001
    y.backward()
    assert x.grad == 1.0
    x = Value(1.0)
    y = x
    for _ in range(30):
        y = y + y
    y.backward()
    assert (y.data, x.grad) == (2.0**30, 2.0**30)


def test_backward_twice_adds_to_leaves_only():
    x = Value(3.0)
    y = x * x
    z = 2 * y
    z.backward()
    z.backward()
    assert (x.grad, y.grad, z.grad) == (24.0, 2.0, 1.0)
    x.grad = 0.0
    y.backward()
    assert x.grad == 6.0
    leaf = Value(1.0)
    leaf.backward()
    leaf.backward()
    assert leaf.grad == 2.0


def test_functions_at_their_limits():
    assert Value(1000.0).tanh().data == 1.0
    assert Value(-1000.0).tanh().data == -1.0
    zero = Value(0.0)
    (zero**2 + zero**0 + zero.relu()).backward()
    assert zero.grad == 0.0
    base, exponent = Value(-2.0), Value(3.0)
    (base**exponent).backward()
    assert base.grad == 12.0
    assert math.isnan(exponent.grad)
    with pytest.raises(ValueError):
        Value(-1.0).log()
    with pytest.raises(ValueError):
        Value(-8.0) ** (1 / 3)
    with pytest.raises(TypeError):
        Value([1.0])


def test_numerical_derivative_is_central():
    assert numerical_derivative(lambda x: x * x, 1.0, h=0.5) == 2.0


def test_gradcheck_finds_wrong_gradients():
    def broken(local_grad):
        return lambda a: Value(a.data**2, (a,), (local_grad,), "broken")

    assert gradcheck(broken(6.0), 3.0)
    assert not gradcheck(broken(5.9), 3.0)
    assert not gradcheck(broken(math.nan), 3.0)
    assert not gradcheck(lambda a, b: a + broken(5.0)(b), 1.0, 3.0)


@given(st.lists(st.tuples(NUMBERS, NUMBERS), max_size=6), NUMBERS)
def test_dot_is_weighted_sum_in_one_node(pairs, bias):
    for combine in (weighted_sum, dot):
        w, x, b = [Value(p) for p, _ in pairs], [Value(q) for _, q in pairs], Value(bias)
        total = combine(w, x, b)
        total.backward()
        assert total.data == pytest.approx(bias + sum(p * q for p, q in pairs))
        if combine is dot or pairs:
            assert [v.grad for v in w] == [q for _, q in pairs]
            assert [v.grad for v in x] == [p for p, _ in pairs]
        assert b.grad == 1.0
    assert len(topological_order(total)) == 2 * len(pairs) + 2


@pytest.mark.parametrize("combine", [weighted_sum, dot])
def test_weights_must_match_inputs(combine):
    with pytest.raises(ValueError):
        combine([Value(1.0)], [Value(1.0), Value(2.0)], Value(0.0))


def test_network_shapes_and_seeds():
    model = MLP(2, [16, 16, 1], rng=random.Random(3))
    assert len(model.parameters()) == 337
    assert isinstance(model([0.1, 0.2]), Value)
    assert len(MLP(2, [3, 4])([0.1, 0.2])) == 4
    twin = MLP(2, [16, 16, 1], rng=random.Random(3), combine=dot)
    assert [p.data for p in twin.parameters()] == [p.data for p in model.parameters()]
    assert twin([0.1, 0.2]).data == pytest.approx(model([0.1, 0.2]).data)
    assert repr(MLP(1, [1])) == "MLP of [Layer of 1 x Neuron(1, linear)]"


def test_losses():
    assert mse_loss([Value(1.0), Value(4.0)], [1.0, 2.0]).data == 2.0
    assert hinge_loss([Value(3.0), Value(0.5), Value(2.0)], [1, 1, -1]).data == pytest.approx(
        3.5 / 3
    )
    assert accuracy([Value(3.0), Value(-0.5), Value(2.0)], [1, -1, -1]) == pytest.approx(2 / 3)
    for loss in (mse_loss, hinge_loss, accuracy):
        with pytest.raises(ValueError):
            loss([Value(1.0)], [1.0, 2.0])


def test_sgd_equals_l2_in_the_graph():
    """Weight decay is the gradient of the penalty weight_decay / 2 * sum of squares."""
    p, q = Value(2.0), Value(2.0)
    SGD([p], lr=0.1, weight_decay=0.3).step()
    penalty = 0.15 * q**2
    penalty.backward()
    SGD([q], lr=0.1).step()
    assert p.data == pytest.approx(q.data)


def test_learning_rate_falls_in_a_line_and_stays():
    assert [linear_decay(1.0, 0.0, s, 4) for s in range(6)] == [1.0, 0.75, 0.5, 0.25, 0.0, 0.0]


@given(st.integers(0, 30), st.integers(1, 12), st.integers(0, 5))
def test_minibatches_are_a_partition(n, size, seed):
    points, labels = [[i] for i in range(n)], list(range(n))
    batches = list(minibatches(points, labels, size, random.Random(seed)))
    assert sorted(y for _, ys in batches for y in ys) == labels
    assert all(x == [y] for xs, ys in batches for x, y in zip(xs, ys))
    assert all(len(xs) == size for xs, _ in batches[:-1])


@pytest.mark.parametrize("seed", range(10))
def test_moons_reach_100_percent(seed):
    points, labels = make_moons(100, noise=0.1, seed=seed)
    model = MLP(2, [16, 16, 1], combine=dot, rng=random.Random(seed))
    history = train(model, points, labels, seed=seed)
    assert evaluate(model, points, labels) == 1.0
    assert history[-1] < 0.2 * history[0]
