"""Values that travel: plain data in, JSON, plain data out. Nothing is ever unpickled.

`encode` runs beside student code and `decode` where marks are decided. What is not plain (numbers,
text, lists, arrays) travels as a `Thing`: its class's name, what it looks like, and a number by
which to tell whether two are the same one.
"""

import base64
import math
import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

MAX_ITEMS = 200_000  # numbers, texts, lists ... in one message
MAX_TEXT = 20_000  # characters of one text
MAX_HASHED = 2_000  # of a set or a dictionary, which a forger may fill with numbers that collide
MAX_ARRAY = 8 * 2**20  # bytes of one array
MAX_DEPTH = 40  # lists in lists
SHOWN = 200  # characters of what something looks like

DTYPE = re.compile(r"[<>|=]?[biufc]\d{1,2}")
LISTS: dict[str, Any] = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}


class Thing:
    """What came of an object that is not plain data.

    Attributes:
        number: the same for the same object, in values that were encoded by one `Encoder`.
        shown: what it looks like.
    """

    def __init__(self, number: int, shown: str) -> None:
        self.number = number
        self.shown = shown

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Thing) and self.number == other.number

    def __hash__(self) -> int:
        return hash(self.number)

    def __repr__(self) -> str:
        return self.shown


@dataclass(frozen=True)
class Class:
    """What came of a class: its name, with the module's."""

    name: str

    def __repr__(self) -> str:
        return f"<class '{self.name.removeprefix('builtins.')}'>"


class Encoder:
    """Turns values into JSON. It keeps the objects it has seen, so that their numbers stay theirs."""

    def __init__(self) -> None:
        self._seen: dict[int, tuple[int, Any]] = {}
        self._room = 0

    def encode(self, value: Any) -> Any:
        """The value as JSON data.

        Methods that student code may have put on its classes are not called, but for `__repr__`.
        """
        self._room = MAX_ITEMS
        return self._encode(value, 0)

    def _encode(self, x: Any, depth: int) -> Any:
        self._room -= 1
        kind = type(x)
        if x is None or kind is bool:
            return x
        if isinstance(x, str):
            return _whole(str.__str__(x)[:MAX_TEXT])
        if isinstance(x, bytes):
            return {"bytes": bytes.hex(bytes.__getitem__(x, slice(0, MAX_TEXT)))}
        if isinstance(x, np.generic):
            return self._array("scalar", np.ndarray.view(np.asarray(x), np.ndarray), x)
        if isinstance(x, int):
            number = int.__index__(x)
            return number if abs(number) < 2**53 else {"int": hex(number)}
        if isinstance(x, float):
            real = float.__float__(x)
            return real if math.isfinite(real) else {"float": repr(real)}
        if kind is Fraction:
            return self._encode(float(x), depth)
        if isinstance(x, complex):
            return {"complex": [x.real, x.imag]} if kind is complex else self._thing(x)
        if isinstance(x, np.ndarray):
            return self._array("array", np.ndarray.view(x, np.ndarray), x)
        if kind is range and _steps(x) <= MAX_ITEMS:
            return {"range": [x.start, x.stop, x.step]}
        if depth < MAX_DEPTH and self._room > 0:
            for name, plain in LISTS.items():
                if isinstance(x, plain) and (name in ("list", "tuple") or len(x) <= MAX_HASHED):
                    return self._items(name, list(plain.__iter__(x)), x, depth)
            if isinstance(x, dict) and dict.__len__(x) * 2 <= MAX_HASHED:
                pairs = [item for pair in dict.items(x) for item in pair]
                return self._items("dict", pairs, x, depth)
        return self._thing(x)

    def _items(self, name: str, items: list[Any], x: Any, depth: int) -> Any:
        if len(items) > self._room:
            return self._thing(x)
        return {name: [self._encode(item, depth + 1) for item in items]}

    def _array(self, name: str, array: np.ndarray, x: Any) -> Any:
        if array.dtype.kind not in "biufc" or array.nbytes > MAX_ARRAY:
            return self._thing(x)
        data = base64.b64encode(np.ascontiguousarray(array).tobytes()).decode("ascii")
        return {name: [array.dtype.str, list(array.shape), data]}

    def _thing(self, x: Any) -> Any:
        if isinstance(x, type):
            return {"type": f"{x.__module__}.{x.__qualname__}"[:SHOWN]}
        number, _ = self._seen.setdefault(id(x), (len(self._seen), x))
        thing = {"number": number, "class": type(x).__name__[:SHOWN], "shown": look(x)}
        try:
            if hasattr(x, "data") and hasattr(x, "grad"):
                thing["differentiable"] = True
        except Exception:  # whatever the student's __getattr__ raises
            pass
        return {"thing": thing}


