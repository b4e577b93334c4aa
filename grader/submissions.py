"""Finding submissions: whose notebook of which lesson each file is.

A teacher has a folder or a zip file, and it looks as the system that collected it pleases. Whose a
notebook is follows from the names of its file and folder; which lesson it is follows from what is
in it.
"""

import contextlib
import hashlib
import os
import re
import tempfile
import time
import unicodedata
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from grader.errors import GraderError
from grader.preflight import MAX_BYTES, Unreadable, lesson_of, read_notebook

MAX_FILES = 10_000
MAX_ZIP_BYTES = 2 * 2**30  # of all notebooks in a zip together, unpacked

CLUTTER = ("__MACOSX", ".DS_Store", ".ipynb_checkpoints", "Thumbs.db", "desktop.ini")

# "notebook (1)" is what browsers make of a second download, "notebook-Copy1" Jupyter of a copy.
COPY = re.compile(r"(-Copy\d+| ?\(\d+\))$")

# Moodle's name for the folder of one student: full name, number, and what kind of thing it holds.
MOODLE = re.compile(r"(?P<name>.+)_(?P<number>\d+)_assignsubmission_\w+")


@dataclass
class File:
    """One notebook file.

    Attributes:
        path: where it can be read.
        name: where it stood in what the teacher handed over.
        modified: when it was written, as seconds.
        problem: why it cannot be graded; empty if it can.
        lesson: which lesson it is of; empty if that is not known.
    """

    path: Path
    name: PurePosixPath
    modified: float
    problem: str = ""
    lesson: str = ""


@dataclass
class Submission:
    """One student's notebook of one lesson.

    Attributes:
        student: the name as given.
        file: the notebook; it is only read.
        findings: what a teacher should know about how it was chosen.
    """

    student: str
    file: File
    findings: list[str] = field(default_factory=list)

    @property
    def student_id(self) -> str:
        """The student's name as nbgrader can use it for a folder."""
        return safe_name(self.student)


@dataclass
class Batch:
    """What was found.

    Attributes:
        submissions: one for each student and lesson.
        notes: what was left out, and why.
    """

    submissions: list[Submission]
    notes: list[str]


def safe_name(name: str) -> str:
    """A name for a folder: the same one each time, and different ones for different names."""
    plain = unicodedata.normalize("NFC", name)
    safe = re.sub(r"[^\w.@-]", "_", plain)[:60].strip(".-")
    if safe and safe == plain:
        return safe
    return f"{safe or 'student'}-{hashlib.sha256(plain.encode('utf-8', 'surrogateescape')).hexdigest()[:6]}"


@contextlib.contextmanager
def opened(path: Path, releases: dict[str, Any]) -> Iterator[Batch]:
    """Find the submissions in a folder or a zip file; they can be read inside the `with`.

    Args:
        path: a folder, a zip file, or a single notebook.
        releases: the released notebooks, by lesson.

    Raises:
        GraderError: if there is nothing to grade.
    """
    if not path.exists():
        raise GraderError(f"there is no {path}: give the folder or zip file with the submissions")
    with tempfile.TemporaryDirectory(prefix="submissions-") as scratch:
        notes: list[str] = []
        if path.is_dir():
            files, owner = list(_files_in_folder(path, notes)), path.resolve()
        elif zipfile.is_zipfile(path):
            files, owner = list(_files_in_zip(path, Path(scratch), notes)), path.with_suffix("")
        elif path.suffix == ".ipynb":
            files = [File(path, PurePosixPath(path.name), path.stat().st_mtime)]
            owner = path.resolve().parent
        else:
            raise GraderError(f"{path} is neither a folder, nor a zip file, nor a notebook")
        if not files:
            raise GraderError(
                f"there is no notebook in {path}: it should hold .ipynb files, named after the "
                "students or in folders named after them"
            )
        for file in files:
            _identify(file, releases)
        _guess_lessons(files)
        students = _name_students(files, owner.parts, list(releases))
        guessed = [
            f"{file.name} -> {student}"
            for file, student in zip(files, students)
            if len(file.name.parts) > 1
            and not MOODLE.fullmatch(file.name.parent.name)
            and _rest_of_name(file, list(releases))
        ]
        if guessed:
            more = ", ..." if len(guessed) > 5 else ""
            notes.append(f"students as guessed: {', '.join(guessed[:5])}{more}")
        yield Batch(list(_choose(files, students)), notes)


def _files_in_folder(folder: Path, notes: list[str]) -> Iterator[File]:
    others = []
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not _is_clutter(name))
        for name in sorted(names):
            path = Path(place, name)
            shown = PurePosixPath(path.relative_to(folder).as_posix())
            if path.is_symlink() or not path.is_file():
                notes.append(f"{shown} is a link or no file, and was left out")
            elif path.suffix == ".ipynb":
                yield File(path, shown, path.stat().st_mtime)
            elif not _is_clutter(name):
                others.append(str(shown))
    _note_others(others, notes)


def _files_in_zip(path: Path, scratch: Path, notes: list[str]) -> Iterator[File]:
    """Unpack the notebooks under names of our own, so that no name in the zip leads anywhere."""
    others, total = [], 0
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError) as error:
        raise GraderError(f"{path} is a damaged zip file ({error}): fetch it again") from None
    with archive:
        entries = archive.infolist()
        if len(entries) > MAX_FILES:
            raise GraderError(f"{path} holds {len(entries)} files; at most {MAX_FILES} are read")
        for number, entry in enumerate(entries):
            name = PurePosixPath(entry.filename.replace("\\", "/"))
            if entry.is_dir() or any(_is_clutter(part) for part in name.parts):
                continue
            if name.is_absolute() or ".." in name.parts:
                notes.append(f"{name} has a name that leads out of the zip, and was left out")
                continue
            if name.suffix != ".ipynb":
                others.append(str(name))
                continue
            file = File(scratch / f"{number}.ipynb", name, _zip_time(entry))
            total += entry.file_size
            if entry.file_size > MAX_BYTES:
                file.problem = f"the file has more than {MAX_BYTES // 2**20} MB"
            elif total > MAX_ZIP_BYTES:
                file.problem = "the notebooks of this zip are too large together: split it"
            else:
                file.problem = _unpack(archive, entry, file.path)
            yield file
    _note_others(others, notes)


