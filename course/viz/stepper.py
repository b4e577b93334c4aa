"""The backward pass, one operation at a time: `backward_steps`."""

from collections.abc import Mapping, Sequence

from course.viz.boxes import Arrow, Box, Drawing, draw
from course.viz.graph import draw_graph
from course.viz.naming import equations, names_by_number, titles
from course.viz.palette import DONE_FILL, NOW_FILL, PAPER
from course.viz.picture import Steps, steps
from course.viz.protocol import ScalarNode
from course.viz.trace import Trace, trace
from course.viz.words import as_number, short

MAX_NODES = 25
NOTE = "On each arrow its local gradient, by which gradients are multiplied on the way back."


def backward_steps(root: ScalarNode, names: Mapping[str, ScalarNode] | None = None) -> Steps:
    """Step through the backward pass: one picture for each operation, from the result back.

    All gradients start at 0, that of root at 1. An operation passes to each of its inputs

        gradient of the operation × local gradient, d(operation) / d(input),

    and an input adds up what it gets. The nodes' own `.grad` is neither used nor changed: what is
    shown is what *should* come out of `.local_grads`.

    Args:
        root: the result: a node with `.local_grads`, see `course.viz.protocol.ScalarNode`.
        names: what to call the nodes, `{"a": a, "b": b}`, as for `draw_graph`.

    Returns:
        The steps. For a graph of more than 25 nodes, one step that says so and shows the graph.

    Raises:
        TypeError: if root, an input or a named value is not a node, or a local gradient is not a
            number.
        ValueError: if a node has no local gradients, or not one for each of its inputs; or if the
            graph has a cycle.
    """
    graph = trace(root, "backward_steps(root)")
    known = names_by_number(graph, names)
    called = titles(graph, known)
    operations = [i for i, inputs in enumerate(graph.inputs) if inputs]
    if len(graph.nodes) > MAX_NODES:
        caption = (
            f"This graph has {len(graph.nodes):,} nodes, too many to step through (at most {MAX_NODES}). "
            "Here it is as a whole; step through a smaller one, such as a single neuron."
        )
        return steps([draw_graph(root, names=names)], [caption])
    if not operations:
        caption = f"{called[0]} is a leaf: nothing was computed, so nothing is passed back."
        return steps([draw_graph(root, names=names)], [caption])

    titled = equations(graph, called)
    local = [_local_grads(graph, i, titled[i]) for i in range(len(graph.nodes))]
    grads = [1.0] + [0.0] * (len(graph.nodes) - 1)
    pictures, captions = [], []
    for step, now in enumerate(operations, 1):
        passed = []
        for j, slope in zip(graph.inputs[now], local[now]):
            amount = grads[now] * slope
            grads[j] += amount
            to = called[j] if j in known or graph.inputs[j] else f"the leaf {called[j]}"
            product = f"{short(grads[now])} × {short(slope)} = {short(amount)}"
            passed.append(f"{product} to {to} (now {short(grads[j])})")
        by_itself = " (by itself: the result)" if now == 0 else ""
        captions.append(
            f"Step {step} of {len(operations)}: {titled[now]}, with gradient {short(grads[now])}{by_itself}, "
            f"passes {' and '.join(passed)}."
        )
        waiting = {j for i in operations[step:] for j in graph.inputs[i]}
        boxes = _boxes(graph, titled, grads, now, waiting)
        settled = [f"{called[i]} {short(g)}" for i, g in enumerate(grads) if i not in waiting]
        alt = f"{captions[-1]} Settled gradients: {', '.join(settled)}."
        pictures.append(draw(Drawing(boxes, _arrows(graph, local, now), NOTE, value_width=52), alt))
    return steps(pictures, captions)


def _local_grads(graph: Trace, i: int, title: str) -> list[float]:
    """The local gradients of node i, checked."""
    node, count = graph.nodes[i], len(graph.inputs[i])
    if not count:
        return []
    who = f"The node {title} (op {node.op!r})"
    given = getattr(node, "local_grads", None)
    if given is None:
        raise ValueError(
            f"{who} has no .local_grads: give it d(node)/d(input), one number for each of its inputs."
        )
    numbers = [x for x in map(as_number, given) if x is not None]
    if len(given) != count:
        raise ValueError(
            f"{who} has {count} inputs but {len(given)} local_grads: there must be one for each "
            "input, in the same order."
        )
    if len(numbers) != count:
        raise TypeError(f"{who} has local_grads that are not numbers: {given!r}.")
    return numbers


def _boxes(
    graph: Trace, titled: Sequence[str], grads: Sequence[float], now: int, waiting: set[int]
) -> list[Box]:
    """The nodes after the step of node `now`; those in `waiting` will still be passed something."""
    boxes = []
    for i, title in enumerate(titled):
        is_now, is_settled = i == now, i not in waiting
        boxes.append(
            Box(
                title,
                rows=(
                    ("data", short(graph.nodes[i].data)),
                    ("grad" if is_settled else "so far", short(grads[i])),
                ),
                kind="op" if graph.inputs[i] else "leaf",
                word="now" if is_now else "",
                fill=NOW_FILL if is_now else DONE_FILL if is_settled else PAPER,
                is_bold=is_now,
            )
        )
    return boxes


def _arrows(graph: Trace, local: Sequence[Sequence[float]], now: int) -> list[Arrow]:
    """The arrows with their local gradients; those of node `now` point the way gradients go."""
    return [
        Arrow(j, i, f"× {short(slope)}", is_backward=i == now)
        for i, inputs in enumerate(graph.inputs)
        for j, slope in zip(inputs, local[i])
    ]
