"""Rows of boxes: arrays as they lie in memory, and the threads between them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

from course.kernellab.pictures.choose import flat
from course.kernellab.svg import MARGIN, MUTED, PALE, SMALL, WIDE, Canvas, width_of

Index = tuple[int, ...]
Cell = tuple[str, Index]  # an array's name and an element of it

LEFT = 92  # pixels, for the words to the left of a row
ROOM = WIDE - 2 * MARGIN - LEFT
HIGH = 24  # of a box
BETWEEN_GROUPS, BETWEEN_STRIPS, DOTS = 8, 30, 14  # pixels


@dataclass(frozen=True)
class Item:
    """One box in a row: a cell, a thread, or an ellipsis for cells that are left out.

    Attributes:
        key: what it stands for: an index or a thread; None for an ellipsis.
        text: stands in it.
        group: boxes of one group stand closer together, and have a common label.
    """

    key: Index | int | None
    text: str
    group: str = ""


@dataclass(frozen=True)
class Strip:
    """A row of boxes with a name: an array, in the order in which it lies in memory."""

    name: str
    label: str
    items: Sequence[Item]

    def groups(self) -> list[list[Item]]:
        """The items, those of one group together."""
        groups: list[list[Item]] = []
        for item in self.items:
            if groups and groups[-1][-1].group == item.group:
                groups[-1].append(item)
            else:
                groups.append([item])
        return groups

    def least(self) -> float:
        """The least width of a box that holds its text."""
        texts = (width_of(item.text, SMALL) for item in self.items if item.key is not None)
        return max(18, *(wide + 5 for wide in texts), 0)


def with_dots(indices: Sequence[Index], shape: Index | None) -> list[Item]:
    """The cells, with an ellipsis wherever some are left out."""
    items: list[Item] = []
    before = -1
    for index in indices:
        place = flat(index, shape)
        group = ", ".join(map(str, index[:-1]))
        if place is not None and place > before + 1:
            items.append(Item(None, "…", items[-1].group if items else group))
        items.append(Item(index, str(index[-1]) if index else "", group))
        before = place if place is not None else before
    is_cut = shape is not None and 0 <= before < prod(shape) - 1
    return [*items, Item(None, "…", items[-1].group)] if is_cut else items


def strip_width(strip: Strip, cell: float) -> float:
    """The width of a strip whose boxes are so wide, or that of its label."""
    groups = strip.groups()
    dots = sum(item.key is None for item in strip.items)
    boxes = cell * (len(strip.items) - dots) + DOTS * dots
    tags = sum(tag(group) for group in groups) if not strip.name and len(groups) > 1 else 0
    wide = boxes + BETWEEN_GROUPS * (len(groups) - 1) + tags
    return max(wide, width_of(strip.label))


def tag(group: Sequence[Item]) -> float:
    """The width of the label that stands before a group of threads."""
    return width_of(group[0].group, SMALL) + 5 if group[0].group else 0


def total_width(strips: Sequence[Strip], cell: float) -> float:
    """The width of several strips side by side."""
    return sum(strip_width(s, cell) for s in strips) + BETWEEN_STRIPS * max(0, len(strips) - 1)


def fits(strips: Sequence[Strip]) -> bool:
    """Whether there is room for the strips side by side, with narrow boxes."""
    return total_width(strips, max((strip.least() for strip in strips), default=0)) <= ROOM


def cell_width(strips: Sequence[Strip]) -> float:
    """As wide as there is room for, up to a comfortable width."""
    least = max((strip.least() for strip in strips), default=18)
    wider = (w for w in (34.0, 30.0, 26.0, 22.0) if w > least and total_width(strips, w) <= ROOM)
    return next(wider, least)


def row_width(strips: Sequence[Strip]) -> float:
    """The width of several strips side by side, with boxes as wide as is comfortable."""
    return total_width(strips, cell_width(strips))


def cropped(strips: Sequence[Strip]) -> list[Strip]:
    """The strips, with as many of their first cells as have a place."""
    for most in (10**9, 48, 32, 24, 16, 12, 8, 6, 4, 3, 2, 1):
        shorter = [
            strip
            if len(strip.items) <= most
            else replace(
                strip,
                label=f"{strip.label}: the first {most} boxes of {len(strip.items)}",
                items=[*strip.items[:most], Item(None, "…", strip.items[most - 1].group)],
            )
            for strip in strips
        ]
        if fits(shorter):
            break
    return shorter


# --- drawing ---

Row = list[tuple[Strip, float, float]]
"""Strips side by side: each with its left edge and the width of its boxes."""


def placed(strips: Sequence[Strip], span: float) -> Row:
    """Places for the strips of a row: together they stand in the middle of so many pixels."""
    cell = cell_width(strips)
    x = MARGIN + LEFT + (span - total_width(strips, cell)) / 2
    row: Row = []
    for strip in strips:
        row.append((strip, x, cell))
        x += strip_width(strip, cell) + BETWEEN_STRIPS
    return row


def draw_names(canvas: Canvas, y: float, row: Row) -> float:
    """The names of the arrays; gives the y below."""
    for strip, x, cell in row:
        canvas.text(x + strip_width(strip, cell) / 2, y + 8, strip.label, anchor="middle")
    return y + 18


def _inset(strip: Strip, cell: float) -> float:
    """How far the boxes of a strip are moved right, if its label is wider than they are."""
    return (strip_width(strip, cell) - strip_width(replace(strip, label=""), cell)) / 2


def _boxes_width(group: Sequence[Item], cell: float) -> float:
    return sum(DOTS if item.key is None else cell for item in group)


def draw_groups(canvas: Canvas, y: float, row: Row) -> float:
    """The rows' numbers, above or below their cells; gives the y below."""
    if not any(item.group for strip, _, _ in row for item in strip.items):
        return y
    for strip, x, cell in row:
        x += _inset(strip, cell)
        groups = strip.groups()
        texts = [f"row {group[0].group}" for group in groups]
        room = [_boxes_width(group, cell) for group in groups]
        has_room = all(width_of(text, SMALL) <= wide + 4 for text, wide in zip(texts, room))
        for group, text, wide in zip(groups, texts, room):
            text = text if has_room else group[0].group
            dots = DOTS if group[0].key is None else 0
            # A number without a word stands over its first cell, not over an ellipsis.
            middle = x + wide / 2 if has_room else x + dots + cell / 2
            if group[0].group and width_of(text, SMALL) <= wide + BETWEEN_GROUPS - 1:
                canvas.text(middle, y + 7, text, size=SMALL, anchor="middle", fill=MUTED)
            x += wide + BETWEEN_GROUPS
    return y + 16


def draw_cells(canvas: Canvas, y: float, row: Row, raced: set[Cell]) -> dict[Cell, float]:
    """Draw the cells of a row of arrays; gives the middle of each."""
    middles: dict[Cell, float] = {}
    for strip, x, cell in row:
        x += _inset(strip, cell)
        for group in strip.groups():
            for item in group:
                if isinstance(item.key, tuple):
                    is_raced = (strip.name, item.key) in raced
                    hatch, thick = ("warn", 2) if is_raced else ("", 1)
                    canvas.rect(x, y, cell, HIGH, fill=PALE, hatch=hatch, thick=thick, kind="cell")
                    text = f"{item.text}!" if is_raced else item.text
                    canvas.text(x + cell / 2, y + HIGH / 2, text, size=SMALL, anchor="middle")
                    middles[strip.name, item.key] = x + cell / 2
                    x += cell
                else:
                    canvas.text(x + DOTS / 2, y + HIGH / 2, "…", size=SMALL, anchor="middle")
                    x += DOTS
            x += BETWEEN_GROUPS
    return middles
