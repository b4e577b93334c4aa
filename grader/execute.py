"""Running submissions in a Jupyter kernel: slow, and no sandbox, but the real Jupyter.

NOT A SANDBOX. Student code runs in a kernel of its own, with a temporary folder as its home, but with
the rights of whoever grades, and beside the hidden tests. `grader grade --executor jupyter --unsafe`.
"""

import atexit
import functools
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil  # type: ignore[import-untyped]
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpecManager
from nbclient import NotebookClient
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat.v4 import new_code_cell, new_output
from nbgrader.utils import is_grade

from course.learn.checks import HIDDEN_FAILED
from grader.answer_key import is_check
from grader.hidden_tests import hide_hidden_tests
from grader.outcome import CheckOutcome, Outcome
from grader.results import Status
from grader.sandbox.layers import Limits

if TYPE_CHECKING:
    from grader.worker import Lesson

HELPERS = "from course.learn import *"  # what checks compare with, as it should be

OUTPUT_LIMIT = 1_000_000  # characters for one cell, pictures included

# What of the grader's environment student code gets to see; the rest may hold secrets.
KEPT_VARIABLES = (
    *("LANG", "LC_ALL", "LC_CTYPE", "TZ", "LD_LIBRARY_PATH", "PYTHONPATH", "OMP_NUM_THREADS"),
    *("CUDA_HOME", "CUDA_PATH", "CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES"),
    *("SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT", "NUMBER_OF_PROCESSORS"),
)

NUMBER = re.compile(r"(?:np\.\w+\()?([-+.\deE]+|inf|nan)\)?")  # 0.5, or np.float64(0.5)


def run_in_jupyter(notebook: Any, lesson: "Lesson", limits: Limits, outcome: Outcome) -> None:
    """Run a submission in a kernel, and put down what its checks gave.

    Args:
        notebook: the submission, repaired; its cells get outputs, without what is hidden.
        lesson: whose checks these are.
        limits: of which only the times hold.
        outcome: gets status, findings and checks.
    """
    for cell in notebook.cells:
        if is_check(cell):
            cell.source = lesson.sources[cell.metadata["nbgrader"]["grade_id"]]
    status, finding = run_cells(notebook, int(limits.cell_seconds), int(limits.notebook_seconds))
    outcome.status = outcome.status.worst(status)
    outcome.findings += [finding] if finding else []
    points = {
        cell.metadata["nbgrader"]["grade_id"]: credit(cell)
        for cell in notebook.cells
        if is_check(cell)
    }
    hide_hidden_tests(notebook)
    messages = {
        cell.metadata["nbgrader"]["grade_id"]: output.evalue
        for cell in notebook.cells
        if is_check(cell)
        for output in cell.outputs
        if output.output_type == "error"
    }
    for name, key in lesson.pack.key.items():
        message = messages.get(name, "")
        hidden = message.startswith(HIDDEN_FAILED)
        outcome.checks.append(
            CheckOutcome(
                name,
                key.exercises,
                points.get(name, 0.0),
                key.points,
                message,
                hidden,
                -1 if message else None,
            )
        )


def run_cells(
    notebook: Any, cell_seconds: int = 60, notebook_seconds: int = 0
) -> tuple[Status, str]:
    """Run a notebook's cells in a kernel, and fill in their outputs, whatever happens.

    Every code cell gets an error first, which goes away only when the cell has run to its end.

    Args:
        notebook: the notebook.
        cell_seconds: how long a cell may take.
        notebook_seconds: how long all of it may take; 0 means five times what a cell may.

    Returns:
        How it went, and what a teacher should know.
    """
    with tempfile.TemporaryDirectory(prefix="grading-", ignore_cleanup_errors=True) as scratch:
        folder = Path(scratch, "work")
        folder.mkdir()
        limit = notebook_seconds or 5 * cell_seconds
        status, finding = _run(notebook, Path(scratch), folder, cell_seconds, limit)
    for cell in notebook.cells:
        if is_check(cell):
            failed = any(output.output_type == "error" for output in cell.outputs)
            # A warning costs no points; beside an error, it may help.
            cell.outputs = [x for x in cell.outputs if failed or x.get("name") != "stderr"]
    return status, finding


def credit(cell: Any) -> float:
    """The points that a check gives after it ran: all, none, or the number on its last line."""
    points = float(cell.metadata["nbgrader"]["points"])
    if any(output.output_type == "error" for output in cell.outputs):
        return 0.0
    for output in cell.outputs:
        text = output.get("data", {}).get("text/plain", "")
        number = NUMBER.fullmatch(text) if output.output_type == "execute_result" else None
        if number:
            return min(max(float(number[1]), 0.0), points)
    return points


