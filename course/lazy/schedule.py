"""Which results get memory, and which kernels compute them: the heart of fusion.

An operation whose result nobody stores costs no memory traffic: it is computed within the kernels
that need it. So the question is what *must* be stored. Everything else is fused.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from course.lazy.ir import LEAVES, REDUCTIONS, VIEWS, Node, moves_only_ones
from course.tensor.shapes import Shape

LARGEST = 64  # operations in one kernel, before something is stored all the same


@dataclass(eq=False, slots=True)
class Kernel:
    """One loop over a space, which stores one result or several.

    Attributes:
        space: the lengths of the loops.
        stores: the nodes whose results are stored. They have the space's shape, or reduce it.
        axes: the axes that all reductions among them reduce; None as long as there are none.
    """

    space: Shape
    stores: list[Node]
    axes: tuple[int, ...] | None = None


def stored_nodes(roots: Iterable[Node], order: Sequence[Node], fuse: bool = True) -> set[Node]:
    """The nodes that get memory of their own.

    These are: what was asked for; reductions and calls; what others can only read from memory; and, so
    that no kernel grows without end, a node that brings more than LARGEST operations.

    Args:
        roots: what was asked for.
        order: all nodes that are needed, each after its inputs.
        fuse: whether to fuse at all; if not, every operation is stored, and only views are not.
    """
    stored = set(roots)
    operations: dict[Node, int] = {}  # that a kernel gets, if it computes the node itself
    for node in order:
        if node.data is not None:
            continue
        stored.update(inputs_to_store(node, stored))
        operations[node] = node.is_elementwise + sum(
            operations.get(x, 0) for x in node.inputs if x not in stored
        )
        is_alone = node.is_elementwise and not fuse
        if node.op in REDUCTIONS or node.op == "call" or is_alone or operations[node] > LARGEST:
            stored.add(node)
    return {node for node in stored if node.data is None}


def inputs_to_store(node: Node, stored: Collection[Node]) -> list[Node]:
    """Those of a node's inputs that must lie in memory before it can read them.

    - A call takes arrays of numpy. A view of an array is one too, so what must be stored is what the
      view looks at; only a leaf, which is in no memory, must be written out as it is seen.
    - A reshape, unless it only moves axes of length 1, reads its input in reading order: that must be
      stored as it is seen.
    - What was computed element by element and is then stretched: each of its elements would be
      computed many times.

    Args:
        node: one that has inputs, or none.
        stored: the nodes of which it is known already that they get memory.

    Returns:
        Nodes, none of them through a view that need not be written out. They may be stored already.
    """
    sources = [source(x, stored) for x in node.inputs]
    if node.op == "call":
        return [x if seen.op in LEAVES else seen for x, seen in zip(node.inputs, sources)]
    if node.op == "reshape" and not moves_only_ones(node):
        return list(node.inputs)
    if node.op == "expand" and sources[0].is_elementwise:
        return sources
    return []


def source(node: Node, stored: Collection[Node]) -> Node:
    """The node that a chain of views looks at: a stored one, or one that is no view."""
    while node.op in VIEWS and node.data is None and node not in stored:
        node = node.inputs[0]
    return node


def plan(order: Sequence[Node], stored: set[Node], fuse: bool = True) -> list[Kernel | Node]:
    """What is to be run, in order: kernels, and calls, which stand for themselves.

    Each result has a level, the first at which everything that it reads is there. Results of the same
    level and the same space are computed by one kernel.

    What a kernel reads must have been stored at a lower level. There is one exception: what is stored
    element by element can be used in the same loop, if it is needed at the same element, and not
    through a view. So two levels are kept for each node: from which it can be read at the same
    element (`here`), and from which it can be read anywhere (`anywhere`).

    Args:
        order: all nodes that are needed, each after its inputs.
        stored: those that get memory.
        fuse: whether results may share a kernel.
    """
    here: dict[Node, int] = {}
    anywhere: dict[Node, int] = {}
    levels: dict[int, list[Kernel | Node]] = {}
    for node in order:
        if node.data is not None or not (node.inputs or node in stored):
            here[node] = anywhere[node] = 0
            continue
        reads = anywhere if node.op in VIEWS or node.op == "call" else here
        level = max((reads[x] for x in node.inputs), default=0)
        here[node] = level
        anywhere[node] = max((anywhere[x] for x in node.inputs), default=0)
        if node in stored:
            anywhere[node] = level + 1
            here[node] = level if node.is_elementwise and fuse else level + 1
            add_to(levels.setdefault(level, []), node, fuse)
    return [kernel for level in sorted(levels) for kernel in levels[level]]


def add_to(kernels: list[Any], node: Node, fuse: bool) -> None:
    """Let the first kernel store the node that has its space and reduces no other axes."""
    if node.op == "call":
        kernels.append(node)
        return
    axes = node.arg if node.op in REDUCTIONS else None
    space = node.inputs[0].shape if axes is not None else node.shape
    for kernel in kernels if fuse else []:
        fits = isinstance(kernel, Kernel) and kernel.space == space
        if fits and (axes is None or kernel.axes in (None, axes)):
            kernel.stores.append(node)
            kernel.axes = kernel.axes or axes
            return
    kernels.append(Kernel(space, [node], axes))
