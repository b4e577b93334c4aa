"""course.kernellab.ptx: what the tools wrote is read rightly, and the tools are used rightly.

The first half reads stored texts. The second needs NVIDIA's compiler, though no GPU; it is skipped
where that is not installed.
"""

import math
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numba import cuda, float32, types

from course.kernellab import ptx
from course.kernellab.errors import Refused
from course.kernellab.ptx import Assembly, Listing, Parameter, PtxUnavailable, asm, assembly

# Stored texts: this kernel, for sm_90, by NVVM 13.0, ptxas 13.0 and nvdisasm 13.5, shortened.
# `third` is a device function, and `**` is a function of numba's.

SOURCE = """\
@cuda.jit(device=True)
def third(v):
    return v / 3.0


@cuda.jit
def scale(x, y):
    i = cuda.grid(1)
    if i < x.size:
        y[i] = third(x[i]) ** 2
"""
LISTINGS = (
    Listing("scale", "/lesson/s.py", 9, tuple(SOURCE.splitlines()[5:])),
    Listing("third", "/lesson/s.py", 4, tuple(SOURCE.splitlines()[:3]), {6: ("3.0",)}),
)
MANGLED = "_ZN1s5scaleB2v1B106cw51cXTLSUwv1sDE5ArrayIfLi1E1C7mutable7alignedE"

PTX = f"""\
.version 9.0
.target sm_90
.address_size 64

	// .globl	{MANGLED}
.common .global .align 8 .u64 _ZN08NumbaEnv1s5scaleB2v1B106cw51cXTLSUwv1sDE;

.visible .entry {MANGLED}(
	.param .u64 {MANGLED}_param_0,
	.param .u64 {MANGLED}_param_1
)
{{
	.reg .pred 	%p<2>;
	.reg .f64 	%fd<4>;
	.visible .shared .align 16 .b8 _cudapy_smem_1[1024];
	.extern .shared .align 4 .b8 dynamic[];
	.shared .align 4 .f32 one;
	.loc	1 10 0

	ld.param.u64 	%rd6, [{MANGLED}_param_1];
	.loc	1 11 1
	mov.u32 	%r1, %tid.x;
	.loc	1 12 1
	setp.ge.s64 	%p1, %rd1, %rd6;
	@%p1 bra 	$L__BB0_2;

	.loc	1 13 1
	ld.global.f32 	%f1, [%rd15];
	.loc	1 13 1
	.loc	1 6 1, function_name $L__info_string0, inlined_at 1 13 1
	cvt.f64.f32 	%fd1, %f1;
	div.rn.f64 	%fd2, %fd1, 0d4008000000000000;
	.loc	1 13 1
	.loc	2 260 1, function_name $L__info_string1, inlined_at 1 13 1
	mul.f64 	%fd3, %fd2, %fd2;
	.loc	1 13 1
	mov.f64 	%fd4, %fd3;
	cvt.rn.f32.f64 	%f2, %fd4;
	{{ // callseq 0, 0
	.reg .b32 temp_param_reg;
	call.uni (retval0),
	_ZN3foo,
	(
	param0
	);
	}} // callseq 0
	st.global.f32 	[%rd19], %f2;

$L__BB0_2:
	.loc	1 0 1
	ret;

}}
	.file	1 "/lesson/s.py"
	.file	2 "/site-packages/numba_cuda/numba/cuda/cpython/numbers.py"
	.section	.debug_str
	{{
$L__info_string0:
.b8 95,90,78,49,115,53,116,104,105,114,100

	}}
"""

