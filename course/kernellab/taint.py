"""Which accesses a launch's shape alone decides, and which depend on the data.

`a[i]` with `i = cuda.grid(1)` uses the same indices in every launch of the same shape; `a[x[i]]`
depends on what is in `x`. The first kind needs its bounds checked once for each shape of launch,
the second kind every time.
"""

import ast
from typing import Any, cast

from numba import types

from course.kernellab.flatten import Flat
from course.kernellab.lower import called, site_of


def data_dependent(flat: Flat, kinds: dict[str, types.Type | None]) -> set[int]:
    """The sites whose index, or whether they are reached at all, depends on data.

    Args:
        flat: the kernel.
        kinds: the types of its variables; None for one with several.
    """
    return _Taint(flat, kinds).sites


class _Taint:
    def __init__(self, flat: Flat, kinds: dict[str, types.Type | None]) -> None:
        self.kinds = kinds
        # Launches that differ in a float only count as the same shape (launch.py).
        self.variables = {name for name in flat.kernel.params if _has_floats(kinds.get(name))}
        self.everything = False  # a thread may leave, depending on data
        self.sites: set[int] = set()
        before = None
        while before != (len(self.variables), self.everything):
            before = len(self.variables), self.everything
            self.block(flat.body, False)
        for device in flat.devices:  # their parameters may be anything
            for statement in device.body:
                self.mark(statement, True)

    def depends(self, node: ast.AST | None) -> bool:
        """Whether an expression's value depends on data."""
        if node is None:
            return False
        for part in ast.walk(node):
            if isinstance(part, ast.Name) and part.id in self.variables:
                return True
            if isinstance(part, ast.Subscript) and site_of(part) >= 0 and not self.is_tuple(part):
                return True
            if getattr(part, "device", None) is not None:
                return True
            function = called(part)
            if function and function.startswith(READERS):
                return True
        return False

    def is_tuple(self, node: ast.Subscript) -> bool:
        base = node.value
        return isinstance(base, ast.Name) and isinstance(self.kinds.get(base.id), types.BaseTuple)

    def mark(self, node: ast.AST, controlled: bool) -> None:
        """Notes the sites of a statement or an expression."""
        for part in ast.walk(node):
            if isinstance(part, ast.Subscript) and site_of(part) >= 0:
                index: ast.AST = part.slice
                base: ast.AST | None = part.value
            elif (called(part) or "").startswith("_atomic_"):
                index, base = part.args[1], part.args[0]  # type: ignore[attr-defined]
            else:
                continue
            if controlled or self.everything or self.depends(index) or self.depends(base):
                self.sites.add(site_of(part))

    def block(self, body: list[ast.stmt], controlled: bool) -> None:
        for node in body:
            if isinstance(node, ast.Assign):
                self.mark(node, controlled)
                target = node.targets[0]
                if isinstance(target, ast.Name) and (controlled or self.depends(node.value)):
                    self.variables.add(target.id)
            elif isinstance(node, (ast.If, ast.While, ast.For)):
                head = node.iter if isinstance(node, ast.For) else node.test
                self.mark(head, controlled)
                inside = controlled or self.depends(head)
                if isinstance(node, ast.For) and inside and isinstance(node.target, ast.Name):
                    self.variables.add(node.target.id)
                self.block(node.body, inside)
                self.block(node.orelse, inside)
            elif isinstance(node, (ast.Break, ast.Continue, ast.Return)):
                self.everything |= controlled
            else:
                self.mark(node, controlled)


def _has_floats(kind: types.Type | None) -> bool:
    if isinstance(kind, types.BaseTuple):
        return any(_has_floats(part) for part in cast(Any, kind).types)
    return isinstance(kind, (types.Float, types.Complex))


READERS = ("_atomic_", "_get", "_ballot", "_present", "_count_true", "_all_true", "_matching")
