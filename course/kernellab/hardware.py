"""How memory serves the 32 addresses of a warp's request.

* Global memory moves whole sectors of 32 bytes. 32 neighbouring float32 lie in 4 sectors; 32 that
  lie far apart take 32 of them.
* Shared memory has 32 banks of 4 bytes. In one turn, each bank gives one word; lanes that want
  different words of one bank wait for further turns (wavefronts). Elements of 8 bytes take two
  turns for a warp anyway, of 16 bytes four.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from course.kernellab.records import WARP

SECTOR = 32
BANKS, BANK_BYTES = 32, 4


def sectors(addresses: Sequence[int], size: int) -> set[int]:
    """The numbers of the sectors in which elements of `size` bytes at these addresses lie."""
    out = {address // SECTOR for address in addresses}
    if size > 1:
        out |= {(address + size - 1) // SECTOR for address in addresses}
    return out


@dataclass(frozen=True)
class Turns:
    """How shared memory serves a request.

    Attributes:
        taken: turns that it takes.
        ideal: turns that it takes if no two lanes ask one bank for different words.
        words: for each bank, the most different words that lanes ask of it at once.
    """

    taken: int
    ideal: int
    words: tuple[int, ...]

    @property
    def ways(self) -> int:
        """The most words asked of one bank at once: 1 is free of conflicts."""
        return max(self.words)


def turns(accesses: Sequence[tuple[int, int]], size: int) -> Turns:
    """How many turns a request to shared memory takes: a bank gives one word of 4 bytes in each.

    All 32 lanes are served at once if their elements are of 4 bytes or less; half of the lanes if
    of 8 bytes, and a quarter if of 16.

    Args:
        accesses: (thread, address) of those that take part.
        size: of an element, in bytes.
    """
    at_once = WARP // max(1, size // BANK_BYTES)
    groups: dict[int, set[int]] = {}
    for thread, address in accesses:
        words = groups.setdefault(thread % WARP // at_once, set())
        words.update(range(address // BANK_BYTES, (address + size - 1) // BANK_BYTES + 1))
    asked = [0] * BANKS
    taken = 0
    for words in groups.values():
        counts = [0] * BANKS
        for word in words:
            counts[word % BANKS] += 1
        taken += max(counts)
        asked = list(map(max, asked, counts))
    return Turns(taken, len(groups), tuple(asked))
