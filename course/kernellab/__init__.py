"""kernellab: numba.cuda kernels on any computer, checked and drawn.

from numba import cuda
from course import kernellab as lab      # no GPU? Kernels run here from now on.

@cuda.jit
def double(x, out):
    i = cuda.grid(1)
    if i < x.size:
        out[i] = 2 * x[i]

double[4, 32](x, out)                    # as on a GPU
"""

import os

if os.environ.get("NUMBA_ENABLE_CUDASIM", "0") not in ("", "0"):
    raise RuntimeError(
        "numba's simulator is on, and the lab takes its place: unset NUMBA_ENABLE_CUDASIM "
        "and start Python again."
    )

from course.kernellab.budgets import (
    assert_bytes,
    assert_clean,
    assert_coalesced,
    assert_no_bank_conflicts,
    assert_per_thread,
    assert_reads,
    assert_writes,
)
from course.kernellab.check import check, watch
from course.kernellab.compare import Comparison, case, compare
from course.kernellab.errors import (
    KernelError,
    LaunchError,
    NoSource,
    OutOfBounds,
    Refused,
    Unsupported,
)
from course.kernellab.gpus import GPUS, Gpu, Prediction, occupancy, predict
from course.kernellab.launch import device, engine, forget_compiled, install
from course.kernellab.memory import transfers
from course.kernellab.pictures import (
    draw_banks,
    draw_barriers,
    draw_fault,
    draw_heat,
    draw_roofline,
    draw_threads,
    draw_warp,
)
from course.kernellab.ptx import Assembly, PtxUnavailable, asm
from course.kernellab.records import Fault, Report
from course.kernellab.svg import Picture

install()

__all__ = [
    "GPUS",
    "Assembly",
    "Comparison",
    "Fault",
    "Gpu",
    "KernelError",
    "LaunchError",
    "NoSource",
    "OutOfBounds",
    "Picture",
    "Prediction",
    "PtxUnavailable",
    "Refused",
    "Report",
    "Unsupported",
    "asm",
    "assert_bytes",
    "assert_clean",
    "assert_coalesced",
    "assert_no_bank_conflicts",
    "assert_per_thread",
    "assert_reads",
    "assert_writes",
    "case",
    "check",
    "compare",
    "device",
    "draw_banks",
    "draw_barriers",
    "draw_fault",
    "draw_heat",
    "draw_roofline",
    "draw_threads",
    "draw_warp",
    "engine",
    "forget_compiled",
    "occupancy",
    "predict",
    "transfers",
    "watch",
]
