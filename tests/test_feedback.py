"""What students get back: all they should know, nothing of the hidden tests, and no harm."""

import html
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import nbformat
import pytest
from bleach import html5lib_shim
from graded_class import PUPILS, graded_class
from hypothesis import given, settings
from hypothesis import strategies as st
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output
from small_course import CHECK_DOUBLE, SMALL, cell_of, handed_in, solved

from grader.feedback import HandMark, make_page, write_feedback
from grader.hidden_tests import hidden_lines, hide_hidden_tests, scrub
from grader.mathml import to_mathml
from grader.outcome import CheckOutcome, Outcome
from grader.paths import ROOT
from grader.results import Status

SECRETS = (
    "assert_close(double(-31.5), -63.0",
    "secret_sum",
    "-31.5",
    "-63.0",
    "17.25",
    "42.5",
    "HIDDEN TESTS",
)
VOID = {"meta", "img", "br", "hr", "col", "link", "input"}
LOADING = {"src", "href", "srcset", "data", "action", "formaction", "poster", "background", "ping"}
WRONG = "double(2.0) is 3, expected 4\nwhere x is 2\nHint: twice two"
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


class Reader(HTMLParser):
    """Reads a page strictly: every element ends, and ends where it should."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.words = self.styles = ""
        self.open: list[str] = []
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "style":
            self.styles += data
        else:
            self.words += data

    def values(self, name: str) -> list[str]:
        """All values of an attribute."""
        return [value for _, attribute, value in self.attributes if attribute == name]


def assert_harmless(page: str) -> Reader:
    """Nothing on the page runs, loads anything, or leads away; returns the page as it was read."""
    read = Reader(page)
    assert not {"script", "iframe", "object", "embed", "form", "link", "base", "svg"} & {*read.tags}
    for tag, name, value in read.attributes:
        assert not name.startswith("on"), (tag, name)
        if name in LOADING or name.endswith(":href"):
            assert value.startswith(("#", "data:image/")), (tag, name, value)
        assert (tag, name) != ("meta", "http-equiv") or value == "Content-Security-Policy"
    for style in (read.styles, *read.values("style")):
        assert not re.search(r"url\(|@import|image-set|expression", style, re.I)
    assert read.tags.count("style") == 1
    return read


def words(page: str) -> str:
    """What a page says, without its markup."""
    return Reader(page).words


def outcome_of(*cells: Any, **fields: Any) -> Outcome:
    """An outcome whose notebook has these cells more than the one that was handed out."""
    notebook = handed_in()
    notebook.cells += cells
    for cell in notebook.cells:
        if cell.metadata.get("nbgrader", {}).get("grade") and cell.cell_type == "code":
            cell.outputs = []
    checks = [
        CheckOutcome("double-check", ["double"], 0, 2, WRONG, failed_at=0),
        CheckOutcome("half-check", ["half"], 1, 1),
        CheckOutcome("both-check", ["double", "half"], 1, 1),
    ]
    given: dict[str, Any] = {"checks": checks, "notebook": notebook, **fields}
    return Outcome("ada", SMALL, given.pop("status", Status.OK), **given)


def page_of(*cells: Any, **fields: Any) -> str:
    return make_page(outcome_of(*cells, **fields), {"why": HandMark("why", None, 2)})


def page_with(*outputs: Any) -> str:
    """A page with a cell of the student's that gave these outputs."""
    return page_of(new_code_cell("show()", outputs=list(outputs)))


def shown(**data: str) -> Any:
    """An output with these forms: html="<b>", plain="b"."""
    kinds = {"png": "image/png", "svg": "image/svg+xml"}
    forms = {kinds.get(name, f"text/{name}"): text for name, text in data.items()}
    return new_output("display_data", data=forms)


# The top of the page.


def test_the_top_says_what_came_of_it() -> None:
    page = page_of(status=Status.REPAIRED, findings=["the check 'x' was edited"])
    text = " ".join(words(page).split())
    assert f"{SMALL} Feedback for ada 2 of 4 points" in text
    assert "Another 2 points wait to be graded by hand. 2 of 3 checks passed." in text
    assert "Grading: repaired. Something in the file was put right first" in text
    assert "the check 'x' was edited" in text
    assert page.count("<h1") == 1
    assert "<h2>Numbers</h2>" in page  # the notebook's own
    assert '<html lang="en">' in page


