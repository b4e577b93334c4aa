"""The proof that a lesson's checks are right.

The solved notebook gets full marks and the untouched one none. Every wrong answer of the bank
loses points on its own exercise, with a message that names the misconception. Every right answer
keeps full marks, whatever the seed.

Besides, mutants: nearly every small mechanical mistake in the reference loses points on its own exercise.
"""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import Any

import nbformat
from nbgrader.preprocessors import ClearSolutions

from grader.bank import Answer, read_bank, read_equivalents
from grader.build import Built
from grader.errors import GraderError
from grader.mutants import Mutant, make_mutants
from grader.nbgrader_settings import notebook_settings
from grader.paths import ROOT
from grader.run import Task, run_apart, run_notebook

SEEDS = range(5)
WRONG, RIGHT = 3, 1  # how many answers of each kind an exercise needs at least
KILLED = 95  # per cent of a lesson's mutants that must lose points, at least
TIMES, SECONDS = (
    10,
    2,
)  # a mutant may take so many times as long as the reference, and so many seconds


@dataclass(frozen=True)
class Proof:
    """One claim about a lesson's checks, tried.

    Attributes:
        claim: what was tried.
        problem: why it does not hold; empty if it does.
    """

    claim: str
    problem: str = ""


def untouched(solved: Any) -> Any:
    """The student's notebook with the hidden tests still in it, as it is when graded."""
    notebook = nbformat.reads(nbformat.writes(solved), 4)
    return ClearSolutions(config=notebook_settings()).preprocess(notebook, {})[0]


def verify(built: Built, root: Path = ROOT) -> Iterator[Proof]:
    """Try every claim about one lesson, one after another.

    Args:
        built: the lesson.
        root: the repository, in which the lesson's bank stands beside its text.
    """
    yield _verify_solved(built)
    yield _verify_untouched(built)
    answers = read_bank(built, root)
    fitting = _fitting(built, answers)
    for exercise in built.exercises:
        own = [answer for answer in answers if answer.exercise == exercise.id]
        yield _verify_bank_size(f"{built.text.name}.bank.md: {exercise.paths[0]}", own)
        for answer in own:
            if answer.right:
                yield _verify_right(built, answer, answer.place in fitting)
            else:
                yield _verify_wrong(built, answer)


def _verify_solved(built: Built) -> Proof:
    claim = "the solved notebook gets full marks"
    run = run_notebook(built.solved)
    if run.errors:
        cell, error = next(iter(run.errors.items()))
        return Proof(claim, f"its cell {cell} raises {error}")
    return Proof(claim, "" if run.full() else f"it loses points: {_failures(run.messages)}")


def _verify_untouched(built: Built) -> Proof:
    run = run_notebook(untouched(built.solved))
    passed = [check for check, points in run.points.items() if points]
    problem = f"these checks pass with nothing written: {', '.join(passed)}" if passed else ""
    return Proof("the untouched notebook gets no points", problem)


def _verify_bank_size(exercise: str, answers: list[Answer]) -> Proof:
    right = sum(answer.right for answer in answers)
    wrong = len(answers) - right
    enough = wrong >= WRONG and right >= RIGHT
    problem = "" if enough else f"it has {wrong} wrong and {right} right ones"
    return Proof(f"{exercise} has {WRONG} wrong answers and {RIGHT} right one at least", problem)


def _own_checks(built: Built, exercise: str) -> set[str]:
    return {check for check, of in built.checks.items() if exercise in of}


def _verify_wrong(built: Built, answer: Answer) -> Proof:
    claim = f"{answer.place}: wrong: {answer.about}"
    replace = {answer.exercise: answer.cell}
    run = run_notebook(built.solved, replace=replace, checks=_own_checks(built, answer.exercise))
    if run.full():
        return Proof(claim, "it keeps full marks on its own exercise")
    messages = list(run.messages.values()) + list(run.errors.values())
    if not any(answer.says.lower() in message.lower() for message in messages):
        return Proof(claim, f"no message says {answer.says!r}: {_failures(run.messages)}")
    return Proof(claim)


def _fitting(built: Built, answers: list[Answer]) -> set[str]:
    """Places of the right answers with which all checks pass, also those of later exercises that build on them.

    To try each alone would take a whole notebook for each. So notebooks are made of right answers only: the
    first of each exercise, the second of each, and so on. Nothing is said of those in a notebook that loses points.
    """
    fitting: set[str] = set()
    right = [
        [answer for answer in answers if answer.right and answer.exercise == exercise.id]
        for exercise in built.exercises
    ]
    for together in zip_longest(*right):
        chosen = [answer for answer in together if answer is not None]
        replace = {answer.exercise: answer.cell for answer in chosen}
        if run_notebook(built.solved, replace=replace, checks=set(built.checks)).full():
            fitting |= {answer.place for answer in chosen}
    return fitting


