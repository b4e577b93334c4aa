"""Reading submissions before anything in them runs: what is damaged is repaired, or refused.

A notebook travels through many hands before it is graded. Cells are copied together with their
ids, checks are deleted or edited, files break off. nbgrader stops at some of that and silently
gives no mark for more. Here each notebook is built anew from the cells that the student may write
and the cells of the released notebook, and every difference is put into words.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_raw_cell
from nbgrader.utils import compute_checksum, is_grade, is_locked, is_solution

from grader.results import Status

MAX_BYTES = 20 * 2**20
MAX_CELLS = 2000
EXERCISE = re.compile(r"^@exercise\([^)\n]*\)", re.MULTILINE)
FLAGS = ("grade", "solution", "locked", "task", "points")
MAKE = {"code": new_code_cell, "markdown": new_markdown_cell, "raw": new_raw_cell}


class Unreadable(Exception):
    """The file is not a notebook that can be graded; the message says why."""


@dataclass
class Checked:
    """A submission that is fit to run.

    Attributes:
        notebook: built anew, valid, with each of the lesson's graded and locked cells once.
        findings: what was repaired, in words.
        tampered: whether something of it is nothing that happens by accident.
    """

    notebook: Any
    findings: list[str] = field(default_factory=list)
    tampered: bool = False

    @property
    def status(self) -> Status:
        """TAMPERED, REPAIRED if there is another finding, or OK."""
        if self.tampered:
            return Status.TAMPERED
        return Status.REPAIRED if self.findings else Status.OK


def read_notebook(path: Path) -> dict[str, Any]:
    """The notebook's JSON, as nbformat 4 has it; what is in it may still be anything.

    Raises:
        Unreadable: if it is not a notebook.
    """
    with path.open("rb") as file:
        return parse_notebook(file.read(MAX_BYTES + 1), path.stat().st_size)


def parse_notebook(content: bytes, size: int | None = None) -> dict[str, Any]:
    """The JSON of a notebook file with this content; see `read_notebook`.

    Args:
        content: of the file, or its beginning.
        size: of the file.

    Raises:
        Unreadable: if it is not a notebook.
    """
    size = len(content) if size is None else size
    if size == 0:
        raise Unreadable("the file is empty")
    if size > MAX_BYTES:
        raise Unreadable(
            f"the file has {size / 2**20:.0f} MB, and {MAX_BYTES // 2**20} are allowed: "
            "clear the outputs and hand it in again"
        )
    try:
        raw = json.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise Unreadable("the file is not a text file") from None
    except RecursionError:
        raise Unreadable("the file is nested too deep to be a notebook") from None
    except ValueError as error:
        line = f" in line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise Unreadable(f"the file is not JSON; it is wrong or breaks off{line}") from None
    if not isinstance(raw, dict) or not {"cells", "worksheets"} & set(raw):
        raise Unreadable("the file is JSON, but not a notebook")
    if "cells" not in raw:
        try:
            raw = nbformat.convert(nbformat.from_dict(raw), 4)
        except Exception as error:  # nbformat passes on whatever it stumbles over
            raise Unreadable(f"the file is an old notebook that is damaged: {error!r}") from None
        raw["upgraded"] = True
    if not isinstance(raw["cells"], list) or len(raw["cells"]) > MAX_CELLS:
        raise Unreadable(f"the file is no notebook with at most {MAX_CELLS} cells")
    return raw


def lesson_of(raw: dict[str, Any], releases: dict[str, Any]) -> str | None:
    """Which lesson a notebook is of: it says so, or it shares most cells with that lesson.

    Args:
        raw: what `read_notebook` gave.
        releases: the released notebooks, by lesson.
    """
    metadata = raw.get("metadata")
    course = metadata.get("course") if isinstance(metadata, dict) else None
    said = course.get("lesson") if isinstance(course, dict) else None
    if isinstance(said, str) and said in releases:
        return said
    own = {_grade_id(cell) for cell in raw["cells"]} - {""}
    shared = {name: len(own & set(_known(release))) for name, release in releases.items()}
    most = max(shared.values(), default=0)
    best = [name for name, count in shared.items() if count == most]
    return best[0] if most and len(best) == 1 else None


def check(raw: dict[str, Any], release: Any) -> Checked:
    """Make a submission fit to run.

    Args:
        raw: what `read_notebook` gave.
        release: the lesson's notebook as students get it.
    """
    found: list[str] = []
    if raw.get("upgraded"):
        found.append("the notebook has an old format; it was brought up to date")
    cells = list(_copies(raw["cells"], found))
    _recognise(cells, release, found)
    _settle_ids(cells, release, found)
    known = _known(release)
    tampered = any(_tampered(cell, known[_grade_id(cell)]) for cell in cells if _grade_id(cell))
    cells = [
        _restored(cell, known[_grade_id(cell)], found) if _grade_id(cell) else cell
        for cell in cells
    ]
    _put_back(cells, release, found)
    _set_up_first(cells, found)
    metadata = nbformat.from_dict(dict(release.metadata))
    notebook = new_notebook(cells=cells, metadata=metadata)
    nbformat.validate(notebook)
    return Checked(notebook, list(dict.fromkeys(found)), tampered)


def _grade_id(cell: Any) -> str:
    """The id that nbgrader knows a cell by; empty if it has none."""
    metadata = cell.get("metadata") if isinstance(cell, dict) else None
    nbgrader = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    identity = nbgrader.get("grade_id") if isinstance(nbgrader, dict) else None
    return identity if isinstance(identity, str) else ""


def _known(release: Any) -> dict[str, Any]:
    """The released notebook's cells that nbgrader knows, by id, in order."""
    return {_grade_id(cell): cell for cell in release.cells if _grade_id(cell)}


