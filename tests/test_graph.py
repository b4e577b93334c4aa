"""Static graphs: what runs, what it gives, gradients as nodes, training as a node."""

import numpy as np
import pytest

from course.graph import (
    GradientDescentOptimizer,
    Graph,
    MomentumOptimizer,
    Node,
    Session,
    Variable,
    assign,
    constant,
    divide,
    exp,
    gradients,
    group,
    log,
    log_softmax,
    matmul,
    multiply,
    negative,
    placeholder,
    reduce_mean,
    reduce_sum,
    relu,
    reshape,
    sigmoid,
    softmax,
    subtract,
    tanh,
    transpose,
)
from course.graph.gradients import GRADIENTS
from course.graph.ops import KERNELS
from course.tensor import Tensor
from course.viz import draw_graph


@pytest.fixture(autouse=True)
def graph():
    with Graph().as_default() as graph:
        yield graph


def run(node, **feeds):
    names = {n.name: n for n in node.graph.nodes}
    return Session(node.graph).run(node, {names[k]: v for k, v in feeds.items()})


A = np.array([[0.3, -1.2, 2.0], [1.1, 0.4, -0.7]])
ROW, COLUMN, NUMBER = np.array([0.5, -2.0, 1.5]), np.array([[2.0], [-0.5]]), np.array(1.7)
OPERATIONS = {
    "add row": (lambda a, b: a + b, A, ROW),
    "add column": (lambda a, b: a + b, COLUMN, ROW),
    "subtract": (lambda a, b: subtract(a, b), A, NUMBER),
    "multiply": (lambda a, b: multiply(a, b), A, COLUMN),
    "multiply number": (lambda a, b: a * b, NUMBER, A),
    "divide": (lambda a, b: divide(a, b), ROW, A),
    "negative": (lambda a: negative(a), A),
    "matmul": (lambda a, b: matmul(a, b), A, A.T.copy()),
    "matmul(x, x)": (lambda a: matmul(a, a), A[:, :2]),
    "exp": (lambda a: exp(a), A),
    "log": (lambda a: log(a), np.abs(A)),
    "tanh": (lambda a: tanh(a), A),
    "sigmoid": (lambda a: sigmoid(a), NUMBER),
    "relu": (lambda a: relu(a), A),
    "softmax": (lambda a: softmax(a), A),
    "softmax 0": (lambda a: softmax(a, 0), A),
    "log_softmax": (lambda a: log_softmax(a), A),
    "sum": (lambda a: reduce_sum(a), A),
    "sum 0": (lambda a: reduce_sum(a, 0), A),
    "sum keepdims": (lambda a: reduce_sum(a, -1, keepdims=True), A),
    "sum axes": (lambda a: reduce_sum(a, (0, 1)), A),
    "mean": (lambda a: reduce_mean(a), A),
    "mean 1": (lambda a: reduce_mean(a, 1), A),
    "reshape": (lambda a: reshape(a, (3, -1)), A),
    "transpose": (lambda a: transpose(a), A),
    "transpose axes": (lambda a: transpose(a, (2, 0, 1)), A.reshape(1, 2, 3)),
    "skip connection": (lambda a: a + tanh(a * a) * a, A),
}


def slopes(f, arrays, i, step=1e-6):
    """The central difference of f's weighted sum, by each element of input i."""
    result = np.zeros_like(arrays[i])
    for index in np.ndindex(arrays[i].shape):
        sides = []
        for distance in (step, -step):
            moved = [a.copy() for a in arrays]
            moved[i][index] += distance
            sides.append(f(*moved))
        result[index] = (sides[0] - sides[1]) / (2 * step)
    return result


def test_one_source_is_a_list_too():
    x = placeholder("x")
    with pytest.raises(TypeError, match=r"gradients\(target, \[x\]\)"):
        gradients(x * x, x)


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("order", [1, 2])
def test_gradients_are_derivatives(name, order):
    """Also of gradients: of order 2, what is differentiated is itself the sum of squared gradients."""
    build, *arrays = OPERATIONS[name]
    inputs = [placeholder(f"x{i}") for i in range(len(arrays))]
    y = build(*inputs)
    size = np.size(Session().run(y, dict(zip(inputs, arrays))))
    weights = np.linspace(0.5, 1.5, size)
    target = reduce_sum(reshape(y, (-1,)) * weights)
    if order == 2:
        found = gradients(target, inputs)
        target = reduce_sum(found[0] * found[0]) + 0.0 * target
    session = Session()
    for i, grad in enumerate(gradients(target, inputs)):
        got = session.run(grad, dict(zip(inputs, arrays)))
        assert np.shape(got) == arrays[i].shape
        expected = slopes(lambda *xs: session.run(target, dict(zip(inputs, xs))), arrays, i)
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


