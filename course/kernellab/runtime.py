"""What compiled kernels call: atomics, warp operations, and the check of an index.

One core runs all threads of a launch in turn, so that "atomic" needs nothing more than doing it.
"""

from typing import Any, cast

import numpy as np
from numba import njit, types
from numba.extending import overload
from numba.np import numpy_support

# ---------------------------------------------------------------- atomics: they return the old value


@njit(inline="always")
def atomic_add(array: Any, index: Any, value: Any) -> Any:
    """`array[index] += value`."""
    old = array[index]
    array[index] = old + value
    return old


@njit(inline="always")
def atomic_sub(array: Any, index: Any, value: Any) -> Any:
    """`array[index] -= value`."""
    old = array[index]
    array[index] = old - value
    return old


@njit(inline="always")
def atomic_max(array: Any, index: Any, value: Any) -> Any:
    """The larger of the two stays; NaN wins."""
    old = array[index]
    if value > old or value != value:
        array[index] = value
    return old


@njit(inline="always")
def atomic_min(array: Any, index: Any, value: Any) -> Any:
    """The smaller of the two stays; NaN wins."""
    old = array[index]
    if value < old or value != value:
        array[index] = value
    return old


@njit(inline="always")
def atomic_nanmax(array: Any, index: Any, value: Any) -> Any:
    """The larger of the two stays; a number wins over NaN."""
    old = array[index]
    if value > old or old != old:
        array[index] = value
    return old


@njit(inline="always")
def atomic_nanmin(array: Any, index: Any, value: Any) -> Any:
    """The smaller of the two stays; a number wins over NaN."""
    old = array[index]
    if value < old or old != old:
        array[index] = value
    return old


@njit(inline="always")
def atomic_and(array: Any, index: Any, value: Any) -> Any:
    """`array[index] &= value`."""
    old = array[index]
    array[index] = old & value
    return old


@njit(inline="always")
def atomic_or(array: Any, index: Any, value: Any) -> Any:
    """`array[index] |= value`."""
    old = array[index]
    array[index] = old | value
    return old


@njit(inline="always")
def atomic_xor(array: Any, index: Any, value: Any) -> Any:
    """`array[index] ^= value`."""
    old = array[index]
    array[index] = old ^ value
    return old


@njit(inline="always")
def atomic_inc(array: Any, index: Any, value: Any) -> Any:
    """Counts up to `value`, then starts again at 0."""
    old = array[index]
    array[index] = 0 if old >= value else old + 1
    return old


@njit(inline="always")
def atomic_dec(array: Any, index: Any, value: Any) -> Any:
    """Counts down to 0, then starts again at `value`."""
    old = array[index]
    array[index] = value if old == 0 or old > value else old - 1
    return old


@njit(inline="always")
def atomic_exch(array: Any, index: Any, value: Any) -> Any:
    """`array[index] = value`."""
    old = array[index]
    array[index] = value
    return old


@njit(inline="always")
def atomic_cas(array: Any, index: Any, expected: Any, value: Any) -> Any:
    """`array[index] = value`, if the element equals `expected`."""
    old = array[index]
    if old == expected:
        array[index] = value
    return old


# ------------------------------------------------------------------------------------ single threads


@njit(inline="always")
def popc(value: Any) -> Any:
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


@overload(width, strict=False)  # strict would compare annotations, which lambdas lack
def _width(value: Any) -> Any:
    bits = 64 if not isinstance(value, types.Integer) else cast(Any, value).bitwidth
    return lambda value: bits


def low_bits(value: Any) -> Any:
    """The value's bits, as an unsigned integer."""
    return np.uint64(int(value) % 2 ** width(value))


@overload(low_bits, strict=False)  # strict would compare annotations, which lambdas lack
def _low_bits(value: Any) -> Any:
    if isinstance(value, types.Integer) and cast(Any, value).bitwidth == 32:
        return lambda value: np.uint64(np.uint32(value))
    return lambda value: np.uint64(value)


@njit
def clz(value: Any) -> Any:
    """Leading zero bits."""
    bits, n = low_bits(value), width(value)
    count = 0
    while count < n and not (bits >> np.uint64(n - 1 - count)) & np.uint64(1):
        count += 1
    return count


@njit
def ffs(value: Any) -> Any:
    """The position of the lowest bit that is set, from 1; 0 if there is none."""
    bits, n = low_bits(value), width(value)
    for i in range(n):
        if (bits >> np.uint64(i)) & np.uint64(1):
            return i + 1
    return 0


@njit
def bits_of(value: Any) -> Any:
    """`popc` for signed values too."""
    return popc(low_bits(value))


@njit
def brev(value: Any) -> Any:
    """The bits in reverse order."""
    bits, n = low_bits(value), width(value)
    out = np.uint64(0)
    for i in range(n):
        out = (out << np.uint64(1)) | ((bits >> np.uint64(i)) & np.uint64(1))
    return out


