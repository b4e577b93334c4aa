"""Numbers, values and formulas as short texts, for pictures and for their alt texts."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any

from course.viz.protocol import Node

Rows = tuple[tuple[str, str], ...]


def short(value: Any) -> str:
    """A number in at most about four significant digits; whole numbers below a million in full.

    >>> short(0.123456), short(2.0), short(12345.6), short(-1.5e-7), short(float("nan"))
    ('0.1235', '2', '12346', '-1.5e-7', 'nan')
    """
    x = as_number(value)
    if x is None:
        return "none" if value is None else clip(str(value), 16)
    if not math.isfinite(x):
        is_huge = isinstance(
            value, int
        )  # too large for a float, which is all the infinity there is
        return _plain_exponent(f"{Decimal(value):.3e}") if is_huge else str(x)
    if abs(x) < 1e6 and (x == int(x) or abs(x) >= 1e4):
        return str(round(x))
    return _plain_exponent(f"{x:.4g}")


def as_number(value: Any) -> float | None:
    """The value as a float; None if it is not a number, or is an array of them."""
    if getattr(value, "shape", ()):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
    except (TypeError, ValueError):
        return None


def _plain_exponent(number: str) -> str:
    """1.5e-7 for 1.5e-07."""
    mantissa, e, exponent = number.partition("e")
    return f"{mantissa}e{int(exponent)}" if e else number


def clip(text: str, length: int) -> str:
    """The text in one line of at most `length` characters, without characters that do not print."""
    text = "".join(c if c.isprintable() else " " for c in text)
    return text if len(text) <= length else text[: length - 1] + "…"


VISIBLE = {" ": "␣", "\n": "↵", "\t": "⇥"}


def visible(piece: bytes, can_show: Callable[[str], bool] = str.isprintable) -> str:
    """A piece of text so that its spaces are seen, and bytes that are no whole character.

    Args:
        piece: the bytes of a text in UTF-8, or of a part of one.
        can_show: whether a character can be shown; of others, the bytes are.

    >>> visible(b" the"), visible(b"\\n"), visible("\u00e9".encode()[:1]), visible(b"a\\x00")
    ('␣the', '↵', '\\\\xc3', 'a\\\\x00')
    """
    shown = []
    for character in piece.decode("utf-8", "surrogateescape"):
        codes = character.encode("utf-8", "surrogateescape")
        plain = character if can_show(character) and character.isprintable() else ""
        shown.append(VISIBLE.get(character) or plain or "".join(f"\\x{code:02x}" for code in codes))
    return "".join(shown)


def shape_of(node: Node) -> tuple[int, ...]:
    """The shape of an array node; () for a number."""
    shape = node.shape if hasattr(node, "shape") else getattr(node.data, "shape", ())
    return tuple(shape)


def data_rows(node: Node) -> Rows:
    """What a picture says of a node's value: the number, or an array's shape, dtype and size."""
    shape = shape_of(node)
    if not shape:
        return (("data", short(node.data)),)
    rows = [("shape", str(shape))]
    dtype = node.dtype if hasattr(node, "dtype") else getattr(node.data, "dtype", None)
    if dtype is not None:
        rows.append(("dtype", str(dtype)))
    if hasattr(node, "nbytes"):
        rows.append(("size", size_text(node.nbytes)))
    return tuple(rows)


def size_text(n_bytes: int) -> str:
    """A number of bytes in three digits; a kB is 1,000 bytes.

    >>> size_text(60), size_text(12_544), size_text(999_999), size_text(3_000_000_000)
    ('60 B', '12.5 kB', '1 MB', '3 GB')
    """
    size, unit = float(n_bytes), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if size < 999.5:  # from there on, three digits would say 1000
            break
        size, unit = size / 1000, larger
    return f"{size:.3g} {unit}"


def op_text(node: Node) -> str:
    """The name of a node's operation."""
    return clip(str(node.op), 40) or "(no op)"


def grad_text(grad: Any) -> str:
    """A gradient in short: a number, an array's shape, or "none"."""
    shape = getattr(grad, "shape", ())
    return str(tuple(shape)) if shape else short(grad)


def range_text(values: Iterable[Any]) -> str:
    """From the lowest to the highest of many numbers; what has no place in between is counted.

    >>> range_text([2.0, -1.5, 0.0]), range_text([1.0, 1.0]), range_text([0.0, 1.0, None])
    ('-1.5 to 2', '1', '0 to 1, 1 × none')
    """
    numbers: list[float] = []
    others: Counter[str] = Counter()
    for value in values:
        number = as_number(value)
        if number is None or math.isnan(number):
            others[grad_text(value)] += 1
        else:
            numbers.append(number)
    parts = []
    if numbers:
        low, high = short(min(numbers)), short(max(numbers))
        parts.append(low if low == high else f"{low} to {high}")
    if len(others) == 1 and not numbers:
        return next(iter(others))
    return ", ".join([*parts, *(f"{count:,} × {text}" for text, count in others.items())])


def formula(op: str, inputs: Sequence[str]) -> str:
    """An operation on named inputs, as one would write it.

    >>> formula("+", ["a", "b"]), formula("**2", ["a"]), formula("tanh", ["n"]), formula("[ ]", ["x"])
    ('a + b', 'a**2', 'tanh(n)', 'x[ ]')
    """
    if len(inputs) == 2 and not any(c.isalnum() for c in op):
        return f"{inputs[0]} {op} {inputs[1]}"
    if len(inputs) == 1 and op.startswith(("**", "[")):
        return f"({inputs[0]}){op}" if inputs[0].startswith("-") else f"{inputs[0]}{op}"
    shown = list(inputs) if len(inputs) <= 3 else [*inputs[:2], "…"]
    return f"{op}({', '.join(shown)})"
