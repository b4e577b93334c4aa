"""Taking checks apart: what runs beside student code holds no answer, and no word of hidden parts."""

import ast
import base64
import marshal
import types
from collections.abc import Iterator
from typing import Any

import nbformat
import pytest

from course.learn.checks import BEGIN_HIDDEN
from course.learn.manifest import lessons
from grader.answer_key import take_apart
from grader.dissect import HELPERS, dissect, students_names, visible_source
from grader.paths import ROOT
from grader.play import _compiled, _sites

CHECK = """\
# first of all
assert_close(double(2.0), 4.0, hint="twice two", rtol=0.125)
### BEGIN HIDDEN TESTS
# nobody reads this
expected = [6.5, 8.5]
also = expected[0] + 0.25
assert_close([double(3.25), double(4.25)], expected, hint="twice the rest")
assert_equal(double("ab"), "abab", hint="twice a text")
assert_true(double(5.5) > 10.75, "more than ten")
assert_true(10.75 < double(5.5), "more than ten")
assert_raises(ValueError, double, None, hint="refuse nothing")
### END HIDDEN TESTS"""


def constants(code: types.CodeType) -> Iterator[Any]:
    """All constants of compiled code, out of tuples and inner functions."""
    todo: list[Any] = [code]
    while todo:
        x = todo.pop()
        if isinstance(x, types.CodeType):
            todo += [*x.co_consts, x.co_name, x.co_filename, *x.co_names, *x.co_varnames]
        elif isinstance(x, (tuple, frozenset)):
            todo += x
        else:
            yield x


def goes_in(tree: ast.Module, name: str = "double-check") -> types.CodeType:
    """What student code can see of a part."""
    return marshal.loads(base64.b64decode(_compiled(tree, name)))


def test_expected_values_hints_and_comments_stay_outside() -> None:
    parts = dissect(CHECK, {"double"})
    visible = set(map(repr, constants(goes_in(parts.visible))))
    hidden = set(map(repr, constants(goes_in(parts.hidden))))
    assert "2.0" in visible and {"3.25", "4.25", "'ab'", "5.5"} <= hidden  # the inputs do go in
    for answer in ("4.0", "0.125", "6.5", "8.5", "0.25", "10.75", "'abab'", "'expected'", "'also'"):
        assert answer not in visible and answer not in hidden
    text = " ".join([*visible, *hidden])
    for word in ("twice", "nobody", "refuse", "more than", "ValueError", "rtol", "hint", "assert"):
        assert word not in text
    assert not visible & {"3.25", "'ab'", "5.5"}  # nothing of the hidden part in the visible one
    assert "BEGIN" not in text and "HIDDEN" not in text


def test_lines_stay_the_sources() -> None:
    parts = dissect(CHECK, {"double"})
    rows = CHECK.splitlines()
    for code, around in ((parts.visible, "double(2.0)"), (parts.hidden, "double(3.25)")):
        lines = {line for _, _, line in goes_in(code).co_lines() if line}
        assert any(around in rows[line - 1] for line in lines if line <= len(rows))
    shown = visible_source(CHECK).splitlines()
    assert shown[:2] == rows[:2] and not any(shown[2:])
    assert [site.call.hidden for site in parts.sites] == [False] + [True] * 5


def test_which_values_are_sent() -> None:
    source = """\
a = double(3)
known = 6
assert_close(a, 6)
assert_close(a, known)
assert_close(a, double(3))
assert_close(6, a)
assert_equal([x for x in a], [x for x in a])
assert_true(a < 7, "h")
assert_true(7 > a, "h")
assert_true(a < double(4), "h")
assert_true(1 < a < 9, "h")
assert_true(known < 7, "h")
assert_true(isinstance(a, int), "h")
assert_raises(ValueError, double, 1)
assert_gradients(double, 1, 2)"""
    sites = dissect(source, {"double"}).sites
    assert [(site.kind, site.sent) for site in sites] == [
        ("close", (True, False)),
        ("close", (True, False)),
        ("close", (True, True)),
        ("close", (True, True)),
        ("equal", (True, True)),
        ("compare", (True, False)),
        ("compare", (False, True)),
        ("compare", (True, True)),
        ("true", (True,)),
        ("true", (True,)),
        ("true", (True,)),
        ("raises", (False, True, True)),
        ("gradients", (True, True, True)),
    ]


