"""Which variables have one value in the whole block, and which differ from thread to thread.

A loop over `range(n)` runs equally often for every thread, a loop over `range(t, n)` does not. The
split engine runs what is uniform once for a block, and needs masks only for the rest.
"""

import ast
from dataclasses import dataclass, field

from numba import types

from course.kernellab.flatten import is_barrier
from course.kernellab.lower import CONTEXT, called, site_of

PURE_CALLS = {"min", "max", "abs", "int", "float", "round", "len", "range", "bool"}
PURE_CALLS |= {
    "_popc",
    "_clz",
    "_ffs",
    "_brev",
    "_fma",
    "_selp",
    "_cbrt",
    "_min",
    "_max",
    "_reciprocal",
    "_power",
}
BLOCK_RESULTS = {"_count_true", "_all_true"}
BLOCK_NAMES = {name for name in CONTEXT if not name.startswith("_threadIdx")}
THREAD_NAMES = {name for name in CONTEXT if name.startswith("_threadIdx")}


@dataclass
class Loop:
    """A loop, and the conditions under which a thread leaves it or skips its rest."""

    node: ast.stmt
    exits: list[list[ast.expr]] = field(default_factory=list)
    depth: int = 0

    @property
    def has_barrier(self) -> bool:
        """Whether threads meet in it."""
        return has_barrier(self.node)


@dataclass
class Store:
    """An assignment to a variable, with all that decides whether it is executed."""

    variable: str
    value: ast.expr
    controls: list[ast.expr]
    loops: list[Loop]
    order: int
    loop_target: bool = False


def has_barrier(node: ast.AST) -> bool:
    """Whether threads meet in a flat statement; or it is done for all of them, step by step."""
    return any(is_barrier(part) or hasattr(part, "outside") for part in ast.walk(node))


class Uniformity:
    """The analysis of a flat kernel.

    Attributes:
        uniform: variables with one value a block.
        stores: {variable: its assignments}.
        uses: {variable: [(order, loops around it)]} of its readings.
    """

    def __init__(
        self, body: list[ast.stmt], params: list[str], kinds: dict[str, types.Type | None]
    ) -> None:
        self.kinds = kinds
        self.stores: dict[str, list[Store]] = {}
        self.uses: dict[str, list[tuple[int, list[Loop]]]] = {}
        self.loops: dict[int, Loop] = {}
        self.order = 0
        self._walk(body, [], [])
        self.assigned = set(self.stores)
        self.params = set(params)
        self.uniform = {v for v in self.assigned if not self._in_thread_loop(v)}
        while lost := {v for v in self.uniform if not self._stays(v)}:
            self.uniform -= lost

    # -------------------------------------------------------------- collecting

    def _walk(self, body: list[ast.stmt], controls: list[ast.expr], loops: list[Loop]) -> None:
        for statement in body:
            self.order += 1
            if isinstance(statement, ast.Assign):
                self._reads(statement, loops)
                target = statement.targets[0]
                if isinstance(target, ast.Name):
                    store = Store(target.id, statement.value, controls, loops, self.order)
                    self.stores.setdefault(target.id, []).append(store)
            elif isinstance(statement, ast.If):
                self._reads(statement.test, loops)
                self._walk(statement.body, [*controls, statement.test], loops)
                self._walk(statement.orelse, [*controls, statement.test], loops)
            elif isinstance(statement, (ast.While, ast.For)):
                loop = Loop(statement, depth=len(controls))
                self.loops[id(statement)] = loop
                inner = [*loops, loop]
                if isinstance(statement, ast.For):
                    self._reads(statement.iter, loops)
                    around, head = controls, statement.iter
                    target = statement.target
                    if isinstance(target, ast.Name):
                        store = Store(target.id, head, around, inner, self.order, loop_target=True)
                        self.stores.setdefault(target.id, []).append(store)
                else:
                    self._reads(statement.test, inner)
                    head = statement.test
                self._walk(statement.body, [*controls, head], inner)
                self._walk(statement.orelse, controls, loops)
            elif isinstance(statement, (ast.Break, ast.Continue)):
                loops[-1].exits.append(controls[loops[-1].depth + 1 :])
            elif isinstance(statement, ast.Return):
                for loop in loops:
                    loop.exits.append(controls[loop.depth + 1 :])
            else:
                self._reads(statement, loops)

    def _reads(self, node: ast.AST, loops: list[Loop]) -> None:
        for part in ast.walk(node):
            if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load):
                self.uses.setdefault(part.id, []).append((self.order, loops))

    def _in_thread_loop(self, variable: str) -> bool:
        """Loops without a barrier stay whole, and run in each thread."""
        return any(not loop.has_barrier for s in self.stores[variable] for loop in s.loops)

    # --------------------------------------------------------------- deciding

    def _stays(self, variable: str) -> bool:
        for store in self.stores[variable]:
            if not self.is_uniform(store.value):
                return False
            if store.loop_target:
                if not self._same_counter(variable, store):
                    return False
                if not self._used_behind(variable, store):
                    continue  # the same for all that are in the loop, whoever that is
            if not all(self.is_uniform(control) for control in store.controls):
                return False
            loops = store.loops[:-1] if store.loop_target else store.loops
            if any(self.diverges(loop) for loop in loops):
                return False
        return True

    def _used_behind(self, variable: str, store: Store) -> bool:
        loop = store.loops[-1]
        return any(loop not in around for _, around in self.uses.get(variable, ()))

    def _same_counter(self, variable: str, store: Store) -> bool:
        """Whether a loop's variable is the same for all threads, in the loop and behind it."""
        loop = store.loops[-1]
        others = [other for other in self.stores[variable] if other is not store]
        if any(loop in other.loops for other in others):
            return False  # assigned in its own loop
        # Behind a loop that threads leave at different times, each has another value.
        return not (self._used_behind(variable, store) and self.diverges(loop))

    def diverges(self, loop: Loop) -> bool:
        """Whether some threads leave a loop, or skip a part of it, while others do not."""
        return any(not all(self.is_uniform(c) for c in controls) for controls in loop.exits)

    def is_uniform(self, node: ast.AST) -> bool:
        """Whether an expression has one value in the whole block."""
        if isinstance(node, ast.Name):
            if node.id in THREAD_NAMES:
                return False
            return node.id not in self.assigned or node.id in self.uniform
        if isinstance(node, ast.Call):
            function = called(node)
            if function in BLOCK_RESULTS:
                return True
            dotted = isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name)
            library = dotted and node.func.value.id in ("_np", "_math")  # type: ignore[attr-defined]
            if function not in PURE_CALLS and not library:
                return False
        if isinstance(node, ast.Subscript) and site_of(node) >= 0 and not self.is_view(node):
            return False
        return all(self.is_uniform(part) for part in ast.iter_child_nodes(node))

    def is_view(self, node: ast.Subscript) -> bool:
        """Whether a subscript reads no memory: of a tuple, or a part of an array."""
        base = node.value
        if not isinstance(base, ast.Name):
            return False
        kind = self.kinds.get(base.id)
        if isinstance(kind, types.BaseTuple):
            return True
        if not isinstance(kind, types.Array):
            return False
        parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        return len(parts) < kind.ndim or any(isinstance(part, ast.Slice) for part in parts)
