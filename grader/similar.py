"""Submissions whose code is alike: a hint for a person who looks, never a verdict.

Code is compared with copydetect, which winnows it as MOSS does: names, spaces, comments and strings
do not count, runs of `RUN` characters do. What students cannot help having in common is left out:
the released notebook, the answers that are known, and what many of the class wrote.
"""

import io
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np

RUN = 25  # characters, without spaces and with names as one letter: two or three lines
LEAST_ALIKE = 200  # such characters: about 25 lines. Shorter code has too few ways to be written.
LEAST_SHARE = 0.6  # of the own code of at least one of the two
COMMON = 5  # what more submissions than this share is nobody's own; in large classes,
COMMON_SHARE = 0.1  # more than this part of them,
MOST_COMMON = 20  # but no more than this many
MOST_PAIRS = 5000  # compared closely
LONGEST_CELL = 20_000
LONGEST_CODE = 60_000
AROUND = 2  # lines shown on both sides of those that are alike

Watch = Callable[[str, int, int], None]


@dataclass(frozen=True)
class OwnCode:
    """What a student wrote.

    Attributes:
        student: the student's id.
        cells: the id and the source of each cell.
        cut: whether it was too long, and is not all here.
    """

    student: str
    cells: tuple[tuple[str, str], ...]
    cut: bool = False


@dataclass(frozen=True)
class Excerpt:
    """A part of one cell.

    Attributes:
        cell: the cell's id.
        lines: the text of each line, and whether it is alike; None where lines are left out.
    """

    cell: str
    lines: tuple[tuple[str, bool] | None, ...]


@dataclass(frozen=True)
class Pair:
    """Two submissions that are alike.

    Attributes:
        students: the two.
        shares: how much of each one's own code is found in the other's.
        alike: how many characters that is, in the first, as copydetect counts.
        excerpts: where, for each of them.
    """

    students: tuple[str, str]
    shares: tuple[float, float]
    alike: int
    excerpts: tuple[tuple[Excerpt, ...], tuple[Excerpt, ...]]


@dataclass
class Similar:
    """What comparing a lesson's submissions gave.

    Attributes:
        pairs: those that are alike, the most alike first.
        compared: how many submissions were compared.
        common: code that more submissions than this share was left out.
        notes: what was not compared, and why.
    """

    pairs: list[Pair] = field(default_factory=list)
    compared: int = 0
    common: int = COMMON
    notes: list[str] = field(default_factory=list)


def own_code(student: str, notebook: dict[str, Any], released: frozenset[str]) -> OwnCode:
    """The code cells that a student wrote or changed.

    Args:
        student: the student's id.
        notebook: as nbformat's JSON.
        released: the sources of the released notebook's code cells, without space around them.
    """
    cells: list[tuple[str, str]] = []
    left, cut = LONGEST_CODE, False
    for cell in notebook.get("cells", []):
        source = source_of(cell)
        nbgrader = nbgrader_of(cell)
        theirs = not nbgrader or nbgrader.get("solution")
        if cell.get("cell_type") != "code" or not theirs or source in released or not source:
            continue
        kept = source[: min(LONGEST_CELL, left)]
        cut = cut or len(kept) < len(source)
        left -= len(kept)
        if kept:
            cells.append((name_of(cell), kept))
    return OwnCode(student, tuple(cells), cut)


def nbgrader_of(cell: dict[str, Any]) -> dict[str, Any]:
    """What nbgrader knows about a cell; empty if nothing."""
    known = cell.get("metadata", {}).get("nbgrader")
    return known if isinstance(known, dict) else {}


def name_of(cell: dict[str, Any]) -> str:
    """A cell's id with nbgrader, or else its own."""
    return str(nbgrader_of(cell).get("grade_id") or cell.get("id", ""))


def source_of(cell: dict[str, Any]) -> str:
    """A cell's text as pygments reads it, without space around it."""
    text = "".join(cell.get("source", ""))
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()


