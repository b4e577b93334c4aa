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
    from rich.progress import TaskID

    from grader.build import Built
    from grader.report import LessonReport
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
    mutants: Annotated[
        bool,
        typer.Option("--mutants", help="Try small mechanical mistakes in the reference instead."),
    ] = False,
    jobs: Annotated[
        int, typer.Option(min=0, help="How many mutants run at a time; 0: one for each core.")
    ] = 0,
    verbose: Annotated[bool, typer.Option("--verbose", help="List what holds, too.")] = False,
) -> None:
    """Prove the checks: wrong answers lose points, right ones keep them.

    With --mutants: the reference with one small mistake at a time, an operator exchanged, a constant
    changed, a statement left out. At least 95 % of them must lose points on their own exercise.
    Those that are no mistakes stand in the lesson's bank, with a reason.

    Exit code 1 means that something does not hold.

    Example: grader verify 1.1

    Example: grader verify --mutants 1.1
    """
    from grader.build import MANIFEST, build_all, differences, outputs

    every = [built for _, built in build_all()]
    if differences({MANIFEST: outputs(every)[MANIFEST]}, stale=False):
        raise GraderError(f"{MANIFEST.as_posix()} is out of date: run `grader build` first")
    known = {name for built in every for name in (built.text.name, built.text.number)}
    unknown = set(lessons or ()) - known
    if unknown:
        raise GraderError(
            f"there is no lesson {min(unknown)}; there are {', '.join(sorted(known))}"
        )
    wanted = [x for x in every if not lessons or {x.text.name, x.text.number} & set(lessons)]
    if not (_try_mutants(wanted, jobs) if mutants else _try_claims(wanted, verbose)):
        raise typer.Exit(1)


def _try_claims(lessons: list["Built"], verbose: bool) -> bool:
    """Try every claim about the lessons; whether all hold."""
    from rich.progress import Progress

    from grader.verify import verify as try_claims

    problems = tried = 0
    with Progress(console=console, transient=True) as progress:
        for built in lessons:
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
    return not problems


def _try_mutants(lessons: list["Built"], jobs: int) -> bool:
    """Try the lessons' mutants; whether enough of them lose points."""
    import os
    import textwrap

    from rich.progress import MofNCompleteColumn, Progress

    from grader.verify import KILLED, verify_mutants

    good = True
    columns = (*Progress.get_default_columns(), MofNCompleteColumn())
    # Without a thread of its own: processes are forked meanwhile.
    with Progress(*columns, console=console, transient=True, auto_refresh=False) as progress:
        for built in lessons:
            task = progress.add_task(f"lesson {built.text.number}", total=None)

            def watch(tried: int, total: int, task: "TaskID" = task) -> None:
                progress.update(task, completed=tried, total=total, refresh=True)

            proof = verify_mutants(built, jobs=jobs or os.cpu_count() or 1, watch=watch)
            progress.remove_task(task)
            for mutant in proof.survived:
                console.print(
                    f"survived: {mutant.part}, {mutant.place}", markup=False, soft_wrap=True
                )
                console.print(textwrap.indent(mutant.change, "    "), markup=False, soft_wrap=True)
            for stale in proof.stale:
                console.print(f"NOT so: {stale}", markup=False, style="red", soft_wrap=True)
            console.print(str(proof), style=None if proof.holds else "red", soft_wrap=True)
            good = good and proof.holds
            if proof.per_cent < KILLED:
                console.print(
                    f"At least {KILLED} % must lose points: mend the checks. What is no mistake goes "
                    "into the bank as `equivalent`, with a reason.",
                    soft_wrap=True,
                )
    return good


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
    memory: Annotated[
        float, typer.Option(min=0.1, help="Gigabytes that a notebook may take.")
    ] = 2.0,
    workers: Annotated[
        int, typer.Option(min=0, help="How many notebooks run at a time; 0: one for each core.")
    ] = 0,
    cluster: Annotated[
        str, typer.Option(help="Run them on a Dask cluster: its scheduler's address.")
    ] = "",
    db: Annotated[
        str,
        typer.Option(
            envvar="GRADER_DB", help="The gradebook: postgresql://...; else grader/gradebook.db."
        ),
    ] = "",
    executor: Annotated[
        str, typer.Option(help="sandbox; or jupyter: a Jupyter kernel each, and no sandbox.")
    ] = "sandbox",
    unsafe: Annotated[
        bool, typer.Option("--unsafe", help="Run them even if nothing keeps them in.")
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Run also what has not changed since it was graded.")
    ] = False,
    all_cells: Annotated[
        bool, typer.Option("--all-cells", help="Run also demo cells that can change no mark.")
    ] = False,
    feedback: Annotated[
        bool, typer.Option("--feedback/--no-feedback", help="Make a page for each student.")
    ] = True,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show nbgrader's warnings.")] = False,
) -> None:
    """Grade submissions: marks go into the gradebook and a CSV file, feedback into a folder.

    The folder is laid out as nbgrader does it (student/unit/lesson.ipynb), or holds notebooks
    named after the students (ada.ipynb, ada_1_scalars.ipynb) or in folders named after them.
    The files are only read. What was graded before and has not changed is not run again; a run
    that was interrupted goes on where it was. Exit code 1 means that somebody should look at a
    submission.

    Submissions run in a sandbox; see `grader doctor`.

    Example: grader grade handed_in.zip --csv marks.csv
    """
    from grader.grade import grade as grade_batch
    from grader.paths import ROOT, shown
    from grader.sandbox.layers import Limits
    from grader.worker import How

    if executor not in ("sandbox", "jupyter"):
        raise GraderError(f"there is no executor {executor!r}; there are sandbox and jupyter")
    if executor == "jupyter" and not unsafe:
        raise GraderError(
            "a Jupyter kernel is no sandbox: submissions would run with your rights. "
            "If you would run them yourself, add --unsafe"
        )
    limits = Limits(timeout, 5 * timeout, int(memory * 2**30))
    how = How(limits, executor, unsafe=unsafe, all_cells=all_cells)
    with _progress() as watch:
        graded = grade_batch(
            path,
            ROOT,
            how=how,
            workers=workers or None,
            cluster=cluster,
            db=db,
            csv=csv,
            feedback=feedback,
            again=again,
            verbose=verbose,
            watch=watch,
        )
    for note in graded.notes:
        console.print(f"Note: {note}", markup=False)
    console.print(_table(graded.results))
    if graded.unchanged:
        console.print(
            f"{graded.unchanged} have not changed, and were not run again (--again does)."
        )
    replaced = sum(result.again for result in graded.results)
    if replaced:
        console.print(f"{replaced} had marks already, and were graded again.")
    data = ROOT / "grader"
    console.print(f"Marks: {shown(csv or data / 'results.csv')}", markup=False, soft_wrap=True)
    if feedback:
        console.print(f"Feedback: {shown(data / 'feedback')}/", markup=False, soft_wrap=True)
    looks = sum(result.status.needs_teacher for result in graded.results)
    if looks:
        console.print(f"{looks} of {len(graded.results)} need somebody to look at them.")
        raise typer.Exit(1)