def test_a_lesson_of_the_course_is_called_by_its_title() -> None:
    checks = [CheckOutcome("tanh", ["micrograd-engine-Value-tanh"], 1, 1)]
    page = make_page(Outcome("ada", "1_micrograd/1_scalars", Status.OK, checks=checks), {})
    assert "<h1>1.1 Scalars that remember</h1>" in page
    assert "8: tanh and relu" in page


@pytest.mark.parametrize("status", Status)
def test_every_status_is_said_in_words(status: Status) -> None:
    assert re.search(rf"Grading: {status}\. \w[^<]+\.</p>", page_of(status=status))


@pytest.mark.parametrize("status", [Status.UNREADABLE, Status.CRASHED])
def test_without_a_notebook_the_page_says_why(status: Status) -> None:
    page = make_page(Outcome("ada", SMALL, status, ["the file is <empty>"]), {})
    text = assert_harmless(page).words
    assert "This notebook could not be graded, and has no mark yet." in text
    assert "the file is <empty>" in text
    assert "points" not in text
    assert "table" not in Reader(page).tags


def test_cells_that_did_not_run_are_mentioned_once() -> None:
    for not_run, times in ((["try-it", "other"], 1), ([], 0)):
        outcome = outcome_of()
        outcome.notebook["metadata"]["course"]["grading"] = {"not_run": not_run}  # type: ignore[index]
        assert make_page(outcome, {}).count("did not run in grading") == times


# The table, and the checks.


def results(page: str) -> list[list[str]]:
    """The rows of the table of results, in words."""
    rows = re.findall(r"<tr class.*?</tr>", page, re.S)
    return [
        [" ".join(words(cell).split()) for cell in re.findall(r"<t[dh].*?</t[dh]>", row, re.S)]
        for row in rows
    ]


def test_the_table_has_every_check_and_question() -> None:
    assert results(page_of()) == [
        ["double", "double-check", "0 of 2", "failed: double(2.0) is 3, expected 4"],
        ["half", "half-check", "1 of 1", "passed"],
        ["double; half", "both-check", "1 of 1", "passed"],
        ["an answer in words", "why", "up to 2", "waits to be graded by hand"],
    ]


def test_of_an_error_the_table_has_the_last_line() -> None:
    message = "line 1 of this cell:  double(2)\nline 2 of double:  x[0]\nTypeError: no <int>"
    checks = [CheckOutcome("double-check", [], 0, 2, message)]
    assert results(page_of(checks=checks))[0][3] == "failed: TypeError: no <int>"


def test_the_table_leads_to_the_checks_and_back() -> None:
    read = Reader(page_of())
    targets = {value.removeprefix("#") for value in read.values("href")}
    assert len(targets) == 5
    ids = read.values("id")
    assert targets <= {*ids}
    assert len({*ids}) == len(ids)


def test_a_check_says_why_it_failed() -> None:
    outcome = outcome_of()
    outcome.checks[0].misconception = "Adds <one>."
    page = make_page(outcome, {})
    assert f'<pre class="message">{WRONG}</pre>' in page
    assert "Check double-check: 0 of 2 points, failed" in words(page)
    assert "This looks like: Adds <one>." in words(page)


def test_the_message_stands_there_once() -> None:
    """The check's cell has it, too, as an error."""
    outcome = outcome_of()
    error = new_output("error", ename="CheckFailed", evalue=WRONG, traceback=[WRONG])
    cell_of(outcome.notebook, "double-check").outputs = [error]
    assert make_page(outcome, {}).count("Hint: twice two") == 1


def test_marks_and_words_of_a_teacher() -> None:
    marks = {
        "why": HandMark("why", 1.5, 2, "Almost:\n<think> again"),
        "double-check": HandMark("double-check", 2, 2, "I saw what you meant."),
        "half-check": HandMark("half-check", None, 1, "Neat."),
    }
    page = make_page(outcome_of(), marks)
    text = words(page)
    assert "5.5 of 6 points" in text
    assert "wait to be graded" not in text
    assert "Question why: 1.5 of 2 points, graded by hand" in text
    assert "Check double-check: 2 of 2 points, failed, points given by hand" in text
    for mark in marks.values():
        assert f"Your teacher wrote: {mark.comment}" in text


