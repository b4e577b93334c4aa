"""Copies between host and device: the only two places where numbers cross over."""

from typing import Any

import numpy as np

from course.cuda.memory import Buffer
from course.cuda.record import note_copy


def upload(array: np.ndarray, buffer: Buffer) -> None:
    """Fill a buffer on the device with a host array's numbers, in reading order; the copy is noted.

    Of integers, the host notes the smallest and the largest on the way: whether all indices are in range
    can then be known without copying them back.

    Args:
        array: of the buffer's size and dtype.
        buffer: on the device.
    """
    if not array.size:
        return
    buffer.data.copy_to_device(np.ascontiguousarray(array).reshape(-1))
    note_copy("to the device", array.nbytes)
    if array.dtype.kind in "iu":
        buffer.bounds = int(array.min()), int(array.max())


def download(array: Any) -> np.ndarray:
    """A numpy array with the numbers of a CudaArray that has one axis; the copy is noted.

    The host waits here until the device has done all that it was asked before.
    """
    if not array.size:
        return np.empty(0, array.dtype)
    note_copy("to the host", array.nbytes)
    return array.device.copy_to_host()
