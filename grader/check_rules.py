"""Rules for the checks of a lesson, so that they can be graded where nobody sees the answers.

While grading, the values that a helper is called with are sent out of the sandbox and compared
elsewhere; expected values and hints never go in. That works for helpers that are called plainly, and
it proves something only if a check has answers that students cannot read.
"""

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from course.learn.checks import BEGIN_HIDDEN, END_HIDDEN
from grader.dissect import HELPERS, Dissected, Site, dissect, students_names
from grader.errors import LessonTextError
from grader.lesson_text import TextCell
from grader.syntax import parse

if TYPE_CHECKING:
    from grader.build import Built

NUMBERS = ("rtol", "atol")  # options of helpers that are numbers
# helper -> what it is called with, by position; how many of these; its other options
CALLS: dict[str, tuple[str, int, tuple[str, ...]]] = {
    "assert_close": ("actual, expected", 2, NUMBERS),
    "assert_equal": ("actual, expected", 2, ()),
    "assert_true": ("condition, hint", 1, ()),
    "assert_raises": ("error, function, and its arguments", 2, ()),
    "assert_gradients": ("function, and its inputs", 2, ("rtol",)),
    "assert_clean": ("the report", 1, ()),
}
GUESSED = (0, 1)  # and so 0.0, 1.0, False and True
WHY = "a check whose expected values can all be seen can be passed by writing them down"


def lint_checks(built: "Built") -> None:
    """Refuse checks that could not be graded, or that prove nothing.

    Raises:
        LessonTextError: for the first finding, with its line.
    """
    students = students_names(built.solved)
    for cell in built.text.cells:
        if cell.kind == "check":
            _check_calls(built, cell)
            _check_hidden_part(built, cell, students)


def _error(built: "Built", cell: TextCell, row: int, message: str) -> LessonTextError:
    """An error on a row of a check, counted from 1."""
    return built.text.error(cell.first_row + row - 1, f"check {cell.options['check']!r}: {message}")


def _check_calls(built: "Built", cell: TextCell) -> None:
    """Each helper is called plainly: its call is a statement, and its hint can be read off."""
    tree = parse(cell.source)
    statements = {id(x.value): x.value for x in ast.walk(tree) if isinstance(x, ast.Expr)}
    plain = {
        id(call.func): call
        for call in statements.values()
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name)
    }
    for name, inside in _helpers(tree):
        call = plain.get(id(name))
        if call is None:
            message = f"{name.id}(...) stands on a line of its own, not within an expression"
            raise _error(built, cell, name.lineno, message)
        if inside and name.id != "assert_true":
            message = (
                f"{name.id} cannot be called inside {inside!r}, where nobody knows how often it runs: "
                "call it at the top level, or use assert_true"
            )
            raise _error(built, cell, call.lineno, message)
        problem = _problem(call, name.id)
        if problem:
            raise _error(built, cell, call.lineno, f"{name.id}: {problem}")


def _helpers(tree: ast.AST, inside: str = "") -> Iterator[tuple[ast.Name, str]]:
    """Where a check names a helper, and the function or class around it."""
    for node in ast.iter_child_nodes(tree):
        around = inside
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            around = node.name
        elif isinstance(node, ast.Name) and node.id in HELPERS:
            yield node, inside
        yield from _helpers(node, around)


def _problem(call: ast.Call, helper: str) -> str:
    """What is wrong with the arguments of a helper; empty if nothing is."""
    words, needed, options = CALLS[helper]
    takes_more = helper in ("assert_raises", "assert_gradients")
    plain = call.args[:needed] if takes_more else call.args
    if len(plain) < needed or any(isinstance(x, ast.Starred) for x in plain):
        come, their = ("come", "their names") if "," in words else ("comes", "its name")
        return f"{words} {come} first, and without {their}"
    hints = [k.value for k in call.keywords if k.arg == "hint"]
    if helper == "assert_true":
        hints += call.args[1:]
    elif not takes_more and len(call.args) > needed:
        return f"only {words} go without names; the hint is hint=..."
    for keyword in call.keywords:
        if keyword.arg != "hint" and keyword.arg not in options:
            return f"it has no option {keyword.arg or '**'!r}"
        if keyword.arg != "hint" and not _is_literal(keyword.value, (int, float)):
            return f"{keyword.arg} is a number, written out"
    if not all(_is_literal(hint, (str,)) for hint in hints):
        return "its hint is a text in quotes, as students may read it without the check being run"
    return "" if hints or helper != "assert_true" else "it needs a hint"


def _is_literal(node: ast.expr, types: tuple[type, ...]) -> bool:
    return isinstance(node, ast.Constant) and type(node.value) in types


