"""Judging values that came out of the sandbox: what is right counts, and nothing else does."""

import base64
import contextlib
import json
import math
import signal
from collections.abc import Iterator
from typing import Any

import nbformat
import numpy as np
import pytest
from small_course import CHECK_HALF, solved

from course.learn.checks import measure_slopes
from grader.answer_key import make_key
from grader.dissect import dissect
from grader.errors import GraderError
from grader.judge import CheckKey, Judge
from grader.sandbox.values import Encoder

PLAIN = 'assert_close(double(2.0), 4.0, hint="twice two")'
TWO = f"""{PLAIN}
### BEGIN HIDDEN TESTS
assert_equal(double(5), 10)
### END HIDDEN TESTS"""


def judge_of(source: str, *expected: list[Any], points: float = 2.0) -> Judge:
    """A judge of a check with these expected values, for each site and each time."""
    sites = dissect(source, {"double"}).sites
    coded = [[Encoder().encode(value) for value in values] for values in expected]
    return Judge(sites, CheckKey(points, expected=coded))


def sent(value: Any, site: int = 0) -> dict[str, Any]:
    """The message of an assertion with one value, as it arrives."""
    return json.loads(json.dumps({"site": site, "values": [Encoder().encode(value)]}))


@contextlib.contextmanager
def not_for_ever(seconds: int = 20) -> Iterator[None]:
    """Interrupts what would run for hours."""

    def stop(*_: object) -> None:
        raise TimeoutError("it would have run for hours")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def passes(source: str, expected: Any, value: Any) -> bool:
    """Whether a check of one assertion passes with this value."""
    judge = judge_of(source, [expected])
    going = judge.hear(sent(value))
    assert not judge.odd
    return judge.finish(hidden=False) and going


def test_a_check_passes_with_all_its_values_and_no_others() -> None:
    judge = judge_of(TWO, [4.0], [10])
    assert judge.hear(sent(4.0)) and judge.finish(hidden=False)
    judge.hidden = True
    assert not judge.finish(hidden=True)  # nothing came of the hidden part yet
    judge = judge_of(TWO, [4.0], [10])
    assert judge.hear(sent(4.0)) and judge.finish(hidden=False)
    judge.hidden = True
    assert judge.hear(sent(10, site=1)) and judge.finish(hidden=True)
    assert judge.message() == "" and not judge.odd


def test_too_few_values() -> None:
    judge = judge_of(TWO, [4.0], [10])
    assert not judge.finish(hidden=False)
    assert judge.message().startswith("The check ended before it came to double(2.0).")
    loop = judge_of("for x in range(3):\n    assert_close(double(x), 2 * x)", [0, 2, 4])
    assert loop.hear(sent(0)) and loop.hear(sent(2)) and not loop.finish(hidden=False)


def test_too_many_values() -> None:
    judge = judge_of(TWO, [4.0], [10])
    assert judge.hear(sent(4.0)) and not judge.hear(sent(4.0))
    assert not judge.finish(hidden=False)


def test_a_failure_stays_one() -> None:
    judge = judge_of(PLAIN, [4.0])
    assert not judge.hear(sent(5.0))
    judge.hear(sent(4.0))
    assert not judge.finish(hidden=False)
    assert judge.message() == "double(2.0) is 5, expected 4\nHint: twice two"


@pytest.mark.parametrize("site", [1, 2, -1, 99, None, "0", 0.0, [], {}, math.inf, 10**30])
def test_values_for_another_part_or_for_nothing(site: Any) -> None:
    """A hidden assertion's value does not count while visible parts run, nor the other way round."""
    judge = judge_of(TWO, [4.0], [10])
    assert not judge.hear({"site": site, "values": [10]}) and judge.odd
    assert not judge.finish(hidden=False)
    judge = judge_of(TWO, [4.0], [10])
    judge.hidden = True
    assert not judge.hear(sent(4.0)) and judge.odd
    assert not judge.finish(hidden=True)


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"values": []},
        {"values": None},
        {"values": {"0": 4.0}},
        {"values": "4.0"},
        {"values": [[4.0]]},
        {"values": [{"pickle": "gASV"}]},
        {"values": [{}]},
        {"values": [{"list": 4.0}]},
        {"values": [{"array": ["O", [1], ""]}]},
        {"values": [{"thing": {"number": 0, "class": 3, "shown": "4.0"}}]},
        {"attempt": ["", ["ValueError"], ""]},
        {"slopes": {}},
        {"expected": 4.0, "go": True, "passed": True},
    ],
)
def test_a_message_that_is_none_is_wrong_and_noted(message: dict[str, Any]) -> None:
    judge = judge_of(PLAIN, [4.0])
    assert not judge.hear({"site": 0, **message})
    assert not judge.finish(hidden=False)
    assert judge.odd or "expected the number 4" in judge.message()


