"""The builder: what it makes, and what it refuses, with file and line."""

import json
import re
import shutil

import nbformat
import pytest

from grader.build import build_all, build_lesson, differences, lesson_files, outputs, write
from grader.errors import LessonTextError
from grader.lift import LiftError, lift, splice
from grader.paths import LESSONS, ROOT

HEAD = """---
jupytext:
  text_representation: {extension: .md, format_name: myst}
kernelspec: {display_name: Python 3, language: python, name: python3}
---

# A toy

```{code-cell} ipython3
from course.learn import assert_close, exercise, lesson

lesson("0_start/0_welcome")
```

## On the way
"""
EXERCISE = """
```{code-cell} ipython3
---
exercise: course.start.interpolate.lerp
title: on the way
difficulty: 1
minutes: 3
hints: [a, b, c]
---
```
"""
CHECK = """
```{code-cell} ipython3
:check: ends
:of: lerp
:points: 1

assert_close(lerp(1.0, 2.0, 0.5), 1.5)
### BEGIN HIDDEN TESTS
assert_close(lerp(7.0, 9.0, 0.5), 8.0)
### END HIDDEN TESTS
```
"""
TOY = HEAD + EXERCISE + CHECK


@pytest.fixture
def build(tmp_path):
    """Builds a text as lesson 0_start/0_welcome of a repository of its own."""

    def build(text, name="0_start/0_welcome"):
        path = tmp_path / "lessons" / f"{name}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return build_lesson(path, tmp_path)

    return build


def test_the_built_files_are_up_to_date():
    lessons = [built for _, built in build_all()]
    assert differences(outputs(lessons)) == []


def test_building_twice_gives_the_same_bytes(tmp_path):
    """Of some lessons; `test_the_built_files_are_up_to_date` builds all of them once more."""
    for unit in ("0_start", "1_micrograd"):
        shutil.copytree(LESSONS / unit, tmp_path / "lessons" / unit)
    first = outputs([built for _, built in build_all(tmp_path)])
    assert first == outputs([built for _, built in build_all(tmp_path)])
    assert set(write(first, tmp_path)) == set(first)
    assert write(first, tmp_path) == []
    assert differences(first, tmp_path) == []
    stray = tmp_path / "notebooks" / "0_start" / "9_gone.ipynb"
    stray.write_text("{}")
    assert differences(first, tmp_path) == [
        "notebooks/0_start/9_gone.ipynb belongs to no lesson text"
    ]
    stray.unlink()
    (tmp_path / "notebooks/0_start/0_welcome.ipynb").write_text("edited by hand")
    assert "differs" in differences(first, tmp_path)[0]


def test_toy(build):
    built = build(TOY)
    source = {cell.id: cell.source for cell in built.student.cells}
    exercise = source["start-interpolate-lerp"]
    assert '@exercise("course.start.interpolate.lerp")' in exercise
    assert "# YOUR CODE HERE" in exercise
    assert "return start" not in exercise
    assert '"""The number that lies a fraction t of the way' in exercise
    assert "HIDDEN" not in source["ends"]
    assert "8.0" not in source["ends"]
    assert "8.0" in {cell.id: cell.source for cell in built.solved.cells}["ends"]
    card = source["start-interpolate-lerp-card"]
    assert "difficulty 1 of 5, about 3 minutes" in card
    assert card.count("<details>") == 3
    assert built.checks == {"ends": ["start-interpolate-lerp"]}
    assert built.text.number == "0"
    for notebook in (built.solved, built.student):
        nbformat.validate(notebook)
        assert notebook.metadata.course.lesson == "0_start/0_welcome"
        assert len({cell.id for cell in notebook.cells}) == len(notebook.cells)


def line_of(text, fragment):
    return text[: text.index(fragment)].count("\n") + 1


