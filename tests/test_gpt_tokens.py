"""course.gpt's tokenizers: round trips, merges, GPT-2's files, and tiktoken's tokens."""

import itertools
import json
import pydoc_data.topics
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course.gpt.bpe import END_OF_TEXT, BPETokenizer, vocabulary
from course.gpt.characters import CharTokenizer
from course.gpt.gpt2_files import as_text, byte_characters, load_gpt2, save_gpt2
from course.gpt.merges import apply_merges, learn_merges
from course.gpt.pairs import PairCounts, count_pairs, merge, most_frequent, pairs
from course.gpt.splitting import SPACES, split

TEXT = "".join(list(pydoc_data.topics.topics.values())[:20])
TOKENIZER = BPETokenizer.train(TEXT, 500)
GPT2 = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""
# Versions of Unicode differ in what unassigned characters are.
ASSIGNED = st.text(st.characters(exclude_categories=["Cn", "Cs"]))
ANY_TEXT = ASSIGNED | st.text("ab '\n\tst1\u00b2\u00e9\u3000\U0001f600", max_size=30)


def test_characters() -> None:
    tokenizer = CharTokenizer("hello")
    assert tokenizer.characters == ["e", "h", "l", "o"]
    assert len(tokenizer) == 4
    assert tokenizer.encode("hole") == [1, 3, 2, 0]
    assert tokenizer.decode([1, 0, 2, 2, 3]) == "hello"
    with pytest.raises(ValueError, match="'x' did not occur"):
        tokenizer.encode("hex")


@given(st.text())
def test_characters_there_and_back(text: str) -> None:
    assert CharTokenizer(text).decode(CharTokenizer(text).encode(text)) == text


def test_pieces() -> None:
    assert split("We'll  see 42!") == ["We", "'ll", " ", " see", " 42", "!"]
    assert split("a\n\n b  ") == ["a", "\n\n", " b", "  "]
    assert split("") == []


@given(ANY_TEXT)
def test_pieces_are_the_text(text: str) -> None:
    assert "".join(split(text)) == text


@given(ANY_TEXT)
def test_pieces_are_gpt2s(text: str) -> None:
    regex = pytest.importorskip("regex", reason="regex is not installed: GPT-2's own pattern")
    assert split(text) == regex.findall(GPT2, text)


def test_white_space_is_unicodes() -> None:
    spaces = {chr(i) for i in range(0x110000) if re.match(f"[{SPACES}]", chr(i))}
    assert {x for x in map(chr, range(0x110000)) if x.isspace()} - spaces == set("\x1c\x1d\x1e\x1f")
    assert all(x.isspace() for x in spaces)


def test_merge() -> None:
    assert merge([1, 1, 1, 2], (1, 1), 9) == [9, 1, 2]
    assert merge([1, 2, 1, 2, 1], (1, 2), 9) == [9, 9, 1]
    assert merge([], (1, 2), 9) == []
    assert merge([1], (1, 1), 9) == [1]


def test_counting_pairs() -> None:
    assert pairs([1, 2, 3]) == [(1, 2), (2, 3)]
    assert pairs([1]) == pairs([]) == []
    assert count_pairs([[1, 2, 1, 2], [2, 3], [5]], [1, 5, 9]) == {(1, 2): 2, (2, 1): 1, (2, 3): 5}
    assert count_pairs([[7, 7, 7]], [2]) == {(7, 7): 4}
    assert most_frequent({(2, 3): 4, (1, 9): 4, (2, 1): 4, (0, 0): 3}) == (1, 9)


@settings(deadline=None)
@given(st.lists(st.text("abc", max_size=9), max_size=9), st.integers(1, 12))
def test_counts_stay_right(pieces: list[str], n_merges: int) -> None:
    text = PairCounts(pieces)
    words = [list(piece.encode()) for piece in dict.fromkeys(pieces)]
    for new in range(256, 256 + n_merges):
        assert text.words == words
        assert text.counts == count_pairs(words, [pieces.count(x) for x in dict.fromkeys(pieces)])
        assert 0 not in text.counts.values()
        if not text.counts:
            break
        pair = max(text.counts)
        text.merge(pair, new)
        words = [merge(word, pair, new) for word in words]


