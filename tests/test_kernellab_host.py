"""course.kernellab: the host's side. Launches, arrays on the device, and what is refused, in words."""

import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from numba import cuda, float32, float64, int32
from numba.cuda import grid, gridsize, syncthreads, threadIdx

from course import kernellab as lab
from course.kernellab import LaunchError, NoSource, OutOfBounds, Refused
from course.kernellab.launch import State
from course.kernellab.memory import transfers
from course.kernellab.program import ENGINES


def python(code, **environment):
    """Runs a program in a Python of its own."""
    known = {k: v for k, v in os.environ.items() if not k.startswith(("KERNELLAB", "NUMBA"))}
    if "KERNELLAB_CACHE" in os.environ:
        known["KERNELLAB_CACHE"] = os.environ["KERNELLAB_CACHE"]
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=known | environment
    )


@cuda.jit
def double(x, y):
    i = cuda.grid(1)
    if i < x.size:
        y[i] = 2 * x[i]


@cuda.jit(device=True)
def helper(v):
    return v + 1


@pytest.fixture
def x():
    return np.arange(5, dtype=np.float32)


@pytest.fixture
def y():
    return np.zeros(5, np.float32)


# --------------------------------------------------------------------- the shape of a launch


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ((5 / 2, 32), ["grid", "2.5", "integer", "//"]),
        ((1.0, 32), ["grid", "1.0", "//"]),
        ((1, 32.0), ["block", "32.0", "integer"]),
        ((0, 32), ["grid", "0", "at least 1"]),
        ((1, 0), ["block", "at least 1"]),
        ((-1, 32), ["grid", "-1", "at least 1"]),
        (((1, 0), 32), ["grid", "at least 1"]),
        (((1, 1, 1, 1), 32), ["grid", "up to three"]),
        ((1, (2, 2, 2, 2)), ["block", "up to three"]),
        (("2", 32), ["grid", "'2'", "integer"]),
        ((1, "32"), ["block", "'32'"]),
        ((True, 32), ["grid", "True"]),
        ((None, 32), ["grid", "None"]),
        (((), 32), ["grid"]),
        (((1, 2.0), 32), ["grid", "2.0"]),
        (4, ["kernel[grid, block]", "4"]),
        ((1,), ["kernel[grid, block]"]),
        ((1, 32, 0, 0, 0), ["kernel[grid, block]"]),
        ((1, 32, 0, 1.5), ["bytes", "1.5"]),
        ((1, 32, 0, -4), ["bytes", "-4"]),
        ((1, 1025), ["1025 threads", "1024", "smaller blocks"]),
        ((1, (32, 33)), ["32 x 33", "1056", "1024"]),
        ((1, (1, 1, 65)), ["64 threads in z", "65"]),
        (((1, 65536), 32), ["65535 blocks in y", "65536", "in x"]),
        (((1, 1, 65536), 32), ["65535 blocks in z", "in x"]),
        ((1, 32, 0, 49153), ["49,153", "shared memory", "49,152"]),
    ],
)
def test_a_wrong_shape_of_a_launch_says_what_to_do(config, words, x, y):
    with pytest.raises(LaunchError) as caught:
        double[config](x, y)
    for word in words:
        assert word in str(caught.value)
    assert not y.any()


@pytest.mark.parametrize(
    "config",
    [
        (1, 8),
        ((1,), (8,)),
        ([1, 1], [4, 2]),
        (np.int64(1), np.int32(8)),
        (1, (8, 1, 1)),
        (1, 8, 0),
        (1, 8, None),
        (1, 8, 0, 128),
        (1, 1024),
    ],
)
def test_right_shapes_of_a_launch(config, x, y):
    double[config](x, y)
    np.testing.assert_array_equal(y[:4], 2 * x[:4])


def test_a_kernel_wants_the_shape_of_its_launch(x, y):
    with pytest.raises(LaunchError, match=r"double\[blocks, threads\]"):
        double(x, y)


def test_a_device_function_cannot_be_launched():
    with pytest.raises(LaunchError, match="helper is a device function"):
        helper[1, 1](3)


@pytest.mark.parametrize("arguments", [0, 1, 3])
def test_a_wrong_number_of_arguments(arguments, x):
    with pytest.raises(TypeError, match=rf"double takes 2 arguments \(x, y\), got {arguments}"):
        double[1, 8](*[x] * arguments)


def test_keywords_are_refused(x, y):
    with pytest.raises(TypeError, match="y"):
        double[1, 8](x, y=y)


@pytest.mark.parametrize("value", [[1.0, 2.0], "text", None, {"a": 1}, {1, 2}, object(), print])
@pytest.mark.parametrize("engine", ["auto", "py"])
def test_arguments_that_no_kernel_takes(value, engine, y):
    with lab.engine(engine), pytest.raises(TypeError) as caught:
        double[1, 8](value, y)
    message = str(caught.value)
    assert "array" in message and type(value).__name__ in message
    assert not y.any()


def test_arrays_that_have_gaps(x, y):
    for gaps in (np.arange(10, dtype=np.float32)[::2], np.zeros((4, 4), np.float32)[:, 1]):
        with pytest.raises(LaunchError, match="ascontiguousarray"):
            double[1, 8](gaps, y)
    double[1, 8](np.ascontiguousarray(np.arange(10, dtype=np.float32)[::2]), y)
    assert y.tolist() == [0, 4, 8, 12, 16]


