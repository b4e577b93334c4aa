"""Errors that can be read: the student's own lines and the message, without our machinery.

IPython asks an exception for `_render_traceback_`; elsewhere these are ordinary exceptions.
"""

import linecache
import traceback
from pathlib import Path
from types import TracebackType
from typing import Any

MACHINERY = str(Path(__file__).parent)
SHOWN = 3  # frames at each end of a long traceback


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
    calls = [
        (frame.f_code.co_filename, number, frame.f_code.co_name)
        for frame, number in traceback.walk_tb(trace)
        if not frame.f_code.co_filename.startswith(MACHINERY) and _is_students(frame)
    ]
    lines = []
    for i, (filename, number, name) in enumerate(calls):
        if SHOWN <= i < len(calls) - SHOWN:
            if i == SHOWN:
                lines.append(f"... {len(calls) - 2 * SHOWN:,} more calls ...")
            continue
        source = linecache.getline(filename, number).strip()
        where = "of this cell" if name == "<module>" else f"in {name}"
        lines.append(f"line {number} {where}:  {source}")
    return [*lines, "", f"{kind.__name__}: {error}"]


def _is_students(frame: Any) -> bool:
    """Whether the frame runs code of a notebook, not of IPython or a library."""
    return bool(frame.f_globals.get("__name__") == "__main__")


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
