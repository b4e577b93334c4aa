"""The sandbox and a real Jupyter kernel give the same marks, on all lessons."""

import os

import nbformat
import pytest

from grader.bank import Answer, read_bank
from grader.build import Built, build_lesson, lesson_files
from grader.lift import BEGIN, END
from grader.pack import essence, make_pack
from grader.paths import LESSONS, ROOT
from grader.sandbox.layers import Limits
from grader.verify import untouched
from grader.worker import How, Job, grade_submission

pytestmark = pytest.mark.nbgrader

FILES = {
    path.relative_to(LESSONS).as_posix().removesuffix(".md"): path for path in lesson_files(LESSONS)
}
LIMITS = Limits(30, 150)
PER_LESSON = 2  # wrong answers of each lesson that go through both
# Of other lessons, one submission goes through both: right answers, and a wrong one. Time.
FULLY = ("0_start", "1_micrograd/1")
# Lessons of which none goes through Jupyter here: a notebook of kernels or of trainings takes a minute.
LONG = ("3_cuda/2", "3_cuda/3", "3_cuda/4", "3_cuda/5", "3_cuda/7", "4_gpt/3", "4_gpt/4", "4_gpt/5")
# Answers of each lesson that go through the sandbox here. `grader verify` proves all of them in a
# process of its own; COURSE_WHOLE_BANK=1 sends all of them through the sandbox too.
IN_SANDBOX = 10_000 if os.environ.get("COURSE_WHOLE_BANK") else 2


def in_sandbox(name: str) -> int:
    """How many answers of a lesson go through; kernels take longer than anything else."""
    return max(1, IN_SANDBOX // 2) if name.startswith("3_cuda") else IN_SANDBOX


def spread(answers: list[Answer], count: int) -> list[Answer]:
    """At most so many of the answers, evenly from the first to the last."""
    step = max(1, -(-len(answers) // count))
    return answers[::step]


def handed_in(built: Built, cells: dict[str, str]) -> bytes:
    """A submission with these cells, by id."""
    notebook = nbformat.reads(nbformat.writes(built.student), 4)
    for cell in notebook.cells:
        if cell.metadata.get("nbgrader", {}).get("solution"):
            lines = cells[cell.id].splitlines()
            cell.source = "\n".join(x for x in lines if x.strip() not in (BEGIN, END))
    return nbformat.writes(notebook).encode()


@pytest.mark.parametrize("name", FILES)
def test_the_bank_holds_in_the_sandbox(name: str) -> None:
    """Wrong answers lose points on their exercise, and are told by name; right ones lose nothing.

    Of a large bank, some; see IN_SANDBOX.
    """
    built = build_lesson(FILES[name])
    some = spread(read_bank(built), in_sandbox(name))
    pack = make_pack(name, ROOT, learn={x.exercise for x in some if not x.right})
    solved = {cell.id: cell.source for cell in built.solved.cells}
    for answer in some:
        job = Job("ada", name, handed_in(built, solved | {answer.exercise: answer.cell}))
        checks = grade_submission(job, pack, How(LIMITS, unsafe=True)).checks
        assert checks
        lost = [check for check in checks if check.points < check.possible]
        own = [check for check in lost if answer.exercise in check.exercises]
        if answer.right:
            assert not lost, (answer.place, lost)
        else:
            assert own, answer.place
            # Where more than two of the bank look alike, two of them are named.
            known = next(x.messages for x in pack.misconceptions if x.about == answer.about)
            alike = [x for x in own if " Or: " in x.misconception]
            assert any(answer.about in x.misconception for x in own) or any(
                known.get(x.id) == essence(x.message) for x in alike
            ), (answer.place, own)


@pytest.mark.parametrize("name", FILES)
def test_both_give_the_same_marks(name: str) -> None:
    if name.startswith(LONG) and not os.environ.get("COURSE_WHOLE_BANK"):
        pytest.skip(
            "this lesson's notebook takes a minute in Jupyter; COURSE_WHOLE_BANK=1 takes it"
        )
    built = build_lesson(FILES[name])
    pack = make_pack(name, ROOT, learn=())
    solved = {cell.id: cell.source for cell in built.solved.cells}
    bank = read_bank(built)
    wrong = [answer for answer in bank if not answer.right]
    some = wrong[:: max(1, len(wrong) // PER_LESSON)][:PER_LESSON]
    right = {answer.exercise: answer.cell for answer in bank if answer.right}
    empty = {cell.id: cell.source for cell in untouched(built.solved).cells}
    versions = {"solved": solved, "untouched": empty, "otherwise right": solved | right}
    versions |= {answer.about: solved | {answer.exercise: answer.cell} for answer in some}
    if not name.startswith(FULLY):
        mixed = solved | right | {some[0].exercise: some[0].cell}
        versions = {some[0].about: mixed}
    for about, cells in versions.items():
        job = Job("ada", name, handed_in(built, cells))
        marks = {}
        for executor in ("sandbox", "jupyter"):
            outcome = grade_submission(job, pack, How(LIMITS, executor, unsafe=True))
            marks[executor] = (
                outcome.status,
                {check.id: check.points for check in outcome.checks},
            )
        assert marks["sandbox"] == marks["jupyter"], about
        points = marks["sandbox"][1].values()
        possible = sum(check.possible for check in outcome.checks)
        if about in ("solved", "otherwise right"):
            assert sum(points) == possible
        elif about == "untouched":
            assert sum(points) == 0
        else:
            assert sum(points) < possible
            assert name.startswith(FULLY) or sum(points) > 0
