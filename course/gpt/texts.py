"""Texts to learn from that are on every computer with the course."""

import pydoc_data.topics
from importlib import resources

LANGUAGES = ("english", "arabic")

PLAIN = {"‘": "'", "’": "'", "“": '"', "”": '"', "–": "-", "—": "-", "…": "...", "\N{NO-BREAK SPACE}": " "}  # fmt: skip
"""What stands for typographic signs, which are too rare to be learned."""


def documentation() -> str:
    """What Python says about its language, which is part of Python: some 465,000 characters.

    All of them are ASCII: curly quotes, dashes and dots are replaced by those of a typewriter, and what is rarer still by "?".
    Other versions of Python say it in other words.
    """
    text = "\n".join(pydoc_data.topics.topics.values())
    text = "".join(PLAIN.get(character, character) for character in text)
    return text.encode("ascii", "replace").decode()


def names(language: str = "english") -> list[str]:
    """Given names, in the order of their letters.

    Args:
        language: one of LANGUAGES.

    Raises:
        ValueError: if there are none in this language.
    """
    if language not in LANGUAGES:
        raise ValueError(f"there are names in {' and '.join(LANGUAGES)}, and none in {language!r}")
    file = resources.files("course.gpt").joinpath("data", f"names_{language}.txt")
    return file.read_text(encoding="utf-8").split()
