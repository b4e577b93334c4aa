"""Every right kernel runs on every engine and is clean; every planted mistake is named."""

import os

import numpy as np
import pytest
from kernels_clean import CLEAN
from kernels_planted import PLANTED

from course.kernellab import check
from course.kernellab.launch import Configured, run
from course.kernellab.limits import launch_shape
from course.kernellab.records import KINDS


def copies(arguments):
    return [a.copy() if isinstance(a, np.ndarray) else a for a in arguments]


@pytest.mark.parametrize("row", CLEAN, ids=lambda row: row.name)
def test_engines_agree_with_numpy_and_with_each_other(row):
    arguments = row.args(np.random.default_rng(7))
    expected = row.expected(*copies(arguments))
    launch = launch_shape((row.grid, row.block, 0, row.dynamic_shared))
    results = {}
    number = CLEAN.index(row)
    # Compiling for gen takes longest: every second kernel, unless all is asked for.
    thorough = number % 2 == 0 or "COURSE_WHOLE_BANK" in os.environ
    for engine in row.engines or (("split", "gen", "py") if thorough else ("split", "py")):
        given = copies(arguments)
        run(row.kernel, launch, given, engine)
        if engine == "split" and number % 3 == 0:  # later launches are other code
            again = copies(arguments)
            run(row.kernel, launch, again, engine)
            for one, two in zip(given, again):
                assert np.array_equal(one, two, equal_nan=True)
        for position, wanted in expected.items():
            got, wanted = given[position], np.asarray(wanted)
            if not row.ordered:
                got, wanted = np.sort(got), np.sort(wanted)
            if row.exact:
                assert np.array_equal(got, wanted, equal_nan=True), engine
            else:
                np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5, err_msg=engine)
        results[engine] = [a.tobytes() for a in given if isinstance(a, np.ndarray)]
    # The order of sums is the same in all of them, so rounding is too.
    assert len({tuple(result) for result in results.values()}) == 1 or not row.ordered


@pytest.mark.parametrize("row", CLEAN, ids=lambda row: row.name)
def test_no_false_alarm(row):
    arguments = row.args(np.random.default_rng(11))
    before = copies(arguments)
    report = check(Configured(row.kernel, (row.grid, row.block, 0, row.dynamic_shared)), *arguments)
    assert report.faults == [], str(report)
    for one, two in zip(arguments, before):  # a check changes nothing
        assert np.array_equal(one, two, equal_nan=True)


@pytest.mark.parametrize("row", PLANTED, ids=lambda row: row.name)
def test_planted_fault_is_named(row):
    arguments = row.args(np.random.default_rng(7))
    report = check(Configured(row.kernel, (row.grid, row.block, 0, row.dynamic_shared)), *arguments)
    assert row.kind in report.kinds(), str(report)
    faults = [fault for fault in report.faults if fault.kind == row.kind]
    lines = {line for fault in faults for line in fault.lines}
    assert set(row.lines) <= lines, f"marked {row.lines}, named {sorted(lines)}"
    if row.array is not None:
        assert row.array in {fault.array for fault in faults}
    assert report.kinds() <= {row.kind, *row.also}, str(report)
    shown = report._repr_html_()
    assert "<img" in shown and "<pre>" in shown
    for fault in faults:
        assert fault.message.strip() and fault.kind in KINDS
        if fault.kind.startswith("race"):
            assert len(fault.threads) == 2 and fault.threads[0] != fault.threads[1]
            assert fault.index is not None


def test_the_tables_are_large_and_cover_every_kind():
    assert len(CLEAN) >= 40 and len(PLANTED) >= 60
    assert {row.kind for row in PLANTED} == set(KINDS)
