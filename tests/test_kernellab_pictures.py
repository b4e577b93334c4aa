"""The pictures of the kernel lab: what they say, that they can be read, and that they stay small."""

import base64
import html
import re
import xml.etree.ElementTree as ElementTree
from collections import Counter
from dataclasses import dataclass
from functools import cache
from itertools import combinations, product
from pathlib import Path

import pytest
from matplotlib import font_manager
from matplotlib.ft2font import FT2Font

from course.kernellab import svg
from course.kernellab.hardware import turns
from course.kernellab.pictures import (
    draw_banks,
    draw_barriers,
    draw_fault,
    draw_heat,
    draw_roofline,
    draw_threads,
    draw_warp,
)
from course.kernellab.records import (
    Access,
    Fault,
    Meeting,
    Report,
    Site,
    SiteTraffic,
    Thread,
)

SVG = "{http://www.w3.org/2000/svg}"
BLOCK0 = (0, 0, 0)


class Recorder:
    """Makes the report of a kernel by hand: line by line, all threads execute one access."""

    def __init__(self, kernel, source, block, grid=(1, 1, 1), first_line=1, **arrays):
        spaces = {name: space for name, (space, _) in arrays.items()}
        shapes = {name: shape for name, (_, shape) in arrays.items()}
        self.report = Report(kernel, source, first_line, grid, block, arrays=shapes, spaces=spaces)
        self.epoch, self.size = 0, block[0] * block[1] * block[2]
        self.item = {}
        self.bases, top = {}, 0
        for name, shape in shapes.items():
            if spaces[name] == "global":
                self.bases[name] = top
                top += -(-4 * count(shape) // 512) * 512
            else:
                self.bases[name] = 0

    def place(self, thread):
        wide, high, _ = self.report.block
        return thread % wide, thread // wide % high, thread // wide // high

    def site(self, kind, line, text):
        for site in self.report.sites:
            if (site.kind, site.line, site.text) == (kind, line, text):
                return site
        self.report.sites.append(Site(len(self.report.sites), kind, line, text))
        return self.report.sites[-1]

    def access(self, kind, line, text, array, index_of, who=None, size=4, turn=0):
        """All threads (or those for which `who` holds) access array[index_of(x, y, z)]."""
        site = self.site(kind, line, text)
        shape, space = self.report.arrays[array], self.report.spaces[array]
        table = self.report.reads if kind == "load" else self.report.writes
        counts = table.setdefault(array, {})
        for thread in range(self.size):
            place = self.place(thread)
            if who is not None and not who(*place):
                continue
            index = index_of(*place)
            index = index if isinstance(index, tuple) else (index,)
            flat = 0
            for i, n in zip(index, shape):
                flat = flat * n + i
            address = self.bases[array] + flat * size
            request = (thread // 32, site.id, self.epoch, turn)
            counts[index] = counts.get(index, 0) + 1
            self.report.accesses.append(
                Access(site.id, array, space, kind, BLOCK0, thread, index, address, size,
                       self.epoch, request)
            )  # fmt: skip
        return site

    def load(self, *args, **more):
        return self.access("load", *args, **more)

    def store(self, *args, **more):
        return self.access("store", *args, **more)

    def barrier(self, line, arrived=None, missing=()):
        site = self.site("barrier", line, "cuda.syncthreads()")
        arrived = {site.id: tuple(range(self.size))} if arrived is None else arrived
        self.report.meetings.append(Meeting(BLOCK0, self.epoch, arrived, tuple(missing)))
        self.epoch += 1
        return site

    def done(self):
        """The report, with the traffic counted."""
        for site in self.report.sites:
            groups = {}
            for a in self.report.accesses:
                if a.site == site.id:
                    groups.setdefault(a.request, []).append(a)
            if not groups:
                continue
            first = next(iter(groups.values()))[0]
            traffic = SiteTraffic(site, first.array, first.space, len(groups))
            for group in groups.values():
                traffic.accesses += len(group)
                traffic.bytes += sum(a.size for a in group)
                if first.space == "global":
                    traffic.sectors += len({a.address // 32 for a in group})
                    distinct = {(a.address, a.size) for a in group}
                    traffic.ideal_sectors += -(-sum(size for _, size in distinct) // 32)
                else:
                    served = turns([(a.thread, a.address) for a in group], group[0].size)
                    traffic.wavefronts += served.taken
                    traffic.ideal_wavefronts += served.ideal
                    traffic.worst_ways = max(traffic.worst_ways, served.ways)
            self.report.traffic[site.id] = traffic
        return self.report


def count(shape):
    total = 1
    for n in shape:
        total *= n
    return total


# --- kernels ---


def map_kernel(threads=8, size=6):
    source = """@cuda.jit
def double(a, out):
    i = cuda.grid(1)
    if i < out.size:
        out[i] = 2 * a[i]
"""
    r = Recorder("double", source, (threads, 1, 1), a=("global", (size,)), out=("global", (size,)))
    guard = lambda x, y, z: x < size  # noqa: E731
    r.load(5, "a[i]", "a", lambda x, y, z: x, who=guard)
    r.store(5, "out[i]", "out", lambda x, y, z: x, who=guard)
    return r.done()


def matmul(tile=2, n=2, keep_second_sync=True):
    source = """@cuda.jit
def matmul(a, b, c):
    sa = cuda.shared.array((T, T), float32)
    sb = cuda.shared.array((T, T), float32)
    x, y = cuda.threadIdx.x, cuda.threadIdx.y
    acc = float32(0)
    for k0 in range(0, a.shape[1], T):
        sa[y, x] = a[y, k0 + x]
        sb[y, x] = b[k0 + y, x]
        cuda.syncthreads()
        for k in range(T):
            acc += sa[y, k] * sb[k, x]
        cuda.syncthreads()
    c[y, x] = acc
"""
    r = Recorder(
        "matmul",
        source,
        (tile, tile, 1),
        first_line=21,
        a=("global", (n, n)),
        b=("global", (n, n)),
        c=("global", (n, n)),
        sa=("shared", (tile, tile)),
        sb=("shared", (tile, tile)),
    )
    for k0 in range(0, n, tile):
        r.load(28, "a[y, k0 + x]", "a", lambda x, y, z, k0=k0: (y, k0 + x))
        r.store(28, "sa[y, x]", "sa", lambda x, y, z: (y, x))
        r.load(29, "b[k0 + y, x]", "b", lambda x, y, z, k0=k0: (k0 + y, x))
        r.store(29, "sb[y, x]", "sb", lambda x, y, z: (y, x))
        r.barrier(30)
        for k in range(tile):
            r.load(32, "sa[y, k]", "sa", lambda x, y, z, k=k: (y, k), turn=k)
            r.load(32, "sb[k, x]", "sb", lambda x, y, z, k=k: (k, x), turn=k)
        if keep_second_sync:
            r.barrier(33)
    r.store(34, "c[y, x]", "c", lambda x, y, z: (y, x))
    return r.done()


def transpose(pad=0, naive=False):
    source = """@cuda.jit
def transpose(a, out):
    tile = cuda.shared.array((32, 32), float32)
    x, y = cuda.threadIdx.x, cuda.threadIdx.y
    tile[y, x] = a[y, x]
    cuda.syncthreads()
    out[y, x] = tile[x, y]
"""
    r = Recorder(
        "transpose",
        source,
        (32, 32, 1),
        a=("global", (32, 32)),
        out=("global", (32, 32)),
        tile=("shared", (32, 32 + pad)),
    )
    r.load(5, "a[y, x]", "a", lambda x, y, z: (y, x))
    if naive:
        r.store(5, "out[x, y]", "out", lambda x, y, z: (x, y))
        return r.done()
    r.store(5, "tile[y, x]", "tile", lambda x, y, z: (y, x))
    r.barrier(6)
    r.load(7, "tile[x, y]", "tile", lambda x, y, z: (x, y))
    r.store(7, "out[y, x]", "out", lambda x, y, z: (y, x))
    return r.done()


def race():
    source = """@cuda.jit
def shift(x, out):
    tile = cuda.shared.array(8, float32)
    i = cuda.threadIdx.x
    tile[i] = x[i]
    # a barrier is missing here
    out[i] = tile[7 - i]
"""
    r = Recorder(
        "shift", source, (8, 1, 1), first_line=11,
        x=("global", (8,)), out=("global", (8,)), tile=("shared", (8,)),
    )  # fmt: skip
    r.load(15, "x[i]", "x", lambda x, y, z: x)
    write = r.store(15, "tile[i]", "tile", lambda x, y, z: x)
    read = r.load(17, "tile[7 - i]", "tile", lambda x, y, z: 7 - x)
    r.store(17, "out[i]", "out", lambda x, y, z: x)
    threads = (Thread((2, 0, 0), BLOCK0), Thread((5, 0, 0), BLOCK0))
    r.report.faults.append(
        Fault(
            "race",
            "tile[2] is written by thread 2 in line 15 and read by thread 5 in line 17, "
            "and no barrier is between them.",
            "tile",
            "shared",
            (2,),
            threads,
            (write, read),
            0,
            8,
        )
    )
    return r.done()


def out_of_bounds():
    source = "@cuda.jit\ndef k(a):\n    x, y = cuda.grid(2)\n    a[y, x + 1] = 1\n"
    r = Recorder("k", source, (4, 4, 1), a=("global", (4, 4)))
    site = r.store(4, "a[y, x + 1]", "a", lambda x, y, z: (y, x + 1), who=lambda x, y, z: x < 3)
    r.report.faults.append(
        Fault(
            "out of bounds",
            "a[2, 4]: index 4 is too large for dimension 1 of size 4.",
            "a",
            "global",
            (2, 4),
            (Thread((3, 2, 0), BLOCK0),),
            (site,),
            None,
            4,
        )
    )
    return r.done()


def divergent(threads=8):
    source = """@cuda.jit
def k(a):
    tile = cuda.shared.array(64, float32)
    i = cuda.threadIdx.x
    tile[i] = a[i]
    if i < 3:
        cuda.syncthreads()
    else:
        cuda.syncthreads()
    a[i] = tile[0]
"""
    r = Recorder("k", source, (threads, 1, 1), a=("global", (64,)), tile=("shared", (64,)))
    r.load(5, "a[i]", "a", lambda x, y, z: x)
    r.store(5, "tile[i]", "tile", lambda x, y, z: x)
    one = r.site("barrier", 7, "cuda.syncthreads()")
    two = r.site("barrier", 9, "cuda.syncthreads()")
    came = {one.id: (0, 1, 2), two.id: tuple(range(3, threads - 1))}
    r.barrier(9, arrived=came, missing=(threads - 1,))
    r.load(10, "tile[0]", "tile", lambda x, y, z: 0)
    r.report.faults.append(
        Fault(
            "divergent barrier",
            "thread 0 waits in line 7, thread 3 in line 9.",
            threads=(Thread((0, 0, 0), BLOCK0), Thread((3, 0, 0), BLOCK0)),
            sites=(one, two),
            epoch=0,
        )
    )
    return r.done()


def strided(step, threads=32, size=4, array=4096):
    r = Recorder("strided", "line", (threads, 1, 1), a=("global", (array,)))
    r.load(1, "a[i]", "a", lambda x, y, z: x * step, size=size)
    return r.done()


def shared_at(index_of, size=4, threads=32):
    r = Recorder("k", "line", (threads, 1, 1), s=("shared", (4096,)))
    r.load(1, "s[i]", "s", index_of, size=size)
    return r.done()


def crowd():
    """1,024 threads with ten accesses each, at scattered places."""
    r = Recorder("crowd", "line\n" * 4, (1024, 1, 1), a=("global", (1 << 16,)),
                 b=("global", (300, 300)), s=("shared", (4096,)))  # fmt: skip
    for k in range(4):
        r.load(1, "a[i]", "a", lambda x, y, z, k=k: (x * 997 + k * 31) % 65536, turn=k)
        r.load(2, "b[i, j]", "b", lambda x, y, z, k=k: (x * 7 % 300, x * 13 % 300), turn=k)
    r.store(3, "s[i]", "s", lambda x, y, z: x * 33 % 4096)
    r.barrier(3)
    r.store(4, "a[i]", "a", lambda x, y, z: x * 64)
    return r.done()


@dataclass
class Gpu:
    name: str = "Tesla T4"
    flops: float = 8.1e12
    bandwidth: float = 320e9


POINTS = [
    ("naive", 0.25, 6e10, True),
    ("naive, coalesced", 0.25, 6.1e10, False),
    ("tiled 32 × 32", 8.0, 1.1e12, True),
    ("register blocks", 64.0, 4e12, False),
]


def all_pictures():
    small, tiled, plain, padded = map_kernel(), matmul(), transpose(), transpose(pad=1)
    naive, raced, wrong, apart = transpose(naive=True), race(), out_of_bounds(), divergent()
    many = crowd()
    return {
        "map": draw_threads(small),
        "matmul": draw_threads(tiled),
        "matmul 4": draw_threads(matmul(2, 4)),
        "matmul 8": draw_threads(matmul(8, 16)),
        "threads of a transpose": draw_threads(plain),
        "threads with a race": draw_threads(raced),
        "threads of a crowd": draw_threads(many),
        "warp of a load": draw_warp(naive, 0),
        "warp of a store": draw_warp(naive),
        "warp of a map": draw_warp(small),
        "warp of a crowd": draw_warp(many),
        "warp, stride 2": draw_warp(strided(2)),
        "warp, one word": draw_warp(strided(0)),
        "warp, bytes": draw_warp(strided(1, size=1)),
        "warp, doubles": draw_warp(strided(1, size=8)),
        "banks": draw_banks(plain),
        "banks, padded": draw_banks(padded, 7),
        "banks, one word": draw_banks(shared_at(lambda x, y, z: 0)),
        "banks, pairs": draw_banks(shared_at(lambda x, y, z: x // 2 * 32)),
        "banks, doubles": draw_banks(shared_at(lambda x, y, z: x, size=8)),
        "barriers": draw_barriers(tiled),
        "barriers of many": draw_barriers(matmul(2, 12)),
        "barriers of warps": draw_barriers(plain),
        "barriers, divergent": draw_barriers(apart),
        "barriers, divergent warps": draw_barriers(divergent(50)),
        "barriers, none": draw_barriers(small),
        "roofline": draw_roofline(POINTS, Gpu()),
        "fault: race": draw_fault(raced, 0),
        "fault: out of bounds": draw_fault(wrong, 0),
        "fault: barrier": draw_fault(apart, 0),
        "heat": draw_heat(tiled, "sa"),
        "heat of rows": draw_heat(matmul(8, 16), "a"),
        "heat, folded": draw_heat(small, "a"),
        "heat, large": draw_heat(many, "b"),
        "heat, never": draw_heat(many, "a", "writes"),
        "heat, very often": draw_heat(busy(), "h"),
    }


def busy():
    report = map_kernel()
    report.arrays["h"], report.reads["h"] = (40,), {(i,): 3**i // 2 for i in range(16)}
    return report


PICTURES = all_pictures()
every_picture = pytest.mark.parametrize("name", PICTURES)


# --- how they are drawn ---

PROSE = FT2Font(font_manager.findfont("DejaVu Sans"))
CODE = FT2Font(font_manager.findfont("DejaVu Sans Mono"))


@dataclass
class Text:
    """A text with the box it takes up in DejaVu Sans, the widest font that readers may have."""

    words: str
    x: float
    y: float
    right: float
    bottom: float
    size: float
    fill: str


@cache
def parse(picture):
    return ElementTree.fromstring(picture.svg)


def attribute(element, name):
    return float(element.get(name, 0))


@cache
def texts(picture):
    found = []
    for element in parse(picture).iter(f"{SVG}text"):
        size = float(element.get("font-size", 12))
        font = CODE if element.get("font-family") else PROSE
        font.set_size(size, 72)
        font.set_text(element.text or "")
        width = font.get_width_height()[0] / 64
        width *= 1.08 if element.get("font-weight") else 1
        share = {"start": 0, "middle": 0.5, "end": 1}[element.get("text-anchor", "start")]
        x, base = attribute(element, "x") - share * width, attribute(element, "y")
        top, bottom = base - 0.72 * size, base + 0.1 * size
        found.append(
            Text(element.text, x, top, x + width, bottom, size, element.get("fill", svg.INK))
        )
    return found


def boxes(picture, kind=None):
    """(left, top, right, bottom, fill) of the rectangles, or of those of one kind."""
    found = []
    for rect in parse(picture).findall(f"{SVG}rect"):
        if kind is None or rect.get("class") == kind:
            x, y = attribute(rect, "x"), attribute(rect, "y")
            right, bottom = x + attribute(rect, "width"), y + attribute(rect, "height")
            found.append((x, y, right, bottom, rect.get("fill")))
    return found


def overlap(a, b, slack=0.6):
    return min(a[2], b[2]) - max(a[0], b[0]) > slack and min(a[3], b[3]) - max(a[1], b[1]) > slack


@every_picture
def test_a_picture_is_well_formed_and_says_its_alt_text_too(name):
    root = parse(PICTURES[name])
    assert root.find(f"{SVG}desc").text == PICTURES[name].alt
    assert root.get("role") == "img" and len(PICTURES[name].alt) > 40
    assert PICTURES[name].alt.endswith(".")


@every_picture
def test_a_picture_fits_a_notebook_and_nothing_lies_outside(name):
    root = parse(PICTURES[name])
    width, height = float(root.get("width")), float(root.get("height"))
    assert width <= svg.WIDE + svg.MARGIN and height < 1300
    assert root.get("viewBox") == f"0 0 {width:.0f} {height:.0f}"
    for text in texts(PICTURES[name]):
        assert text.size >= 11, text
        assert text.x >= 0 and text.y >= 0 and text.right <= width and text.bottom <= height, text
    for box in boxes(PICTURES[name]):
        assert min(box[:2]) >= 0 and box[2] <= width and box[3] <= height
    for line in root.iter(f"{SVG}polyline"):
        for point in line.get("points").split():
            x, y = map(float, point.split(","))
            assert 0 <= x <= width and 0 <= y <= height


@every_picture
def test_texts_do_not_overlap_each_other(name):
    found = [(t.x, t.y, t.right, t.bottom, t.words) for t in texts(PICTURES[name])]
    found.sort(key=lambda box: box[1])
    for i, a in enumerate(found):
        for b in found[i + 1 :]:
            if b[1] > a[3]:
                break
            assert not overlap(a, b), (a, b)


@every_picture
@pytest.mark.parametrize("kind", ["cell", "thread", "word", "sector", "sum", "bar", "epoch"])
def test_boxes_of_one_kind_do_not_overlap(name, kind):
    found = sorted(boxes(PICTURES[name], kind), key=lambda box: box[1])
    for i, a in enumerate(found):
        for b in found[i + 1 :]:
            if b[1] >= a[3]:
                break
            assert not overlap(a, b), (a, b)


@every_picture
def test_a_text_is_not_wider_than_its_box(name):
    found = texts(PICTURES[name])
    for box in boxes(PICTURES[name]):
        if box[3] - box[1] > 60:  # the sheet, and areas with several texts
            continue
        for text in found:
            middle = ((text.x + text.right) / 2, (text.y + text.bottom) / 2)
            if box[0] < middle[0] < box[2] and box[1] < middle[1] < box[3]:
                assert box[0] - 1.5 <= text.x and text.right <= box[2] + 1.5, (text, box)


WITH_ARROWS = [n for n in PICTURES if n.startswith(("map", "matmul", "threads", "fault"))]


@pytest.mark.parametrize("name", WITH_ARROWS)
def test_no_arrow_runs_through_a_text(name):
    found = texts(PICTURES[name])
    for line in parse(PICTURES[name]).iter(f"{SVG}polyline"):
        (x0, y0), (x1, y1) = (
            tuple(map(float, point.split(","))) for point in line.get("points").split()
        )
        for k in range(101):
            x, y = x0 + (x1 - x0) * k / 100, y0 + (y1 - y0) * k / 100
            for text in found:
                inside = text.x < x < text.right and text.y + 1 < y < text.bottom - 1
                assert not inside, (text, line.attrib)


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a, b):
    light, dark = sorted((luminance(a), luminance(b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@every_picture
def test_texts_stand_out_from_what_is_behind_them(name):
    behind = boxes(PICTURES[name])
    for text in texts(PICTURES[name]):
        x, y = (text.x + text.right) / 2, (text.y + text.bottom) / 2
        fill = [b[4] for b in behind if b[0] <= x <= b[2] and b[1] <= y <= b[3]][-1]
        hatch = re.fullmatch(r"url\(#(\w+)\)", fill)
        for colour in svg.HATCHES[hatch[1]][:2] if hatch else [fill]:
            assert contrast(text.fill, colour) >= 4.5, (text, colour)


def test_the_same_report_gives_the_same_bytes():
    again = all_pictures()
    assert {name: picture.svg for name, picture in PICTURES.items()} == {
        name: picture.svg for name, picture in again.items()
    }


@every_picture
def test_pictures_stay_small(name):
    assert len(PICTURES[name].svg) < 300_000
    assert len(PICTURES[name].alt) < 8_000


def test_many_accesses_stay_bounded():
    report = crowd()
    assert len(report.accesses) > 10_000 - 1
    for picture in (
        draw_threads(report),
        draw_warp(report),
        draw_banks(report),
        draw_barriers(report),
        draw_heat(report, "a"),
    ):
        assert len(picture.svg) < 300_000


def test_a_notebook_shows_an_image_and_text_shows_the_words(tmp_path):
    picture = svg.Picture('a "b" <c>', "<svg/>")
    shown = picture._repr_html_()
    assert repr(picture) == 'a "b" <c>'
    assert html.unescape(re.search('alt="([^"]*)"', shown)[1]) == picture.alt
    assert base64.b64decode(re.search('base64,([^"]*)', shown)[1]) == b"<svg/>"
    assert "background:#fff" in shown and "max-width:100%" in shown
    picture.save(tmp_path / "p.svg")
    assert (tmp_path / "p.svg").read_text() == "<svg/>"


def test_awkward_names_are_escaped():
    report = map_kernel()
    report.kernel = "a<b>&\"c'\x00\ud800"
    root = parse(draw_threads(report))
    assert "a<b>&\"c'" in "".join(root.itertext())


# --- draw_threads ---


def test_a_map_shows_an_arrow_for_each_access_and_the_idle_threads():
    picture = draw_threads(map_kernel())
    assert "thread 5 reads a[5] and writes out[5]" in picture.alt
    assert "threads without any access: 6, 7" in picture.alt
    arrows = [line for line in parse(picture).iter(f"{SVG}polyline") if line.get("points")]
    assert len(arrows) == 12 + 2  # and two in the legend
    assert Counter(box[4] for box in boxes(picture, "thread"))["url(#idle)"] == 2
    assert len(boxes(picture, "cell")) == 12


def test_a_tiled_matmul_has_a_panel_for_each_epoch():
    picture = draw_threads(matmul())
    shown = [text.words for text in texts(picture)]
    assert [words for words in shown if words.startswith("Epoch")] == [
        "Epoch 0, before the barrier in line 30",
        "Epoch 1, after the barrier in line 30, before the barrier in line 33",
        "Epoch 2, after the barrier in line 33",
    ]
    assert "thread (1, 0) reads sa[0, 0], sb[0, 1], sa[0, 1], sb[1, 1]" in picture.alt
    assert {"a (global)", "sa (shared)", "c (global)"} <= set(shown)


def test_one_epoch_can_be_drawn():
    alt = draw_threads(matmul(), epoch=2).alt
    assert "Epoch 2" in alt and "Epoch 0" not in alt and "thread (1, 1) writes c[1, 1]" in alt


def test_what_has_no_place_is_said():
    alt = draw_threads(matmul(2, 12)).alt
    assert "The first 3 and the last of 13 epochs are drawn" in alt
    alt = draw_threads(crowd()).alt
    assert "32 of 1,024 threads are drawn: 0 to 31." in alt
    assert "Only the first 2 of them that use memory have arrows: 0 to 1." in alt


def test_a_race_is_marked():
    picture = draw_threads(race())
    assert "There is a race on tile[2]." in picture.alt
    assert [text.words for text in texts(picture)].count("2!") == 2


def test_the_first_warp_that_does_something_is_drawn():
    r = Recorder("k", "line", (128, 1, 1), a=("global", (128,)))
    r.store(1, "a[i]", "a", lambda x, y, z: x, who=lambda x, y, z: x >= 100)
    alt = draw_threads(r.done()).alt
    assert "28 of 128 threads are drawn: 96 to 123" in alt and "thread 100 writes a[100]" in alt


def test_atomics_and_three_axes():
    r = Recorder("k", "line", (2, 2, 2), h=("global", (2, 2, 2)))
    r.access("atomic", 1, "h[0, 0, 0]", "h", lambda x, y, z: (0, 0, 0))
    alt = draw_threads(r.done()).alt
    assert "thread (1, 0, 1) updates atomically h[0, 0, 0]" in alt


def test_a_thread_with_very_many_cells_is_cropped():
    r = Recorder("k", "line", (1, 1, 1), a=("global", (100_000,)))
    for k in range(300):
        r.load(1, "a[i]", "a", lambda x, y, z, k=k: k * 300, turn=k)
    picture = draw_threads(r.done())
    assert any("more arrows would go to cells" in text.words for text in texts(picture))


def test_wrong_blocks_and_epochs_are_refused():
    report = matmul()
    with pytest.raises(ValueError, match=r"block 3 was not followed. There are: 0\."):
        draw_threads(report, block=3)
    with pytest.raises(ValueError, match=r"no memory is used in epoch 7: .* epochs 0–2"):
        draw_threads(report, epoch=7)
    empty = Report("k", "", 1, (1, 1, 1), (8, 1, 1))
    for draw in (draw_threads, draw_barriers):
        with pytest.raises(ValueError, match="no accesses and no barriers to draw"):
            draw(empty)
    report.accesses.clear()
    with pytest.raises(ValueError, match="no accesses of block 0 of matmul"):
        draw_threads(report)


# --- draw_warp ---


@pytest.mark.parametrize(
    ("report", "words"),
    [
        (strided(1), "a load of 4 sectors, as few as possible"),
        (strided(2), "a load of 8 sectors, where 4 would do"),
        (strided(8), "a load of 32 sectors, where 4 would do"),
        (strided(0), "All lanes ask for the same 4 bytes."),
        (strided(1, size=8), "a load of 8 sectors, as few as possible"),
        (strided(1, threads=20), "Lanes 20–31 take no part."),
        (strided(-1, threads=1), "Only lane 0 takes part, with 4 bytes."),
    ],
)
def test_the_sectors_of_a_stride(report, words):
    assert words in draw_warp(report).alt


def test_a_naive_transpose_stores_columns():
    picture = draw_warp(transpose(naive=True))  # the worst access of the kernel
    assert picture.alt.startswith("line 5, out[x, y]: a store of 32 sectors, where 4 would do.")
    assert "12.5% of the bytes that are moved are asked for" in picture.alt
    assert "All 32 requests of this site: 1,024 sectors, ideal 128: efficiency 12.5%" in picture.alt
    assert len(boxes(picture, "word")) == 32 and len(boxes(picture, "bar")) == 32
    assert Counter(box[4] for box in boxes(picture, "sector")) == {"url(#idle)": 32, "#ffffff": 96}


def test_a_site_is_found_by_itself_by_line_and_by_id():
    report = transpose(naive=True)
    load, store = report.sites
    assert "a[y, x]" in draw_warp(report, load).alt
    assert draw_warp(report, 5).alt == draw_warp(report, store).alt  # the worst on line 5
    assert draw_warp(report, 0).alt == draw_warp(report, load).alt
    assert "Request 7 (of 32), warp 7 of block 0" in draw_warp(report, load, request=7).alt


def test_wrong_sites_are_refused_with_what_there_is():
    report = transpose()
    with pytest.raises(
        ValueError, match=r"line or site 99 .* line 5: a\[y, x\] \(site 0, a load\)"
    ):
        draw_warp(report, 99)
    tile = next(site for site in report.sites if site.text == "tile[x, y]")
    with pytest.raises(ValueError, match="does not access global memory in transpose"):
        draw_warp(report, tile)
    with pytest.raises(ValueError, match="does not access shared memory in transpose"):
        draw_banks(report, 0)
    with pytest.raises(ValueError, match="has requests 0 to 31, and no request 32"):
        draw_banks(report, tile, request=32)
    with pytest.raises(ValueError, match=r"no access to shared memory to draw\. It uses global"):
        draw_banks(map_kernel())
    with pytest.raises(ValueError, match="No accesses were kept"):
        draw_warp(Report("k", "", 1, (1, 1, 1), (8, 1, 1)))


# --- draw_banks ---


def test_a_column_of_a_tile_is_one_bank_unless_the_tile_is_padded():
    plain, padded = draw_banks(transpose()), draw_banks(transpose(pad=1), 7)
    assert plain.alt.startswith("line 7, tile[x, y]: a load with a 32-way bank conflict.")
    assert "32 turns of shared memory; without conflicts 1. It asks bank 0 for 32" in plain.alt
    assert padded.alt.startswith("line 7, tile[x, y]: a load without a bank conflict.")
    assert "It asks each of banks 0–31 for one word." in padded.alt
    assert Counter(box[4] for box in boxes(plain, "sum"))["url(#warn)"] == 1
    assert not any(box[4] == "url(#warn)" for box in boxes(padded))


@pytest.mark.parametrize(
    ("index", "size", "taken", "ideal", "ways"),
    [
        (lambda lane: lane, 4, 1, 1, 1),
        (lambda lane: lane * 2, 4, 2, 1, 2),
        (lambda lane: lane * 32, 4, 32, 1, 32),
        (lambda lane: lane * 33, 4, 1, 1, 1),
        (lambda lane: 0, 4, 1, 1, 1),  # all lanes get the one word in one turn
        (lambda lane: lane, 1, 1, 1, 1),
        (lambda lane: lane, 8, 2, 2, 1),
        (lambda lane: lane, 16, 4, 4, 1),
        (lambda lane: lane * 2, 8, 4, 2, 2),
    ],
)
def test_turns(index, size, taken, ideal, ways):
    accesses = shared_at(lambda x, y, z: index(x), size=size).accesses
    served = turns([(a.thread, a.address) for a in accesses], size)
    assert (served.taken, served.ideal, served.ways) == (taken, ideal, ways)


def test_lanes_that_share_a_word_are_marked():
    shown = {text.words for text in texts(draw_banks(shared_at(lambda x, y, z: 0)))}
    assert "all" in shown
    shown = {text.words for text in texts(draw_banks(shared_at(lambda x, y, z: x // 2)))}
    assert {"0*", "30*"} <= shown


# --- draw_barriers ---


def test_barriers_tell_who_writes_and_reads_in_between():
    alt = draw_barriers(matmul()).alt
    assert "Epoch 0: threads 0–3 write sa 4 times; threads 0–3 write sb 4 times." in alt
    assert "Barrier 1: all threads 0–3 at line 30." in alt
    assert "Epoch 1: threads 0–3 read sa 8 times" in alt


def test_a_divergent_barrier_shows_the_lines_and_who_is_missing():
    picture = draw_barriers(divergent())
    assert "Barrier 1: threads 0–2 at line 7, threads 3–6 at line 9;" in picture.alt
    assert "thread 7 has already left the kernel" in picture.alt
    shown = Counter(text.words for text in texts(picture))
    assert (shown["line 7 !"], shown["line 9"], shown["left !"]) == (3, 4, 1)
    assert "3 line 7, 29 line 9 !" in {t.words for t in texts(draw_barriers(divergent(50)))}


def test_of_many_epochs_those_around_a_fault_are_drawn():
    report = matmul(2, 40)
    assert "Epochs 0 to 3 of 0 to 40 are drawn." in draw_barriers(report).alt
    wrong = report.meetings[30]
    site = next(iter(wrong.arrived))
    report.meetings[30] = Meeting(BLOCK0, 30, {site: (0, 1, 2)}, ())
    alt = draw_barriers(report).alt
    assert "Epochs 28 to 31 of 0 to 40 are drawn." in alt
    assert "Barrier 31: threads 0–2 at line 30; thread 3 did not come." in alt


# --- draw_roofline ---


def test_a_roofline_gives_shares_and_calls_a_prediction_one():
    alt = PICTURES["roofline"].alt
    assert "Roofline of Tesla T4: 8.1 Tflop/s, 320 GB/s. The ridge is at 25.3 flop/byte." in alt
    assert "1 naive: 0.25 flop/byte, 60 Gflop/s, 75% of the roof (memory), prediction." in alt
    assert (
        "4 register blocks: 64 flop/byte, 4 Tflop/s, 49% of the roof (arithmetic), measured" in alt
    )
    assert [text.words for text in texts(PICTURES["roofline"])].count("prediction") == 2


@pytest.mark.parametrize("intensity", [1e-3, 0.3, 25, 1e4])
def test_a_roofline_holds_points_anywhere(intensity):
    picture = draw_roofline([("k", intensity, 1e6, True), ("k", intensity, 2e6, True)], Gpu())
    root = parse(picture)
    for circle in root.iter(f"{SVG}circle"):
        assert 0 < float(circle.get("cx")) < float(root.get("width"))
        assert 0 < float(circle.get("cy")) < float(root.get("height"))


@pytest.mark.parametrize("point", [("k", 0, 1e9, True), ("k", 1, 0, True), ("k", 1, -1, True),
                                   ("k", float("inf"), 1e9, True)])  # fmt: skip
def test_a_roofline_refuses_what_has_no_logarithm(point):
    with pytest.raises(ValueError, match="above zero"):
        draw_roofline([point], Gpu())
    with pytest.raises(ValueError, match="points are empty"):
        draw_roofline([], Gpu())


# --- draw_fault and draw_heat ---


def test_a_race_shows_both_lines_both_threads_and_the_element():
    picture = PICTURES["fault: race"]
    assert "Line 15, thread 2 of block 0 writes: tile[i] = x[i]." in picture.alt
    assert "Line 17, thread 5 of block 0 reads: out[i] = tile[7 - i]." in picture.alt
    assert "The element is tile[2] of an array of shape 8." in picture.alt
    shown = {text.words for text in texts(picture)}
    assert {"tile[i] = x[i]", "out[i] = tile[7 - i]", "thread 2 of block 0", "!"} <= shown
    assert len(boxes(picture, "line")) == 2 and len(boxes(picture, "cell")) == 8


def test_an_index_out_of_bounds_is_drawn_outside_of_the_array():
    picture = PICTURES["fault: out of bounds"]
    assert "Dotted: outside of the array." in {text.words for text in texts(picture)}
    assert len(boxes(picture, "cell")) == 4 * 5


@pytest.mark.parametrize(
    ("index", "shape"),
    [((-1,), (6,)), ((10**6,), (6,)), ((5000,), (10_000,)), ((3, 70, -2), (9, 64, 64)), ((), ())],
)
def test_elements_anywhere_can_be_drawn(index, shape):
    report = race()
    report.arrays["tile"] = shape
    old = report.faults[0]
    report.faults.append(Fault("race", "m", "tile", "shared", index, old.threads, old.sites))
    picture = draw_fault(report, 1)
    root = parse(picture)
    assert float(root.get("width")) < 900 and float(root.get("height")) < 700


def test_a_fault_without_source_or_array_can_be_drawn():
    report = Report("k", "", 1, (1, 1, 1), (2048, 1, 1))
    report.faults.append(Fault("too many threads", "2,048 threads; a block has at most 1,024."))
    report.faults.append(Fault("endless", "m", threads=(Thread((1, 0, 0), BLOCK0),), count=3))
    assert "2,048 threads" in draw_fault(report, 0).alt
    assert draw_fault(report, report.faults[1]).alt.startswith("endless (3 times):")


def test_faults_that_are_not_there_are_refused():
    with pytest.raises(ValueError, match="no fault was found in double"):
        draw_fault(map_kernel(), 0)
    with pytest.raises(ValueError, match=r"there is no fault 1. The report has 0: race\."):
        draw_fault(race(), 1)
    with pytest.raises(ValueError, match="not one of the report's"):
        draw_fault(race(), Fault("race", "another"))


def test_heat_counts_elements():
    alt = draw_heat(matmul(), "sa").alt
    assert alt.startswith("Reads of sa in matmul: 2 for each element. 4 elements (shape 2 × 2)")
    assert "Each is read at least once." in alt
    alt = PICTURES["heat of rows"].alt
    assert "0 to 1 for each element" in alt and "128 of them are never read." in alt
    assert "A cell stands for 64 elements" in PICTURES["heat, never"].alt
    assert "A cell stands for 10 × 10 elements" in PICTURES["heat, large"].alt


def test_heat_keeps_what_is_outside_of_the_array_apart():
    report = map_kernel()
    report.writes["out"][6,] = 2
    assert "Outside of the array: 2 times." in draw_heat(report, "out", "writes").alt


@pytest.mark.parametrize("shape", [(), (1,), (1025,), (33, 1), (1, 33), (2, 3, 4), (40, 2000)])
def test_heat_of_any_shape(shape):
    report = map_kernel()
    report.arrays["h"] = shape
    report.reads["h"] = {index: 1 for index in product(*map(range, shape))}
    picture = draw_heat(report, "h")
    assert ": 1 for each element." in picture.alt
    assert len(picture.svg) < 300_000
    for a, b in combinations(boxes(picture, "cell")[:40], 2):
        assert not overlap(a, b)


def test_a_huge_array_takes_no_memory_of_its_size():
    report = map_kernel()
    report.arrays["h"], report.reads["h"] = (10**13,), {(10**13 - 1,): 5}
    picture = draw_heat(report, "h")
    assert "9,999,999,999,999 of them are never read" in picture.alt
    assert all(text.x >= 0 for text in texts(picture))


def test_heat_refuses_what_is_not_there():
    with pytest.raises(ValueError, match=r"no array 'z'\. There are: a, out"):
        draw_heat(map_kernel(), "z")
    with pytest.raises(ValueError, match='"reads" or "writes"'):
        draw_heat(map_kernel(), "a", "loads")
    report = map_kernel()
    report.arrays["a"] = (0,)
    with pytest.raises(ValueError, match="there are no elements"):
        draw_heat(report, "a")


def test_the_pictures_need_nothing_else_of_the_course():
    package = Path(svg.__file__).parent
    for path in (package / "svg.py", *(package / "pictures").glob("*.py")):
        imported = set(re.findall(r"^\s*(?:from|import) (course\.\w+)", path.read_text(), re.M))
        assert imported <= {"course.kernellab"}, path
