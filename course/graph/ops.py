"""What operations compute, and functions that put them into a graph."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from course.graph.nodes import Node, Variable, as_node
from course.tensor import numpy_ops
from course.tensor.shapes import unbroadcast

Axis = int | tuple[int, ...] | None

# ---------------------------------------------------------------- arrays: what a session calls


def sum_to_shape_of(grad: Any, x: Any) -> Any:
    """The gradient summed over what broadcasting had stretched, in the shape of x."""
    return unbroadcast(np.asarray(grad), np.shape(x))


def stretch_sum(grad: Any, x: Any, axis: Axis, keepdims: bool) -> Any:
    """The gradient of a sum, stretched back to the shape of x."""
    if axis is not None and not keepdims:
        grad = np.expand_dims(grad, axis)
    return np.broadcast_to(grad, np.shape(x))


def count_summed(x: Any, axis: Axis) -> Any:
    """How many elements a sum over the axis takes together."""
    axes = range(np.ndim(x)) if axis is None else np.atleast_1d(axis)
    return np.prod([np.shape(x)[a] for a in axes], dtype=float)


# The operations by name. `assign` and those without inputs are the session's own business.
KERNELS: dict[str, Callable[..., Any]] = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "divide": lambda a, b: a / b,
    "negative": lambda a: -a,
    "matmul": lambda a, b: a @ b,
    "exp": np.exp,
    "log": np.log,
    "tanh": np.tanh,
    "sigmoid": numpy_ops.sigmoid,
    "relu": lambda a: np.maximum(a, 0),
    "step": lambda a: np.where(a > 0, 1.0, 0.0),
    "softmax": numpy_ops.softmax,
    "log_softmax": numpy_ops.log_softmax,
    "reduce_sum": lambda a, axis, keepdims: np.sum(a, axis=axis, keepdims=keepdims),
    "count_summed": count_summed,
    "stretch_sum": stretch_sum,
    "sum_to_shape_of": sum_to_shape_of,
    "ones_like": np.ones_like,
    "reshape": lambda a, shape: np.reshape(a, shape),
    "reshape_like": lambda a, b: np.reshape(a, np.shape(b)),
    "transpose": lambda a, axes: np.transpose(a, axes),
    "group": lambda *values: None,
}

# ---------------------------------------------------------------- nodes: what a user calls


def add(a: Any, b: Any, name: str = "") -> Node:
    """a + b, with broadcasting."""
    return Node("add", (a, b), name=name)


def subtract(a: Any, b: Any, name: str = "") -> Node:
    """a - b, with broadcasting."""
    return Node("subtract", (a, b), name=name)


def multiply(a: Any, b: Any, name: str = "") -> Node:
    """a * b, element by element, with broadcasting."""
    return Node("multiply", (a, b), name=name)


def divide(a: Any, b: Any, name: str = "") -> Node:
    """a / b, element by element, with broadcasting."""
    return Node("divide", (a, b), name=name)


def negative(a: Any, name: str = "") -> Node:
    """-a."""
    return Node("negative", (a,), name=name)


def matmul(a: Any, b: Any, name: str = "") -> Node:
    """The product of two matrices."""
    return Node("matmul", (a, b), name=name)


def exp(a: Any, name: str = "") -> Node:
    """e to the power of each element."""
    return Node("exp", (a,), name=name)


def log(a: Any, name: str = "") -> Node:
    """The natural logarithm."""
    return Node("log", (a,), name=name)


def tanh(a: Any, name: str = "") -> Node:
    """The hyperbolic tangent."""
    return Node("tanh", (a,), name=name)


def sigmoid(a: Any, name: str = "") -> Node:
    """1 / (1 + exp(-a))."""
    return Node("sigmoid", (a,), name=name)


def relu(a: Any, name: str = "") -> Node:
    """The larger of a and 0."""
    return Node("relu", (a,), name=name)


def softmax(a: Any, axis: int = -1, name: str = "") -> Node:
    """exp(a) divided by its sum along the axis; large a do not overflow."""
    return Node("softmax", (a,), {"axis": axis}, name)


def log_softmax(a: Any, axis: int = -1, name: str = "") -> Node:
    """The logarithm of softmax."""
    return Node("log_softmax", (a,), {"axis": axis}, name)


def reduce_sum(a: Any, axis: Axis = None, keepdims: bool = False, name: str = "") -> Node:
    """The sum over an axis, several, or all."""
    return Node("reduce_sum", (a,), {"axis": axis, "keepdims": keepdims}, name)


def reduce_mean(a: Any, axis: Axis = None, keepdims: bool = False, name: str = "") -> Node:
    """The mean over an axis, several, or all: a sum, divided by a count that is known when it runs."""
    a = as_node(a)
    count = Node("count_summed", (a,), {"axis": axis})
    return Node("divide", (reduce_sum(a, axis, keepdims), count), name=name or "reduce_mean")


def reshape(a: Any, shape: Sequence[int], name: str = "") -> Node:
    """The same elements in another shape; one length may be -1."""
    return Node("reshape", (a,), {"shape": tuple(shape)}, name)


def transpose(a: Any, axes: Sequence[int] | None = None, name: str = "") -> Node:
    """The axes in another order, or reversed."""
    return Node("transpose", (a,), {"axes": None if axes is None else tuple(axes)}, name)


def assign(variable: Variable, value: Any, name: str = "") -> Node:
    """When it runs, the session keeps value for the variable from then on. It gives the value.

    In one run, all values are computed first, from what the variables were before.

    Raises:
        TypeError: if this is no variable.
    """
    if not isinstance(variable, Variable):
        raise TypeError(f"assign changes a Variable, and this is {variable!r:.60}")
    return Node("assign", (variable, value), name=name or f"assign_{variable.name}")


def group(nodes: Sequence[Node], name: str = "") -> Node:
    """A node that runs all these, and gives None."""
    return Node("group", tuple(nodes), name=name)
