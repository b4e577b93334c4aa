"""What compiled kernels call: atomics, warp operations, and the check of an index.

One core runs all threads of a launch in turn, so that "atomic" needs nothing more than doing it.
"""

from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import overload
from numba.np import numpy_support

# ---------------------------------------------------------------- atomics: they return the old value


@njit(inline="always")
def atomic_add(array, index, value):
    old = array[index]
    array[index] = old + value
    return old


@njit(inline="always")
def atomic_sub(array, index, value):
    old = array[index]
    array[index] = old - value
    return old


@njit(inline="always")
def atomic_max(array, index, value):
    old = array[index]
    if value > old or value != value:
        array[index] = value
    return old


@njit(inline="always")
def atomic_min(array, index, value):
    old = array[index]
    if value < old or value != value:
        array[index] = value
    return old


@njit(inline="always")
def atomic_nanmax(array, index, value):
    old = array[index]
    if value > old or old != old:
        array[index] = value
    return old


@njit(inline="always")
def atomic_nanmin(array, index, value):
    old = array[index]
    if value < old or old != old:
        array[index] = value
    return old


@njit(inline="always")
def atomic_and(array, index, value):
    old = array[index]
    array[index] = old & value
    return old


@njit(inline="always")
def atomic_or(array, index, value):
    old = array[index]
    array[index] = old | value
    return old


@njit(inline="always")
def atomic_xor(array, index, value):
    old = array[index]
    array[index] = old ^ value
    return old


@njit(inline="always")
def atomic_inc(array, index, value):
    old = array[index]
    array[index] = 0 if old >= value else old + 1
    return old


@njit(inline="always")
def atomic_dec(array, index, value):
    old = array[index]
    array[index] = value if old == 0 or old > value else old - 1
    return old


@njit(inline="always")
def atomic_exch(array, index, value):
    old = array[index]
    array[index] = value
    return old


@njit(inline="always")
def atomic_cas(array, index, expected, value):
    old = array[index]
    if old == expected:
        array[index] = value
    return old


# ------------------------------------------------------------------------------------ single threads


@njit(inline="always")
def popc(value):
    """How many bits are set (of 32, or of 64 for 64-bit values)."""
    bits = np.uint64(value)
    count = 0
    while bits:
        bits &= bits - np.uint64(1)
        count += 1
    return count


def width(value: Any) -> int:
    """Bits of an integer: 64 for Python's."""
    return np.dtype(type(value)).itemsize * 8 if isinstance(value, np.generic) else 64


@overload(width)
def _width(value):
    bits = 64 if not isinstance(value, types.Integer) else value.bitwidth
    return lambda value: bits


def low_bits(value: Any) -> Any:
    """The value's bits, as an unsigned integer."""
    return np.uint64(int(value) % 2 ** width(value))


@overload(low_bits)
def _low_bits(value):
    if isinstance(value, types.Integer) and value.bitwidth == 32:
        return lambda value: np.uint64(np.uint32(value))
    return lambda value: np.uint64(value)


@njit
def clz(value):
    """Leading zero bits."""
    bits, n = low_bits(value), width(value)
    count = 0
    while count < n and not (bits >> np.uint64(n - 1 - count)) & np.uint64(1):
        count += 1
    return count


@njit
def ffs(value):
    """The position of the lowest bit that is set, from 1; 0 if there is none."""
    bits, n = low_bits(value), width(value)
    for i in range(n):
        if (bits >> np.uint64(i)) & np.uint64(1):
            return i + 1
    return 0


@njit
def bits_of(value):
    """`popc` for signed values too."""
    return popc(low_bits(value))


@njit
def brev(value):
    """The bits in reverse order."""
    bits, n = low_bits(value), width(value)
    out = np.uint64(0)
    for i in range(n):
        out = (out << np.uint64(1)) | ((bits >> np.uint64(i)) & np.uint64(1))
    return out


@njit(inline="always")
def fma(a, b, c):
    return a * b + c


@njit(inline="always")
def selp(condition, a, b):
    return a if condition else b


@njit
def cbrt(value):
    return np.cbrt(value)


@njit(inline="always")
def floor(value):
    return np.floor(value)


@njit(inline="always")
def ceil(value):
    return np.ceil(value)


@njit(inline="always")
def trunc(value):
    return np.trunc(value)


@njit(inline="always")
def fmod(a, b):
    return np.fmod(a, b)


# -------------------------------------------------------------- values that threads hand to each other


def put(floats: np.ndarray, integers: np.ndarray, thread: int, value: Any) -> None:
    """Lays a thread's value out for the others: floats here, integers there."""


@overload(put)
def _put(floats, integers, thread, value):
    if isinstance(value, types.Float):

        def write(floats, integers, thread, value):
            floats[thread] = value
    else:

        def write(floats, integers, thread, value):
            integers[thread] = value

    return write


def get(floats: np.ndarray, integers: np.ndarray, thread: int, like: Any) -> Any:
    """Another thread's value, of the type of one's own."""


