"""How a loop in Python becomes one of the CPU's array functions.

Each function here stands for the one of its name in `course.tensor.numpy_ops`, gives the same, and
leaves to it what is out of the ordinary.
"""

import functools
import types
from collections.abc import Callable
from typing import Any

import numpy as np

from course.tensor import numpy_ops

Array = np.ndarray

COMPILED: dict[str, Callable] = {}


def in_place_of_numpy(fast: Callable) -> Callable:
    """Put a function into the table of compiled ones.

    It gets numpy's function as its first argument, for what it does not do itself. If somebody has
    put a function of their own into numpy_ops, as a student does, that one is called instead.
    """
    name = fast.__name__
    reference = getattr(numpy_ops, name)

    @functools.wraps(reference)
    def choose(*args: Any) -> Any:
        current = getattr(numpy_ops, name)
        return fast(current, *args) if current is reference else current(*args)

    COMPILED[name] = choose
    return fast


def part(function: Callable) -> Callable:
    """A small function that loops call. Compiling a loop puts it in, as if its lines stood there."""
    vars(function)["is_part"] = True
    return function


def loop(function: Callable) -> Callable:
    """Compile a function of loops, when it is first called.

    error_model: a division by 0 gives inf, as in numpy. To look for it would keep loops from using
    the processor's vector instructions. fastmath: sums may be taken in another order, for the same
    reason; inf and nan stay what they are.
    """

    compiled: list[Callable] = []

    @functools.wraps(function)
    def call(*args: Any) -> Any:
        if not compiled:
            import numba

            fastmath = {"reassoc", "contract", "arcp", "nsz"}
            jit = numba.njit(cache=True, error_model="numpy", fastmath=fastmath)
            compiled.append(jit(_with_parts(function, jit)))
        return compiled[0](*args)

    return call


def _with_parts(function: Callable, jit: Callable) -> Callable:
    """The function, seeing compiled parts in place of those in Python."""
    code, names = function.__code__, function.__globals__
    used = {name: names[name] for name in code.co_names if hasattr(names.get(name), "is_part")}
    if not used:
        return function
    names = {**names, **{name: jit(f) for name, f in used.items()}}
    return functools.wraps(function)(types.FunctionType(code, names, function.__name__))


def plain(*arrays: Array) -> bool:
    """Whether these are float arrays of one dtype, their elements in C order, and not empty."""
    dtype = arrays[0].dtype
    if dtype != np.float32 and dtype != np.float64:
        return False
    for array in arrays:
        if array.dtype is not dtype or not array.flags.c_contiguous or not array.size:
            return False
    return True
