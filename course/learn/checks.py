"""The helpers that checks compare with. Their messages are written for the student.

Each message says what was computed (the expression, and the lines of the check that led to it),
what came out, what was expected, and the author's hint. In a hidden test, which is there only
while grading, it says the hint alone.
"""

import ast
import inspect
import linecache
import math
import numbers
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Any, NoReturn

import executing
import numpy as np

from course.learn.short_errors import ShortTraceback

EXPRESSION = "\0"  # stands in a message where the checked expression's source goes


class CheckFailed(ShortTraceback, AssertionError):
    """A check found something wrong with the student's part."""


def assert_close(
    actual: Any, expected: Any, *, hint: str = "", rtol: float = 1e-6, atol: float = 1e-9
) -> None:
    """Check that numbers are equal, but for rounding.

    Args:
        actual: what the student's part computed: a number, an array, or lists of them.
        expected: what it should be, in the same form. nan equals nan.
        hint: what to look at when it is not so.
        rtol: how far apart they may be, relative to expected.
        atol: how far apart they may be in any case.

    Raises:
        CheckFailed: naming the expression, what came out and what was expected.
    """
    __tracebackhide__ = True
    problem = _difference(actual, expected, rtol, atol)
    if problem:
        _fail(problem, hint)


def assert_equal(actual: Any, expected: Any, *, hint: str = "") -> None:
    """Check that two things are equal; for names, counts, shapes, lists of objects.

    Raises:
        CheckFailed: naming the expression, what came out and what was expected.
    """
    __tracebackhide__ = True
    lists = isinstance(expected, (list, tuple)) and isinstance(actual, (list, tuple))
    if lists and len(actual) != len(expected):
        _fail(f"{EXPRESSION} has length {len(actual)}, expected {len(expected)}", hint)
    if not _same(actual, expected):
        _fail(f"{EXPRESSION} is {_show(actual)}, expected {_show(expected)}", hint)


def assert_true(condition: Any, hint: str) -> None:
    """Check that a condition holds.

    Raises:
        CheckFailed: naming the condition.
    """
    __tracebackhide__ = True
    if not condition:
        _fail(f"this should hold, and does not: {EXPRESSION}", hint)


def assert_raises(
    exception: type[BaseException], function: Callable[..., Any], *args: Any, hint: str = ""
) -> None:
    """Check that function(*args) raises the exception.

    Raises:
        CheckFailed: if it returns, or raises something else.
    """
    __tracebackhide__ = True
    call = f"{EXPRESSION} called with ({', '.join(map(_show, args))})"
    try:
        result = function(*args)
    except exception:
        return
    except NotImplementedError:
        raise
    except Exception as error:
        problem = f"{call} raised {type(error).__name__}: {error}, expected {exception.__name__}"
    else:
        problem = f"{call} returned {_show(result)}, expected it to raise {exception.__name__}"
    _fail(problem, hint, argument=1)


def assert_gradients(
    function: Callable[..., Any], *inputs: Any, hint: str = "", rtol: float = 1e-5
) -> None:
    """Check backward against the definition of the derivative, input by input.

    Args:
        function: takes the inputs, returns one result that has `data` and `backward()`.
        inputs: objects with float `data` and `grad`, which `type(input)(number)` can make.
        hint: what to look at when a gradient is wrong.
        rtol: how far apart gradient and numerical derivative may be, relative to 1 + |derivative|.

    Raises:
        CheckFailed: naming the input, its gradient and the numerical derivative.
    """
    __tracebackhide__ = True
    numbers_in = [x.data for x in inputs]
    names = [*inspect.signature(function).parameters]
    names += [f"input number {i}" for i in range(len(names), len(inputs))]
    result = function(*inputs)
    if not hasattr(result, "backward"):
        _fail(
            f"{EXPRESSION} returns {_wrong_kind(result)}, expected a result with backward()", hint
        )
    result.backward()
    step = 1e-5
    for i, x in enumerate(inputs):

        def at(number: float, i: int = i) -> float:
            moved = [*numbers_in[:i], number, *numbers_in[i + 1 :]]
            return function(*[type(x)(value) for x, value in zip(inputs, moved)]).data

        slope = (at(x.data + step) - at(x.data - step)) / (2 * step)
        if not abs(x.grad - slope) <= rtol * (1 + abs(slope)):
            where = ", ".join(map(_show, numbers_in))
            _fail(
                f"{EXPRESSION} at ({where}): backward gives {names[i]} the gradient "
                f"{_show(x.grad)}, the numerical derivative is {_show(slope)}",
                hint,
            )


def _difference(actual: Any, expected: Any, rtol: float, atol: float) -> str | None:
    """What is wrong with actual, shape before values."""
    if _is_number(expected):
        return _number_difference(EXPRESSION, actual, expected, rtol, atol)
    if not isinstance(actual, (Sequence, np.ndarray)):
        return f"{EXPRESSION} is {_wrong_kind(actual)}, expected {len(expected)} numbers"
    if np.shape(expected) != _shape(actual):
        return f"{EXPRESSION} has shape {_shape(actual)}, expected shape {np.shape(expected)}"
    for index in np.ndindex(np.shape(expected)):
        problem = _number_difference(
            f"{EXPRESSION}[{', '.join(map(str, index))}]",
            _pick(actual, index),
            _pick(expected, index),
            rtol,
            atol,
        )
        if problem:
            return problem
    return None