class _Client(NotebookClient):
    """nbclient's client, which also remembers timeouts and keeps outputs small."""

    def __init__(self, notebook: Any, scratch: Path) -> None:
        super().__init__(
            notebook,
            allow_errors=True,
            interrupt_on_timeout=True,
            raise_on_iopub_timeout=True,
            record_timing=False,
            store_widget_state=False,
            shutdown_kernel="immediate",
            skip_cells_with_tag="no cell is skipped",
            on_cell_executed=self._executed,
        )
        self.scratch = scratch
        self.timed_out: list[str] = []  # the ids of cells
        self._size = 0

    def create_kernel_manager(self) -> Any:
        """A kernel of this very Python, whatever else is installed under the name."""
        self.km = AsyncKernelManager(
            kernel_spec_manager=KernelSpecManager(kernel_dirs=[]),
            connection_file=str(self.scratch / "kernel.json"),
        )
        return self.km

    def run_cell(self, cell: Any, index: int, seconds: int) -> None:
        """Run one cell, for so many seconds at most."""
        self.timeout = seconds
        self.error_on_timeout = {
            "ename": "CellTimeoutError",
            "evalue": f"The cell took more than {seconds} seconds and was stopped.",
            "traceback": [f"CellTimeoutError: more than {seconds} seconds"],
        }
        self._size = 0
        self.execute_cell(cell, index)

    def output(self, outs: Any, msg: Any, display_id: Any, cell_index: int) -> Any:
        """Add an output to a cell, as far as there is room for it."""
        room = OUTPUT_LIMIT - self._size
        self._size += len(str(msg["content"]))
        if self._size > OUTPUT_LIMIT and msg["msg_type"] != "error":
            if room <= 0 or msg["msg_type"] != "stream":
                return None
            msg["content"]["text"] = msg["content"]["text"][:room] + "\n... and more"
        return super().output(outs, msg, display_id, cell_index)

    def _executed(self, cell: Any, cell_index: int, execute_reply: Any) -> None:
        """See to it that a cell which did not run to its end has an error in its output."""
        content = execute_reply["content"]
        if content["status"] == "ok":
            return
        name = content.get("ename", content["status"])
        if name == "CellTimeoutError":
            self.timed_out.append(cell.id)
        if not any(out.output_type == "error" and out.ename == name for out in cell.outputs):
            cell.outputs.append(_error(name, content.get("evalue", "The cell did not run.")))


def _run(
    notebook: Any, scratch: Path, folder: Path, cell_seconds: int, notebook_seconds: int
) -> tuple[Status, str]:
    """Run the cells in order; returns how it went, and what a teacher should know."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
    for cell in code:
        cell.outputs = [_error("NotRun", "This cell was not reached.")]
    client = _Client(notebook, scratch)
    environment = _environment(scratch)
    deadline = time.monotonic() + notebook_seconds
    cell = None
    try:
        # What a kernel writes past Jupyter would go to the teacher's terminal.
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        with client.setup_kernel(cwd=str(folder), env=environment, **quiet):
            for index, cell in enumerate(notebook.cells):
                left = deadline - time.monotonic()
                if left < 1:
                    return Status.TIMEOUT, (
                        f"the notebook took more than {notebook_seconds} seconds; "
                        f"it was stopped above {_called(cell)}"
                    )
                if is_grade(cell) and cell.cell_type == "code":
                    # A student may have used a helper's name for something else.
                    client.run_cell(new_code_cell(HELPERS), index, cell_seconds)
                client.run_cell(cell, index, min(cell_seconds, int(left)))
    except DeadKernelError:
        reason = "Python died in this cell. The cells below it did not run."
        cell.outputs.append(_error("KernelDied", reason))
        return Status.CRASHED, f"Python died in {_called(cell)}; what ran before counts"
    except CellTimeoutError:
        reason = f"The cell took more than {client.timeout} seconds and could not be stopped."
        cell.outputs.append(_error("CellTimeoutError", reason))
        return Status.TIMEOUT, (
            f"{_called(cell)} took too long and could not be stopped; what ran before counts"
        )
    finally:
        _kill_leftovers(environment["HOME"])
    setup = next((cell for cell in code if cell.id == "setup"), None)
    failed = [out for out in setup.outputs if out.output_type == "error"] if setup else []
    if failed:
        return Status.CRASHED, (
            f"the set-up cell failed ({failed[0].ename}: {failed[0].evalue}); no check can pass "
            "after that. Are the notebooks, course/learn/lessons.json and the packages of one version?"
        )
    if client.timed_out:
        called = [_called(cell) for cell in notebook.cells if cell.id in client.timed_out]
        return Status.TIMEOUT, f"more than {cell_seconds} seconds: {', '.join(called)}"
    return Status.OK, ""


def _error(name: str, message: str) -> Any:
    return new_output("error", ename=name, evalue=message, traceback=[f"{name}: {message}"])


def _called(cell: Any) -> str:
    """What to call a cell: its id with nbgrader, or how it begins."""
    identity = cell.metadata.get("nbgrader", {}).get("grade_id")
    if identity:
        return f"the cell {identity!r}"
    return f"the cell that begins {cell.source.strip().splitlines()[0][:50]!r}"


def _environment(scratch: Path) -> dict[str, str]:
    """The variables that student code gets."""
    home = scratch / "home"
    folders = {
        "HOME": home,
        "USERPROFILE": home,
        "TMPDIR": scratch / "tmp",
        "TEMP": scratch / "tmp",
        "TMP": scratch / "tmp",
        "IPYTHONDIR": home / "ipython",
        "JUPYTER_CONFIG_DIR": home / "config",
        "JUPYTER_DATA_DIR": home / "data",
        "JUPYTER_RUNTIME_DIR": home / "runtime",
        "XDG_CACHE_HOME": home / "cache",
    }
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
    variables = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    variables |= {name: str(folder) for name, folder in folders.items()}
    here = str(Path(sys.executable).parent)
    variables["PATH"] = os.pathsep.join([here, os.environ.get("PATH", os.defpath)])
    variables["MPLCONFIGDIR"] = _matplotlib_folder()
    variables["PYTHONHASHSEED"] = "0"  # the same marks each time
    variables["COURSE_GRADING"] = "1"  # course.learn lends no parts
    variables["PYTHONNOUSERSITE"] = "1"
    return variables


@functools.cache
def _matplotlib_folder() -> str:
    """One folder for all notebooks: listing the fonts again for each would take seconds."""
    folder = tempfile.mkdtemp(prefix="grading-matplotlib-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _kill_leftovers(home: str) -> None:
    """End what a notebook started and left running: it still has the notebook's home folder."""
    for process in psutil.process_iter():
        try:
            if process.environ().get("HOME") == home:
                process.kill()
        except (psutil.Error, OSError):  # not ours, or gone by now
            continue
