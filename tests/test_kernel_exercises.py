"""Kernels as exercises: holes in the machine's kernels, what fits, and how checks see a launch."""

import linecache
import sys
import types

import numpy as np
import pytest
from numba import cuda, float32
from test_checks import run
from test_judge import judge_of, sent

from course import kernellab as lab
from course.kernellab.program import program
from course.learn import LessonError, assert_clean, exercise, holes, lesson
from course.learn.checks import faults_of
from course.learn.holes import NotYetWritten, forget, restore
from course.learn.manifest import Lesson, Part

probe = types.ModuleType("course.cuda.probe")


@cuda.jit(device=True)
def twice(a):
    return a + a


@cuda.jit
def double(x, out):
    i = cuda.grid(1)
    if i < x.size:
        out[i] = probe.twice(x[i])


@cuda.jit
def shift_left(x):
    i = cuda.grid(1)
    if i < x.size - 1:
        x[i] = x[i + 1]


@cuda.jit
def columns(x, out):
    tile = cuda.shared.array((32, 32), float32)
    i = cuda.threadIdx.x
    for j in range(32):
        tile[i, j] = x[i, j]
    out[i] = tile[i, 0]


def host(x):
    return x


@pytest.fixture(autouse=True)
def a_lesson(monkeypatch):
    """A lesson whose parts are a device function, a kernel and a function."""
    monkeypatch.setitem(sys.modules, "course.cuda.probe", probe)
    probe.twice, probe.double, probe.host = twice, double, host
    names = ("twice", "double", "host")
    parts = tuple(Part(f"course.cuda.probe.{name}", name, name) for name in names)
    known = Lesson("9_probe/1_probe", "9.1", "Probe", parts)
    monkeypatch.setattr(holes, "find_lesson", lambda name: known)
    yield
    restore()


def numbers(n=5):
    return np.arange(n, dtype=np.float32), np.zeros(n, np.float32)


def test_a_kernel_that_is_missing_cannot_be_launched():
    lesson("9_probe/1_probe")
    x, out = numbers()
    with pytest.raises(NotYetWritten, match=r"probe\.double is yours"):
        probe.double[1, 32](x, out)
    # A kernel that calls a function that is missing says so as well, and not what numba makes of it.
    for launch in (double[1, 32], lambda *a: lab.watch(double[1, 32], *a)):
        with pytest.raises(NotYetWritten, match=r"probe\.twice is yours"):
            launch(x, out)


def test_kernels_run_on_the_function_that_was_put_in_last():
    lesson("9_probe/1_probe")
    x, out = numbers()

    @exercise("course.cuda.probe.twice")
    @cuda.jit(device=True)
    def twice(a):
        return 3 * a

    double[1, 32](x, out)
    assert out.tolist() == [0, 3, 6, 9, 12]

    @exercise("course.cuda.probe.twice")
    @cuda.jit(device=True)
    def twice(a):  # noqa: F811
        return 4 * a

    double[1, 32](x, out)
    assert out.tolist() == [0, 4, 8, 12, 16]
    lab.watch(double[1, 32], x, out)
    assert out.tolist() == [0, 4, 8, 12, 16]


def test_what_does_not_fit_is_told():
    lesson("9_probe/1_probe")

    def double(x, out):
        pass

    with pytest.raises(LessonError, match=r"double is a kernel: `@cuda.jit` stands between"):
        exercise("course.cuda.probe.double")(double)
    with pytest.raises(LessonError, match=r"is a kernel, to be launched: .* `@cuda.jit`"):
        exercise("course.cuda.probe.double")(cuda.jit(device=True)(double))
    with pytest.raises(LessonError, match=r"is called as double\(x, out\); yours is double\(x\)"):
        exercise("course.cuda.probe.double")(_named("double", cuda.jit(lambda x: None)))
    with pytest.raises(
        LessonError, match=r"twice is a device function: `@cuda.jit\(device=True\)`"
    ):
        exercise("course.cuda.probe.twice")(host)
    with pytest.raises(LessonError, match=r"twice is a device function, which kernels call"):
        exercise("course.cuda.probe.twice")(cuda.jit(host))
    with pytest.raises(LessonError, match=r"host is an ordinary function"):
        exercise("course.cuda.probe.host")(cuda.jit(host))


def _named(name, kernel):
    kernel.__name__ = name
    return kernel


def test_in_grading_a_kernels_code_is_forgotten():
    functions = [twice.py_func, double.py_func, host]
    before = [function.__code__ for function in functions]
    try:
        forget("9_probe/1_probe")
        for function, code in zip(functions, before):
            assert function.__code__.co_code != code.co_code and not function.__code__.co_names
    finally:
        for function, code in zip(functions, before):
            function.__code__ = code


