"""For those who type nbgrader's own commands in this folder, and for formgrader."""

import os
from pathlib import Path

from grader.nbgrader_settings import course_settings

here = Path(__file__).resolve().parent
c = get_config()  # type: ignore[name-defined]  # noqa: F821 - given by nbgrader
data = here / os.environ.get("GRADER_DATA", "grader")
c.merge(course_settings(here, data, os.environ.get("GRADER_DB", "")))
