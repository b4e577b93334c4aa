"""benchmarks/gpu.py: what of it can be tried without a GPU.

It refuses in order, reads and writes texts rightly, compares and judges rightly; its kernels compute
what they are said to. compute-sanitizer is a script here that prints what the real one prints.
"""

import argparse
import importlib.util
import math
import os
import stat
import subprocess
import sys
import time

import numpy as np
import pytest
from kernels_clean import CLEAN
from kernels_planted import PLANTED
from numba import cuda

from course import kernellab  # noqa: F401  (kernels run in the lab from here on)
from course.kernellab.launch import run
from course.kernellab.limits import Launch
from grader.paths import ROOT

SCRIPT = ROOT / "benchmarks" / "gpu.py"
without_gpu = pytest.mark.skipif(cuda.is_available(), reason="there is a GPU here")


def load():
    spec = importlib.util.spec_from_file_location("gpu_script", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


before = dict(os.environ)
gpu = load()
after = dict(os.environ)


def call(*arguments, **environment):
    return subprocess.run(
        [sys.executable, SCRIPT, *arguments],
        capture_output=True, text=True, timeout=300, env={**os.environ, **environment},
    )  # fmt: skip


# ------------------------------------------------------------------------------------ the command


@without_gpu
@pytest.mark.parametrize("arguments", [[], ["--only", "launch, copies"], ["--one", "double"], ["--one", "clean:double", "--one", "block of 2048"]], ids=str)  # fmt: skip
def test_without_a_gpu_it_says_so(arguments, tmp_path):
    done = call(*arguments, "--out", tmp_path / "out.md")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1 and "No GPU" in done.stdout
    assert done.stderr == "" and list(tmp_path.iterdir()) == []


def test_help_has_an_example():
    done = call("--help")
    assert done.returncode == 0
    assert "python benchmarks/gpu.py --only launch,copies,peaks" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ["--only", "lunch"],
            "no part 'lunch': choose from launch, copies, peaks, course, kernels",
        ),
        (["--only", ""], "no part ''"),
        (["--one", "nobody"], "which kernel is 'nobody'? There is none."),
        (["--one", "device_function_called_twice"], "more than one: clean:device"),
        (["--match", "no such kernel"], "no kernel has 'no such kernel' in its name"),
        (["--jobs", "0"], "above zero"),
        (["--timeout", "soon"], "above zero"),
        (["--fast"], "unrecognized"),
    ],
)
def test_misuse(arguments, says, capsys):
    with pytest.raises(SystemExit) as stop:
        gpu.main(arguments)
    assert stop.value.code == 2
    assert says in capsys.readouterr().err


def test_misuse_in_a_process_of_its_own():
    done = call("--only", "lunch")
    assert done.returncode == 2
    assert "no part 'lunch'" in done.stderr and "Traceback" not in done.stderr


def test_not_with_the_simulator():
    done = call(NUMBA_ENABLE_CUDASIM="1")
    assert done.returncode == 2 and "unset NUMBA_ENABLE_CUDASIM" in done.stderr


def test_importing_it_leaves_the_environment_alone():
    assert before == after


# ---------------------------------------------------------------------------------------- writing


def test_markdown():
    part = gpu.Part("Part", ["A note\nin two lines."], findings=["a | b"])
    part.tables.append(gpu.Table("Numbers", ("x", "y"), [("1 | 2", "3\n4"), ("5", "6")]))
    assert gpu.markdown("Title", {"GPU": "made up"}, [part, gpu.Part("Empty")]) == "\n".join(
        [
            "# Title", "",
            "| environment |  |", "| --- | --- |", "| GPU | made up |", "",
            "## Findings", "", "* a | b", "",
            "## Part", "", "A note in two lines.", "",
            "### Numbers", "",
            "| x | y |", "| --- | --- |", r"| 1 \| 2 | 3 4 |", "| 5 | 6 |", "",
            "## Empty", "",
        ]
    )  # fmt: skip
    assert "## Findings\n\nNone.\n" in gpu.markdown("Title", {}, [])


def test_constants_stand_beside_the_data_sheet():
    parts = [gpu.Part("a", constants={"FP32_TFLOPS": 60.3}), gpu.Part("b", constants={"ODD": 2})]
    rows = gpu.constants(parts, "NVIDIA H200", {"FP32_TFLOPS": 67.0}).tables[0].rows
    assert rows == [
        ("FP32_TFLOPS", "60.3", "67 (90% of it)", "67 (90% of it)"),
        ("ODD", "2", "", ""),
    ]
    unknown = gpu.constants(parts, "GPU of tomorrow", {})
    assert unknown.tables[0].rows[0] == ("FP32_TFLOPS", "60.3", "", "")
    assert "GPU of tomorrow" in unknown.notes[0]