def find_similar(
    codes: Iterable[OwnCode], known: Iterable[str], watch: Watch = lambda *_: None
) -> Similar:
    """Compare the submissions of one lesson with each other.

    Args:
        codes: what the students wrote.
        known: code that counts for nobody: the released notebook, and answers that are known.
        watch: called with what is done, how much of it is, and how much there is.

    Returns:
        The pairs that are alike, the same ones whatever the order of the submissions.
    """
    written = sorted((code for code in codes if code.cells), key=lambda code: code.student)
    found = Similar(compared=len(written))
    found.common = max(COMMON, min(MOST_COMMON, int(COMMON_SHARE * len(written))))
    cut = [code.student for code in written if code.cut]
    if cut:
        found.notes.append(
            f"compared up to {LONGEST_CELL:,} characters a cell and {LONGEST_CODE:,} a submission "
            f"only: {', '.join(cut)}"
        )
    prints = _fingerprints(written, known, found.common, watch)
    candidates = _candidates(prints)
    if len(candidates) > MOST_PAIRS:
        found.notes.append(
            f"{len(candidates):,} pairs have something in common; the {MOST_PAIRS:,} that have "
            "most were compared closely, and the others not"
        )
    for number, (one, other) in enumerate(candidates[:MOST_PAIRS]):
        watch("comparing", number, min(len(candidates), MOST_PAIRS))
        pair = _compare(written[one], prints[one], written[other], prints[other])
        if pair:
            found.pairs.append(pair)
    found.pairs.sort(key=lambda pair: (-round(max(pair.shares), 2), -pair.alike, pair.students))
    return found


def _fingerprints(
    codes: Sequence[OwnCode], known: Iterable[str], common: int, watch: Watch
) -> list[Any]:
    """The code's runs, without those that are known or common."""
    no_runs = np.array([], dtype=np.int64)
    left_out = {run for text in known for run in _fingerprint(text, no_runs).hashes}
    for _ in range(2):  # first to see what is common, then without it
        runs = np.array(sorted(left_out), dtype=np.int64)
        prints = []
        for number, code in enumerate(codes):
            watch("reading code", number, len(codes))
            prints.append(_fingerprint(_text(code), runs))
        holders = Counter(run for each in prints for run in each.hashes)
        often = {run for run, count in holders.items() if count > common}
        if not often:
            break
        left_out |= often
    return prints


def _fingerprint(text: str, left_out: Any) -> Any:
    from copydetect import CodeFingerprint  # type: ignore[import-untyped]  # takes a second

    # Every run counts: with a window of more than one, which ones do would be chance.
    return CodeFingerprint(
        "code.py", RUN, 1, boilerplate=left_out, language="python", fp=io.StringIO(text)
    )


def _text(code: OwnCode) -> str:
    return "\n".join(source for _, source in code.cells)


def _candidates(prints: Sequence[Any]) -> list[tuple[int, int]]:
    """The pairs that share enough runs to be worth a close look, those with most first."""
    holders: dict[int, list[int]] = defaultdict(list)
    for number, each in enumerate(prints):
        for run in each.hashes:
            holders[run].append(number)
    shared = Counter(pair for numbers in holders.values() for pair in combinations(numbers, 2))
    enough = [(-count, pair) for pair, count in shared.items() if count >= LEAST_ALIKE // RUN]
    return [pair for _, pair in sorted(enough)]


def _compare(one: OwnCode, one_print: Any, other: OwnCode, other_print: Any) -> Pair | None:
    from copydetect import compare_files

    alike, shares, places = compare_files(one_print, other_print)
    if alike < LEAST_ALIKE or max(shares) < LEAST_SHARE:
        return None
    return Pair(
        (one.student, other.student),
        (float(shares[0]), float(shares[1])),
        int(alike),
        (_excerpts(one, places[0]), _excerpts(other, places[1])),
    )


def _excerpts(code: OwnCode, places: Any) -> tuple[Excerpt, ...]:
    """The cells in which something is alike, line by line.

    Args:
        code: the code.
        places: where runs that are alike begin and end, as copydetect gives it: two rows.
    """
    found, start = [], 0
    spans = [(int(begin), int(end)) for begin, end in zip(*places)]
    for name, source in code.cells:
        lines = []
        for line in source.split("\n"):
            end = start + len(line)
            lines.append((line, any(begin < end and stop > start for begin, stop in spans)))
            start = end + 1
        if any(alike for _, alike in lines):
            found.append(Excerpt(name, _shortened(lines)))
    return tuple(found)


def _shortened(lines: Sequence[tuple[str, bool]]) -> tuple[tuple[str, bool] | None, ...]:
    """Lines that are alike and a few around them; None where others are left out."""
    marked = [number for number, (_, alike) in enumerate(lines) if alike]
    near = {number for place in marked for number in range(place - AROUND, place + AROUND + 1)}
    kept: list[tuple[str, bool] | None] = []
    for number, line in enumerate(lines):
        if number in near:
            kept.append(line)
        elif not kept or kept[-1] is not None:
            kept.append(None)
    return tuple(kept)
