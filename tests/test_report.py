"""The report on a class: its numbers, its page, and what it does when something is missing."""

import csv
import html
import os
import random
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from made_up_outcomes import (
    BACKWARD,
    LESSON,
    ORDER,
    OWN_BACKWARD,
    keep,
    lesson,
    make_class,
    notebook,
)
from typer.testing import CliRunner

from grader.cli import app
from grader.errors import GraderError
from grader.item_analysis import Entry, analyse, correlation, reason, upper_lower
from grader.outcome import CheckOutcome, Outcome, outcome_file
from grader.paths import ROOT
from grader.report import make_report
from grader.results import Status

# The numbers.


def check(
    name: str, of: str, share: float = 1, message: str = "", at: int = 0, **more: Any
) -> CheckOutcome:
    failed = share < 1
    return CheckOutcome(
        name,
        of.split(),
        2 * share,
        2,
        (message or "it fails") if failed else "",
        failed_at=at if failed else None,
        **more,
    )


def entry(student: str, *checks: CheckOutcome, tried: set[str] | None = None) -> Entry:
    outcome = Outcome(student, "unit/lesson", Status.OK, checks=list(checks))
    return Entry(outcome, None if tried is None else frozenset(tried))


def class_of(shares: list[tuple[float, float]]) -> list[Entry]:
    """Students with these shares of two exercises."""
    return [
        entry(f"s{number:03}", check("a-check", "a", one), check("b-check", "b", other))
        for number, (one, other) in enumerate(shares)
    ]


SHARES = st.lists(
    st.tuples(*(st.sampled_from([0.0, 0.25, 0.5, 1.0]),) * 2), min_size=10, max_size=60
)


@settings(deadline=None)
@given(SHARES)
def test_discrimination_is_the_correlation_with_the_rest(shares: list[tuple[float, float]]) -> None:
    one, rest = np.array(shares).T
    assume(len(set(one)) > 1 and len(set(rest)) > 1)
    numbers = analyse("unit/lesson", class_of(shares))
    for exercise, share in zip(numbers.exercises, (one, rest)):
        assert exercise.discrimination == pytest.approx(np.corrcoef(one, rest)[0, 1], abs=1e-9)
        assert exercise.difficulty == pytest.approx(share.mean())


@settings(deadline=None)
@given(SHARES, st.randoms(use_true_random=False))
def test_the_order_of_the_students_does_not_matter(
    shares: list[tuple[float, float]], dice: random.Random
) -> None:
    entries = class_of(shares)
    shuffled = dice.sample(entries, len(entries))
    assert analyse("unit/lesson", shuffled) == analyse("unit/lesson", entries)
    one, other = zip(*shares)
    pairs = dice.sample(shares, len(shares))
    a, b = zip(*pairs)
    assert upper_lower(a, b) == pytest.approx(upper_lower(one, other))


@settings(deadline=None)
@given(st.permutations(range(40)), st.lists(st.floats(0, 1), min_size=40, max_size=40))
def test_upper_and_lower_groups_are_27_percent(totals: list[int], shares: list[float]) -> None:
    by_total = [share for _, share in sorted(zip(totals, shares))]
    expected = np.mean(by_total[-11:]) - np.mean(by_total[:11])  # 0.27 * 40 = 10.8
    assert upper_lower(shares, totals) == pytest.approx(expected)


def test_students_with_the_same_total_are_in_the_groups_in_part() -> None:
    shares, totals = [1.0] * 20 + [0.0] * 20, [7] * 40
    assert upper_lower(shares, totals) == 0


def test_numbers_that_would_be_chance_are_not_given() -> None:
    assert correlation([0.0, 1.0] * 4, [0.0, 1.0] * 4) == "too few"
    assert upper_lower([1.0] * 29, [1.0] * 29) == "too few"
    assert correlation([1.0] * 10, list(range(10))) == "all alike"
    numbers = analyse("unit/lesson", class_of([(1, 0), (0, 1)] * 4))
    assert {x.discrimination for x in numbers.exercises} == {"too few"}
    assert {x.words for x in numbers.exercises} == {""}