@pytest.mark.parametrize(
    ("source", "nested"),
    [
        ("assert_raises(ValueError, double, 1)", "attempt"),
        ("assert_gradients(double, 1)", "slopes"),
        (PLAIN, "values"),
    ],
)
def test_nesting_too_deep_for_python(source: str, nested: str) -> None:
    deep: Any = []
    for _ in range(5000):
        deep = [deep]
    judge = judge_of(source, ["ValueError" if nested == "attempt" else [1.0]])
    for content in (deep, [deep] * 3, {"gradients": {"list": [deep]}, "names": deep}):
        assert not judge.hear({"site": 0, nested: content})
    assert not judge.finish(hidden=False)


# Values.


@pytest.mark.parametrize(
    ("expected", "right", "wrong"),
    [
        (4.0, [4, 4.0, np.float32(4), np.int8(4), np.array(4.0)], [np.nan, "4.0", [4.0], None, 4j, 4.1]),
        (math.nan, [math.nan, np.float64("nan")], [0.0, None, "nan", math.inf]),
        (math.inf, [math.inf], [-math.inf, 1e308, 10**400, math.nan]),
        ([1.0, 2.0], [(1, 2), np.array([1.0, 2.0]), range(1, 3)], [[1.0], [2.0, 1.0], {1.0, 2.0}, "12"]),
        ([[1.0], [2.0]], [np.array([[1], [2]])], [[1.0, 2.0], [[1.0, 2.0]], [[1.0], 2.0]]),
        (0.0, [0, -0.0, 1e-10, False], [1e-8, None, "", [], math.nan]),
    ],
)  # fmt: skip
def test_close(expected: Any, right: list[Any], wrong: list[Any]) -> None:
    for value in right:
        assert passes(PLAIN, expected, value), value
    for value in wrong:
        assert not passes(PLAIN, expected, value), value


def test_tolerances_are_the_authors() -> None:
    assert passes("assert_close(double(1), 2.0, rtol=0.1)", 2.0, 2.19)
    assert not passes("assert_close(double(1), 2.0, rtol=0.1)", 2.0, 2.21)
    assert passes("assert_close(double(1), 0.0, atol=0.5)", 0.0, 0.4)
    assert not passes("assert_close(double(1), 2.0)", 2.0, 2.00001)
    judge = judge_of(PLAIN, [4.0])
    assert not judge.hear(sent(5.0) | {"rtol": 9, "atol": 9, "tolerances": {"rtol": 9}})


@pytest.mark.parametrize(
    ("expected", "right", "wrong"),
    [
        (3, [3, 3.0, np.int64(3)], ["3", [3], None, {"int": "0x3"}, math.nan]),
        ("tanh", ["tanh", np.str_("tanh")], ["Tanh", b"tanh", ["t", "a", "n", "h"]]),
        ([1, 2], [[1, 2]], [(1, 2), {1, 2}, [1, 2, 3], {1: 2}]),
        ((2, 3), [(2, 3)], [[2, 3], (3, 2)]),
        ({"a": 1}, [{"a": 1}], [{"a": 2}, {"b": 1}, [["a", 1]]]),
        (None, [None], [0, "", [], False]),
        (True, [True, 1], [False, "True", None, object()]),
    ],
)
def test_equal(expected: Any, right: list[Any], wrong: list[Any]) -> None:
    source = "assert_equal(double(1), 'unused')"
    for value in right:
        assert passes(source, expected, value), value
    for value in wrong:
        assert not passes(source, expected, value), value


@pytest.mark.parametrize(
    "made", ["fractions.Fraction", "lambda x: [abs, x]", "lambda x: {1: print}"]
)
def test_no_key_expects_the_references_objects(made: str) -> None:
    """Which object it was is known within one process only: any other would look the same."""
    notebook = nbformat.reads(nbformat.writes(solved()), 4)
    notebook.cells = [cell for cell in notebook.cells if cell.id != "both-check"]
    for cell in notebook.cells:
        if cell.source == CHECK_HALF:
            cell.source = f"import fractions\nmake = {made}\nassert_equal(half(make(3)), make(3))"
        elif "def half" in cell.source:
            cell.source = "def half(x):\n    return x"
    if "Fraction" in made:
        make_key(notebook)  # a number
    else:
        with pytest.raises(GraderError, match="cannot be compared outside"):
            make_key(notebook)


