"""Formulas as MathML, which browsers draw by themselves: no script, no font, no network.

Formulas may be a student's. So what `latex2mathml` makes is taken apart: what it does not know is
refused, and elements and attributes that are no mathematics (links, styles) do not get through.
"""

import html
import re
from xml.etree.ElementTree import Element

from latex2mathml.converter import Converter

LONGEST = 2000  # characters of one formula
# A definition can define something of exponential length.
REFUSED = re.compile(r"\\(?:re)?new|\\def|\\DeclareMathOperator")

# Environments by the names of those that latex2mathml knows; as in notebooks, without numbers.
SAME = {"align": "align*", "aligned": "align*", "eqnarray": "align*", "gather": "matrix"}
SAME |= {"gather*": "matrix", "gathered": "matrix"}
ENVIRONMENT = re.compile(r"\\(begin|end)\{([a-z]+\*?)\}")

# How many parts an element has: with another number, browsers show an error or nothing.
PARTS = {"mfrac": 2, "mroot": 2, "msub": 2, "msup": 2, "munder": 2, "mover": 2}
PARTS |= {"msubsup": 3, "munderover": 3}
PRIMES = set("′″‴⁗")
ELEMENTS = {
    *("math", "mrow", "mi", "mn", "mo", "mtext", "mspace", "ms", "mstyle", "mpadded", "mphantom"),
    *("msqrt", "mtable", "mtr", "mtd", "menclose", *PARTS),
}
ATTRIBUTES = {
    *("display", "displaystyle", "scriptlevel", "mathvariant", "mathcolor", "mathbackground"),
    *("stretchy", "fence", "form", "separator", "symmetric", "largeop", "movablelimits", "accent"),
    *("accentunder", "linethickness", "lspace", "rspace", "minsize", "maxsize", "width", "height"),
    *("depth", "voffset", "columnalign", "columnspacing", "rowspacing", "notation"),
}


def to_mathml(tex: str, display: bool = False) -> Element | None:
    """A formula as MathML.

    Args:
        tex: the formula in TeX, without dollar signs.
        display: whether it stands on a line of its own.

    Returns:
        The element `math`; None if the formula is too hard, wrong, or none at all.
    """
    if len(tex) > LONGEST or REFUSED.search(tex):
        return None
    tex = ENVIRONMENT.sub(lambda m: f"\\{m[1]}{{{SAME.get(m[2], m[2])}}}", tex)
    try:
        math = Converter(display="block" if display else "inline").convert_to_element(tex)
    except Exception:  # also a RecursionError, and what is no error of the library's own
        return None
    if not all(map(_settle, math.iter())):
        return None
    for power in math.iter("msup"):
        if set(power[1].text or " ") <= PRIMES:  # it is high and small by itself
            power.tag = "mrow"
    return math


def _settle(element: Element) -> bool:
    """Make one element fit for a page; returns whether that could be done."""
    # The library writes signs as entities, which it takes for text.
    element.text = html.unescape(element.text or "")
    element.attrib = {key: str(x) for key, x in element.attrib.items() if key in ATTRIBUTES}
    is_text = element.tag == "mtext"
    unknown = not is_text and element.text.startswith(("\\", "&"))
    new_line = element.tag == "mspace" and "width" not in element.attrib
    wrong = len(element) != PARTS.get(element.tag, len(element))
    return element.tag in ELEMENTS and not (unknown or new_line or wrong)
