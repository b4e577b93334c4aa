"""`kernel[grid, block](...)` on this computer, where there is no GPU.

With numba-cuda and without a driver, everything of a kernel works but its launch. `install` puts the
lab's launch there. On a machine with a driver it puts nothing anywhere: kernels run on the GPU.
"""

import contextlib
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np
from numba import cuda
from numba.core.errors import NumbaError
from numba.cuda.args import ArgHint

from course.kernellab import memory, streams
from course.kernellab.errors import LaunchError
from course.kernellab.infer import COMPUTE_CAPABILITY, check_types, explain
from course.kernellab.limits import Launch, launch_shape, validate
from course.kernellab.program import (
    ENGINES,
    Typed,
    argument_type,
    look_again,
    nothing,
    program,
)

MOST_SHAPES = 1000
"""Shapes of launches that are remembered for a kernel."""


class State:
    """What is chosen."""

    on = False
    engine = os.environ.get("KERNELLAB_ENGINE", "auto")
    generation = 0  # counted up when all kernels are to be looked at anew
    announced = False  # whether it was said that kernels run here
    said: ClassVar[set[tuple[str, str]]] = set()  # which engines stood back for which kernels


class LabDevice:
    """What `cuda.get_current_device()` says."""

    compute_capability = COMPUTE_CAPABILITY
    id = 0
    name = b"kernellab: this computer, no GPU"
    WARP_SIZE = 32
    MAX_THREADS_PER_BLOCK = 1024
    MULTIPROCESSOR_COUNT = 1
    MAX_SHARED_MEMORY_PER_BLOCK = 48 * 1024

    def __repr__(self) -> str:
        return "<kernellab: kernels run on this computer, no GPU>"


class Configured:
    """A kernel with its launch's shape: what `kernel[grid, block]` is."""

    def __init__(self, kernel: Any, config: Any) -> None:
        self.kernel = kernel
        self.launch = launch_shape(config)

    def __call__(self, *arguments: Any) -> None:
        """Launches the kernel."""
        run(self.kernel, self.launch, arguments)


def run(kernel: Any, launch: Launch, arguments: Sequence[Any], engine: str | None = None) -> None:
    """One launch in the lab.

    Args:
        kernel: what `@cuda.jit` made, or a plain function.
        launch: its shape.
        arguments: numpy arrays, which the kernel changes in place, device arrays, numbers.
        engine: "split", "gen", "py", or "auto" for the first of these that can.

    Raises:
        LaunchError, Refused, Unsupported, OutOfBounds: see there.
    """
    wanted = engine or State.engine
    values = [a if type(a) is np.ndarray else _value(a) for a in arguments]
    key = (launch, wanted, *map(_key, values))
    known = _known(kernel)
    try:
        entry = known.get(key)
    except TypeError:  # a list, or what else has no hash
        for value in values:
            argument_type(value)
        raise
    if entry is None:
        if len(known) >= MOST_SHAPES:  # a number that is another one each time
            known.clear()
        entry = known[key] = _prepare(kernel, launch, values, wanted)
    typed, chosen, known_shape = entry
    try:
        if chosen == "split":
            entry[2] = typed.run_split(launch, values, known_shape)
        elif chosen == "gen":
            typed.run_gen(launch, values)
        else:
            typed.run_py(launch, values)
    except NumbaError as error:  # nothing has run: it does not compile
        reason = explain(typed.program.function, str(error), "numba cannot compile it here")
        typed.why[chosen] = reason.splitlines()[0]
        known.pop(key, None)
        run(kernel, launch, arguments, engine)


def _value(argument: Any) -> Any:
    """What a kernel gets for an argument: the array behind a device array, or in cuda.In(...)."""
    if isinstance(argument, memory.DeviceArray):
        return argument._array
    return _value(argument.value) if isinstance(argument, ArgHint) else argument


def _known(kernel: Any) -> dict[tuple, list]:
    """The launches of a kernel that are prepared, by shape."""
    try:
        generation, known = kernel._kernellab
        if generation == State.generation:
            return known
    except AttributeError:
        pass
    kernel._kernellab = State.generation, {}
    return kernel._kernellab[1]


def forget_compiled() -> None:
    """Look at each kernel anew when it is launched: a function that it calls may be another one now."""
    State.generation += 1
    look_again()


def _key(value: Any) -> Any:
    """What decides the indices of a launch: shapes of arrays, values of numbers."""
    if isinstance(value, np.ndarray):
        return value.shape, value.strides, value.dtype
    if isinstance(value, tuple):
        return tuple(map(_key, value))
    if isinstance(value, (float, np.floating, complex)):
        return type(value)  # what depends on floats is checked as if it depended on data
    return type(value), value


