"""What a tiny GPT can learn in a minute: to sort, to add, to go on with a text."""

from collections.abc import Sequence

import numpy as np

Array = np.ndarray


def next_tokens(sequences: Array, n_given: int = 1) -> tuple[Array, Array]:
    """What a model is shown of some sequences, and what it should predict: the same, one place further on.

    Args:
        sequences: (n, t + 1), tokens. They stay as they are.
        n_given: how many tokens of each are given: the model is not asked for those. The first that counts is the one behind
            them, so the first n_given - 1 targets are -1. At least 1.

    Returns:
        Tokens (n, t), and targets (n, t): at each place the token that comes next, or -1 where that does not count.
    """
    targets = sequences[:, 1:].copy()
    targets[:, : n_given - 1] = -1
    return sequences[:, :-1], targets


class Sorting:
    """Some digits, then the same digits in order: "2 0 1 0 0 1 2".

    Only places whose next token belongs to the sorted part count; the digits themselves are random, and cannot be predicted.
    One example in four is for validation, and none is in both parts.

    Args:
        validation: whether these are the examples to validate with.
        length: how many digits there are.
        n_digits: from 0 to n_digits - 1.
    """

    def __init__(self, validation: bool = False, length: int = 6, n_digits: int = 3) -> None:
        self.validation = validation
        self.length = length
        self.n_digits = n_digits

    def questions(self, n: int, generator: np.random.Generator) -> Array:
        """Digits to sort, of this part: (n, length)."""
        found: list[Array] = []
        while len(found) < n:
            digits = generator.integers(0, self.n_digits, (4 * n, self.length))
            found += list(digits[self._is_of_this_part(digits)])
        return np.array(found[:n])

    def every(self) -> Array:
        """All digits to sort that this part has, each row once: (how many, length)."""
        digits = np.array(list(np.ndindex(*[self.n_digits] * self.length)))
        return digits[self._is_of_this_part(digits)]

    def _is_of_this_part(self, digits: Array) -> Array:
        """For each row, whether it belongs here: that depends on the digits alone."""
        number = digits @ self.n_digits ** np.arange(self.length)
        return (number * 7919 % 101 < 25) == self.validation

    def batch(self, n: int, generator: np.random.Generator) -> tuple[Array, Array]:
        """Tokens (n, 2 * length - 1), and the tokens that come next, -1 where the digits are still to come."""
        digits = self.questions(n, generator)
        return next_tokens(np.concatenate([digits, np.sort(digits, 1)], 1), self.length)


class Adding:
    """Two numbers of n_digits digits, and their sum, its last digit first: 85 + 50 = 135 is "8 5 5 0 5 3 1".

    Whoever adds with pencil and paper begins with the last digit. So the sum is written in this order: then each digit depends on
    two digits and a carry only. All sums whose number divided by `every` leaves the rest 0, in a fixed random order, are for
    validation, and are not learned from.

    Args:
        validation: whether these are the sums to validate with.
        n_digits: of each number.
        every: one sum in so many is for validation.
    """

    def __init__(self, validation: bool = False, n_digits: int = 2, every: int = 20) -> None:
        self.n_digits = n_digits
        order = np.random.default_rng(1337).permutation(100**n_digits)
        is_validation = np.arange(len(order)) % every == 0
        self.sums = order[is_validation == validation]

    def tokens(self, sums: Array) -> Array:
        """The tokens of sums, which are numbered a * 10^n_digits + b: (n, 3 * n_digits + 1)."""
        k = self.n_digits
        a, b = sums // 10**k, sums % 10**k
        digits = [a // 10**i % 10 for i in reversed(range(k))]
        digits += [b // 10**i % 10 for i in reversed(range(k))]
        digits += [(a + b) // 10**i % 10 for i in range(k + 1)]
        return np.stack(digits, 1)

    def batch(self, n: int, generator: np.random.Generator) -> tuple[Array, Array]:
        """Tokens (n, 3 * n_digits), and the tokens that come next, -1 where the question is still going on."""
        return next_tokens(self.tokens(generator.choice(self.sums, n)), 2 * self.n_digits)


class Text:
    """Pieces of a text, each from a random place.

    Args:
        tokens: of the text.
        block_size: how many tokens a piece has.
    """

    def __init__(self, tokens: Sequence[int] | Array, block_size: int) -> None:
        self.tokens = np.asarray(tokens)
        self.block_size = block_size
        if len(self.tokens) <= block_size:
            raise ValueError(
                f"a text of {len(self.tokens)} tokens is too short for pieces of {block_size} and one more"
            )

    def batch(self, n: int, generator: np.random.Generator) -> tuple[Array, Array]:
        """n pieces, each from a random place of the text, drawn by itself.

        Every place from which a piece and one token more fit is equally likely.

        Args:
            n: how many pieces.
            generator: where to draw the places from, and nothing else.

        Returns:
            Tokens (n, block_size), and targets (n, block_size): at each place the token that comes next in the text. All count.
        """
        first = generator.integers(0, len(self.tokens) - self.block_size, n)
        places = first[:, None] + np.arange(self.block_size + 1)
        return next_tokens(self.tokens[places])


def trigram_loss(train: Sequence[int] | Array, test: Sequence[int] | Array, n_tokens: int) -> float:
    """How well a trigram model predicts a text: the mean of -log p(token | the two before it). A model should beat it.

    Counts of three tokens in a row, of two, and of one are mixed, each with a weight that grows with how often the tokens before have been
    seen (Witten-Bell smoothing):

        p(c | a, b) = (count(a, b, c) + kinds(a, b) * p(c | b)) / (count(a, b) + kinds(a, b))

    where kinds(a, b) is how many different tokens came after a, b; likewise p(c | b), from p(c), from 1 / n_tokens.
    """
    train, test = np.asarray(train), np.asarray(test)
    p = np.full(len(test) - 2, 1 / n_tokens)
    for order in range(3):  # how many tokens before are looked at
        keys, asked = (_numbers(text, order, n_tokens) for text in (train, test))
        whole, count = np.unique(keys * n_tokens + train[order:], return_counts=True)
        before, total = np.unique(keys, return_counts=True)
        kinds = np.unique(whole // n_tokens, return_counts=True)[1]
        asked = asked[2 - order :]
        seen = _look_up(before, total, asked)
        n_kinds = _look_up(before, kinds, asked)
        hits = _look_up(whole, count, asked * n_tokens + test[2:])
        known = seen > 0
        p[known] = (hits[known] + n_kinds[known] * p[known]) / (seen[known] + n_kinds[known])
    return float(-np.log(p).mean())


def _numbers(text: Array, order: int, n_tokens: int) -> Array:
    """For each token from `order` on, one number for the tokens before it."""
    n = len(text) - order
    out = np.zeros(n, np.int64)
    for i in range(order):
        out = out * n_tokens + text[i : i + n]
    return out


def _look_up(keys: Array, values: Array, asked: Array) -> Array:
    """The values at sorted keys; 0 for those that are not there."""
    places = np.minimum(np.searchsorted(keys, asked), len(keys) - 1)
    return np.where(keys[places] == asked, values[places], 0)
