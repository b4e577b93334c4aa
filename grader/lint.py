"""What a lesson may not contain: each finding is an error with file and line."""

from __future__ import annotations

import ast
import builtins
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from course.learn.checks import BEGIN_HIDDEN, END_HIDDEN
from grader.check_rules import lint_checks
from grader.errors import LessonTextError
from grader.lift import BEGIN, END
from grader.syntax import parse

if TYPE_CHECKING:
    from grader.build import Built

MARKERS = (BEGIN, END, BEGIN_HIDDEN, END_HIDDEN)
LEAK_LENGTH = 24  # shorter lines of a solution may well stand elsewhere by chance


def lint_syntax(built: Built) -> None:
    """Refuse code that is not Python; magics are not, and cannot be checked.

    Raises:
        LessonTextError: for the first finding.
    """
    for cell in built.text.cells:
        if cell.kind in ("plain", "check"):
            try:
                parse(cell.source)
            except SyntaxError as error:
                at = (error.lineno or 1) - 1
                row = (cell.source.splitlines() or [""])[min(at, cell.source.count("\n"))].strip()
                what = "magics are refused" if row[:1] in ("%", "!") else f"{error.msg}, in {row!r}"
                raise built.text.error(cell.first_row + at, f"not Python: {what}") from None


def lint_markers(built: Built) -> None:
    """Refuse markers where nbgrader does not expect them, or that do not come in pairs.

    Raises:
        LessonTextError: for the first finding.
    """
    allowed = {"answer": MARKERS[:2], "check": MARKERS[2:]}
    for cell in built.text.cells:
        begin, end = allowed.get(cell.kind, ("", ""))
        inside = False
        for row in cell.source.splitlines():
            marker = next((m for m in MARKERS if m in row), None)
            if marker is None:
                continue
            if marker not in (begin, end) or row.strip() != marker or inside == (marker == begin):
                raise built.text.error(cell, f"{row.strip()!r} is out of place here")
            inside = not inside
        after = cell.source.rpartition(end)[2].strip() if cell.kind == "answer" else ""
        if after:
            raise built.text.error(
                cell, f"text follows {end!r}: a line +++ above {after.splitlines()[0]!r} ends it"
            )
        if inside:
            raise built.text.error(cell, f"{begin!r} has no {end!r}")


def lint(built: Built) -> None:
    """Refuse a lesson that would mislead a student or a grader.

    Raises:
        LessonTextError: for the first finding.
    """
    _check_structure(built)
    _check_cells(built)
    lint_checks(built)
    _check_names(built)
    _check_leaks(built)


def _check_structure(built: Built) -> None:
    text = built.text
    if "setup" not in [cell.id for cell in built.solved.cells]:
        raise text.error(1, f'no code cell sets up the lesson: lesson("{text.name}")')
    checked = {exercise for exercises in built.checks.values() for exercise in exercises}
    for exercise in built.exercises:
        if exercise.id not in checked:
            raise text.error(exercise.cell, f"no check is of the exercise {exercise.paths[0]}")
    level = 0
    for cell, line in zip(built.solved.cells, built.lines):
        if cell.cell_type == "markdown":
            for heading in _headings(cell.source):
                if heading > level + 1:
                    raise text.error(line, f"a heading of level {heading} follows level {level}")
                level = heading


def _headings(source: str) -> list[int]:
    fenced, levels = False, []
    for row in source.splitlines():
        if row.startswith("```"):
            fenced = not fenced
        elif row.startswith("#") and row not in MARKERS and not fenced:
            marks = len(row) - len(row.lstrip("#"))
            if row[marks : marks + 1] == " ":
                levels.append(marks)
    return levels


def _check_cells(built: Built) -> None:
    """A check fails by a helper's message, scores all or nothing, and needs no demo cell."""
    known = set(dir(builtins))
    for cell, line in zip(built.solved.cells, built.lines):
        if cell.cell_type != "code":
            continue
        tree = parse(cell.source)
        if cell.metadata.get("nbgrader", {}).get("grade"):
            _check_check(built, cell, tree, line, known)
        elif "nbgrader" in cell.metadata:  # set-up, given and exercise cells: checks may use them
            known |= _bound(tree)


