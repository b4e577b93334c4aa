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
from functools import partial
from types import FrameType
from typing import Any, NoReturn

import executing
import numpy as np

from course.learn.short_errors import ShortTraceback

EXPRESSION = "\0"  # stands in a message where the checked expression's source goes
BEGIN_HIDDEN, END_HIDDEN = "### BEGIN HIDDEN TESTS", "### END HIDDEN TESTS"
HIDDEN_FAILED = "A hidden test failed."
TRY = "Try small cases of your own."


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
    problem = close_problem(actual, expected, rtol, atol)
    if problem:
        _fail(problem, hint)


def assert_equal(actual: Any, expected: Any, *, hint: str = "") -> None:
    """Check that two things are equal; for names, counts, shapes, lists of objects.

    Raises:
        CheckFailed: naming the expression, what came out and what was expected.
    """
    __tracebackhide__ = True
    problem = equal_problem(actual, expected)
    if problem:
        _fail(problem, hint)


def assert_true(condition: Any, hint: str) -> None:
    """Check that a condition holds.

    Raises:
        CheckFailed: naming the condition.
    """
    __tracebackhide__ = True
    if not condition:
        _fail(NOT_TRUE, hint)


def assert_raises(
    exception: type[BaseException], function: Callable[..., Any], *args: Any, hint: str = ""
) -> None:
    """Check that function(*args) raises the exception.

    Raises:
        CheckFailed: if it returns, or raises something else.
    """
    __tracebackhide__ = True
    not_written = () if issubclass(NotImplementedError, exception) else NotImplementedError
    attempt = attempt_call(function, *args, passed_on=not_written)
    problem = raises_problem(attempt, exception.__name__)
    if problem:
        _fail(problem, hint, argument=1)


def assert_gradients(
    function: Callable[..., Any], *inputs: Any, hint: str = "", rtol: float = 1e-5
) -> None:
    """Check backward against the definition of the derivative, input by input.

    Args:
        function: takes the inputs, returns one result that has `data` and `backward()`.
        inputs: objects with float `data` and `grad`, which `type(input)(number)` can make; or
            tensors, which are varied element by element, in float64.
        hint: what to look at when a gradient is wrong.
        rtol: how far apart gradient and numerical derivative may be, relative to 1 + |derivative|.

    Raises:
        CheckFailed: naming the input, its gradient and the numerical derivative.
    """
    __tracebackhide__ = True
    slopes = measure_slopes(function, *inputs)
    problem = gradients_problem(slopes, slopes.numerical, rtol)
    if problem:
        _fail(problem, hint)


def assert_clean(report: Any, *, hint: str = "") -> None:
    """Check that a kernel was launched without faults.

    Args:
        report: what `lab.watch` or `lab.check` of `course.kernellab` gave.
        hint: what to look at when there are faults.

    Raises:
        CheckFailed: naming the faults.
    """
    __tracebackhide__ = True
    problem = clean_problem(faults_of(report))
    if problem:
        _fail(problem, hint)


# What the helpers measure, and what they say of it. Grading measures and says the same, in two processes.

NOT_TRUE = f"this should hold, and does not: {EXPRESSION}"


@dataclass
class Attempt:
    """What came of a call.

    Attributes:
        arguments: what it was called with, in words.
        raised: the names of the error's class and of its base classes; empty if it returned.
        text: the error in words, or what was returned.
    """

    arguments: str
    raised: list[str]
    text: str


def attempt_call(
    function: Callable[..., Any], *args: Any, passed_on: Any = NotImplementedError
) -> Attempt:
    """Call a function, and tell what happened. An exercise that is not written yet is no attempt.

    Raises:
        NotImplementedError: if the function does.
    """
    __tracebackhide__ = True
    arguments = ", ".join(map(_show, args))
    try:
        result = function(*args)
    except passed_on:
        raise
    except Exception as error:
        names = [kind.__name__ for kind in type(error).__mro__]
        return Attempt(arguments, names, f"{type(error).__name__}: {error}")
    return Attempt(arguments, [], _show(result))


