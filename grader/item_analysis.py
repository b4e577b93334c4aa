"""What a class's marks say about a lesson's exercises and checks: counts and classical test theory.

All of it comes from plain data, in any order of the students.
"""

import math
import re
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from textwrap import shorten

import numpy as np

from course.learn.manifest import lessons
from grader.outcome import CheckOutcome, Outcome
from grader.pack import essence
from grader.results import Status

FEW = 10  # students; below this, what a correlation says is chance
FEW_GROUPS = 30  # below this, groups of 27 % are too small to compare
GROUP = 0.27
TOO_FEW, ALL_ALIKE = "too few", "all alike"
HINT = "Hint: "
CALLS = re.compile(r"\Aline \d+ [^\n]+:  .*?\n\n", re.DOTALL)  # what led to an error
LONGEST_REASON = 140


@dataclass(frozen=True)
class Entry:
    """One student's lesson.

    Attributes:
        outcome: what came of it; its notebook is not needed.
        tried: ids of the exercises in which the student wrote something; None if nobody knows.
    """

    outcome: Outcome
    tried: frozenset[str] | None = None


@dataclass(frozen=True)
class Spread:
    """How numbers are spread."""

    lowest: float
    quarter: float
    median: float
    three_quarters: float
    tenth: float  # what one in ten exceeds
    highest: float

    @classmethod
    def of(cls, numbers: Sequence[float]) -> "Spread | None":
        """The spread of these; None if there are none."""
        if not numbers:
            return None
        return cls(*map(float, np.percentile(numbers, [0, 25, 50, 75, 90, 100])))


@dataclass
class CheckNumbers:
    """How a check went.

    Attributes:
        id: the check's id.
        exercises: ids of the exercises it belongs to.
        students: how many it was run for.
        passed: how many passed it.
        visible, hidden: how many failed in the part that students see, and in the hidden one.
        ended: of these, those whose code ended before an assertion failed.
        not_run: how many it was never reached for.
        first: which assertion failed first, counted from 1, whether it is hidden, and how often;
            the most frequent first.
        reasons: why it failed, and how often.
    """

    id: str
    exercises: list[str]
    students: int = 0
    passed: int = 0
    visible: int = 0
    hidden: int = 0
    ended: int = 0
    not_run: int = 0
    first: list[tuple[int, bool, int]] = field(default_factory=list)
    reasons: list[tuple[str, int]] = field(default_factory=list)


@dataclass
class ExerciseNumbers:
    """How an exercise went.

    Attributes:
        id, title: the exercise's.
        students: how many notebooks its checks were run in.
        tried: in how many of them something was written; None if nobody knows.
        full: how many have all of its points.
        part: how many of those who tried have some of them.
        none: how many of those who tried have none.
        reasons: why it failed: misconceptions, or else what the check said, and for how many
            students; the most frequent first.
        seconds: how long its checks took.
        difficulty: the mean share of its points.
        discrimination: how its share goes with the points of the rest of the lesson, from -1 to 1;
            or why there is no such number.
        upper_lower: the mean share of the best 27 % less that of the weakest 27 %; or why not.
        words: what that means, if it means something.
    """

    id: str
    title: str
    students: int = 0
    tried: int | None = None
    full: int = 0
    part: int = 0
    none: int = 0
    reasons: list[tuple[str, int]] = field(default_factory=list)
    seconds: Spread | None = None
    difficulty: float | None = None
    discrimination: float | str = TOO_FEW
    upper_lower: float | str = TOO_FEW
    words: str = ""

    @property
    def failed(self) -> int:
        """How many tried, and do not have all of its points."""
        return self.part + self.none

    @property
    def untried(self) -> int:
        """How many left it as it was."""
        return self.students - self.full - self.failed


@dataclass
class LessonNumbers:
    """How a lesson went.

    Attributes:
        name, number, title: the lesson's.
        students: how many handed something in.
        statuses: how many have each status, from good to bad.
        scores: the points of each student whose checks ran, from low to high.
        possible: the points that its checks can give.
        score, cpu_seconds, memory: how they are spread; None where nothing is known.
        exercises, checks: in the order of the lesson.
        notes: what to know about these numbers.
    """

    name: str
    number: str
    title: str
    students: int = 0
    statuses: dict[Status, int] = field(default_factory=dict)
    scores: list[float] = field(default_factory=list)
    possible: float = 0
    score: Spread | None = None
    cpu_seconds: Spread | None = None
    memory: Spread | None = None
    exercises: list[ExerciseNumbers] = field(default_factory=list)
    checks: list[CheckNumbers] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def all_points(self) -> int:
        """How many have all points."""
        return sum(score >= self.possible for score in self.scores)


