"""Random numbers, all from one generator, so that one seed makes a run repeatable."""

import numpy as np

_generator = np.random.default_rng()


def manual_seed(seed: int) -> None:
    """Start the random numbers afresh: the same seed gives the same numbers."""
    global _generator
    _generator = np.random.default_rng(seed)


def generator() -> np.random.Generator:
    """The generator that all random tensors, initial weights, dropout and shuffling draw from."""
    return _generator
