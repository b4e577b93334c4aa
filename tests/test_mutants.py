"""Small mechanical mistakes in the reference, and whether a lesson's checks notice them."""

import ast
import multiprocessing
import os
import re
import signal
import time

import pytest
from test_builder import TOY
from typer.testing import CliRunner

from grader.bank import read_equivalents
from grader.build import build_lesson, lesson_files
from grader.cli import app
from grader.errors import GraderError, LessonTextError
from grader.mutants import make_mutants, mistakes
from grader.paths import LESSONS
from grader.run import Task, run_apart
from grader.verify import KILLED, MutantProof, verify_mutants

FILES = {
    path.relative_to(LESSONS).as_posix().removesuffix(".md"): path for path in lesson_files(LESSONS)
}


def every(name):
    """`grader verify --mutants` tries all of a lesson's mistakes; here it is some of them: time."""
    if os.environ.get("COURSE_WHOLE_BANK"):
        return 1
    if name.startswith("0"):
        return 2  # it has few
    return 15 if name.startswith(("3_cuda", "4_gpt")) else 6


@pytest.mark.parametrize("name", FILES)
def test_lessons_notice_nearly_all_mistakes(name):
    proof = verify_mutants(build_lesson(FILES[name]), jobs=2, every=every(name))
    assert proof.per_cent >= KILLED, [f"{x.place}: {x.change}" for x in proof.survived]
    assert proof.stale == []
    assert proof.total >= 2


def changes(body, head="def f(x, y, z):"):
    """What the mistakes in a function with this body are: (before, after)."""
    source = f"{head}\n" + "\n".join(f"    {row}" for row in body.splitlines())
    return [(m.before, m.after) for m in mistakes(ast.parse(source).body[0])]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("x = y + z", {"pass", "x = y - z"}),
        ("x = y - z", {"pass", "x = y + z"}),
        ("x = y * z", {"pass", "x = y / z", "x = y + z"}),
        ("x = y / z", {"pass", "x = y * z"}),
        ("x = y // z", {"pass", "x = y / z", "x = y * z"}),
        ("x = y ** z", {"pass", "x = y * z"}),
        ("x = y < z", {"pass", "x = y <= z", "x = y >= z"}),
        ("x = y == z", {"pass", "x = y != z"}),
        ("x = y is z", {"pass", "x = y is not z"}),
        ("x = y not in z", {"pass", "x = y in z"}),
        ("x = y and z", {"pass", "x = y or z"}),
        ("x = not y", {"pass", "x = y"}),
        ("x = -y", {"pass", "x = y"}),
        ("x = 3", {"pass", "x = 4"}),
        ("x = 0.0", {"pass", "x = 1.0"}),
        ("x = 1", {"pass", "x = 2", "x = 0"}),
        ("x = True", {"pass", "x = False"}),
        ("x = 'relu'", {"pass", "x = ''"}),
        ("x = None", {"pass"}),
        ("x: int = 2", {"pass", "x: int = 3"}),
        ("x += y", {"pass", "x -= y", "x = y"}),
        ("x -= y", {"pass", "x += y", "x = y"}),
        ("x.append(y)", {"pass"}),
        ("g(x, y, z)", {"pass", "g(y, x, z)"}),
        ("g(*x, y)", {"pass"}),
        ("x = y if z else x", {"pass", "x = y if not z else x"}),
        ("x = [i for i in y if i]", {"pass", "x = [i for i in y if not i]"}),
        ("return x", {"return None"}),
        ("return x + y", {"return None", "return x - y"}),
        ("return", set()),
        ("pass", set()),
        ("raise ValueError('%d is one too few' % 1)", {"pass"}),
        ("x = f'{y:.2f} too few'", {"pass"}),
    ],
)
def test_mistakes_in_a_statement(before, after):
    found = changes(before)
    assert {b for b, _ in found} <= {before}
    assert sorted(a for _, a in found) == sorted(after)


def test_mistakes_in_what_has_statements_inside():
    assert changes("if x:\n    return y\nreturn z") == [
        ("if x:", "pass"),
        ("if x:", "if not x:"),
        ("return y", "pass"),
        ("return y", "return None"),
        ("return z", "return None"),
    ]
    assert changes("while x < y:\n    x += 1") == [
        ("while x < y:", "pass"),
        ("while x < y:", "while x <= y:"),
        ("while x < y:", "while x >= y:"),
        ("x += 1", "pass"),
        ("x += 1", "x -= 1"),
        ("x += 1", "x = 1"),
        ("x += 1", "x += 2"),
        ("x += 1", "x += 0"),
    ]


