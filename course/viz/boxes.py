"""Boxes and arrows: what graphs, folded graphs and steppers have in common, and how it is drawn."""

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from course.viz import palette
from course.viz.dot import to_svg
from course.viz.picture import Picture
from course.viz.words import Rows, clip

WIDE = 900  # points: about as wide as a notebook's page, at the size of its text


@dataclass(frozen=True)
class Box:
    """One box.

    Attributes:
        title: its first line, in bold.
        rows: label and value of each further line.
        kind: a leaf has square corners, an op round ones, the rest a dashed border.
        word: stands beside the title, such as "now"; if empty, the kind does.
        fill: another colour than the kind's own.
        is_bold: whether its border is bold.
    """

    title: str
    rows: Rows
    kind: Literal["leaf", "op", "rest"]
    word: str = ""
    fill: str = ""
    is_bold: bool = False


@dataclass(frozen=True)
class Arrow:
    """An arrow between two boxes, given by their places in the list of boxes.

    Attributes:
        source: where it starts.
        target: where it ends.
        label: a text beside it.
        is_backward: drawn bold, and pointing from target to source: something flows back.
    """

    source: int
    target: int
    label: str = ""
    is_backward: bool = False


@dataclass(frozen=True)
class Drawing:
    """What is to be drawn.

    Attributes:
        boxes: the boxes.
        arrows: the arrows between them.
        note: a line below.
        is_ordered: whether the arrows that end in one box keep their order. If they need not, the
            layout is calmer.
        value_width: the least width of the boxes' values, in points; makes boxes equally wide.
    """

    boxes: Sequence[Box]
    arrows: Sequence[Arrow]
    note: str = ""
    is_ordered: bool = True
    value_width: int = 0


def draw(drawing: Drawing, alt: str, rankdir: str | None = None) -> Picture:
    """Lay out boxes and arrows; where there is no program to do it, tabulate them.

    Args:
        drawing: the boxes and arrows.
        alt: the same in words.
        rankdir: "LR", left to right, or "TB", top to bottom. None: left to right, unless that is
            wider than a page and top to bottom is less so.

    Raises:
        ValueError: if rankdir is something else.
    """
    if rankdir not in ("LR", "TB", None):
        raise ValueError(f'rankdir must be "LR" or "TB" (or None to choose), and is {rankdir!r}.')
    svg = to_svg(to_dot(drawing, rankdir or "LR"))
    if svg is None:
        hint = "(For a picture instead of this table: pip install graphviz-pure)"
        return Picture(alt, None, table=f"{to_table(drawing)}\n{hint}")
    if rankdir is None and width_of(svg) > WIDE:
        svg = min(svg, to_svg(to_dot(drawing, "TB")) or svg, key=width_of)
    # dot measures texts in one font that it knows; readers have it, or one of the same widths.
    return Picture(alt, svg.replace(b'="Arial"', b'="Helvetica,Arial,sans-serif"'))


def width_of(svg: bytes) -> float:
    """The width of an SVG picture, in points."""
    width = re.search(rb'<svg[^>]* width="([0-9.]+)pt"', svg)
    return float(width[1]) if width else 0.0


def to_dot(drawing: Drawing, rankdir: str) -> str:
    """The drawing in the DOT language."""
    font = f'fontname="Arial" fontcolor="{palette.INK}"'
    order = "ordering=in" if drawing.is_ordered else ""
    lines = [
        "digraph {",
        f"graph [rankdir={rankdir} {order} ranksep=0.35 nodesep=0.22 pad=0.12]",
        f'graph [bgcolor="{palette.PAPER}" label="{_quoted(drawing.note)}" labelloc=b labeljust=l]',
        f"graph [{font} fontsize=10]",
        f'node [{font} fontsize=11 margin="0.07,0.04"]',
        f'edge [{font} fontsize=10 color="{palette.MUTED}" arrowsize=0.7]',
    ]
    for i, box in reversed(list(enumerate(drawing.boxes))):  # in the order of the computation
        lines.append(f"{i} [{_look(box)} label=<{_label(box, drawing.value_width)}>]")
    for arrow in drawing.arrows:
        look = f'dir=back penwidth=2.5 color="{palette.INK}"' if arrow.is_backward else ""
        label = f'label=" {_quoted(arrow.label)} "' if arrow.label else ""
        # Operations are kept in a straight line: the computation; leaves hang beside it.
        weight = 1 if drawing.boxes[arrow.source].kind == "leaf" else 5
        lines.append(f"{arrow.source} -> {arrow.target} [weight={weight} {look} {label}]")
    return "\n".join([*lines, "}"])


def _look(box: Box) -> str:
    style, fill, line = {
        "leaf": ("filled", palette.LEAF_FILL, palette.LEAF_LINE),
        "op": ("rounded,filled", palette.OP_FILL, palette.OP_LINE),
        "rest": ("dashed,filled", palette.REST_FILL, palette.REST_LINE),
    }[box.kind]
    line, width = (palette.INK, 3) if box.is_bold else (line, 1)
    return (
        f'shape=box style="{style}" fillcolor="{box.fill or fill}" color="{line}" penwidth={width}'
    )


def _label(box: Box, value_width: int) -> str:
    """A table in DOT's own HTML: title and word in its first row, a label and a value in each other."""
    width = f' WIDTH="{value_width}"' if value_width else ""
    small = f'<FONT POINT-SIZE="9" COLOR="{palette.MUTED}">'
    rows = [
        f'<TR><TD ALIGN="LEFT"><B>{_escaped(box.title)}</B></TD>'
        f'<TD ALIGN="RIGHT">{small}   {_escaped(box.word or box.kind)}</FONT></TD></TR>'
    ]
    rows += [
        f'<TR><TD ALIGN="LEFT" WIDTH="36"><FONT COLOR="{palette.MUTED}">{_escaped(label)}</FONT></TD>'
        f'<TD ALIGN="RIGHT"{width}>{_escaped(value)}</TD></TR>'
        for label, value in box.rows
    ]
    return (
        f'<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="2">{"".join(rows)}</TABLE>'
    )


def _escaped(text: str) -> str:
    return html.escape(clip(text, 40)) or " "


def _quoted(text: str) -> str:
    """A text between DOT's double quotes."""
    return clip(text, 200).replace("\\", "\\\\").replace('"', '\\"')


def to_table(drawing: Drawing) -> str:
    """The drawing as lines of text: each box, what it says, and where its arrows come from."""
    rows = [("node", "kind", "values", "computed from")]
    names = [box.title.partition(" = ")[0] for box in drawing.boxes]
    for i, box in enumerate(drawing.boxes):
        values = ", ".join(f"{label} {value}" for label, value in box.rows)
        sources = ", ".join(names[arrow.source] for arrow in drawing.arrows if arrow.target == i)
        rows.append((box.title, box.word or box.kind, values, sources))
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    return "\n".join([*lines, drawing.note]).rstrip()