def test_what_student_code_makes_is_sent() -> None:
    """In whatever way a name gets its value: an expected value would be the reference's, not his."""
    for made in (
        "e = double(1)",
        "e: int = double(1)",
        "e, f = double(1), 2",
        "[e, *f] = double(1)",
        "e = 1\ne += double(1)",
        "for e in double(1): pass",
        "with double(1) as e: pass",
        "(e := double(1))",
        "e = []\ne.append(double(1))",
        "e = {}\ne['a'] = double(1)",
        "e = [0]\nfor x in (1, 2):\n    e[0] = double(x)",
        "def e(): return double(1)",
        "class e:\n    x = double(1)",
        "e = lambda: double(1)",
        "import course.start as e",
        "f = double(1)\ne = f",
    ):
        students = {"double"} if "import" not in made else {"double", "e"}
        site = dissect(f"{made}\nassert_close(1, e)", students).sites[-1]
        assert site.sent == (True, True), made


@pytest.mark.parametrize(
    "loop",
    [
        pytest.param(
            "for x, e in [(1.25, 2.5), (3.25, 6.5)]:\n    assert_close(double(x), e)",
            marks=pytest.mark.xfail(strict=True, reason="the builder refuses such loops"),
        ),
        pytest.param(
            "table = {1.25: 2.5, 3.25: 6.5}\nfor x, e in table.items():\n    assert_close(double(x), e)",
            marks=pytest.mark.xfail(strict=True, reason="the builder refuses such loops"),
        ),
        "es = [2.5, 6.5]\nfor i, x in enumerate([1.25, 3.25]):\n    assert_close(double(x), es[i])",
        "for x in (1.25, 3.25):\n    assert_close(double(x), 2 * x)",
        "e = 2.5\nassert_close(double(1.25), e)",
    ],
)
def test_an_answer_is_either_sent_or_not_there(loop: str) -> None:
    """What is sent is no answer, as the builder knows; what is not sent must not be there to read."""
    parts = dissect(f"{BEGIN_HIDDEN}\n{loop}\n### END HIDDEN TESTS", {"double"})
    inside = set(map(repr, constants(goes_in(parts.hidden))))
    assert "1.25" in inside
    assert parts.sites[0].sent == (True, True) or not inside & {"2.5", "6.5"}


def test_partial_credit_is_a_site() -> None:
    (site,) = dissect("2 * (double(2) == 4) / 3", {"double"}).sites
    assert site.kind == "credit"
    assert not dissect("x = 3\nassert_close", set()).sites[:-1]


def test_sites_inside_functions_are_nested() -> None:
    source = "def f(x):\n    assert_true(x < 3, 'h')\n    return x\nassert_close(double(f(1)), 2)"
    sites = dissect(source, {"double"}).sites
    assert [site.nested for site in sites] == [True, False] and sites[0].kind == "true"


@pytest.mark.parametrize(
    "source",
    [
        # nbgrader lets hidden tests stand anywhere; the builder asks for the end, but a lesson may come from elsewhere.
        f"assert_close(double(1), 2)\n{BEGIN_HIDDEN}\nsecret = 77.25\n### END HIDDEN TESTS\nassert_close(double(2), 4)",
        f"def f(x):\n    {BEGIN_HIDDEN}\n    secret = 77.25\n    ### END HIDDEN TESTS\n    return x\nassert_close(double(f(2)), 4)",
        f"if True:\n    {BEGIN_HIDDEN}\n    assert_close(double(77.25), 154.5)\n    ### END HIDDEN TESTS",
        f"{BEGIN_HIDDEN}\nsecret = 77.25\n### END HIDDEN TESTS\nassert_close(double(2), 4)",
        f"{BEGIN_HIDDEN}\nsecret = 77.25\nassert_close(double(secret), 154.5)",
    ],
)
def test_hidden_parts_elsewhere_are_hidden_too(source: str) -> None:
    parts = dissect(source, {"double"})
    assert "77.25" not in map(repr, constants(goes_in(parts.visible)))
    assert "77.25" not in visible_source(source)
    for site in parts.sites:
        if not site.call.hidden:
            assert "77.25" not in site.call.before and "77.25" not in site.call.expression


