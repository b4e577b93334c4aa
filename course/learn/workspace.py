"""The student's copies of the notebooks: where they are, and when they may be replaced.

The built notebooks in `notebooks/` belong to the course: a `git pull` or a build changes them.
Students work on copies in `work/`, which git ignores. A copy is brought up to date as long as
nothing was written in its cells (JupyterLab saves outputs and remarks of its own in a notebook that
was only opened). Once the student has changed a cell, the copy is theirs: it is never written to
again, and the student is told once when there is a newer version.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Record:
    """What is remembered of one copy.

    Attributes:
        base: digest of the released notebook that the student's copy began with.
        cells: digest of what was in its cells then.
        told: digest of the newer version that the student has been told about.
    """

    base: str
    cells: str
    told: str = ""


def prepare(root: Path = ROOT) -> list[str]:
    """Bring `work/` up to date with `notebooks/` and leave alone what the student has changed.

    Args:
        root: the folder of the course.

    Returns:
        The lessons that have a newer version which the student, having changed the copy, did not
        get. Each version of a lesson is reported once.
    """
    records = _read_records(root)
    newer = []
    for name in released(root):
        release, copy = notebook(root, name).read_bytes(), work_copy(root, name)
        fresh = _record(release)
        current = copy.read_bytes() if copy.exists() else None
        # Without a record nothing tells what the copy began with. The present release is the
        # safe guess: a copy that differs from it counts as changed by the student.
        record = records.setdefault(name, fresh)
        if current == release:
            records[name] = fresh
        elif current is None or (record.base != fresh.base and _cells(current) == record.cells):
            records[name] = fresh
            _write(copy, release)
        elif fresh.base not in (record.base, record.told):
            record.told = fresh.base
            newer.append(name)
    _write_records(root, records)
    return newer


def restart(name: str, root: Path = ROOT) -> Path | None:
    """Put a fresh copy of a lesson into `work/` and keep the old one in `work/backup/`.

    Args:
        name: the lesson, for example "1_micrograd/1_scalars".
        root: the folder of the course.

    Returns:
        Where the old copy is now; None if there was none.
    """
    copy = work_copy(root, name)
    backup = _move_to_backup(root, name) if copy.exists() else None
    release = notebook(root, name).read_bytes()
    _write(copy, release)
    _write_records(root, {**_read_records(root), name: _record(release)})
    return backup


def released(root: Path = ROOT) -> Iterator[str]:
    """Give the names of the built notebooks, in the order of the course."""
    folder = root / "notebooks"
    for path in sorted(folder.glob("*/*.ipynb")):
        yield path.relative_to(folder).with_suffix("").as_posix()


def notebook(root: Path, name: str) -> Path:
    """The built notebook of a lesson."""
    return root / "notebooks" / f"{name}.ipynb"


def work_copy(root: Path, name: str) -> Path:
    """The student's copy of a lesson."""
    return root / "work" / f"{name}.ipynb"


def _move_to_backup(root: Path, name: str) -> Path:
    number = 1
    while (backup := work_copy(root, f"backup/{name}-{number}")).exists():
        number += 1
    backup.parent.mkdir(parents=True, exist_ok=True)
    return work_copy(root, name).rename(backup)


def _record(release: bytes) -> Record:
    return Record(_digest(release), _cells(release))


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _cells(content: bytes) -> str:
    """Digest of what a person writes in a notebook; of everything, if it is none."""
    try:
        written = [
            [cell["cell_type"], "".join(cell["source"]), cell.get("attachments")]
            for cell in json.loads(content)["cells"]
        ]
    except (ValueError, KeyError, TypeError, AttributeError):
        return _digest(content)
    return _digest(json.dumps(written).encode())


def _write(target: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, part = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        os.chmod(part, 0o644)  # a temporary file can be read by its owner only
        os.replace(part, target)
    except BaseException:
        os.unlink(part)
        raise


def _records_file(root: Path) -> Path:
    return root / "work" / ".released.json"


def _read_records(root: Path) -> dict[str, Record]:
    """Read what is remembered; whatever is damaged there counts as unknown."""
    try:
        entries = json.loads(_records_file(root).read_text(encoding="utf-8"))
        return {
            name: Record(str(entry["base"]), str(entry["cells"]), str(entry["told"]))
            for name, entry in entries.items()
        }
    except (OSError, ValueError, AttributeError, KeyError, TypeError):
        return {}


def _write_records(root: Path, records: dict[str, Record]) -> None:
    entries = {name: asdict(record) for name, record in sorted(records.items())}
    _write(_records_file(root), json.dumps(entries, indent=1).encode())
