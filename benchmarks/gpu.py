"""What the course says about GPUs, put to a real one. Without an NVIDIA GPU it says so and ends.

Its parts:

    launch     how long it takes to start a kernel that does nothing, with 0 to 4 arrays
    copies     bandwidth from host to device and back, from pageable and from pinned memory
    peaks      bandwidth of the GPU's memory and of shared memory; float32 operations a second
    course     the course's kernels: their share of a copy's bandwidth, of cuBLAS, of PyTorch's attention
    kernels    each right kernel of the tests: the GPU against the expected result and the lab's
    sanitizer  each right and each wrong kernel of the tests: compute-sanitizer against lab.check

The last one wants compute-sanitizer, of the CUDA toolkit, on PATH. For example:

    python benchmarks/gpu.py --only launch,copies,peaks

Times are medians, and CUDA events' where nothing else is said. What was found is written, part by
part, to a Markdown file: benchmarks/results/gpu-<date>-<GPU>.md. The exit code is 0; or 1 if there
were findings: a kernel differs, or the lab misses a fault; or 2 for a wrong call.
"""

# ruff: noqa: E402  (numba reads its environment when it is imported)

import argparse
import datetime
import functools
import os
import platform
import re
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

ENVIRONMENT = {
    "KERNELLAB": "0",  # kernels run on the GPU
    "NUMBA_CUDA_LOW_OCCUPANCY_WARNINGS": "0",  # they cost a launch more than the launch
    "NUMBA_CUDA_WARN_ON_IMPLICIT_COPY": "0",
}
if __name__ == "__main__":
    os.environ.update(ENVIRONMENT)

import numpy as np
from numba import cuda, float32
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table as RichTable

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
console = Console()

ROUNDS, WARM_UP = 11, 3
LAUNCHES = 200
"""Launches in a row: fewer than the driver's queue holds, so that no call waits for the GPU."""
RTOL, ATOL = 1e-4, 1e-5
SEED = 7
CHUNK = 20
"""Right kernels that one process runs under the sanitizer."""
TOOLS = ("memcheck", "racecheck", "initcheck", "synccheck")

DATA_SHEETS = {
    "Tesla T4": (8.1, 320),
    "Tesla V100-SXM2-16GB": (15.7, 900),
    "NVIDIA A100-SXM4-40GB": (19.5, 1555),
    "NVIDIA A100-SXM4-80GB": (19.5, 2039),
    "NVIDIA A100-PCIE-40GB": (19.5, 1555),
    "NVIDIA A100 80GB PCIe": (19.5, 1935),
    "NVIDIA A10": (31.2, 600),
    "NVIDIA L4": (30.3, 300),
    "NVIDIA L40S": (91.6, 864),
    "NVIDIA H100 PCIe": (51, 2000),
    "NVIDIA H100 80GB HBM3": (67, 3350),
    "NVIDIA H200": (67, 4800),
    "NVIDIA GeForce RTX 3090": (35.6, 936),
    "NVIDIA GeForce RTX 4090": (82.6, 1008),
}
"""{the driver's name of a GPU: (float32 Tflop/s without tensor cores, GB/s)}."""

CORES = {(7, 0): 64, (7, 2): 64, (7, 5): 64, (8, 0): 64}
CORES |= dict.fromkeys([(8, 6), (8, 7), (8, 9), (9, 0), (10, 0), (10, 3), (12, 0), (12, 1)], 128)
"""{compute capability: float32 units of a multiprocessor}."""


# ------------------------------------------------------------------------------- what was found


@dataclass
class Table:
    """Rows of text under a heading."""

    title: str
    head: tuple[str, ...]
    rows: list[tuple[str, ...]]


@dataclass
class Part:
    """What a part of this script found out.

    Attributes:
        title: its heading.
        notes: what to know about it, a sentence each.
        tables: the numbers.
        constants: {name: value}, for the table of constants.
        findings: what should not be so.
    """

    title: str
    notes: list[str] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    constants: dict[str, float] = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)


def markdown(title: str, environment: dict[str, str], parts: Sequence[Part]) -> str:
    """The result file."""
    findings = [finding for part in parts for finding in part.findings]
    lines = [f"# {title}", ""]
    lines += table_lines(("environment", ""), list(environment.items()))
    lines += ["", "## Findings", ""]
    lines += [f"* {one_line(finding)}" for finding in findings] or ["None."]
    for part in parts:
        lines += ["", f"## {part.title}"]
        for note in part.notes:
            lines += ["", one_line(note)]
        for table in part.tables:
            lines += ["", f"### {table.title}", "", *table_lines(table.head, table.rows)]
    return "\n".join(lines) + "\n"