def raises_problem(attempt: Attempt, expected: str) -> str | None:
    """What is wrong with a call that should have raised the error of this name."""
    call = f"{EXPRESSION} called with ({attempt.arguments})"
    if not attempt.raised:
        return f"{call} returned {attempt.text}, expected it to raise {expected}"
    if expected not in attempt.raised:
        return f"{call} raised {attempt.text}, expected {expected}"
    return None


@dataclass
class Slopes:
    """Gradients of one result, beside the numerical derivatives.

    Attributes:
        names: what the function calls its inputs.
        at: the numbers, or arrays, that went in.
        gradients: what backward gave each input; None if the result has no backward.
        numerical: the central differences, in the inputs' shapes.
        result: what the function returned, if that has no backward.
    """

    names: list[str]
    at: list[Any]
    gradients: list[Any] | None
    numerical: list[Any]
    result: Any = None


def measure_slopes(function: Callable[..., Any], *inputs: Any) -> Slopes:
    """Run backward, and the central difference for each number in each input.

    A result that is an array counts as the sum of its elements, each with a weight of its own:
    so a gradient that ends up at the wrong element is seen.

    Args:
        function: takes the inputs, returns one result that has `data` and `backward()`.
        inputs: objects with float `data` and `grad`, which `type(input)(number)` can make, or with
            arrays, which `type(input)(array, requires_grad=True)` can make.
    """
    __tracebackhide__ = True
    at = [np.array(x.data, float) if isinstance(x.data, np.ndarray) else x.data for x in inputs]
    names = [*inspect.signature(function).parameters][: len(inputs)]
    names += [f"input number {i}" for i in range(len(names), len(inputs))]
    if any(isinstance(values, np.ndarray) for values in at):
        inputs = tuple(_with_values(inputs, at))
    result = function(*inputs)
    if not hasattr(result, "backward"):
        return Slopes(names, at, None, [], result)
    if isinstance(result.data, np.ndarray) and result.data.ndim:
        weights = np.linspace(0.5, 1.5, result.data.size).reshape(result.data.shape)
        result.backward(type(result)(weights))
    else:
        weights = None
        result.backward()

    def total(i: int, moved: Any) -> Any:
        output = function(*_with_values(inputs, [*at[:i], moved, *at[i + 1 :]])).data
        return output if weights is None else (output * weights).sum()

    numerical = [_central_difference(partial(total, i), x) for i, x in enumerate(at)]
    return Slopes(names, at, [_numbers_of(x.grad) for x in inputs], numerical)


def _numbers_of(grad: Any) -> Any:
    """A gradient as a number or an array; that of a tensor is a tensor itself."""
    if grad is None or isinstance(grad, (np.ndarray, numbers.Number)):
        return grad
    return getattr(grad, "data", grad)


def _with_values(inputs: Sequence[Any], values: Sequence[Any]) -> list[Any]:
    """Inputs of the same kinds, with these numbers or arrays."""
    return [
        type(x)(value, requires_grad=True) if isinstance(value, np.ndarray) else type(x)(value)
        for x, value in zip(inputs, values)
    ]


def _central_difference(f: Callable[[Any], Any], x: Any, step: float = 1e-5) -> Any:
    """The slope of f by x; by each element of x, if that is an array."""
    if not isinstance(x, np.ndarray):
        return (f(x + step) - f(x - step)) / (2 * step)
    slopes = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        moved = x.copy()
        moved[index] = x[index] + step
        above = f(moved)
        moved = x.copy()
        moved[index] = x[index] - step
        slopes[index] = (above - f(moved)) / (2 * step)
    return slopes


def gradients_problem(slopes: Slopes, expected: Sequence[Any], rtol: float = 1e-5) -> str | None:
    """What is wrong with the gradients, if these are the derivatives."""
    if slopes.gradients is None:
        return (
            f"{EXPRESSION} returns {_wrong_kind(slopes.result)}, expected a result with backward()"
        )
    where = ", ".join(map(_show_values, slopes.at))
    for name, gradient, slope in zip(slopes.names, slopes.gradients, expected):
        said = f"{EXPRESSION} at ({where}): backward gives {name}"
        shape = np.shape(slope)
        if shape and gradient is None:
            return f"{said} no gradient at all, expected one of shape {shape}"
        if shape and _shape(gradient) != shape:
            return f"{said} a gradient of shape {_shape(gradient)}, expected shape {shape}"
        for index in np.ndindex(shape):
            got, wanted = _pick(gradient, index), _pick(slope, index)
            if not (_is_number(got) and abs(got - wanted) <= rtol * (1 + abs(wanted))):
                place = f"[{', '.join(map(str, index))}]" if index else ""
                return (
                    f"{EXPRESSION} at ({where}): backward gives {name}{place} the gradient "
                    f"{_show(got)}, the numerical derivative is {_show(wanted)}"
                )
    return None


