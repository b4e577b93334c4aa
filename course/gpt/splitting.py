"""GPT-2's way to cut a text into pieces: words with the space before them, numbers, signs, white space.

Tokens never cross a piece's edge. So "dog", "dog." and "dog!" share the token "dog", instead of each having its own.

Source: the pattern in OpenAI's GPT-2 code (encoder.py, 2019).
"""

import re
import sys
import unicodedata
from functools import cache

SPACES = "\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
"""Unicode's white space; Python's own `\\s` has four control characters more."""


@cache
def characters_of(kind: str) -> str:
    """What stands inside the brackets of a regular expression for a category of Unicode: "L" letters, "N" numbers.

    Python's `re` does not know `\\p{L}`.
    """
    ranges: list[list[int]] = []
    for code in range(sys.maxunicode + 1):
        if unicodedata.category(chr(code))[0] == kind:
            if ranges and ranges[-1][1] == code - 1:
                ranges[-1][1] = code
            else:
                ranges.append([code, code])
    return "".join(f"{re.escape(chr(first))}-{re.escape(chr(last))}" for first, last in ranges)


@cache
def pattern() -> re.Pattern:
    """The pattern of one piece; made when it is first needed."""
    letters, numbers = characters_of("L"), characters_of("N")
    return re.compile(
        "'(?:[sdmt]|ll|ve|re)"  # the end of don't, we'll, they've ...
        f"| ?[{letters}]+"
        f"| ?[{numbers}]+"
        f"| ?[^{SPACES}{letters}{numbers}]+"
        f"|[{SPACES}]+(?![^{SPACES}])"  # white space, but for the last of it before a word
        f"|[{SPACES}]+"
    )


def split(text: str) -> list[str]:
    """The pieces of a text; put together, they are the text again.

    split("We'll  see 42!") = ["We", "'ll", " ", " see", " 42", "!"]
    """
    return pattern().findall(text)
