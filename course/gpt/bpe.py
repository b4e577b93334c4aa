"""A tokenizer on bytes: whatever text there is, it has tokens, and frequent pieces have few."""

import re
from collections.abc import Callable, Iterable, Sequence

from course.gpt.merges import Merges, apply_merges, learn_merges
from course.gpt.splitting import split

END_OF_TEXT = "<|endoftext|>"


def vocabulary(merges: Merges, byte_order: Sequence[int] = range(256)) -> list[bytes]:
    """For each token the bytes that it stands for.

    The first 256 tokens are single bytes. Each merge then makes the next token, whose bytes are those of its two parts together.

        vocabulary({(104, 105): 256, (256, 33): 257})[256:] = [b"hi", b"hi!"]

    Args:
        merges: {(left, right): token}, in the order in which they were learned: the tokens 256, 257, ...
        byte_order: which byte is token 0, 1, ..., 255: token i stands for the byte byte_order[i]. The parts in
            `merges` are tokens, not bytes.
    """
    bytes_of = [bytes([byte]) for byte in byte_order]
    for left, right in merges:
        bytes_of.append(bytes_of[left] + bytes_of[right])
    return bytes_of


class BPETokenizer:
    """Byte-pair encoding, as GPT-2 has it.

    Attributes:
        merges: (left, right) -> the token that this pair becomes.
        bytes_of: for each token the bytes that it stands for.
        token_of: byte -> the token that stands for it alone.
        special: tokens that stand for no text but for something else, such as where a text ends: name -> token.
        known: piece -> its tokens, for the pieces that were encoded before.
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
        self.bytes_of = vocabulary(merges, byte_order)
        self.token_of = {byte: token for token, byte in enumerate(byte_order)}
        self.special = {name: len(self.bytes_of) + i for i, name in enumerate(special)}
        self.known: dict[str, list[int]] = {}

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

    def encode_ordinary(self, text: str) -> list[int]:
        """The tokens of a text in which nothing is special.

        The text is cut into pieces by `split`; a piece's bytes become tokens by `self.token_of`, and then `self.merges` are applied.
        The tokens of each piece are kept in `self.known`, and are taken from there when the piece comes again. The result is a list of
        its own: whoever changes it changes nothing in `self.known`, even if the text is a single piece.

        Raises:
            UnicodeEncodeError: if the text has half a character (a lone surrogate), which has no bytes.
        """
        tokens: list[int] = []
        for piece in split(text):
            if piece not in self.known:
                single = [self.token_of[byte] for byte in piece.encode()]
                self.known[piece] = apply_merges(single, self.merges)
            tokens += self.known[piece]
        return tokens

    def encode(self, text: str, special: bool = False) -> list[int]:
        """The tokens of a text.

        Args:
            text: any text.
            special: whether names of special tokens in the text stand for these tokens: then each becomes one token, and what is between
                them is ordinary text. The text is read from left to right; if several names fit at the same place, the longest is taken.
                Without any special tokens, all of the text is ordinary. Texts of other people should not be able to say where they end;
                so by default, such a name is text like any other.
        """
        if not special or not self.special:
            return self.encode_ordinary(text)
        names = sorted(self.special, key=len, reverse=True)
        tokens: list[int] = []
        for part in re.split(f"({'|'.join(map(re.escape, names))})", text):
            tokens += [self.special[part]] if part in self.special else self.encode_ordinary(part)
        return tokens

    def decode_bytes(self, tokens: Iterable[int]) -> bytes:
        """The bytes that tokens stand for; for a special token, those of its name.

        Args:
            tokens: a list, or anything else that gives them one by one, such as an iterator, which can be gone through once.

        Raises:
            ValueError: if there is no such token; a negative number is none either.
        """
        names = {token: name.encode() for name, token in self.special.items()}
        out: list[bytes] = []
        for token in tokens:
            if not 0 <= token < len(self):
                raise ValueError(f"there is no token {token}: they go from 0 to {len(self) - 1}")
            out.append(names[token] if token in names else self.bytes_of[token])
        return b"".join(out)

    def decode(self, tokens: Iterable[int]) -> str:
        """The text that tokens stand for.

        A token may end in the middle of a character. What is no whole character, even with the tokens around it, is shown as U+FFFD, a
        question mark in a diamond, as `bytes.decode` does with errors="replace".
        """
        return self.decode_bytes(tokens).decode("utf-8", errors="replace")
