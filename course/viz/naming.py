"""What the nodes of a graph are called in a picture."""

from collections.abc import Mapping, Sequence

from course.viz.protocol import Node, check_node
from course.viz.trace import Trace
from course.viz.words import clip, formula, op_text, shape_of, short


def names_by_number(trace: Trace, names: Mapping[str, Node] | None) -> dict[int, str]:
    """The name of each named node of the graph; a node with several names has them all.

    Names whose node is not in the graph are left out (see `unconnected`).

    Raises:
        TypeError: if names does not map strings to nodes.
    """
    found: dict[int, list[str]] = {}
    number = {id(node): i for i, node in enumerate(trace.nodes)}
    for name, node in _checked(names).items():
        if id(node) in number:
            found.setdefault(number[id(node)], []).append(clip(name, 80))
    return {i: ", ".join(several) for i, several in found.items()}


def unconnected(trace: Trace, names: Mapping[str, Node] | None) -> list[str]:
    """The names whose node the root was not computed from."""
    connected = {id(node) for node in trace.nodes}
    return [clip(name, 80) for name, node in _checked(names).items() if id(node) not in connected]


def _checked(names: Mapping[str, Node] | None) -> Mapping[str, Node]:
    if names is None:
        return {}
    remedy = 'names maps each name to its node: names={"a": a, "b": b}'
    if not isinstance(names, Mapping):
        raise TypeError(f"{remedy}; got a {type(names).__name__}.")
    for name, node in names.items():
        if not isinstance(name, str):
            raise TypeError(f"{remedy}; got a {type(name).__name__} as a name.")
        check_node(node, f"names[{name!r}]")
    return names


def titles(graph: Trace, known: Mapping[int, str]) -> list[str]:
    """What each node is called: by its name, v1, v2, ... (operations) or its value (leaves).

    Args:
        graph: the graph.
        known: the names that there are, see `names_by_number`.
    """
    result = [""] * len(graph.nodes)
    taken = {name for several in known.values() for name in several.split(", ")}
    count = 0
    for i in reversed(range(len(graph.nodes))):  # in the order of the computation
        node = graph.nodes[i]
        if i in known:
            result[i] = known[i]
        elif not graph.inputs[i] and not shape_of(node):
            result[i] = short(node.data)
        else:
            count += 1
            while f"v{count}" in taken:
                count += 1
            result[i] = f"v{count}"
    return result


def equations(graph: Trace, called: Sequence[str]) -> list[str]:
    """Each node with what it was computed from: "e = a * b"; a leaf is only called.

    Args:
        graph: the graph.
        called: what each node is called, see `titles`.
    """
    return [
        f"{called[i]} = {formula(op_text(graph.nodes[i]), [called[j] for j in inputs])}"
        if inputs
        else called[i]
        for i, inputs in enumerate(graph.inputs)
    ]