def test_partial_credit_and_half_points() -> None:
    checks = [CheckOutcome("double-check", [], 0.5, 2)]
    assert results(page_of(checks=checks))[0] == ["", "double-check", "0.5 of 2", "passed in part"]


def test_a_check_that_is_not_in_the_notebook_is_told_in_the_table() -> None:
    checks = [CheckOutcome("gone", [], 0, 2, WRONG, misconception="Adds.")]
    page = page_of(checks=checks)
    assert f'<pre class="message">{WRONG}</pre>' in page.partition("</table>")[0]
    assert "This looks like: Adds." in page


def test_of_a_check_and_its_copy_one_is_shown_as_the_check() -> None:
    twin = cell_of(handed_in(), "double-check")
    assert page_of(twin).count("Check double-check:") == 1


# Nothing of the hidden tests.


def test_hidden_parts_never_appear() -> None:
    """Whoever made the outcome: of a check, the page shows what students have seen."""
    outcome = outcome_of(notebook=solved())
    text = page = make_page(outcome, {})
    for secret in SECRETS:
        assert secret not in text
        assert secret not in words(page)
    assert "assert_close(double(2.0), 4.0" in words(page)


def test_a_hidden_test_that_failed_says_its_hint() -> None:
    message = "A hidden test failed. less than nothing can be doubled"
    checks = [CheckOutcome("double-check", ["double"], 0, 2, message, hidden=True, failed_at=1)]
    page = page_of(checks=checks)
    assert results(page)[0][3] == f"failed: {message}"
    assert words(page).count(message) == 2


# What student code gave.


def test_pictures_keep_their_words() -> None:
    picture = shown(png=PNG)
    picture.metadata = {"image/png": {"alt": 'a "red" dot'}}
    page = page_with(
        picture,
        shown(png=PNG + '"onload="x'),
        shown(html="<img alt='A dot' src='data:image/png;base64,AA=='>"),
    )
    read = assert_harmless(page)
    assert read.values("alt")[0] == 'a "red" dot'
    assert "No description" in read.values("alt")[1]
    assert read.values("alt")[2] == "A dot"
    assert read.values("src")[0] == f"data:image/png;base64,{PNG}"


def test_a_drawing_is_shown_as_a_picture() -> None:
    """As a picture, what is in it neither runs nor loads."""
    page = page_with(shown(svg="<svg onload='x()'><script>x()</script></svg>", plain="a drawing"))
    (source,) = assert_harmless(page).values("src")
    assert source.startswith("data:image/svg+xml;base64,")


def test_tables_stay_tables() -> None:
    table = "<table border=1 class=dataframe><tr><th>a</th></tr><tr><td style='text-align:right;color:red'>1</td></tr></table>"
    read = assert_harmless(page_with(shown(html=table)))
    assert [tag for tag in read.tags if tag in ("table", "td", "th")][-3:] == ["table", "th", "td"]
    assert "text-align:right;color:red;" in read.values("style")


def test_a_style_sheet_is_not_shown_as_text() -> None:
    assert "vertical: 1" not in page_with(
        shown(html="<style scoped>td { vertical: 1 }</style><p>x")
    )


def test_errors_and_colours() -> None:
    red = "\x1b[31mValueError\x1b[39m: \x1b[1;38;5;28m<b>\x1b[0m"
    page = page_with(
        new_output("error", ename="ValueError", evalue="x", traceback=["line 1", red]),
        new_output("error", ename="KeyError", evalue="'<k>'", traceback=[]),
        new_output("stream", name="stderr", text="\x1b[33mcareful\x1b[0m \x07\x1b]0;title\x07"),
    )
    text = assert_harmless(page).words
    assert "line 1\nValueError: <b>" in text
    assert "KeyError: '<k>'" in text
    assert '<span class="ansi-red-fg">ValueError</span>' in page
    assert not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f]", page)


def test_very_long_output_is_cut() -> None:
    page = page_with(new_output("stream", name="stdout", text="spam and eggs\n" * 100_000))
    assert "It goes on. The rest is not shown here." in page
    assert len(page) < 100_000


