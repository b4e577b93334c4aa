"""What the hardware would have to do: sectors, wavefronts, operations, bytes.

* A request of a warp to global memory moves whole sectors of 32 bytes. 32 neighbouring float32 lie
  in 4 sectors; 32 that lie far apart take 32 of them.
* Shared memory has 32 banks of 4 bytes. In one turn, each bank gives one word; lanes that want
  different words of one bank wait for further turns (wavefronts). Elements of 8 bytes take two
  turns for a warp anyway, of 16 bytes four.
"""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

from course.kernellab.limits import Launch
from course.kernellab.records import WARP, Report, Site, SiteTraffic

SECTOR = 32
BANKS, BANK_BYTES = 32, 4


def sectors(addresses: Sequence[int], size: int) -> set[int]:
    """The numbers of the sectors in which elements of `size` bytes at these addresses lie."""
    out = {address // SECTOR for address in addresses}
    if size > 1:
        out |= {(address + size - 1) // SECTOR for address in addresses}
    return out


def wavefronts(accesses: Sequence[tuple[int, int]], size: int) -> tuple[int, int, int]:
    """(turns, turns without conflicts, most words of one bank) of a request to shared memory.

    Args:
        accesses: (thread, address) of those that take part.
        size: of an element, in bytes.
    """
    if size == BANK_BYTES:
        words = {address // BANK_BYTES for _, address in accesses}
        if len({word % BANKS for word in words}) == len(words):
            return 1, 1, 1
    lanes = max(1, WARP * BANK_BYTES // max(size, BANK_BYTES))
    turns = ideal = worst = 0
    for first in range(0, WARP, lanes):
        banks: dict[int, set[int]] = {}
        addresses = [a for thread, a in accesses if first <= thread % WARP < first + lanes]
        if not addresses:
            continue
        for address in addresses:
            for word in range(address // BANK_BYTES, (address + size - 1) // BANK_BYTES + 1):
                banks.setdefault(word % BANKS, set()).add(word)
        most = max(len(words) for words in banks.values())
        turns += most
        ideal += 1
        worst = max(worst, most)
    return turns, ideal, worst


Requests = dict[tuple, list[tuple[int, int]]]
"""{(site, warp, path): [(thread, address)]}: what the warps of a block asked for."""


class Tally:
    """Adds up what the requests of the followed blocks cost."""

    def __init__(self, sites: Sequence[Site]) -> None:
        self.sites = sites
        self.traffic: dict[int, SiteTraffic] = {}
        self.about: dict[int, tuple[str, str, str, int]] = {}  # site: array, space, kind, size
        self.bytes: Counter[tuple[str, str]] = Counter()
        self.elements: dict[str, dict[str, Counter]] = {"reads": {}, "writes": {}}
        self.unique: set[int] = set()
        self.most: Counter[str] = Counter()
        self.widths: dict[str, int] = {}  # bytes of an element of the global arrays

    def request(
        self, site: int, array: str, space: str, kind: str, size: int
    ) -> list[tuple[int, int]]:
        """The beginning of a request: a list for (thread, address)."""
        if site not in self.about:
            self.about[site] = array, space, kind, size
            if space in ("global", "shared"):
                self.traffic[site] = SiteTraffic(self.sites[site], array, space)
            if space == "global":
                self.widths[array] = size
        return []

    def end_block(self, requests: Requests) -> None:
        """Adds up the requests of a block."""
        by_thread: dict[str, Counter[int]] = {}
        for (site, _, _), accesses in requests.items():
            array, space, kind, size = self.about[site]
            self.bytes[space, kind] += size * len(accesses)
            counts = by_thread.setdefault(f"{space} {kind}s", Counter())
            counts.update(thread for thread, _ in accesses)
            if space == "local":
                continue
            addresses = [address for _, address in accesses]
            if kind != "store":
                self.elements["reads"].setdefault(array, Counter()).update(addresses)
            if kind != "load":
                self.elements["writes"].setdefault(array, Counter()).update(addresses)
            if space != "constant":
                self._cost(self.traffic[site], accesses, addresses, size)
        for label, counts in by_thread.items():
            self.most[label] = max(self.most[label], max(counts.values()))

    def _cost(
        self,
        traffic: SiteTraffic,
        accesses: list[tuple[int, int]],
        addresses: list[int],
        size: int,
    ) -> None:
        traffic.requests += 1
        traffic.accesses += len(addresses)
        traffic.bytes += size * len(addresses)
        if traffic.space == "global":
            touched = sectors(addresses, size)
            self.unique |= touched
            traffic.sectors += len(touched)
            traffic.ideal_sectors += -(-len(set(addresses)) * size // SECTOR)
        else:
            turns, ideal, worst = wavefronts(accesses, size)
            traffic.wavefronts += turns
            traffic.ideal_wavefronts += ideal
            traffic.worst_ways = max(traffic.worst_ways, worst)

    def finish(
        self, report: Report, launch: Launch, followed: int, counts: Any, shared: int, barriers: int
    ) -> None:
        """Writes the counts into a report; what is counted for some blocks is scaled to all."""
        scale = launch.blocks / followed
        cost = report.cost
        cost.flops, cost.special = round(counts.flops * scale), round(counts.special * scale)
        for (space, kind), amount in self.bytes.items():
            place = {"load": cost.loads, "store": cost.stores, "atomic": cost.atomics}[kind]
            place[space] = round(amount * scale)
        cost.sectors = round(sum(t.sectors for t in self.traffic.values()) * scale)
        cost.wavefronts = round(sum(t.wavefronts for t in self.traffic.values()) * scale)
        whole = sum(
            -(-math.prod(shape) * self.widths[label] // SECTOR)
            for label, shape in report.arrays.items()
            if label in self.widths
        )
        cost.unique_sectors = min(round(len(self.unique) * scale), max(whole, len(self.unique)))
        cost.barriers = round(barriers * scale)
        cost.blocks, cost.followed, cost.threads = launch.blocks, followed, launch.threads
        cost.shared_bytes = shared
        report.traffic = dict(sorted(self.traffic.items()))
        report.per_thread = dict(sorted(self.most.items()))

    def by_index(self, what: str, locate: Any) -> dict[str, dict[tuple[int, ...], int]]:
        """{array: {index: count}} of "reads" or "writes"; `locate` turns addresses into indices."""
        return {
            array: {locate(array, address): n for address, n in counts.items()}
            for array, counts in self.elements[what].items()
        }
