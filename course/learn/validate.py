"""The server side of the Validate button: runs a notebook as grading does.

nbgrader counts a check as failed when its cell wrote anything to stderr, be it a progress bar or a
warning from a library. And it gives a cell 30 seconds, which a training on a slow computer takes.
"""

import os
from contextlib import AbstractContextManager
from typing import Any

from nbformat import NotebookNode
from nbgrader.preprocessors import CheckCellMetadata, ClearOutput, Execute
from nbgrader.server_extensions.validate_assignment import handlers
from nbgrader.validator import Validator
from traitlets import Integer, List
from traitlets.config import Config


class ExecuteQuietly(Execute):
    """Runs the notebook, and forgets what cells without an error wrote to stderr."""

    timeout = Integer(300, allow_none=True, help="Seconds that a cell may take.").tag(config=True)

    def preprocess(self, nb: NotebookNode, *args: Any, **kwargs: Any) -> tuple[NotebookNode, Any]:
        """Run all cells."""
        nb, resources = super().preprocess(nb, *args, **kwargs)
        for cell in nb.cells:
            outputs = cell.get("outputs", [])
            if not any(output.output_type == "error" for output in outputs):
                cell.outputs = [output for output in outputs if output.get("name") != "stderr"]
        return nb, resources

    def setup_kernel(self, **options: Any) -> AbstractContextManager[None]:
        """Run a kernel in which, as in grading, borrowed parts earn nothing."""
        environment = {**os.environ, "COURSE_GRADING": "1"}
        return super().setup_kernel(env=environment, **options)


class QuietValidator(Validator):
    """nbgrader's validator, running notebooks as above."""

    preprocessors = List([CheckCellMetadata, ClearOutput, ExecuteQuietly])


def install(server: Any) -> None:
    """Let a Jupyter server answer the Validate button."""
    # Its request handler has no settings for these. No configuration: one that lies about on this
    # computer is for another course.
    handlers.Validator = QuietValidator
    handlers.ValidateAssignmentHandler.load_config = lambda handler: Config()
    handlers.load_jupyter_server_extension(server)
