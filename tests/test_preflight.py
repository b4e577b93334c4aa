"""Damaged notebooks are repaired or refused, and what was done is said."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell
from nbgrader.utils import compute_checksum
from small_course import SMALL, cell_of, handed_in, release, solved

from grader import preflight
from grader.preflight import Checked, Unreadable, check, lesson_of, read_notebook
from grader.results import Status

RELEASE = release(solved())


def check_text(tmp_path: Path, text: str) -> Checked:
    path = tmp_path / "x.ipynb"
    path.write_text(text, encoding="utf-8")
    return check(read_notebook(path), RELEASE)


def check_changed(tmp_path: Path, change: Callable[[Any], None]) -> Checked:
    return check_text(tmp_path, nbformat.writes(handed_in(change=change)))


def sources(notebook: Any) -> list[str]:
    return [cell.source for cell in notebook.cells]


def graded(notebook: Any) -> dict[str, Any]:
    """The cells that nbgrader knows; each must be there once."""
    found = [cell for cell in notebook.cells if "nbgrader" in cell.metadata]
    cells = {cell.metadata["nbgrader"]["grade_id"]: cell for cell in found}
    assert len(cells) == len(found)
    return cells


def assert_whole(checked: Checked) -> None:
    """All of the lesson is there, in order, as it was handed out but for the answers."""
    nbformat.validate(checked.notebook)
    cells, wanted = graded(checked.notebook), graded(RELEASE)
    assert list(cells) == list(wanted)
    for name, cell in cells.items():
        assert cell.metadata == wanted[name].metadata
        assert cell.cell_type == wanted[name].cell_type
        if not cell.metadata["nbgrader"]["solution"]:
            assert cell.source == wanted[name].source


def test_a_sound_notebook_stays_as_it_is(tmp_path: Path) -> None:
    checked = check_changed(tmp_path, lambda notebook: None)
    assert checked.status == Status.OK
    assert checked.findings == []
    assert sources(checked.notebook) == sources(handed_in())
    assert_whole(checked)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"{", "not JSON"),
        (nbformat.writes(RELEASE)[:900].encode(), "breaks off in line"),
        (b"[" * 100_000, "nested"),
        (b"\xff\xfe\x00", "not a text file"),
        (b"[1, 2]", "not a notebook"),
        (b"null", "not a notebook"),
        (b'{"a": 1}', "not a notebook"),
        (b'{"cells": 3}', "no notebook"),
        (b'{"worksheets": 3}', "old notebook"),
        (json.dumps({"cells": [{}] * 2001}).encode(), "at most 2000 cells"),
    ],
)
def test_what_is_no_notebook_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "x.ipynb"
    path.write_bytes(content)
    with pytest.raises(Unreadable, match=reason):
        read_notebook(path)


def test_a_large_file_is_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "MAX_BYTES", 10)
    with pytest.raises(Unreadable, match="clear the outputs"):
        check_changed(tmp_path, lambda notebook: None)


def test_a_copied_check_counts_once(tmp_path: Path) -> None:
    def copy_it(notebook: Any) -> None:
        twin = nbformat.from_dict(dict(cell_of(notebook, "half-check")))
        twin.id = "twin"
        notebook.cells.insert(1, twin)  # far above its exercise
        notebook.cells.insert(8, nbformat.from_dict(twin | {"id": "another-twin"}))

    checked = check_changed(tmp_path, copy_it)
    assert checked.findings == [
        "the check 'half-check' was there 3 times; one of them counts",
        "code stood above the set-up cell; it runs below it",
    ]
    assert_whole(checked)
    index = checked.notebook.cells.index(graded(checked.notebook)["half-check"])
    assert "nbgrader" in checked.notebook.cells[index - 1].metadata  # the one below its exercise
    assert sources(checked.notebook).count(cell_of(RELEASE, "half-check").source) == 3


def test_a_missing_check_comes_back_below_the_students_cells(tmp_path: Path) -> None:
    def replace(notebook: Any) -> None:
        index = notebook.cells.index(cell_of(notebook, "half-check"))
        notebook.cells[index : index + 1] = [new_code_cell("my = 1"), new_code_cell("own = 2")]

    checked = check_changed(tmp_path, replace)
    assert checked.findings == ["the check 'half-check' was missing; it was put back"]
    assert_whole(checked)
    index = checked.notebook.cells.index(graded(checked.notebook)["half-check"])
    assert sources(checked.notebook)[index - 2 : index] == ["my = 1", "own = 2"]


def test_an_exercise_in_a_cell_of_the_students_own(tmp_path: Path) -> None:
    """The stub that is put back stands above it, so that the student's answer holds."""
    own = "def double(x): return x + x"

    def replace(notebook: Any) -> None:
        notebook.cells[2] = new_code_cell(own)

    checked = check_changed(tmp_path, replace)
    assert checked.findings == ["the exercise 'double' was missing; it was put back"]
    assert_whole(checked)
    assert sources(checked.notebook)[2:4] == [cell_of(RELEASE, "double").source, own]


