"""Demands on a report, for tests and exercises. Each says what was counted, and where to look.

report = lab.check(tiled[grid, block], a, b, c)
lab.assert_clean(report)
lab.assert_coalesced(report, at_least=0.9)
lab.assert_reads(report, "a", at_most=n // TILE)
"""

from course.kernellab.records import Report, SiteTraffic


def assert_clean(report: Report) -> None:
    """No fault was found."""
    if report.faults:
        count = f"{len(report.faults)} fault{'s' if len(report.faults) > 1 else ''}"
        raise AssertionError(
            f"{report.kernel}: {count}\n" + "\n".join(f"* {fault}" for fault in report.faults)
        )


def assert_coalesced(report: Report, at_least: float = 0.9) -> None:
    """Of the bytes that requests to global memory move, this share is needed."""
    places = [t for t in report.traffic.values() if t.space == "global"]
    _worst(report, [t for t in places if t.efficiency < at_least], at_least)


def _worst(report: Report, bad: list[SiteTraffic], at_least: float) -> None:
    if bad:
        worst = min(bad, key=lambda t: t.efficiency)
        raise AssertionError(
            f"{report.kernel}: `{worst.site.text}` (line {worst.site.line}) moves "
            f"{worst.sectors / worst.requests:.1f} sectors a request where "
            f"{worst.ideal_sectors / worst.requests:.1f} would do: {worst.efficiency:.0%} of what is "
            f"moved is used, and at least {at_least:.0%} is wanted. Do neighbouring threads "
            "(threadIdx.x) use neighbouring elements (the last index)?"
        )


def assert_no_bank_conflicts(report: Report, ways: float = 1.0) -> None:
    """Requests to shared memory take no more turns than they need, times `ways`."""
    bad = [t for t in report.traffic.values() if t.space == "shared" and t.ways > ways]
    if bad:
        worst = max(bad, key=lambda t: t.ways)
        raise AssertionError(
            f"{report.kernel}: `{worst.site.text}` (line {worst.site.line}) takes "
            f"{worst.ways:.1f} turns where one would do: up to {worst.worst_ways} lanes want "
            "different words of one bank. Does a row of the tile have a multiple of 32 words? "
            "One more column moves the rows to other banks."
        )


def assert_reads(report: Report, array: str, at_most: int) -> None:
    """Each element of an array in global memory is read at most so often, by all threads together."""
    _assert_times(report, array, at_most, "reads", "read")


def assert_writes(report: Report, array: str, at_most: int = 1) -> None:
    """Each element of an array is written at most so often."""
    _assert_times(report, array, at_most, "writes", "written")


def _assert_times(report: Report, array: str, at_most: int, what: str, verb: str) -> None:
    most = report.most_reads(array) if what == "reads" else report.most_writes(array)
    if most > at_most:
        index = next(i for i, n in getattr(report, what)[array].items() if n == most)
        raise AssertionError(
            f"{report.kernel}: `{array}[{', '.join(map(str, index))}]` is {verb} {most} times, and at "
            f"most {at_most} is wanted. What one thread has loaded, can others get from shared memory?"
        )


def assert_bytes(report: Report, at_most: int, space: str = "global") -> None:
    """The threads load and store no more bytes than this."""
    total = report.bytes(space)
    if total > at_most:
        raise AssertionError(
            f"{report.kernel}: the threads load and store {total:,} bytes of {space} memory, and at "
            f"most {at_most:,} is wanted."
        )


def assert_per_thread(report: Report, what: str, at_most: int) -> None:
    """No thread does more than so many of "global loads", "global stores", "shared loads" ..."""
    most = report.per_thread.get(what, 0)
    if most > at_most:
        raise AssertionError(
            f"{report.kernel}: one thread does {most} {what}, and at most {at_most} is wanted."
        )
