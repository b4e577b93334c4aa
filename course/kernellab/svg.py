"""Pictures as SVG: drawn with a few shapes, and shown wherever a notebook is shown.

Text is INK or MUTED on white or on the pale fills, at a contrast of at least 4.5 to 1 (WCAG AA).
No picture relies on colour alone: numbers, hatching, dashes and words say the same.
"""

import base64
import html
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

PAPER, INK, MUTED, FAINT = "#ffffff", "#1f2933", "#4a5763", "#c3cad2"
BLUE, ORANGE = "#0b5fa5", "#b34a08"
PALE, PALE_BLUE, PALE_ORANGE = "#f3f4f6", "#dcebf8", "#fde8d5"

WIDE = 860
"""Pixels: about as wide as a notebook's page."""
MARGIN = 12
SMALL, NORMAL = 11, 12  # sizes of text, in pixels; nothing is smaller

# Each hatching by name: background, stripes, and the angle, which tells them apart without colour.
HATCHES = {"warn": (PAPER, "#f5cfa8", 45), "idle": (PAPER, "#d5dae0", -45)}
DASHES = {"dashed": "5 3", "dotted": "1.5 3"}


@dataclass(frozen=True, repr=False)
class Picture:
    """A drawing with a text alternative.

    A notebook shows it as an `<img>` whose bytes are in the page. That form, unlike an inline
    `<svg>`, also shows in notebooks that the browser does not trust, and the ids in one picture
    cannot clash with those in another.

    Attributes:
        alt: what the picture says, in words; also its `repr`.
        svg: the drawing.
    """

    alt: str
    svg: str

    def _repr_html_(self) -> str:
        source = base64.b64encode(self.svg.encode()).decode()
        return (
            f'<img alt="{html.escape(self.alt)}" style="background:#fff;max-width:100%" '
            f'src="data:image/svg+xml;base64,{source}">'
        )

    def __repr__(self) -> str:
        return self.alt

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the drawing to a file, which should be called something.svg."""
        Path(path).write_text(self.svg, encoding="utf-8")


class Canvas:
    """A sheet that grows with what is drawn on it, so that nothing lies outside.

    x goes right and y goes down, in pixels; drawings start at (MARGIN, MARGIN).

    Attributes:
        right, bottom: how far the drawing reaches.
    """

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._hatches: set[str] = set()
        self.right = self.bottom = 0.0

    def rect(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        *,
        fill: str = PAPER,
        stroke: str = MUTED,
        thick: float = 1,
        style: str = "",
        hatch: str = "",
        round: float = 0,
        kind: str = "",
    ) -> None:
        """A rectangle.

        Args:
            x: its left edge.
            y: its top.
            width: its size across.
            height: its size down.
            fill: the colour inside.
            stroke: the colour of its border, or "none".
            thick: the width of its border.
            style: of the border: "dashed", "dotted", or "" for a solid one.
            hatch: instead of a fill: "warn" or "idle".
            round: the radius of its corners.
            kind: what it is, noted as its class; two boxes of one kind should not overlap.
        """
        self._reach(x + width, y + height)
        corner = f' rx="{_n(round)}"' if round else ""
        self._parts.append(
            f'<rect x="{_n(x)}" y="{_n(y)}" width="{_n(width)}" height="{_n(height)}"{corner}'
            f"{self._look(fill, hatch, stroke, thick, style)}{_kind(kind)}/>"
        )

    def circle(
        self, x: float, y: float, radius: float, *, fill: str = PAPER, style: str = ""
    ) -> None:
        """A circle around (x, y)."""
        self._reach(x + radius, y + radius)
        look = self._look(fill, "", INK, 1.5, style)
        self._parts.append(f'<circle cx="{_n(x)}" cy="{_n(y)}" r="{_n(radius)}"{look}/>')

    def line(
        self,
        points: Sequence[tuple[float, float]],
        *,
        stroke: str = MUTED,
        thick: float = 1,
        style: str = "",
    ) -> None:
        """A line through two or more points."""
        for x, y in points:
            self._reach(x, y)
        through = " ".join(f"{_n(x)},{_n(y)}" for x, y in points)
        look = self._look("none", "", stroke, thick, style)
        self._parts.append(f'<polyline points="{through}"{look}/>')

    def arrow(
        self,
        start: tuple[float, float],
        end: tuple[float, float],
        *,
        stroke: str = INK,
        thick: float = 1.2,
        style: str = "",
    ) -> None:
        """A straight arrow; its head is drawn as a shape, since markers cannot take its colour."""
        self._reach(max(start[0], end[0]), max(start[1], end[1]))
        length = math.dist(start, end) or 1
        along = ((end[0] - start[0]) / length, (end[1] - start[1]) / length)
        head = 3 + 3 * thick
        neck = (end[0] - along[0] * head, end[1] - along[1] * head)
        wing = (-along[1] * head * 0.45, along[0] * head * 0.45)
        self.line([start, neck], stroke=stroke, thick=thick, style=style)
        corners = (
            end,
            (neck[0] + wing[0], neck[1] + wing[1]),
            (neck[0] - wing[0], neck[1] - wing[1]),
        )
        points = " ".join(f"{_n(x)},{_n(y)}" for x, y in corners)
        self._parts.append(f'<polygon points="{points}" fill="{stroke}"/>')

    def text(
        self,
        x: float,
        y: float,
        words: str,
        *,
        size: int = NORMAL,
        anchor: str = "start",
        fill: str = INK,
        bold: bool = False,
        code: bool = False,
    ) -> None:
        """One line of text.

        Args:
            x: where it starts; its middle or its end, if anchor is "middle" or "end".
            y: the middle of its height.
            words: the text; blanks at its ends and double ones are not drawn.
            size: in pixels.
            anchor: "start", "middle" or "end".
            fill: its colour.
            bold: whether it stands out.
            code: whether all its characters are equally wide.
        """
        words = printable(words)
        width = width_of(words, size, code=code, bold=bold)
        left = x - width * {"start": 0, "middle": 0.5, "end": 1}[anchor]
        self._reach(left + width, y + size * 0.6)
        more = "" if size == NORMAL else f' font-size="{size}"'
        more += "" if anchor == "start" else f' text-anchor="{anchor}"'
        more += "" if fill == INK else f' fill="{fill}"'
        more += ' font-weight="bold"' if bold else ""
        more += f' font-family="{CODE}"' if code else ""
        # The middle is reckoned here: not every renderer knows dominant-baseline.
        self._parts.append(
            f'<text x="{_n(x)}" y="{_n(y + size * 0.35)}"{more}>{html.escape(words)}</text>'
        )

    def paragraph(
        self,
        x: float,
        y: float,
        words: str,
        width: float = WIDE - 2 * MARGIN,
        *,
        size: int = NORMAL,
        fill: str = INK,
        bold: bool = False,
    ) -> float:
        """Text in as many lines as it takes, from y down; gives the y below it."""
        for line in wrap(words, width, size, bold=bold):
            self.text(x, y + size * 0.7, line, size=size, fill=fill, bold=bold)
            y += size * 1.4
        return y

    def finish(self, alt: str) -> Picture:
        """The picture of all that was drawn.

        Args:
            alt: the same in words.
        """
        width, height = math.ceil(self.right + MARGIN), math.ceil(self.bottom + MARGIN)
        patterns = "".join(_pattern(name) for name in sorted(self._hatches))
        return Picture(
            alt,
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}" role="img" font-family="{PROSE}" '
            f'font-size="{NORMAL}" fill="{INK}"><desc>{html.escape(printable(alt))}</desc>'
            f"<defs>{patterns}</defs>"
            f'<rect width="{width}" height="{height}" fill="{PAPER}"/>'
            f"{''.join(self._parts)}</svg>\n",
        )

    def _reach(self, x: float, y: float) -> None:
        self.right, self.bottom = max(self.right, x), max(self.bottom, y)

    def _look(self, fill: str, hatch: str, stroke: str, thick: float, style: str) -> str:
        if hatch:
            self._hatches.add(hatch)
            fill = f"url(#{hatch})"
        border = "" if stroke == "none" else f' stroke="{stroke}"'
        border += f' stroke-width="{_n(thick)}"' if border and thick != 1 else ""
        border += f' stroke-dasharray="{DASHES[style]}"' if border and style else ""
        return f' fill="{fill}"{border}'


PROSE = "Helvetica,Arial,DejaVu Sans,sans-serif"
CODE = "DejaVu Sans Mono,Menlo,Consolas,monospace"


def width_of(words: str, size: int = NORMAL, *, code: bool = False, bold: bool = False) -> float:
    """How wide a text is at most, in pixels: readers' fonts differ, so this takes a wide one."""
    if code:
        return 0.61 * size * len(words)
    return size * sum(map(_share, words)) * (1.13 if bold else 1.0)