def _show_values(x: Any) -> str:
    """Numbers in one line, an array as nested lists."""
    if not isinstance(x, np.ndarray):
        return _show(x)
    text = np.array2string(x, separator=", ", precision=4, threshold=20)
    return " ".join(text.split())


MOST_FAULTS = 3
"""Faults that a message tells; the others are most often the same mistake."""


def faults_of(report: Any) -> list[str]:
    """The faults that a report of a kernel's launch names, in words.

    Raises:
        TypeError: if it is no report.
    """
    __tracebackhide__ = True
    faults = getattr(report, "faults", None)
    if not isinstance(faults, list):
        raise TypeError(f"assert_clean wants the report of a launch, and got {_show(report)}")
    return [str(fault) for fault in faults]


def clean_problem(faults: Any) -> str | None:
    """What is wrong with a launch that has these faults; it should have none."""
    if not isinstance(faults, list) or not all(isinstance(fault, str) for fault in faults):
        return NOT_TRUE
    if not faults:
        return None
    count = "a fault" if len(faults) == 1 else f"{len(faults)} faults"
    lines = [f"{EXPRESSION}: the launch has {count}"]
    lines += [f"* {fault}" for fault in faults[:MOST_FAULTS]]
    if len(faults) > MOST_FAULTS:
        lines.append(f"* and {len(faults) - MOST_FAULTS} more")
    return "\n".join(lines)


def equal_problem(actual: Any, expected: Any) -> str | None:
    """What is wrong with actual, which should equal expected."""
    lists = isinstance(expected, (list, tuple)) and isinstance(actual, (list, tuple))
    if lists and len(actual) != len(expected):
        return f"{EXPRESSION} has length {len(actual)}, expected {len(expected)}"
    if not _same(actual, expected):
        return f"{EXPRESSION} is {_show(actual)}, expected {_show(expected)}"
    return None


def close_problem(actual: Any, expected: Any, rtol: float = 1e-6, atol: float = 1e-9) -> str | None:
    """What is wrong with actual, which should be close to expected: shape before values."""
    if _is_number(expected):
        return _number_difference(EXPRESSION, actual, expected, rtol, atol)
    if not isinstance(actual, (Sequence, np.ndarray)):
        return f"{EXPRESSION} is {_wrong_kind(actual)}, expected {len(expected)} numbers"
    if np.shape(expected) != _shape(actual):
        return f"{EXPRESSION} has shape {_shape(actual)}, expected shape {np.shape(expected)}"
    if isinstance(actual, np.ndarray) and _all_close(actual, expected, rtol, atol):
        return None
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


def _all_close(actual: np.ndarray, expected: Any, rtol: float, atol: float) -> bool:
    """Whether all numbers of an array are as they should be, without going through them one by one."""
    numbers = np.asarray(expected)
    if not {actual.dtype.kind, numbers.dtype.kind} <= set("biuf"):
        return False
    a, e = actual.astype(float), numbers.astype(float)
    with np.errstate(invalid="ignore"):
        near = np.isfinite(e) & (np.abs(a - e) <= np.maximum(rtol * np.abs(e), atol))
    return bool(np.all((a == e) | near | (np.isnan(a) & np.isnan(e))))


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
    if isinstance(x, range):
        return (len(x),)
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
    try:
        text = repr(x)
    except ValueError:  # Python refuses to write integers of thousands of digits
        text = f"<{type(x).__name__} too long to show>"
    return text if len(text) <= 200 else text[:190] + " ..."


