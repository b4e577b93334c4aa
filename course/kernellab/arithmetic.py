"""Numbers as a compiled kernel has them, for the engine that is plain Python.

`float32 * float64` is a float64 for numba and for numpy; `float32 * 0.5` is a float32 for numpy
only; and Python's integers never overflow. So the Python engine asks numba what type each
operation has, and computes in that type. That makes its results those of the compiled engines,
to the bit.

In here a value is an `int` (an int64), a numpy scalar of any other type, or a `bool`.
"""

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types
from numba.np import numpy_support

from course.kernellab.files import load

OPERATORS: dict[str, Callable] = {
    "Add": operator.add,
    "Sub": operator.sub,
    "Mult": operator.mul,
    "Div": operator.truediv,
    "FloorDiv": operator.floordiv,
    "Mod": operator.mod,
    "Pow": operator.pow,
    "LShift": operator.lshift,
    "RShift": operator.rshift,
    "BitAnd": operator.and_,
    "BitOr": operator.or_,
    "BitXor": operator.xor,
}
INTEGER_RESULT = {"Add", "Sub", "Mult", "BitAnd", "BitOr", "BitXor"}
"""Operations whose result for two ints is an int that only needs wrapping."""

LOW, HIGH = -(2**63), 2**63


class Counts:
    """Operations on floats that were done: ordinary ones, and those of the special units."""

    flops = 0
    special = 0


def numba_type(kind: type) -> types.Type:
    """The numba type of the values of a Python or numpy scalar type."""
    if kind is bool or kind is np.bool_:
        return types.boolean
    if kind is int:
        return types.int64
    if kind is float:
        return types.float64
    return numpy_support.from_dtype(np.dtype(kind))


def wrap(value: int) -> int:
    """An integer as int64 has it: what is too large starts again from below."""
    if LOW <= value < HIGH:
        return value
    return (value - LOW) % 2**64 + LOW


def plain(value: Any) -> Any:
    """int64 scalars as `int`, Python floats as float64: one form for each type."""
    kind = type(value)
    if kind is np.int64:
        return int(value)
    if kind is float:
        return np.float64(value)
    return value


def cast(kind: type) -> Callable[[Any], Any]:
    """The conversion to a scalar type as C does it: nothing is refused, high bits are dropped."""
    kind = np.bool_ if kind is bool else kind
    if kind is np.int64 or kind is int:

        def to_int(value: Any) -> int:
            if type(value) is int:
                return wrap(value)
            return int(np.asarray(value).astype(np.int64))

        return to_int
    dtype = np.dtype(kind)

    def to(value: Any) -> Any:
        if type(value) is kind:
            return value
        if type(value) is int:
            value = np.int64(wrap(value))
        return np.asarray(value).astype(dtype)[()]

    return to


def _same(value: Any) -> Any:
    return value


_CASTS: dict[type, Callable] = {}


def cast_to(kind: type) -> Callable[[Any], Any]:
    """`cast`, made once for each type."""
    if kind not in _CASTS:
        _CASTS[kind] = cast(kind)
    return _CASTS[kind]


def _typing() -> Any:
    from numba.cuda.descriptor import cuda_target

    context = cuda_target.typing_context
    context.refresh()
    return context


def _signature(function: Any, *kinds: type) -> tuple[list[type], type] | None:
    """The types numba converts the arguments to, and the result's; None if it does not know."""
    try:
        found = _typing().resolve_function_type(function, tuple(map(numba_type, kinds)), {})
        args = [numpy_support.as_dtype(arg).type for arg in found.args]
        return args, numpy_support.as_dtype(found.return_type).type
    except Exception:  # whatever numba raises: no such operation for these types
        return None


def binary(symbol: str, counts: Counts) -> Callable[[Any, Any], Any]:
    """The operator with the name of its node in Python's grammar, such as "Add"."""
    function = OPERATORS[symbol]
    rules: dict[tuple[type, type], tuple] = {}
    wraps = symbol in INTEGER_RESULT

    def rule(left: type, right: type) -> tuple:
        found = _signature(function, left, right)
        if found is None:
            return None, None, None, function, 0
        (a, b), result = found
        is_float = issubclass(result, np.floating)
        if issubclass(result, np.integer):
            a = b = result  # uint64 and int64 meet in int64, for which numpy has no rule
        compute = function
        if symbol == "Pow":
            compute = _power(result)
        elif symbol in ("FloorDiv", "Mod") and is_float:
            compute = _compiled("a // b" if symbol == "FloorDiv" else "a % b", a, b, result)
        keep = cast_to(result) if result in (np.int64, np.bool_) else None
        return _conversion(left, a), _conversion(right, b), keep, compute, int(is_float)

    def apply(left: Any, right: Any) -> Any:
        kinds = type(left), type(right)
        if wraps and kinds == (int, int):
            value = function(left, right)
            return value if LOW <= value < HIGH else wrap(value)
        found = rules.get(kinds)
        if found is None:
            found = rules[kinds] = rule(*kinds)
        as_left, as_right, keep, compute, flops = found
        counts.flops += flops
        if as_left is not None:
            left = as_left(left)
        if as_right is not None:
            right = as_right(right)
        value = compute(left, right)
        return value if keep is None else keep(value)

    return apply


