"""`Tensor`: an array that remembers how it was made.

Each method that computes is one line: it names the `Function` and hands over the tensors. What
happens to numbers stands in `course.tensor.ops`, how gradients flow in `course.tensor.autograd`.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, Literal

import numpy as np

from course.tensor import rng
from course.tensor.autograd import Function, Memory, after_hooks, backpropagate, recording
from course.tensor.devices import Device, get_device
from course.tensor.dtypes import DEFAULT, as_dtype, bool_, int64, is_floating, promote
from course.tensor.ops.elementwise import (
    Abs,
    Add,
    Cast,
    Clamp,
    Cos,
    Div,
    Exp,
    Gelu,
    LeakyRelu,
    Log,
    Maximum,
    Minimum,
    Mul,
    Neg,
    Pow,
    PowScalar,
    Relu,
    Sigmoid,
    Sin,
    Sqrt,
    Sub,
    Tanh,
    Where,
)
from course.tensor.ops.images import AvgPool2d, Conv2d, GroupedConv2d, MaxPool2d
from course.tensor.ops.lookup import Embedding, LayerNorm
from course.tensor.ops.losses import BinaryCrossEntropy, CrossEntropy
from course.tensor.ops.movement import Cat, Expand, Flip, GetItem, Pad, Permute, Reshape
from course.tensor.ops.products import Linear, MatMul
from course.tensor.ops.reductions import (
    LogSoftmax,
    LogSumExp,
    Max,
    Mean,
    Min,
    Normalise,
    Softmax,
    Sum,
)
from course.tensor.shapes import (
    Shape,
    as_shape,
    broadcast_shapes,
    fill_in_shape,
    normalise_axes,
    normalise_axis,
)

Axis = int | Sequence[int] | None
Pairable = int | tuple[int, int]
Reduction = Literal["mean", "sum", "none"]


class Tensor:
    """An array of numbers, with the operation it came from, and a gradient.

    Args:
        data: a number, a nested list of numbers, a numpy array, or a Tensor (its numbers). It is
            copied: what happens to the array later does not change the tensor.
        dtype: the kind of numbers, such as "float32". Without one, arrays keep theirs, Python's
            floats become float32, integers int64, booleans bool.
        device: where it lives; see `get_device`.
        requires_grad: whether backward shall compute a gradient for it. Only real numbers have one.

    Attributes:
        data: the device's array. Assigning to it, also by `x.data -= ...`, changes the tensor in
            place, and is not differentiated.
        grad: d(result) / d(self), a Tensor, after `result.backward()`; None before.
        requires_grad: whether a gradient flows to it.
        grad_fn: the `Function` that made it; None for a leaf.
        device: where it lives.
        training: for all tensors: whether dropout drops and batch norm looks at the batch. It is
            a second switch beside `Module.train` and `eval`: a layer trains if both are on.

    Raises:
        TypeError: for what is no array of numbers, or integers that shall have a gradient.
        ValueError: for nested lists of different lengths.
    """

    __array_ufunc__ = None  # so that numpy leaves `array + tensor` to Tensor.__radd__

    training: ClassVar[bool] = True

    # what most tensors have in common stands here once, and is not set for each
    device: Device
    _data: Any
    grad: "Tensor | None" = None
    requires_grad: bool = False
    grad_fn: Function | None = None
    _hooks: list[Callable] | None = None
    _memory: Memory | None = None  # what it shares with its views, once that is needed

    def __init__(
        self,
        data: Any,
        dtype: Any = None,
        device: str | Device | None = None,
        requires_grad: bool = False,
    ) -> None:
        if isinstance(data, Tensor):
            device = data.device if device is None else device
            data = data.numpy()
        self.device = get_device(device)
        self._data = self.device.ops.asarray(_as_numbers(data, dtype))
        if requires_grad:
            self.requires_grad_()

    def _like(self, data: Any) -> "Tensor":
        """A tensor of an array of this device, without another look at it."""
        tensor = Tensor.__new__(Tensor)
        # numpy's functions return scalars, and no arrays, of shape ()
        tensor._data = self.device.ops.asarray(data) if isinstance(data, NUMBERS) else data
        tensor.device = self.device
        return tensor

    def _operand(self, other: Any) -> tuple["Tensor", "Tensor"]:
        """Both sides of an operation, as tensors of one dtype."""
        a, b = self, other
        if not isinstance(b, Tensor):
            if isinstance(b, bool | int | float):
                # as numpy does for Python's numbers: 2 and 2.5 take on the tensor's kind and size
                floats = isinstance(b, float) and not is_floating(a.dtype)
                integers = a.dtype == bool_ and not isinstance(b, bool)
                dtype = DEFAULT if floats else int64 if integers else a.dtype
                b = a._like(a.device.ops.asarray(b, dtype))
            else:
                b = Tensor(b, device=a.device)
        if a.dtype != b.dtype:
            dtype = promote(a.dtype, b.dtype)
            a, b = a.to(dtype), b.to(dtype)
        return a, b

    def _real(self) -> "Tensor":
        """This tensor if it holds real numbers, else a float32 one with the same numbers."""
        return self if is_floating(self.dtype) else self.to(DEFAULT)

    # ------------------------------------------------------------ making tensors

    @staticmethod
    def zeros(*shape: Any, dtype: Any = None, **options: Any) -> "Tensor":
        """A tensor of zeros, float32 by default: `Tensor.zeros(2, 3)` or `Tensor.zeros((2, 3))`."""
        return Tensor(np.zeros(as_shape(*shape), as_dtype(dtype or DEFAULT)), **options)

    @staticmethod
    def ones(*shape: Any, dtype: Any = None, **options: Any) -> "Tensor":
        """A tensor of ones, float32 by default."""
        return Tensor(np.ones(as_shape(*shape), as_dtype(dtype or DEFAULT)), **options)

    @staticmethod
    def full(shape: Any, value: float, dtype: Any = None, **options: Any) -> "Tensor":
        """A tensor in which every element is value."""
        dtype = _as_numbers(value, dtype).dtype
        return Tensor(np.full(as_shape(shape), value, dtype), **options)

    @staticmethod
    def arange(
        start: float, stop: float | None = None, step: float = 1, dtype: Any = None, **options: Any
    ) -> "Tensor":
        """The numbers start, start + step, ... below stop; `arange(n)` is 0, 1, ... n - 1.

        Of integers, int64; as soon as one of the numbers is a float, float32.
        """
        if stop is None:
            start, stop = 0, start
        integers = all(isinstance(x, int | np.integer) for x in (start, stop, step))
        dtype = as_dtype(dtype or (int64 if integers else DEFAULT))
        return Tensor(np.arange(start, stop, step).astype(dtype), **options)

    @staticmethod
    def linspace(
        start: float, stop: float, steps: int, dtype: Any = None, **options: Any
    ) -> "Tensor":
        """So many numbers at equal distances, from start to stop, both included."""
        return Tensor(np.linspace(start, stop, steps, dtype=as_dtype(dtype or DEFAULT)), **options)

    @staticmethod
    def eye(n: int, m: int | None = None, dtype: Any = None, **options: Any) -> "Tensor":
        """An (n, m) matrix, m = n by default, with ones on the diagonal and zeros elsewhere."""
        return Tensor(np.eye(n, m, dtype=as_dtype(dtype or DEFAULT)), **options)

    @staticmethod
    def rand(*shape: Any, dtype: Any = None, **options: Any) -> "Tensor":
        """Random numbers, evenly spread from 0 to 1, without 1."""
        return _random(rng.generator().random(as_shape(*shape), np.float32), dtype, options)

    @staticmethod
    def randn(*shape: Any, dtype: Any = None, **options: Any) -> "Tensor":
        """Random numbers from the normal distribution with mean 0 and standard deviation 1."""
        return _random(
            rng.generator().standard_normal(as_shape(*shape), np.float32), dtype, options
        )

    @staticmethod
    def uniform(
        *shape: Any, low: float = 0.0, high: float = 1.0, dtype: Any = None, **options: Any
    ) -> "Tensor":
        """Random numbers, evenly spread from low to high, without high."""
        numbers = rng.generator().random(as_shape(*shape), np.float32)
        return _random(low + (high - low) * numbers, dtype, options)

    @staticmethod
    def randint(
        *shape: Any, low: int = 0, high: int = 10, dtype: Any = None, **options: Any
    ) -> "Tensor":
        """Random integers from low to high, without high; int64."""
        numbers = rng.generator().integers(low, high, as_shape(*shape))
        return Tensor(numbers.astype(as_dtype(dtype or int64)), **options)

    @staticmethod
    def randperm(n: int, **options: Any) -> "Tensor":
        """The integers 0 to n - 1 in random order."""
        return Tensor(rng.generator().permutation(n), **options)

    def zeros_like(self, **options: Any) -> "Tensor":
        """Zeros, with the shape, dtype and device of this tensor."""
        return Tensor.zeros(self.shape, **{"dtype": self.dtype, "device": self.device, **options})

    def ones_like(self, **options: Any) -> "Tensor":
        """Ones, with the shape, dtype and device of this tensor."""
        return Tensor.ones(self.shape, **{"dtype": self.dtype, "device": self.device, **options})

    def full_like(self, value: float, **options: Any) -> "Tensor":
        """Every element is value, with the shape, dtype and device of this tensor."""
        options = {"dtype": self.dtype, "device": self.device, **options}
        return Tensor.full(self.shape, value, **options)

    @staticmethod
    def manual_seed(seed: int) -> None:
        """Start the random numbers afresh: the same seed gives the same numbers."""
        rng.manual_seed(seed)

    # ------------------------------------------------------------ looking at tensors

    @property
    def data(self) -> Any:
        """The device's array."""
        return self._data

    @data.setter
    def data(self, array: Any) -> None:
        array = self._like(array._data if isinstance(array, Tensor) else array)._data
        if getattr(array, "shape", None) is None or array.dtype.kind not in "fiub":
            raise TypeError(
                f"x.data is an array of numbers, and this is {array!r:.60}; to make a tensor of it, "
                "write x = Tensor(...)"
            )
        self._data = array
        self._mark_changed()

    def _mark_changed(self) -> None:
        """Remember that the numbers have changed: a graph that needs the old ones must not use these."""
        recording.changes += 1
        self.memory().changed = recording.changes

    def memory(self) -> Memory:
        """What it shares with its views, which live in the same memory."""
        if self._memory is None:
            self._memory = Memory()
        return self._memory

    @property
    def shape(self) -> Shape:
        """The lengths of the axes; () for a single number."""
        return self._data.shape

    @property
    def ndim(self) -> int:
        """How many axes there are."""
        return len(self._data.shape)

    @property
    def dtype(self) -> np.dtype:
        """The kind of numbers."""
        return self._data.dtype

    def size(self, axis: int | None = None) -> Any:
        """The shape, or the length of one axis."""
        return self.shape if axis is None else self.shape[normalise_axis(axis, self.ndim)]

    def numel(self) -> int:
        """How many elements there are."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """How many bytes the elements take."""
        return self.numel() * self.dtype.itemsize

    @property
    def is_leaf(self) -> bool:
        """Whether it was made by hand, and not computed from something that requires a gradient."""
        return self.grad_fn is None

    @property
    def inputs(self) -> tuple["Tensor", ...]:
        """The tensors it was computed from; empty for a leaf."""
        return () if self.grad_fn is None else self.grad_fn.inputs

    @property
    def op(self) -> str:
        """The name of the operation it came from; empty for a leaf."""
        return "" if self.grad_fn is None else self.grad_fn.label()

    def numpy(self) -> np.ndarray:
        """A copy as a numpy array."""
        return self.device.ops.to_numpy(self._data)

    def item(self) -> Any:
        """The number itself, of a tensor with one element.

        Raises:
            ValueError: if there are more, or none.
        """
        if self.numel() != 1:
            raise ValueError(f"item() needs one element, and this tensor has shape {self.shape}")
        return self.numpy().item()

    def tolist(self) -> Any:
        """The numbers as nested lists; a single number for shape ()."""
        return self.numpy().tolist()

    def __repr__(self) -> str:
        numbers = np.array2string(self.numpy(), separator=", ", prefix="Tensor(", threshold=200)
        notes = []
        if self.numel() == 0:
            notes.append(f"shape={self.shape}")
        if self.dtype not in (DEFAULT, int64, bool_):
            notes.append(f"dtype={self.dtype}")
        if self.device.name != "cpu":
            notes.append(f"device={self.device.name!r}")
        if self.grad_fn is not None:
            notes.append(f"grad_fn=<{type(self.grad_fn).__name__}>")
        elif self.requires_grad:
            notes.append("requires_grad=True")
        return f"Tensor({', '.join([numbers, *notes])})"

    def __format__(self, form: str) -> str:
        return format(self.item(), form) if form else str(self)

    def __len__(self) -> int:
        if not self.ndim:
            raise TypeError("a tensor of shape () has no length")
        return self.shape[0]

    def __iter__(self) -> Iterator["Tensor"]:
        if not self.ndim:
            raise TypeError(
                "a tensor of shape () has nothing to iterate over; item() is its number"
            )
        return (self[i] for i in range(len(self)))

    def __contains__(self, number: Any) -> bool:
        return bool((self.numpy() == number).any())

    def __bool__(self) -> bool:
        if self.numel() != 1:
            raise ValueError(
                f"a tensor of shape {self.shape} is neither true nor false: "
                "use (...).all() or (...).any()"
            )
        return bool(self.item())

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        if is_floating(self.dtype):
            raise TypeError(f"an index must be an integer, and this tensor has dtype {self.dtype}")
        return int(self.item())

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        array = self.numpy()
        return array if dtype is None else array.astype(dtype)

    __hash__ = object.__hash__  # tensors are told apart by identity, though == compares elements

    # ------------------------------------------------------------ gradients

    def requires_grad_(self, requires_grad: bool = True) -> "Tensor":
        """Ask for a gradient, or no longer ask for one; in place.

        Raises:
            TypeError: if the numbers are integers or booleans.
            ValueError: to stop a gradient in a computed tensor, which is what `detach` is for.
        """
        if requires_grad and not is_floating(self.dtype):
            raise TypeError(
                f"only real numbers have gradients, and this tensor has dtype {self.dtype}: "
                'write [1.0, 2.0] instead of [1, 2], or give dtype="float32"'
            )
        if not requires_grad and self.grad_fn is not None:
            raise ValueError("this tensor was computed; detach() gives one without a gradient")
        self.requires_grad = requires_grad
        return self

    def backward(self, gradient: "Tensor | None" = None, retain_grads: bool = False) -> None:
        """Compute d(self) / d(leaf) for every leaf that requires a gradient, and add it to leaf.grad.

        Gradients accumulate: a second backward adds to them. Set `leaf.grad = None`, or use an
        optimiser's `zero_grad`, to start afresh.

        Args:
            gradient: d(result) / d(self), of this tensor's shape; 1 if not given, and then this
                must be a single number.
            retain_grads: whether computed tensors get a `.grad` too (for this call alone).

        Raises:
            RuntimeError: if nothing here requires a gradient, or a needed array was changed in place.
            ValueError: if this is not a single number, or the gradient's shape differs.
        """
        grads = self._gradients(gradient, keep_all=retain_grads)
        for tensor, grad in grads.items():
            if tensor.grad is None or tensor.grad_fn is not None:
                # an array of its own: others may hand on the same one
                tensor.grad = tensor._like(tensor.device.ops.copy(grad))
            else:
                tensor.grad = tensor._like(tensor.grad._data + grad)

    def gradient(self, *targets: "Tensor", gradient: "Tensor | None" = None) -> list["Tensor"]:
        """d(self) / d(target) for each target, as new tensors; nobody's `.grad` changes.

        Args:
            targets: leaves, or tensors that this one was computed from.
            gradient: as for `backward`.

        Raises:
            RuntimeError: if this tensor does not depend on a target, or as for backward.
        """
        grads = self._gradients(gradient, keep_all=True)
        for i, target in enumerate(targets):
            if target not in grads:
                why = "it" if target.requires_grad else "that, which does not require a gradient,"
                raise RuntimeError(
                    f"target {i} of shape {target.shape}: this tensor was not computed from {why} "
                    "in a way that passes a gradient on"
                )
        return [target._like(target.device.ops.copy(grads[target])) for target in targets]

    def _gradients(self, gradient: "Tensor | None", keep_all: bool) -> dict["Tensor", Any]:
        grads = {self: self._start_gradient(gradient)}
        if self.grad_fn is not None:
            grads = backpropagate(self, grads[self], keep_all)
        for tensor in grads:
            if tensor.grad_fn is None:  # the others' hooks are called during the walk
                grads[tensor] = after_hooks(tensor, grads[tensor])
        return grads

    def _start_gradient(self, gradient: "Tensor | None") -> Any:
        if not self.requires_grad:
            raise RuntimeError(
                "nothing that led to this tensor requires a gradient. Make the leaves with "
                "Tensor(..., requires_grad=True), and compute outside of no_grad()."
            )
        if gradient is None:
            if self.numel() != 1:
                raise ValueError(
                    f"backward starts from one number, and this tensor has shape {self.shape}: "
                    "call .sum() or .mean() first, or give a gradient of this shape"
                )
            return self.device.ops.asarray(1, self.dtype).reshape(self.shape)
        start = gradient if isinstance(gradient, Tensor) else Tensor(gradient, device=self.device)
        if start.shape != self.shape:
            raise ValueError(f"gradient has shape {start.shape}, and this tensor {self.shape}")
        return start.to(self.dtype)._data

    def register_hook(self, hook: Callable[["Tensor"], "Tensor | None"]) -> Callable[[], None]:
        """Call hook with the gradient of this tensor, each time backward has completed it.

        Args:
            hook: takes the gradient; returns another one to go on with, or None.

        Returns:
            A function that removes the hook.
        """
        if self._hooks is None:
            self._hooks = []
        hooks = self._hooks
        hooks.append(hook)
        return lambda: hooks.remove(hook)

    def detach(self) -> "Tensor":
        """The same array as a leaf that requires no gradient: the past is forgotten."""
        tensor = self._like(self._data)
        tensor._memory = self.memory()
        return tensor

    def clone(self) -> "Tensor":
        """A copy; the gradient flows back through it."""
        return Cast.apply(self, dtype=self.dtype)

    def __setitem__(self, index: Any, value: Any) -> None:
        """Change elements in place; this is not differentiated.

        Raises:
            RuntimeError: if a gradient flows to this tensor or from the value.
        """
        if recording.is_on and (self.requires_grad or getattr(value, "requires_grad", False)):
            raise RuntimeError(
                "x[index] = value cannot be differentiated. Use where or cat to make a new tensor; "
                "to change numbers without a gradient, do it within no_grad()."
            )
        value = value._data if isinstance(value, Tensor) else value
        self.device.ops.assign(self._data, _as_index(index), value)
        self._mark_changed()

    @staticmethod
    def train(mode: bool = True) -> "TrainingMode":
        """`with Tensor.train():` switches `Tensor.training` on, and back afterwards."""
        return TrainingMode(mode)

    # ------------------------------------------------------------ dtypes and devices

    def to(self, target: Any) -> "Tensor":
        """This tensor in another dtype, or on another device; itself if it is that already.

        A move to another device makes a new leaf, without the past.

        Args:
            target: a dtype, such as "float64", or a device, such as "cpu".
        """
        is_device = isinstance(target, Device) or (
            isinstance(target, str) and target.rstrip("0123456789") not in DTYPE_WORDS
        )
        if is_device:
            device = get_device(target)
            if device is self.device:
                return self
            moved = Tensor(self.numpy(), device=device)
            moved.requires_grad = self.requires_grad and self.grad_fn is None
            return moved
        dtype = as_dtype(target)
        return self if dtype == self.dtype else Cast.apply(self, dtype=dtype)

    def cpu(self) -> "Tensor":
        """This tensor on the CPU."""
        return self.to("cpu")

    def float(self) -> "Tensor":
        """This tensor in float32."""
        return self.to("float32")

    def double(self) -> "Tensor":
        """This tensor in float64."""
        return self.to("float64")

    def int(self) -> "Tensor":
        """This tensor in int32; the digits after the point are cut off."""
        return self.to("int32")

    def long(self) -> "Tensor":
        """This tensor in int64; the digits after the point are cut off."""
        return self.to("int64")

    def bool(self) -> "Tensor":
        """Whether each element is other than 0."""
        return self.to("bool")

    # ------------------------------------------------------------ arithmetic

    def __add__(self, other: Any) -> "Tensor":
        return Add.apply(*self._operand(other))

    def __radd__(self, other: Any) -> "Tensor":
        a, b = self._operand(other)
        return Add.apply(b, a)

    def __sub__(self, other: Any) -> "Tensor":
        return Sub.apply(*self._operand(other))

    def __rsub__(self, other: Any) -> "Tensor":
        a, b = self._operand(other)
        return Sub.apply(b, a)

    def __mul__(self, other: Any) -> "Tensor":
        return Mul.apply(*self._operand(other))

    def __rmul__(self, other: Any) -> "Tensor":
        a, b = self._operand(other)
        return Mul.apply(b, a)

    def __truediv__(self, other: Any) -> "Tensor":
        a, b = self._operand(other)
        return Div.apply(a._real(), b._real())

    def __rtruediv__(self, other: Any) -> "Tensor":
        a, b = self._operand(other)
        return Div.apply(b._real(), a._real())

    def __pow__(self, other: Any) -> "Tensor":
        if isinstance(other, int | float):
            x = self._real() if isinstance(other, float) or other < 0 else self
            # float(): one of numpy's float64 would make the result float64
            return PowScalar.apply(x, n=float(other) if isinstance(other, float) else other)
        return Pow.apply(*self._operand(other))

    def __rpow__(self, other: Any) -> "Tensor":
        a, b = self._operand(other)
        return Pow.apply(b, a)

    def __matmul__(self, other: Any) -> "Tensor":
        return MatMul.apply(*self._operand(other))

    def __rmatmul__(self, other: Any) -> "Tensor":
        a, b = self._operand(other)
        return MatMul.apply(b, a)

    def __neg__(self) -> "Tensor":
        return Neg.apply(self)

    def __pos__(self) -> "Tensor":
        return self

    def __abs__(self) -> "Tensor":
        return self.abs()

    def add(self, other: Any) -> "Tensor":
        """self + other."""
        return self + other

    def sub(self, other: Any) -> "Tensor":
        """self - other."""
        return self - other

    def mul(self, other: Any) -> "Tensor":
        """self * other, element by element."""
        return self * other

    def div(self, other: Any) -> "Tensor":
        """self / other."""
        return self / other

    def pow(self, other: Any) -> "Tensor":
        """self ** other."""
        return self**other

    def neg(self) -> "Tensor":
        """-self."""
        return -self

    def matmul(self, other: Any) -> "Tensor":
        """self @ other."""
        return self @ other

    def dot(self, other: Any) -> "Tensor":
        """self @ other."""
        return self @ other

    def __iadd__(self, other: Any) -> "Tensor":
        return self._in_place(self + other)

    def __isub__(self, other: Any) -> "Tensor":
        return self._in_place(self - other)

    def __imul__(self, other: Any) -> "Tensor":
        return self._in_place(self * other)

    def __itruediv__(self, other: Any) -> "Tensor":
        return self._in_place(self / other)

    def _in_place(self, result: "Tensor") -> "Tensor":
        """`x -= y` is `x = x - y`, a new tensor. But parameters within `no_grad` change in place."""
        if recording.is_on or not self.requires_grad:
            return result
        self[...] = result
        return self

    # ------------------------------------------------------------ comparisons: no gradient

    def _compare(self, other: Any, compare: Callable[[Any, Any], Any]) -> "Tensor":
        a, b = self._operand(other)
        if a.shape != b.shape:
            broadcast_shapes(a.shape, b.shape)  # its error says more than numpy's
        return self._like(compare(a._data, b._data))

    def __eq__(self, other: object) -> "Tensor":  # type: ignore[override]
        if other is None or isinstance(other, str):
            return NotImplemented
        return self._compare(other, lambda a, b: a == b)

    def __ne__(self, other: object) -> "Tensor":  # type: ignore[override]
        if other is None or isinstance(other, str):
            return NotImplemented
        return self._compare(other, lambda a, b: a != b)

    def __lt__(self, other: Any) -> "Tensor":
        return self._compare(other, lambda a, b: a < b)

    def __le__(self, other: Any) -> "Tensor":
        return self._compare(other, lambda a, b: a <= b)

    def __gt__(self, other: Any) -> "Tensor":
        return self._compare(other, lambda a, b: a > b)

    def __ge__(self, other: Any) -> "Tensor":
        return self._compare(other, lambda a, b: a >= b)

    def __invert__(self) -> "Tensor":
        return self._like(~self._mask("~")._data)

    def __and__(self, other: Any) -> "Tensor":
        return self._like(self._mask("&")._data & self._operand(other)[1]._mask("&")._data)

    def __or__(self, other: Any) -> "Tensor":
        return self._like(self._mask("|")._data | self._operand(other)[1]._mask("|")._data)

    def __xor__(self, other: Any) -> "Tensor":
        return self._like(self._mask("^")._data ^ self._operand(other)[1]._mask("^")._data)

    def _mask(self, sign: str) -> "Tensor":
        if self.dtype != bool_:
            raise TypeError(f"{sign} is for masks (dtype bool), and this tensor has {self.dtype}")
        return self

    def all(self, axis: Axis = None, keepdims: Any = False) -> "Tensor":
        """Whether all elements over an axis, several, or all, are true, or other than 0."""
        return ~(self == 0).any(axis, keepdims)

    def any(self, axis: Axis = None, keepdims: Any = False) -> "Tensor":
        """Whether any element over an axis, several, or all, is true, or other than 0."""
        return (self != 0).sum(axis, keepdims) > 0

    # ------------------------------------------------------------ element by element

    def exp(self) -> "Tensor":
        """e to the power of each element."""
        return Exp.apply(self._real())

    def log(self) -> "Tensor":
        """The natural logarithm; -inf at 0, nan below."""
        return Log.apply(self._real())

    def sqrt(self) -> "Tensor":
        """The square root; nan below 0."""
        return Sqrt.apply(self._real())

    def square(self) -> "Tensor":
        """Each element times itself."""
        return self * self

    def sin(self) -> "Tensor":
        """The sine of angles in radians."""
        return Sin.apply(self._real())

    def cos(self) -> "Tensor":
        """The cosine of angles in radians."""
        return Cos.apply(self._real())

    def abs(self) -> "Tensor":
        """The absolute value."""
        return Abs.apply(self)

    def maximum(self, other: Any) -> "Tensor":
        """The larger of both, element by element; the gradient of equals is shared."""
        return Maximum.apply(*self._operand(other))

    def minimum(self, other: Any) -> "Tensor":
        """The smaller of both, element by element; the gradient of equals is shared."""
        return Minimum.apply(*self._operand(other))

    def clamp(self, min: Any = None, max: Any = None) -> "Tensor":
        """Keep each element between two numbers; the gradient is 0 where one was cut off.

        Raises:
            TypeError: if a limit is not a number; for tensors there are maximum and minimum.
        """
        limits = [limit for limit in (min, max) if limit is not None]
        if not all(isinstance(limit, NUMBERS) for limit in limits):
            raise TypeError(
                "clamp's limits are numbers; x.maximum(low).minimum(high) takes tensors"
            )
        floats = any(isinstance(limit, float | np.floating) for limit in limits)
        x = self._real() if floats else self
        low, high = (limit if limit is None else x.dtype.type(limit) for limit in (min, max))
        return Clamp.apply(x, low=low, high=high)

    def where(self, a: Any, b: Any) -> "Tensor":
        """Of this mask: a where it is true, b elsewhere. `(x > 0).where(x, 0.0)`.

        Raises:
            TypeError: if this tensor is no mask.
        """
        if not isinstance(a, Tensor):
            a = b._operand(a)[1] if isinstance(b, Tensor) else Tensor(a, device=self.device)
        a, b = a._operand(b)
        return Where.apply(self._mask("where"), a, b)

    def masked_fill(self, mask: "Tensor", value: Any) -> "Tensor":
        """value where the mask is true, this tensor elsewhere."""
        return mask.where(value, self)

    def sigmoid(self) -> "Tensor":
        """1 / (1 + exp(-x)): between 0 and 1."""
        return Sigmoid.apply(self._real())

    def tanh(self) -> "Tensor":
        """The hyperbolic tangent: between -1 and 1."""
        return Tanh.apply(self._real())

    def relu(self) -> "Tensor":
        """The larger of x and 0."""
        return Relu.apply(self)

    def leaky_relu(self, negative_slope: Any = 0.01) -> "Tensor":
        """x where x > 0, negative_slope * x elsewhere."""
        return LeakyRelu.apply(self._real(), slope=float(negative_slope))

    def gelu(self) -> "Tensor":
        """The Gaussian error linear unit in its tanh form, as in GPT-2."""
        return Gelu.apply(self._real())

    def silu(self) -> "Tensor":
        """x * sigmoid(x)."""
        return self * self.sigmoid()

    def softplus(self) -> "Tensor":
        """log(1 + exp(x)): a smooth relu."""
        x = self._real()
        return x.relu() + ((-x.abs()).exp() + 1.0).log()

    def dropout(self, p: Any = 0.5) -> "Tensor":
        """While `Tensor.training`: zero each element with probability p, and scale up the others.

        The others are divided by 1 - p, so that sums stay the same on average. Which ones are zeroed
        is drawn from the common generator, anew at each call.

        Args:
            p: how likely each element is to be zeroed; with 1, all are.

        Raises:
            ValueError: if p is not from 0 to 1.
        """
        if not 0 <= p <= 1:
            raise ValueError(f"dropout's p is a probability, from 0 to 1, and is {p}")
        if not Tensor.training or p == 0:
            return self
        kept = rng.generator().random(self.shape, np.float32) >= p
        scale = 0.0 if p == 1 else 1 / (1 - p)
        return self * self._like(self.device.ops.asarray((kept * scale).astype(self.dtype)))

    # ------------------------------------------------------------ reductions

    def sum(self, axis: Axis = None, keepdims: Any = False) -> "Tensor":
        """The sum over an axis, several, or all (None); of booleans, how many are true."""
        return Sum.apply(self, axes=normalise_axes(axis, self.ndim), keepdims=keepdims)

    def mean(self, axis: Axis = None, keepdims: Any = False) -> "Tensor":
        """The mean over an axis, several, or all; nan if there is nothing to take it of."""
        return Mean.apply(self._real(), axes=normalise_axes(axis, self.ndim), keepdims=keepdims)

    def var(self, axis: Axis = None, keepdims: Any = False, correction: Any = 1) -> "Tensor":
        """The variance over an axis, several, or all.

        Args:
            axis: as for sum.
            keepdims: as for sum.
            correction: the sum of squares is divided by n - correction. 1 (the default, as in
                PyTorch) estimates a population's variance from a sample; 0 is the variance of just
                these numbers (numpy's default).
        """
        axes = normalise_axes(axis, self.ndim)
        x = self._real()
        centred = x - x.mean(axes, keepdims=True)
        n = math.prod(self.shape[a] for a in axes)
        return (centred * centred).sum(axes, keepdims) / Tensor(
            float(max(n - correction, 0)), x.dtype, x.device
        )

    def std(self, axis: Axis = None, keepdims: Any = False, correction: Any = 1) -> "Tensor":
        """The standard deviation, the square root of `var`; numbers that are equal get gradient 0."""
        variance = self.var(axis, keepdims, correction)
        is_zero = variance == 0  # there, the root is infinitely steep: leave it out
        return is_zero.where(variance, is_zero.where(1.0, variance).sqrt())

    def max(self, axis: Axis = None, keepdims: Any = False) -> "Tensor":
        """The largest element over an axis, several, or all; equal ones share the gradient."""
        return Max.apply(self, axes=self._nonempty_axes(axis, "max"), keepdims=keepdims)

    def min(self, axis: Axis = None, keepdims: Any = False) -> "Tensor":
        """The smallest element over an axis, several, or all; equal ones share the gradient."""
        return Min.apply(self, axes=self._nonempty_axes(axis, "min"), keepdims=keepdims)

    def argmax(self, axis: Any = None, keepdims: Any = False) -> "Tensor":
        """Where the largest element is: the first of equals. Without an axis, as if flattened."""
        return self._arg(self.device.ops.argmax, "argmax", axis, keepdims)

    def argmin(self, axis: Any = None, keepdims: Any = False) -> "Tensor":
        """Where the smallest element is: the first of equals. Without an axis, as if flattened."""
        return self._arg(self.device.ops.argmin, "argmin", axis, keepdims)

    def _arg(self, function: Callable, name: str, axis: Any, keepdims: Any) -> "Tensor":
        if axis is not None:
            axis = normalise_axis(axis, self.ndim)
        self._nonempty_axes(axis, name)
        return self._like(function(self._data, axis=axis, keepdims=keepdims))

    def _nonempty_axes(self, axis: Axis, name: str) -> tuple[Any, ...]:
        axes = normalise_axes(axis, self.ndim)
        if any(self.shape[a] == 0 for a in axes):
            raise ValueError(f"{name} over no elements: the shape is {self.shape}")
        return axes

    def logsumexp(self, axis: Axis = None, keepdims: Any = False) -> "Tensor":
        """log(sum(exp(x))) over an axis, several, or all, without overflow."""
        axes = self._nonempty_axes(axis, "logsumexp")
        return LogSumExp.apply(self._real(), axes=axes, keepdims=keepdims)

    def softmax(self, axis: Any = -1) -> "Tensor":
        """exp(x) divided by its sum along an axis: positive numbers that sum to 1."""
        return Softmax.apply(self._real(), axis=normalise_axis(axis, self.ndim))

    def log_softmax(self, axis: Any = -1) -> "Tensor":
        """The logarithm of softmax."""
        return LogSoftmax.apply(self._real(), axis=normalise_axis(axis, self.ndim))

    def normalise(self, axis: Axis = -1, eps: Any = 1e-5) -> "Tensor":
        """(x - mean) / sqrt(variance + eps), with mean and variance over an axis or several."""
        axes = normalise_axes(axis, self.ndim)
        return Normalise.apply(self._real(), axes=axes, eps=eps)

    # ------------------------------------------------------------ shapes

    def reshape(self, *shape: Any) -> "Tensor":
        """The same elements in another shape; one length may be -1, for what is left.

        Raises:
            ValueError: if the elements do not fit.
        """
        return Reshape.apply(self, shape=fill_in_shape(as_shape(*shape), self.numel()))

    def view(self, *shape: Any) -> "Tensor":
        """As reshape."""
        return self.reshape(*shape)

    def flatten(self, start_axis: Any = 0, end_axis: Any = -1) -> "Tensor":
        """Make one axis of those from start_axis to end_axis."""
        if not self.ndim:
            return self.reshape(1)
        start, end = normalise_axis(start_axis, self.ndim), normalise_axis(end_axis, self.ndim)
        if start > end:
            raise ValueError(f"flatten goes from a first axis to a last, not from {start} to {end}")
        n = math.prod(self.shape[start : end + 1])
        return self.reshape(*self.shape[:start], n, *self.shape[end + 1 :])

    def permute(self, *axes: Any) -> "Tensor":
        """The axes in another order: axis i of the result is axis axes[i] of this tensor.

        Raises:
            ValueError: if axes does not name each axis once.
        """
        order = as_shape(*axes)
        named = normalise_axes(order, self.ndim)
        if len(named) != self.ndim:
            raise ValueError(f"permute needs all {self.ndim} axes, each once, and got {order}")
        return Permute.apply(self, axes=named)

    def transpose(self, axis0: Any = -2, axis1: Any = -1) -> "Tensor":
        """Swap two axes; without arguments the last two."""
        i, j = normalise_axis(axis0, self.ndim), normalise_axis(axis1, self.ndim)
        order = list(range(self.ndim))
        order[i], order[j] = order[j], order[i]
        return Permute.apply(self, axes=tuple(order))

    @property
    def T(self) -> "Tensor":
        """The axes in reverse order: of a matrix, its transpose."""
        return Permute.apply(self, axes=tuple(reversed(range(self.ndim))))

    def expand(self, *shape: Any) -> "Tensor":
        """Stretch axes of length 1, and put new axes in front; -1 keeps a length.

        Raises:
            ValueError: if this tensor does not broadcast to the shape.
        """
        wanted = as_shape(*shape)
        added = len(wanted) - self.ndim
        wanted = tuple(
            self.shape[i - added] if n == -1 and i >= added else n for i, n in enumerate(wanted)
        )
        if min(wanted, default=0) < 0:
            raise ValueError(
                f"a tensor of shape {self.shape} cannot be expanded to {wanted}: -1 keeps the length "
                "of an axis that is there, and no other length is negative"
            )
        return Expand.apply(self, shape=wanted)

    def squeeze(self, axis: Axis = None) -> "Tensor":
        """Remove axes of length 1: all of them, or those that are named and have length 1."""
        axes = normalise_axes(axis, self.ndim)
        kept = [n for i, n in enumerate(self.shape) if n != 1 or i not in axes]
        return self.reshape(kept)

    def unsqueeze(self, axis: Any) -> "Tensor":
        """Put in an axis of length 1, which is then axis number axis of the result."""
        i = normalise_axis(axis, self.ndim + 1)
        return self.reshape(*self.shape[:i], 1, *self.shape[i:])

    def flip(self, axis: Axis = None) -> "Tensor":
        """The elements in reverse order along an axis, several, or all."""
        return Flip.apply(self, axes=normalise_axes(axis, self.ndim))

    def pad(self, widths: Any, value: Any = 0.0) -> "Tensor":
        """Put elements around this tensor.

        Args:
            widths: for each axis, how many before and how many after: ((0, 0), (1, 2)).
            value: what they are.

        Raises:
            ValueError: if there is not a pair for each axis, or a width is negative.
        """
        pairs = tuple(tuple(pair) for pair in widths) if isinstance(widths, Sequence) else ()
        if len(pairs) != self.ndim or any(len(p) != 2 or min(p) < 0 for p in pairs):
            raise ValueError(
                f"pad needs a pair (before, after) for each of the {self.ndim} axes, none of it "
                f"negative, and got {widths}"
            )
        return Pad.apply(self, widths=pairs, value=value)

    def contiguous(self) -> "Tensor":
        """A copy with the elements next to each other in memory, the last axis fastest."""
        return self.clone()

    @staticmethod
    def cat(tensors: Sequence["Tensor"], axis: Any = 0) -> "Tensor":
        """Join tensors along an axis they have.

        Raises:
            ValueError: if there are none, or their shapes differ on another axis.
        """
        tensors = _of_one_dtype(tensors, "cat")
        return Cat.apply(*tensors, axis=normalise_axis(axis, tensors[0].ndim))

    @staticmethod
    def stack(tensors: Sequence["Tensor"], axis: Any = 0) -> "Tensor":
        """Join tensors of one shape along a new axis.

        Raises:
            ValueError: if there are none, or their shapes differ.
        """
        tensors = _of_one_dtype(tensors, "stack")
        if any(t.shape != tensors[0].shape for t in tensors):
            shapes = " and ".join(dict.fromkeys(str(t.shape) for t in tensors))
            raise ValueError(f"stack needs tensors of one shape, and got {shapes}")
        axis = normalise_axis(axis, tensors[0].ndim + 1)
        return Cat.apply(*[t.unsqueeze(axis) for t in tensors], axis=axis)

    def split(self, sizes: Any, axis: Any = 0) -> list["Tensor"]:
        """Cut into pieces along an axis.

        Args:
            sizes: the length of all pieces but the last, or a list with the length of each piece.
            axis: the axis that is cut.

        Raises:
            ValueError: if the listed lengths do not add up to the axis's length.
        """
        axis = normalise_axis(axis, self.ndim)
        length = self.shape[axis]
        if isinstance(sizes, int):
            if sizes < 1:
                raise ValueError(f"pieces have a length of at least 1, and this is {sizes}")
            sizes = [min(sizes, length - at) for at in range(0, length, sizes)]
        if sum(sizes) != length or min(sizes, default=0) < 0:
            raise ValueError(
                f"pieces of {sizes} do not add up to {length}, the length of axis {axis}"
            )
        pieces, at = [], 0
        for size in sizes:
            pieces.append(self[(slice(None),) * axis + (slice(at, at + size),)])
            at += size
        return pieces

    def chunk(self, chunks: Any, axis: Any = 0) -> list["Tensor"]:
        """Cut into so many pieces of equal length, as far as it goes, along an axis."""
        length = self.shape[normalise_axis(axis, self.ndim)]
        if chunks < 1:
            raise ValueError(f"chunk makes at least 1 piece, and this is {chunks}")
        return self.split(max(-(-length // chunks), 1), axis)

    def repeat(self, *times: Any) -> "Tensor":
        """Copies side by side: times[i] of them along axis i; more axes than here go in front."""
        counts = as_shape(*times)
        if len(counts) < self.ndim or min(counts, default=0) < 0:
            raise ValueError(
                f"repeat needs how many copies for each of the {self.ndim} axes of shape "
                f"{self.shape}, and got {counts}"
            )
        shape = (1,) * (len(counts) - self.ndim) + self.shape
        x = self.reshape(tuple(n for length in shape for n in (1, length)))
        x = x.expand(tuple(n for pair in zip(counts, shape) for n in pair))
        return x.reshape(tuple(count * length for count, length in zip(counts, shape)))

    def __getitem__(self, index: Any) -> "Tensor":
        return GetItem.apply(self, index=_as_index(index))

    def tril(self, diagonal: Any = 0) -> "Tensor":
        """What is on and below a diagonal of the last two axes; zeros above it."""
        return self._triangle(lambda row, column: column - row <= diagonal)

    def triu(self, diagonal: Any = 0) -> "Tensor":
        """What is on and above a diagonal of the last two axes; zeros below it."""
        return self._triangle(lambda row, column: column - row >= diagonal)

    def _triangle(self, keep: Callable[[Any, Any], Any]) -> "Tensor":
        if self.ndim < 2:
            raise ValueError(f"a triangle needs at least two axes, and the shape is {self.shape}")
        n, m = self.shape[-2:]
        mask = Tensor(keep(np.arange(n)[:, None], np.arange(m)[None, :]), device=self.device)
        return mask.where(self, self.zeros_like())

    # ------------------------------------------------------------ layers and losses

    def one_hot(self, n_classes: Any) -> "Tensor":
        """Of integers: for each, n_classes numbers, 1.0 at its place and 0.0 elsewhere (float32).

        Raises:
            TypeError: if these are not integers.
            ValueError: if one is negative, or n_classes or more.
        """
        _count_indices(self, n_classes, "one_hot")
        one_hot = np.zeros((*self.shape, n_classes), DEFAULT)
        np.put_along_axis(one_hot, self.numpy()[..., None], 1, axis=-1)
        return Tensor(one_hot, device=self.device)

    def linear(self, weight: "Tensor", bias: "Tensor | None" = None) -> "Tensor":
        """self @ weight.T + bias: (..., n_inputs) and (n_outputs, n_inputs) give (..., n_outputs)."""
        if bias is None:
            return Linear.apply(*_of_one_dtype((self, weight), "linear"))
        return Linear.apply(*_of_one_dtype((self, weight, bias), "linear"))

    def embedding(self, table: "Tensor") -> "Tensor":
        """Of integers: for each, that row of the table; (...) and (n_rows, width) give (..., width).

        Raises:
            TypeError: if these are not integers.
            ValueError: if there is no such row, or the table is no matrix.
        """
        if table.ndim != 2:
            raise ValueError(f"embedding needs a table (n_rows, width), and got {table.shape}")
        _count_indices(self, table.shape[0], "embedding")
        return Embedding.apply(table, self)

    def layer_norm(self, weight: "Tensor", bias: "Tensor", eps: Any = 1e-5) -> "Tensor":
        """Mean 0 and variance 1 over the last axis, then times weight, plus bias."""
        if weight.ndim != 1 or bias.shape != weight.shape:
            raise ValueError(
                "layer_norm needs weight and bias of one shape, (width,), and got "
                f"{weight.shape} and {bias.shape}"
            )
        if self.shape[-1:] != weight.shape:
            raise ValueError(
                f"this layer norm takes inputs of shape (..., {weight.shape[0]}), and got {self.shape}"
            )
        return LayerNorm.apply(*_of_one_dtype((self, weight, bias), "layer_norm"), eps=eps)

    def conv2d(
        self,
        weight: "Tensor",
        bias: "Tensor | None" = None,
        stride: Pairable = 1,
        padding: Pairable = 0,
        groups: Any = 1,
    ) -> "Tensor":
        """Slide a window of weights over images; see `ops.images.Conv2d`.

        Args:
            weight: (out channels, channels / groups, kernel height, kernel width).
            bias: (out channels,).
            stride: how far the window moves; a number, or one down and one to the right.
            padding: zeros around the image; a number, or one above and below, one left and right.
            groups: the channels are cut into so many groups, each with its own weights.

        Returns:
            (n, out channels, out height, out width), of this tensor's (n, channels, height, width).

        Raises:
            ValueError: if the shapes do not fit; it names them.
        """
        stride, padding = _pair(stride, "stride", 1), _pair(padding, "padding", 0)
        _check_conv(self.shape, weight.shape, bias, padding, groups)
        inputs = (self, weight) if bias is None else (self, weight, bias)
        x, weight, *biases = _of_one_dtype(inputs, "conv2d")
        if groups == 1:
            return Conv2d.apply(x, weight, *biases, stride=stride, padding=padding)
        y = GroupedConv2d.apply(x, weight, stride=stride, padding=padding, groups=groups)
        return y + biases[0].reshape(-1, 1, 1) if biases else y

    def max_pool2d(
        self, kernel_size: Pairable = 2, stride: Pairable | None = None, padding: Pairable = 0
    ) -> "Tensor":
        """The largest number in each window of images (n, channels, height, width).

        Args:
            kernel_size: of the window; a number, or height and width.
            stride: how far the window moves; the window's size by default.
            padding: a border that never wins.

        Raises:
            ValueError: if the window is larger than the image.
        """
        kernel, step, border = self._pool_geometry(kernel_size, stride, padding)
        x = self
        if border != (0, 0):
            x = x._real().pad(((0, 0), (0, 0), (border[0],) * 2, (border[1],) * 2), value=-np.inf)
        return MaxPool2d.apply(x, kernel=kernel, stride=step)

    def avg_pool2d(
        self, kernel_size: Pairable = 2, stride: Pairable | None = None, padding: Pairable = 0
    ) -> "Tensor":
        """The mean of each window of images (n, channels, height, width); a border counts as zeros."""
        kernel, step, border = self._pool_geometry(kernel_size, stride, padding)
        x = self._real()
        if border != (0, 0):
            x = x.pad(((0, 0), (0, 0), (border[0],) * 2, (border[1],) * 2))
        return AvgPool2d.apply(x, kernel=kernel, stride=step)

    def _pool_geometry(self, kernel_size: Any, stride: Any, padding: Any) -> tuple:
        kernel = _pair(kernel_size, "kernel_size", 1)
        step = kernel if stride is None else _pair(stride, "stride", 1)
        border = _pair(padding, "padding", 0)
        if self.ndim != 4:
            raise ValueError(
                f"pooling needs shape (n, channels, height, width), and got {self.shape}"
            )
        if any(2 * p > k for p, k in zip(border, kernel)):
            raise ValueError(f"padding {border} may be at most half of the window {kernel}")
        if any(n + 2 * p < k for n, p, k in zip(self.shape[2:], border, kernel)):
            raise ValueError(f"a window of {kernel} is larger than the image of {self.shape[2:]}")
        return kernel, step, border

    def cross_entropy(
        self,
        targets: Any,
        ignore_index: Any = -100,
        label_smoothing: Any = 0.0,
        reduction: Reduction = "mean",
    ) -> "Tensor":
        """Of logits: how surprised softmax is by the right classes.

        Args:
            targets: (n,) integers for logits of shape (n, n_classes); () for (n_classes,).
            ignore_index: rows with this target do not count.
            label_smoothing: how much of the target is spread evenly over all classes, from 0 to 1.
            reduction: "mean" over the rows that count, "sum", or "none" for each row's loss.

        Raises:
            ValueError: if the shapes do not fit, a target is no class, or another argument is wrong.
            TypeError: if the targets are not integers.
        """
        if not isinstance(targets, Tensor):
            targets = Tensor(targets, device=self.device)
        if self.ndim not in (1, 2) or targets.shape != self.shape[:-1]:
            raise ValueError(
                f"cross_entropy needs logits of shape (n, n_classes) and targets of shape (n,), and "
                f"got {self.shape} and {targets.shape}. Put all other axes into n: "
                "logits.reshape(-1, n_classes), targets.reshape(-1)."
            )
        if not 0 <= label_smoothing <= 1:
            raise ValueError(f"label_smoothing is from 0 to 1, and is {label_smoothing}")
        if reduction not in ("mean", "sum", "none"):
            raise ValueError(f'reduction is "mean", "sum" or "none", and is {reduction!r}')
        counted = _count_indices(targets, self.shape[-1], "cross_entropy", ignore_index)
        if self.ndim == 1:
            loss = self.reshape(1, -1).cross_entropy(
                targets.reshape(1), ignore_index, label_smoothing, reduction
            )
            return loss.reshape(())
        return CrossEntropy.apply(
            self._real(),
            targets,
            ignore_index=ignore_index,
            smoothing=float(label_smoothing),
            reduction=reduction,
            counted=counted,
        )

    def mse_loss(self, targets: Any, reduction: Reduction = "mean") -> "Tensor":
        """The squared difference to the targets, which have the same shape.

        Raises:
            ValueError: if the shapes differ, though they may broadcast: (n, 1) - (n,) would be (n, n).
        """
        _, targets = self._operand(targets)
        _check_same_shape(self, targets, "mse_loss")
        difference = self - targets
        return _reduce(difference * difference, reduction)

    def binary_cross_entropy_with_logits(
        self, targets: Any, reduction: Reduction = "mean"
    ) -> "Tensor":
        """Of logits: how surprised sigmoid is by the answers, from 0.0 (no) to 1.0 (yes).

        Raises:
            ValueError: if the shapes differ.
        """
        logits, targets = self._real()._operand(targets)
        _check_same_shape(logits, targets, "binary_cross_entropy_with_logits")
        return _reduce(BinaryCrossEntropy.apply(logits, targets), reduction)


NUMBERS = (np.generic, int, float)
DTYPE_WORDS = ("float", "int", "uint", "bool")


class TrainingMode:
    """`with Tensor.train():` — see there."""

    def __init__(self, mode: bool) -> None:
        self.mode = mode

    def __enter__(self) -> None:
        self.before = Tensor.training
        Tensor.training = self.mode

    def __exit__(self, *error: object) -> None:
        Tensor.training = self.before


def where(condition: Tensor, a: Any, b: Any) -> Tensor:
    """a where the condition holds, b elsewhere; all three broadcast."""
    if not isinstance(condition, Tensor):
        condition = Tensor(condition)
    return condition.where(a, b)


# ---------------------------------------------------------------- what comes in


def _as_numbers(data: Any, dtype: Any) -> Any:
    """A new array of numbers from whatever a user hands over."""
    if hasattr(data, "shape") and isinstance(getattr(data, "dtype", None), np.dtype):
        array = data.copy() if dtype is None else data.astype(as_dtype(dtype))
        if array.dtype.kind in "fiub":
            return array
        raise TypeError(f"a tensor holds numbers, and this array has dtype {array.dtype}")
    if _contains_tensor(data):
        raise TypeError(
            "a list of tensors is not an array; Tensor.stack(list) makes a tensor of it"
        )
    try:
        array = np.array(data)
    except ValueError:
        raise ValueError(
            "the nested lists have different lengths: every row needs as many numbers"
        ) from None
    if array.size == 0 and dtype is None:
        return array.astype(DEFAULT)
    if array.dtype.kind not in "fiub":
        raise TypeError(
            f"a tensor holds numbers, and this holds {type(data).__name__}: {data!r:.60}"
        )
    if dtype is not None:
        return array.astype(as_dtype(dtype))
    return array.astype(DEFAULT) if array.dtype.kind == "f" else array


def _contains_tensor(data: Any) -> bool:
    if isinstance(data, list | tuple):
        return any(map(_contains_tensor, data))
    return isinstance(data, Tensor)


def _random(numbers: np.ndarray, dtype: Any, options: dict[str, Any]) -> Tensor:
    return Tensor(np.asarray(numbers), as_dtype(dtype or DEFAULT), **options)


def _of_one_dtype(tensors: Sequence[Tensor], name: str) -> list[Tensor]:
    """The tensors, converted where they are not of one dtype."""
    tensors = list(tensors)
    if not tensors:
        raise ValueError(f"{name} needs at least one tensor")
    for t in tensors:
        if not isinstance(t, Tensor):
            raise TypeError(f"{name} takes tensors, and one of these is a {type(t).__name__}")
    dtype = tensors[0].dtype
    for t in tensors[1:]:
        dtype = promote(dtype, t.dtype)
    return [t if t.dtype == dtype else t.to(dtype) for t in tensors]


def _as_index(index: Any) -> Any:
    """An index for arrays: tensors and lists in it become arrays of integers or masks."""
    if isinstance(index, tuple):
        return tuple(_as_index(part) for part in index)
    if index is None or index is Ellipsis or isinstance(index, int | slice):
        return index
    if isinstance(index, np.integer):
        return int(index)
    # a copy: backward needs it too, and the index may be changed in place until then
    array = index.device.ops.copy(index._data) if isinstance(index, Tensor) else np.array(index)
    if getattr(array, "size", 1) == 0 and isinstance(index, list):
        array = array.astype(int64)
    if array.dtype.kind not in "iub":
        raise TypeError(
            f"an index is an integer, a slice, an array of integers or a mask, not {array.dtype}"
        )
    return array


def _count_indices(tensor: Tensor, n: int, name: str, ignored: int | None = None) -> int:
    """How many integers there are, without the ignored ones; all others must be from 0 to n - 1."""
    if tensor.dtype.kind not in "iu":
        raise TypeError(f"{name} needs integers, and these have dtype {tensor.dtype}; try .long()")
    bounds = getattr(tensor._data, "bounds", None)  # some devices know them, and need not copy
    if bounds and bounds[0] >= 0 and bounds[1] < n and (ignored is None or not 0 <= ignored < n):
        return tensor.numel()
    indices = tensor.numpy()
    # read as unsigned, a negative number is huge: one look finds both kinds of wrong ones
    if not indices.size or indices.view(f"u{indices.itemsize}").max() < n:
        unwanted = ignored is not None and 0 <= ignored < n
        return int((indices != ignored).sum()) if unwanted else indices.size
    counted = indices[indices != ignored]
    wrong = counted[(counted < 0) | (counted >= n)]
    if wrong.size:
        there_are = f"0 to {n - 1}" if n else "of which there are none"
        raise ValueError(f"{name}: {wrong[0]} is none of the {n} classes or rows, {there_are}")
    return counted.size


def _check_same_shape(a: Tensor, b: Tensor, name: str) -> None:
    if a.shape != b.shape:
        raise ValueError(
            f"{name} compares tensors of one shape, and got {a.shape} and {b.shape}; reshape one"
        )


def _reduce(losses: Tensor, reduction: str) -> Tensor:
    if reduction == "none":
        return losses
    if reduction == "sum":
        return losses.sum()
    if reduction == "mean":
        return losses.mean()
    raise ValueError(f'reduction is "mean", "sum" or "none", and is {reduction!r}')


def _pair(value: Any, name: str, least: int) -> tuple[int, int]:
    """(value, value) for a number; two numbers as they are."""
    pair = tuple(value) if isinstance(value, tuple | list) else (value, value)
    if len(pair) != 2 or any(not isinstance(n, int | np.integer) or n < least for n in pair):
        raise ValueError(
            f"{name} is an integer of at least {least}, or two of them, and is {value}"
        )
    return pair


def _check_conv(x: Shape, weight: Shape, bias: Tensor | None, padding: tuple, groups: int) -> None:
    if len(x) != 4 or len(weight) != 4:
        raise ValueError(
            "conv2d needs images (n, channels, height, width) and weights (out channels, "
            f"channels / groups, kernel height, kernel width), and got {x} and {weight}"
        )
    if groups < 1 or x[1] != weight[1] * groups or weight[0] % groups:
        raise ValueError(
            f"conv2d: images {x} have {x[1]} channels; weights {weight} in {groups} group(s) take "
            f"{weight[1] * groups}, and {weight[0]} out channels must be a multiple of the groups"
        )
    if any(n + 2 * p < k for n, p, k in zip(x[2:], padding, weight[2:])):
        raise ValueError(
            f"conv2d: a window of {weight[2:]} is larger than images of {x[2:]} with padding {padding}"
        )
    if bias is not None and bias.shape != weight[:1]:
        raise ValueError(f"conv2d: bias has shape {bias.shape}, and needs {weight[:1]}")