def test_exercises_are_counted() -> None:
    known = {"misconception": "thinks so", "seconds": 2.0}
    numbers = analyse(
        "unit/lesson",
        [
            entry("all", check("a1", "a"), check("a2", "a"), check("both", "a b"), tried={"a"}),
            entry(
                "some", check("a1", "a"), check("a2", "a", 0, at=3, hidden=True, **known),
                check("both", "a b", 0), tried={"a"},
            ),
            entry(
                "none", check("a1", "a", 0, **known), check("a2", "a", 0, **known),
                check("both", "a b", 0), tried={"a", "b"},
            ),
            entry(
                "untried", check("a1", "a", 0, at=-1), check("a2", "a", 0, at=-1),
                check("both", "a b", 0, at=-1), tried=set(),
            ),
            Entry(Outcome("gone", "unit/lesson", Status.UNREADABLE)),
        ],
    )  # fmt: skip
    assert (numbers.students, numbers.possible) == (5, 6)
    assert numbers.scores == [0, 0, 2, 6]
    assert numbers.statuses == {Status.OK: 4, Status.UNREADABLE: 1}
    a, b = numbers.exercises
    assert (a.students, a.tried, a.full, a.part, a.none, a.untried) == (4, 3, 1, 1, 1, 1)
    assert a.difficulty == (1 + 0.5 + 0 + 0) / 4  # 'both' says little about a alone
    assert a.reasons == [("thinks so", 2)]  # each student once, and not who wrote nothing
    assert a.seconds and a.seconds.highest == 4.0
    assert (b.full, b.difficulty) == (1, 0.25)  # b has no other check
    second = numbers.checks[1]
    assert (second.id, second.students, second.passed) == ("a2", 4, 1)
    assert (second.visible, second.hidden, second.ended) == (2, 1, 1)
    assert second.first == [(1, False, 1), (4, True, 1)]


def test_a_check_that_was_not_reached_is_told_from_one_that_failed() -> None:
    reached = check("a", "x", 0)
    missed = CheckOutcome("a", ["x"], 0, 2, "It did not run.")
    (numbers,) = analyse("l", [entry("s", reached), entry("t", missed)]).checks
    assert (numbers.visible, numbers.not_run, numbers.ended) == (1, 1, 0)


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("f(2) is 1, expected 4\nwhere x is 2\nHint: twice two", "twice two"),
        ("A hidden test failed. use the h", "A hidden test failed. use the h"),
        ("<Value at 0x7f00aa001122> is bad", "<Value at > is bad"),
        ("line 3 of this cell:  d.f()\nline 4 in f:  g()\n\nKeyError: 'a'", "KeyError: 'a'"),
        ("x" * 500, "..."),
        ("", "It did not pass."),
    ],
)
def test_reasons_read_the_same_for_everybody(message: str, said: str) -> None:
    found = reason(CheckOutcome("c", [], 0, 1, message))
    assert found == said
    assert reason(CheckOutcome("c", [], 0, 1, message, misconception="M")) == "M"


@pytest.mark.parametrize(
    ("shares", "words"),
    [
        ([(1, 1)] * 30 + [(0, 0)], "Nearly everybody has it."),
        ([(0, 1)] * 30 + [(1, 1)], "Nearly nobody has it"),
        ([(1, 0)] * 10 + [(0, 1)] * 10, "Weak students do better than strong ones"),
        ([(1, 1), (0, 1), (1, 0), (0, 0)] * 10, "hardly tells strong students from weak ones"),
        ([(1, 1)] * 10 + [(0, 0)] * 5, ""),
    ],
)
def test_sentences(shares: list[tuple[float, float]], words: str) -> None:
    exercise = analyse("unit/lesson", class_of(shares)).exercises[0]
    assert words in exercise.words
    assert bool(words) == bool(exercise.words)


def test_sentences_name_the_check_where_most_fail() -> None:
    def student(number: int, fails: bool, hidden: bool) -> Entry:
        last = check("a2", "a", 0 if fails else 1, hidden=hidden and fails)
        return entry(f"s{number}", check("a1", "a"), last, check("b1", "b", number % 2))

    for hidden, part in ((True, "hidden"), (False, "visible")):
        everybody = [student(number, number < 9, hidden) for number in range(20)]
        words = analyse("unit/lesson", everybody).exercises[0].words
        assert words == f"Most who fail do so at the {part} part of 'a2'."


def test_sentences_say_who_did_not_try() -> None:
    wrote = [entry(f"s{n}", check("a1", "a", n % 2), tried={"a"}) for n in range(9)]
    for idle, words in (
        (9, "Half of the class or more did not try"),
        (4, "A quarter of the class"),
    ):
        others = [entry(f"t{n}", check("a1", "a", 0), tried=set()) for n in range(idle)]
        assert words in analyse("unit/lesson", wrote + others).exercises[0].words


def test_outcomes_of_two_versions_of_a_lesson_are_told_apart() -> None:
    old = entry("a", check("a1", "a"))
    new = entry("b", check("a0", "a"), check("a1", "a"))
    numbers = analyse("unit/lesson", [old, new])
    assert [x.id for x in numbers.checks] == ["a0", "a1"]
    assert "different versions of the lesson" in numbers.notes[0]


# The page and the files.


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A class's data, with its report."""
    data = keep(make_class(), tmp_path_factory.mktemp("data"))
    make_report(data, ROOT)
    return data