def test_a_progress_bar_is_shown_as_it_ended() -> None:
    page = page_with(new_output("stream", name="stdout", text="10%\r50%\r100%\r\ndone"))
    assert ">100%\ndone</pre>" in page


def test_the_best_form_that_can_be_shown() -> None:
    text = words(page_with(shown(html="<i>best</i>", plain="worse"), shown(plain="only <this>")))
    assert "best" in text
    assert "worse" not in text
    assert "only <this>" in text
    assert "<math" in page_with(shown(latex=r"$\displaystyle x^2$", plain="x**2"))
    widget = new_output(
        "display_data",
        data={
            "application/vnd.jupyter.widget-view+json": {"model_id": "1"},
            "text/plain": "Slider",
        },
    )
    script = new_output("display_data", data={"application/javascript": "alert(1)"})
    assert "Slider" in words(page_with(widget, script))


@pytest.mark.parametrize(
    "tangled",
    ["<div>" * 2000, "<i a=1>" * 500, "<p " + "a " * 20_000 + ">", "<p>" * 20_000],
)
def test_html_that_takes_for_ever_is_not_looked_through(tangled: str) -> None:
    assert "in plain words" in words(page_with(shown(html=tangled, plain="in plain words")))


NASTY = {
    "script": "<script>alert(1)</script><SCRIPT SRC=//e.org/x.js></SCRIPT>",
    "iframe": "<iframe src=https://e.org></iframe><iframe srcdoc='<script>x()</script>'></iframe>",
    "link": "<a href='javascript:alert(1)'>a</a><a href=https://e.org>b</a>",
    "handler": "<b onclick=alert(1)>b</b><img src=x onerror=alert(1)><details ontoggle=x open>",
    "picture": "<img src=https://e.org/x.png><img src='//e.org/x' srcset='https://e.org/y 2x'>",
    "style": "<style>@import 'https://e.org';*{background:url(https://e.org)}</style>",
    "styles": "<p style='background:url(https://e.org)'><p style='background:u\\72l(//e.org)'>",
    "entities": "<p style='background:&#117;rl(//e.org)'><p style='background:url&lpar;//e.org'>",
    "twice": "<p style='background:&amp;#117;rl(//e.org);color:red'>",
    "image-set": "<p style='background:image-set(\"https://e.org/x\" 1x)'>",
    "over": "<div style='position:fixed;inset:0;z-index:9'>covers the page</div>",
    "head": "<base href=https://e.org><meta http-equiv=refresh content='0;url=https://e.org'>",
    "resource": "<link rel=stylesheet href=https://e.org/x.css><object data=https://e.org></object>",
    "form": "<form action=https://e.org><input name=a autofocus><button formaction=//e.org>b",
    "svg": "<svg><image href=https://e.org/x /><use href='//e.org#x'/><script>x()</script></svg>",
    "math": "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=x()&gt;'>",
    "data": "<a href='data:text/html,<script>x()</script>'>x</a><img src='data:text/html,x'>",
    "media": "<video src=https://e.org poster=//e.org></video><audio src=//e.org autoplay></audio>",
    "comment": "<!-- <script>x()</script> --><!--><img src=//e.org onerror=x()>-->",
    "ends": "</div></section></main></body></html><h1>mine</h1>",
    "boxes": "<div class='cell box' id=results>Check double-check</div><span class='box passed'>",
    "unclosed": "<table><tr><td><div><b><i><details><summary>",
    "plain": "<plaintext><xmp><noscript><template><title><textarea>",
    "mermaid": "<pre class=mermaid>graph TD; A-->B</pre>",
}


@pytest.mark.parametrize("source", NASTY.values(), ids=NASTY)
def test_what_students_write_does_no_harm(source: str) -> None:
    """As an output, in a text, and in a text that an output is."""
    cells = [
        new_code_cell("show()", outputs=[shown(html=source), shown(markdown=source)]),
        new_markdown_cell(source),
        new_markdown_cell(f"- a\n\n  {source}\n\n| a |\n|---|\n| {source} |"),
        new_markdown_cell("the end"),
    ]
    read = assert_harmless(page_of(*cells))
    assert read.tags.count("h1") == 1
    assert read.tags.count("section") == 6  # results, notebook, three checks and a question
    assert read.values("id").count("results") == 1
    assert sum("box" in value for value in read.values("class")) == 4
    assert notebook_cells(page_of(*cells)) == notebook_cells(page_of()) + len(cells)