def analyse(name: str, entries: Iterable[Entry]) -> LessonNumbers:
    """Count what came of a lesson.

    Args:
        name: "<unit>/<lesson>".
        entries: the submissions of this lesson, one for each student.
    """
    everybody = sorted(entries, key=lambda entry: entry.outcome.student)
    outcomes = [entry.outcome for entry in everybody]
    known = lessons().get(name)
    numbers = LessonNumbers(name, known.number if known else "", known.title if known else name)
    numbers.students = len(outcomes)
    counts = Counter(outcome.status for outcome in outcomes)
    numbers.statuses = {status: counts[status] for status in Status if counts[status]}
    ran = [entry for entry in everybody if entry.outcome.checks]
    sums = [_points(entry.outcome.checks) for entry in ran]
    numbers.scores = sorted(points for points, _ in sums)
    numbers.possible = max((possible for _, possible in sums), default=0)
    if len({possible for _, possible in sums}) > 1:
        numbers.notes.append(
            "These submissions were graded with different versions of the lesson: grade all of "
            "them again before you compare."
        )
    numbers.score = Spread.of(numbers.scores)
    numbers.cpu_seconds = Spread.of([x.cpu_seconds for x in outcomes if x.cpu_seconds])
    numbers.memory = Spread.of([x.memory for x in outcomes if x.memory])
    # The most checks first, so that those of an older version do not come before the others.
    checks: dict[str, CheckOutcome] = {}
    for listed in sorted((entry.outcome.checks for entry in ran), key=len, reverse=True):
        for check in listed:
            checks.setdefault(check.id, check)
    numbers.checks = [_check_numbers(check, ran) for check in checks.values()]
    titles = {part.exercise: part.title for part in known.parts} if known else {}
    exercises = dict.fromkeys(x for check in numbers.checks for x in check.exercises)
    order = list(titles)
    for exercise in sorted(exercises, key=lambda x: order.index(x) if x in titles else len(order)):
        numbers.exercises.append(
            _exercise_numbers(exercise, titles.get(exercise, exercise), ran, numbers.checks)
        )
    return numbers


def correlation(xs: Sequence[float], ys: Sequence[float]) -> float | str:
    """Pearson's; or why there is none."""
    if len(xs) < FEW:
        return TOO_FEW
    try:
        return max(-1.0, min(1.0, statistics.correlation(xs, ys)))
    except statistics.StatisticsError:  # no variation in one of them
        return ALL_ALIKE


def upper_lower(shares: Sequence[float], totals: Sequence[float]) -> float | str:
    """The mean share of those with the highest totals less that of those with the lowest.

    Each group is 27 % of all. Where several have the total at its edge, their mean stands for those
    who belong to it, so that no order of the students matters.
    """
    if len(shares) < FEW_GROUPS:
        return TOO_FEW
    size = round(GROUP * len(shares))
    pairs = list(zip(shares, totals))
    return _top(pairs, size) - _top([(share, -total) for share, total in pairs], size)


def reason(check: CheckOutcome) -> str:
    """Why a check failed, so that the same reasons read the same."""
    if check.misconception:
        return check.misconception
    message = essence(CALLS.sub("", check.message, count=1))
    lines = message.splitlines() or ["It did not pass."]
    hints = [line.removeprefix(HINT) for line in lines if line.startswith(HINT)]
    return shorten((hints or lines)[0], LONGEST_REASON, placeholder=" ...")


def passed(check: CheckOutcome) -> bool:
    """Whether a check has all of its points."""
    return not check.message and check.points >= check.possible


def _points(checks: Iterable[CheckOutcome]) -> tuple[float, float]:
    """The points that were given, and those that could have been."""
    listed = list(checks)
    return math.fsum(x.points for x in listed), math.fsum(x.possible for x in listed)


def _top(pairs: Sequence[tuple[float, float]], size: int) -> float:
    edge = sorted((total for _, total in pairs), reverse=True)[size - 1]
    above = [share for share, total in pairs if total > edge]
    level = [share for share, total in pairs if total == edge]
    return (math.fsum(above) + (size - len(above)) * statistics.fmean(level)) / size


def _most_frequent(names: Iterable[str]) -> list[tuple[str, int]]:
    return sorted(Counter(names).items(), key=lambda item: (-item[1], item[0]))


