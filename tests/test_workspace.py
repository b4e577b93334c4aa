"""What happens to the student's copies when the course's notebooks change."""

import json
from pathlib import Path

import pytest

from course.learn.workspace import prepare, restart, work_copy

NAME = "1_micrograd/1_scalars"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    release(tmp_path, "version 1")
    return tmp_path


def release(root: Path, text: str, name: str = NAME) -> None:
    path = root / "notebooks" / f"{name}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def write(root: Path, text: str) -> None:
    work_copy(root, NAME).write_text(text)


def read(root: Path) -> str:
    return work_copy(root, NAME).read_text()


def test_copies_what_is_missing(root: Path) -> None:
    assert prepare(root) == []
    assert read(root) == "version 1"
    release(root, "another lesson", "1_micrograd/2_networks")
    assert prepare(root) == []
    assert work_copy(root, "1_micrograd/2_networks").read_text() == "another lesson"


def test_nothing_but_notebooks_is_copied(root: Path) -> None:
    checkpoint = root / "notebooks/1_micrograd/.ipynb_checkpoints/1_scalars-checkpoint.ipynb"
    checkpoint.parent.mkdir()
    checkpoint.write_text("not a lesson")
    prepare(root)
    files = {path.relative_to(root / "work").as_posix() for path in (root / "work").rglob("*")}
    assert files == {"1_micrograd", f"{NAME}.ipynb", ".released.json"}


def test_an_untouched_copy_follows_the_release(root: Path) -> None:
    for version in ("version 1", "version 2", "version 3"):
        release(root, version)
        assert prepare(root) == []
        assert read(root) == version


def notebook_of(*sources: str, **outputs: object) -> str:
    """A notebook as JupyterLab might save it."""
    cells = [{"cell_type": "code", "source": [source], **outputs} for source in sources]
    return json.dumps({"cells": cells, "metadata": outputs})


def test_a_copy_that_was_only_run_follows_the_release(root: Path) -> None:
    release(root, notebook_of("a", "b"))
    prepare(root)
    ran = notebook_of("a", "b", outputs=["printed"])
    write(root, ran)
    assert prepare(root) == []
    assert read(root) == ran  # there is nothing newer
    release(root, notebook_of("a", "b, better"))
    assert prepare(root) == []
    assert read(root) == notebook_of("a", "b, better")


@pytest.mark.parametrize("mine", [("a", "mine"), ("a",), ("a", "b", "")])
def test_a_change_in_any_cell_makes_the_copy_the_students(
    root: Path, mine: tuple[str, ...]
) -> None:
    release(root, notebook_of("a", "b"))
    prepare(root)
    write(root, notebook_of(*mine))
    release(root, notebook_of("a", "b, better"))
    assert prepare(root) == [NAME]
    assert read(root) == notebook_of(*mine)


def test_a_changed_copy_is_never_touched_and_told_once_a_version(root: Path) -> None:
    prepare(root)
    write(root, "my answers")
    assert prepare(root) == []  # there is no newer version
    release(root, "version 2")
    assert prepare(root) == [NAME]
    assert prepare(root) == []
    release(root, "version 3")
    assert prepare(root) == [NAME]
    assert read(root) == "my answers"


def test_a_copy_changed_back_follows_again(root: Path) -> None:
    prepare(root)
    write(root, "my answers")
    release(root, "version 2")
    prepare(root)
    write(root, "version 1")
    assert prepare(root) == []
    assert read(root) == "version 2"


def test_a_deleted_copy_comes_back(root: Path) -> None:
    prepare(root)
    work_copy(root, NAME).unlink()
    prepare(root)
    assert read(root) == "version 1"


@pytest.mark.parametrize(
    "damage", ["", "{", "[]", "null", '{"1_micrograd/1_scalars": 3}', '{"x": {"base": "y"}}']
)
def test_damaged_records_cost_nobody_an_answer(root: Path, damage: str) -> None:
    prepare(root)
    write(root, "my answers")
    records = root / "work/.released.json"
    records.write_text(damage)
    assert prepare(root) == []
    assert read(root) == "my answers"
    release(root, "version 2")  # and from here on all is known again
    assert prepare(root) == [NAME]
    assert read(root) == "my answers"


def test_lost_records_of_an_untouched_copy_are_found_again(root: Path) -> None:
    prepare(root)
    (root / "work/.released.json").unlink()
    prepare(root)
    release(root, "version 2")
    prepare(root)
    assert read(root) == "version 2"


def test_an_interrupted_write_leaves_the_old_copy(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(root)
    release(root, "version 2")

    def full(*paths: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="disk full"):
        prepare(root)
    monkeypatch.undo()
    assert read(root) == "version 1"
    assert [path.name for path in (root / "work/1_micrograd").iterdir()] == ["1_scalars.ipynb"]
    prepare(root)
    assert read(root) == "version 2"


def test_restart_keeps_every_old_copy(root: Path) -> None:
    assert restart(NAME, root) is None
    assert read(root) == "version 1"
    backups = []
    for answers in ("first try", "second try"):
        write(root, answers)
        backup = restart(NAME, root)
        assert backup is not None
        backups.append(backup)
        assert read(root) == "version 1"
    assert [backup.read_text() for backup in backups] == ["first try", "second try"]
    release(root, "version 2")
    assert prepare(root) == []
    assert read(root) == "version 2"
    assert [backup.read_text() for backup in backups] == ["first try", "second try"]
