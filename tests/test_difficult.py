"""Difficult submissions: each gets what it must, none is lost, none harms another, nothing is left."""

import functools
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import nbformat
import psutil
import pytest
from difficult import LEFT, LESSON, POSSIBLE, SPIED, TABLE, Difficult, own

from course.learn.checks import BEGIN_HIDDEN
from grader.doctor import walls
from grader.fork_server import close_all, server_of_this_thread
from grader.outcome import Outcome
from grader.pack import Pack, load_pack
from grader.paths import ROOT
from grader.results import Status
from grader.sandbox.layers import Limits, landlock_version
from grader.worker import How, Job, grade_submission

# One process runs them all, as they share what is graded once.
pytestmark = [
    pytest.mark.xdist_group("difficult"),
    pytest.mark.skipif(
        bool(walls().missing), reason="nothing keeps such submissions in on this machine"
    ),
]

# Those that are about time get little of it. The others get enough for a busy machine.
SHORT = How(Limits(cell_seconds=3, notebook_seconds=15, memory=2**29))
LONG = How(Limits(cell_seconds=20, notebook_seconds=60, memory=2**29))
THREADS = 3

# Signals are kept in by landlock since its version 6; without it, this one takes the fork server along.
ROWS = [row for row in TABLE if row.name != "kill parent" or landlock_version() >= 6]

# What a submission graded after a difficult one finds of it.
LOOK_ROUND = f"""
import os

for folder in (".", "/dev/shm", "/tmp", "/var/tmp"):
    try:
        found = [name for name in os.listdir(folder) if {LEFT!r} in name]
    except OSError:
        found = []
    print(folder, "holds", found or "nothing")
"""


@dataclass
class Graded:
    """What came of a row.

    Attributes:
        outcome: of the difficult submission.
        next: of a right one, graded after it by the same fork server.
        inside: the processes in the sandbox after that.
    """

    outcome: Outcome
    next: Outcome
    inside: int


@dataclass
class All:
    """What came of all rows.

    Attributes:
        rows: by name.
        first: of a right submission before all others, and the processes in the sandbox then.
        processes: command lines of what is left in the end.
        files: what is left in the folder for temporary files.
    """

    rows: dict[str, Graded]
    first: Graded
    processes: list[str]
    files: list[str]


@functools.cache
def pack() -> Pack:
    return load_pack(LESSON, ROOT, ROOT / "grader")


def grade(row: Difficult) -> Outcome:
    how = SHORT if row.status == Status.TIMEOUT else LONG
    return grade_submission(Job(row.name, LESSON, row.content()), pack(), how)


def grade_both(row: Difficult) -> Graded:
    outcome = grade(row)
    right = Difficult("right", "", POSSIBLE, Status.OK, "", (own("tanh", LOOK_ROUND),))
    following = grade(right)
    inside = psutil.Process(server_of_this_thread(True)._process.pid)
    return Graded(outcome, following, len(inside.children(recursive=True)))


def family() -> dict[int, str]:
    """The processes that come from this one."""
    found = {}
    for process in psutil.Process().children(recursive=True):
        try:
            found[process.pid] = " ".join(process.cmdline())
        except psutil.Error:
            continue
    return found


@functools.cache
def graded() -> All:
    """Grade all of them; only the first call takes time."""
    pack()
    before, usual = set(family()), tempfile.tempdir
    with tempfile.TemporaryDirectory() as folder:
        tempfile.tempdir = folder
        try:
            first = grade_both(TABLE[0])
            # The slow ones begin, so that none of them is waited for in the end.
            rows = sorted(ROWS, key=lambda row: row.status != Status.TIMEOUT)
            with ThreadPoolExecutor(THREADS) as threads:
                found = dict(zip([row.name for row in rows], threads.map(grade_both, rows)))
        finally:
            close_all()
            tempfile.tempdir = usual
        files = [str(path) for path in Path(folder).rglob("*")]
    processes = [words for pid, words in family().items() if pid not in before]
    return All(found, first, processes, files)


def outputs(outcome: Outcome) -> str:
    """All that its cells have put out."""
    words = []
    for cell in (outcome.notebook or {"cells": []})["cells"]:
        for output in cell.get("outputs", []):
            words += [output.get("text", ""), output.get("evalue", "")]
            words += [*output.get("traceback", []), *output.get("data", {}).values()]
    return "\n".join(words)


def shown(outcome: Outcome) -> str:
    """All that a student may read of it."""
    cells = (outcome.notebook or {"cells": []})["cells"]
    words = [*(check.message for check in outcome.checks), *(cell["source"] for cell in cells)]
    return "\n".join([*words, *outcome.findings, outputs(outcome)])


def points(outcome: Outcome) -> float | None:
    return sum(check.points for check in outcome.checks) if outcome.checks else None


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_it_gets_what_it_must(row: Difficult) -> None:
    outcome = graded().rows[row.name].outcome
    lost = {check.id: check.message for check in outcome.checks if check.points < check.possible}
    what = f"{row.about}: {outcome.status}, {outcome.findings}, lost {lost}"
    assert (points(outcome), outcome.status) == (row.points, row.status), what
    assert row.words in " ".join(outcome.findings), what
    if row.status == Status.OK:
        assert not outcome.findings, what
    assert row.shows in outputs(outcome), outputs(outcome)[-3000:]


def test_none_is_lost() -> None:
    assert list(sorted(graded().rows)) == sorted(row.name for row in ROWS)
    assert len({row.name for row in ROWS}) == len(ROWS)
    for name, found in graded().rows.items():
        outcome = found.outcome
        assert outcome.student == name
        assert Outcome.from_json(outcome.to_json()) == outcome, name
        if outcome.status == Status.UNREADABLE:
            assert not outcome.checks
            continue
        assert [check.id for check in outcome.checks] == list(pack().key), name
        assert sum(check.possible for check in outcome.checks) == POSSIBLE, name
        assert all(check.points == check.possible or check.message for check in outcome.checks)
        nbformat.validate(outcome.notebook)


def test_none_harms_another() -> None:
    for name, found in {"the first": graded().first, **graded().rows}.items():
        assert found.next.status == Status.OK, (name, found.next.findings)
        assert points(found.next) == POSSIBLE, (name, found.next.checks)
        assert outputs(found.next).count("holds nothing") == 4, name
        assert found.inside == graded().first.inside, name


def hidden_lines() -> set[str]:
    """What stands in hidden tests only, without the hints, which messages give."""
    visible, hidden = [], set()
    for cell in nbformat.reads(pack().solved, 4).cells:
        above, begin, below = cell.source.partition(BEGIN_HIDDEN)
        visible.append(above)
        if begin:
            hidden |= {line.split("hint=")[0].strip() for line in below.splitlines()}
    everything = "\n".join(visible)
    return {line for line in hidden if len(line) > 20 and line not in everything}


def test_hidden_tests_stay_hidden() -> None:
    lines = hidden_lines()
    assert len(lines) > 20
    for name, found in graded().rows.items():
        text = shown(found.outcome)
        assert SPIED not in text, name
        assert "grader/sandbox" not in text, name  # nor is the grader's own code to be seen
        assert not [line for line in lines if line in text], name


def test_nothing_is_left() -> None:
    assert graded().processes == []
    assert graded().files == []
    folders = [path for path in ROOT.iterdir() if path.is_dir() and path.name[0] != "."]
    for folder in (*folders, Path("/dev/shm")):
        assert not list(folder.rglob(f"*{LEFT}*")), folder