@pytest.mark.parametrize(
    ("text", "at", "says"),
    [
        (TOY.replace("interpolate.lerp", "interpolate.larp"), EXERCISE, "there is no function or class"),
        (TOY.replace("course.start.interpolate.lerp", "course.micrograd.nn.MLP"), EXERCISE, "name the student's methods"),
        (TOY.replace("title: on the way\n", "title: on the way\nholes: [larp]\n"), EXERCISE, "has no method 'larp'"),
        (TOY + CHECK, None, "the id 'ends' is used twice, first at line 27"),
        (TOY + EXERCISE, None, "used twice"),
        (TOY.replace(":of: lerp", ":of: larp"), CHECK, "names no exercise above it (start.interpolate.lerp)"),
        (HEAD + CHECK + EXERCISE, CHECK, "names no exercise above it"),
        (HEAD + EXERCISE, EXERCISE, "no check is of the exercise"),
        (TOY.replace("[a, b, c]", "[a, b]"), EXERCISE, "three hints, this one 2"),
        (TOY.replace("difficulty: 1", "difficulty: 7"), EXERCISE, "from 1 to 5"),
        (TOY.replace("title: on the way\n", ""), EXERCISE, "option 'title' is missing"),
        (TOY.replace("minutes: 3", "minutes: few"), EXERCISE, "'minutes' has the wrong type"),
        (TOY.replace("minutes: 3", "minutes: 3\nlevel: 9"), EXERCISE, "unknown option 'level'"),
        (TOY.replace("hints: [a, b, c]\n---\n", "hints: [a, b, c]\n---\nx = 1\n"), EXERCISE, "an exercise cell is empty"),
        (TOY.replace("assert_close(lerp(1.0", "assert lerp(1.0").replace("0.5), 1.5)", "0.5) == 1.5"), CHECK, "not assert"),
        (TOY.replace("### END HIDDEN TESTS\n", "### END HIDDEN TESTS\n2.5\n"), CHECK, "ends in a value"),
        (TOY.replace("### END HIDDEN TESTS\n", "### END HIDDEN TESTS\nassert_close(other, 1)\n"), CHECK, "uses other, which neither"),
        (TOY.replace("assert_close(lerp(1.0, 2.0, 0.5), 1.5)", "x = lerp(1.0, 2.0, 0.5)").replace("assert_close(lerp(7.0, 9.0, 0.5), 8.0)", "y = 1"), CHECK, "asserts nothing"),
        (TOY.replace('lesson("0_start/0_welcome")', 'lesson("0_start/1_other")'), "\n```{code-cell}", "the first code cell sets up the lesson"),
        (TOY + "\n```{code-cell} ipython3\nprint(np.zeros(3))\n```\n", None, "Undefined name `np`"),
        (TOY.replace("# A toy", "A toy"), None, "there is no title"),
        (TOY.replace("# A toy", "# A toy\n\n### Too deep"), None, "a heading of level 3 follows level 1"),
        (TOY + "\nThe answer is:\n\n    return start + t * (end - start)\n", None, "which solves start-interpolate-lerp"),
        (TOY + "\n### BEGIN SOLUTION\n", None, "out of place"),
        (TOY + "\n```{code-cell} ipython3\nprint(1\n```\n", None, "not Python: '(' was never closed, in 'print(1'"),
        (TOY + '\n+++ {"check": "x", "of": "lerp", "points": 1}\n\ntext\n', None, "stands on a code cell"),
        (TOY + "\n```{code-cell} ipython3\n:answer: x\n:points: 1\n```\n", None, "stands on text"),
        (TOY.replace(":check: ends", ":check: ends\n:given: x"), CHECK, "not both"),
        (TOY.replace(":check: ends", ":check: the ends"), CHECK, "cannot be an id"),
        (TOY.replace("[a, b, c]", "['think: hard', b, {c: d}]"), EXERCISE, "number 3 of 'hints' is not text"),
        (TOY.replace("title: on the way", "title: 'on: the: way"), None, "does an option need quotes?"),
        (TOY.replace(":points: 1", ":points: 0"), CHECK, "option 'points' is empty"),
        (TOY + "\n```{code-cell} ipython3\n%timeit lerp(1, 2, 0.5)\n```\n", None, "magics are refused"),
        (TOY.replace("from course.learn", "import math\nfrom course.learn"), None, "imported but unused"),
        (TOY.replace("[a, b, c]", "[a, b, 'write `return start + t * (end - start)`']"), EXERCISE, "which solves"),
        (TOY + '\n+++ {"answer": "why", "points": 1}\n\nWhy?\n\n### BEGIN SOLUTION\nSo.\n### END SOLUTION\n\n## What you now have\n', None, "text follows '### END SOLUTION'"),
    ],
)  # fmt: skip
def test_refused(build, text, at, says):
    with pytest.raises(LessonTextError, match=re.escape(says)) as caught:
        build(text)
    assert str(caught.value).startswith("lessons/0_start/0_welcome.md:")
    if at is not None and at in text:
        assert caught.value.line == line_of(text, at) + 1


