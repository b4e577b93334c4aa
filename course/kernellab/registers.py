"""Small local arrays as registers, for the split engine.

A thread's `sums = cuda.local.array((4, 4), float32)` becomes registers on a GPU, if the compiler can
write out the loops over its indices. It has to be so here as well: only then is the loop over the
threads the innermost one, which LLVM turns into vector instructions.

    for k in range(16):                         for k in range(16):
        for j in range(2):                          for every thread t:
            sums[j] += a[k] * b[k, x + 16 * j]          sums[0, t] += a[k] * b[k, x]
                                                        sums[1, t] += a[k] * b[k, x + 16]
"""

import ast
import math
from collections.abc import Iterator

from course.kernellab.flatten import is_barrier
from course.kernellab.lower import Memory, clone, expression

MOST_ELEMENTS = 32
"""Of an array that is kept in registers: with more, LLVM finds no vector instructions."""

MOST_STATEMENTS = 400
"""Of a kernel with its loops written out: LLVM takes longer and longer."""

Body = list[ast.stmt]


def in_registers(body: Body, arrays: list[Memory]) -> tuple[Body, set[int]]:
    """Write out the loops over the indices of small local arrays.

    Args:
        body: a flat kernel's. It is changed.
        arrays: its local arrays.

    Returns:
        The body, and the numbers of the arrays whose elements are now `_all_local0[i, j, _thread]`,
        with constants for i and j. Loops that can run around the threads' are marked `outside`.
    """
    small = {
        f"_local{i}": memory.shape
        for i, memory in enumerate(arrays)
        if memory.shape and math.prod(memory.shape) <= MOST_ELEMENTS
    }
    while small:
        known = _Uses(small)
        known.walk(body, {})
        bad = known.unfit | {
            a for loop, of in known.loops.items() for a in of if not _fit(loop, body)
        }
        if not bad:
            break
        small = {a: shape for a, shape in small.items() if a not in bad}
    if not small or _size(body, set(known.loops)) > MOST_STATEMENTS:
        return body, set()
    out = _written_out(body, set(known.loops))
    out = [_Elements(set(small)).visit(statement) for statement in out]
    _mark(out)
    return out, {int(a.removeprefix("_local")) for a in small}


def _counter(node: ast.AST) -> range | None:
    """What a `for` with constants counts through."""
    if not (isinstance(node, ast.For) and isinstance(node.target, ast.Name) and not node.orelse):
        return None
    call = node.iter
    if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name)):
        return None
    values = [a.value for a in call.args if isinstance(a, ast.Constant)]
    numbers = [n for n in values if isinstance(n, int)]
    if call.func.id != "range" or len(numbers) != len(call.args) or 0 in numbers[2:]:
        return None
    return range(*numbers)


class _Uses:
    """Where the small arrays are used, and the loops that their indices come from."""

    def __init__(self, small: dict[str, tuple[int, ...]]) -> None:
        self.small = small
        self.unfit: set[str] = set()
        self.loops: dict[ast.For, set[str]] = {}

    def walk(self, node: object, counters: dict[str, ast.For]) -> None:
        """Look at a statement, an expression, or a list of them."""
        if isinstance(node, list):
            for part in node:
                self.walk(part, counters)
        elif isinstance(node, ast.For) and _counter(node) is not None:
            inner = {**counters, node.target.id: node}  # type: ignore[attr-defined]
            self.walk(node.body, inner)
        elif isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
            if node.value.id in self.small:
                self._element(node, counters)
            else:
                self.walk(node.value, counters)
            self.walk(node.slice, counters)
        elif isinstance(node, ast.Name):
            if node.id in self.small:
                self.unfit.add(node.id)  # the array as a whole
        elif isinstance(node, ast.AST):
            for _, value in ast.iter_fields(node):
                self.walk(value, counters)

    def _element(self, node: ast.Subscript, counters: dict[str, ast.For]) -> None:
        array = node.value.id  # type: ignore[attr-defined]
        parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if len(parts) != len(self.small[array]):
            self.unfit.add(array)
            return
        for part, length in zip(parts, self.small[array]):
            if isinstance(part, ast.Constant) and type(part.value) is int:
                values = range(part.value, part.value + 1)
            elif isinstance(part, ast.Name) and part.id in counters:
                loop = counters[part.id]
                self.loops.setdefault(loop, set()).add(array)
                values = _counter(loop) or range(0)
            else:
                values = range(-1, 0)  # not known
            if values and not (min(values) >= 0 and max(values) < length):
                self.unfit.add(array)