def test_everything_missing(tmp_path: Path) -> None:
    checked = check_text(tmp_path, '{"cells": []}')
    assert len(checked.findings) == len(graded(RELEASE))
    assert_whole(checked)


@pytest.mark.parametrize("name", ["setup", "double-check", "both-check"])
def test_edited_locked_cells_are_restored(tmp_path: Path, name: str) -> None:
    def edit(notebook: Any) -> None:
        cell_of(notebook, name).source = "assert True"

    checked = check_changed(tmp_path, edit)
    (finding,) = checked.findings
    assert f"{name!r} had been edited; it was put back" in finding
    assert_whole(checked)


def test_a_cell_of_another_version_is_not_called_edited(tmp_path: Path) -> None:
    def age(notebook: Any) -> None:
        cell = cell_of(notebook, "half-check")
        cell.source = "an earlier version"
        cell.metadata["nbgrader"]["checksum"] = compute_checksum(cell)

    (finding,) = check_changed(tmp_path, age).findings
    assert "from another version" in finding


def test_blanks_at_the_end_of_lines_are_no_edit(tmp_path: Path) -> None:
    def strip(notebook: Any) -> None:
        cell_of(notebook, "half-check").source += "  \n"

    checked = check_changed(tmp_path, strip)
    assert checked.findings == []
    assert_whole(checked)


@pytest.mark.parametrize(
    "change",
    [
        {"points": 1000},
        {"points": "many"},
        {"points": None},
        {"solution": True, "locked": False},
        {"grade": False},
        {"schema_version": "x", "task": True},
    ],
)
def test_changed_points_and_flags_are_restored(tmp_path: Path, change: dict[str, Any]) -> None:
    checked = check_changed(
        tmp_path, lambda nb: cell_of(nb, "half-check").metadata["nbgrader"].update(change)
    )
    (finding,) = checked.findings
    assert "'half-check' had other points or flags; they were put back" in finding
    assert_whole(checked)


def test_a_changed_cell_type_is_changed_back(tmp_path: Path) -> None:
    raw = json.loads(nbformat.writes(handed_in()))
    for cell in raw["cells"]:
        if cell["id"] == "half":
            cell["cell_type"] = "markdown"
        if cell["id"] == "why":
            cell["cell_type"] = "code"
    checked = check_text(tmp_path, json.dumps(raw))
    assert [finding.split(" had ")[0] for finding in checked.findings] == [
        "the exercise 'half'",
        "the answer 'why'",
    ]
    assert_whole(checked)
    assert "return x / 2" in graded(checked.notebook)["half"].source
    assert graded(checked.notebook)["why"].source == "Because I say so."


def test_tags_that_would_skip_a_check_are_gone(tmp_path: Path) -> None:
    def tag(notebook: Any) -> None:
        for cell in notebook.cells:
            cell.metadata["tags"] = ["skip-execution", "raises-exception"]

    assert_whole(check_changed(tmp_path, tag))
    checked = check_changed(tmp_path, tag)
    assert not any("tags" in cell.metadata for cell in checked.notebook.cells)


def test_cells_of_another_lesson_count_for_nothing(tmp_path: Path) -> None:
    def rename(notebook: Any) -> None:
        stranger = nbformat.from_dict(dict(cell_of(notebook, "half-check")))
        stranger.id = "stranger"
        stranger.metadata["nbgrader"]["grade_id"] = "stranger"
        notebook.cells.append(stranger)

    checked = check_changed(tmp_path, rename)
    assert checked.findings == ["the cell 'stranger' is not of this lesson; it counts for nothing"]
    assert_whole(checked)


