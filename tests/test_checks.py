"""The check helpers: what passes, and what the student reads when something does not."""

import linecache
import warnings

import numpy as np
import pytest

from course.learn import (
    CheckFailed,
    assert_close,
    assert_equal,
    assert_gradients,
    assert_raises,
    assert_true,
)
from course.micrograd import Value


def run(source, **names):
    """Run a check's source as a cell; returns the message of its failure, or an empty string."""
    import course.learn

    filename = f"<cell {abs(hash(source))}>"
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    namespace = {name: getattr(course.learn, name) for name in course.learn.__all__} | names
    try:
        exec(compile(source, filename, "exec"), namespace)
    except CheckFailed as failure:
        return str(failure)
    return ""


@pytest.mark.parametrize(
    ("actual", "expected"),
    [
        (1, 1.0),
        (np.float64(1.0), 1),
        (np.array(1.0), 1.0),
        (1.0 + 1e-9, 1.0),
        (True, 1),
        ([1.0, 2.0], (1, 2)),
        (np.array([[1.0, 2.0]]), [[1, 2]]),
        ([], []),
        (float("nan"), float("nan")),
        (float("inf"), float("inf")),
        (1e-12, 0.0),
    ],
)
def test_close(actual, expected):
    assert_close(actual, expected)


@pytest.mark.parametrize(
    ("actual", "expected", "says"),
    [
        (2.0, 1.0, "x is 2, expected 1"),
        (1.0001, 1.0, "x is 1.0001, expected 1"),
        (float("nan"), 1.0, "x is nan, expected 1"),
        (1.0, float("nan"), "x is 1, expected nan"),
        (float("inf"), -float("inf"), "x is inf, expected -inf"),
        (None, 1.0, "x is None (is a `return` missing?), expected the number 1"),
        ("1", 1.0, "x is '1', a str, expected the number 1"),
        (Value(1.0), 1.0, "a whole Value, not its number (is `.data` missing?)"),
        ([1.0], 1.0, "x is [1.0], a list, expected the number 1"),
        (1.0, [1.0, 2.0], "x is 1, a float, expected 2 numbers"),
        ([1.0], [1.0, 2.0], "x has shape (1,), expected shape (2,)"),
        ([[1.0], [2.0]], [1.0, 2.0], "x has shape (2, 1), expected shape (2,)"),
        ([1.0, 5.0, 6.0], [1.0, 2.0, 3.0], "x[1] is 5, expected 2"),
        (np.zeros((2, 2)), np.eye(2), "x[0, 0] is 0, expected 1"),
        ([1.0, None], [1.0, 2.0], "x[1] is None"),
        ([Value(1.0)], [1.0], "x[0] is a whole Value"),
        (1j, 1.0, "x is 1j, a complex"),
    ],
)
def test_not_close(actual, expected, says):
    message = run("assert_close(x, expected, hint='look here')", x=actual, expected=expected)
    assert says in message
    assert message.endswith("Hint: look here")


def test_the_message_shows_what_led_to_it():
    message = run(
        "a = 2.0\n"
        "assert_close(a, 2.0)\n"
        "b = 3.0\n"
        "c = a * b\n"
        "assert_close((c,\n   a), (5.0, 2.0), hint='a product')\n"
    )
    assert message.splitlines() == [
        "(c, a)[0] is 6, expected 5",
        "where c is 6, a is 2",
        "after, since the last check that held:",
        "    b = 3.0",
        "    c = a * b",
        "Hint: a product",
    ]


def test_hidden_tests_show_nothing_but_the_hint():
    source = (
        "assert_close(1.0, 1.0)\n"
        "### BEGIN HIDDEN TESTS\n"
        "secret = 12345.0\n"
        "assert_close(secret, 54321.0, hint='think of large numbers')\n"
        "### END HIDDEN TESTS\n"
    )
    assert run(source) == "A hidden test failed. think of large numbers"
    assert "own" in run(source.replace(", hint='think of large numbers'", ""))
    after = source.replace("54321.0", "12345.0") + "assert_close(1.0, 2.0)\n"
    assert "1.0 is 1, expected 2" in run(after)


