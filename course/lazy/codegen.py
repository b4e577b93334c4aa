"""From a kernel to Python source that numba compiles: loops, loads, operations, stores.

Every array is passed as one row of numbers. Where an element lies in it, an index expression says, which
comes from the layouts of lesson 2.1. Lengths and strides stand in the source as numbers, so that the
compiler can count on them; constants are arguments, so that another learning rate is no other kernel.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np

from course.lazy.ir import REDUCTIONS, VIEWS, Node, view_layout
from course.lazy.schedule import Kernel
from course.tensor.layout import Layout

# How an operation is written in a kernel, by the name of numpy's function.
TEMPLATES = {
    "add": "{} + {}", "subtract": "{} - {}", "multiply": "{} * {}", "divide": "{} / {}",
    "negative": "-{}", "positive": "+{}", "absolute": "abs({})", "square": "{0} * {0}", "power": "{} ** {}",
    "exp": "math.exp({})", "log": "math.log({})", "sqrt": "math.sqrt({})", "tanh": "math.tanh({})",
    "sin": "math.sin({})", "cos": "math.cos({})", "sign": "np.sign({})",
    "maximum": "{0} if {0} > {1} or {0} != {0} else {1}",
    "minimum": "{0} if {0} < {1} or {0} != {0} else {1}",
    "greater": "{} > {}", "greater_equal": "{} >= {}", "less": "{} < {}", "less_equal": "{} <= {}",
    "equal": "{} == {}", "not_equal": "{} != {}",
    "logical_not": "not {}", "invert": "not {}",
    "bitwise_and": "{} & {}", "bitwise_or": "{} | {}", "bitwise_xor": "{} ^ {}",
    "where": "{1} if {0} else {2}", "cast": "{}",
}  # fmt: skip
UPDATES = {
    "sum": "{0} + {1}",
    "max": "{1} if {1} > {0} or {1} != {1} else {0}",
    "min": "{1} if {1} < {0} or {1} != {1} else {0}",
}


@dataclass
class Source:
    """A kernel as source, and what its arguments are.

    Attributes:
        text: a function `kernel(out0, ..., in0, ..., c0, ...)`, without a return value.
        stores: the nodes that it stores, in the order of its first arguments.
        loads: the nodes that it loads, in the order of those that follow.
        constants: the numbers that come last.
    """

    text: str
    stores: list[Node]
    loads: list[Node]
    constants: list[np.generic]


@dataclass
class Body:
    """What one iteration does, while it is being written."""

    kernel: Kernel
    stored: Collection[Node]
    loads: list[Node] = field(default_factory=list)
    constants: list[np.generic] = field(default_factory=list)
    layouts: list[Layout] = field(default_factory=list)  # of loads and positions, over the space
    lines: list[tuple[str, int | None]] = field(default_factory=list)  # with the layout's number
    names: dict[tuple, str] = field(default_factory=dict)  # what has been computed already
    results: list[str] = field(default_factory=list)  # the variables that are stored or summed up

    def value(self, node: Node, views: tuple[Node, ...] = (), compute: bool = False) -> str:
        """The name of a variable with the node's element; lines that compute it are added.

        Args:
            node: what is needed.
            views: through which it is seen, the last one first.
            compute: whether the node must be computed here, though it is stored: to store it.
        """
        compute = compute or (node in self.kernel.stores and node.is_elementwise and not views)
        while node.op in VIEWS and (compute or not self.is_stored(node)):
            views, node, compute = (*views, node), node.inputs[0], False
        key = (node, views)
        if key in self.names:
            return self.names[key]
        if self.is_stored(node) and not compute:
            layout = self.seen_through(Layout.contiguous(node.shape), views)
            return self.line(key, f"in{self.number_of(node)}[{{}}]", layout)
        if node.op == "const":
            self.constants.append(node.arg)
            self.names[key] = f"c{len(self.constants) - 1}"
            return self.names[key]
        if node.op == "index":
            steps = tuple(int(axis == node.arg) for axis in range(len(node.shape)))
            return self.line(key, "{}", self.seen_through(Layout(node.shape, steps), views))
        text = TEMPLATES[node.op].format(*[self.value(x, views) for x in node.inputs])
        if node.op == "cast":
            text = f"{text} != 0" if node.dtype == np.bool_ else f"np.{node.dtype.name}({text})"
        return self.line(key, text)

    def line(self, key: tuple, text: str, layout: Layout | None = None) -> str:
        """Add a line that computes something, and give its variable's name."""
        name = self.names[key] = f"x{len(self.lines)}"
        if layout is not None:
            self.layouts.append(layout)
        self.lines.append((f"{name} = {text}", None if layout is None else len(self.layouts) - 1))
        return name

    def is_stored(self, node: Node) -> bool:
        """Whether the node's numbers are in memory, or will be."""
        return node.data is not None or node in self.stored

    def number_of(self, node: Node) -> int:
        """The place of a loaded node among the arguments."""
        if node not in self.loads:
            self.loads.append(node)
        return self.loads.index(node)

    def seen_through(self, layout: Layout, views: Sequence[Node]) -> Layout:
        """The layout that views make of another one, stretched over the kernel's space."""
        for view in reversed(views):
            layout = view_layout(layout, view)
        return layout


