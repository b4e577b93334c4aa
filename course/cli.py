"""The command `course`: opens lessons in JupyterLab."""

from pathlib import Path
from typing import Annotated

import typer

from course.learn import lab, workspace
from course.learn.manifest import Lesson, find_lesson, lessons

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

LessonName = Annotated[
    str,
    typer.Argument(
        metavar="LESSON", help="A number such as 1.1, or a name such as 1_micrograd/1_scalars."
    ),
]


@app.callback(invoke_without_command=True)
def start(context: typer.Context) -> None:
    """Build a deep-learning framework, from scalars to a GPT.

    Without a command, JupyterLab opens at the first lesson.

    Example: course open 1.1 --no-browser
    """
    if context.invoked_subcommand is None:
        open_()


@app.command("open")
def open_(
    lesson: LessonName = "",
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open a browser, or print the address.")
    ] = True,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Listen on this port.")] = None,
) -> None:
    """Open JupyterLab at a lesson; without one, at the first.

    You work on copies of the notebooks, in the folder `work`. When the course brings a newer
    version of a notebook that you have changed, yours stays as it is.

    Example: course open 1.1 --no-browser
    """
    chosen = _find(lesson)
    for name in workspace.prepare():
        number = lessons()[name].number if name in lessons() else name
        typer.echo(
            f"There is a newer version of lesson {number}. Yours is left as it is.\n"
            f"To get the newer one (yours is kept in work/backup): course restart {number}\n"
        )
    lab.open_lab(chosen.name, browser=browser, port=port)


@app.command()
def restart(lesson: LessonName) -> None:
    """Begin a lesson again with a fresh notebook; the old one is kept in work/backup.

    Example: course restart 1.1
    """
    chosen = _find(lesson)
    backup = workspace.restart(chosen.name)
    typer.echo(
        f"Lesson {chosen.number} is fresh: {_shown(workspace.work_copy(workspace.ROOT, chosen.name))}"
    )
    if backup:
        typer.echo(f"Your notebook is kept: {_shown(backup)}")


def _find(name: str) -> Lesson:
    """Give the lesson of this name or number; the first one if the name is empty."""
    try:
        found = find_lesson(name) if name else next(iter(lessons().values()))
    except LookupError as error:
        raise _misuse(str(error)) from None
    except (FileNotFoundError, StopIteration):
        raise _misuse("There are no lessons yet. Build them with: grader build") from None
    if not workspace.notebook(workspace.ROOT, found.name).exists():
        raise _misuse(f"notebooks/{found.name}.ipynb is missing. Build it with: grader build")
    return found


def _misuse(message: str) -> typer.Exit:
    typer.echo(message, err=True)
    return typer.Exit(2)


def _shown(path: Path) -> str:
    return path.relative_to(workspace.ROOT).as_posix()


def main() -> None:
    """Run the command line."""
    app()
