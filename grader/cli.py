"""The `grader` command."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from grader.errors import GraderError

if TYPE_CHECKING:
    from grader.results import Result

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)
console = Console()


@app.callback()
def grader() -> None:
    """Build the notebooks, prove their checks, grade submissions.

    Exit codes: 0 done, 1 something was found, 2 the command was misused.
    """


@app.command()
def build(
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit 1 if a built file is out of date.")
    ] = False,
) -> None:
    """Build notebooks/ and solutions/ from the lesson texts and the reference code.

    Example: grader build --check
    """
    from grader.bank import read_bank
    from grader.build import build_all, differences, outputs, write

    lessons = []
    for name, built in build_all():
        answers = len(read_bank(built))
        console.print(
            f"  {name}: exercises: {len(built.exercises)}, checks: {len(built.checks)}, "
            f"answers in the bank: {answers}"
        )
        lessons.append(built)
    files = outputs(lessons)
    if check:
        found = differences(files)
        for line in found:
            console.print(line, markup=False)
        if found:
            console.print("Run `grader build` to bring them up to date.")
            raise typer.Exit(1)
        console.print(f"{len(files)} built files are up to date.")
        return
    changed = write(files)
    console.print(f"{len(changed)} of {len(files)} built files changed.")


@app.command()
def verify(
    lessons: Annotated[
        list[str] | None, typer.Argument(help="Lessons such as 1.1; all of them by default.")
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="List what holds, too.")] = False,
) -> None:
    """Prove the checks: wrong answers lose points, right ones keep them.

    Example: grader verify 1.1
    """
    from rich.progress import Progress

    from grader.build import MANIFEST, build_all, differences, outputs
    from grader.verify import verify as try_claims

    every = [built for _, built in build_all()]
    if differences({MANIFEST: outputs(every)[MANIFEST]}, stale=False):
        raise GraderError(f"{MANIFEST.as_posix()} is out of date: run `grader build` first")
    known = {name for built in every for name in (built.text.name, built.text.number)}
    unknown = set(lessons or ()) - known
    if unknown:
        raise GraderError(
            f"there is no lesson {min(unknown)}; there are {', '.join(sorted(known))}"
        )
    problems = tried = 0
    with Progress(console=console, transient=True) as progress:
        for built in every:
            if lessons and not {built.text.name, built.text.number} & set(lessons):
                continue
            task = progress.add_task(f"lesson {built.text.number}", total=None)
            for proof in try_claims(built):
                tried += 1
                progress.update(task, description=f"lesson {built.text.number}, claim {tried}")
                if proof.problem:
                    problems += 1
                    console.print(
                        f"NOT so: {proof.claim}", markup=False, style="red", soft_wrap=True
                    )
                    console.print(f"    {proof.problem}", markup=False, soft_wrap=True)
                elif verbose:
                    console.print(f"holds: {proof.claim}", markup=False, soft_wrap=True)
            progress.remove_task(task)
    console.print(f"{tried} claims tried, {problems} do not hold.")
    if problems:
        raise typer.Exit(1)


@app.command()
def grade(
    path: Annotated[
        Path, typer.Argument(help="A folder or zip file with notebooks, or one notebook.")
    ],
    csv: Annotated[
        Path | None, typer.Option(help="Where the marks go; else grader/results.csv.")
    ] = None,
    timeout: Annotated[
        int, typer.Option(min=1, help="Seconds for a cell; a notebook may take five times that.")
    ] = 60,
    feedback: Annotated[
        bool, typer.Option("--feedback/--no-feedback", help="Make a page for each student.")
    ] = True,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show nbgrader's warnings.")] = False,
) -> None:
    """Grade submissions: marks go into the gradebook and a CSV file, feedback into a folder.

    The folder is laid out as nbgrader does it (student/unit/lesson.ipynb), or holds notebooks
    named after the students (ada.ipynb, ada_1_scalars.ipynb) or in folders named after them.
    The files are only read. Exit code 1 means that somebody should look at a submission.

    Submissions run with your rights, without a sandbox: grade only what you would run.

    Example: grader grade handed_in.zip --csv marks.csv
    """
    from grader.grade import UNSANDBOXED
    from grader.grade import grade as grade_batch
    from grader.paths import ROOT, shown

    console.print(UNSANDBOXED, style="yellow")
    with _progress() as watch:
        graded = grade_batch(
            path,
            ROOT,
            csv=csv,
            cell_seconds=timeout,
            feedback=feedback,
            verbose=verbose,
            watch=watch,
        )
    for note in graded.notes:
        console.print(f"Note: {note}", markup=False)
    console.print(_table(graded.results))
    again = sum(result.again for result in graded.results)
    if again:
        console.print(f"{again} had marks already, and were graded again.")
    data = ROOT / "grader"
    console.print(f"Marks: {shown(csv or data / 'results.csv')}", markup=False, soft_wrap=True)
    if feedback:
        console.print(f"Feedback: {shown(data / 'feedback')}/", markup=False, soft_wrap=True)
    looks = sum(result.status.needs_teacher for result in graded.results)
    if looks:
        console.print(f"{looks} of {len(graded.results)} need somebody to look at them.")
        raise typer.Exit(1)


@app.command()
def demo(
    students: Annotated[int, typer.Option(min=1, help="How many are in the class.")] = 12,
) -> None:
    """Make up a class, from perfect to hopeless, and grade it, in grader/demo/.

    Example: grader demo --students 20
    """
    from grader.demo import run_demo

    with _progress() as watch:
        pupils, graded = run_demo(students, watch=watch)
    did = {pupil.name: pupil.did for pupil in pupils}
    console.print(_table(graded.results, did))
    console.print("Marks: grader/demo/results.csv. Feedback: grader/demo/feedback/.")
    console.print("See them in nbgrader's formgrader: grader web --demo")


@app.command()
def web(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Listen on this port.")] = 0,
    demo: Annotated[bool, typer.Option("--demo", help="Show the marks of `grader demo`.")] = False,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open a browser window.")
    ] = True,
) -> None:
    """Open formgrader, nbgrader's page for grading by hand, on the same marks.

    Example: grader web --demo
    """
    from grader.paths import ROOT
    from grader.web import open_formgrader

    data = ROOT / "grader" / "demo" if demo else ROOT / "grader"
    open_formgrader(data, ROOT, port=port, browser=browser)


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """A progress bar, moved by calling what this gives."""
    from rich.progress import Progress

    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("finding the submissions", total=None)

        def watch(name: str, number: int, total: int) -> None:
            progress.update(task, description=escape(name), completed=number, total=total)

        yield watch


def _table(results: list["Result"], did: dict[str, str] | None = None) -> Table:
    """The marks, and beside them what each student did or what was found."""
    from grader.results import points

    lessons = {result.lesson for result in results}
    title = f"lesson {escape(min(lessons))}" if len(lessons) == 1 else None
    table = Table(box=None, pad_edge=False, title=title, title_justify="left")
    table.add_column("student")
    if not title:
        table.add_column("lesson", no_wrap=True)
    for heading in ("score", "of", "by hand"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("status", no_wrap=True)
    table.add_column("what they did" if did else "findings", ratio=1)
    for result in results:
        words = did[result.student] if did else "; ".join(result.findings)
        table.add_row(
            escape(result.student),
            *([] if title else [escape(result.lesson)]),
            points(result.score),
            points(result.possible),
            points(result.pending) if result.pending else "",
            result.status.value,
            escape(words),
            style="red" if result.status.needs_teacher else None,
        )
    return table


def main() -> None:
    """Run the command; a user's mistake gets a message and exit code 2, never a traceback."""
    try:
        app()
    except GraderError as error:
        console.print(f"grader: {error}", markup=False, style="red", soft_wrap=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
