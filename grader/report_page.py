"""The report as one page: no script, no network, pictures with text alternatives."""

import base64
import functools
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib.style
from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from course.learn.manifest import lessons
from course.viz.palette import BLUE, INK, MUTED, ORANGE, PALE_BLUE, PALE_ORANGE
from grader.item_analysis import FEW, FEW_GROUPS, ExerciseNumbers, LessonNumbers
from grader.results import points
from grader.similar import COMMON, LEAST_ALIKE, LEAST_SHARE

if TYPE_CHECKING:
    from grader.report import Report

TEMPLATE = Path(__file__).with_name("report.html.j2")
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")  # no page may contain these
SHOWN_PAIRS = 20  # side by side, for each lesson
STYLE = {"svg.hashsalt": "report", "hatch.linewidth": 0.8, "font.size": 9}
NO_DATE = {"Date": None, "Creator": None}


def make_page(report: "Report") -> str:
    """The page for a report."""
    limits = {
        "few": FEW,
        "few_groups": FEW_GROUPS,
        "least_alike": LEAST_ALIKE,
        "least_share": LEAST_SHARE,
        "common": COMMON,
        "shown_pairs": SHOWN_PAIRS,
    }
    page = _template().render(report=report, limits=limits, titles=_titles())
    return CONTROL.sub("\N{REPLACEMENT CHARACTER}", page)


@functools.cache
def _template() -> Template:
    environment = Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined
    )
    environment.filters |= {
        "points": points,
        "percent": percent,
        "seconds": seconds,
        "megabytes": megabytes,
        "signed": signed,
    }
    environment.globals |= {"score_picture": score_picture, "exercise_picture": exercise_picture}
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8"))


def _titles() -> dict[str, str]:
    """What exercises are called, by id."""
    return {part.exercise: part.title for lesson in lessons().values() for part in lesson.parts}


def percent(share: float | None) -> str:
    """A share as people write it."""
    return "" if share is None else f"{100 * share:.0f} %"


def seconds(time: float | None) -> str:
    """A time: 2 ms, 1.3 s, 2 min."""
    if time is None:
        return ""
    if time < 0.0995:
        return f"{1000 * time:.2g} ms"
    return f"{time:.2g} s" if time < 99.5 else f"{time / 60:.0f} min"


def megabytes(size: float) -> str:
    """A number of bytes as MB."""
    return f"{size / 2**20:.0f} MB"


def signed(number: float | str | None) -> str:
    """A number from -1 to 1, or the words that stand for it."""
    if number is None:
        return ""
    return number if isinstance(number, str) else f"{number:.2f}".replace("-", "−")


def score_picture(numbers: LessonNumbers) -> Markup:
    """How many students have how many points."""
    top = max(1.0, numbers.possible, *numbers.scores)
    width = max(1, round(top / 20))
    edges = [x * width for x in range(int(top // width) + 2)]
    with _axes(5.4, 3.4) as (figure, axes):
        counts, _, _ = axes.hist(
            numbers.scores, bins=edges, color=PALE_BLUE, edgecolor=BLUE, align="left"
        )
        if numbers.score:
            axes.axvline(numbers.score.median, color=ORANGE, linestyle="--", linewidth=1.5)
            axes.annotate(
                f"median {points(numbers.score.median)}",
                (numbers.score.median, 1.0),
                xycoords=("data", "axes fraction"),
                xytext=(0, 3),
                textcoords="offset points",
                ha="center",
                color=INK,
            )
        axes.set_xlim(-width, edges[-1])
        axes.set_xlabel(f"points, of {points(numbers.possible)}", color=INK)
        axes.set_ylabel("students", color=INK)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        # One number a bar, as its edge has it; a bar of several points says from where to where.
        said = "; ".join(
            f"{points(low)}{f' up to {points(high)}' if width > 1 else ''} points: {int(count)}"
            for low, high, count in zip(edges, edges[1:], counts)
            if count
        )
        return _picture(figure, f"How many students have how many points. {said}.")


def exercise_picture(exercises: Sequence[ExerciseNumbers]) -> Markup:
    """What became of each exercise: bars of students."""
    kinds: list[tuple[str, list[int], dict[str, Any]]] = [
        ("all points", [x.full for x in exercises], {"color": BLUE}),
        ("some", [x.part for x in exercises], {"color": PALE_BLUE, "hatch": "..", "edgecolor": BLUE}),
        ("none", [x.none for x in exercises], {"color": PALE_ORANGE, "hatch": "//", "edgecolor": ORANGE}),
        ("not tried", [x.untried for x in exercises], {"color": "white", "edgecolor": MUTED}),
    ]  # fmt: skip
    names = [x.title for x in exercises]
    with _axes(5.4, 1.0 + 0.3 * len(exercises)) as (figure, axes):
        left = [0] * len(exercises)
        for name, counts, look in kinds:
            if not any(counts):
                continue
            bars = axes.barh(
                names, counts, left=left, height=0.72, linewidth=0.8, label=name, **look
            )
            dark = look["color"] == BLUE
            most = max(x.students for x in exercises)
            shown = [str(count) if count > 0.03 * most else "" for count in counts]
            box = None if dark else {"facecolor": "white", "pad": 1.0, "linewidth": 0}
            for text in axes.bar_label(
                bars, shown, label_type="center", color="white" if dark else INK, fontsize=8
            ):
                if box and text.get_text():
                    text.set_bbox(box)
            left = [before + count for before, count in zip(left, counts)]
        axes.invert_yaxis()
        axes.set_xlabel("students", color=INK)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.spines["left"].set_visible(False)
        axes.tick_params(axis="y", length=0, colors=INK)
        figure.legend(loc="outside upper right", ncols=4, frameon=False)
        said = "; ".join(
            f"{exercise.title}: " + ", ".join(f"{counts[i]} {name}" for name, counts, _ in kinds)
            for i, exercise in enumerate(exercises)
        )
        return _picture(figure, f"How many students have the points of each exercise. {said}.")


@contextmanager
def _axes(width: float, height: float) -> Iterator[tuple[Figure, Any]]:
    with matplotlib.style.context(["default", STYLE]):
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.add_subplot()
        axes.tick_params(colors=MUTED)
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(MUTED)
        yield figure, axes


def _picture(figure: Figure, alt: str) -> Markup:
    """An SVG in an <img>, so that nothing in it meets anything else of the page."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", facecolor="white", metadata=NO_DATE)
    data = base64.b64encode(buffer.getvalue()).decode()
    width = round(figure.get_figwidth() * 96)
    return Markup('<img alt="{}" width="{}" src="data:image/svg+xml;base64,{}">').format(
        alt, width, data
    )
