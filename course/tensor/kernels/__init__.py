"""Some of the CPU's array functions once more, each compiled into one loop by numba.

numpy takes an operation of several steps several times through memory, and pays for each call. A
compiled loop goes through once. It pays where arrays are small or steps are many; matrix products
stay with numpy. `use_kernels()` switches them on.

numba is imported, and compiles, only when a function is first used.
"""

import types

from course.tensor import numpy_ops
from course.tensor.devices import get_device
from course.tensor.kernels import attention, elementwise, images, losses, optimisers, rows
from course.tensor.kernels.compiling import COMPILED

__all__ = [
    "COMPILED",
    "TABLE",
    "attention",
    "elementwise",
    "images",
    "losses",
    "optimisers",
    "rows",
    "use_kernels",
]

TABLE = types.ModuleType(
    "course.tensor.compiled_ops", "numpy_ops, with compiled functions over it."
)


def use_kernels(on: bool = True) -> None:
    """Let tensors on the CPU use compiled functions, or numpy's again.

    The first use of each takes a second to compile; after that it is kept on disk, where that
    can be written. The environment variable COURSE_KERNELS=1 switches them on from the start.

    Args:
        on: whether to use them.
    """
    if on:
        _keep_freed_memory()
        vars(TABLE).update(
            {name: getattr(numpy_ops, name) for name in numpy_ops.__all__} | COMPILED
        )
    get_device("cpu").ops = TABLE if on else numpy_ops


def _keep_freed_memory() -> None:
    """Let C's allocator keep large arrays that are freed, instead of asking the system each time.

    In training, arrays of the same sizes come and go at each step, and fresh memory has to be
    filled with zeros by the system first. With glibc only; elsewhere nothing happens.
    """
    import ctypes

    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return
    mallopt(-3, 1 << 30)  # M_MMAP_THRESHOLD
    mallopt(-1, 1 << 30)  # M_TRIM_THRESHOLD
