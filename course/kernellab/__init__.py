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

from course.kernellab.check import check
from course.kernellab.errors import (
    KernelError,
    LaunchError,
    NoSource,
    OutOfBounds,
    Refused,
    Unsupported,
)
from course.kernellab.launch import State, device, engine, install

if install():
    if ("", "") not in State.said:
        State.said.add(("", ""))
        print("kernellab: no GPU here, so kernels run on the processor.")

__all__ = [
    "KernelError",
    "LaunchError",
    "NoSource",
    "OutOfBounds",
    "Refused",
    "Unsupported",
    "check",
    "device",
    "engine",
]
