"""Running what has been planned: compile each kernel once, give it memory, count what it does."""

import contextlib
import hashlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from course.lazy.codegen import Source, generate
from course.lazy.ir import VIEWS, Node, Views, in_order, view_array
from course.lazy.schedule import Kernel, plan, stored_nodes


@dataclass
class Launch:
    """One kernel or call that has been run.

    Attributes:
        function: the compiled kernel, or what numpy runs.
        outputs: the arrays that were written.
        inputs: the arrays that were read, each with the views through which it was read.
        constants: the numbers that came with them.
        source: of a kernel; "" for a call.
    """

    function: Callable[..., Any]
    outputs: list[np.ndarray]
    inputs: list[tuple[np.ndarray, Views]]
    constants: list[np.generic]
    source: str = ""

    @property
    def name(self) -> str:
        """What to call it in lists."""
        return "kernel" if self.source else getattr(self.function, "__name__", "call")


def bytes_read(launch: Launch) -> int:
    """The memory that a launch's inputs take, in bytes. An array that is read twice counts once."""
    arrays = {id(array): array for array, _ in launch.inputs}
    return sum(array.nbytes for array in arrays.values())


def bytes_written(launch: Launch) -> int:
    """The memory that a launch's outputs take, in bytes."""
    return sum(array.nbytes for array in launch.outputs)


@dataclass
class Work:
    """What has been run within `with count() as work:`."""

    launches: list[Launch] = field(default_factory=list)

    @property
    def kernels(self) -> int:
        """How many kernels and calls there were."""
        return len(self.launches)

    @property
    def bytes(self) -> int:
        """How much memory they read and wrote."""
        return sum(bytes_read(launch) + bytes_written(launch) for launch in self.launches)

    def __str__(self) -> str:
        rows = [
            f"{i:3}  {launch.name:12} reads {bytes_read(launch):9,} B, writes {bytes_written(launch):9,} B"
            for i, launch in enumerate(self.launches)
        ]
        kernels = "1 kernel" if self.kernels == 1 else f"{self.kernels} kernels"
        return "\n".join([*rows, f"{kernels}, {self.bytes:,} B moved"])


class _Settings:
    """What there is one of."""

    fuse = True
    compile = True
    watchers: list[Work] = []  # noqa: RUF012  (one for all, on purpose)


settings = _Settings()


@contextlib.contextmanager
def count() -> Iterator[Work]:
    """Count the kernels that run within the block, and the bytes that they move."""
    work = Work()
    settings.watchers.append(work)
    try:
        yield work
    finally:
        settings.watchers.remove(work)


@contextlib.contextmanager
def fusion(on: bool) -> Iterator[None]:
    """Within the block, fuse; or do not, so that each operation is a kernel of its own."""
    before, settings.fuse = settings.fuse, on
    try:
        yield
    finally:
        settings.fuse = before


@contextlib.contextmanager
def uncompiled() -> Iterator[None]:
    """Within the block, kernels run as plain Python: slow, and open to print and to a debugger."""
    before, settings.compile = settings.compile, False
    try:
        yield
    finally:
        settings.compile = before


def realise(roots: Sequence[Node]) -> None:
    """Compute what these nodes say, and what has to be stored on the way; each keeps its `data`."""
    asked, roots = roots, [behind_reshapes(node) for node in roots]
    plan_and_run([node for node in roots if node.data is None])
    for node, base in zip(asked, roots):
        if node.data is None:
            node.data, node.inputs = _data(base).reshape(node.shape), ()


def behind_reshapes(node: Node) -> Node:
    """The node that has the same numbers in the same order, in its own shape."""
    while node.op == "reshape" and node.data is None:
        node = node.inputs[0]
    return node


def plan_and_run(roots: Sequence[Node]) -> None:
    """Decide what is stored and by which kernels, and run these."""
    order = in_order(roots)
    stored = stored_nodes(roots, order, settings.fuse)
    for step in plan(order, stored, settings.fuse):
        if isinstance(step, Kernel):
            run_kernel(step, stored)
        else:
            run_call(step)
    for node in stored:
        node.inputs = ()  # so that the graph behind it can be freed


