"""Byte-pair encoding: learning which pairs of tokens to merge, and merging them.

Source: Sennrich and others, 2016, arXiv 1508.07909; on bytes, as in GPT-2 (Radford and others, 2019).
"""

from collections.abc import Callable, Iterable, Sequence

from course.gpt.pairs import Pair, PairCounts, merge, most_frequent, pairs

Merges = dict[Pair, int]
"""For each pair the token that it becomes, in the order in which they were learned."""


def learn_merges(
    pieces: Iterable[str], n_merges: int, watch: Callable[[int], None] = lambda _: None
) -> Merges:
    """Learn merges: again and again, the most frequent pair of neighbours becomes a new token.

    In the beginning, tokens are bytes, 0 to 255; the first merge makes token 256, the second 257, and so on. Of pairs that are
    equally frequent, the smallest is taken. It ends early when there is no pair left.

    Args:
        pieces: a text, cut into pieces; no merge crosses their edges.
        n_merges: how many to learn.
        watch: called after each merge, with how many are learned by then.

    Returns:
        {pair: the token that it becomes}, in the order in which they were learned.
    """
    text = PairCounts(pieces)
    merges: Merges = {}
    while len(merges) < n_merges and text.counts:
        pair = most_frequent(text.counts)
        merges[pair] = 256 + len(merges)
        text.merge(pair, merges[pair])
        watch(len(merges))
    return merges


def apply_merges(tokens: Sequence[int], merges: Merges) -> list[int]:
    """Merge the tokens of one piece, as they were merged when the merges were learned.

    Of all pairs in the piece that can be merged, the one that was learned first is merged, wherever it occurs. Then the next, until
    none is left that can be.

        apply_merges([97, 98, 99], {(98, 99): 256, (97, 98): 257}) = [97, 256]

    Args:
        tokens: of one piece, in the beginning its bytes' tokens. They stay as they are; the result is a new list.
        merges: {pair: the token that it becomes}, in the order in which they were learned; later ones have higher tokens.
    """
    tokens = list(tokens)
    while True:
        known = [pair for pair in pairs(tokens) if pair in merges]
        if not known:
            return tokens
        first = min(known, key=merges.__getitem__)
        tokens = merge(tokens, first, merges[first])
