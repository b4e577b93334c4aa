"""How gradients flow: `Function`, one differentiable operation, and the walk back through a graph.

It is the engine of `course.micrograd` once more. A node is an array now, so it cannot store one
derivative for each input: these would be huge, and nearly all zeros. It stores the operation
instead, and the operation knows how a gradient passes through it.
"""

from contextlib import ContextDecorator
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from course.tensor.shapes import broadcast_shapes, unbroadcast

if TYPE_CHECKING:
    from course.tensor.tensor import Tensor


class Function:
    """One differentiable operation. Each use of it makes an object, which remembers that use.

    A subclass writes two methods, which work on arrays, not on tensors:

        forward(self, *arrays, **options) -> array
        backward(self, grad) -> array, or a tuple with one array for each input

    `grad` is d(result) / d(output), of the output's shape and dtype. `backward` returns
    d(result) / d(input) for each input, or None for an input that has no gradient. What
    broadcasting has stretched need not be summed up: the engine does that for every operation.

    Attributes:
        symbol: what the operation is called in pictures.
        is_view: whether the output may share its memory with the input.
        inputs: the tensors it was applied to.
        needs_grad: for each of the inputs, whether its gradient is wanted.
        saved: the arrays that forward kept for backward.
        ops: the array functions of the inputs' device, such as `self.ops.exp`; on the CPU, numpy's.
        number: counts the uses of operations: a larger number was made later.
    """

    symbol: ClassVar[str] = ""
    is_view: bool = False

    inputs: tuple["Tensor", ...]
    needs_grad: list[bool]
    saved: tuple[Any, ...] = ()
    ops: Any
    number: int
    changes_before: int

    def forward(self, *arrays: Any, **options: Any) -> Any:
        """Compute the output from the inputs' arrays."""
        raise NotImplementedError(f"{type(self).__name__} has no forward yet")

    def backward(self, grad: Any) -> Any:
        """Compute the inputs' gradients from the output's."""
        raise NotImplementedError(f"{type(self).__name__} has no backward yet")

    def label(self) -> str:
        """What this use of the operation is called in pictures."""
        return self.symbol or type(self).__name__

    def save(self, *arrays: Any) -> None:
        """Keep arrays for backward, which finds them in `self.saved`."""
        self.saved = arrays

    def shares(self, grad: Any) -> tuple[Any, ...]:
        """What backward gives each input, as a tuple even for one.

        Raises:
            ValueError: if there are not as many gradients as inputs.
        """
        shares = self.backward(grad)
        if not isinstance(shares, tuple):
            shares = (shares,)
        if len(shares) != len(self.inputs):
            raise ValueError(
                f"{type(self).__name__}.backward gave {len(shares)} gradients "
                f"for {len(self.inputs)} inputs"
            )
        return shares

    @classmethod
    def apply(cls, *inputs: "Tensor", **options: Any) -> "Tensor":
        """Run forward on the tensors' arrays; the result remembers how it was made.

        It remembers only if gradients are recorded (see `no_grad`), an input requires one, and the
        result can have one: integers and booleans cannot.

        Args:
            inputs: tensors, all on the same device.
            options: passed on to forward.

        Raises:
            ValueError: if the inputs are on different devices, or their shapes do not go together.
        """
        function = cls()
        device = inputs[0].device
        arrays, needs_grad = [], []
        for tensor in inputs:
            if tensor.device is not device:
                if not hasattr(tensor, "grad_fn"):
                    raise TypeError(
                        f"{cls.__name__} takes tensors, and got a {type(tensor).__name__}"
                    )
                raise ValueError(
                    f"{cls.__name__}: inputs are on {device} and on {tensor.device}. "
                    f'Move one of them, such as x.to("{device}").'
                )
            arrays.append(tensor._data)
            needs_grad.append(tensor.requires_grad)
        function.ops = device.ops
        function.needs_grad = needs_grad
        try:
            data = function.forward(*arrays, **options)
        except ValueError as error:
            if "could not be broadcast" in str(error):  # numpy does not say what would fit
                broadcast_shapes(*[array.shape for array in arrays])
            raise
        result = inputs[0]._like(data)
        if function.is_view:
            result._memory = inputs[0].memory()
        if recording.is_on and True in needs_grad and data.dtype.kind == "f":
            recording.operations += 1
            function.number = recording.operations
            function.changes_before = recording.changes
            function.inputs = inputs
            result.requires_grad = True
            result.grad_fn = function
        return result


class Memory:
    """What a tensor and its views have in common: when their numbers were last changed in place."""

    changed = 0  # by `recording.changes`


class _Recording:
    """What there is one of for all tensors: the switch that `no_grad` turns, and two counters."""

    is_on = True  # whether operations remember their inputs
    operations = 0  # how many have been remembered
    changes = 0  # how often a tensor was changed in place


recording = _Recording()


