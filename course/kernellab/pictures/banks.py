"""How a warp's request to shared memory falls into the 32 banks, and how many turns it takes."""

from collections.abc import Sequence

from course.kernellab.hardware import Turns, turns
from course.kernellab.pictures.choose import (
    counted,
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
    MOST_ROWS,
    WORDS,
    column_x,
    draw_columns,
    draw_rows,
    label_rows,
    lanes_by_word,
    rows_note,
    sharing_note,
)
from course.kernellab.records import Access, Report, Site
from course.kernellab.svg import (
    FAINT,
    INK,
    MARGIN,
    MUTED,
    PALE,
    PALE_BLUE,
    SMALL,
    Canvas,
    Picture,
)


def draw_banks(report: Report, site: Site | int | None = None, request: int = 0) -> Picture:
    """Draw where the 32 addresses of a warp fall in the banks of shared memory.

    Shared memory is drawn as it lies: a row is 32 words, one for each bank, and the next row begins
    at bank 0 again. The words that lanes ask for carry the lanes' numbers. Several words in one
    column are a bank conflict: the bank gives them one after the other.

    Args:
        report: what the checker found.
        site: the access: a `Site`, a line number (of several accesses on it, the worst), or a
            site's id; None for the worst of the kernel.
        request: which of the site's requests, from 0: one warp executing the access once.

    Returns:
        The picture; `alt` gives the turns, and the banks with a conflict.

    Raises:
        ValueError: if there is no such access to shared memory, or no such request.
    """
    site = pick_site(report, site, "shared")
    accesses, requests = pick_request(report, site, "shared", request)
    lanes = lanes_by_word(accesses)
    served = turns([(a.thread, a.address) for a in accesses], max(a.size for a in accesses))
    said = _sentences(report, site, request, accesses, len(requests), served)

    canvas = Canvas()
    y = canvas.paragraph(MARGIN, MARGIN, said[0], size=14, bold=True)
    for sentence in said[1:]:
        y = canvas.paragraph(MARGIN, y + 2, sentence)
    y += 12
    canvas.text(MARGIN + LEFT - 6, y, "bank", size=SMALL, anchor="end", fill=MUTED)
    draw_columns(canvas, y)
    y += 11

    rows = min(MOST_ROWS, len({row for row, _ in lanes}))
    for bank in range(WORDS):
        canvas.rect(column_x(bank), y, CELL, HIGH * rows, stroke=FAINT)

    def background(row: int, top: float) -> None:
        canvas.line([(column_x(0), top), (column_x(WORDS), top)], stroke=FAINT)

    labels = label_rows(accesses, lambda access: named(access.array, access.index))
    y = draw_rows(canvas, y, lanes, labels, background, lambda word: served.words[word] > 1) + 8
    canvas.text(MARGIN + LEFT - 6, y + HIGH / 2, "words asked of it", size=SMALL, anchor="end")
    for bank, count in enumerate(served.words):
        fill = PALE_BLUE if count else PALE
        x = column_x(bank)
        hatch, thick = ("warn", 2) if count > 1 else ("", 1)
        canvas.rect(x, y, CELL, HIGH, fill=fill, stroke=INK, hatch=hatch, thick=thick, kind="sum")
        canvas.text(
            x + CELL / 2, y + HIGH / 2, str(count), size=SMALL, anchor="middle", bold=count > 1
        )
    notes = [
        "A number in a word is the lane that asks for it.",
        "Hatched: a bank is asked for several words, and gives one a turn."
        if served.ways > 1
        else "No bank is asked for two words at once.",
        sharing_note(lanes),
        rows_note(lanes, "rows"),
    ]
    canvas.paragraph(MARGIN, y + HIGH + 6, " ".join(filter(None, notes)), size=SMALL, fill=MUTED)
    return canvas.finish(sentences(said))


def _sentences(
    report: Report,
    site: Site,
    request: int,
    accesses: Sequence[Access],
    requests: int,
    served: Turns,
) -> list[str]:
    """What the picture says: who, the turns, the banks, all requests together."""
    ways = f"with a {served.ways}-way" if served.ways > 1 else "without a"
    busy = {bank for bank, count in enumerate(served.words) if count == served.ways}
    banks = f"bank {ranges(busy)}" if len(busy) == 1 else f"banks {ranges(busy)}"
    each = "" if len(busy) == 1 else "each of "
    if served.ways > 1:
        most = f"It asks {each}{banks} for {served.ways} different words."
    else:
        most = f"It asks {each}{banks} for one word."
    said = [
        f"line {site.line}, {site.text}: a {site.kind} {ways} bank conflict",
        f"Request {request} (of {requests}), {where(accesses)}: {counted(served.taken, 'turn')} of "
        f"shared memory; without conflicts {served.ideal}. {most}",
    ]
    if served.ideal > 1:
        said.append(
            f"Elements of {accesses[0].size} bytes: the lanes are served in {served.ideal} groups."
        )
    traffic = report.traffic.get(site.id)
    if traffic is not None and traffic.requests > 1:
        said.append(
            f"All {traffic.requests:,} requests of this site: {counted(traffic.wavefronts, 'turn')}, "
            f"without conflicts {traffic.ideal_wavefronts:,}; at worst {traffic.worst_ways}-way."
        )
    return said