def test_an_array_that_cannot_be_written(x, y):
    x.flags.writeable = False
    double[1, 8](x, y)
    assert y.tolist() == [0, 2, 4, 6, 8]


def test_a_launch_over_nothing():
    empty = np.zeros(0, np.float32)
    double[1, 8](empty, empty)


@cuda.jit
def of_numbers(pair, flag, n, out):
    out[0] = pair[0] + pair[1] * n
    if flag:
        out[1] = n


@pytest.mark.parametrize("engine", ["auto", *ENGINES])
def test_tuples_of_other_types_are_other_arguments(engine):
    out = np.zeros(2)
    with lab.engine(engine):
        of_numbers[1, 1]((1, 2), False, 10, out)
        of_numbers[1, 1]((1.0, 2.0), False, 10, out)
        for pair in ((2**53, 1), (2.0**53, 1.0), (2, 3), (2.0, 3.0), (2, 3)):
            halves_of_pair[1, 2](pair, out)
            part = np.array(pair)[0] * np.array(pair)[1]
            assert out.tolist() == [part * (part / 2) + part] * 2


@cuda.jit
def halves_of_pair(pair, out):
    tile = cuda.shared.array(2, float64)
    t = cuda.threadIdx.x
    part = pair[0] * pair[1]
    part = part + part - part
    tile[t] = part / 2
    cuda.syncthreads()
    half = part * tile[1 - t]
    cuda.syncthreads()
    out[t] = half + part


@cuda.jit
def of_a_mixed_pair(pair, out):
    out[0] = pair[0] * pair[1]


@pytest.mark.parametrize("engine", ["auto", *ENGINES])
def test_a_tuple_of_several_types(engine):
    out = np.zeros(1)
    with lab.engine(engine):
        of_a_mixed_pair[1, 1]((3, 0.5), out)
    assert out[0] == 1.5


@pytest.mark.parametrize("engine", ["auto", *ENGINES])
def test_tuples_and_numbers_as_arguments(engine):
    out = np.zeros(2)
    with lab.engine(engine):
        of_numbers[1, 1]((1, 2), True, 10, out)
    assert out.tolist() == [21, 10]


@cuda.jit
def big_tile(x):
    tile = cuda.shared.array((128, 128), float32)
    tile[0, 0] = x[0]
    x[0] = tile[0, 0]


def test_too_much_shared_memory(x):
    with pytest.raises(LaunchError) as caught:
        big_tile[1, 1](x)
    for word in ("65,536", "49,152", "tile", "smaller tiles"):
        assert word in str(caught.value)


# ------------------------------------------------------------------------------ out of bounds


@cuda.jit
def without_guard(x, y):
    i = cuda.grid(1)
    y[i] = x[i]


@cuda.jit
def plane_without_guard(grid_of_numbers):
    column, row = cuda.grid(2)
    grid_of_numbers[row, column] = 1


@cuda.jit
def atomic_without_guard(counts, x):
    i = cuda.grid(1)
    cuda.atomic.add(counts, x[i], 1)


@pytest.mark.parametrize("engine", ENGINES)
def test_out_of_bounds_names_all_there_is(engine):
    x, y = np.zeros(40, np.float32), np.zeros(64, np.float32)
    line = without_guard.py_func.__code__.co_firstlineno + 3
    with lab.engine(engine), pytest.raises(OutOfBounds) as caught:
        without_guard[2, 32](x, y)
    message = str(caught.value)
    for word in (f"without_guard, line {line}", "`x[i]`", "index 40 of `x`", "(40,)"):
        assert word in message
    assert "thread 8 of block 1" in message
    assert issubclass(OutOfBounds, IndexError)


@pytest.mark.parametrize("engine", ENGINES)
def test_out_of_bounds_in_two_dimensions(engine):
    numbers = np.zeros((3, 4), np.float32)
    with lab.engine(engine), pytest.raises(OutOfBounds) as caught:
        plane_without_guard[(2, 1), (2, 4)](numbers)
    message = str(caught.value)
    for word in ("grid_of_numbers[row, column]", "(3, 0)", "(3, 4)", "thread (0, 3) of block 0"):
        assert word in message


@pytest.mark.parametrize("engine", ENGINES)
def test_out_of_bounds_of_an_atomic(engine):
    counts, x = np.zeros(4, np.int32), np.array([0, 3, 4])
    with lab.engine(engine), pytest.raises(OutOfBounds) as caught:
        atomic_without_guard[1, 3](counts, x)
    for word in ("atomic_without_guard", "index 4 of `counts`", "(4,)", "thread 2 of block 0"):
        assert word in str(caught.value)


@cuda.jit
def gather(x, index, y):
    i = cuda.grid(1)
    if i < y.size:
        y[i] = x[index[i]]


@cuda.jit
def scatter(x, index, y):
    i = cuda.grid(1)
    if i < x.size:
        place = index[i]
        y[place] = x[i]


@cuda.jit
def gather_through_shared(x, index, y):
    places = cuda.shared.array(32, int32)
    t = cuda.threadIdx.x
    places[t] = index[t]
    cuda.syncthreads()
    other = places[(t + 1) % y.size]
    y[t] = x[other]