def test_limits_by_clocks_are_those_of_data_sheets():
    class T4:
        compute_capability = (7, 5)
        MULTIPROCESSOR_COUNT, CLOCK_RATE = 40, 1_590_000
        MEMORY_CLOCK_RATE, GLOBAL_MEMORY_BUS_WIDTH = 5_001_000, 256

    limits = gpu.clock_limits(T4)
    tflops, gbs = gpu.DATA_SHEETS["Tesla T4"]
    assert limits["FP32_TFLOPS"] == pytest.approx(tflops, rel=0.01)
    assert limits["MEMORY_GBS"] == pytest.approx(gbs, rel=0.01)
    assert gpu.clock_limits(object()) == {}


def test_file_names():
    every = list(gpu.PARTS)
    assert gpu.file_name("NVIDIA H200", "2026-01-02", every) == "gpu-2026-01-02-nvidia-h200.md"
    some = gpu.file_name("Tesla T4 (MIG)", "2026-01-02", ["launch", "peaks"])
    assert some == "gpu-2026-01-02-tesla-t4-mig-launch-peaks.md"


def test_errors_are_short_and_name_no_folder():
    error = ValueError(f"cannot read {ROOT}{os.sep}tests{os.sep}x.py\nand more")
    assert gpu.short(error) == f"ValueError: cannot read tests{os.sep}x.py"
    assert gpu.short(ValueError()) == "ValueError: "
    assert len(gpu.short(ValueError("x" * 1000))) == 160


def test_sizes():
    assert [gpu.size(n) for n in (12, 4096, 1 << 20, 3 << 30)] == [
        "12 B",
        "4 KiB",
        "1 MiB",
        "3 GiB",
    ]


# -------------------------------------------------------------------------------------- comparing


@pytest.mark.parametrize(
    ("actual", "expected", "word", "apart"),
    [
        ([1.0, np.nan], [1.0, np.nan], "equal", 0),
        ([1.0, 2.0], [1.0, 2.00001], "within tolerance", 1e-5),
        ([1.0, 2.0], [1.0, 2.5], "different", 0.5),
        ([1.0, np.nan], [1.0, 2.0], "different", 0),
        ([1 + 1j], [1 + 1.000001j], "within tolerance", 1e-6),
        ([1, 2], [1, 3], "different", 1),
        ([True, False], [True, True], "different", 1),
        ([1.0], [1.0, 1.0], "different", math.nan),
        ([], [], "equal", 0),
    ],
)
def test_agreement(actual, expected, word, apart):
    found = gpu.agreement(np.array(actual), np.array(expected))
    assert found[0] == word
    assert found[1] == pytest.approx(apart, rel=1e-2, nan_ok=True)


def test_agreement_of_several():
    one, close, two = np.ones(3), np.ones(3) * 1.00001, np.array([2.0, 1, 1])
    assert gpu.agreements([]) == ("equal", 0)
    assert gpu.agreements([(one, close), (one, one)])[0] == "within tolerance"
    assert gpu.agreements([(one, close), (one, two)])[0] == "different"
    assert gpu.agreements([(two, two[::-1])], ordered=False) == ("equal", 0)


def row_of(name):
    return next(row for row in (*CLEAN, *PLANTED) if row.name == name)


def test_a_kernel_is_compared_with_what_is_expected_and_with_the_lab(monkeypatch):
    """The lab takes the GPU's place."""
    row = row_of("double")
    monkeypatch.setattr(gpu, "launch_row", lambda row, args: run(row.kernel, Launch((3, 1, 1), (32, 1, 1)), args))  # fmt: skip
    assert gpu.compare_row(row) == (("equal", "equal", "0", "0"), "")

    def wrong(row, args):
        args[1][:] = 2 * args[0] + 1e-6

    monkeypatch.setattr(gpu, "launch_row", wrong)
    cells, finding = gpu.compare_row(row)
    assert cells[:2] == ("within tolerance", "within tolerance")
    assert "not as expected" in finding  # the table calls this kernel exact

    def broken(row, args):
        raise RuntimeError("out of order")

    monkeypatch.setattr(gpu, "launch_row", broken)
    cells, finding = gpu.compare_row(row)
    assert cells[0] == "no result" and finding == "fails on the GPU: RuntimeError: out of order"


# -------------------------------------------------------------------------------------- sanitizer

