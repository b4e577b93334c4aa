"""The machine code of a kernel, made without a GPU: PTX, and SASS if NVIDIA's tools are there.

NVIDIA's compiler needs no GPU, only its packages: `pip install "scalars-to-gpt[ptx]"`. numba.cuda
makes PTX of a kernel, an assembly language for all GPUs; `ptxas` makes of that the code of one GPU
and says how many registers it takes; `nvdisasm` writes this code as text, called SASS.

    asm(vadd, x, y, out).side_by_side()     # each line beside the instructions that came from it
"""

import ast
import html
import inspect
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from course.kernellab.errors import KernelError, NoSource, Refused, Unsupported
from course.kernellab.source import FunctionSource, read

INSTALL = 'pip install "scalars-to-gpt[ptx]"'
SECONDS = 60
"""That ptxas or nvdisasm may take."""


class PtxUnavailable(KernelError, RuntimeError):
    """Part of NVIDIA's compiler is not installed here, or there is none for this system."""


# What comes out


@dataclass(frozen=True)
class Instruction:
    """One instruction of PTX or SASS.

    Attributes:
        text: as written, without the `;`.
        opcode: with its modifiers and without its predicate: `ld.global.f32`, `LDG.E`.
        function: the kernel, or the device function in whose source it began; None if unknown.
        line: in that function's file or notebook cell; None if it comes from no line.
    """

    text: str
    opcode: str
    function: str | None = None
    line: int | None = None

    @property
    def is_float64(self) -> bool:
        """Whether it calculates in float64, or converts from or to it."""
        return bool(PTX_F64.match(self.opcode) or SASS_F64.match(self.opcode))


PTX_F64 = re.compile(r"(?!(mov|ld|ldu|st|selp|shfl)\.)[a-z][a-z0-9]*\..*\bf64\b")
SASS_F64 = re.compile(
    r"D(ADD|MUL|FMA|SETP|MNMX|MMA)\b|(F2F|F2I|I2F|FRND|ATOMG?|RED)\..*\bF64\b|MUFU\.\w*64H"
)


@dataclass(frozen=True)
class Listing:
    """The source of a function that was compiled: the kernel, or a device function it calls.

    Attributes:
        name: the function's.
        filename: of its file or notebook cell.
        first_line: the number of its first line there.
        lines: its source; empty if it cannot be found.
        floats: {line: the expressions in it that are float64 for being Python floats}.
    """

    name: str
    filename: str
    first_line: int
    lines: tuple[str, ...] = ()
    floats: dict[int, tuple[str, ...]] = field(default_factory=dict)

    def holds(self, filename: str, line: int) -> bool:
        """Whether a line of a file is one of this function's."""
        if not self.first_line <= line < self.first_line + max(1, len(self.lines)):
            return False
        filename = _slashes(filename)
        if self.filename.startswith("<"):  # not a file; the compiler puts a folder before it
            return filename.rpartition("/")[2] == self.filename
        return filename in (_slashes(self.filename), _slashes(os.path.abspath(self.filename)))

    def text(self, line: int | None) -> str:
        """The source of a line of the file; empty for lines that are not here."""
        index = -1 if line is None else line - self.first_line
        return self.lines[index] if 0 <= index < len(self.lines) else ""


def _slashes(filename: str) -> str:
    r"""A file's name with `/` between folders: tools on Windows write `\` in several ways."""
    return os.path.normcase(filename).replace("\\", "/").replace("//", "/")


@dataclass(frozen=True)
class Parameter:
    """A kernel's parameter, as the compiler sees it.

    Attributes:
        name: in the kernel.
        dtype: `float32`, `int64`...: of the scalar, or of the array's elements.
        layout: "C", "F" or "A" (any: nothing is known about the strides); "" for a scalar.
    """

    name: str
    dtype: str
    layout: str = ""