@cuda.jit(device=True)
def element(x, i):
    return x[i]


@cuda.jit
def gather_by_device_function(x, index, y):
    i = cuda.grid(1)
    if i < y.size:
        y[i] = element(x, index[i])


@cuda.jit
def loop_to_datum(x, index, y):
    i = cuda.grid(1)
    if i < y.size:
        k = 0
        while k < index[i]:
            k += 1
        y[i] = x[k]


@cuda.jit
def early_exit(x, index, y):
    i = cuda.grid(1)
    if index[0] >= 0 and i >= y.size:
        return
    y[i] = x[i]


@cuda.jit
def counted_by_atomics(x, index, y):
    i = cuda.grid(1)
    if i < y.size:
        place = cuda.atomic.add(index, 0, 1)
        y[i] = x[place]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "kernel", [gather, scatter, gather_through_shared, gather_by_device_function, loop_to_datum]
)
def test_data_are_checked_in_every_launch_of_a_shape(kernel, engine):
    x, y = np.arange(5, dtype=np.float32), np.zeros(5, np.float32)
    index = np.array([4, 3, 2, 1, 0])
    with lab.engine(engine):
        for _ in range(3):
            kernel[1, 5](x, index, y)
        index[3] = 1000
        with pytest.raises(OutOfBounds, match="1000"):
            kernel[1, 5](x, index, y)
        index[3] = 1
        kernel[1, 5](x, index, y)
        index[2] = 5
        with pytest.raises(OutOfBounds, match="index 5 "):
            kernel[1, 5](x, index, y)


def test_a_guard_that_depends_on_data_is_checked_in_every_launch():
    x, y, index = np.ones(5, np.float32), np.zeros(5, np.float32), np.zeros(1, np.int64)
    for _ in range(3):
        early_exit[1, 8](x, index, y)
    index[0] = -1
    with pytest.raises(OutOfBounds, match="index 5"):
        early_exit[1, 8](x, index, y)


def test_a_place_from_a_counter_is_checked_in_every_launch():
    x, y, index = np.ones(12, np.float32), np.zeros(5, np.float32), np.zeros(1, np.int64)
    counted_by_atomics[1, 8](x, index, y)
    counted_by_atomics[1, 8](x, index, y)
    with pytest.raises(OutOfBounds, match="index 12"):
        counted_by_atomics[1, 8](x, index, y)


@cuda.jit
def up_to(x, n, y):
    i = cuda.grid(1)
    if i < y.size:
        total = float32(0)
        for k in range(n):
            total += x[k]
        y[i] = total


@cuda.jit
def up_to_datum(x, n, y):
    i = cuda.grid(1)
    if i < y.size:
        total = float32(0)
        for k in range(n[0]):
            total += x[k]
        y[i] = total


@pytest.mark.parametrize("engine", ENGINES)
def test_a_bound_that_changes_is_checked_again(engine):
    x, y = np.ones(6, np.float32), np.zeros(3, np.float32)
    datum = np.array([6])
    with lab.engine(engine):
        for _ in range(3):
            up_to[1, 4](x, 6, y)
            up_to_datum[1, 4](x, datum, y)
        with pytest.raises(OutOfBounds, match="index 6"):
            up_to[1, 4](x, 7, y)
        datum[0] = 7
        with pytest.raises(OutOfBounds, match="index 6"):
            up_to_datum[1, 4](x, datum, y)
        with pytest.raises(OutOfBounds, match="index 4"):
            up_to[1, 4](np.ones(4, np.float32), 6, y)
        up_to[1, 4](x, np.int64(5), y)
    assert y.tolist() == [5, 5, 5]


@cuda.jit
def by_pair(x, bounds, y):
    i = cuda.grid(1)
    if i < y.size:
        y[i] = x[bounds[1] - 1] + x[bounds[0]]


def test_a_bound_in_a_tuple_that_changes_is_checked_again():
    x, y = np.ones(6, np.float32), np.zeros(3, np.float32)
    for _ in range(3):
        by_pair[1, 4](x, (0, 6), y)
    with pytest.raises(OutOfBounds, match="index 6"):
        by_pair[1, 4](x, (0, 7), y)


@cuda.jit
def by_a_float(x, scale, y):
    i = cuda.grid(1)
    if i < y.size:
        y[i] = x[int(i * scale)]


def test_an_index_from_a_float_that_is_a_number_or_nan():
    x, y = np.ones(6, np.float32), np.zeros(3, np.float32)
    for _ in range(3):
        by_a_float[1, 4](x, 2.0, y)
    with pytest.raises(OutOfBounds):
        by_a_float[1, 4](x, 4.0, y)


@pytest.mark.parametrize("engine", ENGINES)
def test_far_reads_and_writes_do_not_end_the_process(engine):
    x, y = np.zeros(5, np.float32), np.zeros(5, np.float32)
    for place in (2**40, -(2**40), 2**62, -6):
        index = np.full(5, place)
        for kernel in (gather, scatter):
            with lab.engine(engine), pytest.raises(OutOfBounds) as caught:
                kernel[1, 5](x, index, y)
            assert str(place) in str(caught.value)


