"""From a kernel to Python source that numba compiles: loops, loads, operations, stores.

Every array is passed as one row of numbers. Where an element lies in it, an index expression says, which
comes from the layouts of lesson 2.1. Lengths and strides stand in the source as numbers, so that the
compiler can count on them; constants are arguments, so that another learning rate is no other kernel.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from course.lazy.ir import LEAVES, REDUCTIONS, VIEWS, Node, Views, view_layout
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
    "where": "{1} if {0} else {2}", "cast": "{} != 0",
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

    def value(self, node: Node, views: Views = (), compute: bool = False) -> str:
        """The name of a variable with the node's element; lines that compute it are added.

        Args:
            node: what is needed.
            views: through which it is seen, the last one first.
            compute: whether the node must be computed here, though it is stored: to store it.
        """
        while node.op in VIEWS and (compute or not self.is_stored(node)):
            views, node, compute = (*views, node), node.inputs[0], False
        key = (node, views)
        if key not in self.names:
            if self.is_stored(node) and not compute:
                self.names[key] = self.load(node, views)
            elif node.op in LEAVES:
                self.names[key] = self.leaf(node, views)
            else:
                values = [self.value(x, views) for x in node.inputs]
                self.names[key] = self.line(expression(node, values))
        return self.names[key]

    def load(self, node: Node, views: Views) -> str:
        """A variable with an element of a stored node, which becomes one of the arguments."""
        if node not in self.loads:
            self.loads.append(node)
        array = f"in{self.loads.index(node)}"
        layout = self.seen_through(Layout.contiguous(node.shape), views)
        return self.line(f"{array}[{{}}]", layout)

    def leaf(self, node: Node, views: Views) -> str:
        """A constant, which becomes one of the arguments; or a variable with a position."""
        if node.op == "const":
            self.constants.append(node.arg)
            return f"c{len(self.constants) - 1}"
        steps = tuple(int(axis == node.arg) for axis in range(len(node.shape)))
        return self.line("{}", self.seen_through(Layout(node.shape, steps), views))

    def line(self, text: str, layout: Layout | None = None) -> str:
        """Add a line that computes something, and give its variable's name.

        Args:
            text: what is computed; with a layout, {} stands where the position goes.
            layout: where in an array the element lies.
        """
        name = f"x{len(self.lines)}"
        if layout is not None:
            self.layouts.append(layout)
        self.lines.append((f"{name} = {text}", None if layout is None else len(self.layouts) - 1))
        return name

    def is_stored(self, node: Node) -> bool:
        """Whether the node's numbers are in memory, or will be."""
        return node.data is not None or node in self.stored

    def seen_through(self, layout: Layout, views: Views) -> Layout:
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
    for node in kernel.stores:  # in order: what one of them needs of another has a name by then
        reduces = node.op in REDUCTIONS
        value = body.value(node.inputs[0]) if reduces else body.value(node, compute=True)
        body.results.append(value)
    axes = kernel.axes or ()
    kept = tuple(1 if axis in axes else n for axis, n in enumerate(kernel.space))
    inner = Layout.contiguous(kernel.space)
    outer = Layout.contiguous(kept).expand(kernel.space)
    lengths, reduced, strides = collapse(kernel.space, axes, [*body.layouts, inner, outer])
    at = [
        position(layout.offset, row) for layout, row in zip([*body.layouts, inner, outer], strides)
    ]
    lines = [text if i is None else text.format(at[i]) for text, i in body.lines]

    nest = Nest(lengths, reduced, lines)
    for i, (node, value) in enumerate(zip(kernel.stores, body.results)):
        if node.op in REDUCTIONS:
            nest.sums.append(Sum(f"out{i}", at[-1], value, node))
        else:
            nest.stores.append(f"out{i}[{at[-2]}] = {value}")
    nest.write_all()
    arguments = [f"out{i}" for i in range(len(kernel.stores))]
    arguments += [f"in{i}" for i in range(len(body.loads))]
    arguments += [f"c{i}" for i in range(len(body.constants))]
    text = "\n".join([f"def kernel({', '.join(arguments)}):", *nest.text]) + "\n"
    return Source(text, kernel.stores, body.loads, body.constants)


def expression(node: Node, values: Sequence[str]) -> str:
    """An operation as an expression of the variables that hold its inputs."""
    if node.op == "cast" and node.dtype != np.bool_:
        return f"np.{node.dtype.name}({values[0]})"
    return TEMPLATES[node.op].format(*values)


@dataclass
class Sum:
    """One reduction of a kernel: a sum, or a maximum, or a minimum.

    Attributes:
        out: the name of the array that gets the result.
        place: where in it, as an expression of the loops' variables.
        value: the variable that is summed up.
        node: the reduction.
    """

    out: str
    place: str
    value: str
    node: Node

    @property
    def first(self) -> str:
        """What it begins with."""
        return first_value(self.node)

    def update(self, total: str) -> str:
        """The line that takes one more element into a total."""
        return f"{total} = {UPDATES[self.node.op].format(total, self.value)}"


@dataclass
class Nest:
    """The loops of a kernel, while they are being written.

    Attributes:
        lengths: of the loops, the outermost first.
        reduced: for each of them, whether the sums run along it.
        lines: what is computed for each element.
        stores: lines that store something of each element.
        sums: what is summed up.
        text: what has been written.
        depth: how far the next line is indented.
    """

    lengths: list[int]
    reduced: list[bool]
    lines: list[str]
    stores: list[str] = field(default_factory=list)
    sums: list[Sum] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    depth: int = 1

    @property
    def axes(self) -> range:
        """The numbers of all loops."""
        return range(len(self.lengths))

    def write(self, *lines: str) -> None:
        """Add lines, as far indented as the loops say."""
        self.text += ["    " * self.depth + line for line in lines]

    def begin(self, axes: Iterable[int]) -> None:
        """Begin a loop along each of these axes, one within the other."""
        for axis in axes:
            self.write(f"for i{axis} in range({self.lengths[axis]}):")
            self.depth += 1

    def write_all(self) -> None:
        """The loops, what they compute, and what they store."""
        if not self.sums:
            self.begin(self.axes)
            self.write(*self.lines)
            self.write(*self.stores)
        elif not self.lengths or self.reduced[-1]:
            self.sum_in_variables()
        else:
            self.sum_in_results()

    def sum_in_variables(self) -> None:
        """Sums along the last axis: each total is a variable, s_out0, until it is complete.

        The loops along the axes that are kept stand outside, those that are reduced inside. Before the
        inner loops the totals begin, after them they are stored.
        """
        self.begin(axis for axis in self.axes if not self.reduced[axis])
        outside = self.depth
        self.write(*[f"s_{x.out} = {x.first}" for x in self.sums])
        self.begin(axis for axis in self.axes if self.reduced[axis])
        self.write(*self.lines, *self.stores, *[x.update(f"s_{x.out}") for x in self.sums])
        self.depth = outside
        self.write(*[f"{x.out}[{x.place}] = s_{x.out}" for x in self.sums])

    def sum_in_results(self) -> None:
        """Sums along other axes: the totals are the results themselves.

        All loops stand in the order of the axes, so that neighbours in memory are neighbours in the
        innermost loop: several elements are added at once, each to its own total.
        """
        self.write(*[f"{x.out}[:] = {x.first}" for x in self.sums])
        self.begin(self.axes)
        self.write(*self.lines, *self.stores)
        self.write(*[x.update(f"{x.out}[{x.place}]") for x in self.sums])


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
