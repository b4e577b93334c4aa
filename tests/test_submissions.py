"""Whose notebook of which lesson a file is, in folders and zip files as teachers have them."""

import os
import zipfile
from pathlib import Path
from typing import Any

import nbformat
import pytest
from small_course import OTHER, SMALL, handed_in, release, solved

from grader import preflight, submissions
from grader.errors import GraderError
from grader.submissions import Batch, opened, safe_name

RELEASES: dict[str, Any] = {name: release(solved(name)) for name in (SMALL, OTHER)}
SMALL_TEXT, OTHER_TEXT = (nbformat.writes(handed_in(name)) for name in (SMALL, OTHER))


def write(folder: Path, files: dict[str, str]) -> Path:
    for number, (name, content) in enumerate(files.items()):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        os.utime(path, (number, number))  # each newer than the one before
    return folder


def pack(path: Path, files: dict[str, str]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def find(path: Path) -> Batch:
    with opened(path, RELEASES) as batch:
        return batch


def pairs(batch: Batch) -> list[tuple[str, str]]:
    return [(x.student, x.file.lesson) for x in batch.submissions]


BOTH = [("ada", SMALL), ("ada", OTHER), ("bob", SMALL)]

LAYOUTS = {
    "nbgrader": (
        "ada/1_unit/1_small.ipynb",
        "ada/1_unit/2_other.ipynb",
        "bob/1_unit/1_small.ipynb",
    ),
    "folders": ("ada/1_small.ipynb", "ada/2_other.ipynb", "bob/1_small.ipynb"),
    "wrapped": ("hw/ada/1_small.ipynb", "hw/ada/2_other.ipynb", "hw/bob/1_small.ipynb"),
    "underscores": ("ada_1_small.ipynb", "ada_2_other.ipynb", "bob_1_small.ipynb"),
    "dashes": ("ada-1_small.ipynb", "ada-2_other.ipynb", "bob-1_small.ipynb"),
    "in one folder": ("hw/ada_1_small.ipynb", "hw/ada-2_other.ipynb", "hw/bob.ipynb"),
    "moodle": (
        "ada_11_assignsubmission_file_/1_small.ipynb",
        "ada_11_assignsubmission_file_/my second try.ipynb",
        "bob_12_assignsubmission_file_/1_small.ipynb",
    ),
    "renamed": ("ada/homework.ipynb", "ada/more homework.ipynb", "bob/homework.ipynb"),
}


@pytest.mark.parametrize("kind", ["folder", "zip"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(tmp_path: Path, layout: str, kind: str) -> None:
    files = dict(zip(LAYOUTS[layout], (SMALL_TEXT, OTHER_TEXT, SMALL_TEXT)))
    path = write(tmp_path / "x", files) if kind == "folder" else pack(tmp_path / "x.zip", files)
    batch = find(path)
    assert pairs(batch) == BOTH
    assert all(note.startswith("students as guessed: ") for note in batch.notes)
    assert bool(batch.notes) == (layout in ("in one folder", "renamed"))
    assert not any(x.file.problem or x.findings for x in batch.submissions)


def test_files_named_after_students(tmp_path: Path) -> None:
    files = {"Zoë + Co.ipynb": SMALL_TEXT, "bob.ipynb": SMALL_TEXT}
    batch = find(write(tmp_path, files))
    assert pairs(batch) == [("Zoë + Co", SMALL), ("bob", SMALL)]


def test_one_notebook_and_one_student(tmp_path: Path) -> None:
    write(tmp_path, {"ada/1_unit/1_small.ipynb": SMALL_TEXT})
    assert pairs(find(tmp_path / "ada")) == [("ada", SMALL)]
    assert pairs(find(tmp_path / "ada/1_unit/1_small.ipynb")) == [("ada", SMALL)]
    assert pairs(find(pack(tmp_path / "carl.zip", {"1_small.ipynb": SMALL_TEXT}))) == [
        ("carl", SMALL)
    ]


def test_content_decides_before_the_name(tmp_path: Path) -> None:
    old = handed_in(OTHER)
    del old.metadata["course"]  # so that only the cells' ids tell
    files = {"ada_1_small.ipynb": OTHER_TEXT, "bob_1_small.ipynb": nbformat.writes(old)}
    assert pairs(find(write(tmp_path, files))) == [("ada", OTHER), ("bob", OTHER)]


def test_the_name_decides_where_the_content_cannot(tmp_path: Path) -> None:
    files = {"ada-2_other.ipynb": "", "bob.ipynb": SMALL_TEXT, "carl.ipynb": OTHER_TEXT}
    batch = find(write(tmp_path, {**files, "dora.ipynb": "{"}))
    assert pairs(batch)[0] == ("ada", OTHER)
    assert pairs(batch)[3] == ("dora", "")  # it could be of either lesson


def test_an_unreadable_file_among_one_lesson_is_of_that_lesson(tmp_path: Path) -> None:
    batch = find(write(tmp_path, {"ada.ipynb": "", "bob.ipynb": OTHER_TEXT}))
    assert pairs(batch) == [("ada", OTHER), ("bob", OTHER)]
    assert batch.submissions[0].file.problem == "the file is empty"


def test_a_notebook_of_no_lesson_is_told(tmp_path: Path) -> None:
    stranger = nbformat.writes(nbformat.v4.new_notebook())
    batch = find(
        write(tmp_path, {"ada.ipynb": stranger, "bob.ipynb": SMALL_TEXT, "c.ipynb": OTHER_TEXT})
    )
    assert "no lesson of this course" in batch.submissions[0].file.problem


def test_the_newest_of_two_files_counts_and_it_is_said(tmp_path: Path) -> None:
    files = {"ada/1_small (1).ipynb": SMALL_TEXT, "ada/1_small.ipynb": SMALL_TEXT}
    (one,) = find(write(tmp_path, files)).submissions
    assert one.file.name.name == "1_small.ipynb"
    assert "1_small.ipynb, the newest, counts" in one.findings[0]


def test_clutter_is_ignored_and_other_files_are_told(tmp_path: Path) -> None:
    files = {
        "__MACOSX/._ada.ipynb": "x",
        ".DS_Store": "x",
        "ada/.ipynb_checkpoints/1_small-checkpoint.ipynb": SMALL_TEXT,
        "ada/1_small.ipynb": SMALL_TEXT,
        "ada/report.pdf": "x",
    }
    for path in (write(tmp_path / "folder", files), pack(tmp_path / "x.zip", files)):
        batch = find(path)
        assert pairs(batch) == [("ada", SMALL)]
        assert batch.notes == ["left out, as no notebooks (1): ada/report.pdf"]


def test_names_that_lead_out_of_a_zip_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    evil = {name: SMALL_TEXT for name in ("../evil.ipynb", "/evil.ipynb", "..\\evil.ipynb")}
    batch = find(pack(tmp_path / "in/x.zip", {**evil, "ada.ipynb": SMALL_TEXT}))
    assert pairs(batch) == [("ada", SMALL)]
    assert len(batch.notes) == 3
    assert not list(tmp_path.rglob("evil.ipynb"))


def test_links_are_not_followed(tmp_path: Path) -> None:
    secret = write(tmp_path / "elsewhere", {"secret.ipynb": SMALL_TEXT})
    folder = write(tmp_path / "in", {"ada.ipynb": SMALL_TEXT})
    (folder / "bob.ipynb").symlink_to(secret / "secret.ipynb")
    (folder / "carl").symlink_to(secret)
    batch = find(folder)
    assert pairs(batch) == [("ada", SMALL)]
    assert "bob.ipynb is a link" in batch.notes[0]


def test_a_zip_bomb_gets_a_problem_and_is_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unpacked = []
    monkeypatch.setattr(submissions, "_unpack", lambda *entry: unpacked.append(entry) or "")
    bomb = "0" * (preflight.MAX_BYTES + 1)
    batch = find(pack(tmp_path / "x.zip", {"ada_1_small.ipynb": bomb}))
    assert "more than 20 MB" in batch.submissions[0].file.problem
    assert unpacked == []


def test_a_zip_of_too_much_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submissions, "MAX_ZIP_BYTES", len(SMALL_TEXT) + 1)
    batch = find(pack(tmp_path / "x.zip", {"ada.ipynb": SMALL_TEXT, "bob.ipynb": SMALL_TEXT}))
    assert [bool(x.file.problem) for x in batch.submissions] == [False, True]


def test_a_damaged_entry_of_a_zip_harms_no_other(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("ada_1_small.ipynb", SMALL_TEXT)
        archive.writestr("bob_1_small.ipynb", OTHER_TEXT)
    data = path.read_bytes()
    path.write_bytes(data.replace(b"def double", b"def trouble"[:10], 1))
    first, second = find(path).submissions
    assert "cannot be unpacked" in first.file.problem
    assert not second.file.problem


def test_what_can_be_read_is_gone_afterwards(tmp_path: Path) -> None:
    with opened(pack(tmp_path / "x.zip", {"ada.ipynb": SMALL_TEXT}), RELEASES) as batch:
        path = batch.submissions[0].file.path
        assert path.exists()
    assert not path.exists()


@pytest.mark.parametrize("name", ["nowhere", "empty", "notes.txt"])
def test_nothing_to_grade_is_a_mistake_with_a_remedy(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("no zip")
    with pytest.raises(GraderError, match=name):
        find(tmp_path / name)


def test_safe_names() -> None:
    assert safe_name("ada.l@x-1") == "ada.l@x-1"
    names = ["a+b", "a b", "a_b", "a/b", "../a", "*", "a" * 99, "Zoë", "", ".", "[a]"]
    safe = [safe_name(name) for name in names]
    assert len(set(safe)) == len(names)
    for name in safe:
        assert name
        assert not set("+/\\*?[] ") & set(name)
        assert not name.startswith(".")
        assert len(name) < 70
    assert safe == [safe_name(name) for name in names]


@pytest.mark.parametrize(
    ("names", "students"),
    [
        (("hw1/ada.ipynb", "hw1/bob.ipynb"), ["ada", "bob"]),
        (("a/ada.ipynb", "a/bob.ipynb", "b/carl.ipynb"), ["ada", "bob", "carl"]),
    ],
)
def test_two_people_are_never_merged(tmp_path: Path, names: tuple, students: list[str]) -> None:
    files = dict(zip(names, (SMALL_TEXT, OTHER_TEXT, SMALL_TEXT)))
    batch = find(pack(tmp_path / "x.zip", files))
    assert sorted(x.student for x in batch.submissions) == students
    assert f"{names[0]} -> ada" in batch.notes[0]


def test_a_damaged_zip_is_told(tmp_path: Path) -> None:
    path = pack(tmp_path / "x.zip", {"ada.ipynb": SMALL_TEXT})
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\x01\x02")
    data[at : at + 4] = b"PK??"
    path.write_bytes(data)
    with pytest.raises(GraderError, match="damaged"):
        find(path)
