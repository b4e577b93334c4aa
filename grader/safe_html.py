"""HTML that students wrote, made safe to put into a page.

bleach keeps what is on its list and drops the rest. What stays runs nothing, loads nothing, links to
nothing, and cannot end the element that it is put into.
"""

import html
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any
from xml.etree.ElementTree import Element

from bleach.css_sanitizer import ALLOWED_CSS_PROPERTIES, CSSSanitizer  # type: ignore[import-untyped]
from bleach.html5lib_shim import Filter  # type: ignore[import-untyped]
from bleach.sanitizer import Cleaner  # type: ignore[import-untyped]
from markupsafe import Markup
from pygments.token import STANDARD_TYPES  # type: ignore[import-untyped]

from grader.mathml import to_mathml

LARGEST = 5_000_000  # characters, pictures included
MOST_TAGS = 5000  # and attributes: the time that parsing takes may grow with their square
DEEPEST = 100  # elements in one another

DROPPED = {"script", "style"}  # with what is in them
TAGS = DROPPED | {
    *("h2", "h3", "h4", "h5", "h6", "p", "div", "span", "br", "hr", "blockquote", "pre", "code"),
    *("b", "i", "em", "strong", "del", "s", "u", "small", "sub", "sup", "kbd", "samp", "var", "q"),
    *("ul", "ol", "li", "dl", "dt", "dd", "details", "summary", "figure", "figcaption", "img"),
    *("table", "caption", "thead", "tbody", "tfoot", "tr", "th", "td", "colgroup", "col"),
}
UNCLOSED = {"p", "br", "hr", "li", "dt", "dd", "img", "tr", "th", "td", "col"}  # as one may write
FORMULA = "data-formula"  # marks an element `code` whose text is a formula
DOLLARS = {"inline": 1, "block": 2, "environment": 0}  # how many there are on each side of it
COLOURS = {*STANDARD_TYPES.values()}
ATTRIBUTES: dict[str, Any] = {
    "*": ["style"],
    "img": ["src", "alt", "width", "height"],
    "th": ["colspan", "rowspan", "scope"],
    "td": ["colspan", "rowspan"],
    "ol": ["start"],
    "details": ["open", "name"],
    "code": lambda tag, name, value: name == FORMULA and value in DOLLARS,
    # The colours of code; no other class, as it could look like the page's own.
    "div": lambda tag, name, value: name == "style" or (name, value) == ("class", "highlight"),
    "span": lambda tag, name, value: name == "style" or (name == "class" and value in COLOURS),
}
# No margins: with negative ones, something could cover what stands beside it.
STYLES = ALLOWED_CSS_PROPERTIES - {"cursor"} | {
    *("background", "border", "border-top", "border-bottom", "border-left", "border-right"),
    *("border-style", "border-width", "max-width", "max-height", "min-width"),
    *("padding", "padding-top", "padding-bottom", "padding-left", "padding-right"),
}

# What could load something, or hide that it does: functions but for colours, entities, escapes.
ODD_STYLE = re.compile(r"(?<!rgb)(?<!rgba)(?<!hsl)(?<!hsla)\(|[&\\@]")
PICTURE = re.compile(r"data:image/(?:png|jpeg|gif|webp|svg\+xml)[;,][\w=;,.:%+/~*!$()-]*")
TAG = re.compile(r"<(/?)([a-zA-Z][^\s/>]*)([^>]*)")


def safe_html(text: str) -> Markup | None:
    """The HTML without what could run, load or link to something; formulas become MathML.

    Args:
        text: any text. An element `<code data-formula="inline">$x$</code>` is drawn as a formula;
            the others are "block", $$x$$, and "environment", which has no dollar signs.

    Returns:
        Whole elements; None if the text is too large or too tangled to look through it.
    """
    if len(text) > LARGEST or _is_tangled(text):
        return None
    cleaner = Cleaner(
        TAGS,
        ATTRIBUTES,
        protocols={"data"},
        strip=True,
        filters=[_Finish],
        css_sanitizer=_Styles(STYLES),
    )
    return Markup(cleaner.clean(text))


def _is_tangled(text: str) -> bool:
    count, open_tags = 0, Counter[str]()
    for end, name, rest in TAG.findall(text):
        name = name.lower()
        count += 1 + len(rest.split())
        if end:
            open_tags[name] = max(open_tags[name] - 1, 0)
        else:
            open_tags[name] += name not in UNCLOSED
        if count > MOST_TAGS or open_tags.total() > DEEPEST:
            return True
    return False


class _Styles(CSSSanitizer):
    def sanitize_css(self, style: str) -> str:
        return "" if ODD_STYLE.search(style) else super().sanitize_css(style)


class _Finish(Filter):
    """Draws formulas, sees to pictures, and drops scripts and style sheets."""

    def __iter__(self) -> Iterator[dict[str, Any]]:
        tokens = super().__iter__()
        for token in tokens:
            name, kind = token.get("name"), token["type"]
            if name in DROPPED:
                _inside(name, tokens)
            elif kind == "StartTag" and token["data"].get((None, FORMULA)):
                yield from _formula(_inside(name, tokens), token["data"][None, FORMULA])
            elif name == "img":
                yield _picture(token)
            else:
                yield token


def _inside(name: str, tokens: Iterator[dict[str, Any]]) -> str:
    """Go on to the end of an element; returns the text in it."""
    depth, text = 1, ""
    for token in tokens:
        if token.get("name") == name and token["type"] in ("StartTag", "EndTag"):
            depth += 1 if token["type"] == "StartTag" else -1
            if not depth:
                break
        elif token["type"] == "Entity":
            text += html.unescape(f"&{token['name']};")
        elif "Characters" in token["type"]:
            text += token["data"]
    return text


def _formula(text: str, kind: str) -> Iterator[dict[str, Any]]:
    """A formula, or its source, dollar signs and all, if it cannot be drawn."""
    dollars = DOLLARS[kind]
    math = to_mathml(text[dollars : len(text) - dollars], display=kind != "inline")
    if math is None:
        math = Element("code")
        math.text = text
    yield from _tokens(math)


def _tokens(element: Element) -> Iterator[dict[str, Any]]:
    place = {"name": element.tag, "namespace": None}
    data = {(None, name): value for name, value in element.attrib.items()}
    yield {"type": "StartTag", "data": data, **place}
    if element.text:
        yield {"type": "Characters", "data": element.text}
    for child in element:
        yield from _tokens(child)
    yield {"type": "EndTag", "data": {}, **place}


def _picture(token: dict[str, Any]) -> dict[str, Any]:
    """A picture whose bytes are in the page; another is told in words."""
    data = token["data"]
    alt = data.get((None, "alt"), "")
    if PICTURE.fullmatch(data.get((None, "src"), "")):
        data[None, "alt"] = alt or "No description has been provided for this image"
        return token
    return {"type": "Characters", "data": f"[picture{': ' if alt else ''}{html.unescape(alt)}]"}