SASS = f"""\
	.target	sm_90

//--------------------- .text.{MANGLED} --------------------------
	.section	.text.{MANGLED},"ax",@progbits
        .size           {MANGLED},(.L_x_9 - {MANGLED})
{MANGLED}:
.text.{MANGLED}:
	//## File "/lesson/s.py", line 10
        /*0000*/                   LDC R1, c[0x0][0x28] ;
	//## File "/lesson/s.py", line 12
        /*0070*/                   ISETP.GE.U32.AND P0, PT, R4, UR4, PT ;
.L_x_7:
        /*0090*/               @P0 EXIT ;
	//## File "/lesson/s.py", line 13
        /*0150*/                   LDG.E R7, desc[UR4][R12.64] ;
	//## File "/lesson/s.py", line 6 inlined at "/lesson/s.py", line 13
	//## File "/lesson/s.py", line 13
        /*0160*/                   MUFU.RCP64H R3, 3 ;
        /*0170*/                   IMAD.MOV.U32 R10, RZ, RZ, 0x0 ;
        /*01b0*/                   DFMA R8, R2, -R10, 1 ;
        /*0290*/                   CALL.REL.NOINC `($__internal_0_$__cuda_sm20_div_rn_f64_full) ;
.L_x_0:
	//## File "/numba/cuda/cpython/numbers.py", line 260 inlined at "/lesson/s.py", line 13
	//## File "/lesson/s.py", line 13
        /*02b0*/                   DMUL R2, R2, R2 ;
	//## File "/lesson/s.py", line 13
        /*0310*/                   F2F.F32.F64 R3, R2 ;
        /*0350*/                   STG.E desc[UR4][R4.64], R3 ;
.L_x_8:
        /*0360*/                   EXIT ;
        .weak           $__internal_0_$__cuda_sm20_div_rn_f64_full
        .type           $__internal_0_$__cuda_sm20_div_rn_f64_full,@function
$__internal_0_$__cuda_sm20_div_rn_f64_full:
        /*03b0*/                   MUFU.RCP64H R11, R3 ;
        /*04d0*/              @!P1 DFMA R10, R10, 2, -R14 ;
        /*0860*/                   RET.REL.NODEC R12 `({MANGLED}) ;
.L_x_6:
        /*0870*/                   BRA `(.L_x_6);
        /*0880*/                   NOP;
        /*0890*/                   NOP;
.L_x_9:
"""

REPORT = f"""\
ptxas info    : 24 bytes gmem
ptxas info    : Compiling entry function '{MANGLED}' for 'sm_90'
ptxas info    : Function properties for {MANGLED}
    40 bytes stack frame, 24 bytes spill stores, 28 bytes spill loads
ptxas info    : Used 26 registers, used 1 barriers, 1028 bytes smem
ptxas info    : Compile time = 7.451 ms
"""

FLOATS = (Parameter("x", "float32", "C"), Parameter("y", "float32", "C"))


def stored(**changes: Any) -> Assembly:
    given: dict[str, Any] = {
        "kernel": "scale",
        "cc": (9, 0),
        "ptx": PTX,
        "sass": SASS,
        "report": REPORT,
        "listings": LISTINGS,
        "parameters": FLOATS,
    }
    return assembly(**{**given, **changes})


def test_the_report_of_ptxas_is_read() -> None:
    found = stored()
    assert (found.registers, found.spill_bytes, found.local_bytes) == (26, 24, 40)


def test_shared_memory_is_read_from_the_ptx() -> None:
    assert stored().shared_bytes == stored(report="", sass="").shared_bytes == 1024 + 4


def test_sass_is_counted_without_nops() -> None:
    found = stored()
    assert found.instructions == 16 == sum(found.counts.values())
    assert found.counts["DFMA"] == 2 and found.counts["LDG.E"] == 1 and "NOP" not in found.counts
    assert found.count("MUFU") == 2 and found.count("EXIT") == 2
    assert found.count("D") == 0  # an opcode, not any beginning of one


def test_ptx_is_counted_where_there_is_no_sass() -> None:
    found = stored(sass="", report="", why_not="no SASS: ptxas is missing.")
    assert found.instructions is found.registers is found.spill_bytes is None
    assert found.sass == ""
    assert found.counts["bra"] == found.counts["call.uni"] == found.counts["ret"] == 1
    assert found.count("ld") == 2
    assert sum(found.counts.values()) == 13
    assert "ptxas is missing" in repr(found)


def test_float64_is_found_in_sass_with_its_lines() -> None:
    lines = [line for line, _ in stored().f64_ops]
    assert lines == [6, 6, 13, 13, 6, 6]  # the last two: a helper that only line 6 calls
    assert (6, "@!P1 DFMA R10, R10, 2, -R14") in stored().f64_ops