def _prepare(kernel: Any, launch: Launch, values: list[Any], wanted: str) -> list:
    if wanted not in (*ENGINES, "auto"):
        raise LaunchError(f"there is no engine {wanted!r}: choose from {', '.join(ENGINES)}.")
    options = getattr(kernel, "targetoptions", {})
    if options.get("device"):
        raise LaunchError(
            f"{kernel.__name__} is a device function: kernels call it, and it cannot be launched."
        )
    for value in values:
        if isinstance(value, np.ndarray):
            memory.contiguous(value)
    of = program(kernel)
    typed = of.of(values)
    validate(launch, of.lowered.tables.shared)
    if State.on and not State.announced:
        State.announced = True
        print("kernellab: kernels run on the processor here, not on a GPU.")
    chosen = typed.engine(wanted)
    if wanted == "auto" and chosen != "split":
        _say(of.name, chosen, typed)
    return [typed, chosen, ""]


def _say(name: str, chosen: str, typed: Typed) -> None:
    """That an engine had to stand back, once for each kernel."""
    if (name, chosen) not in State.said:
        State.said.add((name, chosen))
        reason = typed.cannot("split" if chosen == "gen" else "gen")
        print(f"kernellab: {name} runs on the slower engine {chosen!r}: {reason}")


@contextmanager
def engine(name: str) -> Iterator[None]:
    """Within `with engine("py"):`, kernels run on that engine."""
    if name not in (*ENGINES, "auto"):
        raise LaunchError(f"there is no engine {name!r}: choose from auto, {', '.join(ENGINES)}.")
    before, State.engine = State.engine, name
    try:
        yield
    finally:
        State.engine = before


# ---------------------------------------------------------------------------- in numba.cuda's place


def install() -> bool:
    """Lets kernels run in the lab if there is no GPU. Returns whether it does.

    KERNELLAB=1 chooses the lab on a machine with a GPU too, KERNELLAB=0 never.
    """
    if State.on:
        return True
    choice = os.environ.get("KERNELLAB", "auto")
    if choice == "0" or (choice != "1" and cuda.is_available()):
        return False
    _patch()
    State.on = True
    return True


def _patch() -> None:
    from numba.cuda import dispatcher

    kernel_class: Any = dispatcher.CUDADispatcher

    def getitem(self: Any, config: Any) -> Configured:
        return Configured(self, config)

    def call(self: Any, *args: Any, **kwargs: Any) -> None:
        raise LaunchError(
            f"{self.py_func.__name__} needs the shape of its launch: "
            f"{self.py_func.__name__}[blocks, threads](...)."
        )

    def forall(self: Any, ntasks: int, tpb: int = 0, stream: Any = 0, sharedmem: int = 0) -> Any:
        if ntasks < 0:
            raise LaunchError(f"forall wants a number of tasks, got {ntasks}.")
        threads = tpb or 128
        if ntasks == 0:
            return nothing
        return Configured(self, (max(1, -(-ntasks // threads)), threads, stream, sharedmem))

    def compile_kernel(self: Any, sig: Any) -> None:
        from numba.core import sigutils

        arguments, _ = sigutils.normalize_signature(sig)
        check_types(self.py_func, arguments)

    def configure(
        self: Any, griddim: Any, blockdim: Any, stream: Any = 0, sharedmem: int = 0
    ) -> Any:
        return Configured(self, (griddim, blockdim, stream, sharedmem))

    kernel_class.__getitem__ = getitem
    kernel_class.__call__ = call
    kernel_class.forall = forall
    kernel_class.configure = configure
    kernel_class.compile = compile_kernel
    kernel_class.disable_compile = nothing  # with a signature: there is nothing compiled to keep
    dispatcher.get_current_device = LabDevice
    for name in ("to_device", "device_array", "device_array_like", "pinned_array", "pinned"):
        setattr(cuda, name, getattr(memory, name))
    cuda.mapped_array = cuda.managed_array = memory.pinned_array
    cuda.as_cuda_array, cuda.is_cuda_array = memory.as_cuda_array, memory.is_cuda_array
    stand_ins = {
        "mapped_array_like": memory.pinned_array_like,
        "pinned_array_like": memory.pinned_array_like,
        "select_device": lambda number=0: LabDevice(),
        "close": nothing,
        "external_stream": lambda pointer=0: streams.Stream(),
        "defer_cleanup": contextlib.nullcontext,
    }
    for name, value in stand_ins.items():
        setattr(cuda, name, value)
    for name in ("stream", "event", "event_elapsed_time", "synchronize"):
        setattr(cuda, name, getattr(streams, name))
    cuda.default_stream = cuda.legacy_default_stream = streams.stream
    cuda.per_thread_default_stream = streams.stream
    cuda.get_current_device = LabDevice
    warnings.filterwarnings("ignore", message="Grid size .* will likely result in GPU")


def device() -> str:
    """Where kernels run, in words."""
    if State.on:
        name = State.engine if State.engine != "auto" else "split"
        return f"this computer's processor (kernellab, engine {name!r}); no GPU"
    name = cuda.get_current_device().name
    return f"the GPU {name.decode() if isinstance(name, bytes) else name}"