def _fail(problem: str, hint: str, argument: int = 0) -> NoReturn:
    """Raise CheckFailed, with what the check's own source says about the call.

    The source of the helper's argument of that number goes where EXPRESSION stands.
    """
    __tracebackhide__ = True
    frame = inspect.currentframe()
    while frame is not None and frame.f_globals.get("__name__") == __name__:
        frame = frame.f_back
    if frame is None:
        raise CheckFailed(explain(problem, Call(), "", hint))
    source = "".join(linecache.getlines(frame.f_code.co_filename, frame.f_globals))
    node = executing.Source.executing(frame).node
    call = read_call(source, node if isinstance(node, ast.Call) else None, frame.f_lineno, argument)
    raise CheckFailed(explain(problem, call, show_names(call.names, frame), hint))


@dataclass(frozen=True)
class Call:
    """A call of a helper, as it stands in the check's source.

    Attributes:
        expression: the source of what is checked.
        names: the names in it, if telling what they stand for would help.
        before: the lines since the last assertion.
        since: how to announce these lines.
        hidden: whether it stands in the hidden part.
    """

    expression: str = "the result"
    names: tuple[str, ...] = ()
    before: str = ""
    since: str = "after:"
    hidden: bool = False


def explain(problem: str, call: Call, values: str, hint: str) -> str:
    """The message of a check that failed; in a hidden test, it is the hint alone.

    Args:
        problem: what is wrong, with EXPRESSION where the checked expression goes.
        call: the helper's call.
        values: what the expression's names stand for, in words.
        hint: the author's hint.
    """
    if call.hidden:
        return f"{HIDDEN_FAILED} {hint or TRY}"
    lines = [problem.replace(EXPRESSION, call.expression)]
    if values:
        lines.append(f"where {values}")
    if call.before:
        lines += [call.since, textwrap.indent(call.before, "    ")]
    if hint:
        lines.append(f"Hint: {hint}")
    return "\n".join(lines)


def read_call(source: str, node: ast.Call | None, line: int, argument: int = 0) -> Call:
    """Read a helper's call in the check's source.

    Args:
        source: the check's.
        node: the call; None if it could not be found.
        line: where it stands.
        argument: which of its arguments is what is checked.
    """
    above = [text.strip() for text in source.splitlines()[:line]]
    hidden = above.count(BEGIN_HIDDEN) > above.count(END_HIDDEN)
    if node is None or len(node.args) <= argument:
        return Call(hidden=hidden)
    checked = node.args[argument]
    expression = ast.get_source_segment(source, checked) or "the result"
    before: list[str] = []
    since = "after:"
    done = [x for x in ast.parse(source).body if (x.end_lineno or x.lineno) < node.lineno]
    for statement in reversed(done):
        text = ast.get_source_segment(source, statement) or ""
        for decorator in reversed(getattr(statement, "decorator_list", [])):
            text = f"@{ast.get_source_segment(source, decorator)}\n{text}"
        if text.startswith("assert_"):
            since = "after, since the last check that held:"
            break
        before.insert(0, text)
    shown = "\n".join(before)
    if shown.count("\n") >= 8:
        shown = ""  # too long to help; the cell itself stands above
    names = dict.fromkeys(_free_names(checked))
    if isinstance(checked, ast.Name):
        names = {}  # the message has said what it is already
    return Call(" ".join(expression.split()), tuple(names), shown, since, hidden)


def _free_names(expression: ast.expr) -> list[str]:
    """The names in an expression, without those that it defines itself: `x` in `lambda x: x + a`."""
    own = {node.arg for node in ast.walk(expression) if isinstance(node, ast.arg)}
    names = [node for node in ast.walk(expression) if isinstance(node, ast.Name)]
    own |= {node.id for node in names if isinstance(node.ctx, ast.Store)}
    return [node.id for node in names if node.id not in own]


def show_names(names: Sequence[str], frame: FrameType) -> str:
    """What names stand for: "c is None". Functions and classes go without; few and short, or none."""
    scope = frame.f_globals | frame.f_locals
    known = {name: scope[name] for name in names if name in scope}
    shown = [f"{name} is {_show(x)}" for name, x in known.items() if not callable(x)]
    return "" if len(shown) > 3 or len(" ".join(shown)) > 200 else ", ".join(shown)