def test_float64_is_found_in_ptx_with_its_lines() -> None:
    assert stored(sass="").f64_ops == [
        (6, "cvt.f64.f32 %fd1, %f1"),
        (6, "div.rn.f64 %fd2, %fd1, 0d4008000000000000"),
        (13, "mul.f64 %fd3, %fd2, %fd2"),  # inside numba's `**`, for line 13; the mov is none
        (13, "cvt.rn.f32.f64 %f2, %fd4"),
    ]


def test_a_helper_that_two_lines_call_belongs_to_none() -> None:
    again = "        /*0320*/                   CALL.REL.NOINC `($__internal_0_$__cuda_sm20_div_rn_f64_full) ;\n"
    sass = SASS.replace("        /*0350*/", again + "        /*0350*/")
    assert [line for line, _ in stored(sass=sass).f64_ops] == [6, 6, 13, 13, None, None]


@pytest.mark.parametrize(
    ("opcode", "double"),
    {
        "DADD": True,
        "DMUL.RP": True,
        "DSETP.GE.AND": True,
        "F2F.F64.F32": True,
        "I2F.F64.S64": True,
        "F2I.S64.F64.TRUNC": True,
        "MUFU.RCP64H": True,
        "ATOMG.E.ADD.F64.RN.STRONG.GPU": True,
        "DEPBAR": False,
        "MUFU.EX2": False,
        "IMAD.MOV.U32": False,
        "LDG.E.64": False,
        "F2F.F16.F32": False,
        "fma.rn.f64": True,
        "setp.ltu.f64": True,
        "cvt.rn.f64.s64": True,
        "atom.global.add.f64": True,
        "mov.f64": False,
        "ld.global.f64": False,
        "st.shared.f64": False,
        "selp.f64": False,
        "fma.rn.f32": False,
    }.items(),
)
def test_what_is_float64(opcode: str, double: bool) -> None:
    assert ptx.Instruction(opcode, opcode).is_float64 is double


def test_names_are_short_in_what_is_read() -> None:
    found = stored()
    assert MANGLED not in found.ptx + found.sass
    assert ".entry scale(" in found.ptx and "[scale_param_1]" in found.ptx


# lint


def test_lint_names_line_and_remedy_of_float64() -> None:
    first, second, *_ = stored(report="").lint()
    assert first.startswith("line 13: 2 float64 instructions, but the arrays are float32.")
    assert "line 6 of third: write float32(3.0) there" in first
    assert second.startswith("line 6 of third: 4 float64 instructions")
    assert "3.0 is float64 here: write float32(3.0)" in second


@pytest.mark.parametrize("dtype", ["float64", "complex128", "int32"])
def test_float64_is_no_fault_where_an_array_has_it_or_none_has_floats(dtype: str) -> None:
    parameters = (Parameter("x", dtype, "C"),) + FLOATS * (dtype != "int32")
    assert not any("float64" in text for text in stored(parameters=parameters).lint())


def test_lint_suspects_a_division_and_then_an_integer() -> None:
    def of(line: str) -> str:
        listing = Listing("scale", "/lesson/s.py", 13, (line,))
        (text,) = (t for t in stored(listings=(listing,), report="").lint() if "line 13" in t)
        return text

    assert "A division by an integer" in of("y[i] = x[i] / x.size")
    assert "An int64" in of("y[i] = x[i] * i")


def test_lint_counts_float64_of_no_line() -> None:
    texts = stored(listings=(), report="").lint()
    assert [text.split(":")[0] for text in texts] == ["in no line of yours"]


def test_lint_says_what_went_to_memory() -> None:
    assert any("24 bytes of each thread do not fit" in text for text in stored().lint())
    unspilled = REPORT.replace("24 bytes spill stores, 28", "0 bytes spill stores, 0")
    assert any(
        "40 bytes of each thread's local arrays" in t for t in stored(report=unspilled).lint()
    )


def test_lint_names_arrays_of_layout_a() -> None:
    parameters = (Parameter("x", "float32", "A"), Parameter("n", "int64"))
    assert [t for t in stored(parameters=parameters).lint() if t.startswith("x: ")]