def test_links_and_pictures_of_texts_are_told_in_words() -> None:
    text = "[a site](https://e.org/x) <https://e.org/y> [next](2_networks.ipynb) ![a cat](cat.png)"
    read = assert_harmless(page_of(new_markdown_cell(text + " [no](javascript:x())")))
    assert "a site (https://e.org/x) https://e.org/y next [picture: a cat]" in read.words


def test_pictures_pasted_into_a_text() -> None:
    cell = new_markdown_cell("![dot](attachment:dot.png) ![gone](attachment:gone.png)")
    cell.attachments = {"dot.png": {"image/png": PNG}}
    assert "gone" in words(page_of(cell))
    cell.source = "![dot](attachment:dot.png)"
    assert f"data:image/png;base64,{PNG}" in assert_harmless(page_of(cell)).values("src")


def test_odd_notebooks_have_a_page() -> None:
    cells = [
        new_code_cell(""),
        new_code_cell("x = (" * 500),
        new_code_cell("%%html\n<script>alert(1)</script>"),
        new_code_cell("y" * 60_000),
        new_markdown_cell("z " * 20_000),
        new_markdown_cell(">" * 5000 + "[" * 5000),
        nbformat.v4.new_raw_cell("<script>raw()</script>"),
    ]
    picture = shown(png=PNG)
    picture.metadata = {"image/png": "x", "filenames": {"image/png": "https://e.org"}}
    error = new_output("error", ename="E", evalue="x", traceback=[])
    error.traceback = [{"a": 1}]
    table = shown(html="")
    table.data = {"text/html": {}}
    cells[2].outputs = [picture, error, table]
    cells[1].metadata = {"tags": ['x"><script>'], "nbgrader": {}}
    text = assert_harmless(page_of(*cells)).words
    assert "<script>raw()</script>" in text
    assert "<script>alert(1)</script>" in text


def test_sources_may_be_lists_of_lines() -> None:
    """That is how files have them."""
    outcome = outcome_of(new_code_cell("a = 1\nb = 2"))
    text = nbformat.writes(outcome.notebook)
    outcome.notebook = json.loads(text)
    assert "a = 1\nb = 2" in words(make_page(outcome, {}))
    assert Outcome.from_json(outcome.to_json()) == outcome


# Any text.


def tree(page: str) -> Any:
    """The page as a browser understands it."""
    return html5lib_shim.HTMLParser(namespaceHTMLElements=False).parse(page)


def notebook_cells(page: str) -> int:
    """How many cells the notebook has in a browser."""
    (main,) = tree(page).findall("body/main")
    notebook = main.findall("section")[-1]
    assert notebook.get("class") == "notebook"
    return len([child for child in notebook if "cell" in child.get("class", "").split()])


@settings(max_examples=40, deadline=None)
@given(st.text())
def test_any_words_leave_the_page_as_it_is(text: str) -> None:
    def made_with(text: str) -> Reader:
        check = CheckOutcome("double-check", [text], 0, 2, text, misconception=text)
        outcome = outcome_of(checks=[check], findings=[text])
        outcome.student, outcome.lesson = text, text
        marks = {name: HandMark(name, 1, 2, text) for name in ("why", "double-check")}
        return assert_harmless(make_page(outcome, marks))

    read = made_with(f"x{text}")
    assert read.tags == made_with("x").tags
    kept = re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f]", "", f"x{text}")
    assert read.words.count(kept.strip()) >= 8


