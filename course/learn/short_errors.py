"""Errors that can be read: the student's own lines and the message, without our machinery.

IPython asks an exception for `_render_traceback_`; elsewhere these are ordinary exceptions.
"""

import linecache
import traceback
from types import FrameType, TracebackType
from typing import Any

SHOWN = 3  # calls at each end of a long traceback
WIDTH = 100  # of a line of code


class ShortTraceback(BaseException):
    """A mixin: shown with the lines that led to it, but without those of `course.learn`."""

    def _render_traceback_(self) -> list[str]:
        return render(type(self), self, self.__traceback__)


def render(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> list[str]:
    """The lines that led to an error, one for each call, and the message.

    Args:
        kind: the error's class.
        error: the error.
        trace: its traceback. Of many calls, the first and the last few are shown.
    """
    students = [is_cell(frame) for frame, _ in traceback.walk_tb(trace)]
    frames = traceback.extract_tb(trace)
    calls = [frame for frame, shown in zip(frames, students) if shown]
    lines = []
    for i, call in enumerate(calls):
        if SHOWN <= i < len(calls) - SHOWN:
            if i == SHOWN:
                lines.append(f"... {len(calls) - 2 * SHOWN:,} more calls ...")
            continue
        where = "of this cell" if call.name == "<module>" else f"in {call.name}"
        lines.append(f"line {call.lineno} {where}:  {_statement(call)}")
    return [*lines, "", f"{kind.__name__}: {error}"]


def is_cell(frame: FrameType) -> bool:
    """Whether the frame runs code of a notebook, not of IPython, the course or a library."""
    return frame.f_globals.get("__name__") == "__main__"


def _statement(call: traceback.FrameSummary) -> str:
    """The code of a call on one line, though it may stand on several."""
    first = call.lineno or 1
    rows = [
        linecache.getline(call.filename, n) for n in range(first, (call.end_lineno or first) + 1)
    ]
    text = " ".join(" ".join(rows).split()).replace("( ", "(").replace(", )", ")")
    return text if len(text) <= WIDTH else text[: WIDTH - 4] + " ..."


def shorten_recursion_errors() -> None:
    """Let the notebook show a few lines for a RecursionError, not thousands of them."""
    try:
        from IPython import get_ipython
    except ImportError:  # the machine works without a notebook around it
        return
    shell = get_ipython()
    if shell is None:
        return

    def show(
        shell: Any,
        kind: type[BaseException],
        error: BaseException,
        trace: TracebackType,
        tb_offset: int | None = None,
    ) -> list[str]:
        rendered = render(kind, error, trace)
        rendered.append("These calls call each other without an end, or too deep for Python.")
        shell._showtraceback(kind, error, rendered)  # what IPython itself calls with its own lines
        return rendered

    shell.set_custom_exc((RecursionError,), show)
