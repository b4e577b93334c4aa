"""Byte-pair encoding: learning which pairs of tokens to merge, and merging them.

Source: Sennrich and others, 2016, arXiv 1508.07909; on bytes, as in GPT-2 (Radford and others, 2019).
"""

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

Pair = tuple[int, int]
Merges = dict[Pair, int]
"""For each pair the token that it becomes, in the order in which they were learned."""


def merge(tokens: Sequence[int], pair: Pair, new: int) -> list[int]:
    """Replace each occurrence of a pair by one token, from left to right.

    merge([1, 1, 1, 2], (1, 1), 9) = [9, 1, 2]
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


def pairs(tokens: Sequence[int]) -> list[Pair]:
    """The neighbours in a piece, from left to right."""
    return list(itertools.pairwise(tokens))


def learn_merges(
    pieces: Iterable[str], n_merges: int, watch: Callable[[int], None] = lambda _: None
) -> Merges:
    """Learn merges: again and again, the most frequent pair of neighbours becomes a new token.

    At the beginning, tokens are bytes, 0 to 255; the first merge makes token 256. Of pairs that are equally frequent, the
    one with the smallest numbers is taken. It ends early when there is no pair left.

    Equal pieces are counted once and weighted, and after a merge only those pieces are looked at which had the pair.

    Args:
        pieces: a text, cut into pieces (see `splitting`); no merge crosses their edges.
        n_merges: how many to learn.
        watch: called with how many are learned.
    """
    times = Counter(pieces)
    words = [list(piece.encode()) for piece in times]
    weights = list(times.values())
    counts: Counter[Pair] = Counter()
    where: dict[Pair, set[int]] = {}  # in which words a pair is, or was
    for w, word in enumerate(words):
        for pair in pairs(word):
            counts[pair] += weights[w]
            where.setdefault(pair, set()).add(w)
    merges: Merges = {}
    while len(merges) < n_merges and counts:
        most = max(counts.values())
        best = min(pair for pair, count in counts.items() if count == most)
        merges[best] = 256 + len(merges)
        for w in where.pop(best):
            for pair in pairs(words[w]):
                counts[pair] -= weights[w]
                if not counts[pair]:
                    del counts[pair]
            words[w] = merge(words[w], best, merges[best])
            for pair in pairs(words[w]):
                counts[pair] += weights[w]
                where.setdefault(pair, set()).add(w)
        watch(len(merges))
    return merges


def apply_merges(tokens: Sequence[int], merges: Merges) -> list[int]:
    """Merge the tokens of one piece: in each round the pair that was learned first, until none is known."""
    tokens = list(tokens)
    while len(tokens) > 1:
        known = [pair for pair in pairs(tokens) if pair in merges]
        if not known:
            break
        first = min(known, key=merges.__getitem__)
        tokens = merge(tokens, first, merges[first])
    return tokens
