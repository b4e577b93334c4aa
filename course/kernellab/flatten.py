"""Meetings as statements: what the compiled engines start from.

A compiled kernel cannot stop in the middle of an expression. So `flatten` takes every meeting out
of its expression, and what threads hand to each other goes through an array with one place a thread:

    v += cuda.shfl_down_sync(m, v, 1)     _v1 = v
                                          _put(_floats, _integers, thread, _v1)
                                          _barrier(1)
                                          _r1 = _get(_floats, _integers, source, _v1)
                                          _barrier(1)
                                          v = v + _r1

Device functions in which threads meet are written out where they are called.
"""

import ast
from dataclasses import dataclass, field
from typing import Any, cast

from course.kernellab.errors import Unsupported
from course.kernellab.lower import (
    BLOCK_MEETINGS,
    MEETINGS,
    SHUFFLES,
    THREAD,
    THREADS,
    Lowered,
    Memory,
    assign,
    called,
    clone,
    meets,
    name,
    site_of,
    statements,
)
from course.kernellab.webs import rename_webs

BLOCK, WARP = 0, 1
"""The levels of `_barrier`: who waits for whom."""

LANE = f"({THREAD} % 32)"
FIRST = f"({THREAD} // 32 * 32)"
LANES = f"min(32, {THREADS} - {FIRST})"
EXCHANGE = ("_floats", "_integers", "_votes")
"""Where threads lay out values: a float, an integer, and a vote for each."""


@dataclass
class Flat:
    """A kernel whose meetings are statements.

    Attributes:
        kernel: what it comes from.
        body: its statements.
        locals: local arrays, those of written-out device functions included.
        devices: the device functions that are still called.
        variables: {name in the body: the variable it is a life of}; see webs.py.
    """

    kernel: Lowered
    body: list[ast.stmt]
    locals: list[Memory]
    devices: list[Lowered] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def has_barriers(self) -> bool:
        """Whether threads meet at all."""
        return any(is_barrier(node) for s in self.body for node in ast.walk(s))


def flatten(kernel: Lowered) -> Flat:
    """The kernel with its meetings as statements.

    Raises:
        Unsupported: for a meeting where it cannot be taken out, such as in `a and cuda.any_sync()`,
            and for a device function with a meeting that returns from within a loop.
    """
    pass_ = _Flatten(kernel)
    body = pass_.block(kernel.body)
    known = rename_webs(body, kernel.params)
    return Flat(kernel, body, pass_.locals, list(pass_.devices.values()), known)


def is_barrier(node: ast.AST) -> bool:
    """Whether a statement is `_barrier(level)`."""
    return isinstance(node, ast.Expr) and called(node.value) == "_barrier"


def barrier_level(node: ast.stmt) -> int:
    """BLOCK or WARP."""
    return cast(Any, node).value.args[0].value


def inlined(node: ast.AST) -> bool:
    """Whether a call is of a device function that must be written out."""
    device = getattr(node, "device", None)
    return device is not None and (device.meets or device.uses_shared)


def _work(node: ast.AST) -> bool:
    return meets(node) or any(inlined(part) for part in ast.walk(node))