PIECES = st.sampled_from(
    [
        *("<div>", "</div>", "</section>", "</main>", "<table>", "<tr>", "<td>", "</table>", "<p>"),
        *("</p>", "<b>", "</b>", "<i", ">", "<!--", "-->", '"', "'", "&", "&lt;", "<script>", "`"),
        *(
            "</script>",
            "<style>",
            "</style>",
            "<svg>",
            "<math>",
            "<img src=",
            "//e.org ",
            "$",
            "$$",
        ),
        *("onerror=x() ", "<a href=", "javascript:x()", "<h1>", "<li>", "<details>", "</details>"),
        *(
            "<summary>",
            "<code data-formula=inline>",
            "</code>",
            "x",
            "\n\n",
            "\\frac{",
            "}",
            "\x00",
        ),
        *(
            "<pre>",
            "</pre>",
            "<select>",
            "<template>",
            "</br>",
            "<plaintext>",
            "\x1b[31m",
            "\ud800",
        ),
    ]
)


@settings(max_examples=150, deadline=None)
@given(st.lists(PIECES, max_size=25).map("".join))
def test_any_html_stays_in_its_place(source: str) -> None:
    outputs = [shown(html=source), shown(markdown=source), shown(plain=source)]
    cells = [new_code_cell(source, outputs=outputs), new_markdown_cell(source + "x")]
    page = page_of(*cells, new_markdown_cell("the end"))
    assert_harmless(page)
    assert notebook_cells(page) == notebook_cells(page_of()) + 3


# Formulas.


class Formulas(IPythonRenderer):
    """Collects the formulas of a text."""

    found: list[tuple[str, bool]]

    def inline_math(self, body: str) -> str:
        self.found.append((body, False))
        return ""

    def block_math(self, body: str) -> str:
        self.found.append((body, True))
        return ""

    def latex_environment(self, name: str, body: str) -> str:
        return self.block_math(f"\\begin{{{name}}}{body}\\end{{{name}}}")


def test_every_formula_of_the_lessons_is_drawn() -> None:
    renderer = Formulas(escape=False)
    renderer.found = []
    for path in (ROOT / "lessons").rglob("*.md"):
        MarkdownWithMath(renderer).render(path.read_text(encoding="utf-8"))
    assert len(renderer.found) > 50
    for tex, display in renderer.found:
        assert to_mathml(tex, display) is not None, tex


def drawn(tex: str) -> str:
    math = to_mathml(tex)
    assert math is not None
    return "".join(math.itertext())


@pytest.mark.parametrize(
    ("tex", "signs"),
    [
        (r"\frac{\partial L}{\partial w_i}", "∂L∂wi"),
        (r"\begin{align} a &= b \\ &= c \end{align}", "a=b=c"),
        (r"\begin{aligned} a &= b \end{aligned}", "a=b"),
        (r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}", "(1234)"),
        (r"x < y \text{ if } z > 0", "x<y\xa0if\xa0z>0"),
        (r"\text{<script>alert(1)</script> &lt;b&gt;}", "<script>alert(1)</script>\xa0<b>"),
        (r"f'(x)", "f′(x)"),
    ],
)
def test_formulas(tex: str, signs: str) -> None:
    assert drawn(tex) == signs


@pytest.mark.parametrize(
    "tex",
    [
        *(
            "",
            "x^",
            "x_1_2",
            r"\frac{a}",
            r"\left( a",
            r"\unknown{x}",
            "a & b",
            r"a \\ b",
            "{" * 900,
        ),
        *("x" * 5000, r"\newcommand{\a}{\b\b} \a", r"\def\a{b} \a", r"\begin{align} a"),
    ],
)
def test_formulas_that_cannot_be_drawn_are_shown_as_they_are(tex: str) -> None:
    assert to_mathml(tex) is None
    page = page_of(new_markdown_cell(f"before ${tex}$ after"))
    assert f"before ${tex}$ after" in assert_harmless(page).words
    if tex:
        assert f"<code>${html.escape(tex, quote=False)}$</code>" in page


@pytest.mark.parametrize("tex", [r"\href{https://e.org}{x}", r"\style{background:url(//e)}{x}"])
def test_formulas_are_nothing_but_formulas(tex: str) -> None:
    assert drawn(tex) == "x"
    assert "<math" in page_of(new_markdown_cell(f"${tex}$"))
    assert_harmless(page_of(new_markdown_cell(f"${tex}$")))


