"""CudaArray: numbers on the device, and a layout that reads them as an array.

It is lesson 2.1 once more, with a buffer in the device's memory. Views (reshape, permute, expand, slices)
change the layout and launch nothing; whatever computes is a kernel (see `operators`).
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from course.cuda.copies import download, upload
from course.cuda.errors import HIDDEN_COPY, NoKernel, check_dtype
from course.cuda.indexing import get, put
from course.cuda.memory import Buffer
from course.cuda.move import fill, move_array
from course.cuda.operators import Operators
from course.cuda.record import launch_for_each
from course.cuda.reductions import MAX, MIN, SUM, reduce_array
from course.tensor.layout import Layout
from course.tensor.shapes import Shape, broadcast_shapes, fill_in_shape, normalise_axes


class CudaArray(Operators):
    """An array on the device.

    Attributes:
        buffer: where its numbers are; views share it.
        layout: how it reads them.
        shape, dtype, ndim, size: as of a numpy array.
    """

    __slots__ = ("buffer", "layout", "shape", "size")

    def __init__(self, buffer: Buffer, layout: Layout) -> None:
        self.buffer = buffer
        self.layout = layout
        self.shape = layout.shape
        self.size = layout.size

    # ------------------------------------------------------------ what it is

    @property
    def dtype(self) -> np.dtype:
        """The kind of numbers."""
        return self.buffer.data.dtype

    @property
    def ndim(self) -> int:
        """How many axes there are."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """How many bytes the elements take."""
        return self.size * self.dtype.itemsize

    @property
    def bounds(self) -> tuple[int, int] | None:
        """Of integers, the smallest and the largest of the buffer, if the host knows them."""
        return self.buffer.bounds

    @property
    def strides(self) -> tuple[int, ...]:
        """For each axis how far apart neighbours lie, counted in numbers."""
        return self.layout.strides

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("an array without axes has no length")
        return self.shape[0]

    def __repr__(self) -> str:
        return f"CudaArray(shape={self.shape}, dtype={self.dtype})"

    # ------------------------------------------------------------ making others

    @staticmethod
    def new(shape: Shape, dtype: Any) -> "CudaArray":
        """An array with whatever is in the memory that it gets."""
        layout = Layout.contiguous(tuple(shape))
        return CudaArray(Buffer(layout.size, check_dtype(dtype)), layout)

    @staticmethod
    def full(shape: Shape, value: Any, dtype: Any) -> "CudaArray":
        """One number in each element: a kernel writes it."""
        out = CudaArray.new(shape, dtype)
        launch_for_each(fill, out.size, out.dtype.type(value), out.flat)
        return out

    @staticmethod
    def constant(value: Any, dtype: Any) -> "CudaArray":
        """A number as an array of shape (), which is kept: the next who needs it takes the same."""
        return _constant(value, np.dtype(dtype))

    @staticmethod
    def from_numpy(array: np.ndarray) -> "CudaArray":
        """A copy on the device."""
        check_dtype(array.dtype)
        if array.size == 1:  # a kernel's argument is enough
            return CudaArray.full(array.shape, array.item(), array.dtype)
        out = CudaArray.new(array.shape, array.dtype)
        upload(array, out.buffer)
        return out

    def numpy(self) -> np.ndarray:
        """A copy on the host."""
        return download(self.flat).reshape(self.shape)

    def copy(self) -> "CudaArray":
        """Another array with the same elements, in reading order."""
        return self.astype(self.dtype)

    def astype(self, dtype: Any, copy: bool = True) -> "CudaArray":
        """The same numbers in another dtype."""
        dtype = np.dtype(dtype)
        if dtype.kind == "b" and self.dtype.kind != "b":
            return self != 0
        out = CudaArray.new(self.shape, dtype)
        move_array(self, out)
        if dtype == self.dtype:
            out.buffer.bounds = self.buffer.bounds
        return out

    def contiguous(self) -> "CudaArray":
        """This array if its elements lie in reading order without gaps, else a copy of which that is true."""
        return self if self.layout.is_contiguous else self.copy()

    # ------------------------------------------------------------ what kernels take

    def dense(self, *shape: int) -> "CudaArray":
        """The elements in reading order and without gaps, in a shape (the array's own by default).

        It is a view if they lie so already, else of a copy. Kernels that know nothing of strides take it.
        """
        return self.contiguous().reshape(shape or self.shape)

    @property
    def flat(self) -> "CudaArray":
        """The elements in reading order, with one axis."""
        return self.dense(self.size)

    @property
    def device(self) -> Any:
        """A dense array as numba's device array, for a launch.

        It does not keep the buffer: whoever asks must hold this array until the kernel is launched.
        """
        data, start = self.buffer.data, self.layout.offset
        if self.size != data.size:
            data = data[start : start + self.size]
        return data if self.ndim == 1 else data.reshape(self.shape)

    # ------------------------------------------------------------ views: no kernel

    def _view(self, layout: Layout) -> "CudaArray":
        return CudaArray(self.buffer, layout)

    def reshape(self, *shape: Any) -> "CudaArray":
        """The same elements in another shape: a view if they lie in reading order, else of a copy."""
        lengths = tuple(shape[0]) if len(shape) == 1 and not isinstance(shape[0], int) else shape
        wanted = fill_in_shape(tuple(lengths), self.size)
        if wanted == self.shape:
            return self
        source = self.contiguous()
        layout = source.layout.reshape(wanted)
        assert layout is not None
        return source._view(layout)

    def transpose(self, axes: Sequence[int] | None = None) -> "CudaArray":
        """The axes in another order; reversed by default."""
        order = range(self.ndim)[::-1] if axes is None else normalise_axes(tuple(axes), self.ndim)
        return self._view(self.layout.permute(tuple(order)))

    @property
    def T(self) -> "CudaArray":
        """The axes in reverse order."""
        return self.transpose()

    @property
    def mT(self) -> "CudaArray":
        """The last two axes swapped."""
        order = list(range(self.ndim))
        order[-2:] = reversed(order[-2:])
        return self.transpose(order)

    def broadcast_to(self, shape: Shape) -> "CudaArray":
        """Stretched to a shape, with strides of 0."""
        return self if shape == self.shape else self._view(self.layout.expand(tuple(shape)))

    def expand_dims(self, axis: int | tuple[int, ...]) -> "CudaArray":
        """Axes of length 1 put in; they are counted in the result."""
        axes = axis if isinstance(axis, tuple) else (axis,)
        axes = normalise_axes(axes, self.ndim + len(axes))
        pairs = iter(list(zip(self.shape, self.strides)))
        both = [(1, 0) if i in axes else next(pairs) for i in range(self.ndim + len(axes))]
        shape, strides = tuple(n for n, _ in both), tuple(s for _, s in both)
        return self._view(Layout(shape, strides, self.layout.offset))

    def flip(self, axes: Any = None) -> "CudaArray":
        """The elements in reverse order along some axes."""
        layout = self.layout
        for axis in normalise_axes(axes, self.ndim):
            layout = layout.cut(axis, slice(None, None, -1))
        return self._view(layout)

    def cut(self, index: tuple) -> "CudaArray":
        """What integers, slices, None and ... choose."""
        n_axes = sum(part is not None and part is not Ellipsis for part in index)
        if n_axes > self.ndim:
            raise IndexError(f"{n_axes} indices for an array of shape {self.shape}")
        if not any(part is Ellipsis for part in index):
            index = (*index, Ellipsis)
        layout, axis = self.layout, 0
        gone: list[int] = []
        added: list[int] = []
        for part in index:
            if part is None:
                added.append(axis - len(gone) + len(added))
            elif part is Ellipsis:
                axis += self.ndim - n_axes
            elif isinstance(part, slice):
                layout = layout.cut(axis, part)
                axis += 1
            else:
                n = self.shape[axis]
                if not -n <= part < n:
                    raise IndexError(f"index {part} is outside of axis {axis}, {n} long")
                layout = layout.cut(axis, slice(part % n, part % n + 1))
                gone.append(axis)
                axis += 1
        kept = [i for i in range(self.ndim) if i not in gone]
        shape, strides = (tuple(t[i] for i in kept) for t in (layout.shape, layout.strides))
        view = self._view(Layout(shape, strides, layout.offset))
        return view.expand_dims(tuple(added)) if added else view

    # ------------------------------------------------------------ changing it

    def assign(self, value: Any) -> None:
        """Write other numbers into this array's elements, with broadcasting: for whoever shares them.

        Raises:
            ValueError: if the value does not fit, or others rely on these numbers.
        """
        if self.buffer.is_constant:
            raise ValueError("these numbers are a constant that others use too; change a copy()")
        if isinstance(value, np.ndarray) and value.ndim:
            value = CudaArray.from_numpy(value.astype(self.dtype))
        if not isinstance(value, CudaArray):
            value = CudaArray.constant(value, self.dtype)
        if broadcast_shapes(value.shape, self.shape) != self.shape:
            raise ValueError(f"shape {value.shape} does not fit an array of shape {self.shape}")
        if value.buffer is self.buffer:
            value = value.copy()  # no thread may read what another has already overwritten
        self.buffer.bounds = None
        move_array(value.broadcast_to(self.shape), self)

    def __getitem__(self, index: Any) -> "CudaArray":
        return get(self, index)

    def __setitem__(self, index: Any, value: Any) -> None:
        put(self, index, value)

    # ------------------------------------------------------------ reductions

    def sum(self, axis: Any = None, keepdims: bool = False) -> "CudaArray":
        """The sum over some axes, or all."""
        return reduce_array(SUM, self, axis, keepdims)

    def max(self, axis: Any = None, keepdims: bool = False) -> "CudaArray":
        """The largest element over some axes, or all."""
        return reduce_array(MAX, self, axis, keepdims)

    def min(self, axis: Any = None, keepdims: bool = False) -> "CudaArray":
        """The smallest element over some axes, or all."""
        return reduce_array(MIN, self, axis, keepdims)

    # ------------------------------------------------------------ what would hide a copy

    def __deepcopy__(self, memo: dict) -> "CudaArray":
        return self.copy()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        raise TypeError(HIDDEN_COPY)

    def __array_function__(self, function: Callable, types: Any, args: Any, options: Any) -> Any:
        raise NoKernel(function.__name__)

    def _refuse(self) -> Any:
        raise TypeError(HIDDEN_COPY)

    __bool__ = __float__ = __int__ = __index__ = __iter__ = _refuse

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise NoKernel(name)


@lru_cache(maxsize=4096)
def _constant(value: Any, dtype: np.dtype) -> CudaArray:
    array = CudaArray.full((), value, dtype)
    array.buffer.is_constant = True
    return array
