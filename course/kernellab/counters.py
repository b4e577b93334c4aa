"""What the hardware would have to do for a launch: sectors, turns, operations, bytes."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

from course.kernellab.hardware import SECTOR, sectors, turns
from course.kernellab.limits import Launch
from course.kernellab.records import Report, Site, SiteTraffic

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
            served = turns(accesses, size)
            traffic.wavefronts += served.taken
            traffic.ideal_wavefronts += served.ideal
            traffic.worst_ways = max(traffic.worst_ways, served.ways)

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
        report.per_thread = Counter(dict(sorted(self.most.items())))

    def by_index(self, what: str, locate: Any) -> dict[str, dict[tuple[int, ...], int]]:
        """{array: {index: count}} of "reads" or "writes"; `locate` turns an address into (array, index).

        A place in a device function may use several arrays, so it is the address that counts.
        """
        found: dict[str, dict[tuple[int, ...], int]] = {}
        for counts in self.elements[what].values():
            for address, n in counts.items():
                array, index = locate(address)
                of_array = found.setdefault(array, {})
                of_array[index] = of_array.get(index, 0) + n
        return found