HIDDEN = "### BEGIN HIDDEN TESTS\n{}\n### END HIDDEN TESTS"
GOOD = HIDDEN.format("assert_close(lerp(7.0, 9.0, 0.5), 8.0)")
SEEN = "assert_close(lerp(1.0, 2.0, 0.5), 1.5)"
ALL = "assert_clean, assert_close, assert_equal, assert_gradients, assert_raises, assert_true"


def with_check(source):
    """The toy, with another check, and all helpers imported and used."""
    head = HEAD.replace("import assert_close,", f"import {ALL},")
    demo = "\n```{code-cell} ipython3\nprint(" + ALL + ")\n```\n"
    start, end = CHECK.index("assert_close"), CHECK.rindex("```")
    return head + EXERCISE + CHECK[:start] + source + "\n" + CHECK[end:] + demo


@pytest.mark.parametrize(
    "check",
    [
        GOOD,
        f"{SEEN}\n{GOOD}",
        'assert_true(lerp(1.0, 2.0, 0.5) > 1, "half-way")\n' + GOOD,
        'assert_true(lerp(1.0, 2.0, 0.5) > 1, hint="half-" "way")\n' + GOOD,
        'assert_raises(TypeError, lerp, *"ab", hint="not of texts")\n' + GOOD,
        "for t in (0.0, 0.5):\n    assert_close(lerp(2.0, 2.0, t), 2.0, rtol=1e-3, atol=1)\n" + GOOD,
        "def up(x):\n    assert_true(x, hint='x')\n    return lerp(x, 2.0, 0.0)\n\n\nassert_close(up(1.0), 1.0)\n" + GOOD,
        HIDDEN.format("assert_gradients(lerp, 1.0, 2.0, 0.5)"),
        HIDDEN.format("double = 2 * 8.5\nassert_equal([lerp(16.0, 18.0, 0.5)], [double])"),
        HIDDEN.format("assert_close(lerp(0.0, 1.0, 1.0), 1.0)\nassert_close(lerp(0.0, 4.0, 0.5), 2.0)"),
    ],
)  # fmt: skip
def test_checks_that_can_be_graded(build, check):
    assert build(with_check(check)).checks == {"ends": ["start-interpolate-lerp"]}