def naive_merges(pieces: list[str], n_merges: int) -> dict:
    """The definition: all is counted again for each merge."""
    words = [list(piece.encode()) for piece in pieces]
    merges: dict = {}
    while len(merges) < n_merges:
        counts: dict = {}
        for word in words:
            for pair in itertools.pairwise(word):
                counts[pair] = counts.get(pair, 0) + 1
        if not counts:
            break
        best = min(counts, key=lambda pair: (-counts[pair], pair))
        merges[best] = 256 + len(merges)
        words = [merge(word, best, merges[best]) for word in words]
    return merges


@settings(deadline=None)
@given(st.lists(st.text("abc", max_size=12), max_size=12), st.integers(0, 20))
def test_merges_are_those_of_the_definition(pieces: list[str], n_merges: int) -> None:
    assert list(learn_merges(pieces, n_merges).items()) == list(
        naive_merges(pieces, n_merges).items()
    )


@settings(deadline=None)
@given(st.lists(st.text("abc", max_size=12), max_size=12), st.text("abc", max_size=12))
def test_applied_in_the_order_of_learning(pieces: list[str], text: str) -> None:
    """Going through all merges is the definition; applying looks only for those that occur."""
    merges = learn_merges(pieces, 20)
    tokens = list(text.encode())
    for pair, new in merges.items():
        tokens = merge(tokens, pair, new)
    assert apply_merges(list(text.encode()), merges) == tokens
    assert b"".join(vocabulary(merges)[token] for token in tokens) == text.encode()


def test_the_first_that_was_learned_is_merged_first() -> None:
    merges = {(98, 99): 256, (97, 98): 257, (97, 256): 258}
    assert apply_merges(list(b"abc"), merges) == [258]
    assert apply_merges(list(b"abab"), merges) == [257, 257]
    assert apply_merges([], merges) == []


@given(ANY_TEXT)
def test_there_and_back(text: str) -> None:
    assert TOKENIZER.decode(TOKENIZER.encode(text)) == text
    assert TOKENIZER.decode(TOKENIZER.encode(text, special=True)) == text


@given(st.binary())
def test_any_bytes_have_tokens(data: bytes) -> None:
    tokens = apply_merges(list(data), TOKENIZER.merges)
    assert TOKENIZER.decode_bytes(tokens) == data
    assert TOKENIZER.decode(tokens) == data.decode("utf-8", errors="replace")


def test_training() -> None:
    assert len(TOKENIZER) == 500
    assert TOKENIZER.special == {END_OF_TEXT: 499}
    assert len(TOKENIZER.encode(TEXT)) < 0.5 * len(TEXT.encode())
    seen: list[int] = []
    small = BPETokenizer.train("aaab", 1000, watch=seen.append)
    assert list(small.merges) == [(97, 97), (97, 98), (256, 257)]
    assert seen == [1, 2, 3]
    with pytest.raises(ValueError, match="256 bytes and 1 special"):
        BPETokenizer.train("text", 256)


def test_what_tokens_stand_for() -> None:
    assert vocabulary({(104, 105): 256, (256, 33): 257})[255:] == [b"\xff", b"hi", b"hi!"]
    backwards = range(255, -1, -1)
    assert vocabulary({(0, 1): 256}, backwards)[255:] == [b"\x00", b"\xff\xfe"]
    tokenizer = BPETokenizer({(138, 152): 256}, byte_order=backwards)
    assert tokenizer.encode("hug") == [151, 256]
    assert tokenizer.decode([151, 256]) == "hug"


def test_pieces_are_kept() -> None:
    tokenizer = BPETokenizer({(117, 103): 256})
    tokens = tokenizer.encode("hug")
    tokens.append(5)
    assert tokenizer.encode("hug hug") == [104, 256, 32, 104, 256]
    assert tokenizer.known == {"hug": [104, 256], " hug": [32, 104, 256]}
    with pytest.raises(UnicodeEncodeError):
        tokenizer.encode("\ud800")


def test_unseen_text_gets_shorter() -> None:
    paragraphs = list(dict.fromkeys("\n\n".join(pydoc_data.topics.topics.values()).split("\n\n")))
    unseen = "\n\n".join(paragraphs[4::5])
    learned = "\n\n".join(p for i, p in enumerate(paragraphs) if i % 5 != 4)
    assert len(BPETokenizer.train(learned, 1024).encode(unseen)) < 0.4 * len(unseen)