def _check_hidden_part(built: "Built", cell: TextCell, students: set[str]) -> None:
    """Each check ends in a hidden part that holds answers."""
    rows = cell.source.splitlines()
    begins = [n for n, row in enumerate(rows, 1) if row.strip() == BEGIN_HIDDEN]
    ends = [n for n, row in enumerate(rows, 1) if row.strip() == END_HIDDEN]
    if not begins:
        message = f"it has no hidden part ({BEGIN_HIDDEN} ... {END_HIDDEN}), and {WHY}"
        raise _error(built, cell, 1, message)
    begin = begins[0]
    if len(begins) > 1:
        message = f"it has one hidden part at most, and the first begins on line {begin} of it"
        raise _error(built, cell, begins[1], message)
    tree = parse(cell.source)
    for statement in tree.body:
        if (statement.end_lineno or 0) > ends[0]:
            message = "the hidden part comes last: nothing may follow its end"
            raise _error(built, cell, max(statement.lineno, ends[0]), message)
        if statement.lineno < begin < (statement.end_lineno or 0):
            raise _error(built, cell, begin, "the hidden part cannot begin within a statement")
        if statement.lineno > begin and _is_kernel(statement):
            message = "a kernel stands above the hidden part: it is run from its source"
            raise _error(built, cell, statement.lineno, message)
    parts = dissect(cell.source, students)
    _check_shared_names(built, cell, begin, tree, parts)
    hidden = [site for site in parts.sites if site.call.hidden]
    answers = list(_answers(cell.source, begin, hidden))
    if not answers:
        message = (
            "its hidden part needs an assert_close or assert_equal whose expected value does not "
            f"come from the student's parts, or an assert_gradients: {WHY}"
        )
        raise _error(built, cell, begin, message)
    if all(isinstance(answer, ast.expr) and _is_guessed(answer) for answer in answers):
        message = "its hidden part expects only True, False, None, 0 or 1, which can be guessed"
        raise _error(built, cell, begin, message)


def _is_kernel(statement: ast.stmt) -> bool:
    decorators = statement.decorator_list if isinstance(statement, ast.FunctionDef) else []
    return any("cuda.jit" in ast.unparse(decorator) for decorator in decorators)


def _check_shared_names(
    built: "Built", cell: TextCell, begin: int, tree: ast.Module, parts: Dissected
) -> None:
    """What the hidden part computes with goes into the sandbox: no answers may be among it."""
    inside = {name for part in (parts.visible, parts.hidden) for name in _names(part, ast.Load)}
    own = _names(tree, ast.Store)
    for loop in ast.walk(tree):
        if isinstance(loop, ast.For):
            called = loop.iter.func if isinstance(loop.iter, ast.Call) else None
            if getattr(called, "id", "") == "range":  # numbers that anybody can count
                own -= _names(loop.target, ast.Store)
            else:
                inside |= _names(loop.target, ast.Store)
    hidden = [site for site in parts.sites if site.call.hidden]
    for answer in _answers(cell.source, begin, hidden):
        if answer is None:
            continue
        shared = (_names(answer, ast.Load) - _names(answer, ast.Store)) & own & inside
        if shared:
            message = (
                f"the expected value is taken from {min(shared)!r}, which the rest of the hidden part "
                "takes into the sandbox, where student code can read it: write the value out"
            )
            raise _error(built, cell, answer.lineno, message)


def _names(tree: ast.AST, how: type[ast.expr_context]) -> set[str]:
    """The names that are read, or those that are given a value."""
    nodes = ast.walk(tree)
    return {x.id for x in nodes if isinstance(x, ast.Name) and isinstance(x.ctx, how)}


def _answers(source: str, begin: int, hidden: list[Site]) -> Iterator[ast.expr | None]:
    """The expected values in a check's hidden part; None for derivatives.

    Those that student code has a part in are none: they are computed beside it.
    """
    calls = [
        statement.value
        for statement in _in_order(parse(source))
        if isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Call)
        and getattr(statement.value.func, "id", "") in HELPERS
        and statement.lineno > begin
    ]
    for call, site in zip(calls, hidden, strict=True):
        if site.kind == "gradients" and not site.nested:
            yield None
        elif site.kind in ("close", "equal") and not site.sent[1] and not site.nested:
            yield call.args[1]


def _in_order(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes, in the order of the source, as `dissect` counts its sites."""
    for node in ast.iter_child_nodes(tree):
        yield node
        yield from _in_order(node)


def _is_guessed(expected: ast.expr) -> bool:
    """Whether a value is True, False, None, 0 or 1, or made of these alone."""
    try:
        value = ast.literal_eval(expected)
    except ValueError:
        return False
    return all(part is None or part in GUESSED for part in _parts(value))


def _parts(value: Any) -> Iterator[Any]:
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from _parts(item)
    else:
        yield value
