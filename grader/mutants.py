"""Mutants: the reference with one small mistake each, to see whether the checks notice.

The mistakes are mechanical: an operator exchanged, a constant changed, a statement left out. They are
made in what students write, the holes of the exercises, and nowhere else. Docstrings, annotations and
the words of error messages stay as they are.
"""

import ast
import copy
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from course.learn.holes import find_part
from grader.build import Built, Exercise
from grader.lift import lift, splice
from grader.paths import ROOT, shown
from grader.syntax import parse

BECOMES = "# becomes"  # stands between the code before and after, in lists and in banks

BINARY: dict[type[ast.operator], list[type[ast.operator]]] = {
    ast.Add: [ast.Sub],
    ast.Sub: [ast.Add],
    ast.Mult: [ast.Div, ast.Add],
    ast.Div: [ast.Mult],
    ast.FloorDiv: [ast.Div, ast.Mult],
    ast.Mod: [ast.Mult],
    ast.Pow: [ast.Mult],
    ast.MatMult: [ast.Mult],
}
# The first one moves the border, the second one turns the comparison round.
COMPARISONS: dict[type[ast.cmpop], list[type[ast.cmpop]]] = {
    ast.Lt: [ast.LtE, ast.GtE],
    ast.LtE: [ast.Lt, ast.Gt],
    ast.Gt: [ast.GtE, ast.LtE],
    ast.GtE: [ast.Gt, ast.Lt],
    ast.Eq: [ast.NotEq],
    ast.NotEq: [ast.Eq],
    ast.Is: [ast.IsNot],
    ast.IsNot: [ast.Is],
    ast.In: [ast.NotIn],
    ast.NotIn: [ast.In],
}


@dataclass(frozen=True)
class Mutant:
    """One small mistake in one part.

    Attributes:
        exercise: the id of the exercise.
        part: the part or method that has it, without "course.": "micrograd.nn.Neuron.__call__".
        place: file and line of the reference.
        before, after: the statement, or the first line of it, as `ast.unparse` writes it.
        cell: the exercise cell with the mistake in it.
    """

    exercise: str
    part: str
    place: str
    before: str
    after: str
    cell: str

    @property
    def change(self) -> str:
        """What was changed, as lists show it and banks name it."""
        return f"{self.before}\n{BECOMES}\n{self.after}"


@dataclass(frozen=True)
class Mistake:
    """A function with one small mistake in it.

    Attributes:
        line: the statement's, in the function's source.
        before, after: the statement, or the first line of it.
        source: the whole function, with the mistake.
    """

    line: int
    before: str
    after: str
    source: str


def make_mutants(built: Built, root: Path = ROOT) -> list[Mutant]:
    """All mutants of what students write in a lesson.

    Args:
        built: the lesson.
        root: the repository, for the places.
    """
    solved = {cell.id: cell.source for cell in built.solved.cells}
    return [
        mutant
        for exercise in built.exercises
        for path in exercise.paths
        for mutant in _of_part(exercise, path, solved[exercise.id], root)
    ]


def _of_part(exercise: Exercise, path: str, cell: str, root: Path) -> Iterator[Mutant]:
    """The mutants of one part; the code is found as `grader.lift` finds it."""
    part = inspect.unwrap(find_part(path))  # of a kernel, the function that it was made of
    file = shown(Path(inspect.getsourcefile(part) or ""), root)
    above = inspect.getsourcelines(part)[1] - 2  # `lift` puts a line with @exercise on top
    tree = parse(lift(path, [])).body[0]
    methods = exercise.cell.options.get("holes", [])
    for function in ast.walk(tree):
        is_hole = isinstance(function, ast.FunctionDef) and function.name in methods
        if not isinstance(function, ast.FunctionDef) or not (function is tree or is_hole):
            continue
        name = path if function is tree else f"{path}.{function.name}"
        for mistake in mistakes(function):
            yield Mutant(
                exercise.id,
                name.removeprefix("course."),
                f"{file}:{above + mistake.line}",
                mistake.before,
                mistake.after,
                splice(cell, mistake.source, getattr(tree, "name", None) if is_hole else None),
            )


def mistakes(function: ast.FunctionDef) -> Iterator[Mistake]:
    """All small mistakes that could be made in a function, each one once."""
    seen = {ast.unparse(function)}
    for statement, place, instead in _changes(function):
        twins: dict[int, Any] = {}  # of nodes of the function: nodes of the copy
        copied = copy.deepcopy(function, twins)
        mutated = ast.fix_missing_locations(_Put(twins[id(place)], instead).visit(copied))
        source = ast.unparse(mutated)
        if source not in seen:
            seen.add(source)
            after = instead if statement is place else twins[id(statement)]
            yield Mistake(statement.lineno, _head(statement), _head(after), source)