class _Flatten(ast.NodeTransformer):
    def __init__(self, kernel: Lowered) -> None:
        self.kernel = kernel
        self.locals = list(kernel.locals)
        self.devices: dict[str, Lowered] = {}
        self.before: list[ast.stmt] = []
        self.count = 0
        self._use(kernel.body)

    def _use(self, body: list[ast.stmt]) -> None:
        """Notes which device functions are called and stay functions, those they call included."""
        for statement in body:
            for node in ast.walk(statement):
                device = getattr(node, "device", None)
                if device is not None and not inlined(node) and device.name not in self.devices:
                    self.devices[device.name] = device
                    self._use(device.body)

    # ------------------------------------------------------------ statements

    def block(self, body: list[ast.stmt]) -> list[ast.stmt]:
        out: list[ast.stmt] = []
        for statement in body:
            if isinstance(statement, ast.Expr) and called(statement.value) == "_threadfence":
                continue  # one core: what is written is seen
            work = _work(statement) or any(called(n) == "_threadfence" for n in ast.walk(statement))
            out += self.statement(clone(statement)) if work else [clone(statement)]
        return out or [ast.Pass()]

    def statement(self, node: Any) -> list[ast.stmt]:
        if isinstance(node, (ast.While, ast.For)) and node.orelse:
            raise self.cannot(node, "a loop with `else` and a meeting in it")
        if isinstance(node, ast.While):
            before, node.test = self.take_out(node.test)
            body = self.block(node.body)
            if before:
                leave = ast.If(ast.UnaryOp(ast.Not(), node.test), [ast.Break()], [])
                body = [*before, ast.copy_location(leave, node), *body]
                node.test = ast.Constant(True)
            node.body = body
            return [node]
        if isinstance(node, ast.If):
            before, node.test = self.take_out(node.test)
            node.body, node.orelse = self.block(node.body), self.block(node.orelse)
            return [*before, node]
        if isinstance(node, ast.For):
            before, node.iter = self.take_out(node.iter)
            node.body = self.block(node.body)
            return [*before, node]
        before, node.value = self.take_out(node.value)
        for target in getattr(node, "targets", []):
            if _work(target):
                raise self.cannot(node, "a meeting in an index that is assigned to")
        nothing = isinstance(node, ast.Expr) and isinstance(node.value, (ast.Constant, ast.Name))
        return before if nothing else [*before, node]

    def take_out(self, node: ast.expr) -> tuple[list[ast.stmt], ast.expr]:
        outer, self.before = self.before, []
        new = self.visit(node) if node is not None and _work(node) else node
        before, self.before = self.before, outer
        for statement in before:
            for part in ast.walk(statement):
                if not hasattr(part, "lineno"):
                    ast.copy_location(part, node)
        return before, new

    def cannot(self, node: ast.AST, what: str) -> Unsupported:
        line = getattr(node, "lineno", "?")
        return Unsupported(f"line {line}: {what} (the compiled engines cannot take it apart)")

    # ----------------------------------------------------------- expressions

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.expr:
        if any(_work(value) for value in node.values[1:]):
            raise self.cannot(node, "a meeting behind `and` or `or`")
        return cast(ast.expr, self.generic_visit(node))

    def visit_IfExp(self, node: ast.IfExp) -> ast.expr:
        if _work(node.body) or _work(node.orelse):
            raise self.cannot(node, "a meeting in `... if ... else ...`")
        return cast(ast.expr, self.generic_visit(node))

    def visit_Call(self, node: ast.Call) -> ast.expr:
        node = cast(ast.Call, self.generic_visit(node))
        if inlined(node):
            return self.inline(node)
        function = called(node)
        if function not in MEETINGS:
            return node
        what = function[1:]
        self.count += 1
        number = self.count
        args = [f"({ast.unparse(argument)})" for argument in node.args]
        if what in ("syncthreads", "syncwarp"):
            self.wait(node, BLOCK if what == "syncthreads" else WARP)
            return ast.Constant(None)
        if what in BLOCK_MEETINGS:
            return self.vote(node, number, args[0], BLOCK, BLOCK_RESULTS[what])
        if what in SHUFFLES:
            kind = SHUFFLES.index(what)
            source = f"{FIRST} + _source_lane({kind}, {LANE}, {args[2]}, 32, {LANES})"
            return self.exchange(node, number, args[1], source)
        if what.startswith("match"):
            return self.match(node, number, what, args)
        return self.vote(node, number, args[1], WARP, VOTE_RESULTS[what].replace("MASK", args[0]))

    def wait(self, node: ast.AST, level: int) -> None:
        marker = ast.Expr(ast.Call(name("_barrier"), [ast.Constant(level)], []))
        marker.site = site_of(node)  # type: ignore[attr-defined]
        self.before.append(ast.copy_location(marker, node))

    def exchange(self, node: ast.AST, number: int, value: str, source: str) -> ast.expr:
        self.before += statements(
            f"_v{number} = {value}\n_put(_floats, _integers, {THREAD}, _v{number})"
        )
        self.wait(node, WARP)
        self.before += statements(f"_r{number} = _get(_floats, _integers, {source}, _v{number})")
        self.wait(node, WARP)
        return name(f"_r{number}")

    def vote(self, node: ast.AST, number: int, value: str, level: int, result: str) -> ast.expr:
        self.before += statements(f"_votes[{THREAD}] = 2 if {value} else 1")
        self.wait(node, level)
        self.before += statements(f"_r{number} = {result}")
        self.wait(node, level)
        self.before += statements(f"_votes[{THREAD}] = 0")
        return name(f"_r{number}")

    def match(self, node: ast.AST, number: int, what: str, args: list[str]) -> ast.expr:
        if what == "match_all_sync":
            raise self.cannot(node, "match_all_sync")
        self.before += statements(
            f"_v{number} = {args[1]}\n_put(_floats, _integers, {THREAD}, _v{number})"
        )
        self.wait(node, WARP)
        same = f"_matching(_floats, _integers, {FIRST}, {LANES}, {args[0]}, {THREAD}, _v{number})"
        self.before += statements(f"_r{number} = {same}")
        self.wait(node, WARP)
        return name(f"_r{number}")

    # --------------------------------------------------------------- inlining

    def inline(self, node: ast.Call) -> ast.expr:
        """The body of a device function, in front of the statement that calls it."""
        device: Lowered = cast(Any, node).device
        self.count += 1
        prefix = f"_f{self.count}_"
        result = f"{prefix}result"
        for parameter, argument in zip(device.params, node.args):
            self.before.append(assign(prefix + parameter, argument))
        first = len(self.locals)
        self.locals += device.locals
        renamed = _Rename(device, prefix, first)
        body = [renamed.visit(clone(statement)) for statement in device.body]
        self._use(device.body)
        body = _single_exit(body, result, self)
        returns = any(isinstance(n, ast.Name) and n.id == result for s in body for n in ast.walk(s))
        before, self.before = self.before, []
        body = self.block(body)
        self.before = [*before, *body]
        return name(result) if returns else ast.Constant(None)