def test_comparisons() -> None:
    source = "assert_true(double(3) < 7, 'small')"
    assert judge_of(source).sites[0].kind == "compare"
    for value, right in ((6, True), (7, False), (math.nan, False), ("6", False), (None, False)):
        judge = judge_of(source)
        judge.key.expected = [[[None, 7]]]
        assert judge.hear(sent(value)) == right
    judge = judge_of("assert_true(double(3) == 6, 'equal')")
    judge.key.expected = [[[None, 6]]]

    class Equal:
        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = object.__hash__

    assert not judge.hear(sent(Equal()))


def test_raises() -> None:
    source = "assert_raises(ValueError, double, 'x')"
    for attempt, right in (
        (["'x'", ["ValueError", "Exception"], "ValueError: x"], True),
        (["'x'", ["UnicodeError", "ValueError"], "UnicodeError"], True),
        (["'x'", ["TypeError", "Exception"], "TypeError"], False),
        (["'x'", [], "'xx'"], False),
        (["'x'", "ValueError", ""], False),
    ):
        judge = judge_of(source, ["ValueError"])
        assert judge.hear({"site": 0, "attempt": attempt}) == right
        assert judge.finish(hidden=False) == right


def slopes(**changed: Any) -> dict[str, Any]:
    """What an honest assert_gradients of one input sends."""
    said = {"names": ["a"], "at": [1.0], "gradients": [2.0], "numerical": [2.0], "result": None}
    encoder = Encoder()
    return {
        "site": 0,
        "slopes": {name: encoder.encode(x) for name, x in (said | changed).items()},
    }


@pytest.mark.parametrize(
    "changed",
    [
        {"gradients": [3.0]},
        {"gradients": [3.0], "numerical": [3.0]},
        {"gradients": []},
        {"gradients": [], "names": [], "numerical": []},
        {"gradients": [2.0, 2.0]},
        {"gradients": None},
        {"gradients": [math.nan]},
        {"gradients": ["2.0"]},
        {"gradients": [10**400]},
        {"gradients": [[2.0]]},
        {"gradients": [object()]},
    ],
)
def test_gradients_are_held_against_the_references(changed: dict[str, Any]) -> None:
    source = "assert_gradients(double, 1)"
    judge = judge_of(source)
    judge.key.expected = [[[2.0]]]
    assert judge.hear(slopes()) and judge.finish(hidden=False)
    judge = judge_of(source)
    judge.key.expected = [[[2.0]]]
    assert not judge.hear(slopes(**changed)) and not judge.finish(hidden=False)


def test_gradients_of_a_function_with_other_parameters() -> None:
    """A parameter with a default value, which no input stands for, is nobody's trick."""

    class Number:
        def __init__(self, data: float) -> None:
            self.data, self.grad = data, 0.0

        def backward(self) -> None:
            pass

    def tenth(x: Number, slope: float = 0.1) -> Number:
        x.grad = slope
        return Number(x.data * slope)

    encoder = Encoder()
    said = {name: encoder.encode(x) for name, x in vars(measure_slopes(tenth, Number(3.0))).items()}
    judge = judge_of("assert_gradients(double, 1)")
    judge.key.expected = [[[0.1]]]
    assert judge.hear({"site": 0, "slopes": said}) and not judge.odd
    assert judge.finish(hidden=False)


def test_gradients_are_compared_as_exactly_as_floats_are() -> None:
    """A half-precision number does not drag the comparison down to its own precision."""
    judge = judge_of("assert_gradients(double, 1)")
    judge.key.expected = [[[0.3334]]]
    assert not judge.hear(slopes(gradients=[np.float16(0.3333)]))


@pytest.mark.parametrize(
    ("value", "credit"),
    [(1.5, 1.5), (np.float64(0.25), 0.25), (np.float32(0.5), 0.5), (np.int64(1), 1.0), (7, 2.0),
     (-3, 0.0), (math.inf, 2.0), (-math.inf, 0.0), (0, 0.0), (True, 1.0)],
)  # fmt: skip
def test_credit_is_exact_and_clipped(value: Any, credit: float) -> None:
    judge = judge_of("double(2)", [None])
    assert judge.hear(sent(value)) and judge.finish(hidden=False)
    assert judge.credit == credit and type(judge.credit) is float


@pytest.mark.parametrize("value", [math.nan, np.float64("nan"), "x", "2", [2.0], object(), 2j])
def test_what_is_no_number_is_no_credit(value: Any) -> None:
    judge = judge_of("double(2)", [None])
    judge.hear(sent(value))
    gives = judge.credit if judge.finish(hidden=False) else 0.0
    assert gives == 0


