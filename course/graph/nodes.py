"""Nodes and graphs: a computation described, and not yet done.

A node names an operation and the nodes it takes its inputs from. It holds no result: the same node
gives another one each time a session runs it, as its placeholders are fed with other arrays.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np


class Graph:
    """All nodes that were made while it was the default graph.

    Attributes:
        nodes: in the order in which they were made, so that each comes after its inputs.

    Example:
        >>> graph = Graph()
        >>> with graph.as_default():
        ...     x = placeholder("x")
        >>> len(graph.nodes)
        1
    """

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self._names: dict[str, int] = {}

    def as_default(self) -> "Graph":
        """`with graph.as_default():` puts new nodes into this graph."""
        return self

    def __enter__(self) -> "Graph":
        _graphs.append(self)
        return self

    def __exit__(self, *error: object) -> None:
        _graphs.pop()

    def unique_name(self, name: str) -> str:
        """The name, or with a number behind it if there is one like it already."""
        count = self._names.get(name, 0)
        self._names[name] = count + 1
        return f"{name}_{count}" if count else name

    def __repr__(self) -> str:
        return f"Graph of {len(self.nodes)} nodes"


_graphs = [Graph()]


def default_graph() -> Graph:
    """The graph that new nodes go into."""
    return _graphs[-1]


class Node:
    """One operation of a graph.

    Args:
        op: the operation's name, such as "add": what is computed stands in a table under this name
            (`course.graph.ops.KERNELS`), and so does its gradient.
        inputs: the nodes it takes its inputs from, in order. Numbers and arrays become constants.
        attributes: what else the operation is told, such as an axis: fixed when the node is made.
        name: for messages and pictures; made unique.

    Attributes:
        graph: the graph it belongs to.

    Raises:
        ValueError: if the inputs belong to another graph.
    """

    __array_ufunc__ = None  # so that numpy leaves `array + node` to Node.__radd__

    def __init__(
        self,
        op: str,
        inputs: Sequence[Any] = (),
        attributes: dict[str, Any] | None = None,
        name: str = "",
    ) -> None:
        self.name: str
        self.graph = default_graph()
        self.op = op
        self.inputs = tuple(as_node(x) for x in inputs)
        self.attributes = attributes or {}
        for x in self.inputs:
            if x.graph is not self.graph:
                raise ValueError(f"{op}: its input {x.name!r} belongs to another graph")
        self.name = self.graph.unique_name(name or op)
        self.graph.nodes.append(self)

    def __repr__(self) -> str:
        inputs = ", ".join(x.name for x in self.inputs)
        return f"<{self.name}: {self.op}({inputs})>"

    @property
    def data(self) -> Any:
        """For pictures: a node has no value of its own."""
        return self.attributes.get("value", "not run")

    @property
    def grad(self) -> None:
        """For pictures: gradients are nodes of their own."""
        return None

    def __add__(self, other: Any) -> "Node":
        return Node("add", (self, other))

    def __radd__(self, other: Any) -> "Node":
        return Node("add", (other, self))

    def __sub__(self, other: Any) -> "Node":
        return Node("subtract", (self, other))

    def __rsub__(self, other: Any) -> "Node":
        return Node("subtract", (other, self))

    def __mul__(self, other: Any) -> "Node":
        return Node("multiply", (self, other))

    def __rmul__(self, other: Any) -> "Node":
        return Node("multiply", (other, self))

    def __truediv__(self, other: Any) -> "Node":
        return Node("divide", (self, other))

    def __rtruediv__(self, other: Any) -> "Node":
        return Node("divide", (other, self))

    def __matmul__(self, other: Any) -> "Node":
        return Node("matmul", (self, other))

    def __rmatmul__(self, other: Any) -> "Node":
        return Node("matmul", (other, self))

    def __neg__(self) -> "Node":
        return Node("negative", (self,))

    def __bool__(self) -> bool:
        raise TypeError(
            f"{self.name!r} has no value while the graph is built: neither `if` nor `while` can look at it"
        )

    def __iter__(self) -> Any:
        raise TypeError(f"{self.name!r} has no value while the graph is built: it has no elements")


def as_node(x: Any) -> Node:
    """The node itself; a constant of a number or an array."""
    return x if isinstance(x, Node) else constant(x)


def constant(value: Any, name: str = "") -> Node:
    """A node that always gives the same array.

    Raises:
        TypeError: if the value is no array of numbers.
    """
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"a constant is a number or an array of numbers, and this is {value!r:.60}")
    return Node("constant", (), {"value": array}, name)


def placeholder(name: str = "", shape: Sequence[int | None] | None = None) -> Node:
    """A node that gives what the session is fed with.

    Args:
        name: for messages and pictures.
        shape: what may be fed: a length for each axis, None for any. Without a shape, anything.
    """
    return Node("placeholder", (), {"shape": None if shape is None else tuple(shape)}, name)


class Variable(Node):
    """A node that gives an array which the session keeps, and which `assign` changes.

    Args:
        initial_value: the array of a new session.
        name: for messages and pictures.
    """

    def __init__(self, initial_value: Any, name: str = "") -> None:
        super().__init__("variable", (), {"value": np.asarray(initial_value)}, name)
