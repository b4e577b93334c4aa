"""Folding: a graph of thousands of nodes as a few boxes of nodes that do the same thing."""

from collections import Counter
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field

from course.viz.trace import Trace, levels

NEAR = 12  # how many levels below the root are kept when even the folded graph is too large


@dataclass
class Group:
    """Nodes drawn as one box.

    Attributes:
        members: their numbers in the trace, in the order of the computation.
        inputs: the places of the groups that feed this one, each with its count of edges.
        is_rest: whether these are the nodes that were too many to draw, whatever they do.
    """

    members: list[int] = field(default_factory=list)
    inputs: Counter[int] = field(default_factory=Counter)
    is_rest: bool = False


def fold(trace: Trace, apart: Iterable[int], max_groups: int) -> list[Group]:
    """Merge the nodes that do the same thing at the same stage of the computation.

    The stage of a node is how often, at most, the operation changes on the way to it from the
    leaves. So a sum made of many single additions is all at one stage, and so are the neurons of a
    layer, which compute alike. Leaves are merged when they feed the same groups. If that leaves too
    many groups, those nearest to the root are kept, and all the others become one.

    Args:
        trace: the graph.
        apart: the numbers of nodes to keep as groups of their own; the root always is.
        max_groups: how many groups there may be.

    Returns:
        The groups, each before those that feed it: the root's comes first.
    """
    keys, stages = _keys(trace, {0, *apart})
    # Later stages first. A stage only grows along the edges between groups: no cycles, and
    # every group stands before those that feed it, as the nodes of a trace do.
    by_stage = sorted(dict.fromkeys(keys), key=lambda key: -stages[key])
    place = {key: i for i, key in enumerate(by_stage)}
    groups = _connect(trace, [place[key] for key in keys])
    if len(groups) <= max_groups:
        return groups
    level = levels([group.inputs for group in groups])
    near = sorted((i for i in range(len(groups)) if level[i] < NEAR), key=lambda i: level[i])
    kept = sorted(near[: max_groups - 1])
    place_kept = {by_stage[i]: place for place, i in enumerate(kept)}
    groups = _connect(trace, [place_kept.get(key, len(kept)) for key in keys])
    groups[-1].is_rest = True
    return groups


def _keys(trace: Trace, apart: set[int]) -> tuple[list[Hashable], dict[Hashable, int]]:
    """For each node the key of its group (equal for nodes that merge), and each key's stage."""
    kinds = [
        i if i in apart else trace.nodes[i].op if inputs else None
        for i, inputs in enumerate(trace.inputs)
    ]
    stage = [0] * len(kinds)
    for i in reversed(range(len(kinds))):
        stage[i] = max((stage[j] + (kinds[j] != kinds[i]) for j in trace.inputs[i]), default=0)

    consumers: list[set[Hashable]] = [set() for _ in kinds]
    keys: list[Hashable] = []
    for i, inputs in enumerate(trace.inputs):  # consumers come first: theirs are complete
        is_loose_leaf = not inputs and i not in apart
        key = frozenset(consumers[i]) if is_loose_leaf else (stage[i], kinds[i])
        keys.append(key)
        for j in inputs:
            consumers[j].add(key)
    return keys, dict(zip(keys, stage))


def _connect(trace: Trace, places: list[int]) -> list[Group]:
    """The groups whose members are the nodes with the same place, and the edges between them."""
    groups = [Group() for _ in range(max(places) + 1)]
    for i in reversed(range(len(places))):  # the order of the computation
        place = places[i]
        groups[place].members.append(i)
        groups[place].inputs.update(places[j] for j in trace.inputs[i] if places[j] != place)
    return groups
