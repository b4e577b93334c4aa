"""What a computation graph must look like to be drawn: a protocol, so that no unit is imported."""

from collections.abc import Sequence
from typing import Any, Protocol


class Node(Protocol):
    """One node of a computation graph, as `draw_graph` reads it.

    Nodes are told apart by identity (`is`), never by `==`: they may define `==` as they like, have
    `__slots__`, and be unhashable.

    Attributes:
        data: the node's value: a number, or an array.
        grad: d(result) / d(node): a number, an array, or None where there is none yet.
        inputs: the nodes this one was computed from, in order; empty for a leaf. A node that is
            used twice stands in it twice.
        op: the name of the operation, such as "+" or "tanh"; empty for a leaf.
        shape: optional. If a node has a shape other than (), its shape and dtype are drawn instead
            of its value, and `.data` is not touched.
        dtype: optional. The kind of numbers in the array, drawn beside the shape; the data's if the
            node has none.
        nbytes: optional. How many bytes the array's elements take, drawn as the size.
    """

    @property
    def data(self) -> Any: ...  # noqa: D102
    @property
    def grad(self) -> Any: ...  # noqa: D102
    @property
    def inputs(self) -> Sequence["Node"]: ...  # noqa: D102
    @property
    def op(self) -> str: ...  # noqa: D102


class ScalarNode(Node, Protocol):
    """A node that `backward_steps` can step through: a number that knows its local derivatives.

    Attributes:
        local_grads: d(node) / d(input), one number for each of the inputs, in the same order.
    """

    @property
    def inputs(self) -> Sequence["ScalarNode"]: ...  # noqa: D102
    @property
    def local_grads(self) -> Sequence[float]: ...  # noqa: D102


NEEDED = ("data", "grad", "inputs", "op")


def check_node(value: object, where: str) -> None:
    """Raise a TypeError that says how to mend it, unless value is a `Node`.

    Args:
        value: anything.
        where: how the value came here, such as "draw_graph(root)"; the message begins with it.
    """
    kind = type(value).__name__
    if value is None:
        got, remedy = "None", "Did the function that made it forget to return its result?"
    elif isinstance(value, int | float):
        got = f"the {kind} {value!r}"
        remedy = "Pass the node itself, such as loss, not its number loss.data."
    elif isinstance(value, list | tuple | dict | set):
        got, remedy = f"a {kind}", "Pass one node: the result that the others lead to."
    else:
        # To look at a lazy array's data would be to compute it; what has a shape is left alone.
        needed = ("grad", "inputs", "op") if hasattr(value, "shape") else NEEDED
        missing = [name for name in needed if not hasattr(value, name)]
        if not missing:
            return
        got = f"a {kind}, which has no ." + " and no .".join(missing)
        remedy = "Every node has .data, .grad, .inputs and .op."
    raise TypeError(f"{where} must be a node of a computation graph, and is {got}. {remedy}")
