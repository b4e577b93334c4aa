"""What students get back: all they should know, and nothing of the hidden tests."""

import html
import re
from pathlib import Path
from typing import Any

import pytest
from graded_class import PUPILS, graded_class
from nbformat.v4 import new_code_cell, new_output
from small_course import CHECK_DOUBLE, cell_of, solved

from grader.feedback import hidden_lines, hide_hidden_tests, scrub

SECRETS = (
    "assert_close(double(-31.5), -63.0",
    "secret_sum",
    "-31.5",
    "-63.0",
    "17.25",
    "42.5",
    "HIDDEN TESTS",
)


def body(page: str) -> str:
    """A page without styles and scripts, which hold all sorts of numbers."""
    return re.sub(r"<(script|style).*?</\1>", "", page, flags=re.DOTALL)


def words(page: str) -> str:
    """What a page says, without its markup."""
    return html.unescape(re.sub(r"<[^>]*>", "", body(page)))


@pytest.mark.nbgrader
@pytest.mark.parametrize("student", PUPILS)
def test_no_page_shows_a_hidden_test(student: str) -> None:
    page = body(graded_class().page(student))
    for text in (page, words(page), words(words(page)), page.replace("\\", "")):
        for secret in SECRETS:
            assert secret not in text


@pytest.mark.nbgrader
def test_what_the_spy_printed_elsewhere_is_there() -> None:
    """The scrubbing is no emptiness: the rest of what student code prints stays."""
    text = words(graded_class().page("spy"))
    assert "[hidden]" in text
    assert "RuntimeError" in text
    assert "linecache.getlines(frame" in text


@pytest.mark.nbgrader
@pytest.mark.parametrize(
    ("student", "message"),
    [
        ("hidden wrong", "A hidden test failed. less than nothing can be doubled"),
        ("half wrong", "half(3.0) is 1, expected 1.5\nHint: not rounded"),
        ("plainly wrong", "double(2.0) is 3, expected 4\nHint: twice two"),
        ("borrows", "course.start.lerp is borrowed, not written: it earns no points."),
        ("chained", "A hidden test failed. Your part raised ValueError there."),
        ("spy", "A hidden test failed. Your part raised ValueError there."),
        ("exits", "NameError: name 'half' is not defined"),
        ("loops", "The cell took more than 3 seconds and was stopped."),
        ("dies", "This cell was not reached."),
        ("dies", "Python died in this cell."),
        ("dies", "Grading: crashed"),
        ("copied", "the check 'double-check' was there 2 times; one of them counts"),
        ("right", "the answer 'why' is graded by hand, and has no points yet"),
        ("empty", "the file is empty"),
        ("empty", "has no mark yet"),
    ],
)
def test_pages_say_what_happened(student: str, message: str) -> None:
    assert message in words(graded_class().page(student))


@pytest.mark.nbgrader
def test_points_are_shown_for_each_check() -> None:
    text = " ".join(words(graded_class().page("half wrong")).split())
    assert "(Score: 3.0 / 6.0)" in text
    for name, score in (("double", "2.0 / 2.0"), ("half", "0.0 / 1.0"), ("both", "1.0 / 1.0")):
        assert f"Grade cell: {name}-check Score: {score}" in text


@pytest.mark.nbgrader
def test_pages_need_nothing_from_elsewhere_but_mathjax() -> None:
    page = graded_class().page("right")
    links = re.findall(r"""(?:src|href)=["']([^"']+)["']""", page)
    outside = [link for link in links if not link.startswith(("#", "data:"))]
    assert all("mathjax" in link for link in outside)


@pytest.mark.nbgrader
def test_pages_are_made_again(tmp_path: Path) -> None:
    """nbgrader's files may be read-only; the notice for a broken file replaces them."""
    from grader.feedback import write_notice

    page = tmp_path / "1_unit" / "x.html"
    for finding in ("<one>", "two"):
        write_notice(page, "1_unit/x", [finding])
        page.chmod(0o444)
    assert "two" in page.read_text()
    assert "one" not in page.read_text()


# Without grading anything.


def failed(*outputs: Any, source: str = CHECK_DOUBLE) -> Any:
    """The check's cell with these outputs, made fit for the student."""
    notebook = solved()
    cell = cell_of(notebook, "double-check")
    cell.source, cell.outputs, cell.execution_count = source, list(outputs), 5
    hide_hidden_tests(notebook)
    return cell


def error(name: str, message: str, line: int) -> Any:
    frame = (
        f"\x1b[36mCell\x1b[39m\x1b[36m \x1b[39m\x1b[32mIn[5]\x1b[39m\x1b[32m, line {line}\x1b[39m"
    )
    return new_output("error", ename=name, evalue=message, traceback=[frame, message])


def message_of(cell: Any) -> str:
    (output,) = cell.outputs
    assert output.traceback == [output.evalue]
    return output.evalue


def test_errors_in_the_part_that_students_see_are_told_in_full() -> None:
    assert message_of(failed(error("CheckFailed", "x is 1", 1))) == "x is 1"
    assert message_of(failed(error("KeyError", "'a'", 1))) == "KeyError: 'a'"


@pytest.mark.parametrize(
    ("name", "message", "told"),
    [
        ("CheckFailed", "A hidden test failed. less than nothing can be doubled", "less than"),
        ("CheckFailed", "double(-31.5) is 1, expected -63", "Try small cases"),
        ("CheckFailed", "A hidden test failed. -63.0 is expected", "Try small cases"),
        ("KeyError", "-31.5", "raised KeyError there"),
        ("Input_is_31_5", "-31.5", "raised an error there"),
    ],
)
def test_errors_in_hidden_tests_say_no_more_than_the_hint(
    name: str, message: str, told: str
) -> None:
    for line in (3, 99):  # in the hidden test; where nobody knows
        text = message_of(failed(error(name, message, line)))
        assert text.startswith("A hidden test failed. ")
        assert told in text
        assert "31" not in text
        assert "63" not in text


def test_what_a_check_with_hidden_tests_prints_or_draws_is_gone() -> None:
    picture = new_output("display_data", data={"image/png": "iVBO"})
    printed = new_output("stream", name="stdout", text="x is -31.5")
    assert failed(picture, printed).outputs == []
    assert failed(picture, printed, source="assert double(2) == 4").outputs == [picture, printed]


def test_the_hidden_part_of_a_check_is_gone() -> None:
    assert failed().source == 'assert_close(double(2.0), 4.0, hint="twice two")'


def test_pictures_of_other_cells_stay() -> None:
    notebook = solved()
    data = {"image/png": "iVBO", "text/html": "<img alt='a graph'>"}
    cell_of(notebook, "try-it").outputs = [new_output("display_data", data=data)]
    hide_hidden_tests(notebook)
    assert cell_of(notebook, "try-it").outputs[0].data == data


def test_lines_that_students_see_anyway_are_no_secret() -> None:
    notebook = solved()
    assert "assert_close(secret_sum, 42.5)" in hidden_lines(notebook)
    notebook.cells.append(new_code_cell("    assert_close(secret_sum, 42.5)"))
    assert "assert_close(secret_sum, 42.5)" not in hidden_lines(notebook)


def test_scrubbing_finds_quoted_lines() -> None:
    line = 'assert f("<a>") == \'é\', "b"'
    for text in (line, repr(line), html.escape(line), html.escape(repr(line)), f"\\n{line}\\n"):
        assert scrub(f"before {text} after", [line]).count("[hidden]") == 1