def test_a_check_in_a_function_or_loop_still_says_what():
    message = run(
        "def check(x):\n    for i in range(3):\n        assert_close(x + i, 1.0)\ncheck(1.0)"
    )
    assert "x + i is 2, expected 1" in message


def test_braces_do_no_harm():
    assert "{} is {'a': {}}, expected {}" in run(
        "assert_equal({}, x)".replace("{}", "d"), d={"a": {}}, x={}
    ).replace("d is", "{} is")


def test_equal():
    a, b = Value(1.0), Value(1.0)
    assert_equal([a, b], [a, b])
    assert_equal(np.array([1, 2]), [1, 2])
    assert_equal("name", "name")
    assert "x has length 1, expected 2" in run("assert_equal(x, y)", x=[a], y=[a, b])
    assert "x is " in run("assert_equal(x, y)", x=[b, a], y=[a, b])
    assert "x is 'abc', expected 'ab'" in run("assert_equal(x, y)", x="abc", y="ab")
    assert "x is None" in run("assert_equal(x, [1])", x=None)
    assert "..." in run("assert_equal(x, 0)", x=list(range(1000)))


def test_true():
    assert_true(1 < 2, "order")
    assert "where c is None" in run("assert_true(isinstance(c, V), hint='x')", c=None, V=Value)
    message = run("assert_true(2 < 1, hint='order')")
    assert "this should hold, and does not: 2 < 1" in message
    assert "Hint: order" in message


def test_raises():
    assert_raises(ValueError, int, "x")
    assert "int called with ('3') returned 3, expected it to raise" in run(
        "assert_raises(ValueError, int, '3')"
    )
    assert "raised TypeError" in run("assert_raises(ValueError, int, [])")
    with pytest.raises(NotImplementedError):  # an empty hole is not a wrong answer

        def hole():
            raise NotImplementedError("yours to write")

        assert_raises(ValueError, hole)


def test_gradients():
    assert_gradients(lambda a, b: a * b + a.exp(), Value(0.5), Value(-2.0))

    def wrong(a, b):
        return Value(a.data * b.data, (a, b), (b.data, 1.0), "wrong")

    message = run("assert_gradients(f, V(2.0), V(5.0), hint='derive')", f=wrong, V=Value)
    assert "f at (2, 5): backward gives b the gradient 1" in message
    assert "numerical derivative is 2" in message
    nan = run("assert_gradients(lambda a: V(1.0, (a,), (float('nan'),)), V(2.0))", V=Value)
    assert "nan" in nan


def test_warnings_and_prints_do_not_fail_a_check():
    def noisy():
        warnings.warn("careful", RuntimeWarning, stacklevel=1)
        print("hello")
        return 1.0

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert run("assert_close(f(), 1.0)", f=noisy) == ""


@pytest.fixture
def shell():
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell.instance()
    yield shell
    shell.set_custom_exc((), None)
    InteractiveShell.clear_instance()


def test_failures_are_shown_without_our_machinery(shell, capsys):
    shell.run_cell("from course.learn import assert_close\nassert_close(2.0, 1.0, hint='look')")
    shown = capsys.readouterr().out
    assert "line 2 of this cell:  assert_close(2.0, 1.0" in shown
    assert "CheckFailed: 2.0 is 2, expected 1" in shown
    assert "checks.py" not in shown
    assert len(shown.splitlines()) < 10


def test_a_recursion_without_end_is_shown_in_a_few_lines(shell, capsys):
    from course.learn.short_errors import shorten_recursion_errors

    shorten_recursion_errors()
    result = shell.run_cell("def f(x):\n    return f(x)\n\nf(1)")
    shown = capsys.readouterr().out
    assert isinstance(result.error_in_exec, RecursionError)
    assert "more calls ..." in shown
    assert "line 2 in f:  return f(x)" in shown
    assert len(shown.splitlines()) < 15
