"""The simplest tokens: each character that occurs in a text is one."""

from collections.abc import Iterable, Sequence


class CharTokenizer:
    """Numbers for the characters of a text, and back.

    Attributes:
        characters: all that occur, sorted; a character's number is its place.
    """

    def __init__(self, text: Iterable[str]) -> None:
        self.characters = sorted(set(text))
        self._numbers = {character: i for i, character in enumerate(self.characters)}

    def __len__(self) -> int:
        return len(self.characters)

    def encode(self, text: str) -> list[int]:
        """The numbers of a text's characters.

        Raises:
            ValueError: if a character did not occur in the text that the tokenizer was made from; it says which.
        """
        try:
            return [self._numbers[character] for character in text]
        except KeyError as error:
            raise ValueError(
                f"the character {error.args[0]!r} did not occur in the text that this tokenizer was made from"
            ) from None

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of these numbers."""
        return "".join(self.characters[token] for token in tokens)
