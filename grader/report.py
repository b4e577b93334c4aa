"""The report on a class: what to teach again, which checks to mend, and what to look at.

It is made of the outcomes that grading kept, and runs nothing. It is for teachers: it may hold what
students must not see.
"""

import csv
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat

from course.learn.manifest import find_lesson, lessons
from grader.errors import GraderError
from grader.item_analysis import Entry, ExerciseNumbers, LessonNumbers, analyse
from grader.outcome import Outcome
from grader.paths import shown
from grader.similar import OwnCode, Similar, find_similar, name_of, own_code, source_of

Watch = Callable[[str, int, int], None]


@dataclass
class LessonReport:
    """What is to say about one lesson.

    Attributes:
        numbers: how it went.
        similar: submissions that are alike; None if they could not be compared.
        look: what a person should look at.
        findings: of the other submissions that have any, what was found.
    """

    numbers: LessonNumbers
    similar: Similar | None
    look: list[Outcome]
    findings: list[Outcome]


@dataclass
class Report:
    """What was found out.

    Attributes:
        lessons: in the order of the course.
        notes: what is missing, and why.
        page: where the page is.
    """

    lessons: list[LessonReport]
    notes: list[str] = field(default_factory=list)
    page: Path = Path()

    @property
    def looks(self) -> int:
        """How many submissions and pairs a person should look at."""
        pairs = sum(len(x.similar.pairs) for x in self.lessons if x.similar)
        return pairs + sum(len(x.look) for x in self.lessons)


def make_report(
    data: Path,
    root: Path,
    names: Sequence[str] = (),
    output: Path | None = None,
    watch: Watch = lambda *_: None,
) -> Report:
    """Write the report's page and its CSV files.

    Args:
        data: the folder with the outcomes.
        root: the repository.
        names: lessons, by name or number; none means all that were graded.
        output: where to; else <data>/report.
        watch: called with what is done, how much of it is, and how much there is.

    Raises:
        GraderError: if nothing was graded yet, or there is no such lesson.
    """
    from grader.report_page import make_page  # matplotlib takes a second

    files = outcome_files(data, names)
    notes: list[str] = []
    reports = [_report_lesson(lesson, paths, root, notes, watch) for lesson, paths in files.items()]
    report = Report([each for each in reports if each], notes)
    if not report.lessons:
        raise GraderError(
            f"no outcome in {shown(data / 'outcomes', root)} can be read: grade again with "
            "`grader grade`"
        )
    folder = output or data / "report"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_tables(report, folder)
        report.page = folder / "index.html"
        watch("drawing", 0, 1)
        # A notebook may hold half of a character, which no file can.
        report.page.write_text(make_page(report), encoding="utf-8", errors="replace")
    except OSError as error:
        raise GraderError(
            f"the report cannot be written to {folder} ({error.strerror}): give another folder "
            "with --output"
        ) from None
    return report


def outcome_files(data: Path, names: Sequence[str] = ()) -> dict[str, list[Path]]:
    """The files of outcomes by lesson, in the order of the course.

    Args:
        data: the folder with the outcomes.
        names: the lessons wanted, by name or number; none means all.

    Raises:
        GraderError: if there are none, or not of these lessons.
    """
    folder = data / "outcomes"
    files: dict[str, list[Path]] = {}
    for path in sorted(folder.glob("*/*/*.json")):
        files.setdefault(path.parent.relative_to(folder).as_posix(), []).append(path)
    if not files:
        raise GraderError(
            f"nothing has been graded yet in {data}: grade submissions with `grader grade`, or a "
            "made-up class with `grader demo` and then `grader report --demo`"
        )
    order = [*lessons(), *sorted(files)]
    wanted = sorted(files, key=order.index)
    if names:
        asked = {name if name in files else _known(name) for name in names}
        missing = asked - set(files)
        if missing:
            raise GraderError(
                f"no submission of {min(missing)} has been graded; there are outcomes of "
                f"{', '.join(wanted)}"
            )
        wanted = [name for name in wanted if name in asked]
    return {name: files[name] for name in wanted}


def _known(name: str) -> str:
    try:
        return find_lesson(name).name
    except LookupError as error:
        raise GraderError(str(error)) from None