def test_lint_passes_on_what_ptxas_refuses() -> None:
    why = f"ptxas refuses this code: '{MANGLED}' uses too much shared data"
    found = stored(sass="", report="", why_not=why)
    assert found.lint()[-1] == "ptxas refuses this code: 'scale' uses too much shared data"


def test_clean_code_gives_no_lint() -> None:
    code = "\n".join(line for line in SASS.splitlines() if "D" not in line and "F64" not in line)
    assert stored(sass=code.replace("RCP64H", "RCP"), report="").lint() == []


# side by side


def test_side_by_side_puts_instructions_beside_their_lines() -> None:
    rows = {(row.function, row.line): row for row in stored().side_by_side().rows}
    assert rows["scale", 12].source == "    if i < x.size:"
    assert [op.opcode for op in rows["scale", 12].ptx] == ["setp.ge.s64", "bra"]
    assert [op.text for op in rows["scale", 12].sass][1] == "@P0 EXIT"
    assert [op.opcode for op in rows["third", 6].ptx] == ["cvt.f64.f32", "div.rn.f64"]
    assert [op.text for op in rows[None, None].ptx] == ["ret"]
    assert rows["scale", 9].ptx == [] and rows["scale", 9].source == "@cuda.jit"
    assert sum(len(row.sass) for row in rows.values()) == 16


def test_side_by_side_as_text() -> None:
    lines = repr(stored().side_by_side()).splitlines()
    at = lines.index("  12 |     if i < x.size:")
    left, right = lines[at + 1].split("%rd6")
    assert left == "     |     setp.ge.s64 %p1, %rd1, "
    assert right.strip() == "ISETP.GE.U32.AND P0, PT, R4, UR4, PT"
    assert "     | (of no line)" in lines


def test_side_by_side_as_html_is_escaped_and_marks_float64() -> None:
    text = stored().side_by_side()._repr_html_()
    assert "if i &lt; x.size:" in text and "if i < x" not in text
    assert "<mark>div.rn.f64 %fd2, %fd1, 0d4008000000000000</mark>" in text
    assert '<th scope="col"' in text and ">SASS</th>" in text and "<caption>" in text


def test_side_by_side_without_sass_has_no_column_for_it() -> None:
    table = stored(sass="", why_not="no SASS: <nvdisasm> is missing").side_by_side()
    assert ">SASS</th>" not in table._repr_html_() and "&lt;nvdisasm&gt;" in table._repr_html_()
    assert repr(table).endswith("no SASS: <nvdisasm> is missing")


def test_without_a_source_the_instructions_are_all_there() -> None:
    (row,) = stored(listings=()).side_by_side().rows
    assert row.line is None and len(row.ptx) == 13 and len(row.sass) == 16


# the sources

HALF, THIRD = 0.5, np.float32(1 / 3)


def doubles(x, alpha, beta):
    a = 0.5 * x[0] + float32(0.25) + np.float32(-0.125)
    b = math.pi + HALF + THIRD + 2 + alpha
    x[0] = float32(alpha) * a + b + beta


def test_floats_that_are_float64_are_found_in_the_source() -> None:
    listing = ptx.listing_of(doubles, {"alpha"})
    first = listing.first_line
    assert listing.floats == {first + 1: ("0.5",), first + 2: ("math.pi", "HALF", "alpha")}
    assert listing.text(first + 3).strip().startswith("x[0] = float32")


def test_a_function_without_source_has_an_empty_listing() -> None:
    made: dict[str, Any] = {}
    exec("def k(x):\n    x[0] = 0.5", made)
    listing = ptx.listing_of(made["k"])
    assert listing.lines == () and listing.text(2) == ""


def test_lines_belong_to_files_by_their_whole_name() -> None:
    listing = Listing("f", os.path.abspath("a.py"), 3, ("def f():", "    pass"))
    assert listing.holds(os.path.abspath("a.py"), 4)
    assert not listing.holds(os.path.abspath("a.py"), 5)
    assert not listing.holds(os.path.abspath("other/a.py"), 4)
    assert Listing("f", "<cell>", 1, ("",)).holds(os.path.abspath("<cell>"), 1)
    assert Listing("f", r"C:\u\a.py", 1, ("",)).holds(r"C:\\u\\a.py", 1)


# kernels


@cuda.jit(device=True)
def cube(v):
    return v * v * v