def test_the_sandbox_knows_of_sites_what_it_needs() -> None:
    parts = dissect(CHECK, {"double"})
    visible, hidden = _sites(parts, hidden=False), _sites(parts, hidden=True)
    assert (
        visible[0] == {"kind": "close", "nested": False, "names": ["double"]}
        and visible[1:] == [None] * 5
    )
    for site in hidden[1:]:
        assert site is not None and set(site) == {"kind", "nested", "names"} and not site["names"]


# All lessons.


def _answers_and_rest(source: str) -> tuple[list[ast.expr], set[str]]:
    """A check's expected values that are written out, and all constants that stand elsewhere."""
    tree = ast.parse(source)
    answers, left_out = [], set()
    for call in ast.walk(tree):
        if not (isinstance(call, ast.Call) and getattr(call.func, "id", "") in HELPERS):
            continue
        out: list[ast.expr] = [x.value for x in call.keywords]
        if call.func.id == "assert_true":  # type: ignore[attr-defined]
            out += call.args[1:]
        elif call.func.id in ("assert_close", "assert_equal"):  # type: ignore[attr-defined]
            expected = call.args[1]
            if {x.id for x in ast.walk(expected) if isinstance(x, ast.Name)} <= {"math", "np"}:
                answers.append(expected)
                out.append(expected)
        left_out |= {id(node) for part in out for node in ast.walk(part)}
    rest = {
        repr(x.value)
        for x in ast.walk(tree)
        if isinstance(x, ast.Constant) and id(x) not in left_out
    }
    return answers, rest


def _names(source: str) -> set[str]:
    """What code is made of: `x.astype(np.float32)` tells nobody that "float32" is expected."""
    nodes = list(ast.walk(ast.parse(source)))
    return {getattr(x, field) for x in nodes for field in ("id", "attr") if hasattr(x, field)}


@pytest.mark.parametrize("name", lessons())
def test_no_answer_of_any_lesson_goes_in(name: str) -> None:
    solved = nbformat.read(ROOT / "solutions" / f"{name}.ipynb", 4)
    sources = {
        cell.metadata.get("nbgrader", {}).get("grade_id"): cell.source for cell in solved.cells
    }
    checks = take_apart(solved)
    assert checks and students_names(solved)
    found = 0
    for check, parts in checks.items():
        source = sources[check]
        visible = [*constants(goes_in(parts.visible, check))]
        hidden = [*constants(goes_in(parts.hidden, check))]
        hints = [site.hint for site in parts.sites if site.hint]
        comments = [row.partition("#")[2].strip() for row in source.splitlines() if " # " in row]
        texts = " ".join(x for x in (*visible, *hidden) if isinstance(x, str))
        assert not [words for words in (*hints, *filter(None, comments)) if words in texts]
        answers, rest = _answers_and_rest(source)
        numbers = {repr(abs(x)) for x in (*visible, *hidden) if type(x) in (int, float)}
        for answer in answers:
            for part in ast.walk(answer):
                if isinstance(part, ast.Constant) and repr(part.value) not in rest:
                    found += 1
                    if isinstance(part.value, str):
                        seen = {*visible, *hidden} - _names(source)
                        assert part.value not in seen, (check, part.value)
                    elif type(part.value) is float:  # whole numbers are also numbers of sites
                        assert repr(part.value) not in numbers, (check, part.value)
        begin = source.splitlines().index(BEGIN_HIDDEN)
        below = _answers_and_rest("\n".join(source.splitlines()[begin:]))[1]
        above = {repr(x.value) for x in ast.walk(ast.parse("\n".join(source.splitlines()[:begin])))
                 if isinstance(x, ast.Constant)}  # fmt: skip
        alone = {x for x in below - above if "." in x or "'" in x}
        names = _names(
            "\n".join(source.splitlines()[:begin])
        )  # an array `out`, hidden: moved["out"]
        assert not alone & set(map(repr, {*visible} - names)), check
        assert BEGIN_HIDDEN not in visible_source(source)
    assert found  # otherwise this test would have looked at nothing