@cuda.jit
def one_behind(x, y):
    """An index that is unsigned, and one that counts from the end."""
    i = cuda.grid(1)
    y[i] = x[i - 1]


@pytest.mark.parametrize("engine", ENGINES)
def test_negative_indices_count_from_the_end(engine):
    x, y = np.arange(4, dtype=np.float32), np.zeros(4, np.float32)
    with lab.engine(engine):
        one_behind[1, 4](x, y)
    assert y.tolist() == [3, 0, 1, 2]


@cuda.jit
def local_too_small(y):
    window = cuda.local.array(3, float32)
    tile = cuda.shared.array((2, 2), float32)
    i = cuda.grid(1)
    tile[i % 2, 0] = 0
    for k in range(y.size):
        window[k] = k
    y[i] = window[0] + tile[0, 0]


@pytest.mark.parametrize("engine", ENGINES)
def test_out_of_bounds_of_a_local_array(engine):
    with lab.engine(engine):
        local_too_small[1, 2](np.zeros(3))
        with pytest.raises(OutOfBounds, match=r"window\[k\].*index 3 of `window`"):
            local_too_small[1, 2](np.zeros(4))


# --------------------------------------------------------------------------- arrays on the device


def test_there_and_back(x):
    device = cuda.to_device(x)
    x[0] = 100
    out = cuda.device_array(5, np.float32)
    double[1, 8](device, out)
    assert out.copy_to_host().tolist() == [0, 2, 4, 6, 8]
    host = np.zeros(5, np.float32)
    assert out.copy_to_host(host) is host and host.tolist() == [0, 2, 4, 6, 8]
    device.copy_to_device(np.ones(5, np.float32))
    device[1:3].copy_to_device(np.array([7, 8], np.float32))
    assert device.copy_to_host().tolist() == [1, 7, 8, 1, 1]
    out.copy_to_device(device)
    assert out.copy_to_host().tolist() == [1, 7, 8, 1, 1]


@pytest.mark.parametrize("other", [np.zeros(4, np.float32), np.zeros(5), np.zeros((5, 1), "f4")])
def test_copies_want_equal_shapes_and_dtypes(other, x):
    device = cuda.to_device(x)
    for copy in (device.copy_to_device, device.copy_to_host):
        with pytest.raises(ValueError, match="shapes and dtypes"):
            copy(other)


def test_transfers_are_counted(x):
    transfers.reset()
    device = cuda.to_device(x)
    out = cuda.device_array_like(device)
    double[1, 8](device, out)
    assert (transfers.to_device, transfers.to_host) == (1, 0)
    out.copy_to_host()
    out.copy_to_device(device)  # on the device
    device.copy_to_device(x)
    np.asarray(out)
    assert (transfers.to_device, transfers.to_host) == (2, 2)
    assert (transfers.bytes_to_device, transfers.bytes_to_host) == (40, 40)
    transfers.reset()
    assert (transfers.to_device, transfers.bytes_to_host) == (0, 0)


def test_reading_and_writing_an_element_is_a_transfer(x):
    device = cuda.to_device(x)
    transfers.reset()
    assert device[1] == 1
    assert (transfers.to_host, transfers.bytes_to_host) == (1, 4)
    device[1] = 3
    assert (transfers.to_device, transfers.bytes_to_device) == (1, 4)


def test_new_arrays_hold_nothing_that_passes_for_a_result():
    for dtype in (np.float32, np.float64, float32, "float32"):
        array = cuda.device_array((2, 3), dtype)
        assert array.shape == (2, 3) and np.isnan(array.copy_to_host()).all()
    assert cuda.device_array(3).dtype == np.float64
    assert cuda.device_array(3, np.int32).copy_to_host().all()
    like = cuda.device_array_like(np.asfortranarray(np.zeros((2, 3), np.int16)))
    assert like.is_f_contiguous() and like.dtype == np.int16 and like.shape == (2, 3)


def test_views_of_a_device_array():
    numbers = np.arange(12, dtype=np.float32)
    device = cuda.to_device(numbers)
    plane = device.reshape(3, 4)
    assert plane.shape == device.reshape((3, 4)).shape == (3, 4)
    assert device.reshape(2, -1).shape == (2, 6)
    assert plane.T.shape == (4, 3) and plane.transpose().shape == (4, 3)
    assert plane.T.is_f_contiguous() and not plane.T.is_c_contiguous()
    np.testing.assert_array_equal(plane.T.copy_to_host(), numbers.reshape(3, 4).T)
    np.testing.assert_array_equal(plane[1].copy_to_host(), numbers[4:8])
    np.testing.assert_array_equal(plane[1:, 2].copy_to_host(), numbers.reshape(3, 4)[1:, 2])
    assert plane[2, 3] == 11 and plane.ravel().shape == (12,) and len(plane) == 3
    assert (plane.size, plane.ndim, plane.nbytes, plane.strides) == (12, 2, 48, (16, 4))
    double[1, 4](plane[0], plane[1])  # a view shares memory
    assert device.copy_to_host()[4:8].tolist() == [0, 2, 4, 6]
    out = cuda.device_array((4, 3), np.float32)
    transposed[1, (4, 4)](plane.T, out)
    np.testing.assert_array_equal(out.copy_to_host(), plane.copy_to_host().T)