def page_of(data: Path) -> str:
    return (data / "report" / "index.html").read_text(encoding="utf-8")


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def words_of(page: str) -> str:
    text = re.sub(r"<(style).*?</\1>", "", page, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", text)).split())


def test_the_page_tells_what_happened(kept: Path) -> None:
    text = words_of(page_of(kept))
    assert "1.1 Scalars that remember" in text
    assert "27 submissions have a mark." in text
    assert "24 ok, 1 repaired, 1 timeout, 1 crashed, 1 unreadable" in text
    for name, what in (("carl timeout", "more than 60 seconds"), ("dörthe crashed", "Python died")):
        assert re.search(f"{name}[^.]*{what}", text)
    assert "This is a hint, not a proof." in text
    assert "ada and blaise : 100 % and 100 % of their own code" in text
    assert "received[id(parent)] = before + slope * share" in text


def test_the_page_stands_alone(kept: Path) -> None:
    page = page_of(kept)
    assert "<script" not in page
    sources = re.findall(r"""(?:src|href)=["']([^"']+)""", page)
    assert sources
    assert all(source.startswith(("data:image/", "#lesson-")) for source in sources)
    assert "url(" not in page
    images = re.findall(r"<img[^>]*>", page)
    assert len(images) == 2
    assert all(re.search(r'alt="How many students have [^"]{40,}"', image) for image in images)


def test_no_hidden_test_is_in_the_report(kept: Path) -> None:
    from grader.dissect import visible_source

    texts = [path.read_text(encoding="utf-8") for path in (kept / "report").iterdir()]
    report = words_of("\n".join(texts))
    secret = 0
    for cell in lesson()[0].solved.cells:
        if "BEGIN HIDDEN" in cell.source:
            seen = visible_source(cell.source)
            for line in cell.source.splitlines():
                if len(line.strip()) > 15 and line not in seen:
                    secret += 1
                    assert " ".join(line.split()) not in report
    assert secret > 20


def test_tables_say_what_the_page_says(kept: Path) -> None:
    exercises = rows(kept / "report" / "exercises.csv")
    assert [x["exercise"] for x in exercises] == [x.id for x in lesson()[0].exercises]
    for row in exercises:
        assert int(row["students"]) == 27
        assert int(row["full_points"]) + int(row["failed"]) == int(row["tried"])
        assert -1 <= float(row["discrimination"]) <= 1
        assert row["upper_lower"] == "too few"
    checks = rows(kept / "report" / "checks.csv")
    assert [x["check"] for x in checks] == list(lesson()[0].checks)
    for row in checks:
        parts = ("passed", "failed_visible", "failed_hidden", "not_run")
        assert sum(int(row[part]) for part in parts) == int(row["students"])
    (similar,) = rows(kept / "report" / "similar.csv")
    assert (similar["first"], similar["second"]) == ("ada", "blaise")


def test_the_same_outcomes_give_the_same_bytes(tmp_path: Path) -> None:
    """Whatever the order of sets and dictionaries, which is new in each process."""
    data = keep(make_class(14), tmp_path / "data")
    made = []
    for seed in ("1", "2"):
        folder = tmp_path / seed
        done = subprocess.run(
            [sys.executable, "-m", "grader.cli", "report", f"--data={data}", f"--output={folder}"],
            cwd=ROOT,
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 1, done.stdout + done.stderr
        made.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert made[0] == made[1]
    assert set(made[0]) == {"index.html", "exercises.csv", "checks.csv", "similar.csv"}


NASTY = '</code><script>alert("1")</script><img src="http://example.com/x">\ud800\x00'


def test_what_students_write_does_no_harm(tmp_path: Path) -> None:
    outcomes = make_class(14)
    for outcome in outcomes[-5:-3]:  # the two whose code is alike
        outcome.notebook = notebook({BACKWARD: f"{OWN_BACKWARD}\n# {NASTY}\nx = '{NASTY}'"})
        outcome.findings = [NASTY]
        for check in outcome.checks:
            check.points, check.message, check.failed_at = 0, f"=cmd() {NASTY}", 0
    for outcome in outcomes:
        path = outcome_file(tmp_path, outcome.student, LESSON)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(outcome.to_json().replace("\ud800", "\\ud800"), encoding="utf-8")
    make_report(tmp_path, ROOT)
    page = page_of(tmp_path)
    assert "alert(&#34;1&#34;)" in page
    assert "<script" not in page
    assert 'src="http' not in page
    assert "\x00" not in page
    for name in ("exercises.csv", "checks.csv"):
        for row in rows(tmp_path / "report" / name):
            assert not any(text.startswith("=") for text in row.values())
    assert "=cmd()" in (tmp_path / "report" / "checks.csv").read_text(encoding="utf-8")


def test_formulas_are_no_formulas_in_a_spreadsheet(tmp_path: Path) -> None:
    outcome = make_class(14)[0]
    outcome.student = "@SUM(A1)"
    twin = Outcome.from_json(outcome.to_json())
    twin.student = "=1+1"
    for each in (outcome, twin):
        each.notebook = notebook({BACKWARD: OWN_BACKWARD})
    make_report(keep([outcome, twin], tmp_path), ROOT)
    (row,) = rows(tmp_path / "report" / "similar.csv")
    assert (row["first"], row["second"]) == ("'=1+1", "'@SUM(A1)")


# What is missing.


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["report", *arguments], env={"COLUMNS": "120"})


def test_nothing_graded_yet(tmp_path: Path) -> None:
    with pytest.raises(GraderError, match=r"nothing has been graded yet.*grader grade"):
        make_report(tmp_path, ROOT)
    done = subprocess.run(
        [sys.executable, "-m", "grader.cli", "report", f"--data={tmp_path}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "grader grade" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_lessons_are_chosen_by_name_or_number(kept: Path, tmp_path: Path) -> None:
    for name in ("1.1", LESSON):
        made = make_report(kept, ROOT, [name], tmp_path)
        assert [x.numbers.name for x in made.lessons] == [LESSON]
    with pytest.raises(GraderError, match="no submission of 1_micrograd/2_networks has been"):
        make_report(kept, ROOT, ["1.2"], tmp_path)
    with pytest.raises(GraderError, match=r"There is no lesson '9\.9'"):
        make_report(kept, ROOT, ["9.9"], tmp_path)


def test_exit_codes(kept: Path, tmp_path: Path) -> None:
    done = run(f"--data={kept}", f"--output={tmp_path / 'all'}")
    assert done.exit_code == 1
    assert "submissions: 3, pairs that are alike (a hint, no proof): 1" in done.stdout
    good = [x for x in make_class(14) if x.status is Status.OK and x.student.startswith("student")]
    data = keep(good, tmp_path / "good")
    done = run(f"--data={data}")
    assert done.exit_code == 0, done.stdout
    assert "the walk back" in done.stdout
    assert (data / "report" / "index.html").exists()
    assert isinstance(run("--demo", f"--data={data}").exception, GraderError)


def test_nothing_that_could_be_run(tmp_path: Path) -> None:
    data = keep([Outcome("a", LESSON, Status.UNREADABLE, ["the file is empty"])], tmp_path)
    made = make_report(data, ROOT)
    assert made.looks == 1
    text = words_of(page_of(data))
    assert "Nothing in these submissions could be run" in text
    assert "processor time was not measured" in text


def test_a_lesson_that_nobody_has_built(tmp_path: Path) -> None:
    """Old outcomes are reported on, with a note of what is not known any more."""
    outcomes = make_class(14)
    for outcome in outcomes:
        outcome.lesson = "9_gone/1_lesson"
    made = make_report(keep(outcomes, tmp_path), ROOT)
    assert any("notebooks/9_gone/1_lesson.ipynb is missing" in note for note in made.notes)
    text = words_of(page_of(tmp_path))
    assert "? of 13" in text
    assert "They were not compared" in text


def test_without_known_answers_a_note_warns(tmp_path: Path) -> None:
    outcomes = make_class(14)
    path = tmp_path / "root" / "notebooks" / f"{LESSON}.ipynb"
    path.parent.mkdir(parents=True)
    nbformat.write(notebook({}), path)
    made = make_report(keep(outcomes, tmp_path / "data"), tmp_path / "root")
    assert any(f"no answers to {LESSON} are known here" in note for note in made.notes)


def test_outcomes_that_cannot_be_read_are_left_out(tmp_path: Path) -> None:
    data = keep(make_class(14), tmp_path)
    for name, text in (("broken", "{"), ("list", "[]"), ("other", '{"checks": []}')):
        outcome_file(data, name, LESSON).write_text(text)
    made = make_report(data, ROOT)
    assert len(made.notes) == 3
    assert all("was left out" in note and "Grade it again" in note for note in made.notes)
    assert made.lessons[0].numbers.students == 14


def test_who_tried_what_follows_from_the_notebook(tmp_path: Path) -> None:
    outcome = make_class(14)[0]
    outcome.notebook = notebook({ORDER: "pass"})
    for each in outcome.checks:
        each.points, each.message, each.failed_at = 0.0, "no", 0
    made = make_report(keep([outcome], tmp_path), ROOT)
    tried = {x.id: x.tried for x in made.lessons[0].numbers.exercises}
    assert {name for name, count in tried.items() if count} == {ORDER}


def test_the_folder_that_cannot_be_written_is_named(kept: Path, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(GraderError, match=r"cannot be written to .*--output"):
        make_report(kept, ROOT, output=file / "x")
