"""How a warp's request to global memory falls into sectors: what is moved, and what was needed."""

from collections.abc import Sequence
from itertools import pairwise

from course.kernellab.pictures.choose import (
    counted,
    lane,
    named,
    pick_request,
    pick_site,
    ranges,
    sentences,
    where,
)
from course.kernellab.pictures.memory import (
    CELL,
    HIGH,
    LEFT,
    ROW,
    SECTOR,
    WORDS,
    column_x,
    draw_rows,
    label_rows,
    lanes_by_word,
    needed_sectors,
    rows_note,
    sectors_of,
    sharing_note,
)
from course.kernellab.records import WARP, Access, Report, Site
from course.kernellab.svg import (
    FAINT,
    INK,
    MARGIN,
    MUTED,
    PALE,
    PALE_BLUE,
    SMALL,
    WIDE,
    Canvas,
    Picture,
)

IN_A_ROW = ROW // SECTOR  # sectors
MOST_BARS = 32


def draw_warp(report: Report, site: Site | int | None = None, request: int = 0) -> Picture:
    """Draw where the 32 addresses of a warp fall in global memory.

    A row is a line of 128 bytes. It consists of four sectors of 32 bytes, and memory moves whole
    sectors: those with a bold border. The words that lanes ask for carry the lanes' numbers; what is
    hatched is moved for nothing.

    Args:
        report: what the checker found.
        site: the access: a `Site`, a line number (of several accesses on it, the worst), or a
            site's id; None for the worst of the kernel.
        request: which of the site's requests, from 0: one warp executing the access once.

    Returns:
        The picture; `alt` gives the sectors, and as few as would do.

    Raises:
        ValueError: if there is no such access to global memory, or no such request.
    """
    site = pick_site(report, site, "global")
    accesses, requests = pick_request(report, site, "global", request)
    lanes = lanes_by_word(accesses)
    sectors = sectors_of(accesses)
    said = _sentences(report, site, request, accesses, requests)

    canvas = Canvas()
    y = canvas.paragraph(MARGIN, MARGIN, said[0], size=14, bold=True)
    for sentence in said[1:]:
        y = canvas.paragraph(MARGIN, y + 2, sentence)
    y += 12
    for sector in range(IN_A_ROW):
        x = column_x(sector * WORDS // IN_A_ROW) + CELL * WORDS / IN_A_ROW / 2
        words = f"sector {sector}: bytes {sector * SECTOR}–{sector * SECTOR + SECTOR - 1}"
        canvas.text(x, y, words, size=SMALL, anchor="middle", fill=MUTED)
    canvas.text(MARGIN + LEFT - 6, y, "first element", size=SMALL, anchor="end", fill=MUTED)
    y += 11

    def background(row: int, top: float) -> None:
        wide = CELL * WORDS / IN_A_ROW
        moved = [row * IN_A_ROW + k in sectors for k in range(IN_A_ROW)]
        for k, is_moved in sorted(enumerate(moved), key=lambda pair: pair[1]):
            x = column_x(0) + k * wide
            if is_moved:  # drawn last, since its border is the bolder one
                canvas.rect(x, top, wide, HIGH, hatch="idle", stroke=INK, thick=2, kind="sector")
            else:
                canvas.rect(x, top, wide, HIGH, stroke=FAINT, kind="sector")
        right = column_x(WORDS) + 6
        canvas.text(right, top + HIGH / 2, f"{sum(moved)} of 4", size=SMALL, fill=MUTED)

    labels = label_rows(accesses, lambda access: named(access.array, access.index))
    y = draw_rows(canvas, y, lanes, labels, background, lambda word: False) + 10
    y = _key(canvas, y, lanes)
    if len(requests) > 1:
        _bars(canvas, y + 8, requests, request)
    return canvas.finish(sentences(said))


def _sentences(
    report: Report,
    site: Site,
    request: int,
    accesses: Sequence[Access],
    requests: Sequence[Sequence[Access]],
) -> list[str]:
    """What the picture says: who, this request, where the lanes go, all requests together."""
    sectors, ideal = len(sectors_of(accesses)), needed_sectors(accesses)
    size = accesses[0].size
    used = sum(length for _, length in {(a.address, a.size) for a in accesses})
    here = f"{counted(sectors, 'sector')} for {counted(used, 'byte')}"
    enough = "no fewer would do" if sectors <= ideal else f"{ideal} would do"
    least = "as few as possible" if sectors <= ideal else f"where {ideal} would do"
    said = [
        f"line {site.line}, {site.text}: a {site.kind} of {counted(sectors, 'sector')}, {least}",
        f"Request {request} (of {len(requests)}), {where(accesses)}: {here}; {enough}. "
        f"{used / (sectors * SECTOR):.1%} of the bytes that are moved are asked for.",
        _course(accesses, size),
    ]
    traffic = report.traffic.get(site.id)
    if traffic is not None and traffic.requests > 1:
        said.append(
            f"All {traffic.requests:,} requests of this site: {counted(traffic.sectors, 'sector')}, "
            f"ideal {traffic.ideal_sectors:,}: efficiency {traffic.efficiency:.1%}."
        )
    return said


def _course(accesses: Sequence[Access], size: int) -> str:
    """How the addresses go on from lane to lane, and which lanes take no part."""
    ordered = sorted(accesses, key=lane)
    each = counted(size, "byte")
    steps = {(b.address - a.address) / (lane(b) - lane(a)) for a, b in pairwise(ordered)}
    step = steps.pop() if len(steps) == 1 else None
    if len(ordered) == 1:
        return f"Only lane {lane(ordered[0])} takes part, with {each}."
    if step is None or step % 1:
        words = f"Each lane asks for {each}, at no constant distance."
    elif step == 0:
        words = f"All lanes ask for the same {each}."
    elif step == size:
        words = f"Each lane asks for {each}, right after those of the lane before it."
    else:
        way = "after" if step > 0 else "before"
        words = (
            f"Each lane asks for {each}, {abs(step):,.0f} bytes {way} those of the lane before it."
        )
    idle = set(range(WARP)) - {lane(access) for access in ordered}
    return f"{words} Lanes {ranges(idle)} take no part." if idle else words


def _key(canvas: Canvas, y: float, lanes: dict[tuple[int, int], list[int]]) -> float:
    """What the marks mean."""
    x: float = MARGIN
    canvas.rect(x, y, 30, 14, fill=PALE_BLUE, stroke=MUTED)
    canvas.text(x + 15, y + 7, "7", size=SMALL, anchor="middle")
    canvas.text(x + 36, y + 7, "a word (4 bytes) that lane 7 asks for", size=SMALL)
    canvas.rect(x + 268, y, 30, 14, hatch="idle", stroke=INK, thick=2)
    canvas.text(x + 304, y + 7, "moved, and not asked for", size=SMALL)
    canvas.rect(x + 480, y, 30, 14, stroke=FAINT)
    canvas.text(x + 516, y + 7, "a sector that is not moved", size=SMALL)
    rows = sorted({row for row, _ in lanes})
    notes = [sharing_note(lanes), rows_note(lanes, "lines")]
    if any(b - a > 1 for a, b in pairwise(rows)):
        notes.append("Lines of memory that no lane asks for are left out.")
    return canvas.paragraph(MARGIN, y + 18, " ".join(filter(None, notes)), size=SMALL, fill=MUTED)


def _bars(canvas: Canvas, y: float, requests: Sequence[Sequence[Access]], request: int) -> None:
    """The sectors of each request of the site, against as few as would do."""
    first = max(0, min(request - MOST_BARS // 2, len(requests) - MOST_BARS))
    shown = list(requests[first : first + MOST_BARS])
    sectors = [len(sectors_of(accesses)) for accesses in shown]
    ideal = [needed_sectors(accesses) for accesses in shown]
    part = f" {first}–{first + len(shown) - 1}" if len(shown) < len(requests) else ""
    y = canvas.paragraph(
        MARGIN,
        y,
        f"Sectors of the requests{part} of this site; the dashed line is the ideal, and the bar with "
        "a bold border is the request above.",
    )
    high, wide = 60, (WIDE - 2 * MARGIN) / MOST_BARS
    base, most = y + 22 + high, max(max(sectors), max(ideal))
    for i, (count, least) in enumerate(zip(sectors, ideal)):
        x = MARGIN + i * wide
        top, dashes = base - high * count / most, base - high * least / most
        is_it = first + i == request
        canvas.rect(
            x + 3,
            top,
            wide - 6,
            base - top,
            fill=PALE_BLUE if is_it else PALE,
            stroke=INK if is_it else MUTED,
            thick=3 if is_it else 1,
            kind="bar",
        )
        canvas.line([(x, dashes), (x + wide, dashes)], stroke=INK, thick=1.5, style="dashed")
        canvas.text(x + wide / 2, top - 9, str(count), size=SMALL, anchor="middle")
        canvas.text(
            x + wide / 2, base + 10, str(first + i), size=SMALL, anchor="middle", fill=MUTED
        )