def test_every_operation_has_a_gradient_and_a_test():
    used = set()
    for build, *arrays in OPERATIONS.values():
        inputs = [placeholder() for _ in arrays]
        first = gradients(reduce_sum(build(*inputs)), inputs)
        used |= {node.op for node in first[0].graph.nodes}
    assert set(KERNELS) - used == {"group"} | ({"reshape_like"} - used)
    assert set(KERNELS) - set(GRADIENTS) == {"group"}


def test_only_what_is_needed_runs_and_each_node_once():
    x = placeholder("x")
    y = x * 2.0
    z = y + y * y
    unused = log(negative(y))
    session = Session()
    assert session.run(z, {x: 3.0}) == 42
    assert session.count == 4  # the constant, y, y * y, z
    assert session.run([y, z], {x: 1.0}) == [2, 6]
    assert session.run(z, {y: 5.0}) == 30, "a node in the middle may be fed: x is not needed then"
    assert session.count == 2
    assert unused.op == "log"


def test_thirty_diamonds_and_a_long_chain():
    x = placeholder("x")
    y = x
    for _ in range(30):
        y = y + y
    (grad,) = gradients(y, [x])
    session = Session()
    assert session.run([y, grad], {x: 1.0}) == [2**30, 2**30]
    assert session.count < 200
    z = x
    for _ in range(20_000):
        z = -z
    assert session.run(z, {x: 1.0}) == 1
    assert session.run(gradients(z, [x])[0], {x: 1.0}) == 1


def test_a_consumer_off_the_path_does_no_harm():
    x = placeholder("x")
    y = x * x
    exp(y), Node("no such operation", (y,))
    assert run(gradients(y, [x])[0], x=3.0) == 6


def test_softmax_of_large_numbers():
    assert run(softmax(constant([1000.0, 0.0]))).tolist() == [1, 0]
    assert run(log_softmax(constant([1000.0, 0.0]))).tolist() == [0, -1000]


def test_numbers_and_arrays_on_the_left():
    x = placeholder("x")
    a = np.array([1.0, 2.0])
    for node, expected in ((2 - x, [0, -1]), (a + x, [3, 5]), (a / x, [0.5, 2 / 3]), (a @ x, 8), (2 * x, [4, 6]), (-x, [-2, -3])):  # fmt: skip
        np.testing.assert_allclose(run(node, x=[2.0, 3.0]), expected)


# ---------------------------------------------------------------- variables and training


def test_two_sessions_have_variables_of_their_own():
    v = Variable(1.0, "v")
    up = assign(v, v + 1.0)
    one, other = Session(), Session()
    assert [one.run(up), one.run(up), other.run(v), one.run(v)] == [2, 3, 1, 3]


def test_values_are_computed_before_any_is_assigned():
    a, b = Variable(1.0, "a"), Variable(2.0, "b")
    session = Session()
    session.run(group([assign(a, b), assign(b, a)]))
    assert session.run([a, b]) == [2, 1]


@pytest.mark.parametrize("optimizer", [GradientDescentOptimizer(0.5), MomentumOptimizer(0.2)])
def test_xor(optimizer):
    rng = np.random.default_rng(0)
    x, t = placeholder("x", (None, 2)), placeholder("t", (None, 1))
    w1, b1 = Variable(rng.normal(size=(2, 8)), "w1"), Variable(np.zeros(8), "b1")
    w2, b2 = Variable(rng.normal(size=(8, 1)), "w2"), Variable(np.zeros(1), "b2")
    y = sigmoid(tanh(x @ w1 + b1) @ w2 + b2)
    loss = reduce_mean((y - t) * (y - t))
    train = optimizer.minimize(loss)
    session = Session()
    feeds = {x: [[0, 0], [0, 1], [1, 0], [1, 1]], t: [[0], [1], [1], [0]]}
    for _ in range(1500):
        session.run(train, feeds)
    np.testing.assert_allclose(session.run(y, feeds), feeds[t], atol=0.2)
    assert session.run(loss, feeds) < 0.02