@pytest.mark.parametrize(
    ("check", "at", "says"),
    [
        (f"x = assert_close(lerp(1.0, 2.0, 0.5), 1.5)\n{GOOD}", "x =", "assert_close(...) stands on a line of its own"),
        (f"[assert_true(lerp(1.0, 2.0, t), hint='') for t in (0, 1)]\n{GOOD}", "[assert", "assert_true(...) stands on a line of its own"),
        (f"same = assert_equal\nsame(lerp(1.0, 2.0, 0.5), 1.5)\n{GOOD}", "same =", "assert_equal(...) stands on a line of its own"),
        (f"assert_true(assert_close(lerp(1.0, 2.0, 0.5), 1.5) is None, 'x')\n{GOOD}", "assert_true", "assert_close(...) stands on a line of its own"),
        (f"assert_close(lerp(1.0, 2.0, 0.5), expected=1.5)\n{GOOD}", "assert_close", "actual, expected come first, and without their names"),
        (f"assert_close(*[lerp(1.0, 2.0, 0.5), 1.5])\n{GOOD}", "assert_close", "actual, expected come first"),
        (f"assert_equal(lerp(1.0, 2.0, 0.5), 1.5, 'half')\n{GOOD}", "assert_equal", "the hint is hint=..."),
        (f"assert_raises(TypeError)\n{GOOD}", "assert_raises", "error, function, and its arguments come first"),
        (f"assert_gradients(lerp)\n{GOOD}", "assert_gradients", "function, and its inputs come first"),
        (f"assert_true(lerp(1.0, 2.0, 0.5))\n{GOOD}", "assert_true", "it needs a hint"),
        (f"word = 'half'\nassert_true(lerp(1.0, 2.0, 0.5), word)\n{GOOD}", "assert_true", "its hint is a text in quotes"),
        (f"assert_close(lerp(1.0, 2.0, 0.5), 1.5, hint=f'{{lerp}}')\n{GOOD}", "assert_close", "its hint is a text in quotes"),
        (f"assert_close(lerp(1.0, 2.0, 0.5), 1.5, rtol=10**-6)\n{GOOD}", "assert_close", "rtol is a number, written out"),
        (f"assert_close(lerp(1.0, 2.0, 0.5), 1.5, **{{'rtol': 1}})\n{GOOD}", "assert_close", "it has no option '**'"),
        (f"assert_equal(lerp(1.0, 2.0, 0.5), 1.5, rtol=1e-6)\n{GOOD}", "assert_equal", "it has no option 'rtol'"),
        (f"def look():\n    for t in (0.0, 1.0):\n        assert_close(lerp(2.0, 2.0, t), 2.0)\n\n\nlook()\n{GOOD}", "        assert_close", "cannot be called inside 'look'"),
        (f"class A:\n    def f(self):\n        assert_raises(TypeError, lerp, 1)\n\n\nA().f()\n{GOOD}", "        assert_raises", "cannot be called inside 'f'"),
        (f"assert_clean()\n{GOOD}", "assert_clean", "the report comes first, and without its name"),
        (HIDDEN.format("from numba import cuda\n\n\n@cuda.jit\ndef k(x):\n    x[0] = lerp(7.0, 9.0, 0.5)\n\n\nassert_close(lerp(7.0, 9.0, 0.5), 8.0)"), "def k", "a kernel stands above the hidden part"),
        (SEEN, SEEN, "it has no hidden part"),
        (f"{GOOD}\n{SEEN}", SEEN, "the hidden part comes last"),
        (f"{GOOD}\n{GOOD.replace('7.0', '7')}", "### BEGIN HIDDEN TESTS\nassert_close(lerp(7,", "one hidden part at most"),
        ("for t in (0.5, 1.0):\n    assert_close(lerp(2.0, 2.0, t), 2.0)\n" + "\n".join("    " + x for x in GOOD.splitlines()), "    ### BEGIN", "cannot begin within a statement"),
        (HIDDEN.format("assert_true(lerp(7.0, 9.0, 0.5) > 7, hint='x')"), "### BEGIN", "needs an assert_close or assert_equal"),
        (HIDDEN.format("assert_close(lerp(7.0, 9.0, 0.5), lerp(9.0, 7.0, 0.5))"), "### BEGIN", "come from the student's parts"),
        (HIDDEN.format("x = lerp(7.0, 9.0, 0.5)\ny = 2 * x\nassert_close(lerp(0.0, 16.0, 1.0), y)"), "### BEGIN", "come from the student's parts"),
        (HIDDEN.format("def f():\n    return lerp(0.0, 16.0, 1.0)\n\n\nassert_close(lerp(0.0, 16.0, 1.0), f())"), "### BEGIN", "come from the student's parts"),
        (HIDDEN.format("for t, y in [(0.25, 7.5), (0.5, 8.0)]:\n    assert_close(lerp(7.0, 9.0, t), y)"), "    assert_close(lerp(7.0, 9.0, t)", "taken from 'y'"),
        (HIDDEN.format("pairs = [(0.25, 7.5), (0.5, 8.0)]\nassert_close(lerp(7.0, 9.0, pairs[0][0]), pairs[0][1])"), "assert_close(lerp(7.0, 9.0, pairs", "takes into the sandbox"),
        (HIDDEN.format("assert_raises(TypeError, lerp, 1)"), "### BEGIN", "all be seen can be passed by writing them down"),
        (HIDDEN.format("assert_equal(lerp(0.0, 1.0, 0.5) < 1, True)\nassert_close(lerp(0.0, 1.0, 1), 1.0)"), "### BEGIN", "which can be guessed"),
        (HIDDEN.format("assert_equal([lerp(0, 1, 0), (lerp(0, 1, 1), None)], [0, (True, None)])"), "### BEGIN", "which can be guessed"),
    ],
)  # fmt: skip
def test_checks_that_cannot_be_graded(build, check, at, says):
    text = with_check(check)
    with pytest.raises(LessonTextError, match=re.escape(says)) as caught:
        build(text)
    assert "check 'ends': " in str(caught.value)
    assert caught.value.line == line_of(text, check) + line_of(check, at) - 1
    assert str(caught.value).startswith("lessons/0_start/0_welcome.md:")


def test_names_of_lessons(build):
    with pytest.raises(LessonTextError, match="a lesson is called"):
        build(TOY, "start/welcome")