def test_watch_launches_and_reports():
    x, out = numbers(7)
    report = lab.watch(double[2, 5], x, out)
    assert out.tolist() == [0, 2, 4, 6, 8, 10, 12] and report.ok
    assert (report.bytes(), report.dram_bytes) == (56, 64)
    assert (report.most_reads("x"), report.most_writes("out")) == (1, 1)
    assert (report.coalescing, report.bank_ways) == (1.0, 1.0)
    on_device = cuda.to_device(x)
    lab.watch(double[2, 5], on_device, out)
    assert np.array_equal(on_device.copy_to_host(), x)
    device_out = cuda.device_array_like(x)
    lab.watch(double[2, 5], on_device, device_out)
    assert device_out.copy_to_host().tolist() == out.tolist()
    with pytest.raises(ValueError, match="no array 'y': choose from x, out"):
        report.most_reads("y")


def test_watch_goes_through_all_blocks():
    x, out = numbers(100)
    assert lab.watch(double[20, 5], x, out).cost.followed == 20
    assert np.array_equal(out, 2 * x)


def test_watch_does_not_stop_at_faults():
    x, _ = numbers()
    report = lab.watch(shift_left[1, 8], x)
    assert report.kinds() == {"race"} and x.tolist() == [1, 2, 3, 4, 4]
    report = lab.watch(double[1, 8], *numbers()[:1], np.zeros(3, np.float32))
    assert report.kinds() == {"out of bounds"}
    too_many = lab.watch(double[1, 2048], *numbers())
    assert too_many.kinds() == {"too many threads"}


def test_the_worst_places():
    x, out = np.ones((32, 32), np.float32), np.zeros(32, np.float32)
    report = lab.watch(columns[1, 32], x, out)
    assert report.bank_ways == 32 and report.coalescing == pytest.approx(1 / 8)
    assert report.bytes("shared") == 4 * (32 * 32 + 32)


def test_assert_clean_names_the_faults():
    x, out = numbers()
    assert_clean(lab.watch(double[1, 8], x, out))
    message = run(
        "report = lab.watch(shift[1, 8], x)\nassert_clean(report, hint='who reads whose?')",
        lab=lab,
        shift=shift_left,
        x=x,
    )
    assert message.startswith("report: the launch has a fault\n* race: `x[1]`")
    assert "lab.watch(shift[1, 8], x)" in message and message.endswith("Hint: who reads whose?")
    with pytest.raises(TypeError, match="wants the report of a launch, and got 3"):
        assert_clean(3)


def test_faults_come_out_of_the_sandbox_as_words():
    source = "assert_clean(double(1), hint='look')"
    assert judge_of(source, [[]]).hear(sent([]))
    judge = judge_of(source, [[]])
    faults = faults_of(lab.watch(shift_left[1, 8], numbers()[0]))
    assert not judge.hear(sent(faults))
    assert "has a fault" in judge.message() and "race" in judge.message()
    for forged in (True, None, 0, "", [1], {"a": 1}):
        assert not judge_of(source, [[]]).hear(sent(forged)), forged


def test_a_check_shows_its_kernel_with_the_decorator():
    message = run(
        "@cuda.jit\ndef k(x):\n    x[0] = 1\nassert_close(f(k), 2.0)", cuda=cuda, f=lambda k: 1.0
    )
    assert "    @cuda.jit\n    def k(x):" in message


def test_a_kernel_that_is_defined_again_is_known():
    """Cells run again and again; typing and compiling are done once for the same words."""
    source = (
        "from numba import cuda\nSTEP = {}\n\n\n@cuda.jit(device=True)\ndef up(a):\n    return a + {}\n\n\n"
        "@cuda.jit\ndef k(x):\n    x[0] = up(x[0]) * STEP\n"
    )

    def define(step, add):
        text = source.format(step, add)
        name = "<cell again>"
        linecache.cache[name] = len(text), None, text.splitlines(keepends=True), name
        namespace = {}
        exec(compile(text, name, "exec"), namespace)
        return namespace["k"]

    first = define(2, 3)
    assert program(define(2, 3)) is program(first)
    assert program(define(3, 3)) is not program(first)  # another constant
    assert program(define(2, 4)) is not program(first)  # another device function
    for step, add in ((2, 3), (3, 3), (2, 4), (2, 3)):
        x = np.ones(1, np.float32)
        define(step, add)[1, 1](x)
        assert x[0] == (1 + add) * step
