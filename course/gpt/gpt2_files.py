"""GPT-2's vocabulary files: encoder.json and vocab.bpe, also called vocab.json and merges.txt.

They hold tokens as text. As bytes are no text, each byte is written as a character: printable ones as themselves, the
others as those from U+0100 on.
"""

import json
from functools import cache
from pathlib import Path

from course.gpt.bpe import BPETokenizer
from course.gpt.merges import Merges


@cache
def byte_characters() -> dict[int, str]:
    """byte -> the character that stands for it, in the order of GPT-2's tokens."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    characters = {byte: chr(byte) for byte in printable}
    return characters | {byte: chr(256 + i) for i, byte in enumerate(others)}


def as_text(token: bytes) -> str:
    """A token's bytes as these files write them: b" a" is "\u0120a"."""
    return "".join(byte_characters()[byte] for byte in token)


def load_gpt2(vocabulary: str | Path, merges: str | Path) -> BPETokenizer:
    """A tokenizer from GPT-2's files, or from others of this form.

    Args:
        vocabulary: encoder.json or vocab.json: {token as text: its number}.
        merges: vocab.bpe or merges.txt: a version line, then a pair in each line.

    Raises:
        ValueError: if the files do not fit together; it says where.
    """
    numbers: dict[str, int] = json.loads(Path(vocabulary).read_text(encoding="utf-8"))
    bytes_of = {character: byte for byte, character in byte_characters().items()}
    names = {number: text for text, number in numbers.items()}
    try:
        byte_order = [bytes_of[names[number]] for number in range(256)]
    except KeyError as error:
        raise ValueError(
            f"{vocabulary}: the first 256 tokens should be the bytes; {error} is not one"
        ) from None
    learned: Merges = {}
    for row, line in enumerate(Path(merges).read_text(encoding="utf-8").splitlines(), 1):
        parts = line.split(" ")
        if not line or (row == 1 and line.startswith("#version")):
            continue
        if len(parts) != 2 or any(x not in numbers for x in (*parts, "".join(parts))):
            raise ValueError(f"{merges}:{row}: {line!r} is no pair of tokens in {vocabulary}")
        if numbers["".join(parts)] != 256 + len(learned):
            raise ValueError(
                f"{merges}:{row}: {line!r} should be token {256 + len(learned)}, as it is the next to be merged, "
                f"and is {numbers[''.join(parts)]} in {vocabulary}"
            )
        learned[numbers[parts[0]], numbers[parts[1]]] = 256 + len(learned)
    special = [names[number] for number in range(256 + len(learned), len(numbers))]
    return BPETokenizer(learned, special, byte_order)


def save_gpt2(tokenizer: BPETokenizer, vocabulary: str | Path, merges: str | Path) -> None:
    """Write a tokenizer's files, for `load_gpt2` or for other programs.

    Other programs want the bytes in GPT-2's order; a tokenizer of ours that was trained in another one keeps it here.
    """
    texts = [as_text(token) for token in tokenizer.bytes_of]
    numbers = {text: number for number, text in enumerate(texts)} | tokenizer.special
    Path(vocabulary).write_text(json.dumps(numbers, ensure_ascii=False), encoding="utf-8")
    lines = [f"{texts[left]} {texts[right]}" for left, right in tokenizer.merges]
    Path(merges).write_text("\n".join(["#version: 0.2", *lines, ""]), encoding="utf-8")
