"""Gradients of a static graph: more nodes of the same graph.

Nothing is computed here. `gradients` walks back over the nodes that led to the target, and asks for
each the function that was registered for its operation; that function adds nodes which will
compute the inputs' gradients. As the result is a graph too, it has gradients again.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Any

from course.graph.nodes import Node
from course.graph.ops import transpose
from course.graph.session import needed_nodes

GRADIENTS: dict[str, Callable[..., Any]] = {}


def register_gradient(op: str) -> Callable[[Callable], Callable]:
    """Register the decorated function as the gradient of an operation.

    The function takes the node, and the node of the gradient of its output. It returns the node of
    the gradient of its input; a tuple of them if there are several, None for one that has none.

    Args:
        op: the operation's name.
    """

    def register(function: Callable) -> Callable:
        GRADIENTS[op] = function
        return function

    return register


def gradients(target: Node, sources: Sequence[Node]) -> list[Node]:
    """Nodes that compute d(target) / d(source) for each source.

    Nodes are visited in reverse topological order, so each has got the shares of all that use it
    before it hands on its own. Shares are summed by nodes, too. Of a target with several elements,
    it is the gradient of their sum.

    Args:
        target: the node to differentiate.
        sources: nodes that it was computed from.

    Raises:
        LookupError: if an operation on the way has no gradient registered.
        TypeError: if the sources are a single node; put it into a list.
        ValueError: if the target does not depend on a source.
    """
    if isinstance(sources, Node):
        raise TypeError(f"gradients takes a list of sources: gradients(target, [{sources.name}])")
    order = needed_nodes([target], {})
    with target.graph.as_default():
        complete = walk_back(target, order, nodes_between(order, sources))
    for source in sources:
        if source not in complete:
            raise ValueError(f"{target.name!r} does not depend on {source.name!r}")
    return [complete[source] for source in sources]


def nodes_between(order: Sequence[Node], sources: Sequence[Node]) -> set[Node]:
    """The nodes that were computed from a source, and the sources; `order` has inputs first."""
    between = set(sources)
    for node in order:
        if any(x in between for x in node.inputs):
            between.add(node)
    return between


def walk_back(target: Node, order: Sequence[Node], between: Collection[Node]) -> dict[Node, Node]:
    """Make the nodes that compute the gradients of a target; compute nothing.

    It starts with ones for the target. Each node's gradient is the sum of all shares that it got; then
    `input_gradients` makes the shares of its inputs. Nodes that are not `between` neither get a share nor
    hand one on, and neither does one that got none. A node with no input between, such as a source, is
    not asked for shares: its operation may have no gradient.

    Args:
        target: the node to differentiate.
        order: all nodes that it needs, each after its inputs; the target is the last.
        between: the nodes that lead from a source to the target, these included.

    Returns:
        The node of the gradient, for each node between that got one.
    """
    shares: dict[Node, list[Node]] = {node: [] for node in order}
    shares[target].append(Node("ones_like", (target,)))
    complete: dict[Node, Node] = {}
    for node in reversed(order):
        if node not in between or not shares[node]:
            continue
        complete[node] = total(shares[node])
        if any(x in between for x in node.inputs):
            for x, share in zip(node.inputs, input_gradients(node, complete[node])):
                if share is not None and x in between:
                    shares[x].append(share)
    return complete


def total(shares: Sequence[Node]) -> Node:
    """A node that adds up other nodes, at least one: itself, if it is alone."""
    result = shares[0]
    for share in shares[1:]:
        result = result + share
    return result


def input_gradients(node: Node, grad: Node) -> tuple[Node | None, ...]:
    """What the operation's registered function gives, as a tuple.

    Raises:
        LookupError: if none is registered.
        ValueError: if it does not give as many as there are inputs.
    """
    if node.op not in GRADIENTS:
        raise LookupError(
            f"{node.name!r}: no gradient is registered for {node.op!r}. Write a function of the node "
            f'and its gradient, and decorate it with @register_gradient("{node.op}").'
        )
    result = GRADIENTS[node.op](node, grad)
    result = result if isinstance(result, tuple) else (result,)
    if len(result) != len(node.inputs):
        raise ValueError(
            f"the gradient of {node.op!r} gave {len(result)} nodes for {len(node.inputs)} inputs"
        )
    return result


def fitted(grad: Node, x: Node) -> Node:
    """The gradient summed over what broadcasting had stretched, in x's shape when it runs."""
    return Node("sum_to_shape_of", (grad, x))


@register_gradient("add")
def add_gradient(node: Node, grad: Node) -> tuple[Node, Node]:
    """The gradient goes to both, summed to their shapes."""
    a, b = node.inputs
    return fitted(grad, a), fitted(grad, b)