def _conversion(kind: type, to: type) -> Callable | None:
    """How a value of one type becomes one of another; None if it is one."""
    if kind is to:
        return None
    if to is np.int64:
        to_int = cast_to(np.int64)
        return lambda value: np.int64(to_int(value))
    return cast_to(to)


def _power(result: type) -> Callable[[Any, Any], Any]:
    """Powers: whole exponents by repeated multiplication, as numba compiles them."""
    compiled = None

    def power(base: Any, exponent: Any) -> Any:
        nonlocal compiled
        if isinstance(exponent, (int, np.integer)) and issubclass(result, np.floating):
            base, left, out = result(base), abs(int(exponent)), result(1)
            while left:
                if left & 1:
                    out = out * base
                left >>= 1
                base = base * base
            return result(1) / out if exponent < 0 else out
        compiled = compiled or _compiled("a**b", result, result, result)
        return compiled(base, exponent)

    return power


def _compiled(text: str, *kinds: type) -> Callable:
    """A formula of a, b ..., compiled by numba: the very code that the other engines run.

    Args:
        text: such as "_math.pow(a, b)".
        kinds: the types of its arguments, and of the result.
    """
    *args, result = kinds
    source = f"{HEADER}def call({', '.join('abc'[: len(args)])}):\n    return {text}\n"
    jitted = load(source, "number").call

    def call(*values: Any) -> Any:
        return result(jitted(*(kind(value) for kind, value in zip(args, values))))

    return call


HEADER = "import math as _math\n\nfrom numba import njit\n\n\n"
HEADER += '@njit(error_model="numpy", cache=True)\n'


def negate(value: Any) -> Any:
    """`-value`."""
    if isinstance(value, (bool, np.bool_)):
        return -int(value)
    if isinstance(value, (int, np.signedinteger)):
        return wrap(-int(value))  # numba makes an int64 of it
    return -value


def invert(value: Any) -> Any:
    """`~value`; of a bool it is the other one, as numba has it."""
    return not value if isinstance(value, (bool, np.bool_)) else ~value


def absolute(value: Any) -> Any:
    """`abs(value)`; the lowest int64 stays what it is."""
    return wrap(abs(value)) if type(value) is int else abs(value)


def reciprocal(value: Any) -> Any:
    """`1 / value`, in its own type."""
    return type(value)(1) / value if isinstance(value, np.floating) else np.float64(1) / value


def mathematical(name: str, counts: Counts) -> Callable:
    """`math.<name>`, in the type in which a kernel computes it.

    Errors are values, as on a GPU: the logarithm of 0 is -inf, not an exception.
    """
    function = getattr(math, name)
    rules: dict[tuple[type, ...], Callable] = {}

    def apply(*values: Any) -> Any:
        kinds = tuple(map(type, values))
        found = rules.get(kinds)
        if found is None:
            signature = _signature(function, *kinds)
            if signature is None:
                raise TypeError(f"math.{name} does not take {[k.__name__ for k in kinds]}")
            args, result = signature
            args = [np.float64 if arg is np.float16 else arg for arg in args]
            text = f"_math.{name}({', '.join('abc'[: len(args)])})"
            found = rules[kinds] = _compiled(text, *args, result)
        counts.special += 1
        return plain(found(*values))

    return apply


def extreme(name: str) -> Callable:
    """`min` and `max` of scalars: in the common type; numbers win over nan, as in CUDA's fmin."""
    better = operator.lt if name == "min" else operator.gt
    builtin = min if name == "min" else max

    def pick(*values: Any) -> Any:
        best = values[0]
        for value in values[1:]:
            found = _rule(builtin, type(best), type(value))
            best, value = found(best), found(value)
            if value == value and (best != best or better(value, best)):
                best = value
        return plain(best)

    return pick


_EXTREMES: dict[tuple, Callable] = {}


def _rule(builtin: Callable, left: type, right: type) -> Callable:
    key = builtin, left, right
    if key not in _EXTREMES:
        found = _signature(builtin, left, right)
        _EXTREMES[key] = cast_to(found[1]) if found else _same
    return _EXTREMES[key]


def rounded(value: Any, digits: int | None = None) -> Any:
    """`round`: half to even."""
    if digits is None:
        return wrap(round(float(value))) if np.isfinite(value) else 0
    return type(value)(round(float(value), digits))


def fma(a: Any, b: Any, c: Any) -> Any:
    """`a * b + c`, in the widest of the three types."""
    kind = np.result_type(*(type(v) for v in (a, b, c))).type
    return kind(kind(a) * kind(b) + kind(c))
