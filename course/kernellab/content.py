"""What a kernel is made of, as a key: its words, and all that the names in it stand for.

In notebooks and in tests, cells with kernels run again and again. Reading and typing a kernel takes
a tenth of a second, compiling it a second; by this key, one that has not changed is known again.
"""

import inspect
from collections.abc import Callable, Hashable
from types import CodeType, ModuleType
from typing import Any

import numpy as np
from numba import types


class Same:
    """An object that is equal to itself alone, and stays alive as long as a key has it."""

    __slots__ = ("thing",)

    def __init__(self, thing: Any) -> None:
        self.thing = thing

    def __hash__(self) -> int:
        return id(self.thing)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and self.thing is other.thing


def content(function: Callable) -> Hashable:
    """The key of a kernel, a device function, or a plain Python function.

    Two functions have the same key if they stand at the same place of the same file or cell, in the
    same words, and if what they use of the names outside is the same.
    """
    return _content(function, ())


def _content(function: Callable, around: tuple[Callable, ...]) -> Hashable:
    code = getattr(function, "__code__", None)
    try:
        lines, first = inspect.getsourcelines(function)
    except (OSError, TypeError):
        lines = []
    if code is None or not lines or function in around:
        return Same(function)
    names = _names(code)
    outside = {n: function.__globals__[n] for n in sorted(names) if n in function.__globals__}
    for name, cell in zip(code.co_freevars, function.__closure__ or ()):
        try:
            outside[name] = cell.cell_contents
        except ValueError:  # not yet assigned
            outside[name] = None
    inner = (*around, function)
    values = tuple((name, _value(value, names, inner)) for name, value in outside.items())
    return code.co_filename, first, "".join(lines), values


def _names(code: CodeType) -> set[str]:
    """Names of globals and attributes, those of functions inside as well."""
    inside = [part for part in code.co_consts if isinstance(part, CodeType)]
    return set(code.co_names).union(*map(_names, inside))


def _value(value: Any, names: set[str], around: tuple[Callable, ...]) -> Hashable:
    if hasattr(type(value), "py_func") or type(value).__name__ == "CUDADispatcher":
        return "device", _content(value.py_func, around)
    if isinstance(value, (bool, int, float, complex, str, np.generic, types.Type)):
        return type(value), repr(value)
    if isinstance(value, tuple):
        return tuple(_value(part, names, around) for part in value)
    if isinstance(value, np.ndarray):
        return value.shape, value.dtype.str, value.tobytes()
    if isinstance(value, ModuleType):
        if value.__name__.partition(".")[0] in ("numba", "math", "numpy", "operator"):
            return value.__name__
        used = sorted(name for name in names if name in vars(value))
        return value.__name__, tuple((n, _value(vars(value)[n], names, around)) for n in used)
    return Same(value)
