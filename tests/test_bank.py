"""The proof: every lesson's claims hold, and a claim that does not hold is found."""

import random
import warnings

import matplotlib
import pytest

from grader.bank import read_bank
from grader.build import build_lesson, lesson_files
from grader.errors import LessonTextError
from grader.paths import LESSONS
from grader.run import Task, run_apart, run_notebook
from grader.verify import verify

FILES = {
    path.relative_to(LESSONS).as_posix().removesuffix(".md"): path for path in lesson_files(LESSONS)
}


@pytest.mark.parametrize("name", FILES)
def test_every_claim_holds(name):
    # In a process of its own, which takes with it what hundreds of answers leave in memory.
    work = lambda: list(verify(build_lesson(FILES[name])))  # noqa: E731
    ((_, proofs),) = run_apart([Task(work, seconds=1800)], jobs=1)
    assert proofs is not None, "it took too long, or its process died"
    assert [f"{proof.claim}: {proof.problem}" for proof in proofs if proof.problem] == []
    assert len(proofs) > 5


BANK = """---
jupytext:
  text_representation: {extension: .md, format_name: myst}
kernelspec: {display_name: Python 3, language: python, name: python3}
---

# Answers

```{code-cell} ipython3
---
%s
---
def lerp(start, end, t):
    return %s
```
"""


@pytest.fixture
def claims(tmp_path):
    """Verifies lesson 0 with a bank of one answer; returns the problems found."""

    def claims(options, answer, lesson=None):
        path = tmp_path / "lessons" / "0_start" / "0_welcome.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(lesson or FILES["0_start/0_welcome"].read_text())
        path.with_suffix(".bank.md").write_text(BANK % (options, answer))
        return [p.problem for p in verify(build_lesson(path, tmp_path), tmp_path) if p.problem]

    return claims


WRONG = "wrong: lerp\nmisconception: none\nsays: {}"


def test_a_check_that_passes_wrong_code_is_found(claims):
    problems = claims(WRONG.format("x"), "start + t * (end - start)")
    assert "it keeps full marks on its own exercise" in problems


def test_a_check_that_fails_right_code_is_found(claims):
    problems = claims("right: lerp\nwhy: it is not", "0.0")
    assert any("it loses points with seed 0" in problem for problem in problems)


def test_a_message_that_does_not_name_the_misconception_is_found(claims):
    problems = claims(WRONG.format("overflow"), "0.0")
    assert any("no message says 'overflow'" in problem for problem in problems)
    assert not any("no message says" in p for p in claims(WRONG.format("at t = 0"), "0.0"))


def test_a_small_bank_is_found(claims):
    assert "it has 1 wrong and 0 right ones" in claims(WRONG.format("at t = 0"), "0.0")


def test_a_solved_notebook_that_loses_points_is_found(claims):
    lesson = FILES["0_start/0_welcome"].read_text().replace("0.25), 12.5", "0.25), 13.5")
    problems = claims(WRONG.format("at t = 0"), "0.0", lesson)
    assert any("it loses points: lerp-ends" in problem for problem in problems)


def test_points_for_nothing_are_found(claims):
    lesson = FILES["0_start/0_welcome"].read_text()
    start = lesson.index("assert_close(lerp(1.0, 0.1")
    lesson = (
        lesson[:start]
        + "assert_close(1.0, 1.0)\n### BEGIN HIDDEN TESTS\nassert_close(2.0, 2.0)\n"
        + "### END HIDDEN TESTS\n```\n"
        + lesson[lesson.index("## The machine runs") :]
    )
    problems = claims(WRONG.format("at t = 0"), "0.0", lesson)
    assert "these checks pass with nothing written: lerp-down" in problems


def test_an_answer_that_fits_nothing(claims):
    with pytest.raises(LessonTextError, match=r"bank\.md:9: 'larp' names no exercise"):
        claims("right: larp\nwhy: none", "0.0")
    with pytest.raises(LessonTextError, match=r"bank\.md:9: option 'why' is missing"):
        claims("right: lerp", "0.0")


def test_the_bank_is_needed(tmp_path):
    path = tmp_path / "lessons" / "0_start" / "0_welcome.md"
    path.parent.mkdir(parents=True)
    path.write_text(FILES["0_start/0_welcome"].read_text())
    with pytest.raises(LessonTextError, match="every lesson has a bank"):
        read_bank(build_lesson(path, tmp_path), tmp_path)


def test_running_leaves_no_trace():
    built = build_lesson(FILES["0_start/0_welcome"])
    show, backend = warnings.showwarning, matplotlib.get_backend()
    state = random.getstate()
    replace = {"start-interpolate-lerp": "import os\nos.environ['X'] = '1'\nraise KeyError('no')"}
    run = run_notebook(built.solved, replace=replace)
    assert run.points == {"lerp-ends": 0, "lerp-down": 0}
    assert run.errors["start-interpolate-lerp"] == "KeyError: 'no'"
    assert warnings.showwarning is show
    assert matplotlib.get_backend() == backend
    assert random.getstate() == state
    from course.start import lerp

    assert lerp(0.0, 1.0, 0.5) == 0.5


def test_an_endless_loop_is_stopped(monkeypatch):
    monkeypatch.setattr("grader.run.SECONDS", 1)
    built = build_lesson(FILES["0_start/0_welcome"])
    exercise = next(c for c in built.solved.cells if c.id == "start-interpolate-lerp").source
    replace = {
        "start-interpolate-lerp": exercise.replace(
            "return start", "while True: pass\n    return start"
        )
    }
    run = run_notebook(built.solved, replace=replace, checks={"lerp-ends"})
    assert "took more than 1 seconds" in run.messages["lerp-ends"]