def test_eager_and_static_agree():
    """The same network, the same weights: five steps of the tensor engine and of a graph."""
    rng = np.random.default_rng(1)
    x, t = rng.normal(size=(6, 4)), np.eye(3)[[0, 1, 2, 0, 1, 2]]
    arrays = [rng.normal(size=s) for s in ((4, 5), (5,), (5, 3), (3,))]
    w1, b1, w2, b2 = (Variable(a) for a in arrays)
    loss = -reduce_mean(reduce_sum(log_softmax(relu(x @ w1 + b1) @ w2 + b2) * t, 1))
    train = GradientDescentOptimizer(0.1).minimize(loss)
    session = Session()
    params = [Tensor(a, requires_grad=True) for a in arrays]
    for _ in range(5):
        eager = -((Tensor(x) @ params[0] + params[1]).relu() @ params[2] + params[3]).log_softmax(1)
        eager = (eager * Tensor(t)).sum(1).mean()
        static, _ = session.run([loss, train])
        assert static == pytest.approx(eager.item(), abs=1e-12)
        for p in params:
            p.grad = None
        eager.backward()
        for p in params:
            p.data -= 0.1 * p.grad.data
    for variable, p in zip((w1, b1, w2, b2), params):
        np.testing.assert_allclose(session.run(variable), p.numpy(), atol=1e-12)


# ---------------------------------------------------------------- errors, pictures


def test_errors_name_the_node(graph):
    x = placeholder("x", (None, 2))
    y = x @ constant(np.ones((3, 1)))
    session = Session()
    with pytest.raises(ValueError, match="placeholder 'x' is not fed"):
        session.run(y)
    with pytest.raises(ValueError, match=r"'x' takes shape \(None, 2\), and was fed \(2,\)"):
        session.run(y, {x: [1.0, 2.0]})
    with pytest.raises(ValueError, match=r"'matmul', matmul of x \(1, 2\), constant \(3, 1\)"):
        session.run(y, {x: [[1.0, 2.0]]})
    with pytest.raises(TypeError, match="a session runs and is fed nodes, and this is 'x'"):
        session.run(y, {"x": 1.0})
    with pytest.raises(ValueError, match="'x' belongs to another graph"):
        Session(Graph()).run(x)
    with Graph().as_default(), pytest.raises(ValueError, match="its input 'x' belongs to another"):
        x + 1.0
    with pytest.raises(
        LookupError, match=r"no gradient is registered for 'cube'.*register_gradient"
    ):
        gradients(Node("cube", (x,)), [x])
    with pytest.raises(ValueError, match="nothing is known of an operation 'cube'"):
        session.run(Node("cube", (x,)), {x: [[1.0, 2.0]]})
    with pytest.raises(ValueError, match="'matmul' does not depend on 'other'"):
        gradients(y, [placeholder("other")])
    with pytest.raises(TypeError, match="assign changes a Variable"):
        assign(x, 1.0)
    with pytest.raises(ValueError, match=r"variable 'v' has shape \(2,\), the new value \(\)"):
        session.run(assign(Variable([1.0, 2.0], "v"), 3.0))
    with pytest.raises(ValueError, match="depends on no variable"):
        GradientDescentOptimizer(0.1).minimize(y)
    with pytest.raises(TypeError, match="no value while the graph is built"):
        bool(x)
    with pytest.raises(TypeError, match="it has no elements"):
        list(x)
    with pytest.raises(TypeError, match="a constant is a number or an array of numbers"):
        x + "text"
    assert "Graph of" in repr(graph) and repr(y).startswith("<matmul: matmul(x")


def test_names_are_unique():
    assert [placeholder("x").name, placeholder("x").name, placeholder().name] == ["x", "x_1", "placeholder"]  # fmt: skip


def test_a_static_graph_can_be_drawn():
    x = placeholder("x")
    y = tanh(x * Variable(2.0, "w"))
    picture = draw_graph(gradients(y, [x])[0], names={"x": x})
    assert "tanh" in picture.alt and "not run" in picture.alt