def test_old_notebooks_are_brought_up_to_date(tmp_path: Path) -> None:
    old = {
        "nbformat": 3,
        "nbformat_minor": 0,
        "metadata": {},
        "worksheets": [
            {"cells": [{"cell_type": "code", "input": "def half(x): return x / 2", "outputs": []}]}
        ],
    }
    checked = check_text(tmp_path, json.dumps(old))
    assert "old format" in checked.findings[0]
    assert "def half(x): return x / 2" in sources(checked.notebook)
    assert_whole(checked)


def test_notebooks_without_cell_ids(tmp_path: Path) -> None:
    raw = json.loads(nbformat.writes(handed_in()))
    for cell in raw["cells"]:
        del cell["id"]
    raw["nbformat_minor"] = 0
    checked = check_text(tmp_path, json.dumps(raw))
    assert checked.findings == []
    assert_whole(checked)


ODD_CELLS = [
    3,
    None,
    {},
    {"cell_type": ["code"], "source": ""},
    {"cell_type": "heading", "source": "x"},
    {"cell_type": "code", "source": {"a": 1}},
    {"cell_type": "code", "source": ["a", 3]},
]


@pytest.mark.parametrize("odd", ODD_CELLS)
def test_what_is_no_cell_is_left_out(tmp_path: Path, odd: Any) -> None:
    raw = json.loads(nbformat.writes(handed_in()))
    raw["cells"].insert(2, odd)
    checked = check_text(tmp_path, json.dumps(raw))
    assert checked.findings == ["something that is no cell was left out"]
    assert_whole(checked)


@pytest.mark.parametrize(
    "metadata", [3, None, {"nbgrader": 3}, {"nbgrader": {"grade_id": [1]}}, {"nbgrader": {}}]
)
def test_odd_metadata(tmp_path: Path, metadata: Any) -> None:
    raw = json.loads(nbformat.writes(handed_in()))
    cell = {"cell_type": "code", "source": "x", "metadata": metadata, "outputs": "?", "id": "\x00"}
    raw["cells"].append(cell)
    raw["metadata"] = metadata
    checked = check_text(tmp_path, json.dumps(raw))
    assert checked.findings == []
    assert_whole(checked)


def test_half_characters_can_be_saved(tmp_path: Path) -> None:
    text = nbformat.writes(handed_in()).replace("Because I say so.", "\\ud800 because")
    nbformat.write(check_text(tmp_path, text).notebook, tmp_path / "y.ipynb")
    assert "? because" in (tmp_path / "y.ipynb").read_text()


def test_pictures_pasted_into_an_answer_stay(tmp_path: Path) -> None:
    picture = {"p.png": {"image/png": "iVBO"}}

    def paste(notebook: Any) -> None:
        cell_of(notebook, "why")["attachments"] = picture

    checked = check_changed(tmp_path, paste)
    assert graded(checked.notebook)["why"]["attachments"] == picture
    raw = json.loads(nbformat.writes(handed_in()))
    raw["cells"][-1]["attachments"] = {"p.png": 3}
    assert_whole(check_text(tmp_path, json.dumps(raw)))


def test_which_lesson() -> None:
    other = solved("1_unit/2_other")
    releases = {SMALL: RELEASE, "1_unit/2_other": other}
    assert lesson_of(dict(handed_in()), releases) == SMALL
    nameless = handed_in()
    nameless.metadata = {"course": {"lesson": ["?"]}}
    assert lesson_of(dict(nameless), releases) == SMALL
    nameless.cells = nameless.cells[:2]  # the set-up is in both
    assert lesson_of(dict(nameless), releases) is None


def test_code_above_the_set_up_cell_does_not_get_the_whole_machine(tmp_path: Path) -> None:
    def look_first(notebook: Any) -> None:
        notebook.cells.insert(1, new_code_cell("from course.start import lerp"))

    checked = check_changed(tmp_path, look_first)
    assert checked.findings == ["code stood above the set-up cell; it runs below it"]
    code = [cell.source for cell in checked.notebook.cells if cell.cell_type == "code"]
    assert code[1] == "from course.start import lerp"
    assert_whole(checked)
