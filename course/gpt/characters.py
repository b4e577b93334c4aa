"""The simplest tokens: each character that occurs in a text is one."""

from collections.abc import Sequence


class CharTokenizer:
    """Numbers for the characters of a text, and back.

    Attributes:
        characters: a list of all that occur in the text, each once, sorted; a character's number is its place in the list.
    """

    def __init__(self, text: str) -> None:
        self.characters = sorted(set(text))
        self._numbers = {character: i for i, character in enumerate(self.characters)}

    def __len__(self) -> int:
        return len(self.characters)

    def encode(self, text: str) -> list[int]:
        """The numbers of a text's characters.

        Raises:
            ValueError: if a character did not occur in the text that the tokenizer was made from; its message says which character.
        """
        for character in text:
            if character not in self._numbers:
                raise ValueError(
                    f"the character {character!r} did not occur in the text that this tokenizer was made from"
                )
        return [self._numbers[character] for character in text]

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of these numbers."""
        return "".join(self.characters[token] for token in tokens)
