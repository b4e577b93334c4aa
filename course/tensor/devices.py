"""Devices: where arrays live, and the table of array functions that computes there.

Every operation of the engine is written with operators on arrays (`a * b`, `a > 0`) and with named
functions from the device's table: `ops.exp(a)`, `ops.sum(a, axis=0)`, `ops.matmul(a, b)` ... On
the CPU the table is the module `course.tensor.numpy_ops`, mostly numpy's own functions. A new back
end is another module with functions of these names, on arrays of its own.
"""

import importlib
import os
from types import ModuleType
from typing import Any

# The tables of the devices that there are, by name. A later unit's is not imported before it is asked
# for.
MODULES = {"cpu": "course.tensor.numpy_ops", "lazy": "course.lazy.ops", "cuda": "course.cuda.ops"}


class Device:
    """A place for arrays, with a table of functions on them.

    Attributes:
        name: such as "cpu".
        ops: the table, a module. It has, beside the operations, `asarray(data, dtype)`, which makes
            an array of this device from numbers, and `to_numpy(array)`, which copies it out.
    """

    def __init__(self, name: str, ops: Any) -> None:
        self.name = name
        self.ops = ops

    def __repr__(self) -> str:
        return self.name

    def __eq__(self, other: object) -> bool:
        return other is self or other == self.name

    def __hash__(self) -> int:
        return hash(self.name)

    def __reduce__(self) -> tuple:
        return get_device, (self.name,)  # copied or unpickled, it is the same device


_devices: dict[str, Device] = {}


def get_device(which: str | Device | None = None) -> Device:
    """The device of this name.

    Args:
        which: a name or a device. None means the default: the environment variable COURSE_DEVICE, or
            "cpu" without one.

    Raises:
        ValueError: if there is no such device, or it does not work here.
    """
    if isinstance(which, Device):
        return which
    name = which if which is not None else os.environ.get("COURSE_DEVICE") or "cpu"
    if name not in _devices:
        _devices[name] = Device(name, _load(name, which is None))
        if name == "cpu" and os.environ.get("COURSE_KERNELS") == "1":
            importlib.import_module("course.tensor.kernels").use_kernels()
    return _devices[name]


def _load(name: str, is_default: bool) -> ModuleType:
    asked_by = " (from the environment variable COURSE_DEVICE)" if is_default else ""
    known = ", ".join(MODULES)
    if name not in MODULES:
        raise ValueError(f"there is no device {name!r}{asked_by}. There are: {known}.")
    try:
        return importlib.import_module(MODULES[name])
    except ImportError as error:
        raise ValueError(f"the device {name!r}{asked_by} is not to be had here: {error}") from None