class no_grad(ContextDecorator):
    """Within `with no_grad():`, or in a function decorated with `@no_grad()`, nothing is remembered.

    Results need no gradient then, and the arrays that led to them are freed at once. Use it where
    no backward will follow: to measure, to predict, to change parameters by hand.
    """

    def __init__(self) -> None:
        self._before: list[bool] = []

    def __enter__(self) -> None:
        self._before.append(recording.is_on)
        recording.is_on = False

    def __exit__(self, *error: object) -> None:
        recording.is_on = self._before.pop()


def backpropagate(root: "Tensor", grad: Any, keep_all: bool = False) -> dict["Tensor", Any]:
    """Walk from root back to the leaves, and give each tensor its complete gradient.

    Of the computed tensors that have got a share, the newest has its turn: whatever was computed
    from it is newer still, so it has handed over its share already, and the sum is complete. Then
    its operation makes shares for its inputs. In the end, only leaves are left.

    Args:
        root: the computed tensor where the walk starts; it requires a gradient.
        grad: d(result) / d(root), an array of root's shape.
        keep_all: whether computed tensors' gradients are wanted too. If not, each is dropped once it
            is handed on, and there are never more of them than necessary.

    Returns:
        d(result) / d(tensor), an array, for each leaf that requires a gradient, or for each tensor.
    """
    grads = {root: grad}  # what each tensor has got so far
    newest = [(-number_of(root), root)]  # the computed ones of them: a heap, the newest on top
    while newest:
        tensor = heappop(newest)[1]
        grads[tensor] = after_hooks(tensor, grads[tensor])
        for input, share in shares_of(tensor, grads[tensor]):
            if input in grads:
                grads[input] = grads[input] + share
            else:
                grads[input] = share
                if input.grad_fn is not None:
                    heappush(newest, (-number_of(input), input))
        if not keep_all:
            del grads[tensor]
    return grads


def number_of(tensor: "Tensor") -> int:
    """When a computed tensor was made: a larger number was made later."""
    assert tensor.grad_fn is not None
    return tensor.grad_fn.number


def shares_of(tensor: "Tensor", grad: Any) -> list[tuple["Tensor", Any]]:
    """What a computed tensor's operation hands on to its inputs.

    Args:
        tensor: a computed tensor.
        grad: d(result) / d(tensor), complete.

    Returns:
        An input and its share of the gradient, an array of the input's shape and dtype, for each use of
        an input that requires a gradient: for x * x, there are two pairs.

    Raises:
        RuntimeError: if an array that backward needs was changed in place since.
    """
    function = tensor.grad_fn
    assert function is not None
    if function.changes_before != recording.changes:
        check_unchanged(function, tensor)
    pairs = []
    for input, share in zip(function.inputs, function.shares(grad)):
        if share is None or not input.requires_grad:
            continue
        data = input._data
        if share.shape != data.shape or share.dtype != data.dtype:
            share = fit_gradient(share, input, function)
        pairs.append((input, share))
    return pairs


def fit_gradient(grad: Any, tensor: "Tensor", function: Function) -> Any:
    """The gradient in the tensor's shape and dtype.

    Raises:
        ValueError: if the shape could not have been stretched from the tensor's.
    """
    data = tensor._data
    if grad.shape != data.shape:
        try:
            grad = unbroadcast(grad, data.shape)
        except ValueError as error:
            raise ValueError(f"{type(function).__name__}.backward: {error}") from None
    return grad if grad.dtype == data.dtype else grad.astype(data.dtype)


def same_memory(saved: Any, data: Any) -> bool:
    """Whether what an operation saved is a tensor's array or may be a view of it."""
    if isinstance(saved, np.ndarray) and isinstance(data, np.ndarray):
        return np.may_share_memory(saved, data)
    buffer = getattr(data, "buffer", None)  # of an array on the device
    return saved is data or (buffer is not None and getattr(saved, "buffer", None) is buffer)


def check_unchanged(function: Function, output: "Tensor") -> None:
    """Raise a RuntimeError if an array that backward needs was changed in place since forward."""
    for tensor in (*function.inputs, output):
        memory = tensor._memory
        changed = memory is not None and memory.changed > function.changes_before
        if changed and any(same_memory(array, tensor._data) for array in function.saved):
            what = "its output" if tensor is output else "an input"
            raise RuntimeError(
                f"{type(function).__name__} needs {what} of shape {tensor.shape} for its backward, "
                "and that was changed in place since. Change it after backward(), or change a copy."
            )


def after_hooks(tensor: "Tensor", grad: Any) -> Any:
    """A complete gradient as the tensor's hooks leave it (see `Tensor.register_hook`).

    Raises:
        TypeError: if a hook returns something else than a gradient, or None.
    """
    for hook in list(tensor._hooks or ()):
        given = tensor._like(tensor.device.ops.copy(grad))  # others may be handed the same array
        changed = hook(given)
        grad = given if changed is None else changed
        if getattr(grad, "shape", None) != tensor.shape or not hasattr(grad, "grad_fn"):
            raise TypeError(
                f"a hook returns None or a tensor of the gradient's shape {tensor.shape}, "
                f"and this one returned {changed!r}"
            )
        grad = grad.to(tensor.dtype)._data
    return grad
