"""Arrays on a device that is the same computer: to be copied to and from, and not to be touched.

`cuda.to_device(x)` makes a copy, as on a GPU: changing `x` afterwards does not change it, and what
a kernel writes is seen only after `copy_to_host()`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from course.kernellab.errors import LaunchError


class Transfers:
    """How much has been copied between host and device."""

    to_device = 0
    to_host = 0
    bytes_to_device = 0
    bytes_to_host = 0

    def reset(self) -> None:
        """Counts from zero again."""
        self.to_device = self.to_host = self.bytes_to_device = self.bytes_to_host = 0


transfers = Transfers()


class DeviceArray:
    """An array that kernels use and the host copies: the lab's `cuda.devicearray`.

    Attributes:
        shape, dtype, size, ndim, strides, nbytes: as of a numpy array.
    """

    __array_priority__ = 100.0  # numpy asks us first, and is told to copy

    def __init__(self, array: np.ndarray) -> None:
        self._array = array

    def _lab_array(self) -> np.ndarray:
        return self._array

    @property
    def shape(self) -> tuple[int, ...]:
        """The size in each dimension."""
        return self._array.shape

    @property
    def strides(self) -> tuple[int, ...]:
        """The bytes from one element to the next, in each dimension."""
        return self._array.strides

    @property
    def dtype(self) -> np.dtype:
        """The elements' type."""
        return self._array.dtype

    @property
    def size(self) -> int:
        """The number of elements."""
        return self._array.size

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return self._array.ndim

    @property
    def nbytes(self) -> int:
        """The bytes of all elements."""
        return self._array.nbytes

    alloc_size = nbytes

    @property
    def T(self) -> "DeviceArray":
        """With the dimensions in reverse order."""
        return DeviceArray(self._array.T)

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        """What libraries tell each other of memory on a device. Only the lab can use this one's: see `as_cuda_array`."""
        return {**self._array.__array_interface__, "version": 3, "lab": self}

    def is_c_contiguous(self) -> bool:
        """Whether the elements lie in memory in the order of rows."""
        return bool(self._array.flags.c_contiguous)

    def is_f_contiguous(self) -> bool:
        """Whether the elements lie in memory in the order of columns."""
        return bool(self._array.flags.f_contiguous)

    def copy_to_host(self, ary: np.ndarray | None = None, stream: Any = 0) -> np.ndarray:
        """A numpy array with the contents, or `ary`, filled with them."""
        transfers.to_host += 1
        transfers.bytes_to_host += self.nbytes
        if ary is None:
            return self._array.copy()
        _same_shape(self, ary)
        np.copyto(ary, self._array)
        return ary

    def copy_to_device(self, ary: Any, stream: Any = 0) -> None:
        """Fills this array with another one's contents."""
        _same_shape(self, ary)
        if not isinstance(ary, DeviceArray):
            transfers.to_device += 1
            transfers.bytes_to_device += self.nbytes
        np.copyto(self._array, host_view(ary))

    def reshape(self, *shape: Any, order: str = "C") -> "DeviceArray":
        """The same memory in another shape."""
        array: Any = self._array
        new = array.reshape(*shape, order=order)
        if not np.shares_memory(new, array) and array.size:
            raise ValueError("this reshape would have to copy: copy_to_host() first.")
        return DeviceArray(new)

    def ravel(self, order: str = "C", stream: Any = 0) -> "DeviceArray":
        """The same memory in one dimension."""
        return self.reshape(self.size, order=order)

    def view(self, dtype: Any) -> "DeviceArray":
        """The same memory, read as another dtype."""
        return DeviceArray(self._array.view(dtype))

    def squeeze(self, axis: Any = None, stream: Any = 0) -> "DeviceArray":
        """Without dimensions of size one."""
        return DeviceArray(self._array.squeeze(axis))

    def transpose(self, axes: Any = None) -> "DeviceArray":
        """With the dimensions in another order."""
        return DeviceArray(self._array.transpose(axes))

    def __getitem__(self, index: Any) -> Any:
        """A part of the array, on the device; or a single element, copied to the host."""
        part = self._array[index]
        if isinstance(part, np.ndarray) and part.ndim:
            return DeviceArray(part)
        transfers.to_host += 1
        transfers.bytes_to_host += self._array.itemsize
        return part[()] if isinstance(part, np.ndarray) else part

    def __setitem__(self, index: Any, value: Any) -> None:
        """Copies a value or an array into a part of this one."""
        part = self._array[index]
        if not isinstance(value, DeviceArray):
            transfers.to_device += 1
            transfers.bytes_to_device += part.nbytes
        self._array[index] = host_view(value)

    def __iter__(self) -> Any:
        return (self[i] for i in range(len(self)))

    def __len__(self) -> int:
        return len(self._array)

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        out = self.copy_to_host()
        return out if dtype is None else out.astype(dtype)

    def __array_ufunc__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(REFUSAL)

    def __repr__(self) -> str:
        return f"<device array, shape {self.shape}, {self.dtype}; copy_to_host() shows it>"

    def __bool__(self) -> bool:
        raise TypeError(REFUSAL)

    def _refuse(self, *args: Any) -> Any:
        raise TypeError(REFUSAL)

    __hash__ = None  # type: ignore[assignment]
    __eq__ = __ne__ = _refuse

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = _refuse
    __rtruediv__ = __matmul__ = __rmatmul__ = __pow__ = __neg__ = __iadd__ = __imul__ = _refuse
    __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __rpow__ = __abs__ = __pos__ = _refuse
    __divmod__ = __rdivmod__ = __invert__ = __and__ = __or__ = __xor__ = _refuse
    __float__ = __int__ = __index__ = __complex__ = __round__ = _refuse
    __isub__ = __itruediv__ = __lt__ = __le__ = __gt__ = __ge__ = _refuse