@cuda.jit
def transposed(x, y):
    i, j = cuda.grid(2)
    if i < x.shape[0] and j < x.shape[1]:
        y[i, j] = x[i, j]


HOST_ARITHMETIC = {
    "d + 1": lambda d: d + 1,
    "1 - d": lambda d: 1 - d,
    "d * d": lambda d: d * d,
    "d @ d": lambda d: d @ d,
    "d / 2": lambda d: d / 2,
    "d // 2": lambda d: d // 2,
    "2 // d": lambda d: 2 // d,
    "d % 2": lambda d: d % 2,
    "d ** 2": lambda d: d**2,
    "2 ** d": lambda d: 2**d,
    "-d": lambda d: -d,
    "abs(d)": lambda d: abs(d),
    "d > 0": lambda d: d > 0,
    "d == array": lambda d: d == np.ones(5),
    "d != 1": lambda d: d != 1,
    "scalar * d": lambda d: np.float32(1) * d,
    "array + d": lambda d: np.ones(5) + d,
    "np.exp": lambda d: np.exp(d),
    "np.add": lambda d: np.add(np.ones(5), d),
    "bool": lambda d: bool(d),
    "d += 1": lambda d: d.__iadd__(1),
    "float": lambda d: float(d[:1]),
}


@pytest.mark.parametrize("action", HOST_ARITHMETIC.values(), ids=HOST_ARITHMETIC)
def test_the_host_does_not_compute_with_device_arrays(action, x):
    device = cuda.to_device(x)
    with pytest.raises(TypeError, match=r"copy_to_host\(\)"):
        action(device)


def test_a_device_array_shows_what_it_is(x):
    text = repr(cuda.to_device(x))
    assert "(5,)" in text and "float32" in text and "copy_to_host" in text


def test_what_is_on_the_device(x):
    device = cuda.to_device(x)
    assert cuda.is_cuda_array(device) and not cuda.is_cuda_array(x)
    assert cuda.as_cuda_array(device) is device
    with pytest.raises(TypeError, match="to_device"):
        cuda.as_cuda_array(x)
    assert cuda.pinned_array(3, np.float32).shape == (3,)
    assert cuda.to_device([1.0, 2.0]).shape == (2,)


def test_hints_about_copies_and_devices(x):
    out = np.zeros_like(x)
    double[1, x.size](cuda.In(x), cuda.Out(out))
    assert np.array_equal(out, 2 * x)
    assert cuda.pinned_array_like(x).shape == x.shape == cuda.mapped_array_like(x).shape
    assert "no GPU" in repr(cuda.select_device(0))
    with cuda.defer_cleanup():
        double[1, x.size, cuda.external_stream(0)](x, out)
    cuda.close()


def test_host_memory_that_is_pinned_for_a_while(x, y):
    with cuda.pinned(x, y):
        double[1, 8](x, y)
    assert y.tolist() == [0, 2, 4, 6, 8]


def test_host_arrays_are_changed_in_place(x):
    double[1, 8](x, x)
    assert x.tolist() == [0, 2, 4, 6, 8]
    both = np.zeros((2, 5), np.float32)
    double[1, 8](x, both[1])
    assert both.tolist() == [[0] * 5, [0, 4, 8, 12, 16]]


def test_out_of_date_copies_of_a_device_array(x):
    device = cuda.to_device(x)
    before = device.copy_to_host()
    double[1, 8](device, device)
    assert before.tolist() == [0, 1, 2, 3, 4]


# --------------------------------------------------------------------------- streams, other ways


@cuda.jit
def slow(out):
    total = 0
    for k in range(3_000_000):
        total = (total * 3 + k) % 1000003
    out[0] = total


def test_events_tell_the_time_that_passed():
    out = np.zeros(1, np.int64)
    slow[1, 1](out)
    start, end = cuda.event(), cuda.event(timing=True)
    began = time.perf_counter()
    start.record()
    slow[1, 1](out)
    end.record()
    end.synchronize()
    passed = (time.perf_counter() - began) * 1e3
    elapsed = cuda.event_elapsed_time(start, end)
    assert 0 < elapsed <= passed and elapsed > passed / 4
    assert start.elapsed_time(end) == elapsed if hasattr(start, "elapsed_time") else True
    assert cuda.event_elapsed_time(start, start) == 0
    assert end.query()
    with pytest.raises(ValueError, match="record"):
        cuda.event_elapsed_time(cuda.event(), end)


def test_streams(x, y):
    stream = cuda.stream()
    device = cuda.to_device(x, stream=stream)
    out = cuda.device_array_like(device, stream=stream)
    double[1, 8, stream](device, out)
    out.copy_to_host(y, stream=stream)
    stream.synchronize()
    assert y.tolist() == [0, 2, 4, 6, 8]
    with stream.auto_synchronize():
        double[1, 8, stream](y, y)
    cuda.synchronize()
    assert y.tolist() == [0, 4, 8, 12, 16]
    event = cuda.event()
    event.record(stream)
    event.wait(stream)
    for other in (cuda.default_stream(), cuda.per_thread_default_stream(), 0, None):
        double[1, 8, other](x, y)