def _steps(x: range) -> int:
    try:
        return len(x)
    except OverflowError:
        return MAX_ITEMS + 1


def look(x: Any) -> str:
    """What something looks like, in few characters; its own `__repr__` may fail."""
    try:
        text = str.__str__(repr(x))
    except Exception:
        text = f"<{type(x).__name__}>"
    return words(text if len(text) <= SHOWN else text[: SHOWN - 10] + " ...", SHOWN)


def words(text: Any, limit: int) -> str:
    """Text of a student's, cut, and without what no file can hold."""
    return _whole(text[:limit]).replace("\0", "") if isinstance(text, str) else ""


def _whole(text: str) -> str:
    """Text without halves of characters."""
    return text.encode("utf-8", "replace").decode()


class Untrue(ValueError):
    """What arrived is nothing that `Encoder` makes."""


def decode(data: Any, *, ours: bool = False) -> Any:
    """The value that JSON data stands for. The data may be anything: it comes from student code.

    Args:
        data: what arrived.
        ours: it is of another process than the student's, so that no object in it is one of theirs.

    Raises:
        Untrue: if it stands for no value, or for one that is too large.
    """
    try:
        return _Decoder(ours).decode(data, 0)
    except Untrue:
        raise
    except Exception as error:  # a shape that does not fit, text that is no number ...
        raise Untrue(f"no value: {type(error).__name__}") from None


class _Decoder:
    """Decodes one value; it keeps the encoder's limits, as the encoder may not have."""

    def __init__(self, ours: bool) -> None:
        self.room = MAX_ITEMS
        self.ours = ours

    def decode(self, data: Any, depth: int) -> Any:
        self.room -= 1
        if self.room < 0 or depth > MAX_DEPTH + 1:
            raise Untrue("too large a value")
        if isinstance(data, str):
            return _whole(data[:MAX_TEXT])
        if data is None or isinstance(data, (bool, int, float)):
            return data
        if not isinstance(data, dict) or len(data) != 1:
            raise Untrue("no value")
        ((name, content),) = data.items()
        match name:
            case "int":
                return int(_short(content), 16)
            case "float":
                return float(_short(content))
            case "complex":
                return complex(*content)
            case "bytes":
                return bytes.fromhex(content[: 2 * MAX_TEXT])
            case "range":
                numbers = range(*content)
                if len(numbers) > MAX_ITEMS:
                    raise Untrue("too long a range")
                return numbers
            case "scalar" | "array":
                return _array(name, *content)
            case "thing":
                return _thing(self.ours, **content)
            case "type":
                return Class(words(content, SHOWN))
        if name not in (*LISTS, "dict") or not isinstance(content, list):
            raise Untrue("no value")
        if name not in ("list", "tuple") and len(content) > MAX_HASHED:
            raise Untrue("too large a set")
        items = [self.decode(item, depth + 1) for item in content]
        if name == "dict":
            return dict(zip(items[::2], items[1::2], strict=True))
        return LISTS[name](items)


def _short(text: Any) -> str:
    if not isinstance(text, str) or len(text) > MAX_TEXT:
        raise Untrue("no number")
    return text


def _array(name: str, dtype: str, shape: list[int], data: str) -> Any:
    if not DTYPE.fullmatch(dtype) or len(data) > MAX_ARRAY * 4 // 3 + 4:
        raise Untrue("no array")
    array = np.frombuffer(base64.b64decode(data, validate=True), np.dtype(dtype)).reshape(shape)
    return array[()] if name == "scalar" else array


def _thing(
    ours: bool, number: int, shown: str, differentiable: bool = False, **names: str
) -> Thing:
    if not isinstance(names["class"], str):
        raise Untrue("no thing")
    # A class of its own, so that messages can say what it is a thing of.
    kind = type(words(names["class"], SHOWN) or "thing", (Thing,), {})
    thing = kind(-1 - int(number) if ours else int(number), words(shown, SHOWN + 20))
    if differentiable is True:
        thing.data = thing.grad = None  # which is what messages look for
    return thing