def test_lessons_come_in_order(tmp_path):
    for name in ("10_z/1_a", "2_b/10_c", "2_b/9_d", "2_b/9_d.bank"):
        path = tmp_path / f"{name}.md"
        path.parent.mkdir(exist_ok=True)
        path.touch()
    found = [p.relative_to(tmp_path).as_posix() for p in lesson_files(tmp_path)]
    assert found == ["2_b/9_d.md", "2_b/10_c.md", "10_z/1_a.md"]


def test_lift_leaves_methods_out_and_marks_holes():
    source = lift("course.micrograd.engine.Value", ["backward"], {"exp", "log"})
    assert "def exp" not in source
    assert "def log" not in source
    assert "def tanh" in source
    lines = [line.strip() for line in source.splitlines()]
    start, end = lines.index("### BEGIN SOLUTION"), lines.index("### END SOLUTION")
    assert lines[start + 1] == "order = topological_order(self)"
    assert lines[start - 1] == '"""'
    assert "self.grad += 1.0" in lines[start:end]
    with pytest.raises(LiftError, match="no method 'nothing'"):
        lift("course.micrograd.engine.Value", ["nothing"])


def test_splice_keeps_the_decorators_of_helpers():
    cell = "@double\ndef f():\n    return 1\n"
    answer = "def _one():\n    return 1  # why\n\n\n@double\ndef _two():\n    return 1\n\n\n@double\ndef f():\n    return _two() + 1\n"
    spliced = splice(cell, answer)
    namespace = {"double": lambda f: lambda: 2 * f()}
    exec(spliced, namespace)
    assert namespace["f"]() == 6
    assert "# why" in spliced and spliced.count("@double") == 2


def test_splice():
    cell = "@deco\ndef f(x):\n    return 1\n\n\nclass C:\n    def g(self):\n        return 2\n"
    spliced = splice(
        cell, "import math\n\n\ndef _help():\n    pass\n\n\ndef g(self):\n    return math.pi\n"
    )
    namespace = {"deco": lambda f: f}
    exec(spliced, namespace)
    assert namespace["C"]().g() > 3
    assert namespace["f"](0) == 1
    with pytest.raises(LiftError, match="no 'h'"):
        splice(cell, "def h():\n    pass\n")
    two = "class A:\n    def f(self):\n        return 1\n\n\nclass B:\n    def f(self):\n        return 2\n"
    with pytest.raises(LiftError, match="several classes of the exercise have a 'f'"):
        splice(two, "def f(self):\n    return 3\n")
    namespace = {}
    exec(splice(two, "def f(self):\n    return 3\n", "A"), namespace)
    assert (namespace["A"]().f(), namespace["B"]().f()) == (3, 2)


def test_the_manifest_is_what_the_lessons_say():
    entries = json.loads((ROOT / "course/learn/lessons.json").read_text())
    assert [entry["number"] for entry in entries][:3] == ["0", "1.1", "1.2"]
    for entry in entries:
        for part in entry["parts"]:
            assert lift(part["path"], [])


def test_a_syntax_error_is_told_with_its_row(build):
    text = TOY.replace("### BEGIN HIDDEN TESTS", "x = = 2")
    with pytest.raises(LessonTextError, match="not Python: invalid syntax, in 'x = = 2'") as caught:
        build(text.replace("### END HIDDEN TESTS\n", ""))
    assert caught.value.line == line_of(text, "x = = 2")


def test_a_broken_reference_is_told(build, monkeypatch):
    def broken(path):
        raise SyntaxError("'(' was never closed", ("course/start/interpolate.py", 7, 1, "lerp("))

    monkeypatch.setattr("grader.lift.find_part", broken)
    with pytest.raises(
        LessonTextError, match=r"cannot be imported: course/start/interpolate\.py:7"
    ):
        build(TOY)


def test_two_lessons_with_one_number(build, tmp_path):
    build(TOY)
    other = tmp_path / "lessons" / "0_start" / "00_welcome.md"
    other.write_text(TOY.replace("0_start/0_welcome", "0_start/00_welcome"))
    (tmp_path / "lessons" / "0_start" / "0_again.md").write_text(
        TOY.replace("0_start/0_welcome", "0_start/0_again")
    )
    with pytest.raises(LessonTextError, match="its number, 0, is that of"):
        list(build_all(tmp_path))
