"""nbgrader's settings, in one place for the builder, for grading, and for nbgrader's own commands."""

from os.path import relpath
from pathlib import Path
from typing import Any

from traitlets.config import Config

from grader.database import gradebook_url

CODE_STUB = '# YOUR CODE HERE\nraise NotImplementedError("yours to write: replace this line")'
TEXT_STUB = "*Your answer here.*"

EXECUTOR = (
    "grader.nbgrader_executor.ExecuteNotebook"  # what runs submissions: replace it by its name here
)

# nbgrader's preprocessors open the gradebook without a course's name, which means this one.
COURSE = "default_course"


def notebook_settings() -> Config:
    """What the student's notebook shows in the place of a solution."""
    config = Config()
    config.ClearSolutions.code_stub = {"python": CODE_STUB}
    config.ClearSolutions.text_stub = TEXT_STUB
    return config


def course_settings(
    root: Path, data: Path | None = None, db: str = "", cell_seconds: int | None = None
) -> Config:
    """Everything that nbgrader must know about this course.

    Args:
        root: the repository, with solutions/ and notebooks/ in it.
        data: the folder inside it for submissions, marks and feedback; <root>/grader by default.
        db: the gradebook's URL; see `gradebook_url`.
        cell_seconds: how long a cell of a submission may take.

    Raises:
        GraderError: if db is no URL that nbgrader can use.
    """
    data = data or root / "grader"
    config = notebook_settings()

    folders: Any = config.CourseDirectory
    folders.root = str(root)
    folders.course_id = COURSE
    folders.db_url = gradebook_url(data, db)
    folders.source_directory = "solutions"
    for step in ("source_with_tests", "release", "submitted", "autograded", "feedback", "solution"):
        # The release is a copy: nbgrader deletes that folder before it writes it, and the
        # students' notebooks, in notebooks/, are for our builder alone to write.
        folders[f"{step}_directory"] = Path(relpath(data / step, root)).as_posix()
    config.ZipCollectApp.downloaded_directory = Path(relpath(data / "downloaded", root)).as_posix()

    config.Autograde.autograde_preprocessors = [
        EXECUTOR,
        "nbgrader.preprocessors.LimitOutput",
        "nbgrader.preprocessors.SaveAutoGrades",
        "nbgrader.preprocessors.AssignLatePenalties",
        "nbgrader.preprocessors.CheckCellMetadata",
    ]
    config.FormgradeExtension.debug = False  # its page would show the URL above, password and all
    config.OverwriteCells.add_missing_cells = True
    config.ExecuteNotebook.root, config.ExecuteNotebook.data = str(root), str(root / "grader")
    if cell_seconds is not None:
        config.ExecuteNotebook.cell_seconds = cell_seconds
    config.GenerateFeedback.preprocessors = [
        "nbgrader.preprocessors.GetGrades",
        "grader.hidden_tests.PrepareFeedback",
        "nbconvert.preprocessors.CSSHTMLHeaderPreprocessor",
    ]
    return config
