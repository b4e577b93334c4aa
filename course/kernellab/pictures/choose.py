"""Which part of a report to draw, and how to name it."""

from collections.abc import Iterable, Sequence

from course.kernellab.records import WARP, Access, Report, Site, short

Block = int | Sequence[int] | None
Triple = tuple[int, int, int]


def pick_block(report: Report, block: Block) -> Triple:
    """The block with this place in the grid; for None the first that the checker followed.

    Raises:
        ValueError: if the checker noted nothing about it.
    """
    noted = dict.fromkeys(meeting.block for meeting in report.meetings)
    noted.update(dict.fromkeys(access.block for access in report.accesses))
    known = sorted(noted, key=lambda place: place[::-1])
    if not known:
        raise ValueError(
            f"the report on {report.kernel} has no accesses and no barriers to draw. Was the kernel "
            "launched with a grid and a block above zero, and were the accesses kept?"
        )
    if block is None:
        return known[0]
    place = (block,) if isinstance(block, int) else tuple(block)
    x, y, z = (*place, 0, 0, 0)[:3]
    padded = (x, y, z)
    if padded not in known:
        raise ValueError(
            f"block {short(padded)} was not followed. There are: {listed(map(short, known))}."
        )
    return padded


def pick_site(report: Report, site: Site | int | None, space: str) -> Site:
    """The site that is meant; for None the worst one that uses this space.

    Args:
        report: what the checker found.
        site: the site itself, a line number (of several accesses on that line, the worst), or,
            where no line has that number, a site's id.
        space: "global" or "shared".

    Raises:
        ValueError: if there is no such access to this space.
    """
    used = {access.site for access in report.accesses if access.space == space}
    there = [known for known in report.sites if known.id in used]
    if not there:
        others = sorted({access.space for access in report.accesses} - {space})
        hint = f"It uses {' and '.join(others)} memory." if others else "No accesses were kept."
        raise ValueError(f"{report.kernel} has no access to {space} memory to draw. {hint}")
    if site is None:
        fitting = there
    elif isinstance(site, Site):
        fitting = [known for known in there if known.id == site.id]
    else:
        fitting = [known for known in there if known.line == site]
        fitting = fitting or [known for known in there if known.id == site]
    if not fitting:
        wanted = f"site {site.id} ({site})" if isinstance(site, Site) else f"line or site {site}"
        choices = "; ".join(f"{known} (site {known.id}, a {known.kind})" for known in there)
        raise ValueError(
            f"{wanted} does not access {space} memory in {report.kernel}. These do: {choices}."
        )
    return max(fitting, key=lambda known: _badness(report, known, space))


def _badness(report: Report, site: Site, space: str) -> tuple[float, int]:
    traffic = report.traffic.get(site.id)
    if traffic is None:
        return (0.0, 0)
    if space == "global":
        return (1 - traffic.efficiency, traffic.sectors)
    return (traffic.ways, traffic.wavefronts)


def pick_request(
    report: Report, site: Site, space: str, request: int
) -> tuple[list[Access], list[list[Access]]]:
    """The accesses of one warp request of a site, and those of all of them, in order.

    Raises:
        ValueError: if there are not so many.
    """
    groups: dict[tuple, list[Access]] = {}
    for access in report.accesses:
        if access.site == site.id and access.space == space:
            groups.setdefault((access.block, access.request), []).append(access)
    requests = list(groups.values())
    if not 0 <= request < len(requests):
        raise ValueError(
            f"{site} has requests 0 to {len(requests) - 1}, and no request {request}: "
            "a request is one warp executing the access once."
        )
    return requests[request], requests


def where(accesses: Sequence[Access]) -> str:
    """`warp 0 of block 0`: who made a request."""
    first = accesses[0]
    return f"warp {first.thread // WARP} of block {short(first.block)}"


def lane(access: Access) -> int:
    """The place of the access's thread in its warp."""
    return access.thread % WARP


def place_of(report: Report, thread: int) -> Triple:
    """A thread's x, y and z in its block."""
    wide, high, _ = report.block
    return thread % wide, thread // wide % high, thread // wide // high


def called(report: Report, thread: int) -> str:
    """A thread's place in its block, with a number for each axis that the block has."""
    axes = max((axis for axis in range(3) if report.block[axis] > 1), default=0) + 1
    place = place_of(report, thread)[:axes]
    return str(place[0]) if axes == 1 else f"({', '.join(map(str, place))})"


def named(array: str, index: Iterable[int]) -> str:
    """`tile[2, 3]`."""
    return f"{array}[{', '.join(map(str, index))}]"


def flat(index: Sequence[int], shape: Sequence[int] | None) -> int | None:
    """The place of an element in the order of memory; None for one that is not in the array."""
    if shape is None or len(index) != len(shape):
        return None
    place = 0
    for i, n in zip(index, shape):
        if not 0 <= i < n:
            return None
        place = place * n + i
    return place


def ranges(numbers: Iterable[int]) -> str:
    """0–2, 5 for 0, 1, 2 and 5."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(str(a) if a == b else f"{a}–{b}" for a, b in runs)


def counted(number: float, thing: str) -> str:
    """1 sector, 2 sectors: with a plural that only needs an s."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


def listed(things: Iterable[str], most: int = 8) -> str:
    """The first few of the texts, and how many more there are."""
    texts = list(things)
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return ", ".join(texts[:most]) + more


def sentences(texts: Iterable[str]) -> str:
    """The texts as one, each ending like a sentence; empty ones are left out."""
    ended = (text if text.endswith((".", ":", ";", "!")) else f"{text}." for text in texts if text)
    return " ".join(ended)