def _copies(cells: list[Any], found: list[str]) -> Iterator[Any]:
    """New cells with the sources of the old ones; of the metadata, only what nbgrader put there.

    A student's tags are left out on purpose: "skip-execution" on a check would make it pass.
    """
    taken = set()
    for cell in cells:
        kind: Any = cell.get("cell_type") if isinstance(cell, dict) else None
        source = cell.get("source") if isinstance(kind, str) and kind in MAKE else None
        if isinstance(source, list) and all(isinstance(line, str) for line in source):
            source = "".join(source)
        if not isinstance(source, str):
            found.append("something that is no cell was left out")
            continue
        source = source.encode("utf-8", "replace").decode()  # half characters cannot be saved
        copy = MAKE[kind](source)
        identity = cell.get("id")
        if isinstance(identity, str) and re.fullmatch(r"[\w-]{1,64}", identity, re.ASCII):
            copy.id = copy.id if identity in taken else identity
            taken.add(identity)
        if _grade_id(cell):
            copy.metadata["nbgrader"] = nbformat.from_dict(cell["metadata"]["nbgrader"])
        if kind != "code" and _are_attachments(cell.get("attachments")):
            copy["attachments"] = nbformat.from_dict(cell["attachments"])
        yield copy


def _are_attachments(pictures: Any) -> bool:
    """Whether these are pictures pasted into text: name -> type -> data."""
    return isinstance(pictures, dict) and all(
        isinstance(kinds, dict) and all(isinstance(data, str) for data in kinds.values())
        for kinds in pictures.values()
    )


def _recognise(cells: list[Any], release: Any, found: list[str]) -> None:
    """Give back their nbgrader metadata to cells that a tool has taken them from.

    A cell is known by its id, an exercise by its `@exercise` lines, a locked cell by its source.
    """
    known = _known(release)
    missing = {name: x for name, x in known.items() if name not in set(map(_grade_id, cells))}
    count = 0
    for cell in cells:
        if _grade_id(cell) or not missing:
            continue
        name = next((name for name, x in missing.items() if _is_same(cell, x)), None)
        if name is not None:
            cell.metadata["nbgrader"] = nbformat.from_dict(
                dict(missing.pop(name).metadata["nbgrader"])
            )
            count += 1
    if count:
        cells_had = "1 cell had" if count == 1 else f"{count} cells had"
        found.append(f"{cells_had} lost the metadata; what is in them told which they are")


def _is_same(cell: Any, original: Any) -> bool:
    if cell.cell_type != original.cell_type:
        return False
    if is_locked(original):
        return cell.source.split() == original.source.split()
    if EXERCISE.search(original.source):
        return EXERCISE.findall(cell.source) == EXERCISE.findall(original.source)
    return cell.id == original.id