class _Put(ast.NodeTransformer):
    """Puts one node in the place of another."""

    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self.old = old
        self.new = new

    def visit(self, node: ast.AST) -> ast.AST:
        return self.new if node is self.old else self.generic_visit(node)


def _head(statement: ast.AST) -> str:
    """A statement's first line: all of a simple one."""
    return ast.unparse(statement).splitlines()[0]


def _changes(function: ast.FunctionDef) -> Iterator[tuple[ast.stmt, ast.AST, ast.AST]]:
    """Each change: the statement, the node in it that goes, and what comes in its place."""
    lasts = {x.body[-1] for x in ast.walk(function) if isinstance(x, ast.FunctionDef)}
    for statement in _statements(function):
        ends = (
            isinstance(statement, ast.Return) and statement in lasts
        )  # without it: None, see below
        if not isinstance(statement, ast.Pass) and not ends:
            yield statement, statement, ast.Pass()
        if isinstance(statement, ast.AugAssign):
            for update in _wrong_update(statement):
                yield statement, statement, update
        if isinstance(statement, ast.Return) and statement.value is not None:
            yield statement, statement, ast.Return(ast.Constant(None))
        nodes: list[ast.AST] = [statement, *_expressions(statement)]
        for node in nodes:
            for condition in _conditions(node):
                yield statement, condition, ast.UnaryOp(ast.Not(), copy.deepcopy(condition))
            for instead in _wrong(node):
                yield statement, node, instead


def _statements(function: ast.FunctionDef) -> Iterator[ast.stmt]:
    """The statements of a function, and of functions in it, without docstrings."""
    has_docstring = ast.get_docstring(function) is not None
    for statement in function.body[has_docstring:]:
        yield from _nested(statement)


def _nested(statement: ast.stmt) -> Iterator[ast.stmt]:
    yield statement
    if isinstance(statement, ast.FunctionDef):
        yield from _statements(statement)
        return
    for child in ast.iter_child_nodes(statement):
        if isinstance(child, ast.stmt):
            yield from _nested(child)
        elif isinstance(child, (ast.ExceptHandler, ast.match_case)):
            for inner in child.body:
                yield from _nested(inner)


def _expressions(statement: ast.AST) -> Iterator[ast.AST]:
    """What a statement itself calculates: no statements in it, no annotations, no error's words."""
    if isinstance(statement, ast.Raise):
        return
    for name, value in ast.iter_fields(statement):
        if name in ("annotation", "returns", "type_params", "decorator_list"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, (ast.stmt, ast.JoinedStr)) or not isinstance(child, ast.AST):
                continue
            yield child
            yield from _expressions(child)


def _wrong(node: ast.AST) -> Iterator[ast.AST]:
    """What could stand in the place of an expression by mistake."""
    if isinstance(node, ast.BinOp):
        for operator in BINARY.get(type(node.op), []):
            yield ast.BinOp(copy.deepcopy(node.left), operator(), copy.deepcopy(node.right))
    elif isinstance(node, ast.Compare):
        for number, sign in enumerate(node.ops):
            for other in COMPARISONS[type(sign)]:
                turned = copy.deepcopy(node)
                turned.ops[number] = other()
                yield turned
    elif isinstance(node, ast.BoolOp):
        other_word = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield ast.BoolOp(other_word, copy.deepcopy(node.values))
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.Not, ast.USub)):
        yield copy.deepcopy(node.operand)
    elif isinstance(node, ast.Constant):
        for value in _wrong_constants(node.value):
            yield ast.Constant(value)
    elif isinstance(node, ast.Call) and len(node.args) > 1:
        first, second = node.args[:2]
        if not isinstance(first, ast.Starred) and not isinstance(second, ast.Starred):
            swapped = copy.deepcopy(node)
            swapped.args[:2] = reversed(swapped.args[:2])
            yield swapped


def _conditions(node: ast.AST) -> list[ast.expr]:
    """The conditions in a statement or expression, without comparisons, which `_wrong` turns round."""
    found = [node.test] if isinstance(node, (ast.If, ast.While, ast.IfExp, ast.Assert)) else []
    found += node.ifs if isinstance(node, ast.comprehension) else []
    return [
        condition
        for condition in found
        if not isinstance(condition, ast.Compare)
        and not (isinstance(condition, ast.UnaryOp) and isinstance(condition.op, ast.Not))
    ]


def _wrong_constants(value: object) -> list[bool | float | str]:
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, (int, float)):
        return [value + 1, 0] if value == 1 else [value + 1]
    return [""] if isinstance(value, str) and value else []


def _wrong_update(statement: ast.AugAssign) -> Iterator[ast.stmt]:
    """x += 1 as x -= 1, and as x = 1."""
    for operator in BINARY.get(type(statement.op), [])[:1]:
        yield ast.AugAssign(statement.target, operator(), statement.value)
    yield ast.Assign([statement.target], statement.value, lineno=statement.lineno)