def test_special_tokens_are_taken_only_if_asked_for() -> None:
    text = f"one{END_OF_TEXT}two"
    assert TOKENIZER.encode(text, special=True).count(499) == 1
    assert 499 not in TOKENIZER.encode(text)
    both = BPETokenizer({}, ["<a", "<a>"])
    assert both.encode("x<a>", special=True) == [120, 257]
    with pytest.raises(ValueError, match="from 0 to 499"):
        TOKENIZER.decode([500])
    with pytest.raises(ValueError, match="no token -1"):
        TOKENIZER.decode([-1])


def test_gpt2s_files(tmp_path: Path) -> None:
    order = list(byte_characters())
    back = {byte: token for token, byte in enumerate(order)}
    learned = learn_merges(split(TEXT), 200)
    merges = {
        tuple(back[x] if x < 256 else x for x in pair): token for pair, token in learned.items()
    }
    ours = BPETokenizer(merges, [END_OF_TEXT], order)  # type: ignore[arg-type]
    files = tmp_path / "encoder.json", tmp_path / "vocab.bpe"
    save_gpt2(ours, *files)
    again = load_gpt2(*files)
    assert again.encode(TEXT) == ours.encode(TEXT)
    assert again.special == ours.special == {END_OF_TEXT: 456}
    numbers = json.loads(files[0].read_text(encoding="utf-8"))
    assert numbers["!"] == 0  # as in GPT-2
    assert numbers["\u0120"] == 220
    assert as_text(b" a\n") == "\u0120a\u010a"
    files[1].write_text("#version: 0.2\na b c\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"vocab\.bpe:2: 'a b c' is no pair"):
        load_gpt2(*files)
    lines = ["#version: 0.2", *(f"{as_text(again.bytes_of[b])} {as_text(again.bytes_of[a])}" for a, b in merges)]  # fmt: skip
    files[1].write_text("\n".join(lines[::-1]), encoding="utf-8")
    with pytest.raises(ValueError, match=r"vocab\.bpe:1"):
        load_gpt2(*files)
    files[0].write_text('{"ab": 0}', encoding="utf-8")
    with pytest.raises(ValueError, match="first 256 tokens should be the bytes"):
        load_gpt2(*files)


@settings(deadline=None)
@given(ANY_TEXT)
def test_tiktoken_agrees(text: str) -> None:
    tiktoken = pytest.importorskip("tiktoken", reason="tiktoken is not installed: its tokens")
    theirs = tiktoken.Encoding(
        "ours",
        pat_str=GPT2,
        mergeable_ranks={token: i for i, token in enumerate(TOKENIZER.bytes_of)},
        special_tokens=TOKENIZER.special,
    )
    assert TOKENIZER.encode(text) == theirs.encode(text, disallowed_special=())
    marked = f"{text}{END_OF_TEXT}{text}"
    assert TOKENIZER.encode(marked, special=True) == theirs.encode(marked, allowed_special="all")


def test_stored_tokens() -> None:
    """What tiktoken gave with these merges; see `test_tiktoken_agrees`."""
    tokenizer = BPETokenizer.train("low lower lowest newer newest widest " * 3, 270)
    assert tokenizer.bytes_of[256:260] == [b"we", b"lo", b"st", b" lo"]
    assert tokenizer.encode("lowest") == [257, 256, 258]
    assert tokenizer.encode("newer widest") == [110, 261, 114, 264, 266, 258]


def test_tokens_are_lists_of_their_own() -> None:
    tokenizer = BPETokenizer({(117, 103): 256})
    tokenizer.encode_ordinary("hug").append(5)  # new
    tokenizer.encode_ordinary("hug").append(5)  # known
    assert tokenizer.encode_ordinary("hug") == [104, 256]


def test_decoding_reads_an_iterator_once() -> None:
    tokenizer = BPETokenizer({(117, 103): 256}, special=["<|end|>"])
    assert tokenizer.decode_bytes(iter([104, 256, 257])) == b"hug<|end|>"
    assert tokenizer.decode(iter([104, 256])) == "hug"
    with pytest.raises(ValueError, match="there is no token -3"):
        tokenizer.decode(iter([104, -3]))