START = "========= COMPUTE-SANITIZER\n"
LAUNCHED = START + "launched k\n"
BOUNDS = """\
========= Invalid __shared__ read of size 4 bytes
=========     at k+0x70
=========     by thread (31,0,0) in block (0,0,0)
"""
RACE = """\
========= Error: Race reported between Write access at k+0x90
=========     and Read access at k+0x120 [64 hazards]
"""
FAILED = "failed k: CudaAPIError: [719] unspecified launch failure\n"
EXITED = "========= Error: process didn't terminate successfully\n"


@pytest.mark.parametrize(
    ("output", "finished", "said"),
    [
        (LAUNCHED + "========= ERROR SUMMARY: 0 errors\n", True, "clean"),
        (LAUNCHED + "========= RACECHECK SUMMARY: 0 hazards displayed (0 errors, 0 warnings)\n", True, "clean"),
        (START + BOUNDS + FAILED + "========= ERROR SUMMARY: 32 errors\n", True, "errors: 32, Invalid __shared__ read of size 4 bytes"),
        (LAUNCHED + RACE + "========= RACECHECK SUMMARY: 1 hazard displayed (1 error, 0 warnings)\n", True, "errors: 1, Error: Race reported between Write access"),
        (LAUNCHED + RACE.replace("Error", "Warning") + "========= RACECHECK SUMMARY: 2 hazards displayed (0 errors, 2 warnings)\n", True, "warnings: 2, Warning: Race reported between Write access"),
        (START + FAILED + EXITED + "========= ERROR SUMMARY: 1 error\n", True, "fails: CudaAPIError: [719] unspecified launch failure"),
        (START + "========= Barrier error detected. Divergent thread(s) in block.\n", False, "errors: Barrier error detected. Divergent thread(s) in block, and hangs"),
        (START, False, "hangs"),
        ("", False, "hangs"),
        (START + "========= Error: Target application terminated before first instrumented API call\n", True, "no verdict"),
        (START + "========= ERROR SUMMARY: 0 errors\n", True, "no verdict"),
        ("No GPU here\n", True, "no verdict"),
        ("", True, "no verdict"),
    ],
)  # fmt: skip
def test_verdicts(output, finished, said):
    verdict = gpu.verdict(output, finished)
    assert str(verdict) == said
    assert verdict.seen == (said not in ("clean", "no verdict"))


def test_a_run_ends_with_its_time_and_takes_its_children_with_it():
    sleeper = "import time; print('asleep', flush=True); time.sleep(60)"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {sleeper!r}])"
    start = time.monotonic()
    assert gpu.run_limited([sys.executable, "-c", code], 3) == ("asleep\n", False)
    assert time.monotonic() - start < 30
    assert gpu.run_limited([sys.executable, "-c", "print(1)"], 60) == ("1\n", True)


SANITIZER = """\
import sys

if "--version" in sys.argv:
    print("NVIDIA (R) Compute Sanitizer\\nVersion 0")
    sys.exit()
tool = sys.argv[sys.argv.index("--tool") + 1]
names = [name for flag, name in zip(sys.argv, sys.argv[1:]) if flag == "--one"]
found = 0
print("========= COMPUTE-SANITIZER")
for name in names:
    print("launched", name)
    if (tool, name) in ERRORS:
        found += 1
        print("========= Barrier error detected. Divergent thread(s) in block.")
        print("=========     at k+0x70")
if tool == "racecheck":
    print(f"========= RACECHECK SUMMARY: {found} hazards displayed ({found} errors, 0 warnings)")
else:
    print(f"========= ERROR SUMMARY: {found} errors")
"""


def pretend(monkeypatch, folder, errors, names):
    """A compute-sanitizer that finds `errors`, (tool, kernel), in kernels `names`."""
    program = folder / "compute-sanitizer"
    program.write_text(f"#!{sys.executable}\nERRORS = {errors!r}\n{SANITIZER}")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(folder))
    rows = {name: row_of(name.partition(":")[2]) for name in names}
    monkeypatch.setattr(gpu, "rows_of_the_tests", lambda match="": rows)
    return argparse.Namespace(match="", timeout=60, jobs=2)