def table_lines(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """A table in Markdown."""
    for row in (head, ["---"] * len(head), *rows):
        yield "| " + " | ".join(one_line(cell).replace("|", r"\|") for cell in row) + " |"


def one_line(text: str) -> str:
    """A text without line breaks."""
    return " ".join(str(text).split())


def short(error: BaseException) -> str:
    """An error's kind and first line, without the folders of this computer."""
    first = next(iter(str(error).strip().splitlines()), "")
    for folder in (ROOT, Path(sys.prefix), Path.home()):
        first = first.replace(f"{folder}{os.sep}", "")
    return f"{type(error).__name__}: {first}"[:160]


# --------------------------------------------------------------------------------- measuring time


def seconds(work: Callable[[], Any]) -> float:
    """The median time that some work takes on the GPU, by its events."""
    begin, end = cuda.event(), cuda.event()
    for _ in range(WARM_UP):
        work()
    times = []
    for _ in range(ROUNDS):
        begin.record()
        work()
        end.record()
        end.synchronize()
        times.append(cuda.event_elapsed_time(begin, end) / 1e3)
    return statistics.median(times)


@cuda.jit
def take_none():
    pass


@cuda.jit
def take_one(a):
    pass


@cuda.jit
def take_two(a, b):
    pass


@cuda.jit
def take_three(a, b, c):
    pass


@cuda.jit
def take_four(a, b, c, d):
    pass


TAKERS = (take_none, take_one, take_two, take_three, take_four)


def launch(options: argparse.Namespace) -> Part:
    """The time of a launch, by the number of arrays."""
    part = Part("Launch overhead")
    part.notes.append(
        f"kernel[1, 32](...) of kernels that do nothing, with arrays on the device; {LAUNCHES} "
        "launches in a row. The call: by the host's clock, until Python goes on. In a row: by "
        "events, from one launch to the next. Alone: by the host's clock, with a wait for its end."
    )
    arrays = [cuda.to_device(np.zeros(32, np.float32)) for _ in range(4)]
    calls: list[float] = []
    rows: list[tuple[str, ...]] = []
    for count, kernel in enumerate(TAKERS):
        times = launch_times(kernel, arrays[:count])
        calls.append(times[0] * 1e6)
        rows.append((str(count), *(f"{t * 1e6:.1f}" for t in times)))
    head = ("arrays", "the call (µs)", "in a row (µs)", "alone (µs)")
    part.tables.append(Table("Microseconds a launch", head, rows))
    part.constants["LAUNCH_US"] = calls[0]
    part.constants["LAUNCH_US_PER_ARRAY"] = (calls[-1] - calls[0]) / (len(calls) - 1)
    return part


def launch_times(kernel: Any, arrays: list[Any]) -> tuple[float, float, float]:
    """Seconds of a launch: the call, in a row, alone."""

    def calls() -> None:
        for _ in range(LAUNCHES):
            kernel[1, 32](*arrays)

    in_a_row = seconds(calls) / LAUNCHES
    call, alone = [], []
    for _ in range(ROUNDS):
        cuda.synchronize()
        start = time.perf_counter()
        calls()
        call.append((time.perf_counter() - start) / LAUNCHES)
        cuda.synchronize()
        start = time.perf_counter()
        kernel[1, 32](*arrays)
        cuda.synchronize()
        alone.append(time.perf_counter() - start)
    return statistics.median(call), in_a_row, statistics.median(alone)


def copies(options: argparse.Namespace) -> Part:
    """Bandwidth between host and device."""
    part = Part("Copies between host and device")
    largest = most_bytes(256 << 20)
    rows: list[tuple[str, ...]] = []
    for nbytes in (4 << 10, 1 << 20, largest):
        for memory in ("pageable", "pinned"):
            make = cuda.pinned_array if memory == "pinned" else np.empty
            host = make(nbytes // 4, np.float32)
            host[:] = 1  # now its pages are there
            device = cuda.to_device(host)
            there = seconds(functools.partial(device.copy_to_device, host))
            back = seconds(functools.partial(device.copy_to_host, host))
            rates = [nbytes / t / 1e9 for t in (there, back)]
            row = (size(nbytes), memory, f"{there * 1e6:.1f}", f"{back * 1e6:.1f}")
            rows.append((*row, *(f"{rate:.2f}" for rate in rates)))
            if nbytes == largest:
                part.constants[f"HOST_TO_DEVICE_{memory.upper()}_GBS"] = rates[0]
                part.constants[f"DEVICE_TO_HOST_{memory.upper()}_GBS"] = rates[1]
    head = ("bytes", "host memory", "to device (µs)", "to host (µs)")
    part.tables.append(Table("Copies", (*head, "to device (GB/s)", "to host (GB/s)"), rows))
    return part


def most_bytes(wanted: int) -> int:
    """As many bytes as are wanted, or what fits four times into the GPU's free memory."""
    free, _ = cuda.current_context().get_memory_info()
    return min(wanted, int(free) // 4) // 1024 * 1024


def size(nbytes: int) -> str:
    """A number of bytes in words."""
    for unit in ("B", "KiB", "MiB"):
        if nbytes < 1024:
            return f"{nbytes:.0f} {unit}"
        nbytes //= 1024
    return f"{nbytes} GiB"


# ------------------------------------------------------------------------------------------ peaks

THREADS, BLOCKS = 256, 8  # a block's threads; blocks for each multiprocessor
UNROLLED, FMAS = 16, 8 * 16  # steps that the compiler writes out; operations of a round
WORDS, LOADS = 2048, 32  # of shared memory; loads of a round


@cuda.jit
def multiply_add(out, x, y, rounds):
    """Nothing but fused multiply-adds, in registers: eight chains, so that none has to wait."""
    i = cuda.grid(1)
    a = float32(i)
    b, c, d = a + float32(1), a + float32(2), a + float32(3)
    e, f, g, h = a + float32(4), a + float32(5), a + float32(6), a + float32(7)
    for _ in range(rounds):
        for _ in range(UNROLLED):
            a, b = cuda.fma(a, x, y), cuda.fma(b, x, y)
            c, d = cuda.fma(c, x, y), cuda.fma(d, x, y)
            e, f = cuda.fma(e, x, y), cuda.fma(f, x, y)
            g, h = cuda.fma(g, x, y), cuda.fma(h, x, y)
    out[i] = a + b + c + d + e + f + g + h


@cuda.jit
def read_shared(out, rounds):
    """Nothing but loads from shared memory, free of bank conflicts, and their sums."""
    words = cuda.shared.array(WORDS, float32)
    t = cuda.threadIdx.x
    for k in range(t, WORDS, cuda.blockDim.x):
        words[k] = float32(k)
    cuda.syncthreads()
    a, b, c, d = float32(0), float32(0), float32(0), float32(0)
    for r in range(rounds):
        start = (t + 32 * r) & 1023  # another place each time, so that no load can be saved
        for k in range(0, 1024, 128):
            a += words[start + k]
            b += words[start + k + 32]
            c += words[start + k + 64]
            d += words[start + k + 96]
    out[cuda.grid(1)] = a + b + c + d


@cuda.jit
def copy(x, out):
    i = cuda.grid(1)
    if i < x.size:
        out[i] = x[i]


def peaks(options: argparse.Namespace) -> Part:
    """The constants of the roofline."""
    part = Part("Peaks")
    part.notes.append(
        "What kernels reach that do one thing only. A copy moves each byte twice, and both count."
    )
    processors = cuda.get_current_device().MULTIPROCESSOR_COUNT
    blocks, rounds = processors * BLOCKS, 2000
    out = cuda.device_array(blocks * THREADS, np.float32)
    x, y = np.float32(0.999), np.float32(0.001)

    def compute() -> None:
        multiply_add[blocks, THREADS](out, x, y, rounds)

    start = time.perf_counter()
    while time.perf_counter() - start < 1:  # for the clock to go up
        compute()
        cuda.synchronize()
    flops = 2 * FMAS * rounds * out.size / seconds(compute)
    part.constants["FP32_TFLOPS"] = flops / 1e12
    rows: list[tuple[str, ...]] = [
        ("float32, fused multiply-adds in registers", f"{flops / 1e12:.2f} Tflop/s")
    ]

    loaded = 4 * LOADS * rounds * out.size
    shared = loaded / seconds(lambda: read_shared[blocks, THREADS](out, rounds))
    part.constants["SHARED_GBS"] = shared / 1e9
    rows.append(("shared memory, 4 bytes a thread", f"{shared / 1e9:,.0f} GB/s"))

    nbytes = most_bytes(1 << 30)
    one = cuda.to_device(np.ones(nbytes // 4, np.float32))
    two = cuda.device_array_like(one)
    best = 0.0
    copiers: dict[str, Callable[[], Any]] = {"the driver's": lambda: two.copy_to_device(one)}
    for dtype in (np.float32, np.float64):
        a, b = one.view(dtype), two.view(dtype)
        configured = copy[-(-a.size // THREADS), THREADS]
        copiers[f"{a.dtype.itemsize} bytes a thread"] = functools.partial(configured, a, b)
    for what, copier in copiers.items():
        rate = 2 * nbytes / seconds(copier)
        best = max(best, rate)
        rows.append((f"copy of {size(nbytes)}, {what}", f"{rate / 1e9:,.0f} GB/s"))
    part.constants["MEMORY_GBS"] = best / 1e9
    part.constants["RIDGE_FLOPS_PER_BYTE"] = flops / best
    part.tables.append(Table("Measured", ("what", "how fast"), rows))
    return part


def constants(parts: Sequence[Part], name: str, by_clocks: dict[str, float]) -> Part:
    """All constants by name, measured, from the data sheet, and from the GPU's clocks."""
    measured = {key: value for part in parts for key, value in part.constants.items()}
    sheet: dict[str, float] = {}
    if name in DATA_SHEETS:
        tflops, gbs = DATA_SHEETS[name]
        sheet = {"FP32_TFLOPS": tflops, "MEMORY_GBS": gbs}
        sheet["RIDGE_FLOPS_PER_BYTE"] = tflops * 1e3 / gbs
    rows: list[tuple[str, ...]] = []
    for key, value in measured.items():
        row: tuple[str, ...] = (key, number(value))
        for other in (sheet, by_clocks):
            known = other.get(key)
            row += (f"{number(known)} ({value / known:.0%} of it)" if known else "",)
        rows.append(row)
    part = Part("Constants", tables=[Table("By name", ("name", "measured", "data sheet", "by its clocks"), rows)])  # fmt: skip
    part.notes.append(
        "By its clocks: units times the highest clock that the driver names."
        + ("" if sheet else f" The data sheet of {name} is not known here.")
    )
    return part


def number(value: float) -> str:
    """A number with as many digits as are worth reading."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def clock_limits(device: Any) -> dict[str, float]:
    """What a GPU's units could do at its highest clock; only what the driver says enough about."""
    out: dict[str, float] = {}
    try:
        cycles = device.MULTIPROCESSOR_COUNT * device.CLOCK_RATE * 1e3
        out["SHARED_GBS"] = cycles * 128 / 1e9
        if (cores := CORES.get(tuple(device.compute_capability))) is not None:
            out["FP32_TFLOPS"] = 2 * cores * cycles / 1e12
        out["MEMORY_GBS"] = 2 * device.MEMORY_CLOCK_RATE * 1e3 * device.GLOBAL_MEMORY_BUS_WIDTH / 8e9  # fmt: skip
    except Exception as error:
        console.print(f"  the driver does not tell all its clocks ({escape(short(error))})")
    return {key: value for key, value in out.items() if value > 0}


# ----------------------------------------------------------------------------------------- course


def course(options: argparse.Namespace) -> Part:
    """The kernels of `course.cuda` against what the hardware and its libraries reach."""
    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))
    from benchmarks import gpu_course

    part = Part("The course's kernels")
    found, part.notes = gpu_course.course(seconds)
    part.notes.insert(0, "A share of 1 is as fast as the peer; goals are those of the course.")
    rows: list[tuple[str, ...]] = []
    for one in found:
        goal = f"{one.goal:.0%}" if one.goal else ""
        rows.append((one.what, one.speed, f"{one.share:.0%}", one.peer, goal))
        if one.share < one.goal:
            part.findings.append(f"{one.what}: {one.share:.0%} of {one.peer}, goal {goal}")
    head = ("kernel", "speed", "share", "of", "goal")
    part.tables.append(Table("Against the hardware", head, rows))
    return part


# ---------------------------------------------------------------------------------------- kernels


def rows_of_the_tests(match: str = "") -> dict[str, Any]:
    """{name: row}, "clean:..." and "planted:...", from the tables of the tests."""
    for folder in (ROOT, ROOT / "tests"):
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
    import kernels_clean
    import kernels_planted

    rows: dict[str, Any] = {f"clean:{row.name}": row for row in kernels_clean.CLEAN}
    rows |= {f"planted:{row.name}": row for row in kernels_planted.PLANTED}
    return {name: row for name, row in rows.items() if match in name}


def find(name: str, rows: dict[str, Any]) -> Any:
    """The row of a kernel by its name, with or without "clean:" or "planted:".

    Raises:
        LookupError: if there is none, or one of each.
    """
    found = [key for key in rows if name in (key, key.partition(":")[2])]
    if len(found) != 1:
        why = f"more than one: {', '.join(found)}" if found else "none"
        raise LookupError(f"which kernel is {name!r}? There is {why}.")
    return rows[found[0]]


def copied(arguments: Sequence[Any]) -> list[Any]:
    """Arguments for another launch."""
    return [a.copy(order="K") if isinstance(a, np.ndarray) else a for a in arguments]


def launch_row(row: Any, arguments: Sequence[Any]) -> None:
    """Runs a row's kernel on the GPU, to its end."""
    row.kernel[row.grid, row.block, 0, row.dynamic_shared](*arguments)
    cuda.synchronize()


EQUAL, CLOSE, DIFFERENT = "equal", "within tolerance", "different"


def agreement(actual: Any, expected: Any, ordered: bool = True) -> tuple[str, float]:
    """How close two arrays are, in words, and the largest difference.

    Args:
        actual, expected: arrays.
        ordered: False if the order of the elements does not matter.
    """
    a, b = np.asarray(actual), np.asarray(expected)
    if a.shape != b.shape:
        return DIFFERENT, float("nan")
    if not ordered:
        a, b = np.sort(a, axis=None), np.sort(b, axis=None)
    if np.array_equal(a, b, equal_nan=True):
        return EQUAL, 0.0
    wide = np.complex128 if "c" in (a.dtype.kind, b.dtype.kind) else np.float64
    with np.errstate(invalid="ignore"):
        apart = float(np.nanmax(np.abs(a.astype(wide) - b.astype(wide)), initial=0.0))
    inexact = a.dtype.kind in "fc" and b.dtype.kind in "fc"
    close = inexact and np.allclose(a, b, rtol=RTOL, atol=ATOL, equal_nan=True)
    return (CLOSE if close else DIFFERENT), apart


def agreements(pairs: Sequence[tuple[Any, Any]], ordered: bool = True) -> tuple[str, float]:
    """The worst of several agreements."""
    order = (EQUAL, CLOSE, DIFFERENT)
    found = [agreement(a, b, ordered) for a, b in pairs] or [(EQUAL, 0.0)]
    return max(found, key=lambda each: (order.index(each[0]), each[1]))


def kernels(options: argparse.Namespace) -> Part:
    """Every right kernel on the GPU, against the table's results and the lab's."""
    rows = rows_of_the_tests(options.match)
    rows = {name: row for name, row in rows.items() if name.startswith("clean:")}
    part = Part("Kernels")
    part.notes.append(
        f"Equal is to the last bit; the tolerance is {RTOL:g} of the value and {ATOL:g}. A kernel "
        "that the table calls exact must be equal to what is expected."
    )
    table: list[tuple[str, ...]] = []
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("", total=len(rows))
        for row in rows.values():
            progress.update(task, description=escape(row.name))
            told, finding = compare_row(row)
            table.append((row.name, *told))
            if finding:
                part.findings.append(f"{row.name}: {finding}")
            progress.advance(task)
    counts = [Counter(row[column] for row in table) for column in (1, 2)]
    words = sorted(counts[0] | counts[1])
    summary = [(word, *(str(count[word]) for count in counts)) for word in words]
    compared = ("GPU and expected", "GPU and lab")
    part.tables.append(Table("How many kernels", ("", *compared), summary))
    head = ("kernel", *compared, "apart from expected", "apart from lab")
    part.tables.append(Table("One by one", head, table))
    return part


def compare_row(row: Any) -> tuple[tuple[str, str, str, str], str]:
    """The cells for a right kernel, and what is wrong with it."""
    from course.kernellab.launch import run
    from course.kernellab.limits import launch_shape

    arguments = row.args(np.random.default_rng(SEED))
    expected = row.expected(*copied(arguments))
    on_gpu, in_lab = copied(arguments), copied(arguments)
    try:
        launch_row(row, on_gpu)
    except Exception as error:
        return ("no result", "no result", "", ""), f"fails on the GPU: {short(error)}"
    against, apart = agreements([(on_gpu[at], b) for at, b in expected.items()], row.ordered)
    finding = ""
    if against == DIFFERENT or (row.exact and against != EQUAL):
        finding = f"on the GPU {against}, not as expected (largest difference {apart:.3g})"
    try:
        shape = launch_shape((row.grid, row.block, 0, row.dynamic_shared))
        engine = "split" if row.engines is None or "split" in row.engines else row.engines[0]
        run(row.kernel, shape, in_lab, engine=engine)
    except Exception as error:
        finding = finding or f"fails in the lab: {short(error)}"
        return (against, "no result", f"{apart:.3g}", ""), finding
    to_lab, lab_apart = agreements([(on_gpu[at], in_lab[at]) for at in expected], row.ordered)
    if to_lab == DIFFERENT:
        finding = finding or f"GPU and lab differ (largest difference {lab_apart:.3g})"
    return (against, to_lab, f"{apart:.3g}", f"{lab_apart:.3g}"), finding


# -------------------------------------------------------------------------------------- sanitizer

CLEAN, ERRORS, WARNINGS, FAILS, HANGS, SILENT = (
    "clean", "errors", "warnings", "fails", "hangs", "no verdict",
)  # fmt: skip


@dataclass(frozen=True)
class Verdict:
    """What a tool of the sanitizer says of a run.

    Attributes:
        word: "clean", "errors", "warnings", "fails", "hangs" or "no verdict".
        detail: its own first words.
    """

    word: str
    detail: str = ""

    @property
    def seen(self) -> bool:
        """Whether something was wrong."""
        return self.word not in (CLEAN, SILENT)

    def __str__(self) -> str:
        return f"{self.word}: {self.detail}" if self.detail else self.word


# The sanitizer's own lines that are about the session, and no fault.
SESSION = (
    "COMPUTE-SANITIZER", "ERROR SUMMARY", "RACECHECK SUMMARY", "LEAK SUMMARY", "Program hit",
    "Error: process", "Error: Target", "Error: No attachable", "Target application", "Default timeout",
)  # fmt: skip


def verdict(output: str, finished: bool) -> Verdict:
    """Reads what the sanitizer and the process under it have printed.

    Args:
        output: all of it.
        finished: False if the process was ended because its time was over.
    """
    own = [line[9:] for line in output.splitlines() if line.startswith("=========")]
    # What goes on from a line above is indented further.
    faults = [line.strip() for line in own if re.match(r" ?[^ ]", line)]
    faults = [line for line in faults if not line.startswith(SESSION)]
    first = re.split(r" at | in /|\.$", faults[0])[0] if faults else ""
    races = re.search(r"RACECHECK SUMMARY: .*\((\d+) errors?, (\d+) warnings?\)", output)
    total = re.search(r"ERROR SUMMARY: (\d+) errors?", output)
    errors = int((races or total or ["", "0"])[1])
    warnings = int(races[2]) if races else 0
    failed = re.search(r"^failed .*?: (.*)", output, re.MULTILINE)
    if not finished:
        return Verdict(ERRORS, f"{first}, and hangs") if faults else Verdict(HANGS)
    if failed and not faults:
        return Verdict(FAILS, failed[1][:80])
    for word, count in ((ERRORS, errors), (WARNINGS, warnings)):
        if count:
            return Verdict(word, f"{count}, {first}" if faults else str(count))
    if not (races or total) or "launched " not in output:
        return Verdict(SILENT, first)
    return Verdict(CLEAN)


def run_limited(command: Sequence[str], timeout: float) -> tuple[str, bool]:
    """Runs a command: its output, and whether it came to its end in time.

    With it ends all that it has started.
    """
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
        text=True, errors="replace", env={**os.environ, **ENVIRONMENT}, start_new_session=True,
    )  # fmt: skip
    try:
        return process.communicate(timeout=timeout)[0], True
    except subprocess.TimeoutExpired:
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
        try:
            return process.communicate(timeout=10)[0], False
        except subprocess.TimeoutExpired:
            return "", False


def sanitize(program: str, tool: str, names: Sequence[str], timeout: float) -> Verdict:
    """One tool's verdict on kernels that run in one process, one after the other."""
    ones = [part for name in names for part in ("--one", name)]
    # What the driver answers to harmless questions of Python's is no business of ours.
    options = ["--tool", tool, "--target-processes", "all", "--report-api-errors", "no"]
    options += ["--launch-timeout", "300"]
    command = [program, *options, sys.executable, str(Path(__file__).resolve()), *ones]
    return verdict(*run_limited(command, timeout + 10 * (len(names) - 1)))


def sanitizer(options: argparse.Namespace) -> Part:
    """The sanitizer's four tools and the lab's checker on every kernel."""
    part = Part("compute-sanitizer and the lab's checker")
    program = shutil.which("compute-sanitizer")
    if program is None:
        part.notes.append("Left out: compute-sanitizer, of the CUDA toolkit, is not on PATH.")
        return part
    rows = rows_of_the_tests(options.match)
    probe = sanitize(program, "memcheck", ["clean:double"], options.timeout)
    if probe.word != CLEAN:
        part.notes.append("Left out: not even a right kernel is clean.")
        part.findings.append(f"compute-sanitizer does not work here: {probe}")
        return part
    version = ask(lambda: run_limited([program, "--version"], 60)[0].strip().splitlines()[-1])
    part.notes.append(
        f"{version}. Hangs: still running after {options.timeout} seconds. Races in global memory, "
        "shared memory that is read before it is written, and an index beyond one dimension but "
        "inside the array are nothing that these tools look for."
    )
    verdicts = examine(program, list(rows), options)
    lab: dict[str, set[str]] = {}
    with Progress(console=console, transient=True) as progress:
        for name in progress.track(list(rows), description="lab.check"):
            lab[name] = lab_kinds(rows[name])
    judge(part, rows, lab, verdicts)
    return part


def examine(
    program: str, names: list[str], options: argparse.Namespace
) -> dict[tuple[str, str], Verdict]:
    """{(kernel, tool): verdict}. Right kernels share processes, until something is wrong in one."""
    clean = [name for name in names if name.startswith("clean:")]
    groups = [[name] for name in names if not name.startswith("clean:")]
    groups += [clean[at : at + CHUNK] for at in range(0, len(clean), CHUNK)]
    jobs = [(group, tool) for group in groups for tool in TOOLS]
    out: dict[tuple[str, str], Verdict] = {}
    with ThreadPoolExecutor(options.jobs) as pool, Progress(console=console) as progress:
        while jobs:
            task = progress.add_task("compute-sanitizer", total=len(jobs))
            found = pool.map(lambda job: sanitize(program, job[1], job[0], options.timeout), jobs)
            again = []
            for (group, tool), said in zip(jobs, found):
                progress.advance(task)
                if len(group) > 1 and said.word != CLEAN:
                    again += [([name], tool) for name in group]
                else:
                    out |= {(name, tool): said for name in group}
            jobs = again
    return out


def lab_kinds(row: Any) -> set[str]:
    """The kinds of fault that the lab's checker finds."""
    from course.kernellab.check import check
    from course.kernellab.launch import Configured

    configured = Configured(row.kernel, (row.grid, row.block, 0, row.dynamic_shared))
    try:
        return check(configured, *row.args(np.random.default_rng(SEED))).kinds()
    except Exception as error:
        return {short(error)}


def judge(
    part: Part,
    rows: dict[str, Any],
    lab: dict[str, set[str]],
    verdicts: dict[tuple[str, str], Verdict],
) -> None:
    """Fills the tables: kernel by kernel, and how many of each kind."""
    table: list[tuple[str, ...]] = []
    alarms: list[tuple[str, ...]] = []
    counts: dict[str, Counter[str]] = {}
    for key, row in rows.items():
        said = {tool: verdicts[key, tool] for tool in TOOLS}
        cells = [str(said[tool]) for tool in TOOLS]
        found = ", ".join(sorted(lab[key])) or CLEAN
        by_tools = any(v.seen for v in said.values())
        kind = getattr(row, "kind", "right kernels")
        by_lab = kind in lab[key] if hasattr(row, "kind") else bool(lab[key])
        count = counts.setdefault(kind, Counter())
        count.update(["kernels"] + ["lab"] * by_lab + [tool for tool in TOOLS if said[tool].seen])
        if hasattr(row, "kind"):
            seen_by = who(by_lab, by_tools)
            table.append((row.name, kind, found, *cells, seen_by))
            if not by_lab:
                part.findings.append(f"{row.name} ({kind}): the lab says {found}; seen by {seen_by}")  # fmt: skip
            continue
        if lab[key]:
            part.findings.append(f"{row.name}: a right kernel, and the lab says {found}")
        for tool, its in said.items():
            if its.seen and its.word != WARNINGS:
                part.findings.append(f"{row.name}: a right kernel, and {tool} says {its}")
        if lab[key] or any(v.word != CLEAN for v in said.values()):
            alarms.append((row.name, found, *cells))
    heads = ("kernels", "lab", *TOOLS)
    summary = [(kind, *(str(count[head]) for head in heads)) for kind, count in counts.items()]
    part.tables += [
        Table("How many of them each has seen", ("kind", *heads), summary),
        Table("Wrong kernels", ("kernel", "planted", "lab", *TOOLS, "seen by"), table),
        Table("Right kernels that someone does not call clean", ("kernel", "lab", *TOOLS), alarms),
    ]


def who(lab: bool, tools: bool) -> str:
    """Who has seen a fault."""
    if lab and tools:
        return "both"
    return "lab only" if lab else "sanitizer only" if tools else "nobody"


def launch_by_name(rows: Sequence[Any]) -> int:
    """What runs under the sanitizer: launches kernels, until one fails. Returns the exit code."""
    for row in rows:
        try:
            launch_row(row, row.args(np.random.default_rng(SEED)))
        except Exception as error:
            print(f"failed {row.name}: {short(error)}", flush=True)
            return 1
        print(f"launched {row.name}", flush=True)
    return 0


# ------------------------------------------------------------------------------------ environment


def ask(question: Callable[[], Any]) -> str:
    """The answer, or that it is not known: drivers and packages differ in what they tell."""
    try:
        return str(question())
    except Exception:
        return "not known"


def gpu_name(device: Any) -> str:
    """The driver's name of a GPU."""
    name = device.name
    return name.decode() if isinstance(name, bytes) else str(name)


def environment(device: Any) -> dict[str, str]:
    """Where this was measured: the GPU, in the words of `course.kernellab.gpus.Gpu`, and versions."""
    from numba.cuda.cudadrv.driver import driver

    def smi(what: str) -> str:
        query = ["nvidia-smi", f"--id={device.uuid}", f"--query-gpu={what}"]
        out = subprocess.run([*query, "--format=csv,noheader"], capture_output=True, text=True, check=True, timeout=60)  # fmt: skip
        return out.stdout.strip()

    def dotted(version: Sequence[int]) -> str:
        return ".".join(map(str, version))

    told = {
        "date": lambda: datetime.date.today().isoformat(),
        "GPU": lambda: gpu_name(device),
        "compute capability": lambda: dotted(device.compute_capability),
        "memory": lambda: size(cuda.current_context().get_memory_info()[1]),
        "processors": lambda: device.MULTIPROCESSOR_COUNT,
        "clock": lambda: f"{device.CLOCK_RATE / 1e6:.3f} GHz at most",
        "threads of a multiprocessor": lambda: device.MAX_THREADS_PER_MULTIPROCESSOR,
        "blocks of a multiprocessor": lambda: device.MAX_BLOCKS_PER_MULTIPROCESSOR,
        "registers of a multiprocessor": lambda: device.MAX_REGISTERS_PER_MULTIPROCESSOR,
        "shared memory of a multiprocessor": lambda: size(
            device.MAX_SHARED_MEMORY_PER_MULTIPROCESSOR
        ),
        "driver": lambda: smi("driver_version"),
        "power limit": lambda: smi("power.limit"),
        "CUDA of the driver": lambda: dotted(driver.get_version()),
        "CUDA runtime": lambda: dotted(cuda.runtime.get_version()),
        "numba-cuda": lambda: metadata.version("numba-cuda"),
        "numba": lambda: metadata.version("numba"),
        "numpy": lambda: np.__version__,
        "Python": platform.python_version,
        "system": lambda: f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors",
    }
    return {what: ask(question) for what, question in told.items()}


# ------------------------------------------------------------------------------------------- main

# Kernels that may go wrong come last: they can take the GPU's context with them.
PARTS: dict[str, Callable[[argparse.Namespace], Part]] = {
    "launch": launch,
    "copies": copies,
    "peaks": peaks,
    "course": course,
    "kernels": kernels,
    "sanitizer": sanitizer,
}


def chosen(text: str) -> list[str]:
    """The parts of a list such as "launch,copies"."""
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in PARTS:
            raise argparse.ArgumentTypeError(
                f"there is no part {name!r}: choose from {', '.join(PARTS)}"
            )
    return [name for name in PARTS if name in names]


def positive(text: str) -> int:
    """A whole number above zero."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"a whole number above zero, not {text!r}")
    return int(text)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    out = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    out.add_argument(
        "--only", type=chosen, default=list(PARTS), metavar="PARTS", help="of these, with commas"
    )
    out.add_argument("--out", type=Path, metavar="FILE", help="where to write the results")
    out.add_argument(
        "--match", default="", metavar="TEXT", help="only kernels with this in their name"
    )
    out.add_argument(
        "--timeout", type=positive, default=60, metavar="SECONDS",
        help="for a kernel under the sanitizer; 60",
    )  # fmt: skip
    jobs = min(8, os.cpu_count() or 1)
    out.add_argument(
        "--jobs", type=positive, default=jobs, metavar="N",
        help=f"processes under the sanitizer at a time; {jobs}",
    )  # fmt: skip
    out.add_argument(
        "--one", action="append", metavar="NAME",
        help="launch one kernel of the tests, and nothing else; what the sanitizer looks at",
    )  # fmt: skip
    return out


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures, prints, writes. Returns the exit code."""
    command = parser()
    options = command.parse_args(arguments)
    if os.environ.get("NUMBA_ENABLE_CUDASIM", "0") not in ("", "0"):
        command.error("numba's simulator is on: unset NUMBA_ENABLE_CUDASIM")
    asked = []
    try:
        if options.one:
            rows = rows_of_the_tests()
            asked = [find(name, rows) for name in options.one]
        elif options.match and not rows_of_the_tests(options.match):
            raise LookupError(f"no kernel has {options.match!r} in its name")
    except LookupError as error:
        command.error(str(error))
    if not cuda.is_available():
        print("No GPU here that numba.cuda can use, so there is nothing to measure.")
        return 0
    return launch_by_name(asked) if asked else measure(options)


def measure(options: argparse.Namespace) -> int:
    """All parts that are wanted. Returns the exit code."""
    device = cuda.get_current_device()
    name = gpu_name(device)
    known = environment(device)
    path = options.out or RESULTS / file_name(name, known["date"], options.only)
    console.print(f"{escape(name)}, numba-cuda {known['numba-cuda']}")
    parts: list[Part] = []
    for count, wanted in enumerate(options.only, 1):
        console.print(f"[bold]{wanted}[/bold] ({count} of {len(options.only)})")
        try:
            part = PARTS[wanted](options)
        except Exception as error:  # the other parts' results are worth having
            console.print_exception()
            part = Part(wanted, findings=[f"{wanted} could not be done: {short(error)}"])
        parts.append(part)
        show(part)
        by_name = constants(parts, name, clock_limits(device))
        write(path, markdown(f"{name}, {known['date']}", known, [by_name, *parts]))
    show(by_name)
    findings = [finding for part in parts for finding in part.findings]
    for finding in findings:
        console.print(f"  * {escape(finding)}")
    console.print(f"{len(findings)} findings. Written: {escape(str(path))}")
    return 1 if findings else 0


def file_name(gpu: str, date: str, only: Sequence[str]) -> str:
    """The result file's name; parts alone do not take the place of the whole."""
    slug = re.sub(r"[^a-z0-9]+", "-", gpu.lower()).strip("-")
    return "-".join(["gpu", date, slug, *([] if len(only) == len(PARTS) else only)]) + ".md"


def write(path: Path, text: str) -> None:
    """Writes the result file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def show(part: Part) -> None:
    """A part's notes and its short tables, on the screen."""
    for note in part.notes:
        console.print(f"  {escape(note)}")
    for table in part.tables:
        if table.rows and len(table.rows) <= 20:
            shown = RichTable(*map(escape, table.head), title=escape(table.title))
            for row in table.rows:
                shown.add_row(*map(escape, row))
            console.print(shown)


if __name__ == "__main__":
    sys.exit(main())
