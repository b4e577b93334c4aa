"""Running a notebook's cells in this process: fast, for answers that we wrote ourselves.

Submissions never run here; see `grader.grade`.
"""

import contextlib
import gc
import io
import linecache
import multiprocessing
import pickle
import random
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any

import matplotlib
import numpy as np

from course.learn import CheckFailed
from course.learn.holes import restore
from grader.errors import GraderError

SECONDS = 60  # for one cell; the slowest cell of a solved notebook takes a fraction of it


class TimeUp(BaseException):
    """A cell took too long. Not an Exception, so that answers do not catch it by accident."""


@dataclass
class Run:
    """What came of running a notebook.

    Attributes:
        points: check id -> points it gave.
        possible: check id -> points it could have given.
        messages: check id -> why it failed.
        errors: cell id -> what an ordinary cell raised.
        drew: whether anything drew from the random generators of Python, numpy or the course. If not, another
            seed would have changed nothing.
    """

    points: dict[str, int] = field(default_factory=dict)
    possible: dict[str, int] = field(default_factory=dict)
    messages: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    drew: bool = False

    def full(self) -> bool:
        """Whether every check gave all its points."""
        return self.points == self.possible


def run_notebook(
    notebook: Any,
    *,
    replace: dict[str, str] | None = None,
    checks: set[str] | None = None,
    seed: int = 0,
) -> Run:
    """Run a notebook's code cells in order, in a fresh namespace, with the lesson's holes.

    Args:
        notebook: an nbformat notebook, with hidden tests.
        replace: cell id -> the source to run instead.
        checks: the ids of the checks to run. With it, only what checks may depend on runs
            besides: the set-up, given and exercise cells above the last of them.
        seed: for the random generators of Python and numpy.

    Returns:
        What each check gave.
    """
    namespace: dict[str, Any] = {"__name__": "__main__"}
    run = Run()
    left = set(checks) if checks is not None else None
    with undone():
        random.seed(seed)
        np.random.seed(seed)
        before = _generators()
        for cell in notebook.cells:
            meta = cell.metadata.get("nbgrader", {})
            is_check = meta.get("grade", False)
            if cell.cell_type != "code" or (is_check and left is not None and cell.id not in left):
                continue
            if left is not None and (not meta or not left):
                continue
            source = (replace or {}).get(cell.id, cell.source)
            problem = _run_cell(source, cell.id, namespace)
            if is_check:
                run.possible[cell.id] = meta["points"]
                run.points[cell.id] = 0 if problem else meta["points"]
                if problem:
                    run.messages[cell.id] = problem
                if left is not None:
                    left.discard(cell.id)
            elif problem and "raises-exception" not in cell.metadata.get("tags", []):
                run.errors[cell.id] = problem
        run.drew = _generators() != before
    return run


def _generators() -> tuple[object, ...]:
    """Where the random generators of Python, numpy and the course's tensors stand."""
    tensors = sys.modules.get("course.tensor.rng")
    state = tensors.generator().bit_generator.state if tensors else None
    return random.getstate(), pickle.dumps(np.random.get_state()), repr(state)


@dataclass(frozen=True)
class Task:
    """Something to do in a process of its own.

    Attributes:
        work: does it, and returns what came of it.
        seconds: how long it may take.
        about: what the caller knows it by.
    """

    work: Callable[[], Any]
    seconds: float
    about: Any = None


def run_apart(tasks: Iterable[Task], jobs: int) -> Iterator[tuple[Task, Any]]:
    """Do each task in a forked child, so many at once.

    Yields:
        Each task with what came of it, as they end; None if it took too long, or its process died.

    Raises:
        GraderError: on a system that cannot fork.
    """
    if "fork" not in multiprocessing.get_all_start_methods():
        raise GraderError("this needs a system that can fork processes: Linux, macOS, or WSL")
    context = multiprocessing.get_context("fork")
    waiting = iter(tasks)
    running: dict[Connection, tuple[Any, Task, float]] = {}
    try:
        while True:
            while len(running) < jobs and (task := next(waiting, None)) is not None:
                ours, theirs = context.Pipe(duplex=False)
                child = context.Process(target=_work, args=(task.work, theirs), daemon=True)
                child.start()
                theirs.close()
                running[ours] = child, task, time.monotonic() + task.seconds
            if not running:
                return
            first = min(until for _, _, until in running.values())
            ended = set(wait(list(running), max(0.0, first - time.monotonic())))
            for end, (child, task, until) in list(running.items()):
                if end in ended or time.monotonic() >= until:
                    yield task, _result(end) if end in ended else None
                    _stop(child, end)
                    del running[end]
    finally:
        for end, (child, _, _) in running.items():
            _stop(child, end)


def _work(work: Callable[[], Any], end: Connection) -> None:
    end.send(work())


def _result(end: Connection) -> Any:
    try:
        return end.recv()
    except EOFError:  # the child died before it sent anything
        return None


def _stop(child: Any, end: Connection) -> None:
    end.close()
    child.kill()
    child.join()


@contextlib.contextmanager
def undone() -> Iterator[None]:
    """Undo, in the end, what running a lesson changes in this process."""
    from matplotlib import pyplot

    backend, show, thresholds = matplotlib.get_backend(), warnings.showwarning, gc.get_threshold()
    states = random.getstate(), np.random.get_state()
    pyplot.switch_backend("Agg")
    try:
        yield
    finally:
        restore()
        pyplot.close("all")
        pyplot.switch_backend(backend)
        warnings.showwarning = show
        gc.set_threshold(*thresholds)
        random.setstate(states[0])
        np.random.set_state(states[1])


def _run_cell(source: str, identity: str, namespace: dict[str, Any]) -> str:
    """Run one cell; returns what it raised, as the student would read it, or an empty string."""
    filename = f"<cell {identity}>"
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    out = io.StringIO()
    try:
        with _time_limit(SECONDS), contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            exec(compile(source, filename, "exec"), namespace)
    except CheckFailed as error:
        return str(error)
    except TimeUp:
        return f"took more than {SECONDS} seconds"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


@contextlib.contextmanager
def _time_limit(seconds: int) -> Iterator[None]:
    """Stop what runs inside after so many seconds, where the system can."""
    if not hasattr(signal, "SIGALRM") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: object) -> None:
        raise TimeUp

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
