"""Lifting a part's source out of the reference, with nbgrader's solution markers around its holes."""

import ast
import inspect
import textwrap
from collections.abc import Iterator

from course.learn.holes import find_part
from grader.syntax import parse

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"


class LiftError(Exception):
    """The part cannot be lifted; the message says why."""


def lift(path: str, holes: list[str], leave_out: set[str] | None = None) -> str:
    """The source of a part, decorated with @exercise, its holes' bodies marked as solutions.

    Signature and docstring stay, so the docstring is the exercise's statement.

    Args:
        path: the part, for example "course.micrograd.nn.Neuron".
        holes: for a class, the methods that the student writes; for a function, its own name.
        leave_out: methods of a class that are left out, as they have cells of their own.

    Raises:
        LiftError: if there is no such part, hole or method, or a hole has no body to take out.
    """
    lines = _source(path).splitlines()
    tree = parse("\n".join(lines)).body[0]
    functions = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    for name in [*holes, *(leave_out or ())]:
        if name not in functions:
            raise LiftError(f"{path} has no method {name!r}")
    edits: list[tuple[int, int, list[str]]] = []  # lines first..last (from 0, last excluded)
    for name in holes:
        first, last = _body(functions[name])
        if first >= last:
            raise LiftError(f"{path}: the hole {name!r} has a docstring only, nothing to write")
        indent = " " * functions[name].body[-1].col_offset
        edits.append((first, last, [indent + BEGIN, *lines[first:last], indent + END]))
    for name in leave_out or ():
        node = functions[name]
        first = min([node.lineno, *[d.lineno for d in node.decorator_list]]) - 1
        while first > 0 and not lines[first - 1].strip():
            first -= 1  # the blank lines above go too
        edits.append((first, node.end_lineno or first, []))
    for first, last, new in sorted(edits, reverse=True):
        lines[first:last] = new
    return "\n".join([f'@exercise("{path}")', *lines])


def splice(cell: str, answer: str, within: str | None = None) -> str:
    """Put an answer's functions in the place of the solved cell's functions of the same name.

    Args:
        cell: a solved exercise cell.
        answer: functions, and what they need beside them; or the whole class.
        within: the class whose functions are meant, if others have functions of these names.

    Raises:
        LiftError: if a function of the answer does not stand in the cell, or more than once.
    """
    lines = cell.splitlines()
    places: dict[str, ast.FunctionDef | ast.ClassDef] = {}
    twice = set()
    for definition in _definitions(parse(cell), within):
        if definition.name in places:
            twice.add(definition.name)
        places[definition.name] = definition
    extra, edits = [], []
    for node in parse(answer).body:
        text = ast.get_source_segment(answer, node) or ""
        if not isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            extra.append(text)
        elif node.name not in places:
            if node.name.startswith("_") and not node.name.startswith("__"):
                decorators = [decorator.lineno for decorator in node.decorator_list]
                first = min([node.lineno, *decorators]) - 1
                helper = answer.splitlines()[first : node.end_lineno]
                extra.append("\n".join(helper))  # a helper of the answer's own
                continue
            raise LiftError(
                f"the exercise has no {node.name!r}; a helper's name begins with an underscore"
            )
        elif node.name in twice:
            raise LiftError(
                f"several classes of the exercise have a {node.name!r}; write the whole class"
            )
        else:
            place = places[node.name]
            indented = textwrap.indent(text, " " * place.col_offset)
            edits.append((place.lineno - 1, place.end_lineno or 0, indented.splitlines()))
    for first, last, new in sorted(edits, reverse=True):
        lines[first:last] = new
    return "\n".join([*extra, *lines])


def _definitions(tree: ast.Module, within: str | None) -> Iterator[ast.FunctionDef | ast.ClassDef]:
    """All functions and classes; or those in the class of that name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and node.name == within:
            yield from (x for x in ast.walk(node) if isinstance(x, ast.FunctionDef))
        elif within is None and isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield node


def _body(function: ast.FunctionDef) -> tuple[int, int]:
    """The lines of a function's body after its docstring: first and last excluded, from 0."""
    has_docstring = ast.get_docstring(function) is not None
    first = function.body[0].end_lineno if has_docstring else function.body[0].lineno - 1
    return first or 0, function.end_lineno or 0


def _source(path: str) -> str:
    try:
        return textwrap.dedent(inspect.getsource(inspect.unwrap(find_part(path))))
    except (LookupError, TypeError):
        raise LiftError(f"there is no function or class {path} in the reference") from None
    except Exception as error:  # the author's reference may be broken in any way
        where = f"{error.filename}:{error.lineno}: " if isinstance(error, SyntaxError) else ""
        raise LiftError(
            f"{path} cannot be imported: {where}{type(error).__name__}: {error}"
        ) from None