@dataclass(repr=False)
class Assembly:
    """A kernel's machine code, and what the tools say about it.

    Attributes:
        kernel: its name.
        cc: the compute capability it was compiled for.
        ptx: the PTX, with the kernel's name where the compiler had a longer one.
        sass: nvdisasm's text; "" if there is none: see why_not.
        why_not: why there is no SASS, and what to do; "" if there is.
        registers: of a thread; None without ptxas.
        spill_bytes: stored by a thread because there are too few registers; None without ptxas.
        local_bytes: of a thread's own memory, for spills and local arrays; None without ptxas.
        shared_bytes: of a block, without what a launch adds (dynamic shared memory).
        instructions: of the SASS, NOPs not counted; None without SASS.
        f64_ops: the hidden float64: (line, instruction), of the SASS, else of the PTX. Line is
            None where no line is known.
        counts: how often each opcode is there, in the SASS, else in the PTX.
        listings: the sources: first the kernel, then the device functions that it calls.
        parameters: of the kernel.
        ptx_code, sass_code: the instructions, in their order.
    """

    kernel: str
    cc: tuple[int, int]
    ptx: str
    sass: str = ""
    why_not: str = ""
    registers: int | None = None
    spill_bytes: int | None = None
    local_bytes: int | None = None
    shared_bytes: int | None = None
    instructions: int | None = None
    f64_ops: list[tuple[int | None, str]] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    listings: tuple[Listing, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    ptx_code: list[Instruction] = field(default_factory=list)
    sass_code: list[Instruction] = field(default_factory=list)

    @property
    def code(self) -> list[Instruction]:
        """The instructions of the SASS if there is, else of the PTX."""
        return self.sass_code or self.ptx_code

    def count(self, opcode: str) -> int:
        """How many instructions have this opcode, whatever else follows it.

        Args:
            opcode: `LDS` counts `LDS` and `LDS.128`; `ld.global` counts `ld.global.f32`.
        """
        return sum(
            n for name, n in self.counts.items() if name == opcode or name.startswith(opcode + ".")
        )

    def lint(self) -> list[str]:
        """What in this code costs time and need not. An empty list if nothing does.

        Looks for float64 arithmetic where all arrays are float32 or smaller (a GPU does between
        1/2 and 1/64 as much float64 as float32 in the same time), for registers that were spilled,
        for local arrays that are in memory, for arrays about whose strides the compiler knows
        nothing, and for code that ptxas refuses.
        """
        return [
            *self._float64(),
            *self._memory(),
            *(
                f"{p.name}: the compiler does not know this array's strides (layout A), so each "
                "access multiplies by them. Pass a contiguous array."
                for p in self.parameters
                if p.layout == "A"
            ),
        ]

    def _float64(self) -> Iterator[str]:
        floats = {p.dtype for p in self.parameters if p.layout and p.dtype in FLOAT_BITS}
        if not floats or any(FLOAT_BITS[dtype] > 32 for dtype in floats):
            return
        found = Counter((op.function, op.line) for op in self.code if op.is_float64)
        dtypes = " and ".join(sorted(floats))
        for (function, line), n in sorted(found.items(), key=lambda item: self._place(*item[0])):
            yield (
                f"{self._where(function, line)}: {n} float64 instruction{'s' * (n > 1)}, "
                f"but the arrays are {dtypes}. {self._cause(function, line)}"
            )

    def _place(self, function: str | None, line: int | None) -> tuple[int, int]:
        names = [listing.name for listing in self.listings]
        return names.index(function) if function in names else len(names), line or 0

    def _where(self, function: str | None, line: int | None) -> str:
        if line is None:
            return "in no line of yours"
        return f"line {line}" + (f" of {function}" if function not in (None, self.kernel) else "")

    def _cause(self, function: str | None, line: int | None) -> str:
        """Say where a line's float64 may come from: its own floats, a division, other floats."""
        own = next((x for x in self.listings if x.name == function), None)
        if own and line in own.floats:
            names = own.floats[line]
            written = ", ".join(f"float32({name})" for name in names)
            return f"{' and '.join(names)} {'is' if len(names) == 1 else 'are'} float64 here: write {written}."
        if own and _divides(own.text(line)):
            return "A division by an integer gives float64: write float32(n) for an integer n."
        for name, at, floats in self._candidates(own, line):
            return f"It may come from {self._where(name, at)}: write float32({floats[0]}) there."
        for other in self.code:
            listing = next((x for x in self.listings if x.name == other.function), None)
            if other.is_float64 and listing and _divides(listing.text(other.line)):
                where = self._where(other.function, other.line)
                return (
                    f"It may come from the division in {where}: write float32(n) for an integer n."
                )
        return (
            "An int64 (an index, a size) beside a float32 gives float64: write float32(n) for an "
            "integer n."
        )

    def _candidates(
        self, own: Listing | None, line: int | None
    ) -> list[tuple[str, int, tuple[str, ...]]]:
        """Places of Python floats, the likeliest first: above the line, in other functions, below."""

        def rank(place: tuple[str, int, tuple[str, ...]]) -> tuple[int, int]:
            if own is None or place[0] != own.name:
                return 1, place[1]
            return (0, -place[1]) if line and place[1] < line else (2, place[1])

        places = [(x.name, at, floats) for x in self.listings for at, floats in x.floats.items()]
        return sorted(places, key=rank)

    def _memory(self) -> Iterator[str]:
        if self.spill_bytes:
            yield (
                f"{self.spill_bytes} bytes of each thread do not fit into its registers and go to "
                "memory and back (spills). Give a thread less to hold, or allow more registers: "
                "max_registers, launch_bounds."
            )
        elif self.local_bytes:
            yield (
                f"{self.local_bytes} bytes of each thread's local arrays are in memory, not in "
                "registers: registers have no addresses, so all indices must be known to the "
                "compiler, as in loops over range(constant)."
            )
        if self.why_not.startswith("ptxas refuses"):
            yield self.why_not

    def side_by_side(self) -> "SideBySide":
        """Each source line beside the PTX and SASS that came from it: a table in a notebook.

        The compiler moves instructions and merges lines, so a line's instructions need not be
        neighbours in the code. What begins in no line (or one that was optimised away) comes last.
        """
        places = [(listing.name, line) for listing in self.listings for line in _numbers(listing)]
        grouped: dict[tuple, tuple[list[Instruction], list[Instruction]]] = {
            place: ([], []) for place in [*places, (None, None)]
        }
        for column, code in enumerate((self.ptx_code, self.sass_code)):
            for op in code:
                place = (op.function, op.line)
                grouped[place if place in grouped else (None, None)][column].append(op)
        texts = {x.name: x for x in self.listings}
        rows = [
            Row(function, line, texts[function].text(line) if function else "", *columns)
            for (function, line), columns in grouped.items()
            if function or any(columns)
        ]
        return SideBySide(self.kernel, rows, bool(self.sass_code), self.why_not)

    def __repr__(self) -> str:
        facts = [
            f"{self.registers} registers" if self.registers is not None else "",
            f"{self.instructions} instructions" if self.instructions is not None else "",
            f"{len(self.f64_ops)} of float64" if self.f64_ops else "",
            f"{self.spill_bytes} bytes spilled" if self.spill_bytes else "",
            f"{self.shared_bytes} bytes of shared memory" if self.shared_bytes else "",
            self.why_not,
        ]
        major, minor = self.cc
        return f"{self.kernel}, sm_{major}{minor}: " + ", ".join(filter(None, facts))


def _divides(text: str) -> bool:
    return "/" in text.split("#")[0].replace("//", "")


FLOAT_BITS = {"float16": 16, "float32": 32, "complex64": 32, "float64": 64, "complex128": 64}


def _numbers(listing: Listing) -> range:
    return range(listing.first_line, listing.first_line + len(listing.lines))


# Side by side


@dataclass(frozen=True)
class Row:
    """A source line, and the instructions that came from it.

    Attributes:
        function: whose line it is; None for instructions of no line.
        line: its number.
        source: its text.
        ptx, sass: its instructions.
    """

    function: str | None
    line: int | None
    source: str
    ptx: list[Instruction]
    sass: list[Instruction]


@dataclass(repr=False)
class SideBySide:
    """Source, PTX and SASS beside one another: a table in a notebook, text elsewhere.

    Attributes:
        kernel: its name.
        rows: line by line, each function after the other.
        has_sass: whether there is a column for SASS.
        why_not: why not.
    """

    kernel: str
    rows: list[Row]
    has_sass: bool
    why_not: str = ""

    def __repr__(self) -> str:
        lines = []
        for row in self.rows:
            number = "" if row.line is None else row.line
            lines.append(f"{number:>4} | {row.source or NO_LINE * (row.line is None)}".rstrip())
            for left, right in _pairs(row.ptx, row.sass):
                lines.append(f"     |     {left:<{WIDTH}} {right}".rstrip())
        return "\n".join(lines + [self.why_not] * bool(self.why_not))

    def _repr_html_(self) -> str:
        heads = ["line", "source", "PTX", *["SASS"] * self.has_sass]
        cells = "".join(f'<th scope="col" style="{LEFT}">{head}</th>' for head in heads)
        body = "".join(self._row(row) for row in self.rows)
        note = f"<p>{html.escape(self.why_not)}</p>" if self.why_not else ""
        return (
            f"<table><caption>{html.escape(self.kernel)}: each line, and the instructions that came "
            f"from it (float64 is marked)</caption><thead><tr>{cells}</tr></thead>"
            f"<tbody>{body}</tbody></table>{note}"
        )

    def _row(self, row: Row) -> str:
        source = html.escape(row.source) if row.line is not None else NO_LINE
        columns = [source, _marked(row.ptx), *[_marked(row.sass)] * self.has_sass]
        cells = "".join(f'<td style="{LEFT}"><pre>{text}</pre></td>' for text in columns)
        number = "" if row.line is None else row.line
        return f'<tr><th scope="row" style="vertical-align: top">{number}</th>{cells}</tr>'


LEFT = "text-align: left; vertical-align: top"
NO_LINE = "(of no line)"
WIDTH = 52


def _pairs(left: list[Instruction], right: list[Instruction]) -> Iterator[tuple[str, str]]:
    for i in range(max(len(left), len(right))):
        yield (
            left[i].text if i < len(left) else "",
            right[i].text if i < len(right) else "",
        )


def _marked(code: list[Instruction]) -> str:
    texts = ((html.escape(op.text), op.is_float64) for op in code)
    return "\n".join(f"<mark>{text}</mark>" if double else text for text, double in texts)


# From a kernel to its code


def asm(
    kernel: Any, *args: Any, cc: tuple[int, int] = (9, 0), fastmath: bool | None = None
) -> Assembly:
    """Compile a kernel for a GPU that need not be there, and take it apart.

    The kernel's own options count: fastmath, max_registers, launch_bounds, opt. Line numbers are
    always recorded, which does not change the code; `debug` and `link` are left out.

    Args:
        kernel: of `@cuda.jit`, or a plain function that could be one.
        args: an example of each argument, of which only the type matters: arrays, scalars, arrays
            of the lab; or numba's types, such as `float32[::1]`.
        cc: compute capability: (7, 5) is Turing (T4), (8, 0) is Ampere (A100), (9, 0) is Hopper.
        fastmath: instead of the kernel's own.

    Returns:
        An `Assembly`. Without ptxas and nvdisasm it has PTX only, and says why.

    Raises:
        Refused: the compiler does not accept this kernel for these types. This is found out even
            where no NVIDIA package is installed.
        PtxUnavailable: the compiler, or a part of it, is missing.
        TypeError: for a device function, for too many or too few arguments, for an argument that
            has no type in numba.
        ValueError: for a compute capability that this compiler does not know.
    """
    major, minor = _capability(cc)
    cuda = _cuda()
    dispatcher = kernel if hasattr(kernel, "py_func") else None
    if dispatcher is None:
        if not inspect.isfunction(kernel):
            raise TypeError(f"asm wants a kernel, and this is a {type(kernel).__name__}")
        dispatcher = cuda.jit(kernel)
    function, options = dispatcher.py_func, dispatcher.targetoptions
    name = function.__name__
    if options.get("device"):
        raise TypeError(f"{name} is a device function: give a kernel that calls it")
    names = list(inspect.signature(function).parameters)
    if len(names) != len(args):
        raise TypeError(f"{name} takes {len(names)} arguments, and here are {len(args)} examples")
    types = tuple(_type(dispatcher, who, value) for who, value in zip(names, args))
    settings = {
        "fastmath": options.get("fastmath") if fastmath is None else fastmath,
        "launch_bounds": options.get("launch_bounds"),
        "opt": options.get("opt"),
    }
    functions = [function]
    with _without_driver((major, minor), functions):
        ptx = _compile(cuda, function, types, (major, minor), settings)
    target = re.search(r"(?m)^\.target\s+(\w+)", ptx)
    if target is None or target[1] != f"sm_{major}{minor}":
        made = target[1] if target else "something else"
        raise ValueError(f"this compiler does not know sm_{major}{minor}: it made code for {made}")
    sass, report, why_not = _assemble(ptx, target[1], options.get("max_registers"))
    parameters = tuple(map(_parameter, names, types))
    scalars = {p.name for p in parameters if not p.layout and p.dtype == "float64"}
    listings = [
        listing_of(function, scalars if i == 0 else ()) for i, function in enumerate(functions)
    ]
    return assembly(name, (major, minor), ptx, sass, report, why_not, tuple(listings), parameters)


def assembly(
    kernel: str,
    cc: tuple[int, int],
    ptx: str,
    sass: str = "",
    report: str = "",
    why_not: str = "",
    listings: tuple[Listing, ...] = (),
    parameters: tuple[Parameter, ...] = (),
) -> Assembly:
    """Read what the compiler and its tools wrote.

    Args:
        kernel: its name in Python.
        cc: compute capability.
        ptx: with `.loc` directives.
        sass: of `nvdisasm -c -gi`; "" if there is none.
        report: of `ptxas -v`; "" if there is none.
        why_not: why not.
        listings: the sources that line numbers may lie in, the kernel's first.
        parameters: of the kernel.
    """
    entry = re.search(r"\.entry\s+([\w$]+)", ptx)
    if entry and entry[1] != kernel:
        whole = re.compile(rf"(?<![\w$]){re.escape(entry[1])}(?![a-zA-Z0-9$])")
        ptx, sass, why_not = (whole.sub(kernel, text) for text in (ptx, sass, why_not))
    ptx_code, sass_code = read_ptx(ptx, listings), read_sass(sass, listings)
    code = sass_code or ptx_code
    registers, spilled, local = read_report(report)
    return Assembly(
        kernel=kernel,
        cc=cc,
        ptx=ptx,
        sass=sass,
        why_not=why_not,
        registers=registers,
        spill_bytes=spilled,
        local_bytes=local,
        shared_bytes=shared_bytes(ptx),
        instructions=len(sass_code) if sass else None,
        f64_ops=[(op.line, op.text) for op in code if op.is_float64],
        counts=dict(Counter(op.opcode for op in code).most_common()),
        listings=listings,
        parameters=parameters,
        ptx_code=ptx_code,
        sass_code=sass_code,
    )


def _capability(cc: tuple[int, int]) -> tuple[int, int]:
    try:
        major, minor = cc
        return int(major), int(minor)
    except (TypeError, ValueError):
        raise ValueError(f"cc is two numbers, such as (9, 0), not {cc!r}") from None


def _cuda() -> Any:
    """numba.cuda, imported when it is needed: that takes a second."""
    from numba import cuda

    if getattr(cuda, "compile", None) is None:
        raise PtxUnavailable(
            "numba's CUDA simulator stands in for the compiler here. "
            "Start Python without NUMBA_ENABLE_CUDASIM."
        )
    return cuda


def _type(dispatcher: Any, name: str, value: Any) -> Any:
    from numba import types

    if isinstance(value, types.Type):
        return value
    if hasattr(value, "_lab_array"):
        value = value._lab_array()
    try:
        return dispatcher.typeof_pyval(value)
    except ValueError:
        raise TypeError(
            f"argument {name}: numba has no type for a {type(value).__name__}"
        ) from None


def _parameter(name: str, type_: Any) -> Parameter:
    layout = getattr(type_, "layout", "")
    return Parameter(name, str(type_.dtype if layout else type_), layout)


@contextmanager
def _without_driver(cc: tuple[int, int], functions: list[Callable]) -> Iterator[None]:
    """Let numba compile device functions with no GPU, with line numbers, and note which.

    numba asks the GPU what to compile a device function for, and keeps the result. So for a while
    this answers instead of the GPU, and afterwards takes the results away again. numba's lock for
    compilers is held, so that nobody else compiles meanwhile.
    """
    from numba.cuda import dispatcher as module
    from numba.cuda.compiler import global_compiler_lock

    class Device:
        compute_capability = cc

    cls: Any = module.CUDADispatcher
    ask, compile_device = module.get_current_device, cls.compile_device
    before: dict[int, tuple[Any, Any, Any]] = {}

    def compile_with_lines(self: Any, args: Any, return_type: Any = None) -> Any:
        if id(self) not in before:
            before[id(self)] = self, self.overloads, self.targetoptions
            self.overloads = OrderedDict()
            self.targetoptions = {**self.targetoptions, "lineinfo": True, "debug": False}
            functions.append(self.py_func)
        return compile_device(self, args, return_type)

    with global_compiler_lock:
        module.get_current_device, cls.compile_device = Device, compile_with_lines
        try:
            yield
        finally:
            module.get_current_device, cls.compile_device = ask, compile_device
            for dispatcher, overloads, options in before.values():
                for result in dispatcher.overloads.values():
                    dispatcher.targetctx.remove_user_function(result.entry_point)
                dispatcher.overloads, dispatcher.targetoptions = overloads, options


def _compile(
    cuda: Any, function: Callable, types: tuple, cc: tuple[int, int], settings: dict[str, Any]
) -> str:
    known = inspect.signature(cuda.compile).parameters  # numba's own target lacks launch_bounds
    settings = {k: v for k, v in settings.items() if k in known and v is not None}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # sources that cannot be found: lines are then missing
            # By default numba would make a device function with C's calling convention.
            ptx, _ = cuda.compile(
                function,
                types,
                device=False,
                abi="numba",
                output="ptx",
                lineinfo=True,
                cc=cc,
                **settings,
            )
        return ptx
    except Exception as error:
        raise _explained(error, function.__name__) from None


MISSING = {"DynamicLibNotFoundError", "NvvmSupportError", "CudaSupportError", "NotSupportedError"}
"""Names of what NVIDIA's and numba's packages raise if a library is not there."""


def _explained(error: Exception, kernel: str) -> Exception:
    """The error to raise instead of one that came out of the compiler."""
    kinds, message = {kind.__name__ for kind in type(error).__mro__}, str(error)
    if "compute capability" in message:
        return ValueError(f"this compiler does not make code for that GPU: {message}")
    if kinds & MISSING or re.search(r"libnvvm|libnvrtc|libdevice", message):
        return unavailable(message)
    if "nvvmError" in kinds:
        return RuntimeError(f"NVIDIA's compiler failed on {kernel}: {message}")
    return Refused(f"{kernel}: {_shortened(error)}")


def _shortened(error: Exception) -> str:
    """What numba says about a type error, without what it tried and where in itself it was."""
    message = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
    if "NRT required" in message:
        return "a kernel cannot make new arrays, as `x + 1` does for a whole array x"
    place = re.search(r'File ".*?", line (\d+)', message)
    if absent := re.search(r">>> (.*)", message):
        text = f"numba.cuda has no {absent[1]}"
        if (why := re.search(r"Numba\w*Error: (.*)", message)) and not why[1].startswith("Failed"):
            text += f": {why[1]}"
    else:
        kept = []
        for line in map(str.strip, message.splitlines()):
            if re.match(r"During: |File ", line):
                break
            if line and not re.match(r"Failed in \w+ mode", line):
                kept.append(line)
        text = " ".join(kept) or type(error).__name__
    return f"line {place[1]}: {text}" if place else text


def unavailable(message: str) -> PtxUnavailable:
    """The error for a library that could not be found.

    Args:
        message: what was said about it.
    """
    named = next((lib for lib in ("nvrtc", "nvvm", "libdevice") if lib in message.lower()), "nvvm")
    package = "nvidia-cuda-nvrtc" if named == "nvrtc" else "nvidia-nvvm"
    system, machine = sys.platform, platform.machine().lower()
    if (system, machine) not in SYSTEMS:
        return PtxUnavailable(
            f"PTX cannot be made here: NVIDIA has no compiler for {system} on {machine}. It can on "
            "Linux and on Windows, without a GPU too. Type errors are found everywhere."
        )
    return PtxUnavailable(
        f"PTX needs NVIDIA's compiler, and {package} is missing: {INSTALL}. (Where there is a GPU, "
        "install numba-cuda[cu12] or numba-cuda[cu13] instead, whichever its driver supports.)"
    )


SYSTEMS = {("linux", "x86_64"), ("linux", "aarch64"), ("win32", "amd64")}
"""Where NVIDIA's packages exist."""


# The tools


def find_tool(name: str) -> Path | None:
    """Find a program of the CUDA toolkit: in NVIDIA's wheels, in the toolkit, on the PATH.

    Args:
        name: `ptxas` or `nvdisasm`.
    """
    program = name + (".exe" if sys.platform == "win32" else "")
    wheels = find_spec("nvidia")
    for folder in wheels.submodule_search_locations or () if wheels else ():
        # nvidia/cu13/bin, nvidia/cuda_nvcc/bin; on Windows perhaps one folder deeper
        for found in sorted(
            [*Path(folder).glob(f"*/bin/{program}"), *Path(folder).glob(f"*/bin/*/{program}")]
        ):
            if found.is_file():
                return found
    for variable in ("CUDA_HOME", "CUDA_PATH"):
        if (home := os.environ.get(variable)) and (found := Path(home, "bin", program)).is_file():
            return found
    on_path = shutil.which(program)
    return Path(on_path) if on_path else None


def _assemble(ptx: str, arch: str, max_registers: int | None) -> tuple[str, str, str]:
    """(SASS, ptxas's report, why there is no SASS); the first two are "" if they are missing."""
    ptxas, nvdisasm = find_tool("ptxas"), find_tool("nvdisasm")
    if ptxas is None:
        return "", "", f"no SASS: ptxas is missing. {INSTALL}"
    limit = ["-maxrregcount", str(max_registers)] if max_registers else []
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "kernel.ptx").write_text(ptx, encoding="utf-8")
        command = ["-v", "-lineinfo", *limit, "-arch", arch, "kernel.ptx", "-o", "kernel.cubin"]
        ok, report = _run(ptxas, command, folder)
        if not ok and "Unresolved extern" in report:  # of a library that is linked later: grid sync
            ok, report = _run(ptxas, ["-c", *command], folder)
        if not ok:
            return "", "", f"ptxas refuses this code: {_first_error(report)}"
        if nvdisasm is None:
            return "", report, f"no SASS: nvdisasm is missing. {INSTALL}"
        ok, sass = _run(nvdisasm, ["-c", "-gi", "kernel.cubin"], folder)
        return (sass, report, "") if ok else ("", report, f"no SASS: {_first_error(sass)}")