def _share(character: str) -> float:
    """The width of a character for a size of 1, in DejaVu Sans, the widest of the usual fonts."""
    if character in "ijl|'.,:;! ":
        return 0.35
    if character in 'frtI()[]-/"':
        return 0.42
    if character in "mwMW%@—…→×+=<>~":
        return 1.0
    return 0.8 if character.isupper() else 0.65


def wrap(words: str, width: float, size: int = NORMAL, *, bold: bool = False) -> list[str]:
    """The text in lines that are at most so wide, unless one word alone is wider."""
    lines: list[str] = []
    for word in words.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and width_of(longer, size, bold=bold) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def clip(words: str, width: float, size: int = NORMAL, *, code: bool = False) -> str:
    """The text, cut at its end to at most this width."""
    if width_of(words, size, code=code) <= width:
        return words
    while words and width_of(words + "…", size, code=code) > width:
        words = words[:-1]
    return words + "…"


def printable(words: str) -> str:
    """The text without characters that XML forbids, or that do not print."""
    return "".join(c if c.isprintable() else " " for c in words)


def _n(number: float) -> str:
    """A coordinate in tenths of a pixel, as short as it goes."""
    text = f"{number:.1f}".removesuffix(".0")
    return "0" if text == "-0" else text


def _kind(kind: str) -> str:
    return f' class="{kind}"' if kind else ""


def _pattern(name: str) -> str:
    back, stripe, angle = HATCHES[name]
    return (
        f'<pattern id="{name}" width="7" height="7" patternUnits="userSpaceOnUse" '
        f'patternTransform="rotate({angle})"><rect width="7" height="7" fill="{back}"/>'
        f'<rect width="3" height="7" fill="{stripe}"/></pattern>'
    )