@cuda.jit(device=True)
def inner(v):
    return v + 0.044715 * cube(v)


@cuda.jit
def vadd(a, b, out):
    i = cuda.grid(1)
    if i < out.size:
        out[i] = a[i] + b[i]


@cuda.jit
def gelu(x, y):
    i = cuda.grid(1)
    if i < x.size:
        v = x[i]
        y[i] = 0.5 * v * (1.0 + math.tanh(0.7978845608 * v))


@cuda.jit
def gelu32(x, y):
    i = cuda.grid(1)
    if i < x.size:
        v = x[i]
        y[i] = float32(0.5) * v * (float32(1) + math.tanh(float32(0.7978845608) * v))


@cuda.jit
def with_device(x, y):
    i = cuda.grid(1)
    if i < x.size:
        y[i] = inner(x[i])


@cuda.jit
def axpy(alpha, x, y):
    i = cuda.grid(1)
    if i < x.size:
        y[i] += alpha * x[i]


@cuda.jit
def mean(x, out):
    s = float32(0)
    for i in range(x.size):
        s += x[i]
    out[0] = s / x.size


@cuda.jit
def transpose(a, out):
    tile = cuda.shared.array((16, 17), float32)
    x, y = cuda.grid(2)
    if y < a.shape[0] and x < a.shape[1]:
        tile[cuda.threadIdx.y, cuda.threadIdx.x] = a[y, x]
    cuda.syncthreads()
    if y < a.shape[0] and x < a.shape[1]:
        out[x, y] = tile[cuda.threadIdx.y, cuda.threadIdx.x]


@cuda.jit(max_registers=16)
def squeezed(x):
    keep = cuda.local.array(40, float32)
    i = cuda.grid(1)
    for j in range(40):
        keep[j] = x[i + j]
    cuda.syncthreads()
    for j in range(40):
        x[i + 39 - j] = keep[j] * keep[39 - j]


@cuda.jit
def indexed(x):
    keep = cuda.local.array(64, float32)
    for j in range(64):
        keep[j] = 0
    for j in range(x.size):
        keep[int(x[j]) % 64] += x[j]
    x[0] = keep[x.size % 64]


@cuda.jit
def too_much_shared(x):
    tile = cuda.shared.array(40_000, float32)
    i = cuda.threadIdx.x
    tile[i] = x[i]
    cuda.syncthreads()
    x[i] = tile[i + 1]


@cuda.jit
def grid_sync(x):
    x[cuda.grid(1)] = 1
    cuda.cg.this_grid().sync()
    x[0] += x[5]


@cuda.jit
def wrong_type(x):
    x[0] = x[0] + "a"


@cuda.jit
def wrong_dimensions(x):
    x[0, 1] = x[0]


@cuda.jit
def wrong_attribute(x):
    x.append(1)


@cuda.jit
def allocates(x):
    x[0] = (x + 1)[0]


X = np.zeros(100, np.float32)
SQUARE = np.zeros((8, 8), np.float32)
FIRST = {f: f.py_func.__code__.co_firstlineno for f in (gelu, with_device, inner, mean)}


class LabArray:
    """As the lab's arrays: numba does not know it."""

    def _lab_array(self) -> np.ndarray:
        return X


# what is said without any of NVIDIA's packages


@pytest.mark.parametrize(
    ("kernel", "words"),
    [
        (wrong_type, "add(float32"),
        (wrong_dimensions, "2 indices"),
        (wrong_attribute, "Unknown attribute 'append'"),
    ],
)
def test_type_errors_come_first_and_are_short(kernel: Any, words: str) -> None:
    with pytest.raises(Refused) as caught:
        asm(kernel, X)
    message = str(caught.value)
    assert words in message and message.startswith(kernel.__name__)
    assert len(message) < 300 and "\x1b" not in message


def test_new_arrays_are_refused() -> None:
    with pytest.raises(Refused):
        asm(allocates, X)