def _verify_right(built: Built, answer: Answer, fits: bool) -> Proof:
    """Its own checks pass with whatever seed, and if it is not known to fit, all others too."""
    claim = f"{answer.place}: right: {answer.about}"
    replace = {answer.exercise: answer.cell}
    for seed in SEEDS:
        own = fits or seed > 0
        checks = _own_checks(built, answer.exercise) if own else set(built.checks)
        run = run_notebook(built.solved, replace=replace, checks=checks, seed=seed)
        if not run.full():
            return Proof(claim, f"it loses points with seed {seed}: {_failures(run.messages)}")
        if not run.drew:
            break
    return Proof(claim)


def _failures(messages: dict[str, str]) -> str:
    return "; ".join(f"{check}: {' '.join(message.split())}" for check, message in messages.items())


@dataclass
class MutantProof:
    """What came of a lesson's mutants.

    Attributes:
        lesson: its number.
        total: how many were tried.
        survived: those that keep full marks and should not.
        equivalent: how many the bank says are no mistakes.
        stale: what does not fit in the bank's list of these.
    """

    lesson: str
    total: int
    survived: list[Mutant] = field(default_factory=list)
    equivalent: int = 0
    stale: list[str] = field(default_factory=list)

    @property
    def killed(self) -> int:
        """How many lose points."""
        return self.total - self.equivalent - len(self.survived)

    @property
    def per_cent(self) -> float:
        """The share of those that are mistakes which lose points; rounded down, to a tenth."""
        mistakes = self.total - self.equivalent
        return math.floor(1000 * self.killed / mistakes) / 10 if mistakes else 100.0

    @property
    def holds(self) -> bool:
        """Whether enough of them lose points, and the bank's list is right."""
        return self.per_cent >= KILLED and not self.stale

    def __str__(self) -> str:
        return (
            f"{self.lesson}: {self.total} mutants, {self.killed} killed, {self.equivalent} equivalent, "
            f"{len(self.survived)} survived ({self.per_cent} %)"
        )


def verify_mutants(
    built: Built,
    root: Path = ROOT,
    *,
    jobs: int = 1,
    every: int = 1,
    watch: Callable[[int, int], None] = lambda *_: None,
) -> MutantProof:
    """Try a lesson's mutants, each on the checks of its own exercise.

    One that takes far longer than the reference, or ends its process, counts as killed.

    Args:
        built: the lesson, which holds without mutants.
        root: the repository, in which the lesson's bank stands beside its text.
        jobs: how many to try at once.
        every: 3 tries every third only, and says nothing about the others.
        watch: called with how many have been tried, and how many there are.

    Raises:
        GraderError: if the reference itself loses points, or this system cannot fork processes.
    """
    equivalents = read_equivalents(built, root)
    made = make_mutants(built, root)
    mutants = made[::every]
    limits = {x.id: _limit(built, x.id) for x in built.exercises}
    tasks = [Task(partial(_survives, built, x), limits[x.exercise], x) for x in mutants]
    alive: list[Mutant] = []
    watch(0, len(mutants))
    for number, (task, survives) in enumerate(run_apart(tasks, jobs), 1):
        if survives:
            alive.append(task.about)
        watch(number, len(mutants))
    proof = MutantProof(built.text.number, len(mutants))
    for known in equivalents:
        fitting = [m for m in made if known.is_of(m.part) and known.change == m.change]
        if not fitting:
            proof.stale.append(
                f"{known.place}: no mutant of {known.part!r} is this one; take it out"
            )
        elif not set(fitting) & set(mutants) <= set(alive):
            proof.stale.append(
                f"{known.place}: this mutant of {known.part!r} loses points; take it out"
            )
    for mutant in sorted(alive, key=mutants.index):
        if any(known.is_of(mutant.part) and known.change == mutant.change for known in equivalents):
            proof.equivalent += 1
        else:
            proof.survived.append(mutant)
    return proof


def _limit(built: Built, exercise: str) -> float:
    """How many seconds a mutant of the exercise may take."""
    start = time.perf_counter()
    run = run_notebook(built.solved, checks=_own_checks(built, exercise))
    if not run.full():  # every mutant would seem to be noticed
        raise GraderError(
            f"lesson {built.text.number}: the reference itself loses points in "
            f"{min(run.messages)!r}: run `grader verify {built.text.number}` first"
        )
    return TIMES * (time.perf_counter() - start) + SECONDS


def _survives(built: Built, mutant: Mutant) -> bool:
    replace = {mutant.exercise: mutant.cell}
    return run_notebook(
        built.solved, replace=replace, checks=_own_checks(built, mutant.exercise)
    ).full()
