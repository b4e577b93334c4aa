"""Computation graphs as pictures: `draw_graph`."""

from collections.abc import Mapping, Sequence

from course.viz.boxes import Arrow, Box, Drawing, draw
from course.viz.fold import Group, fold
from course.viz.naming import equations, names_by_number, titles, unconnected
from course.viz.picture import Picture
from course.viz.protocol import Node
from course.viz.trace import Trace, trace
from course.viz.words import Rows, data_rows, grad_text, op_text, range_text, shape_of, size_text


def draw_graph(
    root: Node,
    *,
    names: Mapping[str, Node] | None = None,
    max_nodes: int = 60,
    rankdir: str | None = None,
) -> Picture:
    """Draw the computation that led to a node, with the value and the gradient of every node.

    Leaves are boxes with square corners, operations have round ones. Arrows go the way of the
    forward computation; those into one node stand in the order of its inputs.

    A graph of more than `max_nodes` nodes is folded: nodes that do the same thing at the same stage
    become one box, such as "16 × tanh", with the range of their values. If they are still too many,
    what is nearest to root is drawn, and one box stands for all the rest.

    The picture shows the graph as it is now: it does not change when values or gradients do later.

    Args:
        root: the result, such as a loss: a node as described in `course.viz.protocol`.
        names: what to call the nodes, `{"a": a, "b": b}`. Operations without a name are called v1,
            v2, ... in the order of the computation, leaves without a name by their value.
        max_nodes: how many boxes to draw at most; at least 2.
        rankdir: "LR" draws from left to right, "TB" from top to bottom; None chooses what fits.

    Returns:
        The picture. Its `alt` says the same in words.

    Raises:
        TypeError: if root, an input or a named value is not a node.
        ValueError: if the graph has a cycle, or max_nodes or rankdir is out of range.

    Example:
        >>> draw_graph(loss, names={"w": w, "loss": loss})  # doctest: +SKIP
    """
    if max_nodes < 2:
        raise ValueError(f"max_nodes must be at least 2, and is {max_nodes}.")
    graph = trace(root, "draw_graph(root)")
    known = names_by_number(graph, names)
    missing = unconnected(graph, names)
    note = f"Not connected to this result: {', '.join(missing)}." if missing else ""
    if len(graph.nodes) <= max_nodes:
        return _draw_nodes(graph, known, note, rankdir)
    return _draw_groups(graph, known, note, max_nodes, rankdir)


def _arrows(graph: Trace) -> list[Arrow]:
    """An arrow from each input to its node, in the order of the inputs."""
    return [Arrow(j, i) for i, inputs in enumerate(graph.inputs) for j in inputs]


def _draw_nodes(graph: Trace, known: Mapping[int, str], note: str, rankdir: str | None) -> Picture:
    boxes, said = [], []
    for i, title in enumerate(equations(graph, titles(graph, known))):
        node = graph.nodes[i]
        value, grad = data_rows(node), grad_text(node.grad)
        boxes.append(Box(title, (*value, ("grad", grad)), "op" if graph.inputs[i] else "leaf"))
        text = title if title == value[0][1] else f"{title} = {value[0][1]}"
        if shape_of(node):
            text = ", ".join([title, *_in_words(value)])
        said.append(f"{'' if graph.inputs[i] else 'leaf '}{text} (grad {grad})")
    size = f"{len(boxes)} nodes" if len(boxes) > 1 else "1 node"
    alt = f"Computation graph with {size}: {'; '.join(reversed(said))}. {note}".rstrip()
    return draw(Drawing(boxes, _arrows(graph), note), alt, rankdir)


def _draw_groups(
    graph: Trace, known: Mapping[int, str], note: str, max_nodes: int, rankdir: str | None
) -> Picture:
    groups = fold(graph, known, max_nodes)
    if groups[-1].is_rest:  # if most nodes have names, little could be merged: do without
        groups = fold(graph, (), max_nodes)
    boxes = [_group_box(graph, known, group) for group in groups]
    arrows = [
        Arrow(j, i, f"{count:,}" if count > 1 else "")
        for i, group in enumerate(groups)
        for j, count in group.inputs.items()
    ]
    said = []
    for box, group in zip(boxes, groups):
        sources = " and ".join(boxes[j].title for j in group.inputs)
        said.append(
            ", ".join([box.title, *_in_words(box.rows), *([f"from {sources}"] if sources else [])])
        )
    edges = sum(len(inputs) for inputs in graph.inputs)
    size = f"{len(graph.nodes):,} nodes and {edges:,} edges, drawn as {len(boxes)} boxes"
    alt = f"Computation graph with {size}, from the result back: {'; '.join(said)}. {note}".rstrip()
    below = f"{size}. A number on an arrow counts edges. {note}".rstrip()
    return draw(Drawing(boxes, arrows, below, is_ordered=False), alt, rankdir)


def _group_box(graph: Trace, known: Mapping[int, str], group: Group) -> Box:
    nodes = [graph.nodes[i] for i in group.members]
    first, count = nodes[0], len(nodes)
    if group.is_rest:
        return Box(f"… {count:,} more node{'s' if count > 1 else ''}", (), "rest", word="not drawn")
    is_leaf = not graph.inputs[group.members[0]]
    if count > 1:
        title = f"{count:,} leaves" if is_leaf else f"{count:,} × {op_text(first)}"
    else:
        name = known.get(group.members[0], "")
        what = data_rows(first)[0][1] if is_leaf else op_text(first)
        title = what if not name else name if is_leaf else f"{name} = {what}"
    grads = ("grad", range_text(node.grad for node in nodes))
    return Box(title, (*_common_rows(nodes), grads), "leaf" if is_leaf else "op")


def _common_rows(nodes: Sequence[Node]) -> Rows:
    """What a picture says of the values of many nodes: a range of numbers, or shape and size."""
    if len(nodes) == 1:
        return data_rows(nodes[0])
    shapes = list(dict.fromkeys(shape_of(node) for node in nodes))
    if shapes == [()]:
        return (("data", range_text(node.data for node in nodes)),)
    shape = ("shape", str(shapes[0]) if len(shapes) == 1 else f"{len(shapes)} different")
    if not all(hasattr(node, "nbytes") for node in nodes):
        return (shape,)
    return (shape, ("size", f"{size_text(sum(node.nbytes for node in nodes))} in all"))  # type: ignore[attr-defined]


def _in_words(rows: Rows) -> list[str]:
    return [f"{label} {value}" for label, value in rows]
