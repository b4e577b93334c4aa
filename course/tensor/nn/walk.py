"""Finding what a model is made of: its attributes, and theirs, down to the tensors."""

from collections.abc import Iterator
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

from course.tensor.tensor import Tensor


def parts_of(thing: Any) -> list[tuple[str, Any]]:
    """What a thing holds, with names: of a list or tuple its items, of a dict its values, of an object
    its attributes. A tensor holds nothing here, and neither does a number, a function or a class.
    """
    if isinstance(thing, Tensor | type | FunctionType | BuiltinFunctionType | ModuleType):
        return []
    parts = [(str(name), part) for name, part in getattr(thing, "__dict__", {}).items()]
    if isinstance(thing, dict):
        parts += [(str(key), part) for key, part in thing.items()]
    elif isinstance(thing, list | tuple):
        parts += [(str(i), part) for i, part in enumerate(thing)]
    return parts


def walk(thing: Any, name: str = "", above: tuple[Any, ...] = ()) -> Iterator[tuple[str, Any]]:
    """A thing, and everything in it, however deep: first the thing, then its parts in order.

    A name says the way to a part: "layers.1.bias" is attribute bias of item 1 of attribute layers.

    Args:
        thing: a model, a list or dict of models, any object.
        name: the way that led here; "" at the start.
        above: the things that this one was found in. One of these is not entered a second time, so
            that a model that knows the whole it belongs to is no endless walk.

    Yields:
        Pairs (name, part). What can be reached in two ways comes twice, with two names.
    """
    if any(thing is other for other in above):
        return
    yield name, thing
    for key, part in parts_of(thing):
        yield from walk(part, f"{name}.{key}" if name else key, (*above, thing))
