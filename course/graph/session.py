"""Running a graph: `Session`, which keeps the variables' arrays and computes what is asked for."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from course.graph.nodes import Graph, Node, Variable, default_graph
from course.graph.ops import KERNELS
from course.tensor.shapes import Shape


def needed_nodes(fetches: Sequence[Node], fed: Mapping[Node, Any]) -> list[Node]:
    """What has to run for the fetches, each node once, each after its inputs.

    A node that is fed is not computed, so nothing before it has to run either. The graph may be
    deeper than Python can recurse.
    """
    order: list[Node] = []
    seen: set[Node] = set()
    stack = [(node, False) for node in reversed(fetches)]
    while stack:
        node, inputs_are_placed = stack.pop()
        if inputs_are_placed:
            order.append(node)
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            if node not in fed:
                stack.extend((x, False) for x in reversed(node.inputs) if x not in seen)
    return order


class Session:
    """Runs nodes of one graph, and keeps its variables from run to run.

    Two sessions of the same graph know nothing of each other: each has variables of its own.

    Args:
        graph: the graph; the default graph if not given.

    Attributes:
        variables: the array of each variable that has run or was assigned.
        count: how many operations the last run has computed.
    """

    def __init__(self, graph: Graph | None = None) -> None:
        self.graph = graph or default_graph()
        self.variables: dict[Node, Any] = {}
        self.count = 0

    def run(self, fetches: Any, feed_dict: Mapping[Node, Any] | None = None) -> Any:
        """Compute nodes: only what they need, and each node once.

        Args:
            fetches: a node, or a list of nodes.
            feed_dict: the placeholders' arrays. Any other node may be fed too: it is not computed then.

        Returns:
            The node's array, or a list of them.

        Raises:
            TypeError: if a fetch or a key of feed_dict is no node.
            ValueError: if a placeholder is not fed, what is fed does not fit, a node belongs to
                another graph, or an operation fails; it names the node.
        """
        nodes = list(fetches) if isinstance(fetches, list | tuple) else [fetches]
        feeds = dict(feed_dict or {})
        for node in [*nodes, *feeds]:
            self._check_node(node)
        values = {node: _check_feed(node, value) for node, value in feeds.items()}
        self.evaluate(needed_nodes(nodes, values), values)
        results = [values[node] for node in nodes]
        return results if isinstance(fetches, list | tuple) else results[0]

    def evaluate(self, order: Sequence[Node], values: dict[Node, Any]) -> None:
        """Compute nodes, and note what they give in `values`.

        A node that has a value already, as it was fed, is not computed. In `count` stands how many were
        computed. What `assign` nodes give is kept in `variables`, but only after all have run: in one
        run, everything sees the variables as they were before, and a run that fails changes none.

        Args:
            order: the nodes that are needed, each after its inputs.
            values: what was fed; the values of all others are added.
        """
        assigned = {}
        self.count = 0
        for node in order:
            if node not in values:
                values[node] = self.compute(node, [values[x] for x in node.inputs])
                self.count += 1
            if node.op == "assign":
                assigned[node.inputs[0]] = values[node]
        self.variables.update(assigned)

    def compute(self, node: Node, inputs: list[Any]) -> Any:
        """What one node gives, from the values of its inputs.

        Raises:
            ValueError: if it is a placeholder, which must be fed, or the operation fails.
        """
        if node.op == "constant":
            return node.attributes["value"]
        if node.op == "variable":
            return self.variables.setdefault(node, node.attributes["value"])
        if node.op == "placeholder":
            raise ValueError(f"placeholder {node.name!r} is not fed: give it in feed_dict")
        if node.op == "assign":
            return check_assigned(node, *inputs)
        if node.op not in KERNELS:
            raise ValueError(f"{node.name!r}: nothing is known of an operation {node.op!r}")
        try:
            return KERNELS[node.op](*inputs, **node.attributes)
        except (ValueError, TypeError, IndexError) as error:
            shapes = ", ".join(f"{x.name} {np.shape(v)}" for x, v in zip(node.inputs, inputs))
            raise ValueError(f"{node.name!r}, {node.op} of {shapes}: {error}") from error

    def _check_node(self, node: Any) -> None:
        if not isinstance(node, Node):
            raise TypeError(f"a session runs and is fed nodes, and this is {node!r:.60}")
        if node.graph is not self.graph:
            raise ValueError(f"{node.name!r} belongs to another graph than this session's")

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing to close: `with Session() as session:` is TensorFlow's way to write it."""


def fits(shape: Shape, wanted: Sequence[int | None]) -> bool:
    """Whether an array's shape is as a placeholder wants it: None there stands for any length."""
    return len(shape) == len(wanted) and all(
        want is None or length == want for length, want in zip(shape, wanted)
    )


def _check_feed(node: Node, value: Any) -> Any:
    array = np.asarray(value)
    shape = node.attributes.get("shape") if node.op == "placeholder" else None
    if shape is not None and not fits(array.shape, shape):
        raise ValueError(
            f"placeholder {node.name!r} takes shape {shape}, and was fed {array.shape}"
        )
    return array


def check_assigned(node: Node, old: Any, new: Any) -> Any:
    """The new value of a variable.

    Raises:
        ValueError: if it has another shape than the old one.
    """
    variable = node.inputs[0]
    assert isinstance(variable, Variable)
    if np.shape(old) != np.shape(new):
        raise ValueError(
            f"{node.name!r}: variable {variable.name!r} has shape {np.shape(old)}, the new value {np.shape(new)}"
        )
    return new