@app.command()
def doctor() -> None:
    """Say what keeps student code in on this machine, by trying it.

    Exit code 1 means that something is missing, and says what to do.

    Example: grader doctor
    """
    from grader.doctor import INSTALL, examine, walls

    found = walls()
    table = Table(box=None, pad_edge=False)
    for heading in ("submissions are kept from", "by"):
        table.add_column(heading)
    for name, words in (
        ("files", "solutions, gradebook, other submissions, homes"),
        ("network", "the network"),
        ("processes", "the grader's processes, and each other's"),
    ):
        layers = getattr(found, name)
        table.add_row(words, ", ".join(layers) or "NOTHING", style=None if layers else "red")
    console.print(table)
    if found.missing:
        console.print(f"To mend it: {INSTALL}.", markup=False, soft_wrap=True)
        raise typer.Exit(1)
    with console.status("trying to get out"):
        holes = examine()
    for attempt, result in holes.items():
        escaped = result != "refused"
        console.print(
            f"{'NOT refused' if escaped else 'refused'}: {attempt}",
            style="red" if escaped else None,
            markup=False,
        )
    if any(result != "refused" for result in holes.values()):
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
    db: Annotated[
        str, typer.Option(envvar="GRADER_DB", help="The gradebook, as for `grader grade`.")
    ] = "",
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
    open_formgrader(data, ROOT, port=port, browser=browser, db=db)


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


@app.command()
def report(
    lessons: Annotated[
        list[str] | None,
        typer.Argument(help="Lessons such as 1.1; all that were graded by default."),
    ] = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="Report on the class of `grader demo`.")
    ] = False,
    data: Annotated[
        Path | None, typer.Option(help="The folder with the gradebook; else grader/.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Where the report goes; else report/ beside the gradebook.")
    ] = None,
) -> None:
    """Report on the class: marks, exercises, misconceptions, and submissions that are alike.

    It reads what grading kept, and runs nothing. Exit code 1 means that somebody should look at
    something.

    Example: grader report 1.1
    """
    from grader.paths import ROOT, shown
    from grader.report import make_report

    if demo and data:
        raise GraderError("--demo and --data name two classes: give one of them")
    data = ROOT / "grader" / "demo" if demo else data or ROOT / "grader"
    with _progress() as watch:
        made = make_report(data, ROOT, lessons or (), output, watch)
    for note in made.notes:
        console.print(f"Note: {note}", markup=False, soft_wrap=True)
    for lesson in made.lessons:
        console.print(_report_table(lesson))
    console.print(f"Report: {shown(made.page)}", markup=False, soft_wrap=True)
    if made.looks:
        submissions = sum(len(lesson.look) for lesson in made.lessons)
        console.print(
            f"To look at: submissions: {submissions}, pairs that are alike (a hint, no proof): "
            f"{made.looks - submissions}"
        )
        raise typer.Exit(1)


def _report_table(lesson: "LessonReport") -> Table:
    """One lesson's exercises, in short."""
    from grader.report_page import percent, signed

    numbers = lesson.numbers
    title = f"{numbers.number} {numbers.title}: {numbers.students} submissions"
    if numbers.score:
        title += f", median {numbers.score.median:.4g} of {numbers.possible:.4g} points"
    table = Table(box=None, pad_edge=False, title=escape(title), title_justify="left")
    table.add_column("exercise", no_wrap=True)
    for heading in ("tried", "failed", "mean\nshare", "discrimi-\nnation"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("most often because", ratio=1)
    for exercise in numbers.exercises:
        words, times = exercise.reasons[0] if exercise.reasons else ("", 0)
        table.add_row(
            escape(exercise.title),
            "?" if exercise.tried is None else str(exercise.tried),
            str(exercise.failed),
            percent(exercise.difficulty),
            signed(exercise.discrimination),
            escape(f"{times} × {words}") if words else "",
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