def _check_numbers(check: CheckOutcome, ran: Sequence[Entry]) -> CheckNumbers:
    numbers = CheckNumbers(check.id, list(check.exercises))
    each = [x for entry in ran for x in entry.outcome.checks if x.id == check.id]
    failed = [x for x in each if not passed(x)]
    numbers.students, numbers.passed = len(each), len(each) - len(failed)
    numbers.not_run = sum(x.failed_at is None for x in failed)
    stopped = [x for x in failed if x.failed_at is not None]
    numbers.hidden = sum(x.hidden for x in stopped)
    numbers.visible = len(stopped) - numbers.hidden
    numbers.ended = sum(x.failed_at == -1 for x in stopped)
    places = [(x.failed_at, x.hidden) for x in stopped]
    at = Counter(
        (place + 1, hidden) for place, hidden in places if place is not None and place >= 0
    )
    numbers.first = sorted(
        ((number, hidden, count) for (number, hidden), count in at.items()),
        key=lambda item: (-item[2], item[0]),
    )
    numbers.reasons = _most_frequent(map(reason, failed))
    return numbers


def _exercise_numbers(
    exercise: str, title: str, ran: Sequence[Entry], checks: Sequence[CheckNumbers]
) -> ExerciseNumbers:
    numbers = ExerciseNumbers(exercise, title)
    # A check of several exercises says little about one of them, unless there is no other.
    alone = {check.id for check in checks if check.exercises == [exercise]}
    ids = alone or {check.id for check in checks if exercise in check.exercises}
    shares, rests, totals, seconds = [], [], [], []
    reasons: list[str] = []
    stops: list[tuple[str, bool]] = []  # where each who failed did so first
    tried: list[bool | None] = []
    for entry in ran:
        everything = entry.outcome.checks
        own = [check for check in everything if check.id in ids]
        points, possible = _points(own)
        if not possible:
            continue
        share = points / possible
        rest = _points(check for check in everything if exercise not in check.exercises)[0]
        shares.append(share)
        rests.append(rest)
        totals.append(_points(everything)[0])
        seconds.append(math.fsum(check.seconds for check in own))
        wrote = None if entry.tried is None else exercise in entry.tried
        tried.append(wrote)
        failed = [check for check in own if not passed(check)]
        if not failed:
            numbers.full += 1
        elif wrote is not False:
            numbers.part += share > 0
            numbers.none += share <= 0
            reasons += _reasons(failed)
            if failed[0].failed_at is not None:
                stops.append((failed[0].id, failed[0].hidden))
    numbers.students = len(shares)
    if None not in tried:
        # Who has the points has written something, whatever the notebook says.
        numbers.tried = numbers.full + numbers.failed
    numbers.reasons = _most_frequent(reasons)
    numbers.seconds = Spread.of(seconds)
    if shares:
        numbers.difficulty = statistics.fmean(shares)
    numbers.discrimination = correlation(shares, rests)
    numbers.upper_lower = upper_lower(shares, totals)
    first = next((check.id for check in checks if check.id in ids), "")
    numbers.words = _words(numbers, stops, first)
    return numbers


def _reasons(failed: Sequence[CheckOutcome]) -> set[str]:
    """Why one student failed: the misconceptions, or else what the first check said."""
    known = {check.misconception for check in failed if check.misconception}
    return known or {reason(failed[0])}


def _words(numbers: ExerciseNumbers, stops: Sequence[tuple[str, bool]], first: str) -> str:
    """One sentence about an exercise, where one is warranted.

    Args:
        numbers: the exercise's.
        stops: for each who failed, the first check that failed, and whether in its hidden part.
        first: the exercise's first check; that most fail there, in what they see, is no news.
    """
    if numbers.students < FEW or numbers.difficulty is None:
        return ""
    r = numbers.discrimination
    # Two standard errors of a correlation that is none: chance goes this far once in twenty times.
    chance = 2 / math.sqrt(numbers.students)
    if isinstance(r, float) and r < -chance:
        return "Weak students do better than strong ones here: look at the check."
    if numbers.difficulty >= 0.95:
        return "Nearly everybody has it."
    if numbers.untried >= numbers.students / 2:
        return "Half of the class or more did not try it: does it come too late, or ask too much?"
    if numbers.difficulty <= 0.1:
        return "Nearly nobody has it: is it taught, and does the check ask what the text asks?"
    if len(stops) >= FEW / 2:
        (check, hidden), count = Counter(sorted(stops)).most_common(1)[0]
        if count > len(stops) / 2 and (hidden or check != first):
            part = "hidden" if hidden else "visible"
            return f"Most who fail do so at the {part} part of '{check}'."
    if numbers.untried >= numbers.students / 4:
        return "A quarter of the class or more did not try it."
    if isinstance(r, float) and numbers.students >= FEW_GROUPS and abs(r) < chance:
        return "It hardly tells strong students from weak ones."
    return ""