@njit(inline="always")
def fma(a: Any, b: Any, c: Any) -> Any:
    """`a * b + c`."""
    return a * b + c


@njit(inline="always")
def selp(condition: Any, a: Any, b: Any) -> Any:
    """`a if condition else b`."""
    return a if condition else b


@njit
def cbrt(value: Any) -> Any:
    """The cube root."""
    return np.cbrt(value)


def smaller(a: Any, b: Any) -> Any:
    """`min(a, b)` in the common type; a number wins over nan, as in CUDA's fmin."""


def larger(a: Any, b: Any) -> Any:
    """`max(a, b)` in the common type; a number wins over nan, as in CUDA's fmax."""


def _common(a: Any, b: Any) -> Any:
    kinds = (numpy_support.as_dtype(types.unliteral(kind)) for kind in (a, b))
    return np.promote_types(*kinds).type


@overload(smaller, strict=False)
def _smaller(a: Any, b: Any) -> Any:
    kind = _common(a, b)
    if not issubclass(kind, np.floating):
        return lambda a, b: kind(b) if kind(b) < kind(a) else kind(a)

    def pick(a: Any, b: Any) -> Any:
        x, y = kind(a), kind(b)
        return y if y < x or x != x else x

    return pick


@overload(larger, strict=False)
def _larger(a: Any, b: Any) -> Any:
    kind = _common(a, b)
    if not issubclass(kind, np.floating):
        return lambda a, b: kind(b) if kind(b) > kind(a) else kind(a)

    def pick(a: Any, b: Any) -> Any:
        x, y = kind(a), kind(b)
        return y if y > x or x != x else x

    return pick


def power(base: Any, exponent: Any) -> Any:
    """`base ** exponent`; a float to a whole power by repeated multiplication."""


@overload(power, strict=False, jit_options={"error_model": "numpy"})
def _power(base: Any, exponent: Any) -> Any:
    if not (isinstance(base, types.Float) and isinstance(exponent, types.Integer)):
        return lambda base, exponent: base**exponent
    kind = numpy_support.as_dtype(types.unliteral(base)).type

    def multiply(base: Any, exponent: Any) -> Any:
        out, left = kind(1), abs(exponent)
        while left:
            if left & 1:
                out = out * base
            left >>= 1
            base = base * base
        return kind(1) / out if exponent < 0 else out

    return multiply


def reciprocal(value: Any) -> Any:
    """`1 / value`, in its own type; infinite for 0."""


@overload(reciprocal, strict=False, jit_options={"error_model": "numpy"})
def _reciprocal(value: Any) -> Any:
    kind = numpy_support.as_dtype(types.unliteral(value)).type
    kind = kind if issubclass(kind, np.floating) else np.float64
    return lambda value: kind(1) / kind(value)


@njit(inline="always")
def floor(value: Any) -> Any:
    """The next whole number below, as a float."""
    return np.floor(value)


@njit(inline="always")
def ceil(value: Any) -> Any:
    """The next whole number above, as a float."""
    return np.ceil(value)


@njit(inline="always")
def trunc(value: Any) -> Any:
    """Without what is behind the point, as a float."""
    return np.trunc(value)


@njit(inline="always")
def fmod(a: Any, b: Any) -> Any:
    """The remainder, with the sign of `a`."""
    return np.fmod(a, b)


# -------------------------------------------------------------- values that threads hand to each other


def put(floats: np.ndarray, integers: np.ndarray, thread: int, value: Any) -> None:
    """Lays a thread's value out for the others: floats here, integers there."""


@overload(put, strict=False)  # strict would compare annotations, which lambdas lack
def _put(floats: Any, integers: Any, thread: Any, value: Any) -> Any:
    if isinstance(value, types.Float):

        def write(floats: Any, integers: Any, thread: Any, value: Any) -> Any:
            floats[thread] = value
    else:

        def write(floats: Any, integers: Any, thread: Any, value: Any) -> Any:
            integers[thread] = value

    return write


def get(floats: np.ndarray, integers: np.ndarray, thread: int, like: Any) -> Any:
    """Another thread's value, of the type of one's own."""


@overload(get, strict=False)  # strict would compare annotations, which lambdas lack
def _get(floats: Any, integers: Any, thread: Any, like: Any) -> Any:
    if isinstance(like, types.Boolean):
        return lambda floats, integers, thread, like: integers[thread] != 0
    kind = numpy_support.as_dtype(like).type
    if isinstance(like, types.Float):
        return lambda floats, integers, thread, like: kind(floats[thread])
    return lambda floats, integers, thread, like: kind(integers[thread])


