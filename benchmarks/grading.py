"""Grading a class on the micrograd unit: stock `nbgrader autograde` against `grader grade`.

The class is made from the lessons' banks: each student hands in both lessons, with one right or wrong
answer of the bank in each. Stock nbgrader grades some of them in one command, as it costs minutes; the
course's grader grades all. Compared are processor time and wall clock for each student, and the marks.

Then a large class on lesson 1.1 alone, to see that nothing fails and memory stays flat.

    python benchmarks/grading.py [--students 40] [--stock 8] [--workers 2] [--large 1000]
"""

import argparse
import itertools
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import psutil
from nbgrader.api import Gradebook
from rich.progress import Progress

from grader.bank import read_bank
from grader.build import Built, build_lesson
from grader.fork_server import ForkServer
from grader.grade import grade
from grader.lift import BEGIN, END
from grader.pack import load_pack
from grader.paths import ROOT

UNIT = "1_micrograd"
LESSONS = (f"{UNIT}/1_scalars", f"{UNIT}/2_networks")
CONFIG = """
c = get_config()
c.CourseDirectory.root = {root!r}
c.CourseDirectory.source_directory = "solutions"
c.CourseDirectory.db_url = "sqlite:///{root}/gradebook.db"
c.Execute.timeout = 120
"""


def notebooks(built: Built) -> Iterator[str]:
    """What students hand in: everything solved, but for one answer of the bank, in turn."""
    solved = {cell.id: cell.source for cell in built.solved.cells}
    for answer in itertools.cycle(read_bank(built)):
        notebook = nbformat.reads(nbformat.writes(built.student), 4)
        for cell in notebook.cells:
            if cell.metadata.get("nbgrader", {}).get("solution"):
                source = answer.cell if cell.id == answer.exercise else solved[cell.id]
                rows = [row for row in source.splitlines() if row.strip() not in (BEGIN, END)]
                cell.source = "\n".join(rows)
        yield nbformat.writes(notebook)


def hand_in(folder: Path, students: int, lessons: tuple[str, ...]) -> None:
    """Write a class's notebooks, laid out as nbgrader does it."""
    for lesson in lessons:
        built = build_lesson(ROOT / "lessons" / f"{lesson}.md")
        for number, text in zip(range(students), notebooks(built)):
            path = folder / f"student-{number:04}" / f"{lesson}.ipynb"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")


def make_course(root: Path) -> Path:
    """A copy of what is graded against, so that nothing of this repository changes."""
    for name in ("solutions", "notebooks", "lessons"):
        shutil.copytree(ROOT / name, root / name)
    (root / "grader").mkdir()
    for lesson in LESSONS:  # once for each version of a lesson, not for each class
        load_pack(lesson, ROOT, ROOT / "grader")
    shutil.copytree(ROOT / "grader" / "packs", root / "grader" / "packs")
    return root


def stock(folder: Path, students: int) -> tuple[dict[Any, float], float, float]:
    """Grade with nbgrader alone; returns marks, CPU seconds and wall seconds for each student."""
    root = folder / "stock"
    root.mkdir()
    shutil.copytree(ROOT / "solutions" / UNIT, root / "solutions" / UNIT)
    (root / "nbgrader_config.py").write_text(CONFIG.format(root=str(root)))
    hand_in(root / "submitted", students, LESSONS)
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}

    def nbgrader(*words: str) -> tuple[float, float]:
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "nbgrader", *words],
            cwd=root, env=environment, check=True, capture_output=True,
        )  # fmt: skip
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return cpu, time.perf_counter() - start

    nbgrader("generate_assignment", UNIT)
    cpu, wall = nbgrader("autograde", UNIT)
    return marks(f"sqlite:///{root}/gradebook.db"), cpu / students, wall / students


def ours(folder: Path, students: int, workers: int) -> tuple[dict[Any, float], float, float]:
    """Grade with this course's grader; the same, with all that starting up costs."""
    root = make_course(folder / "ours")
    hand_in(folder / "handed_in", students, LESSONS)
    return (*graded(root, folder / "handed_in", workers, students)[:3],)


