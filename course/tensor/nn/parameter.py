"""`Parameter`: a tensor that training changes."""

from typing import Any

from course.tensor.tensor import Tensor


class Parameter(Tensor):
    """A tensor that training changes: it requires a gradient unless told otherwise.

    Args:
        data: real numbers, as for Tensor. They are copied: training changes the copy.
        requires_grad: False for one that is frozen for now.
        dtype: as for Tensor.
        device: as for Tensor.

    Raises:
        TypeError: for integers and booleans, which have no gradient.
    """

    def __init__(
        self, data: Any, requires_grad: bool = True, dtype: Any = None, device: Any = None
    ) -> None:
        super().__init__(data, dtype, device)
        self.requires_grad_()  # refuses integers
        self.requires_grad = requires_grad


def is_parameter(tensor: Tensor) -> bool:
    """Whether training may change it: a Parameter, or any leaf that requires a gradient."""
    return isinstance(tensor, Parameter) or (tensor.requires_grad and tensor.is_leaf)
