"""Values that travel: they come back as they were, and nothing else is taken for a value."""

import json
import math
import pickle
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from test_judge import not_for_ever

from grader.sandbox import values
from grader.sandbox.values import Class, Encoder, Thing, Untrue, decode

NUMBERS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.complex_numbers(allow_nan=False)
)
HASHABLE = st.one_of(
    st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(), st.binary()
)
PLAIN = st.recursive(
    st.one_of(NUMBERS, st.text(), st.binary(), st.integers(-99, 99).map(range)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=5),
        st.lists(inner, max_size=5).map(tuple),
        st.dictionaries(HASHABLE, inner, max_size=5),
        st.sets(HASHABLE, max_size=5),
        st.frozensets(HASHABLE, max_size=5),
    ),
    max_leaves=30,
)
DTYPES = st.one_of(
    hnp.boolean_dtypes(),
    hnp.integer_dtypes(),
    hnp.unsigned_integer_dtypes(),
    hnp.floating_dtypes(),
    hnp.complex_number_dtypes(),
)


def travel(value: Any) -> Any:
    """What comes out of the sandbox for a value."""
    return decode(json.loads(json.dumps(Encoder().encode(value))))


def same(one: Any, other: Any) -> bool:
    """Whether two plain values have the same types and values; nan is nan."""
    if type(one) is not type(other):
        return False
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return same([*one.items()], [*other.items()])
    if isinstance(one, float) and math.isnan(one):
        return math.isnan(other)
    return one == other


@given(PLAIN)
def test_plain_values_come_back_as_they_were(value: Any) -> None:
    assert same(travel(value), value)


@given(hnp.arrays(DTYPES, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5)))
def test_arrays_come_back_as_they_were(array: np.ndarray) -> None:
    back = travel(array)
    assert isinstance(back, np.ndarray) and back.dtype == array.dtype and back.shape == array.shape
    np.testing.assert_array_equal(back, array)
    np.testing.assert_array_equal(travel(array.T), array.T)


@given(hnp.arrays(DTYPES, ()))
def test_numpys_numbers_come_back_as_they_were(array: np.ndarray) -> None:
    number = array[()]
    assert type(travel(number)) is type(number)
    np.testing.assert_array_equal(travel(number), number)


def test_texts_of_numpy_are_texts() -> None:
    assert travel(np.str_("tanh")) == "tanh" and travel(np.bytes_(b"tanh")) == b"tanh"


def test_large_values_are_cut_or_become_things() -> None:
    assert len(travel("x" * 10**6)) < 10**5
    assert len(travel(b"x" * 10**6)) < 10**5
    for large in ([0] * 10**6, np.zeros(10**7), {*range(10**6)}, dict.fromkeys(range(10**6))):
        assert isinstance(travel(large), Thing)
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    json.dumps(Encoder().encode(deep))
    travel(deep)
    itself: list[Any] = []
    itself.append(itself)
    travel(itself)
    while deep:  # freed step by step: Python would call itself too often
        deep = deep.pop()


def test_half_characters_do_not_travel() -> None:
    travel("\ud800").encode()
    travel(["\ud800", {"\udfff": "\ud800"}])[0].encode()


def test_things_know_whether_they_are_the_same_one() -> None:
    one, other = object(), object()
    a, b, c = travel([one, other, one])
    assert a == c and a != b and len({a, b, c}) == 2
    assert travel(int) == Class("builtins.int") and "int" in repr(travel(int))
    kinds = [type(x).__name__ for x in travel([object(), print, ...])]
    assert kinds == ["object", "builtin_function_or_method", "ellipsis"]


class Hostile:
    """An object whose every method raises or lies; none may be called but `__repr__`."""

    calls: list[str] = []  # noqa: RUF012

    def __repr__(self) -> str:
        raise SystemError("no")

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)

    def _called(self, *args: Any) -> Any:
        Hostile.calls.append("called")
        return True

    __eq__ = __bool__ = __len__ = __iter__ = __float__ = __index__ = __int__ = _called  # type: ignore[assignment]
    __array__ = __reduce__ = __reduce_ex__ = __getstate__ = __complex__ = _called  # type: ignore[assignment]
    __hash__ = object.__hash__


def test_an_objects_own_methods_do_not_decide() -> None:
    thing = travel(Hostile())
    assert isinstance(thing, Thing) and "Hostile" in repr(thing) and not Hostile.calls

    class Lying(float):
        def __float__(self) -> float:
            return 4.0

        def __repr__(self) -> str:
            return "4.0"

        __eq__ = __index__ = __array__ = __float__  # type: ignore[assignment]
        __hash__ = float.__hash__

    assert travel(Lying(3.0)) == 3.0

    class Number(int):
        def __index__(self) -> int:
            return 4

        __int__ = __abs__ = __lt__ = __index__  # type: ignore[assignment]

    assert travel(Number(3)) == 3

    class Text(str):
        def __str__(self) -> str:
            return "right"

        encode = __len__ = __str__  # type: ignore[assignment]

    assert travel(Text("wrong")) == "wrong"

    class List(list):
        def __iter__(self) -> Any:
            return iter([4.0])

        __len__ = __getitem__ = __iter__  # type: ignore[assignment]

    assert travel(List([3.0])) == [3.0]

    class Array(np.ndarray):
        def tobytes(self, *args: Any) -> bytes:
            return b"\0" * 8

        def __array_function__(self, *args: Any) -> Any:
            return np.zeros(1)

        def __array_ufunc__(self, *args: Any, **more: Any) -> Any:
            return True

    np.testing.assert_array_equal(travel(np.ones(1).view(Array)), np.ones(1))


