"""The `grader` command."""

import sys
from typing import Annotated

import typer
from rich.console import Console

from grader.errors import GraderError

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
    from grader.build import build_all, differences, outputs, write

    lessons = []
    for name, built in build_all():
        console.print(f"  {name}: {len(built.exercises)} exercises, {len(built.checks)} checks")
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

    from grader.build import build_all
    from grader.verify import verify as try_claims

    every = [built for _, built in build_all()]
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
                    console.print(f"NOT so: {proof.claim}", markup=False, style="red")
                    console.print(f"    {proof.problem}", markup=False, soft_wrap=True)
                elif verbose:
                    console.print(f"holds: {proof.claim}", markup=False)
            progress.remove_task(task)
    console.print(f"{tried} claims tried, {problems} do not hold.")
    if problems:
        raise typer.Exit(1)


def main() -> None:
    """Run the command; a user's mistake gets a message and exit code 2, never a traceback."""
    try:
        app()
    except GraderError as error:
        console.print(f"grader: {error}", markup=False, style="red", soft_wrap=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