def test_wrong_calls_of_asm() -> None:
    with pytest.raises(TypeError, match="takes 3 arguments, and here are 2"):
        asm(vadd, X, X)
    with pytest.raises(TypeError, match="device function"):
        asm(cube, np.float32(1))
    with pytest.raises(TypeError, match="argument out: numba has no type for a object"):
        asm(vadd, X, X, object())
    with pytest.raises(TypeError, match="wants a kernel, and this is a int"):
        asm(3)
    with pytest.raises(ValueError, match="cc is two numbers"):
        asm(vadd, X, X, X, cc=90)  # type: ignore[arg-type]


def test_a_missing_library_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ptx, "SYSTEMS", {(sys.platform, ptx.platform.machine().lower())})
    error = ptx.unavailable('Failure finding "libnvrtc.so.13"')
    assert isinstance(error, PtxUnavailable) and isinstance(error, RuntimeError)
    assert 'pip install "scalars-to-gpt[ptx]"' in str(error) and "nvidia-cuda-nvrtc" in str(error)
    assert "nvidia-nvvm" in str(ptx.unavailable("libNVVM cannot be found"))


def test_where_there_is_no_compiler_nothing_is_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(ptx.platform, "machine", lambda: "arm64")
    message = str(ptx.unavailable("libnvvm"))
    assert "cannot be made here" in message and "pip install" not in message


def test_the_compiler_stays_as_it_was_after_an_error() -> None:
    from numba.cuda import dispatcher

    before = dispatcher.get_current_device, dispatcher.CUDADispatcher.compile_device
    with pytest.raises(Refused):
        asm(wrong_type, X)
    assert (dispatcher.get_current_device, dispatcher.CUDADispatcher.compile_device) == before


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!{sys.executable}\n{text}")
    path.chmod(0o755)
    return path


