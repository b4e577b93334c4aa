"""One warp request, drawn where it falls in memory: rows of 128 bytes, which are 32 words."""

from collections.abc import Callable, Iterable, Sequence

from course.kernellab.pictures.choose import lane
from course.kernellab.records import Access
from course.kernellab.svg import BLUE, INK, MARGIN, MUTED, PALE_BLUE, SMALL, Canvas, clip

ROW, WORD, SECTOR = 128, 4, 32  # bytes
WORDS = ROW // WORD  # in a row
CELL, HIGH, LEFT = 21, 17, 118  # pixels
MOST_ROWS = 32

Lanes = dict[tuple[int, int], list[int]]
"""{(row of 128 bytes, word in that row): the lanes that ask for it}."""


def lanes_by_word(accesses: Iterable[Access]) -> Lanes:
    """Which lanes ask for which word; an element of 8 bytes is two words."""
    lanes: Lanes = {}
    for access in accesses:
        last = access.address + access.size - 1
        for word in range(access.address // WORD, last // WORD + 1):
            lanes.setdefault(divmod(word, WORDS), []).append(lane(access))
    return lanes


def sectors_of(accesses: Iterable[Access]) -> set[int]:
    """The numbers of the 32-byte sectors that the accesses touch."""
    return {
        sector
        for access in accesses
        for sector in range(
            access.address // SECTOR, (access.address + access.size - 1) // SECTOR + 1
        )
    }


def needed_sectors(accesses: Iterable[Access]) -> int:
    """As few sectors as hold the different bytes that are asked for."""
    elements = {(access.address, access.size) for access in accesses}
    return -(-sum(size for _, size in elements) // SECTOR)


def column_x(word: int) -> float:
    """The left edge of a column of words."""
    return MARGIN + LEFT + CELL * word


def draw_rows(
    canvas: Canvas,
    y: float,
    lanes: Lanes,
    labels: dict[int, str],
    background: Callable[[int, float], None],
    hatched: Callable[[int], bool],
) -> float:
    """Draw the rows that are touched, with the lanes' numbers in the words they ask for.

    Args:
        canvas: where to draw.
        y: the top.
        lanes: who asks for what.
        labels: by row, what stands to its left.
        background: draws what lies behind the words of a row, given the row and its top.
        hatched: whether the words of a column are to be hatched, as a warning.

    Returns:
        The y below the rows.
    """
    rows = sorted({row for row, _ in lanes})
    everyone = {number for numbers in lanes.values() for number in numbers}
    for row in rows[:MOST_ROWS]:
        canvas.text(
            MARGIN + LEFT - 6,
            y + HIGH / 2,
            clip(labels[row], LEFT - 8, SMALL, code=True),
            size=SMALL,
            anchor="end",
            code=True,
        )
        background(row, y)
        for word in range(WORDS):
            numbers = sorted(set(lanes.get((row, word), ())))
            if numbers:
                _draw_word(canvas, column_x(word), y, _who(numbers, everyone), hatched(word))
        y += HIGH
    return y


def _draw_word(canvas: Canvas, x: float, y: float, who: str, hatch: bool) -> None:
    stroke = INK if hatch else BLUE
    hatching = "warn" if hatch else ""
    canvas.rect(x, y, CELL, HIGH, fill=PALE_BLUE, stroke=stroke, hatch=hatching, kind="word")
    canvas.text(x + CELL / 2, y + HIGH / 2, who, size=SMALL, anchor="middle")


def _who(numbers: Sequence[int], everyone: set[int]) -> str:
    if len(numbers) == 1:
        return str(numbers[0])
    return "all" if set(numbers) == everyone else f"{numbers[0]}*"


def sharing_note(lanes: Lanes) -> str:
    """What the marks of words that several lanes ask for mean; empty if there are none."""
    everyone = {number for numbers in lanes.values() for number in numbers}
    marks = {_who(sorted(set(n)), everyone) for n in lanes.values() if len(set(n)) > 1}
    notes = ["all: every lane asks for this word."] if "all" in marks else []
    starred = sorted(marks - {"all"}, key=lambda mark: int(mark[:-1]))
    if starred:
        notes.append(f"{starred[0]}: lane {starred[0][:-1]} and others ask for this word.")
    return " ".join(notes)


def label_rows(accesses: Iterable[Access], name: Callable[[Access], str]) -> dict[int, str]:
    """By row, the first element in it that is asked for."""
    labels: dict[int, str] = {}
    for access in sorted(accesses, key=lambda access: access.address):
        last = access.address + access.size - 1
        for row in range(access.address // ROW, last // ROW + 1):
            labels.setdefault(row, name(access))
    return labels


def rows_note(lanes: Lanes, what: str) -> str:
    """How many rows had no place in the picture; empty if none."""
    rows = len({row for row, _ in lanes})
    return f"The first {MOST_ROWS} of {rows} {what} are drawn." if rows > MOST_ROWS else ""


def draw_columns(canvas: Canvas, y: float) -> None:
    """The numbers of the 32 words, above their columns."""
    for word in range(WORDS):
        x = column_x(word) + CELL / 2
        canvas.text(x, y, str(word), size=SMALL, anchor="middle", fill=MUTED)