def test_forall(x, y):
    double.forall(5)(x, y)
    assert y.tolist() == [0, 2, 4, 6, 8]
    double.forall(len(x), tpb=2)(y, y)
    assert y.tolist() == [0, 4, 8, 12, 16]


def test_forall_of_nothing_starts_nothing(x, y):
    double.forall(0)(x, y)
    assert not y.any()


def test_a_configured_kernel_can_be_kept(x, y):
    configured = double[1, 8]
    configured(x, y)
    configured(y, y)
    assert y.tolist() == [0, 4, 8, 12, 16]
    configured(np.arange(2), np.zeros(2))


@cuda.jit
def dynamic(y):
    buffer = cuda.shared.array(0, float32)
    t = cuda.threadIdx.x
    buffer[t] = t
    cuda.syncthreads()
    y[t] = buffer[cuda.blockDim.x - 1 - t]


@pytest.mark.parametrize("engine", ENGINES)
def test_dynamic_shared_memory_has_the_bytes_of_the_launch(engine):
    y = np.zeros(7, np.float32)
    with lab.engine(engine):
        dynamic[1, 7, 0, 28](y)
        assert y.tolist() == [6, 5, 4, 3, 2, 1, 0]
        for _ in range(3):  # also once the launch with enough bytes has been seen
            with pytest.raises(OutOfBounds, match=r"buffer\[t\]"):
                dynamic[1, 7, 0, 24](y)
            with pytest.raises(OutOfBounds):
                dynamic[1, 7](y)


@cuda.jit(fastmath=True, lineinfo=True, max_registers=64)
def of_options(x):
    i = cuda.grid(1)
    if i < x.size:
        x[i] += 1


@cuda.jit(opt=True, debug=False, cache=False)
def of_other_options(x):
    i = cuda.grid(1)
    if i < x.size:
        x[i] += 1


def test_options_of_jit(x):
    of_options[1, 8](x)
    of_other_options[1, 8](x)
    assert x.tolist() == [2, 3, 4, 5, 6]


def test_signatures(x):
    @cuda.jit("void(float32[:])")
    def of_a_signature(x):
        i = cuda.grid(1)
        if i < x.size:
            x[i] += 1

    of_a_signature[1, 8](x)
    assert x.tolist() == [1, 2, 3, 4, 5]

    @cuda.jit("(float64[:], int32)")
    def of_a_short_signature(x, n):
        i = cuda.grid(1)
        if i < n:
            x[i] += 1

    wide = np.zeros(3)
    of_a_short_signature[1, 4](wide, 2)
    assert wide.tolist() == [1, 1, 0]

    @cuda.jit((float32[:, :], float64))
    def of_a_signature_of_types(x, s):
        i, j = cuda.grid(2)
        x[i, j] *= s

    plane = np.ones((2, 2), np.float32)
    of_a_signature_of_types[1, (2, 2)](plane, 2.0)
    assert plane.tolist() == [[2, 2], [2, 2]]


def test_a_signature_is_checked_where_the_kernel_is_defined():
    with pytest.raises(Refused, match="bad"):

        @cuda.jit("void(float32[:])")
        def bad(x):
            x.append(1)


@cuda.jit
def of_short_names(x, y):
    tile = cuda.shared.array(8, float32)
    t = cuda.threadIdx.x
    i = grid(1)
    if i < x.size:
        tile[t] = x[i]
    syncthreads()
    for k in range(i, x.size, gridsize(1)):
        cuda.atomic.add(y, k, tile[t])


@cuda.jit
def of_a_name_that_cuda_does_not_know_alone(x):
    x[threadIdx.x] = 0


@pytest.mark.parametrize("engine", ENGINES)
def test_names_imported_from_numba_cuda(engine, x, y):
    with lab.engine(engine):
        of_short_names[2, 3](x, y)
        assert y.tolist() == x.tolist()
        with pytest.raises(Refused, match="threadIdx"):  # numba.cuda wants cuda.threadIdx
            of_a_name_that_cuda_does_not_know_alone[1, 1](x)


def test_a_dispatcher_keeps_what_it_has():
    assert double.__name__ == "double" and callable(double.py_func)
    assert cuda.get_current_device().WARP_SIZE == 32
    assert "no GPU" in lab.device()
    assert len(cuda.get_current_device().compute_capability) == 2
    assert cuda.is_available() in (True, False)


# ------------------------------------------------------------------------------------- refusals


@cuda.jit
def with_list(x):
    x.append(1.0)


@cuda.jit
def with_own_list(x):
    values = []
    values.append(x[0])
    x[0] = values[0]


@cuda.jit
def with_dict(x):
    table = {1: 2.0}
    x[0] = table[1]


@cuda.jit
def with_try(x):
    try:
        x[0] = 1 / x[1]
    except ZeroDivisionError:
        x[0] = 0


@cuda.jit
def with_value(x):
    i = cuda.grid(1)
    return x[i]


@cuda.jit
def with_random(x):
    x[0] = np.random.rand()


@cuda.jit
def with_exp(x):
    y = np.exp(x)
    x[0] = y[0]


@cuda.jit
def with_fstring(x):
    print(f"x is {x[0]}")


@cuda.jit
def with_format(x):
    print("x is %d" % x[0])  # noqa: UP031