def run_kernel(kernel: Kernel, stored: set[Node]) -> None:
    """Write, compile and run one kernel."""
    source = generate(kernel, stored)
    for node in source.stores:
        node.data = np.empty(node.shape, node.dtype)
    launch = Launch(
        compiled(source.text),
        [_data(node) for node in source.stores],
        [(_data(node), ()) for node in source.loads],
        source.constants,
        source.text,
    )
    start(launch)


def run_call(node: Node) -> None:
    """Let numpy run one function."""
    inputs = []
    for x in node.inputs:
        views: Views = ()
        while x.op in VIEWS and x.data is None:
            views, x = (*views, x), x.inputs[0]
        inputs.append((_data(x), views))
    launch = Launch(node.arg, [], inputs, [])
    start(launch)
    (node.data,) = launch.outputs


def tell(launch: Launch) -> None:
    """Let everybody who counts know of a launch."""
    for work in settings.watchers:
        work.launches.append(launch)


def start(launch: Launch) -> None:
    """Run a launch on its arrays. A call's outputs are new arrays; a kernel's are there already."""
    tell(launch)
    if launch.source:
        arrays = [*launch.outputs, *[array for array, _ in launch.inputs]]
        launch.function(*[array.reshape(-1) for array in arrays], *launch.constants)
        return
    arrays = []
    for array, views in launch.inputs:
        for view in reversed(views):
            array = view_array(array, view)
        arrays.append(array)
    results = launch.function(*arrays)
    results = results if isinstance(results, tuple) else (results,)
    launch.outputs = [in_c_order(x) for x in results]


def in_c_order(x: Any) -> np.ndarray:
    """A numpy array whose elements lie in reading order, without gaps: x itself, or a copy."""
    array = np.asarray(x)
    return array if array.flags.c_contiguous else array.copy()


def _data(node: Node) -> np.ndarray:
    assert node.data is not None, f"{node.op} has not been computed"
    return node.data


# ---------------------------------------------------------------- compiling

_compiled: dict[str, Callable[..., None]] = {}
HEADER = "import math\n\nimport numpy as np\n\n\n"


def compiled(text: str) -> Callable[..., None]:
    """The function that numba makes of a kernel's source: compiled once, and kept on disk if possible.

    error_model: a division by 0 gives inf, as in numpy. fastmath: sums may be taken in another order,
    so that several elements are added at once; inf and nan stay what they are.
    """
    if not settings.compile:
        names = {"math": np, "np": np}  # numpy's functions take numbers too, and never raise
        exec(compile(text, "kernel", "exec"), names)
        return names["kernel"]  # type: ignore[return-value]
    if text not in _compiled:
        import numba

        module, on_disk = _module(text)
        fastmath = {"reassoc", "contract", "arcp", "nsz"}
        make = numba.njit(cache=on_disk, error_model="numpy", fastmath=fastmath)
        _compiled[text] = make(module.kernel)
    return _compiled[text]


def _module(text: str) -> tuple[ModuleType, bool]:
    """The source as a module, and whether it is in a file: numba keeps compiled code beside that."""
    name = f"kernel_{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    folder = Path(
        os.environ.get("COURSE_LAZY_CACHE") or Path(__file__).parent / "__pycache__/kernels"
    )
    module = ModuleType(name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"{name}.py"
        if not file.exists():
            unfinished = folder / f"{name}.{os.getpid()}"
            unfinished.write_text(HEADER + text)
            unfinished.replace(file)
        spec = importlib.util.spec_from_file_location(name, file)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # where numba looks for it when it loads compiled code
        spec.loader.exec_module(module)
        return module, os.access(folder, os.W_OK)
    except OSError:
        exec(compile(HEADER + text, name, "exec"), vars(module))
        return module, False


def written(roots: Sequence[Node]) -> list[Source]:
    """The kernels that realising these nodes would run, as source; nothing is run.

    Calls among them have no source, and are left out.
    """
    order = in_order(roots)
    stored = stored_nodes([x for x in roots if x.data is None], order, settings.fuse)
    steps = plan(order, stored, settings.fuse)
    return [generate(step, stored) for step in steps if isinstance(step, Kernel)]
