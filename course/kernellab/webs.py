"""One name for each life of a variable.

`acc` may be a float32 in one loop and, set anew, a float64 in the next one. A variable that becomes
an array with a place a thread must have one type, so each life gets a name of its own: those
assignments and readings that can meet (a *web*, in compilers) keep together.
"""

import ast
from typing import Any

Reaching = dict[str, frozenset[int]]
PARAMETER = 0


def rename_webs(body: list[ast.stmt], params: list[str]) -> dict[str, str]:
    """Renames, in place, the later lives of each variable: `acc`, `acc__2`, ...

    Returns:
        {new name: the variable}, for all variables.
    """
    webs = _Webs(params)
    webs.block(body, {p: frozenset([PARAMETER]) for p in params}, [])
    return webs.rename()


class _Webs:
    def __init__(self, params: list[str]) -> None:
        self.parent: dict[tuple[str, int], tuple[str, int]] = {}
        self.names: dict[int, tuple[ast.Name, tuple[str, int]]] = {}
        self.numbers: dict[int, int] = {}

    def find(self, key: tuple[str, int]) -> tuple[str, int]:
        self.parent.setdefault(key, key)
        while self.parent[key] != key:
            key = self.parent[key]
        return key

    def union(self, variable: str, definitions: frozenset[int]) -> None:
        keys = sorted(self.find((variable, d)) for d in definitions)
        for key in keys[1:]:
            self.parent[self.find(key)] = self.find(keys[0])

    # ------------------------------------------------------------------- flow

    def reads(self, node: ast.AST | None, at: Reaching) -> None:
        if node is None:
            return
        for part in ast.walk(node):
            if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load) and part.id in at:
                self.union(part.id, at[part.id])
                self.names[id(part)] = part, (part.id, min(at[part.id]))

    def writes(self, target: ast.expr, at: Reaching) -> Reaching:
        if not isinstance(target, ast.Name):
            self.reads(target, at)
            return at
        number = self.numbers.setdefault(id(target), len(self.numbers) + 1)
        self.names[id(target)] = target, (target.id, number)
        self.find((target.id, number))
        return {**at, target.id: frozenset([number])}

    def block(self, body: list[ast.stmt], at: Reaching, loops: list[Any]) -> Reaching | None:
        """What reaches the end of a block; None if its end is never reached."""
        here: Reaching | None = at
        for node in body:
            if here is None:
                here = dict(at)  # never executed, but it has to be named
            here = self.statement(node, here, loops)
        return here

    def statement(self, node: ast.stmt, at: Reaching, loops: list[Any]) -> Reaching | None:
        if isinstance(node, ast.Assign):
            self.reads(node.value, at)
            return self.writes(node.targets[0], at)
        if isinstance(node, ast.If):
            self.reads(node.test, at)
            return join(self.block(node.body, at, loops), self.block(node.orelse, at, loops))
        if isinstance(node, (ast.While, ast.For)):
            return self.loop(node, at, loops)
        if isinstance(node, ast.Return):
            self.reads(node.value, at)
            return None
        if isinstance(node, (ast.Break, ast.Continue)):
            loops[-1][isinstance(node, ast.Continue)].append(at)
            return None
        self.reads(node, at)
        return at

    def loop(self, node: ast.While | ast.For, at: Reaching, loops: list[Any]) -> Reaching | None:
        if isinstance(node, ast.For):
            self.reads(node.iter, at)
        start: Reaching | None = at
        while True:
            assert start is not None
            exits: tuple[list[Reaching], list[Reaching]] = ([], [])
            inside = start
            if isinstance(node, ast.For):
                inside = self.writes(node.target, start)
            else:
                self.reads(node.test, start)
            end = self.block(node.body, inside, [*loops, exits])
            again = start
            for back in (end, *exits[1]):
                again = join(again, back) or again
            if again == start:
                break
            start = again
        out: Reaching | None = self.block(node.orelse, start, loops)
        for left in exits[0]:
            out = join(out, left)
        return out

    # ----------------------------------------------------------------- naming

    def rename(self) -> dict[str, str]:
        order: dict[str, list[tuple[str, int]]] = {}
        for variable, number in sorted(self.parent):
            root = self.find((variable, number))
            lives = order.setdefault(variable, [])
            if root not in lives:
                lives.append(root)
        out: dict[str, str] = {variable: variable for variable in order}
        new = {
            root: variable if position == 0 else f"{variable}__{position + 1}"
            for variable, lives in order.items()
            for position, root in enumerate(lives)
        }
        for node, (variable, number) in self.names.values():
            node.id = new[self.find((variable, number))]
            out[node.id] = variable
        return out


def join(one: Reaching | None, other: Reaching | None) -> Reaching | None:
    """What reaches a place that can be come to in two ways."""
    if one is None or other is None:
        return one if other is None else other
    return {v: one.get(v, frozenset()) | other.get(v, frozenset()) for v in {*one, *other}}