@overload(get)
def _get(floats, integers, thread, like):
    if isinstance(like, types.Boolean):
        return lambda floats, integers, thread, like: integers[thread] != 0
    kind = numpy_support.as_dtype(like).type
    if isinstance(like, types.Float):
        return lambda floats, integers, thread, like: kind(floats[thread])
    return lambda floats, integers, thread, like: kind(integers[thread])


@njit(inline="always")
def source_lane(kind, lane, by, width, lanes):
    """Whose value a shuffle hands out: kind 0 = that lane, 1 = below, 2 = above, 3 = flipped bits."""
    if kind == 0:
        source = by % width
    elif kind == 1:
        source = lane - by
        if source < 0:
            source = lane
    elif kind == 2:
        source = lane + by
        if source >= width:
            source = lane
    else:
        source = lane ^ by
        if source >= width:
            source = lane
    return source if source < lanes else lane


@njit
def ballot(integers, first, lanes, mask):
    """The lanes of a warp, as bits, whose predicate is true. Slots: 0 absent, 1 false, 2 true."""
    out = 0
    for lane in range(lanes):
        if (mask >> lane) & 1 and integers[first + lane] == 2:
            out |= 1 << lane
    return out


@njit
def present(integers, first, lanes, mask):
    """The lanes of a warp, as bits, that voted."""
    out = 0
    for lane in range(lanes):
        if (mask >> lane) & 1 and integers[first + lane] > 0:
            out |= 1 << lane
    return out


@njit
def count_true(integers, threads):
    """How many threads of the block say yes."""
    out = 0
    for thread in range(threads):
        if integers[thread] == 2:
            out += 1
    return out


@njit
def all_true(integers, threads):
    """1 if no thread of the block says no."""
    for thread in range(threads):
        if integers[thread] == 1:
            return 0
    return 1


def matching_values(floats, integers, first, lanes, mask, mine, like):
    """The lanes whose value equals that of the thread `mine`, as bits; `like` has its type."""


@overload(matching_values)
def _matching_values(floats, integers, first, lanes, mask, mine, like):
    is_float = isinstance(like, types.Float)

    def match(floats, integers, first, lanes, mask, mine, like):
        out = 0
        for lane in range(lanes):
            if (mask >> lane) & 1:
                if is_float:
                    same = floats[first + lane] == floats[mine]
                else:
                    same = integers[first + lane] == integers[mine]
                if same:
                    out |= 1 << lane
        return out

    return match


# ------------------------------------------------------------------------------------------ bounds


def inside(array, index, site, fault, thread, bx, by, bz):
    """The index, if the array has it. Else what happened goes to `fault`, and the launch ends.

    fault: (site + 1, thread, bx, by, bz, number of indices, the indices ...).
    """
    return index


def _dimensions(index: types.Type) -> list[types.Type] | None:
    """The types of an index's parts, as far as each is an integer."""
    parts = list(index.types) if isinstance(index, types.BaseTuple) else [index]
    whole = all(isinstance(part, (types.Integer, types.Boolean)) for part in parts)
    return parts if whole else None


@overload(inside, inline="always")
def _inside(array, index, site, fault, thread, bx, by, bz):
    parts = _dimensions(index)
    if not isinstance(array, types.Array) or parts is None or len(parts) > array.ndim:
        return lambda array, index, site, fault, thread, bx, by, bz: index
    if not isinstance(index, types.BaseTuple):

        def one(array, index, site, fault, thread, bx, by, bz):
            n = array.shape[0]
            if index >= n or index < -n:
                outside(fault, site, thread, bx, by, bz, 1, index, 0, 0)
            return index

        return one
    if len(parts) == 1:

        def one_tuple(array, index, site, fault, thread, bx, by, bz):
            n = array.shape[0]
            if index[0] >= n or index[0] < -n:
                outside(fault, site, thread, bx, by, bz, 1, index[0], 0, 0)
            return index

        return one_tuple
    if len(parts) == 2:

        def two(array, index, site, fault, thread, bx, by, bz):
            n, m = array.shape[0], array.shape[1]
            if index[0] >= n or index[0] < -n or index[1] >= m or index[1] < -m:
                outside(fault, site, thread, bx, by, bz, 2, index[0], index[1], 0)
            return index

        return two

    def many(array, index, site, fault, thread, bx, by, bz):
        for d in range(len(index)):
            n = array.shape[d]
            if index[d] >= n or index[d] < -n:
                outside(fault, site, thread, bx, by, bz, len(index), index[0], index[1], index[2])
        return index

    return many


@njit
def outside(fault, site, thread, bx, by, bz, count, i, j, k):
    """Notes down an index that its array does not have, and ends the launch."""
    fault[0] = site + 1
    fault[1] = thread
    fault[2] = bx
    fault[3] = by
    fault[4] = bz
    fault[5] = count
    fault[6] = i
    fault[7] = j
    fault[8] = k
    raise IndexError("index out of bounds")


FAULT_SIZE = 9
