"""From a result back to everything it was computed from: the graph as lists of indices."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from course.viz.protocol import Node, check_node


@dataclass(frozen=True)
class Trace:
    """A computation graph whose nodes are numbered, each before its inputs: the root is node 0.

    Numbers can be compared, counted and looked up, whatever the nodes themselves make of `==`.

    Attributes:
        nodes: every node once.
        inputs: for each node the numbers of its inputs, in order, with repeats. A node's inputs
            always have higher numbers than the node.
    """

    nodes: list[Node]
    inputs: list[list[int]]


def trace(root: Node, where: str) -> Trace:
    """Number the nodes that root was computed from.

    The walk goes depth first and keeps the way it came by on a list, not on Python's call stack,
    so that a graph may be deeper than Python can recurse.

    Args:
        root: the result.
        where: the call that asks, such as "draw_graph(root)", for messages.

    Raises:
        TypeError: if root, or an input of a node, is not a node.
        ValueError: if a node is, through its inputs, computed from itself.
    """
    check_node(root, where)
    placed: list[Node] = []
    is_placed = {id(root): False}
    path: list[tuple[Node, Iterator[Node]]] = [(root, iter(root.inputs))]
    while path:
        node, waiting = path[-1]
        for input in waiting:
            if id(input) not in is_placed:
                check_node(input, f"An input of a node (op {node.op!r})")
                is_placed[id(input)] = False
                path.append((input, iter(input.inputs)))
                break
            if not is_placed[id(input)]:
                raise ValueError(
                    f"The graph has a cycle: a node (op {input.op!r}) is, through its inputs, computed "
                    "from itself. An operation must make a new node, not change one of its inputs."
                )
        else:
            path.pop()
            is_placed[id(node)] = True
            placed.append(node)
    placed.reverse()
    number = {id(node): i for i, node in enumerate(placed)}
    return Trace(placed, [[number[id(input)] for input in node.inputs] for node in placed])


def levels(inputs: Sequence[Iterable[int]]) -> list[int]:
    """For each node the length of the longest way to it from the root, which is at level 0.

    Args:
        inputs: for each node the numbers of its inputs, all higher than its own.
    """
    level = [0] * len(inputs)
    for i, mine in enumerate(inputs):
        for j in mine:
            level[j] = max(level[j], level[i] + 1)
    return level