def _settle_ids(cells: list[Any], release: Any, found: list[str]) -> None:
    """Leave each id of the lesson on one cell only, and no other ids."""
    order = list(_known(release))
    before = dict(zip(order, ["", *order]))  # id -> the id that stands above it
    places: dict[str, list[int]] = {}
    placed_well: dict[str, int] = {}
    above = ""
    for index, cell in enumerate(cells):
        identity = _grade_id(cell)
        if identity and identity not in before:
            found.append(f"the cell {identity!r} is not of this lesson; it counts for nothing")
            del cell.metadata["nbgrader"]
        elif identity:
            last_of_others = above if above != identity else before[identity]
            if last_of_others == before[identity]:
                placed_well.setdefault(identity, index)
            places.setdefault(identity, []).append(index)
            above = identity
    for identity, indices in places.items():
        keep = placed_well.get(identity, indices[-1])
        if len(indices) > 1:
            what = _what(_known(release)[identity])
            found.append(f"{what} was there {len(indices)} times; one of them counts")
        for index in indices:
            if index != keep:
                del cells[index].metadata["nbgrader"]


def _restored(cell: Any, original: Any, found: list[str]) -> Any:
    """The cell with the released cell's metadata and type; its source too, if it is locked."""
    what, nbgrader = _what(original), cell.metadata["nbgrader"]
    if cell.cell_type != original.cell_type:
        found.append(f"{what} had become a {cell.cell_type} cell; it was changed back")
    else:
        wanted = original.metadata["nbgrader"]
        if any(nbgrader.get(flag) != wanted.get(flag) for flag in FLAGS):
            found.append(f"{what} had other points or flags; they were put back")
    source = cell.source
    if is_locked(original):
        source = original.source
        if cell.source.split() != source.split():
            found.append(f"{what} {_how_changed(cell)}; it was put back")
    new = MAKE[original.cell_type](source, id=cell.id)
    new.metadata = nbformat.from_dict(dict(original.metadata))
    if original.cell_type != "code" and "attachments" in cell:
        new["attachments"] = cell["attachments"]
    return new


def _tampered(cell: Any, original: Any) -> bool:
    """Whether points or flags were changed, or assertions taken out of a check.

    A check with a print in it, or reformatted, is edited and no more.
    """
    if _handed_out(cell):
        return False
    nbgrader, wanted = cell.metadata["nbgrader"], original.metadata["nbgrader"]
    if cell.cell_type == original.cell_type and any(
        nbgrader.get(flag) != wanted.get(flag) for flag in FLAGS
    ):
        return True
    is_check = is_grade(original) and is_locked(original)
    return is_check and any(
        cell.source.count(word) < original.source.count(word) for word in ("assert", "assert_")
    )


def _handed_out(cell: Any) -> bool:
    """Whether a cell is as some version of the notebook had it: its checksum says so."""
    try:
        return cell.metadata["nbgrader"].get("checksum") == compute_checksum(cell)
    except (TypeError, ValueError, KeyError):  # the points, for instance, are no number
        return False


def _how_changed(cell: Any) -> str:
    """Whether the student edited a locked cell, or the notebook was handed out as it is."""
    if _handed_out(cell):
        return "is from another version of the notebook"
    return "had been edited"


def _set_up_first(cells: list[Any], found: list[str]) -> None:
    """Move the set-up cell above all other code: what runs before it has the whole machine."""
    code = [index for index, cell in enumerate(cells) if cell.cell_type == "code"]
    setup = [index for index in code if _grade_id(cells[index]) == "setup"]
    if setup and setup[0] != code[0]:
        cells.insert(code[0], cells.pop(setup[0]))
        found.append("code stood above the set-up cell; it runs below it")


def _put_back(cells: list[Any], release: Any, found: list[str]) -> None:
    """Put in what is missing, below what stands above it in the released notebook.

    A check goes below the student's own cells there too, as they may hold the answer.
    """
    released = {cell.id for cell in release.cells}
    at = 0
    for identity, original in _known(release).items():
        here = [index for index, cell in enumerate(cells) if _grade_id(cell) == identity]
        if not here:
            while (
                not is_solution(original)
                and at < len(cells)
                and not _grade_id(cells[at])
                and cells[at].id not in released
            ):
                at += 1
            taken = {cell.id for cell in cells}
            new = nbformat.from_dict(dict(original))
            if new.id in taken:
                new.id = new_code_cell().id
            cells.insert(at, new)
            found.append(f"{_what(original)} was missing; it was put back")
            here = [at]
        at = here[0] + 1


def _what(original: Any) -> str:
    """What to call one of the lesson's cells."""
    if is_grade(original):
        kind = "answer" if is_solution(original) else "check"
    else:
        kind = "exercise" if is_solution(original) else "locked cell"
    return f"the {kind} {_grade_id(original)!r}"
