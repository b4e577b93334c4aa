"""Hiding the hidden tests in a notebook whose checks ran beside student code.

nbgrader shows the hidden tests in its feedback as they stand, and again in the traceback of a check
that failed. Student code can print them, too, as it runs beside them.

What is left: code that keeps the *values* which a hidden test hands it can print them in a later
cell, and code that encodes the test can print that. Only tests that run elsewhere are safe.
"""

import ast
import builtins
import html
import json
import re
from collections.abc import Iterable
from typing import Any

from nbformat.v4 import new_markdown_cell, new_output
from nbgrader.api import Gradebook
from nbgrader.preprocessors import NbGraderPreprocessor
from nbgrader.utils import is_grade, is_solution

from course.learn.checks import BEGIN_HIDDEN as BEGIN
from course.learn.checks import END_HIDDEN as END
from course.learn.checks import HIDDEN_FAILED, TRY
from grader.results import Status
from grader.syntax import parse

LEAK_LENGTH = 8  # shorter lines of a hidden test give nothing away
REMOVED = "[hidden]"
ANSI, TAGS = re.compile(r"\x1b\[[0-9;]*m"), re.compile(r"<[^>]*>")


class PrepareFeedback(NbGraderPreprocessor):
    """Makes of an autograded notebook what its student may see."""

    def preprocess(self, nb: Any, resources: Any) -> tuple[Any, Any]:
        """Hide the hidden tests, and say above the notebook what grading it brought to light."""
        hide_hidden_tests(nb)
        place = resources["nbgrader"]
        with Gradebook(place["db_url"]) as book:
            submitted = book.find_submission_notebook(
                place["notebook"], place["assignment"], place["student"]
            )
            remarks = [
                f"the answer {grade.name!r} is graded by hand, and has no points yet"
                for grade in submitted.grades
                if grade.auto_score is None and grade.manual_score is None
            ]
        grading = nb.metadata.get("course", {}).get("grading", {})
        remarks = [*grading.get("findings", []), *remarks]
        if remarks:
            items = "\n".join(f"- {html.escape(remark)}" for remark in remarks)
            status = html.escape(grading.get("status", Status.OK))
            nb.cells.insert(0, new_markdown_cell(f"**Grading: {status}**\n\n{items}"))
        return nb, resources


def hide_hidden_tests(notebook: Any) -> None:
    """Take out the hidden tests, and what they caused to be printed, wherever that stands."""
    secrets = hidden_lines(notebook)
    for cell in notebook.cells:
        if is_grade(cell) and not is_solution(cell) and cell.cell_type == "code":
            _clean_check(cell)
        for output in cell.get("outputs", []):
            _scrub_output(output, secrets)


def hidden_lines(notebook: Any) -> list[str]:
    """The lines of hidden tests that would give something away, the longest first."""
    hidden, seen = (
        {line.strip() for cell in notebook.cells for _, line in _numbered(cell.source, hidden=part)}
        for part in (True, False)
    )
    lines = [BEGIN, END, *(line for line in hidden - seen if len(line) >= LEAK_LENGTH)]
    return sorted(lines, key=len, reverse=True)


def scrub(text: str, secrets: Iterable[str]) -> str:
    """The text without the given lines, as they stand or as Python, JSON or HTML would quote them."""
    for line in secrets:
        forms = {line, repr(line)[1:-1], json.dumps(line)[1:-1]}
        for form in sorted(forms | {html.escape(x) for x in forms}, key=len, reverse=True):
            text = text.replace(form, REMOVED)
    return text


def _numbered(source: str, hidden: bool) -> list[tuple[int, str]]:
    """A check's lines that are hidden, or those that are not, with their numbers from 1."""
    inside, lines = False, []
    for number, line in enumerate(source.splitlines(), 1):
        if line.strip() in (BEGIN, END):
            inside = line.strip() == BEGIN
        elif inside == hidden:
            lines.append((number, line))
    return lines


def _clean_check(cell: Any) -> None:
    """Leave of a check what students see of it, and one message if it failed."""
    source = cell.source
    cell.source = "\n".join(line for _, line in _numbered(source, hidden=False)).rstrip()
    has_hidden = cell.source.split() != source.split()
    failed = [output for output in cell.outputs if output.output_type == "error"]
    messages = [_message(output, source, cell.execution_count) for output in failed[-1:]]
    # Printed or drawn while a hidden test ran, anything may show what it tried.
    others = [] if has_hidden else [out for out in cell.outputs if out.output_type != "error"]
    cell.outputs = others + [
        new_output("error", ename="CheckFailed", evalue=message, traceback=[message])
        for message in messages
    ]


def _message(error: Any, source: str, count: int | None) -> str:
    """Why a check failed, as far as its student may know.

    Args:
        error: the check's output.
        source: the check's source, hidden tests and all.
        count: the check's execution count, by which tracebacks call it.
    """
    text = ANSI.sub("", "\n".join(error.traceback))
    # The check's own lines only: an error on the way may have begun in another cell.
    here = re.findall(rf"Cell In\[{count}\], line (\d+)|^line (\d+) of this cell:", text, re.M)
    lines = {int(one or other) for one, other in here}
    seen = {number for number, _ in _numbered(source, hidden=False)}
    if not lines and error.ename in ("CellTimeoutError", "KernelDied", "NotRun"):
        return error.evalue
    if BEGIN not in source or (lines and lines <= seen):
        return error.evalue if error.ename == "CheckFailed" else f"{error.ename}: {error.evalue}"
    if error.ename == "CheckFailed":
        hint = error.evalue.removeprefix(HIDDEN_FAILED).strip()
        return f"{HIDDEN_FAILED} {hint if hint in _texts(source) else TRY}"
    # The error's own words, and the name of a class that student code made, may hold anything.
    name = error.ename if hasattr(builtins, error.ename) else "an error"
    return f"{HIDDEN_FAILED} Your part raised {name} there. {TRY}"


def _texts(source: str) -> set[str]:
    """The strings in a check: its hints are among them."""
    return {
        node.value
        for node in ast.walk(parse(source))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def _scrub_output(output: Any, secrets: list[str]) -> None:
    """Take the hidden lines out of whatever text an output has."""
    if output.output_type == "stream":
        output.text = scrub(output.text, secrets)
    elif output.output_type == "error":
        output.ename, output.evalue = scrub(output.ename, secrets), scrub(output.evalue, secrets)
        output.traceback = [_scrub_marked_up(text, ANSI, secrets) for text in output.traceback]
    else:
        for kind, data in output.data.items():
            if not isinstance(data, str):
                output.data[kind] = json.loads(scrub(json.dumps(data), secrets))
            elif kind not in ("image/png", "image/jpeg"):
                output.data[kind] = _scrub_marked_up(scrub(data, secrets), TAGS, secrets)


def _scrub_marked_up(text: str, marks: re.Pattern[str], secrets: list[str]) -> str:
    """Take the hidden lines out of a text in which colours may cut a line in pieces."""
    plain = marks.sub("", text)
    if marks is TAGS:
        plain = html.unescape(plain)
    scrubbed = scrub(plain, secrets)
    if scrubbed == plain:
        return text
    return html.escape(scrubbed) if marks is TAGS else scrubbed
