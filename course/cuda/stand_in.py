"""A stand-in for the little of PyTorch that an operator meets: a tensor, a context, a library.

With it, operators can be tried where PyTorch is not installed. It is strict where PyTorch is, and its
errors say what PyTorch's would.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numba import cuda


class Tensor:
    """A tensor: a numpy array, and what PyTorch says about it.

    Attributes:
        requires_grad: whether its gradient is wanted.
        is_fake: whether it has a shape and a dtype, but no numbers.
    """

    is_cuda = False
    """Whether its memory is a GPU's."""

    def __init__(self, array: Any, requires_grad: bool = False, is_fake: bool = False) -> None:
        self._array = np.asarray(array)
        self.requires_grad = requires_grad
        self.is_fake = is_fake

    @property
    def shape(self) -> tuple[int, ...]:
        """The lengths of the axes."""
        return self._array.shape

    @property
    def dtype(self) -> np.dtype:
        """The kind of numbers."""
        return self._array.dtype

    def __repr__(self) -> str:
        kind = "fake tensor" if self.is_fake else "tensor"
        return f"<{kind}, shape {self.shape}, {self.dtype}>"

    def numpy(self) -> np.ndarray:
        """The numbers, in the same memory.

        Raises:
            RuntimeError: if the tensor requires gradients, or has no numbers.
        """
        if self.is_fake:
            raise RuntimeError("a fake tensor has a shape but no numbers: no kernel can take it")
        if self.requires_grad:
            raise RuntimeError(
                "Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead."
            )
        return self._array

    def detach(self) -> "Tensor":
        """A tensor with the same memory whose gradient nobody wants."""
        return Tensor(self._array, is_fake=self.is_fake)

    def contiguous(self) -> "Tensor":
        """This tensor if its numbers lie in reading order, else a copy in which they do."""
        if self._array.flags.c_contiguous:
            return self
        return Tensor(np.ascontiguousarray(self._array), self.requires_grad, self.is_fake)

    def new_empty(self, shape: Sequence[int]) -> "Tensor":
        """A new tensor of the same dtype. Its numbers are whatever they are: here nan, so that one sees it."""
        return Tensor(np.full(tuple(shape), np.nan, self.dtype), is_fake=self.is_fake)


class CudaTensor(Tensor):
    """A tensor whose memory is on the device: numpy does not see it, kernels do."""

    is_cuda = True

    def __init__(self, array: Any, requires_grad: bool = False) -> None:
        device_array = array if cuda.is_cuda_array(array) else cuda.to_device(array)
        super().__init__(np.empty(device_array.shape, device_array.dtype), requires_grad)
        self._device_array = device_array

    def numpy(self) -> np.ndarray:
        """Refused: that would be a copy.

        Raises:
            TypeError: always.
        """
        raise TypeError(
            "can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() to copy the tensor "
            "to host memory first."
        )

    def detach(self) -> "CudaTensor":
        """A tensor with the same memory whose gradient nobody wants."""
        return CudaTensor(self._device_array)

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        if self.requires_grad:
            raise RuntimeError(
                "Can't get __cuda_array_interface__ on Variable that requires grad. If gradients "
                "aren't required, use var.detach() to get Variable that doesn't require grad."
            )
        return self._device_array.__cuda_array_interface__


class Context:
    """What is kept of one call for `backward`.

    Attributes:
        needs_input_grad: for each input, whether its gradient is wanted.
        saved_tensors: what was saved.
    """

    def __init__(self, needs_input_grad: Sequence[bool] = ()) -> None:
        self.needs_input_grad = tuple(needs_input_grad)
        self.saved_tensors: tuple[Tensor, ...] = ()

    def save_for_backward(self, *tensors: Tensor) -> None:
        """Save tensors, and nothing else. A second call forgets what the first one saved."""
        for tensor in tensors:
            if not isinstance(tensor, Tensor):
                raise TypeError(
                    f"save_for_backward can only save tensors, and got {type(tensor).__name__}"
                )
        self.saved_tensors = tensors


class Operator:
    """An operator: a function with what is known about it.

    Attributes:
        name: "namespace::name".
        schema: what it takes and returns.
    """

    def __init__(
        self, name: str, function: Callable, mutates_args: Any, schema: str | None
    ) -> None:
        self.name = name
        self.schema = schema
        self.mutates_args = tuple(mutates_args)
        self._function = function
        self._fake: Callable | None = None
        self._backward: Callable | None = None
        self._setup_context: Callable | None = None

    def register_fake(self, function: Callable) -> Callable:
        """Say what to run on fake tensors: it returns one of the right shape."""
        self._fake = function
        return function

    def register_autograd(
        self, backward: Callable, /, *, setup_context: Callable | None = None
    ) -> None:
        """Say how gradients are computed, and what is kept for that."""
        self._backward, self._setup_context = backward, setup_context

    def __call__(self, *inputs: Any) -> Any:
        """Run the function; on fake tensors, run the fake."""
        if not any(isinstance(x, Tensor) and x.is_fake for x in inputs):
            return self._function(*inputs)
        if self._fake is None:
            raise RuntimeError(f"{self.name}: there is no fake, and these tensors have no numbers")
        return self._fake(*inputs)

    def gradients(self, inputs: Sequence[Any], grad: Tensor) -> tuple:
        """What PyTorch does when somebody calls `backward()` on the operator's output.

        Args:
            inputs: what the operator is called with; of tensors with `requires_grad` the gradient is wanted.
            grad: the gradient with respect to the output.
        """
        if self._backward is None:
            raise RuntimeError(f"{self.name}: no autograd formula was registered")
        output = self(*inputs)
        ctx = Context([getattr(x, "requires_grad", False) for x in inputs])
        if self._setup_context is not None:
            self._setup_context(ctx, tuple(inputs), output)
        gradients = self._backward(ctx, grad)
        if len(gradients) != len(inputs):
            raise RuntimeError(
                f"{self.name}: {len(gradients)} gradients for {len(inputs)} inputs; "
                "inputs that have none get None"
            )
        return gradients


class Library:
    """Where operators are kept, by name; it stands for `torch.library`."""

    def __init__(self) -> None:
        self.operators: dict[str, Operator] = {}

    def custom_op(
        self,
        name: str,
        fn: Callable,
        /,
        *,
        mutates_args: Any,
        schema: str | None = None,
    ) -> Operator:
        """Make an operator of a function."""
        if name.count("::") != 1:
            raise ValueError(f"an operator's name is namespace::name, not {name!r}")
        self.operators[name] = Operator(name, fn, mutates_args, schema)
        return self.operators[name]


def find_torch() -> Any:
    """PyTorch; or None, after a line that says so."""
    try:
        import torch
    except ImportError:
        print("PyTorch is not installed, so this cell shows nothing; nothing else needs it.")
        return None
    return torch