BLOCK_RESULTS = {
    "syncthreads_count": f"_count_true(_votes, {THREADS})",
    "syncthreads_and": f"_all_true(_votes, {THREADS})",
    "syncthreads_or": f"(1 if _count_true(_votes, {THREADS}) > 0 else 0)",
}
_BALLOT = f"_ballot(_votes, {FIRST}, {LANES}, MASK)"
_PRESENT = f"_present(_votes, {FIRST}, {LANES}, MASK)"
VOTE_RESULTS = {
    "ballot_sync": f"_np.uint32({_BALLOT})",
    "any_sync": f"({_BALLOT} != 0)",
    "all_sync": f"({_BALLOT} == {_PRESENT})",
    "eq_sync": f"({_BALLOT} == 0 or {_BALLOT} == {_PRESENT})",
}


class _Rename(ast.NodeTransformer):
    """Gives the variables of a device function names that the kernel does not have."""

    def __init__(self, device: Lowered, prefix: str, first_local: int) -> None:
        self.prefix = prefix
        self.names = set(device.source.locals) | {
            node.id
            for statement in device.body
            for node in ast.walk(statement)
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        }
        self.locals = {f"_local{i}": f"_local{first_local + i}" for i in range(len(device.locals))}

    def visit_Name(self, node: ast.Name) -> ast.Name:
        node.id = (
            self.prefix + node.id if node.id in self.names else self.locals.get(node.id, node.id)
        )
        return node


def _single_exit(body: list[ast.stmt], result: str, flat: _Flatten) -> list[ast.stmt]:
    """`return` as an assignment after which nothing is left to do."""
    out: list[ast.stmt] = []
    for position, statement in enumerate(body):
        rest = body[position + 1 :]
        if isinstance(statement, ast.Return):
            if statement.value is not None:
                out.append(ast.copy_location(assign(result, statement.value), statement))
            return out
        has_return = any(isinstance(node, ast.Return) for node in ast.walk(statement))
        if has_return and not isinstance(statement, ast.If):
            raise flat.cannot(statement, "`return` in a loop of a device function with a meeting")
        if has_return:
            branch = cast(ast.If, statement)
            branch.body = _single_exit([*branch.body, *clone(rest)], result, flat) or [ast.Pass()]
            branch.orelse = _single_exit([*branch.orelse, *rest], result, flat)
            return [*out, branch]
        out.append(statement)
    return out