@pytest.mark.skipif(sys.platform == "win32", reason="a script takes a program's place")
def test_sanitizer_and_lab_are_compared(monkeypatch, tmp_path):
    race, barrier = "sum_into_one_place", "barrier_for_half_of_the_block"
    names = ["clean:double", "clean:add", f"planted:{race}", f"planted:{barrier}"]
    errors = {("synccheck", f"planted:{barrier}"), ("memcheck", "clean:add")}
    part = gpu.sanitizer(pretend(monkeypatch, tmp_path, errors, names))
    summary, wrong, right = part.tables
    story = "errors: 1, Barrier error detected. Divergent thread(s) in block"
    assert summary.rows == [
        ("right kernels", "2", "0", "1", "0", "0", "0"),
        ("race", "1", "1", "0", "0", "0", "0"),
        ("divergent barrier", "1", "1", "0", "0", "0", "1"),
    ]
    assert [row[:2] + row[3:] for row in wrong.rows] == [
        (race, "race", "clean", "clean", "clean", "clean", "lab only"),
        (barrier, "divergent barrier", "clean", "clean", "clean", story, "both"),
    ]
    assert "divergent barrier" in wrong.rows[1][2]
    assert right.rows == [("add", "clean", story, "clean", "clean", "clean")]  # and double is clean
    assert part.findings == [f"add: a right kernel, and memcheck says {story}"]
    assert "Version 0" in part.notes[0]


def test_a_fault_that_the_lab_misses_is_a_finding():
    rows = {"wrong": row_of("sum_into_one_place"), "right": row_of("double")}
    verdicts = {(name, tool): gpu.Verdict("clean") for name in rows for tool in gpu.TOOLS}
    verdicts["wrong", "racecheck"] = gpu.Verdict("errors", "1")
    part = gpu.Part("")
    gpu.judge(part, rows, {"wrong": {"out of bounds"}, "right": {"race"}}, verdicts)
    assert part.findings == [
        "sum_into_one_place (race): the lab says out of bounds; seen by sanitizer only",
        "double: a right kernel, and the lab says race",
    ]
    assert [gpu.who(a, b) for a in (True, False) for b in (True, False)] == [
        "both", "lab only", "sanitizer only", "nobody",
    ]  # fmt: skip


def test_without_the_sanitizer_one_line(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    part = gpu.sanitizer(argparse.Namespace(match="", timeout=1, jobs=1))
    assert len(part.notes) == 1 and "not on PATH" in part.notes[0]
    assert not part.tables and not part.findings


@pytest.mark.skipif(sys.platform == "win32", reason="a script takes a program's place")
def test_a_sanitizer_that_does_not_work_is_one_finding(monkeypatch, tmp_path):
    options = pretend(monkeypatch, tmp_path, {}, ["clean:double"])
    (tmp_path / "compute-sanitizer").write_text("#!/bin/sh\necho '========= Internal Error: no'\n")
    part = gpu.sanitizer(options)
    assert part.findings == ["compute-sanitizer does not work here: no verdict: Internal Error: no"]
    assert not part.tables


def test_kernels_are_launched_by_name(monkeypatch, capsys):
    """What runs under the sanitizer; the lab takes the GPU's place."""
    rows = gpu.rows_of_the_tests()
    assert len(rows) == len(CLEAN) + len(PLANTED)
    found = [gpu.find(name, rows) for name in ("double", "planted:block of 2048", "clean:add")]
    assert gpu.launch_by_name(found[:1]) == 0
    assert capsys.readouterr().out.endswith("launched double\n")
    assert gpu.launch_by_name(found) == 1
    *_, one, two = capsys.readouterr().out.splitlines()  # and never the third
    assert one == "launched double" and two.startswith("failed block of 2048: ")


# ---------------------------------------------------------------------------------------- kernels


def test_the_arithmetic_kernel_multiplies_and_adds_so_many_times():
    rounds, x, y = 3, np.float32(0.999), np.float32(0.001)
    out = np.zeros(64, np.float32)
    run(gpu.multiply_add, Launch((2, 1, 1), (32, 1, 1)), [out, x, y, rounds])
    chains = np.arange(64)[:, None] + np.arange(8.0)
    steps = rounds * gpu.UNROLLED
    assert steps * 8 == rounds * gpu.FMAS
    for _ in range(steps):
        chains = chains * x + y
    np.testing.assert_allclose(out, chains.sum(1), rtol=1e-5)


def test_the_shared_memory_kernel_loads_so_many_words():
    rounds = 40
    out = np.zeros(64, np.float32)
    run(gpu.read_shared, Launch((1, 1, 1), (64, 1, 1)), [out, rounds])
    start = (np.arange(64)[:, None, None] + 32 * np.arange(rounds)[:, None]) & 1023
    read = start + 32 * np.arange(gpu.LOADS)
    assert read.max() < gpu.WORDS
    np.testing.assert_allclose(out, read.sum((1, 2)), rtol=1e-5)


def test_the_copy_kernel_copies():
    x, out = np.arange(50, dtype=np.float32), np.zeros(50, np.float32)
    run(gpu.copy, Launch((2, 1, 1), (32, 1, 1)), [x, out])
    assert np.array_equal(x, out)