# Cost and words.


@pytest.mark.parametrize(
    "source", [PLAIN, "assert_equal(double(1), 2)", "assert_true(double(2), 'x')"]
)
@pytest.mark.parametrize("expected", [4.0, [1.0, 2.0]])
def test_an_endless_range_is_looked_at_in_no_time(source: str, expected: Any) -> None:
    with not_for_ever():
        for value in (range(10**15), range(0, 10**18, 3), range(10**30)):
            judge = judge_of(source, [expected])
            judge.hear(sent(value))
            judge.hear({"site": 0, "values": [{"list": [{"range": [0, 10**15, 1]}] * 2}]})


def test_what_both_sides_are_sent_of_may_be_large() -> None:
    """Both sides come from student code: comparing them costs no more than a limit allows."""
    big = {"array": ["|u1", [2**23], base64.b64encode(bytes(2**23)).decode()]}
    judge = judge_of("x = double(1)\nassert_close(x, double(x))", [None])
    with not_for_ever(5):
        judge.hear({"site": 0, "values": [big, big]})


@pytest.mark.parametrize("name", ["class", "shown"])
def test_messages_are_short_and_can_be_saved(name: str) -> None:
    for text in ("a" * 10**6, "\ud800", "\x00"):
        thing = {"number": 0, "class": "a", "shown": "b"} | {name: text}
        judge = judge_of(PLAIN, [4.0])
        assert not judge.hear({"site": 0, "values": [{"thing": thing}]})
        assert len(judge.message("\ud800" * 10**6)) < 10_000
        judge.message("\ud800" * 10**6).encode()
        judge = judge_of("assert_raises(ValueError, double, 1)", ["ValueError"])
        assert not judge.hear({"site": 0, "attempt": [text, ["TypeError"], text]})
        assert len(judge.message()) < 10_000
        judge.message().encode()
        judge = judge_of("assert_gradients(double, 1)")
        judge.key.expected = [[[2.0]]]
        assert not judge.hear(
            {"site": 0, "slopes": {"names": {"list": [text]}, "at": {"list": [1.0]}, "gradients": {"list": [3.0]},
                                   "numerical": {"list": [2.0]}, "result": None}}
        )  # fmt: skip
        assert len(judge.message()) < 10_000
        judge.message().encode()


def test_the_message_of_a_hidden_test_is_its_hint() -> None:
    source = """\
def small(x):
    assert_true(x < 3, hint="stay small")


assert_close(double(2.0), 4.0)
### BEGIN HIDDEN TESTS
assert_close(double(-7.5), -15.0, hint="also below zero")
### END HIDDEN TESTS"""
    judge = judge_of(source, [], [4.0], [-15.0])
    judge.hidden = True
    assert not judge.hear(sent("-7.5 went in", site=2))
    assert judge.message("x is -7.5") == "A hidden test failed. also below zero"
    judge = judge_of(source, [], [4.0], [-15.0])
    judge.hidden = True
    assert not judge.hear(sent(False, site=0))  # a nested one, of the visible part
    assert "7.5" not in judge.message("x is -7.5")
    for message in ({"site": 1, "values": ["-7.5"]}, {"site": "-7.5"}, {"site": 2, "-7.5": "-7.5"}):
        judge = judge_of(source, [], [4.0], [-15.0])
        judge.hidden = True
        assert not judge.hear(message)
        assert "7.5" not in judge.message("x is -7.5") and "7.5" not in judge.odd


def test_a_wrong_answer_is_not_odd() -> None:
    """What an honest run of a wrong part can send is wrong, and nothing to suspect a student for."""
    values = [
        None,
        "text",
        [1, [2]],
        {1: 2},
        {3},
        10**6000,
        range(9),
        object(),
        float,
        1j,
        b"x",
        print,
        ...,
    ]
    for source in (PLAIN, "assert_equal(double(1), 2)", "assert_true(double(2) < 3, 'x')"):
        for value in values:
            judge = judge_of(source, [4.0] if "true" not in source else [])
            if "true" in source:
                judge.key.expected = [[[None, 3]]]
            assert not judge.hear(sent(value)) and not judge.odd, (source, value)
            judge.message()
    both = "x = double(1)\nassert_close(x, double(x))"
    for value in [*values, [None, None], [[1.0], 2.0], [[1.0, 2.0], [3.0]]]:
        judge = judge_of(both, [None])
        encoder = Encoder()
        coded = [encoder.encode(value), encoder.encode(value)]
        judge.hear({"site": 0, "values": coded})
        assert not judge.odd, value