# Decoding: the data may be anything.

NAMES = ["int", "float", "complex", "bytes", "range", "scalar", "array", "thing", "type", "dict",
         *values.LISTS, "pickle", "py/object", "__reduce__", "__class__", ""]  # fmt: skip
SCRAPS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20),
    st.sampled_from(["O", "V8", "<f8", "|b1", "M8", "S4", "AAAAAAAA", "0x10", "nan", "class", "__class__"]),
)  # fmt: skip
JUNK = st.recursive(
    SCRAPS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.sampled_from(NAMES), inner, max_size=2),
        st.fixed_dictionaries(
            {"thing": st.dictionaries(st.sampled_from(["number", "class", "shown", "__init__"]), inner)}
        ),
        st.sampled_from(NAMES).flatmap(lambda name: st.lists(inner, max_size=4).map(lambda x: {name: x})),
    ),
    max_leaves=20,
)  # fmt: skip


@settings(max_examples=500)
@given(JUNK)
def test_what_is_no_value_is_refused(data: Any) -> None:
    """It is Untrue or a value; no other error comes out, and no code is run."""
    try:
        value = decode(data)
    except Untrue:
        return
    repr(value)


@pytest.mark.parametrize(
    "data",
    [
        [],
        [1.0],
        {},
        {"a": 1},
        {"list": 3},
        {"list": "ab", "tuple": []},
        {"pickle": pickle.dumps(print).hex()},
        {"array": ["O", [1], "AAAAAAAAAAA="]},
        {"array": ["V8", [1], "AAAAAAAAAAA="]},
        {"array": ["<M8[s]", [1], "AAAAAAAAAAA="]},
        {"array": ["<f8", [2**40], "AAAAAAAAAAA="]},
        {"array": ["<f8", [2**62, 2**62], ""]},
        {"array": ["<f8", ["a"], "AAAAAAAAAAA="]},
        {"array": ["<f8", [1], "not base64"]},
        {"array": ["<f8", [1], "AAAA"]},
        {"array": ["<f8,<f8", [1], "AAAAAAAAAAA="]},
        {"int": [1]},
        {"int": "__import__('os')"},
        {"float": "__import__('os')"},
        {"float": ["1"]},
        {"complex": ["1", "2"]},
        {"bytes": "zz"},
        {"range": [1.5]},
        {"range": [0, 1, 0]},
        {"dict": [1]},
        {"dict": [{"list": []}, 1]},
        {"set": [{"list": []}]},
        {"thing": {"number": "x", "class": "a", "shown": "b"}},
        {"thing": {"number": 0, "class": 3, "shown": "b"}},
        {"thing": {"number": 0, "shown": "b"}},
        {"thing": []},
        {"thing": {"number": math.inf, "class": "a", "shown": "b"}},
        {"eval": "1"},
    ],
)
def test_these_are_no_values(data: Any) -> None:
    with pytest.raises(Untrue):
        decode(data)


def test_nesting_has_an_end() -> None:
    for name in ("list", "tuple", "dict"):
        deep: Any = 1
        for _ in range(10_000):
            deep = {name: [1, deep]}
        with pytest.raises(Untrue):
            decode(deep)


def test_decoding_makes_no_more_than_came() -> None:
    """However it is put, so much text makes no values of another size, nor takes longer."""
    colliding = [{"int": hex(n * (2**61 - 1) + 2**70)} for n in range(200_000)]
    for data in (
        {"list": [0] * 10**6},
        {"set": colliding},
        {"frozenset": colliding},
        {"dict": [x for pair in zip(colliding, colliding) for x in pair]},
        {"set": [n * (2**61 - 1) for n in range(200_000)]},
        {"list": [{"thing": {"number": n, "class": "a", "shown": ""}} for n in range(300_000)]},
        {"array": ["|u1", [2**25], "A" * (2**25 // 3 * 4) + "AAA="]},
    ):
        with not_for_ever(), pytest.raises(Untrue):
            decode(data)


def test_names_of_things_are_short() -> None:
    long = {"thing": {"number": 0, "class": "a" * 10**6, "shown": "b" * 10**6}}
    assert len(type(decode(long)).__name__) < 1000 and len(repr(decode(long))) < 1000
    assert len(repr(decode({"type": "a" * 10**6}))) < 1000
    for half in ({"class": "\ud800", "shown": ""}, {"class": "a", "shown": "\ud800"}):
        try:
            thing = decode({"thing": {"number": 0, **half}})
        except Untrue:
            continue
        (repr(thing) + type(thing).__name__).encode()


def test_decoding_imports_and_runs_nothing() -> None:
    """What `decode` could call is counted, in a Python of its own."""
    code = """
import sys
from grader.sandbox.values import decode, Untrue
decode({"array": ["<f8", [1], "AAAAAAAAAAA="]}), decode({"float": "1"})
loaded = set(sys.modules)
def audit(event, args):
    if event.split(".")[0] in ("import", "exec", "compile", "pickle", "marshal", "open", "os", "subprocess", "socket", "ctypes"):
        found.append(event)
found = []
sys.addaudithook(audit)
for data in ({"type": "os.system"}, {"thing": {"number": 0, "class": "os.system", "shown": "__import__('os')"}},
             {"array": ["O", [1], "gASVHAAAAAAAAACMCGJ1aWx0aW5zlIwFcHJpbnSUk5SMAmhplIWUUpQu"]},
             {"bytes": "6f73"}, {"dict": ["__reduce__", "os.system"]}, {"pickle": "x"}):
    try: decode(data)
    except Untrue: pass
print(found, set(sys.modules) - loaded)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[] set()", done