def _run(tool: Path, arguments: list[str], folder: str) -> tuple[bool, str]:
    """Whether a tool succeeded, and what it wrote."""
    try:
        done = subprocess.run(
            [tool, *arguments],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            timeout=SECONDS,
        )
    except subprocess.TimeoutExpired:
        return False, f"error: {tool.name} took more than {SECONDS} seconds"
    except OSError as error:
        return False, f"error: {tool} does not run: {error}"
    return done.returncode == 0, done.stdout


def _first_error(output: str) -> str:
    found = re.search(r"(?i)\b(?:error|fatal)\s*:\s*(.+)", output)
    return found[1].strip() if found else output.strip()[:200] or "it says nothing"


# What the tools write


def read_report(report: str) -> tuple[int | None, int | None, int | None]:
    """Registers, bytes spilled and bytes of local memory of a thread, out of `ptxas -v`.

    Where device functions were not inlined, the largest of each. All are None for an empty report.
    """

    def largest(pattern: str) -> int | None:
        return max(map(int, re.findall(pattern, report)), default=None)

    return (
        largest(r"Used (\d+) registers"),
        largest(r"(\d+) bytes spill stores"),
        largest(r"(\d+) bytes stack frame"),
    )


def shared_bytes(ptx: str) -> int:
    """Bytes of a block's shared memory that PTX declares; dynamic shared memory is not there."""
    declared = re.findall(
        r"(?m)\.shared\s+(?:\.align\s+\d+\s+)?\.[a-z](\d+)\s+[\w$]+(?:\[(\d+)\])?;", ptx
    )
    return sum(int(bits) // 8 * int(count or 1) for bits, count in declared)


Place = tuple[str, int]
"""A file and a line."""


def _owner(
    place: Place, callers: dict[Place, Place], listings: Iterable[Listing]
) -> tuple[str | None, int | None]:
    """The function and line that an instruction came from: the innermost that we have a source of.

    Code of numba's own library (a power, a sum) belongs to the line that called it.
    """
    seen: set[Place] = set()
    while place not in seen:
        seen.add(place)
        for listing in listings:
            if listing.holds(*place):
                return listing.name, place[1]
        place = callers.get(place, place)
    return None, None


def read_ptx(ptx: str, listings: Iterable[Listing] = ()) -> list[Instruction]:
    """The instructions of a PTX text, with the lines that its `.loc` directives name."""
    files = {
        number: name for number, name in re.findall(r'(?m)^\s*\.file\s+(\d+)\s+"([^"]*)"', ptx)
    }
    place: Place = ("", 0)
    callers: dict[Place, Place] = {}
    code = []
    begun = ""  # of an instruction that goes on: calls take several lines
    for text in map(str.strip, ptx.split("\t.section\t.debug")[0].splitlines()):
        if loc := LOC.match(text):
            place = files.get(loc[1], ""), int(loc[2])
            if loc[3]:
                callers[place] = files.get(loc[3], ""), int(loc[4])
        elif begun or PTX_OP.match(text):
            begun = f"{begun} {text}".strip()
            if text.endswith(";") and (op := PTX_OP.match(begun)):
                words = " ".join(begun.rstrip(";").split())
                code.append(Instruction(words, op[1], *_owner(place, callers, listings)))
                begun = ""
    return code


LOC = re.compile(r"\.loc\s+(\d+)\s+(\d+)(?:.*\binlined_at\s+(\d+)\s+(\d+))?")
PTX_OP = re.compile(r"(?:@!?%\w+\s+)?([a-z][a-z0-9]*(?:[.:][\w.:]+)?)(?=[\s;])")


def read_sass(sass: str, listings: Iterable[Listing] = ()) -> list[Instruction]:
    """The instructions of `nvdisasm -c -gi`, without NOPs, with their lines.

    The helpers that ptxas adds, such as the slow path of a division, belong to the line that calls
    them, if there is only one.
    """
    place: Place = ("", 0)
    callers: dict[Place, Place] = {}
    inner = False  # whether the line before was a position too: then this is where it was inlined
    helper = ""
    code: list[tuple[Instruction, str]] = []
    for text in sass.splitlines():
        if at := POSITION.match(text):
            here = at[1], int(at[2])
            if at[3]:
                callers[here] = at[3], int(at[4])
            if not inner:
                place, helper = here, ""
            inner = True
            continue
        inner = False
        if label := re.match(r"\s*(\$\S*__internal\S*):", text):
            helper = label[1]
        elif (op := SASS_OP.match(text)) and op[2].split(".")[0] != "NOP":
            owner = _owner(place, callers, listings) if not helper else (None, None)
            code.append((Instruction(op[1], op[2], *owner), helper))
    calls: dict[str, set[tuple[str | None, int | None]]] = {}
    for instruction, _ in code:
        if called := re.search(r"\((\$\S*__internal[^)]*)\)", instruction.text):
            calls.setdefault(called[1], set()).add((instruction.function, instruction.line))
    return [
        Instruction(op.text, op.opcode, *next(iter(calls[helper])))
        if len(calls.get(helper, ())) == 1
        else op
        for op, helper in code
    ]


POSITION = re.compile(r'\s*//## File "(.*?)", line (\d+)(?: inlined at "(.*?)", line (\d+))?')
SASS_OP = re.compile(r"\s*/\*[0-9a-f]+\*/\s+((?:@!?U?P\w+\s+)?([A-Z][\w.]*)[^;]*?)\s*;")


# The sources


def listing_of(function: Callable, doubles: Iterable[str] = ()) -> Listing:
    """The source of a Python function, and where in it Python floats are.

    Args:
        function: not compiled yet.
        doubles: parameters that are float64 scalars.
    """
    code = function.__code__
    try:
        source = read(function)
    except (NoSource, Unsupported):
        return Listing(function.__name__, code.co_filename, code.co_firstlineno)
    lines = tuple(source.text.splitlines())
    found: dict[int, list[str]] = {}
    for line, name in _floats(source, set(doubles)):
        if name not in found.setdefault(line, []):
            found[line].append(name)
    return Listing(
        source.name,
        source.filename,
        source.first_line,
        lines,
        {line: tuple(names) for line, names in sorted(found.items())},
    )


def _floats(source: FunctionSource, doubles: set[str]) -> Iterator[tuple[int, str]]:
    """(line, text) of each float64 that is written down: 0.5, math.pi, a global, a parameter.

    What is converted on the spot, as in `float32(0.5)`, is none.
    """
    converted: set[int] = set()
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if re.fullmatch(r"u?int\d+|b?float(16|32)|complex64", name):
                for arg in node.args:
                    converted.update((id(arg), id(getattr(arg, "operand", arg))))
    nodes = [node for node in ast.walk(source.tree) if isinstance(node, ast.expr)]
    for node in sorted(nodes, key=lambda node: (node.lineno, node.col_offset)):
        if id(node) in converted:
            continue
        if isinstance(node, ast.Constant):
            double = isinstance(node.value, float)
        elif isinstance(node, (ast.Name, ast.Attribute)) and isinstance(node.ctx, ast.Load):
            double = ast.unparse(node) in doubles or isinstance(source.value(node), float)
        else:
            double = False
        if double:
            yield node.lineno, ast.unparse(node)
