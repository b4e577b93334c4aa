"""The intermediate representation: what is to be computed, written down as nodes.

A lazy array computes nothing. It adds a node to a graph: an operation, its inputs, the shape and dtype
of the result. Only when somebody wants to see numbers is the graph turned into kernels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from course.graph.session import needed_nodes
from course.tensor.layout import Layout
from course.tensor.shapes import Shape

VIEWS = ("permute", "expand", "cut", "reshape")  # the same numbers, read in another way
REDUCTIONS = ("sum", "max", "min")
LEAVES = ("const", "index")  # numbers that are in no memory


@dataclass(eq=False, slots=True)
class Node:
    """One operation of the graph.

    Attributes:
        op: "buffer", numbers in memory; "const", one number; "index", the positions along an axis;
            "call", a function that numpy runs; one of VIEWS, of REDUCTIONS; or the name of a function
            of numpy that works element by element, such as "add".
        inputs: the nodes whose results it needs. For elementwise operations all have its shape.
        shape: of the result. Reductions keep the axes they reduce, with length 1.
        dtype: of the result.
        arg: what else belongs to the operation: a constant's value, the axes of a reduction, how a view
            reads its input, the function of a call.
        data: the result as a numpy array in C order, once it has been computed.
    """

    op: str
    inputs: tuple["Node", ...]
    shape: Shape
    dtype: np.dtype
    arg: Any = None
    data: np.ndarray | None = None

    @property
    def is_elementwise(self) -> bool:
        """Whether each element of the result depends on the same element of each input alone."""
        return bool(self.inputs) and self.op not in (*VIEWS, *REDUCTIONS, "call")

    @property
    def size(self) -> int:
        """How many elements the result has."""
        return int(np.prod(self.shape, dtype=np.int64))


Views = tuple[Node, ...]  # through which a node is seen, the last one first


def buffer(data: np.ndarray) -> Node:
    """A node for numbers that are there already."""
    data = data if data.flags.c_contiguous else data.copy()
    return Node("buffer", (), data.shape, data.dtype, data=data)


def const(value: Any, dtype: np.dtype, shape: Shape = ()) -> Node:
    """One number, stretched to a shape."""
    return expand(Node("const", (), (), dtype, dtype.type(value)), shape)


def is_const(node: Node) -> bool:
    """Whether it is one number, stretched or not."""
    return node.op == "const" or (node.op == "expand" and node.inputs[0].op == "const")


def index(shape: Shape, axis: int) -> Node:
    """Each element's own position along an axis: what numpy's arange gives, stretched."""
    return Node("index", (), shape, np.dtype(np.int64), axis)


def permute(x: Node, order: tuple[int, ...]) -> Node:
    """The axes in another order: axis i of the result is axis order[i] of x."""
    if order == tuple(range(len(x.shape))):
        return x
    return Node("permute", (x,), tuple(x.shape[axis] for axis in order), x.dtype, order)


def expand(x: Node, shape: Shape) -> Node:
    """x stretched to a shape, by the rule of broadcasting."""
    if x.shape == shape:
        return x
    if is_const(x) and x.inputs:
        (x,) = x.inputs
    return Node("expand", (x,), shape, x.dtype, shape)


def cut(x: Node, axis: int, piece: slice) -> Node:
    """Only some elements of one axis."""
    length = len(range(*piece.indices(x.shape[axis])))
    if piece.indices(x.shape[axis]) == (0, x.shape[axis], 1):
        return x
    shape = (*x.shape[:axis], length, *x.shape[axis + 1 :])
    return Node("cut", (x,), shape, x.dtype, (axis, piece))


def reshape(x: Node, shape: Shape) -> Node:
    """The same elements in the same order, in another shape."""
    if x.op == "reshape" and x.data is None:
        x = x.inputs[0]  # in the same order all along
    if x.shape == shape:
        return x
    return Node("reshape", (x,), shape, x.dtype, shape)


def without_ones(shape: Shape) -> Shape:
    """The lengths other than 1."""
    return tuple(length for length in shape if length != 1)


def moves_only_ones(view: Node) -> bool:
    """Whether a reshape only puts in or takes out axes of length 1.

    Then it can be done to any layout; other reshapes need their elements in reading order.
    """
    return without_ones(view.shape) == without_ones(view.inputs[0].shape)


def view_layout(layout: Layout, view: Node) -> Layout:
    """How a view's elements lie in a buffer, if those of its input lie as the layout says."""
    if view.op == "permute":
        return layout.permute(view.arg)
    if view.op == "expand":
        return layout.expand(view.arg)
    if view.op == "cut":
        return layout.cut(*view.arg)
    reshaped = layout.reshape(view.arg)
    if reshaped is not None:
        return reshaped
    # only axes of length 1 come and go: all others keep their strides, in their order
    strides = iter([s for n, s in zip(layout.shape, layout.strides) if n != 1])
    new = tuple(0 if length == 1 else next(strides) for length in view.arg)
    return Layout(view.arg, new, layout.offset)


def view_array(x: np.ndarray, view: Node) -> np.ndarray:
    """What a view makes of a numpy array."""
    if view.op == "permute":
        return x.transpose(view.arg)
    if view.op == "expand":
        return np.broadcast_to(x, view.arg)
    if view.op == "cut":
        axis, piece = view.arg
        return x[(slice(None),) * axis + (piece,)]
    return x.reshape(view.arg)


def in_order(roots: Sequence[Node]) -> list[Node]:
    """All nodes that the roots need, each after its inputs.

    The walk is that of static graphs. Behind what has been computed it finds nothing: computed nodes
    have given up their inputs.
    """
    return cast(list[Node], needed_nodes(cast(Any, roots), {}))