@pytest.mark.skipif(sys.platform == "win32", reason="scripts stand in for the tools")
def test_tools_that_are_missing_fail_or_hang(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools: dict[str, Path | None] = {"ptxas": None, "nvdisasm": None}
    monkeypatch.setattr(ptx, "find_tool", tools.get)
    assert ptx._assemble(PTX, "sm_90", None)[2].startswith("no SASS: ptxas is missing. pip install")

    good = f"import sys; open('kernel.cubin', 'w'); print({REPORT!r}, sys.argv[1:])"
    tools["ptxas"] = script(tmp_path / "ptxas", good)
    sass, report, why_not = ptx._assemble(PTX, "sm_90", 32)
    assert sass == "" and "Used 26 registers" in report and "nvdisasm is missing" in why_not
    assert "'-maxrregcount', '32'" in report and "'-arch', 'sm_90'" in report

    tools["nvdisasm"] = script(tmp_path / "nvdisasm", f"print({SASS!r})")
    assert ptx._assemble(PTX, "sm_90", None)[::2] == (SASS + "\n", "")

    script(tmp_path / "nvdisasm", "import time; time.sleep(60)")
    monkeypatch.setattr(ptx, "SECONDS", 1)
    assert "nvdisasm took more than 1 seconds" in ptx._assemble(PTX, "sm_90", None)[2]

    script(tmp_path / "ptxas", "print('ptxas error   : too much of it'); exit(1)")
    assert ptx._assemble(PTX, "sm_90", None)[2] == "ptxas refuses this code: too much of it"
    (tmp_path / "ptxas").write_bytes(b"\x7fnot a program")
    assert "does not run" in ptx._assemble(PTX, "sm_90", None)[2]


@pytest.mark.skipif(sys.platform == "win32", reason="there programs end in .exe")
def test_tools_are_found_in_wheels_then_in_the_toolkit_then_on_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = [tmp_path / "nvidia/cu13/bin", tmp_path / "toolkit/bin", tmp_path / "path"]
    for place in places:
        place.mkdir(parents=True)
        script(place / "some_tool", "")
    monkeypatch.setattr(ptx, "find_spec", lambda name: Spec)

    class Spec:
        submodule_search_locations = (str(tmp_path / "nvidia"),)

    monkeypatch.setenv("CUDA_HOME", str(tmp_path / "toolkit"))
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    for place in places:
        assert ptx.find_tool("some_tool") == place / "some_tool"
        (place / "some_tool").unlink()
    assert ptx.find_tool("some_tool") is None


# with NVIDIA's compiler


@pytest.fixture(scope="module")
def compiler() -> None:
    try:
        asm(vadd, X, X, X)
    except PtxUnavailable as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def tools(compiler: None) -> None:
    if not asm(vadd, X, X, X).sass:
        pytest.skip(asm(vadd, X, X, X).why_not)


def test_vadd(tools: None) -> None:
    found = asm(vadd, X, X, X)
    assert 8 <= (found.registers or 0) <= 32
    assert found.spill_bytes == found.local_bytes == found.shared_bytes == 0
    assert found.instructions == len(found.sass_code) and 20 < found.instructions < 100
    assert found.count("LDG") == 2 and found.count("STG") == 1 and found.count("FADD") == 1
    assert found.f64_ops == [] and found.lint() == [] and found.why_not == ""
    assert repr(found).startswith(f"vadd, sm_90: {found.registers} registers, ")


def test_ptx_alone(compiler: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ptx, "find_tool", lambda name: None)
    found = asm(gelu, X, X)
    assert ".entry gelu(" in found.ptx and ".target sm_90" in found.ptx
    assert found.sass == "" and found.registers is None and "ptxas" in found.why_not
    assert {line for line, _ in found.f64_ops} == {FIRST[gelu] + 5}
    assert "float32(0.5)" in found.lint()[0]


def test_hidden_float64_has_its_line(tools: None) -> None:
    found = asm(gelu, X, X)
    assert {line for line, _ in found.f64_ops} == {FIRST[gelu] + 5}
    assert 30 < len(found.f64_ops) < 80
    (text,) = found.lint()
    assert text.startswith(f"line {FIRST[gelu] + 5}: {len(found.f64_ops)} float64 instructions")
    assert "write float32(0.5), float32(1.0), float32(0.7978845608)" in text


def test_float32_literals_leave_no_float64(tools: None) -> None:
    found = asm(gelu32, X, X)
    assert found.f64_ops == [] and found.lint() == []


def test_a_device_function_has_lines_of_its_own(compiler: None) -> None:
    found = asm(with_device, X, X)
    assert [listing.name for listing in found.listings] == ["with_device", "inner", "cube"]
    assert FIRST[inner] + 2 in {line for line, _ in found.f64_ops}
    assert any(t.startswith(f"line {FIRST[inner] + 2} of inner") for t in found.lint())
    rows = {(row.function, row.line): row for row in found.side_by_side().rows}
    products = rows["cube", cube.py_func.__code__.co_firstlineno + 2]
    assert [op.opcode for op in products.ptx].count("mul.f32") == 2
    assert inner.overloads == cube.overloads == {}  # what was compiled here is gone
    assert asm(with_device, X, X).ptx.count("mul.f32") == found.ptx.count("mul.f32")
    assert not inner.targetoptions["lineinfo"]


def test_what_was_compiled_before_is_kept_and_not_used(compiler: None) -> None:
    with ptx._without_driver((8, 0), []):
        cube.compile_device((types.float32,))
    assert cube.overloads == {}
    before = {(types.float32,): object()}
    cube.overloads = before
    try:
        found = asm(with_device, X, X)
        assert "cube" in {op.function for op in found.ptx_code}
        assert cube.overloads is before
    finally:
        cube.overloads = {}


def test_threads_may_compile_at_once(compiler: None) -> None:
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda cc: asm(with_device, X, X, cc=cc), [(7, 5), (8, 0), (9, 0)]))
    for one, target in zip(found, ("sm_75", "sm_80", "sm_90")):
        assert f".target {target}" in one.ptx and len(one.listings) == 3


def test_a_division_by_an_integer_is_suspected(tools: None) -> None:
    found = asm(mean, X, X)
    *others, text = found.lint()
    assert text.startswith(f"line {FIRST[mean] + 5}:") and "division by an integer" in text
    assert all(f"from the division in line {FIRST[mean] + 5}" in other for other in others)
    assert None not in {line for line, _ in found.f64_ops}  # the division's slow path is its own


def test_a_python_float_as_argument(compiler: None) -> None:
    (text,) = asm(axpy, 0.5, X, X).lint()
    assert "alpha is float64 here: write float32(alpha)" in text
    assert asm(axpy, np.float32(0.5), X, X).lint() == []
    assert asm(axpy, 0.5, X.astype(float), X.astype(float)).lint() == []