def test_docstrings_and_annotations_stay():
    body = '"""Add 1 to x."""\n\ndef inner(x: "int" = 0) -> "int":\n    """Of 2."""\n    return x'
    assert changes(body, "def f() -> 'int':") == [
        ("def inner(x: 'int'=0) -> 'int':", "pass"),
        ("def inner(x: 'int'=0) -> 'int':", "def inner(x: 'int'=1) -> 'int':"),
        ("return x", "return None"),
    ]


def test_a_mistake_is_in_the_source():
    (function,) = ast.parse("def f(x):\n    '''Doc.'''\n    y = x + 1\n    return y").body
    found = next(m for m in mistakes(function) if m.after == "y = x - 1")
    assert found.line == 3
    assert found.source == 'def f(x):\n    """Doc."""\n    y = x - 1\n    return y'
    assert ast.unparse(function).count("x + 1") == 1  # the reference itself is as it was


def test_mutants_are_of_holes_only():
    built = build_lesson(FILES["1_micrograd/2_networks"])
    mutants = make_mutants(built)
    of = {mutant.part for mutant in mutants}
    assert {
        "micrograd.nn.Neuron.__call__",
        "micrograd.nn.MLP.__init__",
        "micrograd.losses.mse_loss",
    } <= of
    assert (
        not {
            "micrograd.nn.Neuron.__init__",
            "micrograd.nn.MLP.__repr__",
            "micrograd.training.train",
        }
        & of
    )
    assert "micrograd.nn.Neuron" not in of
    step = next(m for m in mutants if m.after.startswith("p.data += self.lr"))
    assert step.part == "micrograd.optim.SGD.step"
    file, _, line = step.place.partition(":")
    row = (LESSONS.parent / file).read_text().splitlines()[int(line) - 1]
    assert row.strip() == step.before
    assert '@exercise("course.micrograd.optim.SGD")' in step.cell
    assert "def zero_grad" in step.cell
    assert step.after in step.cell
    assert step.change == f"{step.before}\n# becomes\n{step.after}"


WEAK = re.sub(  # at t = 0.5, from 0, some mistakes look right
    r"assert_close\(.*\)", "assert_close(lerp(0.0, 2.0, 0.5), 1.0)", TOY, count=1
).replace("lerp(7.0, 9.0, 0.5), 8.0", "lerp(0.0, 9.0, 0.5), 4.5")
BANK = """---
jupytext:
  text_representation: {extension: .md, format_name: myst}
kernelspec: {display_name: Python 3, language: python, name: python3}
---

# Answers
"""
EQUIVALENT = """
```{code-cell} ipython3
---
equivalent: %s
why: a toy
---
%s
```
"""
PLUS = "return start + t * (end - start)\n# becomes\nreturn start + t * (end + start)"
TIMES = "return start + t * (end - start)\n# becomes\nreturn start + t / (end - start)"


@pytest.fixture
def tried(tmp_path):
    """Tries the mutants of a text that stands for lesson 0, with what its bank calls equivalent."""

    def tried(text, *equivalents):
        path = tmp_path / "lessons" / "0_start" / "0_welcome.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.with_suffix(".bank.md").write_text(BANK + "".join(EQUIVALENT % x for x in equivalents))
        return verify_mutants(build_lesson(path, tmp_path), tmp_path, jobs=2)

    return tried


def test_a_good_check_notices_all(tried):
    proof = tried(TOY)
    assert str(proof) == "0: 5 mutants, 5 killed, 0 equivalent, 0 survived (100.0 %)"
    assert proof.holds


def test_survivors_of_a_weak_check_are_found(tried):
    proof = tried(WEAK)
    assert [mutant.change for mutant in proof.survived] == [PLUS]
    assert proof.survived[0].place.endswith("course/start/interpolate.py:17")
    assert str(proof) == "0: 5 mutants, 4 killed, 0 equivalent, 1 survived (80.0 %)"
    assert not proof.holds


def test_a_reference_that_loses_points_is_told(tried):
    with pytest.raises(GraderError, match="the reference itself loses points in 'ends'"):
        tried(TOY.replace("8.0", "8.5"))


def test_what_the_bank_calls_equivalent_is_no_survivor(tried):
    proof = tried(WEAK, ("lerp", PLUS))
    assert str(proof) == "0: 5 mutants, 4 killed, 1 equivalent, 0 survived (100.0 %)"
    assert proof.holds