def _unpack(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path) -> str:
    """Write one entry of a zip; returns why that was not possible."""
    try:
        with archive.open(entry) as packed:
            target.write_bytes(packed.read(MAX_BYTES + 1))
    except Exception as error:  # a password, a wrong checksum, whatever the unpackers raise
        return f"it cannot be unpacked: {error}"
    return ""


def _zip_time(entry: zipfile.ZipInfo) -> float:
    try:
        return time.mktime((*entry.date_time, 0, 0, -1))
    except (ValueError, OverflowError):  # zips may say any date
        return 0


def _is_clutter(name: str) -> bool:
    return name in CLUTTER or name.startswith("._")


def _note_others(names: list[str], notes: list[str]) -> None:
    names = [name for name in names if PurePosixPath(name).name != "timestamp.txt"]
    if names:
        more = ", ..." if len(names) > 3 else ""
        notes.append(f"left out, as no notebooks ({len(names)}): {', '.join(names[:3])}{more}")


def _identify(file: File, releases: dict[str, Any]) -> None:
    """Say which lesson a file is of, by what is in it; where that fails, by its name."""
    lesson = None
    if not file.problem:
        try:
            lesson = lesson_of(read_notebook(file.path), releases)
        except (Unreadable, OSError) as error:
            file.problem = str(error)
    by_name = [name for name in releases if _without_lesson(file, name) is not None]
    in_unit = [name for name in by_name if name.split("/")[0] in file.name.parts]
    if lesson is None and len(in_unit or by_name) == 1:
        lesson = (in_unit or by_name)[0]
    file.lesson = lesson or ""
    if not file.lesson and not file.problem:
        file.problem = "it is a notebook of no lesson of this course"


def _guess_lessons(files: list[File]) -> None:
    """Where all files but some unreadable ones are of one lesson, so are those."""
    lessons = {file.lesson for file in files if not file.problem}
    if len(lessons) == 1:
        for file in files:
            file.lesson = file.lesson or next(iter(lessons))


def _stem(file: File) -> str:
    return COPY.sub("", file.name.stem)


def _without_lesson(file: File, lesson: str) -> str | None:
    """What a file's name says besides the lesson's; None if it does not end with that."""
    found = re.fullmatch(rf"(?:(.*)[-_ ])?{re.escape(lesson.split('/')[1])}", _stem(file))
    return None if found is None else found[1] or ""


def _name_students(files: list[File], owner: Iterable[str], lessons: list[str]) -> list[str]:
    """Whose each file is.

    Files are named after students if they are in the outermost folder, or if two of the same lesson
    lie side by side. So are all files if their names tell them apart, and some lie side by side:
    merging two people would be worse than taking one for two. Else the innermost folder is the
    student's.

    Args:
        files: the files.
        owner: the names that lead to what the teacher handed over.
        lessons: all lessons.
    """
    units = {lesson.split("/")[0] for lesson in lessons}
    rest = [_rest_of_name(file, lessons) for file in files]
    folders = [file.name.parent for file in files]
    names_in: dict[Any, set[str]] = defaultdict(set)
    for file, folder, name in zip(files, folders, rest):
        names_in[folder, file.lesson].add(name)
        names_in[folder].add(name)
    crowded = {key for key, names in names_in.items() if len(names - {""}) > 1}
    after_students = {folder for folder in folders if any((folder, x) in crowded for x in lessons)}
    telling = len({(file.lesson, name) for file, name in zip(files, rest)}) == len(files)
    if telling and crowded & set(folders):
        after_students = set(folders)
    after_students.add(PurePosixPath())

    names, numbers = [], defaultdict(set)
    matches = [MOODLE.fullmatch(file.name.parent.name) for file in files]
    for found in filter(None, matches):
        numbers[found["name"]].add(found["number"])
    for file, name, match in zip(files, rest, matches):
        if match:  # Moodle's number tells students of the same name apart, but is new each time
            same = len(numbers[match["name"]]) > 1
            names.append(match["name"] + (f"_{match['number']}" if same else ""))
        elif name and file.name.parent in after_students:
            names.append(name)
        else:
            path = [*owner, *file.name.parent.parts]
            names.append(next((name for name in reversed(path) if name not in units), "?"))
    return names


def _rest_of_name(file: File, lessons: list[str]) -> str:
    for lesson in lessons:
        rest = _without_lesson(file, lesson)
        if rest is not None:
            return rest
    return _stem(file)


def _choose(files: list[File], students: list[str]) -> Iterator[Submission]:
    """One submission for each student and lesson: the newest file, and of those the last."""
    groups: dict[tuple[str, str], list[File]] = defaultdict(list)
    for file, student in zip(files, students):
        alone = "" if file.lesson else str(file.name)  # what is of no lesson is kept apart
        groups[student, file.lesson or alone].append(file)
    for (student, _), group in sorted(groups.items()):
        newest = max(group, key=lambda file: (file.modified, file.name))
        submission = Submission(student, newest)
        if len(group) > 1:
            submission.findings.append(
                f"there were {len(group)} files for this lesson; {newest.name}, the newest, counts"
            )
        yield submission
