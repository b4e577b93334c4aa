"""A tokenizer on bytes: whatever text there is, it has tokens, and frequent pieces have few."""

import re
from collections.abc import Callable, Iterable, Sequence

from course.gpt.merges import Merges, apply_merges, learn_merges
from course.gpt.splitting import split

END_OF_TEXT = "<|endoftext|>"


class BPETokenizer:
    """Byte-pair encoding, as GPT-2 has it.

    Attributes:
        merges: (left, right) -> the token that this pair becomes.
        bytes_of: for each token the bytes that it stands for.
        special: tokens that stand for no text but for something else, such as where a text ends: name -> token.
    """

    def __init__(
        self, merges: Merges, special: Iterable[str] = (), byte_order: Sequence[int] = range(256)
    ) -> None:
        """Make a tokenizer of merges.

        Args:
            merges: as `learn_merges` gives them: the tokens 256, 257, ... in this order.
            special: names of special tokens; they get the numbers after the others.
            byte_order: which byte is token 0, 1, ..., 255. GPT-2 has an order of its own.
        """
        self.merges = merges
        self.bytes_of = [bytes([byte]) for byte in byte_order]
        for left, right in merges:
            self.bytes_of.append(self.bytes_of[left] + self.bytes_of[right])
        self.special = {name: len(self.bytes_of) + i for i, name in enumerate(special)}
        self._names = {token: name for name, token in self.special.items()}
        self._byte_tokens = {byte: token for token, byte in enumerate(byte_order)}
        self._known: dict[str, list[int]] = {}  # pieces that were encoded before

    @classmethod
    def train(
        cls,
        text: str,
        n_tokens: int,
        special: Sequence[str] = (END_OF_TEXT,),
        watch: Callable[[int], None] = lambda _: None,
    ) -> "BPETokenizer":
        """Learn a tokenizer from a text.

        Args:
            text: to learn from.
            n_tokens: how many tokens there are to be, bytes and special tokens included; fewer if the text runs out of pairs.
            special: names of special tokens.
            watch: called with how many merges are learned.

        Raises:
            ValueError: if n_tokens is too small for the 256 bytes and the special tokens.
        """
        least = 256 + len(special)
        if n_tokens < least:
            raise ValueError(
                f"{n_tokens} tokens are too few: there are 256 bytes and {len(special)} special tokens"
            )
        return cls(learn_merges(split(text), n_tokens - least, watch), special)

    def __len__(self) -> int:
        return len(self.bytes_of) + len(self.special)

    def encode(self, text: str, special: bool = False) -> list[int]:
        """The tokens of a text.

        Args:
            text: any text.
            special: whether names of special tokens in the text stand for these tokens. Texts of other people should not be
                allowed to say where they end; so by default such a name is text like any other.
        """
        if not special or not self.special:
            return self._encode_ordinary(text)
        names = sorted(self.special, key=len, reverse=True)  # the longest that fits
        parts = re.split(f"({'|'.join(map(re.escape, names))})", text)
        tokens: list[int] = []
        for part in parts:
            tokens += [self.special[part]] if part in self.special else self._encode_ordinary(part)
        return tokens

    def _encode_ordinary(self, text: str) -> list[int]:
        tokens: list[int] = []
        for piece in split(text):
            known = self._known.get(piece)
            if known is None:
                single = [self._byte_tokens[byte] for byte in piece.encode()]
                known = self._known[piece] = apply_merges(single, self.merges)
            tokens += known
        return tokens

    def decode_bytes(self, tokens: Iterable[int]) -> bytes:
        """The bytes that tokens stand for.

        Raises:
            ValueError: if there is no such token.
        """
        out = []
        for token in tokens:
            if token in self._names:
                out.append(self._names[token].encode())
            elif 0 <= token < len(self.bytes_of):
                out.append(self.bytes_of[token])
            else:
                raise ValueError(f"there is no token {token}: they go from 0 to {len(self) - 1}")
        return b"".join(out)

    def decode(self, tokens: Iterable[int]) -> str:
        """The text that tokens stand for.

        A token may end in the middle of a character. What is no whole character is shown as U+FFFD, a question mark
        in a diamond.
        """
        return self.decode_bytes(tokens).decode("utf-8", errors="replace")