@pytest.mark.parametrize(
    ("part", "change", "says"),
    [
        ("lerp", TIMES, "this mutant of 'lerp' loses points"),
        ("larp", PLUS, "no mutant of 'larp' is this one"),
        ("lerp", PLUS.replace("end + start", "start"), "no mutant of 'lerp' is this one"),
    ],
)
def test_a_stale_entry_is_found(tried, part, change, says):
    proof = tried(WEAK, ("lerp", PLUS), (part, change))
    assert len(proof.stale) == 1
    assert proof.stale[0].startswith("lessons/0_start/0_welcome.bank.md:19: ")
    assert says in proof.stale[0]
    assert not proof.holds


def test_a_cell_with_several_equivalents(tried, tmp_path):
    proof = tried(WEAK, ("interpolate.lerp", f"{PLUS}\n\n{TIMES}"))
    assert proof.equivalent == 1
    assert len(proof.stale) == 1
    built = build_lesson(tmp_path / "lessons/0_start/0_welcome.md", tmp_path)
    assert [x.change for x in read_equivalents(built, tmp_path)] == [PLUS, TIMES]
    assert {x.why for x in read_equivalents(built, tmp_path)} == {"a toy"}


def test_an_equivalent_of_another_form(tried):
    with pytest.raises(LessonTextError, match=r"bank\.md:9: the code before, a line '# becomes'"):
        tried(WEAK, ("lerp", "return start"))


@pytest.mark.parametrize(
    ("total", "survived", "equivalent", "per_cent", "holds"),
    [(100, 5, 0, 95.0, True), (100, 6, 0, 94.0, False), (1000, 1, 0, 99.9, True),
     (3000, 1, 0, 99.9, True), (101, 5, 1, 95.0, True), (0, 0, 0, 100.0, True)],
)  # fmt: skip
def test_the_share_is_of_those_that_are_mistakes(total, survived, equivalent, per_cent, holds):
    proof = MutantProof("0", total, survived=[None] * survived, equivalent=equivalent)
    assert proof.per_cent == per_cent
    assert proof.holds is holds


def forever():
    while True:
        time.sleep(1)


def killed():
    os.kill(os.getpid(), signal.SIGKILL)


def test_tasks_run_apart_and_may_die():
    here = os.getpid()
    tasks = [
        Task(forever, 0.2, "forever"),
        Task(killed, 60, "killed"),
        Task(lambda: os._exit(0), 60, "gone"),
        *[Task(lambda n=n: n if os.getpid() != here else None, 60, n) for n in range(5)],
    ]
    came = {task.about: result for task, result in run_apart(tasks, jobs=3)}
    expected = {"forever": None, "killed": None, "gone": None} | {n: n for n in range(5)}
    assert came == expected


def test_a_run_that_is_left_leaves_no_process():
    before = multiprocessing.active_children()
    running = run_apart([Task(os.getpid, 60), Task(forever, 60), Task(forever, 60)], jobs=2)
    next(running)
    assert len(multiprocessing.active_children()) > len(before)
    running.close()
    assert multiprocessing.active_children() == before


def test_a_mutant_that_hangs_or_dies_is_killed(tried, monkeypatch):
    monkeypatch.setattr("grader.verify.SECONDS", 0.5)
    does = {"return None": forever, "return start - t * (end - start)": killed}
    monkeypatch.setattr(
        "grader.verify._survives", lambda built, mutant: does.get(mutant.after, lambda: True)()
    )
    proof = tried(TOY)
    assert (proof.killed, len(proof.survived)) == (2, 3)


def test_the_command():
    done = CliRunner().invoke(app, ["verify", "--mutants", "0", "--jobs", "1"])
    assert done.exit_code == 0, done.output
    assert "0: 5 mutants, 5 killed, 0 equivalent, 0 survived (100.0 %)" in done.output


def test_the_command_fails_where_a_mistake_goes_unnoticed(monkeypatch):
    monkeypatch.setattr(
        "grader.verify._survives", lambda built, mutant: mutant.after == "return None"
    )
    done = CliRunner().invoke(app, ["verify", "--mutants", "0"])
    assert done.exit_code == 1
    assert "survived: start.interpolate.lerp, course/start/interpolate.py:17" in done.output
    assert "    return start + t * (end - start)\n    # becomes\n    return None\n" in done.output
    assert "0: 5 mutants, 4 killed, 0 equivalent, 1 survived (80.0 %)" in done.output


def test_the_help_has_an_example():
    done = CliRunner().invoke(app, ["verify", "--help"], env={"COLUMNS": "120"})
    assert "Example: grader verify --mutants 1.1" in done.output
