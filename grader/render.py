"""Cells of a notebook as HTML that may stand on any page: what a student wrote does no harm there.

nbconvert's parts do the work: its Markdown with formulas, its colours for code and for terminals.
Most cells are the same for all students, so what came of a cell is remembered.
"""

import base64
import functools
import re
from typing import Any

from markupsafe import Markup, escape
from mistune import import_plugin
from nbconvert.filters.ansi import ansi2html
from nbconvert.filters.highlight import Highlight2HTML
from nbconvert.filters.markdown_mistune import (
    IPythonRenderer,
    MarkdownWithMath,
    MathInlineParser,
)

from grader.safe_html import FORMULA, safe_html

LONGEST_TEXT = 20_000  # characters of a text cell, or of what a cell printed
LONGEST_CODE = 20_000
CUT = "\n... It goes on. The rest is not shown here."
PLUGINS = ("strikethrough", "table", "def_list")

PICTURES = ("image/svg+xml", "image/png", "image/jpeg")
KINDS = ("text/html", "text/markdown", "text/latex", *PICTURES, "text/plain")  # the best first
NO_ALT = "No description has been provided for this image"


def render_text(cell: Any) -> Markup:
    """A text cell; pictures that were pasted into it are among its attachments."""
    attachments = cell.get("attachments")
    return _markdown(cell.source, attachments) if attachments else _text(cell.source)


@functools.lru_cache(maxsize=500)
def render_code(source: str) -> Markup:
    """Python code, in colours."""
    return _plain(source) if len(source) > LONGEST_CODE else Markup(_highlighter()(source))


def render_output(output: Any) -> Markup:
    """One output of a cell. Of the forms it has, the best that can be shown."""
    if output.output_type == "stream":
        return _plain(output.text)
    if output.output_type == "error":
        text = "\n".join(map(str, output.traceback)) or f"{output.ename}: {output.evalue}"
        return _plain(text, "error")
    for kind in KINDS:
        data = output.data.get(kind)
        shown = _data(kind, data, output) if isinstance(data, str) else None
        if shown is not None:
            return shown
    return Markup("")


def _data(kind: str, data: str, output: Any) -> Markup | None:
    """One form of an output; None if it cannot be shown."""
    if kind == "text/html":
        return safe_html(data)
    if kind == "text/plain":
        return _plain(data)
    if kind not in PICTURES:
        return _text(data)
    if kind == "image/svg+xml":  # as a picture, it runs and loads nothing
        data = base64.b64encode(data.encode(errors="replace")).decode()
    about = output.get("metadata", {}).get(kind)
    alt = about.get("alt") if isinstance(about, dict) else ""
    return Markup('<img alt="{}" src="data:{};base64,{}">').format(
        alt or NO_ALT, kind, "".join(data.split())
    )


@functools.lru_cache(maxsize=500)
def _text(source: str) -> Markup:
    return _markdown(source, {})


def _markdown(source: str, attachments: Any) -> Markup:
    """A text, with its formulas drawn; as it was typed, if that is too hard."""
    if len(source) > LONGEST_TEXT:
        return _plain(source)
    try:
        renderer = _Renderer(escape=False, exclude_anchor_links=True, attachments=attachments)
        plugins = map(import_plugin, PLUGINS)
        shown = MarkdownWithMath(renderer, inline=_Inline(), plugins=plugins).render(source)
        return safe_html(shown) or _plain(source)
    except Exception:  # whatever a student wrote, the page gets made
        return _plain(source)


class _Inline(MathInlineParser):
    """As in notebooks, but `$5 and $6` is no formula, and `code` with a dollar sign stays whole."""

    SPECIFICATION = {  # noqa: RUF012 - as in nbconvert
        **MathInlineParser.SPECIFICATION,
        "inline_math_tex": r"(?<![$\\])\$(?P<math_inline_tex>(?:\\[^`]|[^$`\\])+)\$(?![\d$])",
    }


class _Renderer(IPythonRenderer):
    """Leaves formulas marked for `safe_html`, and no links."""

    def inline_math(self, body: str) -> str:
        return self._formula("inline", f"${body}$")

    def block_math(self, body: str) -> str:
        return self._formula("block", f"$${body}$$")

    def latex_environment(self, name: str, body: str) -> str:
        return self._formula("environment", f"\\begin{{{name}}}{body}\\end{{{name}}}")

    def heading(self, text: str, level: int, **attrs: Any) -> str:
        """The page has a heading above all of the notebook's."""
        return super().heading(text, min(level + 1, 6), **attrs)

    def link(self, text: str, url: str, title: str | None = None) -> str:
        """Where it leads, in words: the page stands alone."""
        outside = re.match(r"https?://|mailto:", url) and url not in text
        return f"{text} ({escape(url)})" if outside else text

    def _formula(self, kind: str, source: str) -> str:
        return f'<code {FORMULA}="{kind}">{escape(source)}</code>'


@functools.cache
def _highlighter() -> Highlight2HTML:
    return Highlight2HTML(pygments_lexer="ipython3")


def _plain(text: str, name: str = "text") -> Markup:
    """Text as a terminal shows it, in an element of this class."""
    if len(text) > LONGEST_TEXT:
        text = text[:LONGEST_TEXT] + CUT
    # A progress bar goes back to the beginning of its line, and writes over it.
    lines = [line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n")]
    shown = ansi2html("\n".join(lines))
    return Markup(f'<pre class="{name}">{shown}</pre>')