def _fit(loop: ast.For, body: Body) -> bool:
    """Whether a loop can be written out: nobody leaves it, and its counter is its own."""
    counter = loop.target.id  # type: ignore[attr-defined]
    for node in _nodes(loop.body):
        if isinstance(node, (ast.Break, ast.Continue, ast.Return)) or is_barrier(node):
            return False
        if isinstance(node, ast.Name) and node.id == counter and isinstance(node.ctx, ast.Store):
            return False
    inside = sum(isinstance(n, ast.Name) and n.id == counter for n in _nodes(loop.body))
    everywhere = sum(isinstance(n, ast.Name) and n.id == counter for n in _nodes(body))
    return everywhere == inside + 1  # the one is the loop's own


def _nodes(body: Body) -> Iterator[ast.AST]:
    for statement in body:
        yield from ast.walk(statement)


def _size(body: Body, loops: set[ast.For]) -> int:
    """How many statements there are when these loops are written out."""
    total = 0
    for node in body:
        inner = sum(_size(getattr(node, part, []), loops) for part in ("body", "orelse"))
        times = len(_counter(node) or ()) if node in loops else 1
        total += 1 + inner * times
    return total


def _written_out(body: Body, loops: set[ast.For]) -> Body:
    out: Body = []
    for node in body:
        for part in ("body", "orelse"):
            if getattr(node, part, None):
                setattr(node, part, _written_out(getattr(node, part), loops))
        if isinstance(node, ast.For) and node in loops:
            for value in _counter(node) or ():
                put = _Put(node.target.id, value)  # type: ignore[attr-defined]
                out += [put.visit(statement) for statement in clone(node.body)]
        else:
            out.append(node)
    return out


class _Put(ast.NodeTransformer):
    """Puts a number in a variable's place."""

    def __init__(self, variable: str, value: int) -> None:
        self.variable = variable
        self.value = value

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return ast.Constant(self.value) if node.id == self.variable else node


class _Elements(ast.NodeTransformer):
    """`_local0[2, 1]` becomes `_all_local0[2, 1, _thread]`: neighbours belong to neighbouring threads."""

    def __init__(self, arrays: set[str]) -> None:
        self.arrays = arrays

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        self.generic_visit(node)
        if not (isinstance(node.value, ast.Name) and node.value.id in self.arrays):
            return node
        parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        indices = ", ".join(f"_np.uint64({ast.unparse(part)})" for part in parts)
        new = expression(f"_all{node.value.id}[{indices}, _np.uint64(_thread)]")
        new.ctx = node.ctx  # type: ignore[attr-defined]
        return ast.copy_location(new, node)


def _mark(body: Body) -> None:
    """Mark the loops over registers that every thread runs through in the same way."""
    for node in body:
        if isinstance(node, (ast.For, ast.While)) and any(is_barrier(n) for n in ast.walk(node)):
            _mark(node.body)
        elif _counter(node) is not None and _can_be_outside(node):
            node.outside = True  # type: ignore[attr-defined]


def _can_be_outside(loop: ast.AST) -> bool:
    """Whether it computes with registers, and it does not matter which thread comes first."""
    assert isinstance(loop, ast.For)
    if not all(isinstance(statement, ast.Assign) for statement in loop.body):
        return False
    names = {n.id for n in _nodes(loop.body) if isinstance(n, ast.Name)}
    calls = [n for n in _nodes(loop.body) if isinstance(n, ast.Call)]
    atomic = any(getattr(n.func, "id", "").startswith("_atomic") for n in calls)
    device = any(hasattr(n, "device") for n in calls)
    return any(n.startswith("_all_local") for n in names) and not atomic and not device