@register_gradient("subtract")
def subtract_gradient(node: Node, grad: Node) -> tuple[Node, Node]:
    """d(a - b)/da = 1 and d(a - b)/db = -1."""
    a, b = node.inputs
    return fitted(grad, a), fitted(-grad, b)


@register_gradient("multiply")
def multiply_gradient(node: Node, grad: Node) -> tuple[Node, Node]:
    """d(a b)/da = b and d(a b)/db = a, summed to their shapes."""
    a, b = node.inputs
    return fitted(grad * b, a), fitted(grad * a, b)


@register_gradient("divide")
def divide_gradient(node: Node, grad: Node) -> tuple[Node, Node]:
    """d(a/b)/da = 1 / b and d(a/b)/db = -a / b^2."""
    a, b = node.inputs
    return fitted(grad / b, a), fitted(-grad * node / b, b)


@register_gradient("negative")
def negative_gradient(node: Node, grad: Node) -> Node:
    """The derivative is -1."""
    return -grad


@register_gradient("matmul")
def matmul_gradient(node: Node, grad: Node) -> tuple[Node, Node]:
    """d/da = grad b^T and d/db = a^T grad, of matrices."""
    a, b = node.inputs
    return grad @ transpose(b), transpose(a) @ grad


@register_gradient("exp")
def exp_gradient(node: Node, grad: Node) -> Node:
    """The derivative is the output itself."""
    return grad * node


@register_gradient("log")
def log_gradient(node: Node, grad: Node) -> Node:
    """The derivative is 1 / x."""
    return grad / node.inputs[0]


@register_gradient("tanh")
def tanh_gradient(node: Node, grad: Node) -> Node:
    """The derivative is 1 - y^2, with the output y."""
    return grad * (1.0 - node * node)


@register_gradient("sigmoid")
def sigmoid_gradient(node: Node, grad: Node) -> Node:
    """The derivative is y (1 - y), with the output y."""
    return grad * node * (1.0 - node)


@register_gradient("relu")
def relu_gradient(node: Node, grad: Node) -> Node:
    """The derivative is 1 where the input is positive, and 0 elsewhere."""
    return grad * Node("step", (node.inputs[0],))


@register_gradient("step")
def step_gradient(node: Node, grad: Node) -> None:
    """A step is flat on both sides: no gradient."""
    return


@register_gradient("softmax")
def softmax_gradient(node: Node, grad: Node) -> Node:
    """y * (grad - sum(grad * y)), with the output y."""
    total = Node("reduce_sum", (grad * node,), {"axis": node.attributes["axis"], "keepdims": True})
    return node * (grad - total)


@register_gradient("log_softmax")
def log_softmax_gradient(node: Node, grad: Node) -> Node:
    """Grad - softmax * sum(grad); softmax is exp of the output."""
    total = Node("reduce_sum", (grad,), {"axis": node.attributes["axis"], "keepdims": True})
    return grad - Node("exp", (node,)) * total


@register_gradient("reduce_sum")
def reduce_sum_gradient(node: Node, grad: Node) -> Node:
    """Every element that was summed gets the sum's gradient."""
    return Node("stretch_sum", (grad, node.inputs[0]), node.attributes)


@register_gradient("count_summed")
def count_summed_gradient(node: Node, grad: Node) -> None:
    """A count does not change when the numbers do."""
    return


@register_gradient("stretch_sum")
def stretch_sum_gradient(node: Node, grad: Node) -> tuple[Node, None]:
    """Stretching is the way back of summing, so summing is the way back of stretching."""
    return Node("reduce_sum", (grad,), node.attributes), None


@register_gradient("sum_to_shape_of")
def sum_to_shape_of_gradient(node: Node, grad: Node) -> tuple[Node, None]:
    """What was summed gets the sum's gradient, stretched by broadcasting."""
    return grad + 0.0 * node.inputs[0], None


@register_gradient("ones_like")
def ones_like_gradient(node: Node, grad: Node) -> None:
    """Ones stay ones."""
    return


@register_gradient("reshape")
def reshape_gradient(node: Node, grad: Node) -> Node:
    """The gradient in the input's shape."""
    return Node("reshape_like", (grad, node.inputs[0]))


@register_gradient("reshape_like")
def reshape_like_gradient(node: Node, grad: Node) -> tuple[Node, None]:
    """The gradient in the first input's shape."""
    return Node("reshape_like", (grad, node.inputs[0])), None


@register_gradient("transpose")
def transpose_gradient(node: Node, grad: Node) -> Node:
    """The axes go back to where they came from."""
    axes = node.attributes["axes"]
    if axes is not None:
        axes = tuple(sorted(range(len(axes)), key=lambda i: axes[i]))
    return Node("transpose", (grad,), {"axes": axes})