@pytest.mark.parametrize(
    ("source", "formulas"),
    [
        ("$x$ and $y$", 2),
        ("$$\nx = 1\n$$", 1),
        (r"\\(x\\) and \\[y\\]", 2),
        ("\\begin{align}\nx &= 1 \\\\\ny &= 2\n\\end{align}", 1),
        ("**bold $x$** and\n\n- a list with $$y$$\n\n> a quote with $z$", 3),
        ("<details><summary>Hint</summary>\n\nLook at $x$.\n\n</details>", 1),
        ("| a | b |\n|---|---|\n| $x$ | $y$ |", 2),
        ("# On $x$", 1),
        ("`$x$` and ``$$y$$``", 0),
        ("```\n$x$ and $$y$$\n```", 0),
        ("```python\nprint('$x$')\n```", 0),
        ("    $$ indented $$", 0),
        (r"it costs \$5 or \$6", 0),
        ("it costs $5 or $6", 0),
        ("it costs $5, `and` `$x`", 0),
        ("<pre>$x$</pre>", 0),
    ],
)
def test_what_is_a_formula(source: str, formulas: int) -> None:
    page = page_of(new_markdown_cell(source))
    assert page.count("<math ") == formulas
    if not formulas:
        kept = re.sub(r"[`\\]|^```.*$|<[^>]*>|python\n", "", source).strip()
        assert kept in words(page)


# The file.


def test_the_page_is_one_small_file_that_stays_alone(tmp_path: Path) -> None:
    path = tmp_path / "1_unit" / "1_small.html"
    write_feedback(path, outcome_of(), {})
    page = path.read_text(encoding="utf-8")
    assert_harmless(page)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy
    assert policy[1].startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline'")
    assert len(page) < 30_000


def test_the_page_of_a_whole_lesson_is_small(tmp_path: Path) -> None:
    notebook = nbformat.read(ROOT / "notebooks" / "1_micrograd" / "1_scalars.ipynb", 4)
    outcome = Outcome("ada", "1_micrograd/1_scalars", Status.OK, notebook=notebook)
    assert len(make_page(outcome, {})) - len(nbformat.writes(notebook)) < 150_000


def test_pages_are_made_again(tmp_path: Path) -> None:
    """nbgrader's files may be read-only."""
    path = tmp_path / "x.html"
    for finding in ("<one>", "two \ud800"):
        write_feedback(path, Outcome("ada", SMALL, Status.UNREADABLE, [finding]), {})
        path.chmod(0o444)
    assert "two" in path.read_text(encoding="utf-8")
    assert "&lt;one&gt;" not in path.read_text(encoding="utf-8")


# A class, graded.


@pytest.mark.nbgrader
@pytest.mark.parametrize("student", PUPILS)
def test_no_page_shows_a_hidden_test(student: str) -> None:
    page = graded_class().page(student)
    text = assert_harmless(page).words
    for form in (text, html.unescape(text), text.replace("\\", "")):
        for secret in SECRETS:
            assert secret not in form


@pytest.mark.nbgrader
@pytest.mark.parametrize(
    ("student", "message"),
    [
        ("hidden wrong", "A hidden test failed. less than nothing can be doubled"),
        ("half wrong", "half(3.0) is 1, expected 1.5\nHint: not rounded"),
        ("plainly wrong", "double(2.0) is 3, expected 4\nHint: twice two"),
        ("borrows", "course.start.lerp is borrowed, not written: it earns no points."),
        ("chained", "A hidden test failed. Your part raised ValueError there."),
        ("exits", "NameError: name 'half' is not defined"),
        ("loops", "The cell took more than 3 seconds and was stopped."),
        ("dies", "failed: NameError: name 'half' is not defined"),
        ("dies", "Python died in this cell."),
        ("dies", "Grading: crashed"),
        ("copied", "the check 'double-check' was there 2 times; one of them counts"),
        ("right", "waits to be graded by hand"),
        ("half wrong", "3 of 4 points"),
        ("half wrong", "Check double-check: 2 of 2 points, passed"),
        ("half wrong", "Check half-check: 0 of 1 points, failed"),
        ("empty", "the file is empty"),
        ("empty", "has no mark yet"),
    ],
)
def test_pages_say_what_happened(student: str, message: str) -> None:
    assert message in words(graded_class().page(student))


# Hiding hidden tests that ran beside student code, in a Jupyter kernel.


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