@cuda.jit
def with_format_method(x):
    print("x is {}".format(x[0]))  # noqa: UP032


@cuda.jit
def with_shape_of_run_time(x):
    tile = cuda.shared.array(x.size, float32)
    tile[0] = x[0]
    x[0] = tile[0]


@cuda.jit
def with_comprehension(x):
    x[0] = sum([v for v in x])


@cuda.jit
def with_zeros(x):
    y = np.zeros(3)
    x[0] = y[0]


@cuda.jit
def with_unknown_name(x):
    x[0] = undefined_name  # noqa: F821


@cuda.jit
def with_array_sum(x):
    x[0] = x + 1


@cuda.jit
def with_lambda_and_with(x):
    with open("file") as f:
        x[0] = f


@cuda.jit
def with_typo(x):
    i = cuda.thredIdx.x
    x[i] = 0


@cuda.jit
def with_undefined_variable(x):
    value = "text"
    if x[0] < 1e30:
        value = 1
    x[0] = value


@pytest.mark.parametrize(
    ("kernel", "line"),
    [
        (with_list, 2),
        (with_own_list, 3),
        (with_dict, 2),
        (with_try, 2),
        (with_value, 3),
        (with_random, 2),
        (with_exp, 2),
        (with_fstring, 2),
        (with_format, 2),
        (with_format_method, 2),
        (with_shape_of_run_time, 2),
        (with_comprehension, 2),
        (with_zeros, 2),
        (with_unknown_name, 2),
        (with_array_sum, 2),
        (with_lambda_and_with, 2),
        (with_typo, 2),
        (with_undefined_variable, 5),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
@pytest.mark.parametrize("engine", ["auto", "py"])
def test_what_cuda_refuses_is_refused_with_its_line(kernel, line, engine, x):
    before = x.copy()
    with lab.engine(engine), pytest.raises(Refused) as caught:
        kernel[1, 1](x)
    message = str(caught.value)
    first = kernel.py_func.__code__.co_firstlineno
    where = range(first + line - 1, first + line + 2)
    assert kernel.__name__ in message
    assert any(f"line {number}:" in message for number in where), message
    assert len(message) < 700
    assert "\x1b" not in message
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize(
    ("kernel", "words"),
    [
        (with_value, "return"),
        (with_shape_of_run_time, "constant"),
        (with_unknown_name, "undefined_name"),
        (with_typo, "thredIdx"),
        (with_list, "append"),
        (with_random, "random"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_refusal_names_what_is_refused(kernel, words, x):
    with pytest.raises(Refused, match=words):
        kernel[1, 1](x)


def test_a_kernel_without_source():
    names = {"cuda": cuda}
    exec("@cuda.jit\ndef made(x):\n    x[0] = 1\n", names)
    with pytest.raises(NoSource, match=r"made.*(cell|file)"):
        names["made"][1, 1](np.zeros(1))


# ------------------------------------------------------------------- one name, several kernels


def test_a_kernel_defined_again_is_the_new_one(x):
    @cuda.jit
    def again(x):
        x[cuda.grid(1)] = 1

    again[1, 5](x)
    first = again

    @cuda.jit
    def again(x):
        x[cuda.grid(1)] = 2

    again[1, 5](x)
    assert x.tolist() == [2] * 5
    first[1, 5](x)
    assert x.tolist() == [1] * 5


def make(constant, table):
    @cuda.jit
    def filled(x):
        i = cuda.grid(1)
        x[i] = constant + table[i]

    return filled


def test_closures_with_different_constants_are_different_kernels():
    one = make(1, (0, 0))
    two = make(2, (0, 5))
    third = make(2.5, (0, 5))
    for engine in ENGINES:
        with lab.engine(engine):
            for kernel, expected in ((one, [1, 1]), (two, [2, 7]), (third, [2.5, 7.5])) * 2:
                x = np.zeros(2)
                kernel[1, 2](x)
                assert x.tolist() == expected


def test_closures_with_different_arrays_are_different_kernels():
    arrays = [np.array([1.0, 2.0]), np.array([3.0, 4.0])]
    kernels = [make(0, array) for array in arrays]
    for engine in ENGINES:
        with lab.engine(engine):
            for kernel, array in zip(kernels, arrays):
                x = np.zeros(2)
                kernel[1, 2](x)
                assert x.tolist() == array.tolist()


def make_with_function(function):
    @cuda.jit
    def applied(x):
        i = cuda.grid(1)
        x[i] = function(x[i])

    return applied


def test_closures_with_different_device_functions_are_different_kernels():
    @cuda.jit(device=True)
    def up(v):
        return v + 1

    @cuda.jit(device=True)
    def down(v):
        return v - 1

    for engine in ENGINES:
        with lab.engine(engine):
            for function, expected in ((up, 1), (down, -1)):
                x = np.zeros(2)
                make_with_function(function)[1, 2](x)
                assert x.tolist() == [expected] * 2


SIZE = 4


def test_a_constant_that_changes_between_two_definitions():
    global SIZE

    def define():
        @cuda.jit
        def sized(out):
            tile = cuda.shared.array(SIZE, float32)
            out[0] = len(tile) + 10 * SIZE

        return sized

    out = np.zeros(1)
    try:
        SIZE = 4
        first = define()
        first[1, 1](out)
        assert out[0] == 44
        SIZE = 6
        second = define()
        second[1, 1](out)
        assert out[0] == 66
        first[1, 1](out)  # compiled: it keeps what it has seen, as on a GPU
        assert out[0] == 44
    finally:
        SIZE = 4


# ------------------------------------------------------------------------------------ the engines


@cuda.jit
def talkative(x):
    i = cuda.grid(1)
    if i < x.size:
        print("thread", i, x[i])


def test_the_py_engine_prints(capsys, x):
    with lab.engine("py"):
        talkative[1, 8](x)
    out = capsys.readouterr().out
    assert "thread 0 0.0" in out and "thread 4 4.0" in out and "thread 5" not in out


def test_print_works_without_an_engine_that_is_chosen(capfd, x):
    talkative[1, 8](x)
    sys.stdout.flush()
    assert "thread 4 4.0" in capfd.readouterr().out


def test_engines_are_chosen_for_a_while(x, y):
    before = State.engine
    with lab.engine("gen"):
        assert "gen" in lab.device()
        double[1, 8](x, y)
        with lab.engine("py"):
            double[1, 8](y, y)
    assert State.engine == before
    assert y.tolist() == [0, 4, 8, 12, 16]
    with pytest.raises(LaunchError, match=r"'fast'.*split, gen, py"), lab.engine("fast"):
        pass
    with pytest.raises(KeyError), lab.engine("py"):
        raise KeyError
    assert State.engine == before


@cuda.jit
def halve(x, y):
    i = cuda.grid(1)
    if i < x.size:
        y[i] = x[i] * x[i] + x[i]


def test_float16_runs_and_says_so_once(capsys):
    x = np.array([1, 2, 0.1], np.float16)
    y = np.zeros(3, np.float16)
    halve[1, 4](x, y)
    halve[1, 4](x, y)
    halve[2, 4](x, y)
    np.testing.assert_array_equal(y, x * x + x)
    out = capsys.readouterr().out
    assert out.count("halve") == 1 and "py" in out and "float16" in out


CODE = """
import numpy as np
from numba import cuda
from course import kernellab as lab
from course import kernellab
import importlib
importlib.reload(lab)
print(lab.device())
"""

LAUNCHES = """
import numpy as np
from numba import cuda
from course import kernellab as lab

def one(x):
    x[0] = 1.0

def two(x):
    x[0] = 2.0

for function in (one, two, one):
    cuda.jit(function)[1, 1](np.zeros(1))
"""


def test_importing_says_nothing_and_the_first_launch_says_where_it_runs(tmp_path):
    said = "kernels run on the processor"
    program = tmp_path / "launches.py"  # a file: kernels need their source
    program.write_text(LAUNCHES)
    done = python(CODE)
    launched = python(f"import runpy; runpy.run_path({str(program)!r})", KERNELLAB_ENGINE="py")
    assert done.returncode == launched.returncode == 0, done.stderr + launched.stderr
    assert (done.stdout.count(said), launched.stdout.count(said)) == (0, 1)
    assert done.stderr == ""


@pytest.mark.parametrize("engine", ENGINES)
def test_the_engine_of_the_environment(engine):
    done = python(CODE, KERNELLAB_ENGINE=engine)
    assert done.returncode == 0, done.stderr
    assert f"engine '{engine}'" in done.stdout


def test_an_unknown_engine_of_the_environment_is_refused(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        "import numpy as np\nfrom numba import cuda\nfrom course import kernellab\n"
        "@cuda.jit\ndef k(x):\n    x[0] = 1\n\nk[1, 1](np.zeros(1))\n"
    )
    done = python(f"import runpy; runpy.run_path({str(program)!r})", KERNELLAB_ENGINE="fast")
    assert done.returncode == 1
    assert "no engine 'fast'" in done.stderr and "split, gen, py" in done.stderr


def test_kernellab_0_leaves_numba_alone():
    done = python(
        "from numba import cuda\n"
        "call = cuda.dispatcher.CUDADispatcher.__getitem__\n"
        "device = cuda.to_device\n"
        "from course import kernellab\n"
        "print(cuda.dispatcher.CUDADispatcher.__getitem__ is call, cuda.to_device is device)\n",
        KERNELLAB="0",
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["True", "True"]


def test_numbas_simulator_and_the_lab_do_not_go_together():
    done = python("from course import kernellab", NUMBA_ENABLE_CUDASIM="1")
    assert done.returncode == 1
    assert "NUMBA_ENABLE_CUDASIM" in done.stderr.splitlines()[-1]
    assert "unset" in done.stderr


def test_two_threads_launch_at_once():
    @cuda.jit
    def busy(x, n):
        tile = cuda.shared.array(32, float64)
        t = cuda.threadIdx.x
        tile[t] = x[t]
        cuda.syncthreads()
        for _ in range(n):
            tile[t] += 1
        cuda.syncthreads()
        x[t] = tile[31 - t]

    results, errors = {}, []

    def work(number):
        try:
            for _ in range(20):
                x = np.full(32, float(number))
                busy[1, 32](x, 100 + number)
                assert (x == 100 + 2 * number).all()
            results[number] = x
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert len(results) == 4