def _check_check(built: Built, cell: Any, tree: ast.Module, line: int, known: set[str]) -> None:
    text, name = built.text, cell.metadata["nbgrader"]["grade_id"]
    for node in ast.walk(tree):
        if isinstance(node, ast.Assert):
            raise text.error(
                line, f"check {name!r}: use assert_close(...) and its like, not assert"
            )
    calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call)]
    if not any(getattr(call.func, "id", "").startswith("assert_") for call in calls):
        raise text.error(line, f"check {name!r} asserts nothing")
    last = tree.body[-1]
    if isinstance(last, ast.Expr) and not (
        isinstance(last.value, ast.Call)
        and getattr(last.value.func, "id", "").startswith("assert_")
    ):
        raise text.error(line, f"check {name!r} ends in a value, which nbgrader takes for a score")
    used = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
    unknown = sorted(used - known - _bound(tree))
    if unknown:
        raise text.error(
            line,
            f"check {name!r} uses {', '.join(unknown)}, which neither it nor the set-up cell nor an "
            "exercise above defines",
        )


def _bound(tree: ast.Module) -> set[str]:
    """All names that a cell binds, at any depth: enough to tell what is known after it."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, ast.arg):
            names.add(node.arg)
        elif isinstance(node, ast.alias):
            names.add((node.asname or node.name).split(".")[0])
        elif isinstance(node, ast.ExceptHandler) and node.name:
            names.add(node.name)
    return names


def _check_names(built: Built) -> None:
    """No name is used before it is imported or defined, and none imported for nothing."""
    _ask_ruff(built, built.solved, "F821,F823")
    _ask_ruff(built, built.student, "F401")


def _ask_ruff(built: Built, notebook: Any, rules: str) -> None:
    rows: list[str] = []
    lines: list[int] = []  # for each row: where its cell stands in the text
    lifted: dict[int, str] = {}  # line in the text -> the exercise whose code stands there
    for cell, line in zip(notebook.cells, built.lines):
        if cell.metadata.get("nbgrader", {}).get("solution"):
            lifted[line] = cell.id
        if cell.cell_type == "code":
            rows += cell.source.splitlines()
            lines += [line] * len(cell.source.splitlines())
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--quiet", "--no-cache"]
    command += [f"--select={rules}", "--output-format=json", "--stdin-filename=lesson.py", "-"]
    done = subprocess.run(
        command, input="\n".join(rows), capture_output=True, text=True, encoding="utf-8"
    )
    try:
        findings = json.loads(done.stdout)
    except ValueError:
        raise LessonTextError(built.text.file, 1, f"ruff failed: {done.stderr.strip()}") from None
    for finding in findings:
        at = finding["location"]["row"] - 1
        where = f"in the code of {lifted[lines[at]]}" if lines[at] in lifted else "in"
        what = "import or define it in a cell above, the set-up cell for instance"
        if finding["code"] == "F401":
            what = "students would wonder; leave it out, or use it where they see it"
        message = f"{finding['message']}, {where} {rows[at].strip()!r}: {what}"
        raise LessonTextError(built.text.file, lines[at], message)


def _check_leaks(built: Built) -> None:
    """No line of a solution stands in the student's notebook, and no marker of the builder."""
    secret: dict[str, str] = {}  # line -> the exercise it belongs to
    for cell in built.solved.cells:
        inside = False
        for row in cell.source.splitlines():
            if row.strip() in (BEGIN, END):
                inside = row.strip() == BEGIN
            elif inside and len(row.strip()) >= LEAK_LENGTH:
                secret[row.strip()] = cell.id
    for cell, line in zip(built.student.cells, built.lines):
        for row in cell.source.splitlines():
            if any(marker in row for marker in MARKERS):
                raise built.text.error(line, f"the student's notebook would show {row.strip()!r}")
            exercise = next((secret[x] for x in secret if x in row), "")
            if exercise:
                raise built.text.error(
                    line,
                    f"the student's notebook would show {row.strip()!r}, which solves {exercise}",
                )
