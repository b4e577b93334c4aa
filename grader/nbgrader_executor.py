"""For nbgrader's own commands and formgrader's buttons: the same way of running submissions.

nbgrader gives a check its points unless there is an error in its output, or a number.
"""

from pathlib import Path
from typing import Any

import nbformat
from nbformat.v4 import new_output
from nbgrader.preprocessors import NbGraderPreprocessor
from traitlets import Bool, Integer, Unicode

from grader.answer_key import is_check
from grader.pack import load_pack
from grader.play import error_output
from grader.sandbox.layers import Limits
from grader.worker import How, Job, grade_submission


class ExecuteNotebook(NbGraderPreprocessor):
    """Stands in the place of nbgrader's `Execute`; also looks at what was handed in before it runs."""

    root = Unicode(help="The repository.").tag(config=True)
    data = Unicode(help="The folder of gradebook and marks.").tag(config=True)
    cell_seconds = Integer(60, help="Seconds that a cell may take.").tag(config=True)
    unsafe = Bool(False, help="Run without a sandbox if there is none.").tag(config=True)

    def preprocess(self, nb: Any, resources: Any) -> tuple[Any, Any]:
        """Fill in the cells' outputs, whatever happens."""
        lesson = nb.metadata.get("course", {}).get("lesson", "")
        pack = load_pack(lesson, Path(self.root), Path(self.data))
        limits = Limits(cell_seconds=self.cell_seconds, notebook_seconds=5 * self.cell_seconds)
        how = How(limits, unsafe=self.unsafe)
        job = Job(resources["nbgrader"]["student"], lesson, nbformat.writes(nb).encode())
        outcome = grade_submission(job, pack, how)
        checks = {check.id: check for check in outcome.checks}
        ran = {cell.id: cell for cell in (outcome.notebook or {"cells": []})["cells"]}
        for cell in nb.cells:
            if cell.cell_type != "code":
                continue
            if not is_check(cell):
                cell.outputs = ran[cell.id].outputs if cell.id in ran else []
                continue
            check = checks.get(cell.metadata["nbgrader"]["grade_id"])
            if check is None or check.message:
                words = check.message if check else "This check did not run."
                cell.outputs = [nbformat.from_dict(error_output("CheckFailed", words))]
            elif check.points != check.possible:
                number = {"text/plain": repr(check.points)}
                cell.outputs = [new_output("execute_result", data=number)]
            else:
                cell.outputs = []
        grading = nb.metadata.setdefault("course", {}).setdefault("grading", {})
        grading |= {"status": outcome.status.value, "findings": outcome.findings}
        return nb, resources