def graded(
    root: Path, handed_in: Path, workers: int, students: int
) -> tuple[dict[Any, float], float, float, Counter[str], list[int]]:
    """Grade a folder; returns marks, CPU and wall seconds for each student, statuses, memory."""
    servers: list[float] = []
    close = ForkServer.close

    def counted(server: ForkServer) -> None:
        for process in psutil.Process(server._process.pid).children(recursive=True):
            used = process.cpu_times()
            servers.append(used.user + used.system)
        close(server)

    ForkServer.close = counted  # type: ignore[method-assign]
    memory: list[int] = []
    with Progress(transient=True) as progress:
        task = progress.add_task("grading", total=None)

        def watch(what: str, done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)
            if total > 1 and done % max(1, total // 10) == 0:
                memory.append(psutil.Process().memory_info().rss)

        start, own = time.perf_counter(), time.process_time()
        result = grade(handed_in, root, workers=workers, feedback=False, watch=watch)
        wall, own = time.perf_counter() - start, time.process_time() - own
    ForkServer.close = close  # type: ignore[method-assign]
    outcomes = [
        json.loads(path.read_text()) for path in (root / "grader" / "outcomes").glob("*/*/*.json")
    ]
    cpu = own + sum(servers) + sum(outcome["cpu_seconds"] for outcome in outcomes)
    statuses = Counter(one.status.value for one in result.results)
    found = marks(f"sqlite:///{root}/grader/gradebook.db")
    return found, cpu / students, wall / students, statuses, memory


def marks(url: str) -> dict[Any, float]:
    """The automatic marks in a gradebook, by student, lesson and check."""
    with Gradebook(url) as book:
        return {
            (submission.student.id, notebook.name, grade.name): grade.auto_score
            for submission in book.assignment_submissions(UNIT)
            for notebook in submission.notebooks
            for grade in notebook.grades
            if grade.auto_score is not None
        }


def main() -> None:
    """Run, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--students", type=int, default=40, help="graded by the course's grader")
    parser.add_argument("--stock", type=int, default=8, help="of these, graded by nbgrader too")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3, help="the medians of so many are printed")
    parser.add_argument("--large", type=int, default=1000, help="size of the large class; 0: none")
    wanted = parser.parse_args()
    print(
        f"Python {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    )
    cpu, wall = [], []
    for _ in range(wanted.rounds):
        with tempfile.TemporaryDirectory(prefix="grading-") as scratch:
            theirs, their_cpu, their_wall = stock(Path(scratch), wanted.stock)
            own, own_cpu, own_wall = ours(Path(scratch), wanted.students, wanted.workers)
        differ = [key for key, mark in theirs.items() if own.get(key) != mark]
        cpu.append(their_cpu / own_cpu)
        wall.append(their_wall / own_wall)
        print(
            f"a student: nbgrader {their_cpu:.2f} CPU-s, {their_wall:.2f} s; "
            f"grader {own_cpu:.2f} CPU-s, {own_wall:.2f} s with {wanted.workers} workers; "
            f"{len(differ)} of {len(theirs)} marks differ"
        )
        for key in differ[:5]:
            print("   ", *key, theirs[key], own.get(key))
    print(
        f"CPU: {statistics.median(cpu):.1f} times less; wall: {statistics.median(wall):.1f} times less"
    )
    if wanted.large:
        with tempfile.TemporaryDirectory(prefix="grading-") as scratch:
            root = make_course(Path(scratch, "ours"))
            hand_in(Path(scratch, "large"), wanted.large, LESSONS[:1])
            _, own_cpu, own_wall, statuses, memory = graded(
                root, Path(scratch, "large"), wanted.workers, wanted.large
            )
        sizes = ", ".join(f"{size / 2**20:.0f}" for size in memory)
        print(
            f"{wanted.large} submissions: {dict(statuses)}; {own_cpu:.3f} CPU-s and {own_wall:.3f} s each"
        )
        print(f"memory of the grader on the way, in MiB: {sizes}")


if __name__ == "__main__":
    main()