@njit(inline="always")
def source_lane(kind: Any, lane: Any, by: Any, width: Any, lanes: Any) -> Any:
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
def ballot(integers: Any, first: Any, lanes: Any, mask: Any) -> Any:
    """The lanes of a warp, as bits, whose predicate is true. Slots: 0 absent, 1 false, 2 true."""
    out = 0
    for lane in range(lanes):
        if (mask >> lane) & 1 and integers[first + lane] == 2:
            out |= 1 << lane
    return out


@njit
def present(integers: Any, first: Any, lanes: Any, mask: Any) -> Any:
    """The lanes of a warp, as bits, that voted."""
    out = 0
    for lane in range(lanes):
        if (mask >> lane) & 1 and integers[first + lane] > 0:
            out |= 1 << lane
    return out


@njit
def count_true(integers: Any, threads: Any) -> Any:
    """How many threads of the block say yes."""
    out = 0
    for thread in range(threads):
        if integers[thread] == 2:
            out += 1
    return out


@njit
def all_true(integers: Any, threads: Any) -> Any:
    """1 if no thread of the block says no."""
    for thread in range(threads):
        if integers[thread] == 1:
            return 0
    return 1


def matching_values(
    floats: Any, integers: Any, first: Any, lanes: Any, mask: Any, mine: Any, like: Any
) -> Any:
    """The lanes whose value equals that of the thread `mine`, as bits; `like` has its type."""


@overload(matching_values, strict=False)  # strict would compare annotations, which lambdas lack
def _matching_values(
    floats: Any, integers: Any, first: Any, lanes: Any, mask: Any, mine: Any, like: Any
) -> Any:
    is_float = isinstance(like, types.Float)

    def match(
        floats: Any, integers: Any, first: Any, lanes: Any, mask: Any, mine: Any, like: Any
    ) -> Any:
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


FAULT_SIZE, NEGATIVE = 10, 9
"""Places of the array in which compiled code notes what happened to an index."""


def inside(
    array: Any, index: Any, site: Any, fault: Any, thread: Any, bx: Any, by: Any, bz: Any
) -> Any:
    """The index, if the array has it. Else what happened goes to `fault`, and the launch ends.

    fault: (site + 1, thread, bx, by, bz, number of indices, three indices, whether one is negative).
    """
    return index


def _dimensions(index: types.Type) -> list[types.Type] | None:
    """The types of an index's parts, as far as each is an integer."""
    parts = list(cast(Any, index).types) if isinstance(index, types.BaseTuple) else [index]
    whole = all(isinstance(part, (types.Integer, types.Boolean)) for part in parts)
    return parts if whole else None


@overload(inside, inline="always", strict=False)
def _inside(
    array: Any, index: Any, site: Any, fault: Any, thread: Any, bx: Any, by: Any, bz: Any
) -> Any:
    parts = _dimensions(index)
    if not isinstance(array, types.Array) or parts is None or len(parts) > array.ndim:
        return lambda array, index, site, fault, thread, bx, by, bz: index
    if not isinstance(index, types.BaseTuple):

        def one(
            array: Any, index: Any, site: Any, fault: Any, thread: Any, bx: Any, by: Any, bz: Any
        ) -> Any:
            n = array.shape[0]
            if index < 0:
                fault[NEGATIVE] = 1
            if index >= n or index < -n:
                outside(fault, site, thread, bx, by, bz, 1, index, 0, 0)
            return index

        return one
    if len(parts) == 1:

        def one_tuple(
            array: Any, index: Any, site: Any, fault: Any, thread: Any, bx: Any, by: Any, bz: Any
        ) -> Any:
            n = array.shape[0]
            if index[0] < 0:
                fault[NEGATIVE] = 1
            if index[0] >= n or index[0] < -n:
                outside(fault, site, thread, bx, by, bz, 1, index[0], 0, 0)
            return index

        return one_tuple
    if len(parts) == 2:

        def two(
            array: Any, index: Any, site: Any, fault: Any, thread: Any, bx: Any, by: Any, bz: Any
        ) -> Any:
            n, m = array.shape[0], array.shape[1]
            if index[0] < 0 or index[1] < 0:
                fault[NEGATIVE] = 1
            if index[0] >= n or index[0] < -n or index[1] >= m or index[1] < -m:
                outside(fault, site, thread, bx, by, bz, 2, index[0], index[1], 0)
            return index

        return two

    def many(
        array: Any, index: Any, site: Any, fault: Any, thread: Any, bx: Any, by: Any, bz: Any
    ) -> Any:
        for d in range(len(index)):
            n = array.shape[d]
            if index[d] < 0:
                fault[NEGATIVE] = 1
            if index[d] >= n or index[d] < -n:
                outside(fault, site, thread, bx, by, bz, len(index), index[0], index[1], index[2])
        return index

    return many


@njit
def outside(
    fault: Any,
    site: Any,
    thread: Any,
    bx: Any,
    by: Any,
    bz: Any,
    count: Any,
    i: Any,
    j: Any,
    k: Any,
) -> Any:
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