REFUSAL = (
    "this array is on the device, where only kernels compute: "
    "write a kernel, or copy it to the host with .copy_to_host() first."
)


def _same_shape(device: DeviceArray, other: Any) -> None:
    if tuple(other.shape) != device.shape or other.dtype != device.dtype:
        raise ValueError(
            f"cannot copy between {device.dtype}{list(device.shape)} on the device and "
            f"{other.dtype}{list(other.shape)}: shapes and dtypes must be equal."
        )


def host_view(value: Any) -> Any:
    """The numpy array behind a device array; other values as they are."""
    return value._array if isinstance(value, DeviceArray) else value


def contiguous(array: np.ndarray) -> None:
    """Refuses arrays that numba.cuda cannot copy.

    Raises:
        LaunchError: for arrays that are neither in the order of rows nor of columns.
    """
    if not (array.flags.c_contiguous or array.flags.f_contiguous):
        raise LaunchError(
            f"an array of shape {array.shape} with strides {array.strides} cannot be copied to a "
            "device as it is: pass np.ascontiguousarray(x)."
        )


# ----------------------------------------------------------------- what stands in for numba.cuda's own


def to_device(obj: Any, stream: Any = 0, copy: bool = True, to: Any = None) -> DeviceArray:
    """A copy of an array on the device."""
    array = np.asarray(host_view(obj))
    contiguous(array)
    if to is not None:
        to.copy_to_device(array)
        return to
    transfers.to_device += 1
    transfers.bytes_to_device += array.nbytes
    return DeviceArray(array.copy(order="K"))


def device_array(
    shape: Any, dtype: Any = np.float64, strides: Any = None, order: str = "C", stream: Any = 0
) -> DeviceArray:
    """Memory on the device, with whatever is in it."""
    from course.kernellab.lower import numpy_dtype

    dtype = numpy_dtype(dtype)
    array = np.empty(shape, dtype, order=order)  # type: ignore[call-overload]
    # On a GPU it holds what was there before. Here it is what nobody takes for a result.
    array.fill(np.nan if array.dtype.kind in "fc" else 85 if array.dtype.kind in "iu" else 0)
    return DeviceArray(array)


def device_array_like(ary: Any, stream: Any = 0) -> DeviceArray:
    """Memory on the device, of an array's shape and dtype."""
    order = (
        "F"
        if ary.ndim > 1
        and host_view(ary).flags.f_contiguous
        and not host_view(ary).flags.c_contiguous
        else "C"
    )
    return device_array(ary.shape, ary.dtype, order=order)


def pinned_array(shape: Any, dtype: Any = np.float64, strides: Any = None, order: str = "C") -> Any:
    """Host memory; on a GPU it would be memory that the device can copy faster."""
    return np.empty(shape, dtype, order=order)  # type: ignore[call-overload]


def pinned_array_like(ary: Any) -> Any:
    """Host memory of an array's shape and dtype."""
    return np.empty_like(host_view(ary))


@contextmanager
def pinned(*arrays: np.ndarray) -> Iterator[None]:
    """Host memory that the device could copy faster for a while; here it is what it is."""
    yield


def as_cuda_array(obj: Any, sync: bool = True) -> DeviceArray:
    """A device array of the same memory; `obj` is one, or has the `__cuda_array_interface__` of one."""
    if isinstance(obj, DeviceArray):
        return obj
    interface = getattr(obj, "__cuda_array_interface__", {})
    if "lab" in interface:
        return interface["lab"]
    raise TypeError(f"a {type(obj).__name__} is not on the device: use cuda.to_device.")


def is_cuda_array(obj: Any) -> bool:
    """Whether an object is on the device."""
    return isinstance(obj, DeviceArray) or "lab" in getattr(obj, "__cuda_array_interface__", {})