def generate(kernel: Kernel, stored: Collection[Node]) -> Source:
    """Write a kernel as source.

    Args:
        kernel: what is to be stored, and the loops.
        stored: all nodes that get memory: what of them is not computed here, is loaded.
    """
    body = Body(kernel, stored)
    for node in kernel.stores:
        reduces = node.op in REDUCTIONS
        value = body.value(node.inputs[0]) if reduces else body.value(node, compute=True)
        body.results.append(value)
    axes = kernel.axes or ()
    kept = tuple(1 if axis in axes else n for axis, n in enumerate(kernel.space))
    inner = Layout.contiguous(kernel.space)
    outer = Layout.contiguous(kept).expand(kernel.space)
    lengths, reduced, strides = collapse(kernel.space, axes, [*body.layouts, inner, outer])
    at = [position(layout.offset, row) for layout, row in zip([*body.layouts, inner, outer], strides)]
    lines = [text if i is None else text.format(at[i]) for text, i in body.lines]

    arguments = [f"out{i}" for i in range(len(kernel.stores))]
    arguments += [f"in{i}" for i in range(len(body.loads))]
    arguments += [f"c{i}" for i in range(len(body.constants))]
    writer = Writer([f"def kernel({', '.join(arguments)}):"])
    write_loops(writer, kernel, body, lengths, reduced, lines, at[-2], at[-1])
    return Source("\n".join(writer.lines) + "\n", kernel.stores, body.loads, body.constants)


class Writer:
    """Lines of source, and how far the next one is indented."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines
        self.depth = 1

    def write(self, *lines: str) -> None:
        """Add lines."""
        self.lines += ["    " * self.depth + line for line in lines]

    def loops(self, axes: Sequence[int], lengths: Sequence[int]) -> None:
        """Begin a loop for each axis."""
        for axis in axes:
            self.write(f"for i{axis} in range({lengths[axis]}):")
            self.depth += 1


def write_loops(
    writer: Writer,
    kernel: Kernel,
    body: Body,
    lengths: Sequence[int],
    reduced: Sequence[bool],
    lines: Sequence[str],
    inner: str,
    outer: str,
) -> None:
    """The loops around the lines, and the stores.

    If the last axis is reduced, the loops over reduced axes are innermost and add up in a variable. If
    it is kept, the loops run in the order of the axes and add up in the result itself: neighbours in
    memory are neighbours in the loop, and several of them are added at once.
    """
    outs = [f"out{i}" for i in range(len(kernel.stores))]
    results = list(zip(outs, kernel.stores, body.results))
    sums = [(out, node, name) for out, node, name in results if node.op in REDUCTIONS]
    plain = [f"{out}[{inner}] = {name}" for out, node, name in results if node.op not in REDUCTIONS]
    all_axes = range(len(lengths))
    kept_axes = [axis for axis in all_axes if not reduced[axis]]
    in_variables = bool(sums) and (not lengths or reduced[-1])
    if in_variables:
        writer.loops(kept_axes, lengths)
        writer.write(*[f"s_{out} = {first_value(node)}" for out, node, _ in sums])
        depth = writer.depth
        writer.loops([axis for axis in all_axes if reduced[axis]], lengths)
        updates = [f"s_{out} = {UPDATES[node.op].format(f's_{out}', name)}" for out, node, name in sums]
        writer.write(*lines, *plain, *updates)
        writer.depth = depth
        writer.write(*[f"{out}[{outer}] = s_{out}" for out, _, _ in sums])
        return
    for out, node, _ in sums:
        writer.write(f"{out}[:] = {first_value(node)}")
    writer.loops(all_axes, lengths)
    place = f"{{}}[{outer}]"
    updates = [
        f"{place.format(out)} = {UPDATES[node.op].format(place.format(out), name)}"
        for out, node, name in sums
    ]
    writer.write(*lines, *plain, *updates)


def first_value(node: Node) -> str:
    """What a reduction begins with."""
    if node.op == "sum":
        return "0.0" if node.dtype.kind == "f" else "0"  # in double precision, until it is stored
    if node.dtype.kind == "f":
        return f"np.{node.dtype.name}({'-' if node.op == 'max' else ''}np.inf)"
    if node.dtype == np.bool_:
        return str(node.op == "min")
    limits = np.iinfo(node.dtype)
    return str(limits.min if node.op == "max" else limits.max)


def collapse(
    shape: Sequence[int], axes: Collection[int], layouts: Sequence[Layout]
) -> tuple[list[int], list[bool], list[list[int]]]:
    """Fewer loops: leave out axes of length 1, and join two where all layouts just go on.

    Args:
        shape: of the space.
        axes: those that are reduced; only such may be joined with such.
        layouts: over the space.

    Returns:
        The lengths of the loops, whether each reduces, and for each layout its strides.
    """
    lengths: list[int] = []
    reduced: list[bool] = []
    strides: list[list[int]] = [[] for _ in layouts]
    for axis, length in enumerate(shape):
        if length == 1:
            continue
        own = [layout.strides[axis] for layout in layouts]
        goes_on = lengths and reduced[-1] == (axis in axes)
        if goes_on and all(row[-1] == stride * length for row, stride in zip(strides, own)):
            lengths[-1] *= length
            for row, stride in zip(strides, own):
                row[-1] = stride
        else:
            lengths.append(length)
            reduced.append(axis in axes)
            for row, stride in zip(strides, own):
                row.append(stride)
    return lengths, reduced, strides


def position(offset: int, strides: Sequence[int]) -> str:
    """Where an element lies, as an expression of the loops' variables i0, i1 ..."""
    terms = [f"i{axis}" if s == 1 else f"{s} * i{axis}" for axis, s in enumerate(strides) if s]
    return " + ".join([*([str(offset)] if offset or not terms else []), *terms])
