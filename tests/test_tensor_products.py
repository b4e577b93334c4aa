"""Products of tensors: the rule of shapes, pictures of graphs, and descent to the normal equations."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course.tensor import Tensor, manual_seed
from course.tensor.descent import gradient_descent
from course.tensor.ops.products import product_shape
from course.viz import draw_graph

SHAPES = st.lists(st.integers(0, 3), max_size=4).map(tuple)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(SHAPES, SHAPES)
def test_the_rule_of_shapes_is_numpys(a, b):
    try:
        expected = np.matmul(np.zeros(a), np.zeros(b)).shape
    except ValueError:
        with pytest.raises(ValueError, match="@"):
            product_shape(a, b)
    else:
        assert product_shape(a, b) == expected


def test_batches_that_do_not_go_together_are_named():
    with pytest.raises(ValueError, match=r"\(2, 3, 3\) and \(5, 3, 7\).*batch.*\(2,\) and \(5,\)"):
        Tensor.ones(2, 3, 3) @ Tensor.ones(5, 3, 7)


def test_a_picture_shows_shapes_dtypes_sizes_and_gradients():
    manual_seed(0)
    x, w = Tensor.randn(64, 5), Tensor.randn(5, 3, requires_grad=True)
    loss = ((x @ w)[[0, 0, 2]] ** 2).mean()
    loss.backward(retain_grads=True)
    alt = draw_graph(loss, names={"x": x, "w": w, "loss": loss}).alt
    assert "leaf x, shape (64, 5), dtype float32, size 1.28 kB (grad none)" in alt
    assert "leaf w, shape (5, 3), dtype float32, size 60 B (grad (5, 3))" in alt
    assert "v1 = x @ w, shape (64, 3), dtype float32, size 768 B (grad (64, 3))" in alt
    assert "v2 = v1[ ], shape (3, 3), dtype float32, size 36 B (grad (3, 3))" in alt
    assert "v3 = v2**2" in alt and "loss = mean(v3) = " in alt


def test_a_large_graph_is_folded_with_the_size_of_all():
    x = Tensor.ones(8, 4)
    total = Tensor(0.0)
    for _ in range(50):
        total = total + (x @ Tensor.ones(4, 25, requires_grad=True)).tanh().sum()
    alt = draw_graph(total, names={"x": x}).alt
    assert "50 × @, shape (8, 25), size 40 kB in all" in alt
    assert "50 leaves, shape (4, 25), size 20 kB in all" in alt


def test_gradient_descent_on_a_parabola_by_hand():
    p = Tensor([4.0, -2.0], dtype="float64", requires_grad=True)
    same = p
    losses = gradient_descent(lambda: (p * p).sum(), [p], lr=0.25, steps=3)  # halves p each time
    assert losses == [20.0, 5.0, 1.25]
    assert same.tolist() == [0.5, -0.25] and p.is_leaf


def test_gradient_descent_ends_at_the_normal_equations():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(50, 3)), rng.normal(size=50)
    w = Tensor.zeros(3, dtype="float64", requires_grad=True)
    inputs, targets = Tensor(x), Tensor(y)
    gradient_descent(lambda: (inputs @ w).mse_loss(targets), [w], lr=0.3, steps=200)
    np.testing.assert_allclose(w.numpy(), np.linalg.solve(x.T @ x, x.T @ y), rtol=1e-10)