def _report_lesson(
    lesson: str, paths: Sequence[Path], root: Path, notes: list[str], watch: Watch
) -> LessonReport | None:
    """What is to say about a lesson; None if none of its outcomes can be read."""
    release = _released(lesson, root)
    entries: list[Entry] = []
    codes: list[OwnCode] = []
    for number, path in enumerate(paths):
        watch(f"reading {lesson}", number, len(paths))
        try:
            outcome = Outcome.from_json(path.read_text(encoding="utf-8"))
        except (ValueError, OSError) as error:
            notes.append(f"{shown(path, root)} was left out: {error}. Grade it again.")
            continue
        notebook, outcome.notebook = outcome.notebook, None  # it may be large, so none is kept
        if notebook is None or release is None:
            entries.append(Entry(outcome))
        else:
            entries.append(Entry(outcome, _tried(notebook, release)))
            codes.append(own_code(outcome.student, notebook, frozenset(release.values())))
    if not entries:
        return None
    similar = None
    if release is None:
        notes.append(
            f"notebooks/{lesson}.ipynb is missing, so nobody knows what students of {lesson} wrote "
            "themselves: build it with `grader build`, to see who tried what and what is alike"
        )
    else:
        known = [*release.values(), *_known_answers(lesson, root, notes)]
        similar = find_similar(codes, known, lambda what, *of: watch(f"{what}, {lesson}", *of))
    outcomes = sorted((entry.outcome for entry in entries), key=lambda outcome: outcome.student)
    return LessonReport(
        analyse(lesson, entries),
        similar,
        [outcome for outcome in outcomes if outcome.status.needs_teacher],
        [x for x in outcomes if x.findings and not x.status.needs_teacher],
    )


def _released(lesson: str, root: Path) -> dict[str, str] | None:
    """The released notebook's code by cell id; None if there is no such notebook."""
    notebook = _read(root / "notebooks" / f"{lesson}.ipynb")
    return None if notebook is None else _code(notebook)


def _read(path: Path) -> Any:
    try:
        return nbformat.read(path, 4)
    except (OSError, ValueError, nbformat.ValidationError):
        return None


def _code(notebook: Any) -> dict[str, str]:
    return {
        name_of(cell): source_of(cell)
        for cell in notebook["cells"]
        if cell.get("cell_type") == "code"
    }


def _tried(notebook: Any, release: dict[str, str]) -> frozenset[str]:
    """The cells that were released empty, so to say, and are not so any more."""
    return frozenset(
        name
        for name, source in _code(notebook).items()
        if source and name in release and source != release[name]
    )


def _known_answers(lesson: str, root: Path, notes: list[str]) -> list[str]:
    """The code of the solution, and of the bank's answers: whoever writes these copies nobody."""
    solved = _read(root / "solutions" / f"{lesson}.ipynb")
    answers = [] if solved is None else list(_code(solved).values())
    text = root / "lessons" / f"{lesson}.md"
    if text.exists():
        from grader.bank import read_bank
        from grader.build import build_lesson

        try:
            answers += [answer.cell for answer in read_bank(build_lesson(text, root), root)]
        except GraderError as error:
            notes.append(f"the bank's answers were not taken into account: {error}")
    if not answers:
        notes.append(
            f"no answers to {lesson} are known here, so that right answers may look as if they "
            "were copied: keep lessons/ or solutions/ beside notebooks/"
        )
    return answers


def write_tables(report: Report, folder: Path) -> None:
    """Write exercises.csv, checks.csv and similar.csv."""
    each = [(lesson, lesson.numbers.name) for lesson in report.lessons]
    _write(
        folder / "exercises.csv",
        "lesson exercise title students tried full_points failed mean_share discrimination "
        "upper_lower seconds_median seconds_90 reasons interpretation",
        (_exercise_row(name, x) for lesson, name in each for x in lesson.numbers.exercises),
    )
    _write(
        folder / "checks.csv",
        "lesson check exercises students passed failed_visible failed_hidden failed_before_assertion "
        "not_run first_failures reasons",
        (
            [
                *(name, check.id, " ".join(check.exercises), check.students, check.passed),
                *(check.visible, check.hidden, check.ended, check.not_run),
                "; ".join(f"{n}{' hidden' * hid}: {count}" for n, hid, count in check.first),
                _counted(check.reasons),
            ]
            for lesson, name in each
            for check in lesson.numbers.checks
        ),
    )
    _write(
        folder / "similar.csv",
        "lesson first second share_of_first share_of_second characters_alike",
        (
            [name, *pair.students, *(f"{share:.2f}" for share in pair.shares), pair.alike]
            for lesson, name in each
            for pair in (lesson.similar.pairs if lesson.similar else ())
        ),
    )


def _exercise_row(lesson: str, x: ExerciseNumbers) -> list[Any]:
    tried = "" if x.tried is None else x.tried
    seconds = (x.seconds.median, x.seconds.tenth) if x.seconds else (None, None)
    return [
        *(lesson, x.id, x.title, x.students, tried, x.full, x.failed),
        *(_number(value) for value in (x.difficulty, x.discrimination, x.upper_lower, *seconds)),
        _counted(x.reasons),
        x.words,
    ]


def _number(value: float | str | None) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else f"{value:.3f}"


def _counted(reasons: Iterable[tuple[str, int]]) -> str:
    return "; ".join(f"{count}: {words}" for words, count in reasons)


def _write(path: Path, heading: str, rows: Iterable[Sequence[Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8", errors="replace") as file:
        table = csv.writer(file)
        table.writerow(heading.split())
        table.writerows([_harmless(value) for value in row] for row in rows)


def _harmless(value: Any) -> Any:
    """A value that no spreadsheet takes for a formula, as students can write some of these."""
    formula = isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r"))
    return f"'{value}" if formula and not _is_number(value) else value


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