def _number_difference(
    name: str, actual: Any, expected: Any, rtol: float, atol: float
) -> str | None:
    if not _is_number(actual):
        return f"{name} is {_wrong_kind(actual)}, expected the number {_show(expected)}"
    try:
        a, e = float(actual), float(expected)
    except OverflowError:
        return f"{name} is too large for a float, expected {_show(expected)}"
    if math.isnan(e) and math.isnan(a):
        return None
    if a == e or (math.isfinite(e) and abs(a - e) <= max(rtol * abs(e), atol)):
        return None
    return f"{name} is {_show(actual)}, expected {_show(expected)}"


def _wrong_kind(actual: Any) -> str:
    if actual is None:
        return "None (is a `return` missing?)"
    if hasattr(actual, "data") and hasattr(actual, "grad"):
        return f"a whole {type(actual).__name__}, not its number (is `.data` missing?)"
    return f"{_show(actual)}, a {type(actual).__name__}"


def _is_number(x: Any) -> bool:
    if isinstance(x, np.ndarray):
        return x.ndim == 0 and x.dtype.kind in "biuf"
    return isinstance(x, (numbers.Real, np.bool_))


def _shape(x: Any) -> tuple[int, ...]:
    """The shape of an array, or of lists of numbers; objects count as numbers."""
    if isinstance(x, np.ndarray):
        return x.shape
    if not isinstance(x, Sequence) or isinstance(x, str):
        return ()
    inner = {_shape(item) for item in x}
    return (len(x), *(inner.pop() if len(inner) == 1 else ()))


def _pick(x: Any, index: tuple[int, ...]) -> Any:
    for i in index:
        x = x[i]
    return x


def _same(actual: Any, expected: Any) -> bool:
    if isinstance(expected, np.ndarray) or isinstance(actual, np.ndarray):
        return np.array_equal(actual, expected)
    if isinstance(expected, (list, tuple)) and type(actual) is type(expected):
        return len(actual) == len(expected) and all(map(_same, actual, expected))
    equal = actual == expected
    return isinstance(equal, (bool, np.bool_)) and bool(equal)


def _show(x: Any) -> str:
    if isinstance(x, (float, np.floating)):
        return f"{x:.9g}"
    text = repr(x)
    return text if len(text) <= 200 else text[:190] + " ..."


def _fail(problem: str, hint: str, argument: int = 0) -> NoReturn:
    """Raise CheckFailed, with what the check's own source says about the call.

    The source of the helper's argument of that number goes where EXPRESSION stands.
    """
    __tracebackhide__ = True
    frame = inspect.currentframe()
    while frame is not None and frame.f_globals.get("__name__") == __name__:
        frame = frame.f_back
    call = _read_call(frame, argument)
    if call.hidden:
        raise CheckFailed("A hidden test failed. " + (hint or "Try small cases of your own."))
    lines = [problem.replace(EXPRESSION, call.expression)]
    if call.values:
        lines.append(f"where {call.values}")
    if call.before:
        lines += [call.since, textwrap.indent(call.before, "    ")]
    if hint:
        lines.append(f"Hint: {hint}")
    raise CheckFailed("\n".join(lines))


@dataclass
class _Call:
    """A call of a helper, as it stands in the check's source."""

    expression: str = "the result"
    values: str = ""  # what the expression's names stand for, if they are few and short
    before: str = ""
    since: str = "after:"
    hidden: bool = False


def _read_call(frame: FrameType | None, argument: int) -> _Call:
    """Read the check's source: the argument of that number, and the lines since the last assertion."""
    if frame is None:
        return _Call()
    source = "".join(linecache.getlines(frame.f_code.co_filename, frame.f_globals))
    lines = source.splitlines()
    above = [line.strip() for line in lines[: frame.f_lineno]]
    hidden = above.count("### BEGIN HIDDEN TESTS") > above.count("### END HIDDEN TESTS")
    node = executing.Source.executing(frame).node
    if not isinstance(node, ast.Call) or len(node.args) <= argument:
        return _Call(hidden=hidden)
    expression = ast.get_source_segment(source, node.args[argument]) or "the result"
    before: list[str] = []
    since = "after:"
    for statement in ast.parse(source).body:
        if statement.lineno >= node.lineno or (statement.end_lineno or 0) >= node.lineno:
            break
        text = ast.get_source_segment(source, statement) or ""
        if text.startswith("assert_"):
            before, since = [], "after, since the last check that held:"
        else:
            before.append(text)
    shown = "\n".join(before)
    if shown.count("\n") >= 8:
        shown = ""  # too long to help; the cell itself stands above
    values = _values(node.args[argument], frame)
    return _Call(" ".join(expression.split()), values, shown, since, hidden)


def _values(expression: ast.expr, frame: FrameType) -> str:
    """What the names of an expression stand for: "c is None". Functions and classes go without."""
    names = dict.fromkeys(n.id for n in ast.walk(expression) if isinstance(n, ast.Name))
    scope = frame.f_globals | frame.f_locals
    known = {name: scope[name] for name in names if name in scope}
    shown = [f"{name} is {_show(x)}" for name, x in known.items() if not callable(x)]
    plain = isinstance(expression, ast.Name)  # then the message has said it already
    return "" if plain or len(shown) > 3 or len(" ".join(shown)) > 200 else ", ".join(shown)