def test_two_dimensions_and_shared_memory(tools: None) -> None:
    found = asm(transpose, SQUARE, SQUARE)
    assert found.shared_bytes == 16 * 17 * 4
    assert found.count("LDS") == found.count("STS") == 1 and found.count("BAR") == 1
    assert found.lint() == []


def test_arguments_may_be_types_or_arrays_of_the_lab(compiler: None) -> None:
    example = asm(vadd, X, X, X)
    for argument in (float32[::1], types.float32[::1], LabArray()):
        assert asm(vadd, argument, argument, argument).ptx_code == example.ptx_code


def test_an_array_with_gaps_is_named(compiler: None) -> None:
    found = asm(vadd, X[::2], X, X)
    assert [text.split(":")[0] for text in found.lint()] == ["a"]


def test_fastmath_is_the_kernels_own_or_given(tools: None) -> None:
    slow, fast = asm(gelu32, X, X), asm(gelu32, X, X, fastmath=True)
    assert fast.instructions < slow.instructions
    own = cuda.jit(fastmath=True)(gelu32.py_func)
    assert asm(own, X, X).instructions == fast.instructions
    assert asm(own, X, X, fastmath=False).instructions == slow.instructions


def test_the_kernels_options_count(tools: None) -> None:
    bounded = cuda.jit(launch_bounds=(128, 2))(vadd.py_func)
    assert ".maxntid" in asm(bounded, X, X, X).ptx
    found = asm(squeezed, X)
    assert (found.registers or 99) <= 24 and found.spill_bytes  # a few registers always remain
    assert "spills" in found.lint()[0]
    free = asm(squeezed.py_func, X)
    assert free.spill_bytes == 0 and (free.registers or 0) > 24


def test_a_local_array_in_memory_is_named(tools: None) -> None:
    found = asm(indexed, X)
    assert found.local_bytes == 256 and "256 bytes of each thread's local arrays" in found.lint()[0]


def test_code_that_ptxas_refuses(tools: None) -> None:
    found = asm(too_much_shared, X)
    assert found.shared_bytes == 160_000 and found.sass == "" and found.registers is None
    assert "too much shared data" in found.why_not and found.lint() == [found.why_not]
    assert found.why_not.count("too_much_shared") == 1


def test_grid_sync(tools: None) -> None:
    if not hasattr(cuda, "cg"):
        pytest.skip("this numba has no cooperative groups")
    assert (asm(grid_sync, X).registers or 0) > 0


@pytest.mark.parametrize("cc", [(7, 5), (8, 0), (8, 9), (9, 0)])
def test_compute_capabilities(tools: None, cc: tuple[int, int]) -> None:
    found = asm(with_device, X, X, cc=cc)
    assert f".target sm_{cc[0]}{cc[1]}" in found.ptx
    assert found.instructions and found.registers and found.f64_ops
    assert FIRST[inner] + 2 in {line for line, _ in found.f64_ops}


@pytest.mark.parametrize("cc", [(3, 0), (99, 0)])
def test_unknown_compute_capabilities(compiler: None, cc: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="this compiler"):
        asm(vadd, X, X, X, cc=cc)


def test_a_plain_function_and_one_without_source(compiler: None) -> None:
    assert asm(vadd.py_func, X, X, X).ptx_code == asm(vadd, X, X, X).ptx_code
    made: dict[str, Any] = {}
    exec("def k(x):\n    x[0] = x[1] * 0.3", made)
    found = asm(made["k"], X)
    assert found.kernel == "k" and found.ptx_code
    assert len(found.side_by_side().rows) == 1


def test_a_kernel_in_a_notebook_cell(compiler: None) -> None:
    import linecache

    name, text = "<ipython-input-7-abc>", "def k(x):\n    x[0] = x[1] * x[2] * 0.3\n"
    linecache.cache[name] = (len(text), None, text.splitlines(True), name)
    made: dict[str, Any] = {}
    exec(compile(text, name, "exec"), made)
    found = asm(made["k"], X)
    assert {line for line, _ in found.f64_ops} == {2}
    assert "    x[0] = x[1] * x[2] * 0.3" in repr(found.side_by_side())
