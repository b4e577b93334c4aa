"""Pairs of neighbouring tokens: finding them, counting them, merging them."""

import itertools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

Pair = tuple[int, int]


def pairs(tokens: Sequence[int]) -> list[Pair]:
    """The neighbours in a piece, from left to right: pairs([1, 2, 3]) = [(1, 2), (2, 3)]."""
    return list(itertools.pairwise(tokens))


def merge(tokens: Sequence[int], pair: Pair, new: int) -> list[int]:
    """Replace each occurrence of a pair by one token, from left to right.

        merge([1, 2, 3, 1, 2], (1, 2), 9) = [9, 3, 9]
        merge([1, 1, 1, 2], (1, 1), 9) = [9, 1, 2]

    A token that has become part of a merge is not used again. The tokens that come in stay as they are; the result is a new list.

    Args:
        tokens: of one piece; there may be none.
        pair: the two tokens to be replaced, where they stand side by side in this order.
        new: what comes in their place.
    """
    out: list[int] = []
    i = 0
    while i < len(tokens):
        if i + 1 < len(tokens) and (tokens[i], tokens[i + 1]) == pair:
            out.append(new)
            i += 2
        else:
            out.append(tokens[i])
            i += 1
    return out


def count_pairs(words: Sequence[Sequence[int]], times: Sequence[int]) -> dict[Pair, int]:
    """How often each pair of neighbours occurs in a text.

        count_pairs([[1, 2, 1, 2], [2, 3]], [1, 5]) = {(1, 2): 2, (2, 1): 1, (2, 3): 5}
        count_pairs([[1, 1, 1]], [1]) = {(1, 1): 2}

    Pairs may overlap, as in the second line. The last token of a word and the first of the next are no pair.

    Args:
        words: the different pieces of the text, as tokens.
        times: how often each of them occurs in the text.

    Returns:
        {pair: its count}, with the pairs that occur, and no others.
    """
    counts: Counter[Pair] = Counter()
    for word, n in zip(words, times):
        for pair in pairs(word):
            counts[pair] += n
    return counts


def most_frequent(counts: Mapping[Pair, int]) -> Pair:
    """The pair with the highest count; of several, the smallest: (1, 9) before (2, 3) before (2, 4).

    Args:
        counts: {pair: its count}, at least one.
    """
    most = max(counts.values())
    return min(pair for pair, count in counts.items() if count == most)


class PairCounts:
    """A text as tokens, and the counts of its pairs, which stay right while pairs are merged.

    Equal pieces are kept once. A merge goes only through words that have the pair, or had it before another merge.

    Attributes:
        words: the different pieces, as tokens: in the beginning, bytes.
        times: how often each occurs in the text.
        counts: {pair: how often it occurs}; a pair that no longer occurs is not in it.
    """

    def __init__(self, pieces: Iterable[str]) -> None:
        pieces_and_times = Counter(pieces)
        self.words = [list(piece.encode()) for piece in pieces_and_times]
        self.times = list(pieces_and_times.values())
        self.counts = Counter(count_pairs(self.words, self.times))
        # For each pair the numbers of the words that have it, or had it.
        self._where: dict[Pair, set[int]] = {}
        for w, word in enumerate(self.words):
            for found in pairs(word):
                self._where.setdefault(found, set()).add(w)

    def merge(self, pair: Pair, new: int) -> None:
        """Merge a pair, wherever it occurs, into a new token."""
        for w in self._where.pop(pair):
            for old in pairs(self.words[w]):
                self.counts[old] -= self.times[w]
                if not self.counts[old]:
                    del self.counts[old]
            self.words[w] = merge(self.words[w], pair, new)
            for now in pairs(self.words[w]):
                self.counts[now] += self.times[w]
                self._where.setdefault(now, set()).add(w)
