"""What the device refuses."""

from typing import Any

import numpy as np


class NoKernel(NotImplementedError, AttributeError, TypeError):
    """There is no kernel for this. Computing it on the CPU would take two copies that nobody sees."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"the device 'cuda' has no kernel for {name!r}; x.cpu() computes it on the processor"
        )


HIDDEN_COPY = (
    "this array is on the device 'cuda', and numpy works on the processor. Copies between the two are made "
    "openly: x.cpu() or x.numpy() of a Tensor, Tensor(array, device='cuda')."
)


def check_dtype(dtype: Any) -> np.dtype:
    """The dtype, if arrays of the device may have it.

    Raises:
        TypeError: for floats of other sizes than float32's.
    """
    dtype = np.dtype(dtype)
    if dtype.kind not in "fiub":
        raise TypeError(f"arrays of the device 'cuda' hold numbers, and not {dtype}")
    if dtype.kind == "f" and dtype != np.float32:
        raise TypeError(
            f"the device 'cuda' computes in float32, and this is {dtype}: a GPU for games does float64 at a "
            'thirty-second of the speed. Convert it before: Tensor(x, dtype="float32"), x.float().'
        )
    return dtype
