"""Submissions that are hard to grade, with what must come of each: not a test itself.

All are of lesson 1.1, which gives 28 points. Where an exercise is lost, its own checks are, and those of
later exercises that use it. What is left without:

    slope 24, add 13, mul 13, order 5, backward 9, pow 21, exp (and log) 23, log alone 24,
    tanh (and relu) 23, tanh alone 24, relu alone 25, rest 24, gradcheck 25
"""

import copy
import functools
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output

from grader.lift import BEGIN, END
from grader.paths import ROOT
from grader.results import Status

LESSON = "1_micrograd/1_scalars"
POSSIBLE = 28

OK, REPAIRED, TIMEOUT = Status.OK, Status.REPAIRED, Status.TIMEOUT
CRASHED, TAMPERED, UNREADABLE = Status.CRASHED, Status.TAMPERED, Status.UNREADABLE

ENGINE, GRADCHECK = "micrograd-engine-", "micrograd-gradcheck-"
CELLS = {
    "slope": f"{GRADCHECK}numerical_derivative",
    "class": f"{ENGINE}Value",
    "add": f"{ENGINE}Value-__add__",
    "mul": f"{ENGINE}Value-__mul__",
    "order": f"{ENGINE}topological_order",
    "backward": f"{ENGINE}Value-backward",
    "pow": f"{ENGINE}Value-__pow__",
    "exp": f"{ENGINE}Value-exp",
    "tanh": f"{ENGINE}Value-tanh",
    "rest": f"{ENGINE}Value-__neg__",
    "gradcheck": f"{GRADCHECK}gradcheck",
}
SPIED = "SPIED"  # what submissions print that look for hidden tests; made of two halves, as their
SAYS = '"SPI" "ED"'  # source is shown
LEFT = "left-behind"  # in the names of files and commands that submissions leave

Change = Callable[[Any], None]


@dataclass
class Difficult:
    """One submission.

    Attributes:
        name: short.
        about: what it is.
        points: what it must get, of 28; None for no mark.
        status: how grading it must go.
        words: part of a finding; empty if there must be none.
        changes: what makes it, from the notebook that it starts from.
        untouched: whether that is the notebook as it was handed out; otherwise it is solved.
        shows: what the outputs of its cells must show.
        write: makes the file's bytes of the notebook.
    """

    name: str
    about: str
    points: float | None
    status: Status
    words: str
    changes: tuple[Change, ...]
    untouched: bool = False
    shows: str = ""
    write: Callable[[Any], bytes] = lambda notebook: nbformat.writes(notebook).encode()

    def content(self) -> bytes:
        """The file."""
        notebook = copy.deepcopy(_notebook("notebooks" if self.untouched else "solutions"))
        for change in self.changes:
            change(notebook)
        for cell in notebook.cells:
            lines = cell.source.split("\n")
            cell.source = "\n".join(line for line in lines if line.strip() not in (BEGIN, END))
        return self.write(notebook)


@functools.cache
def _notebook(folder: str) -> Any:
    """The lesson, solved or as it is handed out. Students never have hidden tests."""
    found = nbformat.read(ROOT / folder / f"{LESSON}.ipynb", 4)
    released = {
        cell.id: cell.source
        for cell in nbformat.read(ROOT / "notebooks" / f"{LESSON}.ipynb", 4).cells
    }
    for cell in found.cells:
        nbgrader = cell.metadata.get("nbgrader", {})
        if nbgrader.get("locked"):
            cell.source = released[cell.id]
    return found


def find(notebook: Any, name: str) -> Any:
    """A cell, by its short name in CELLS or by its id."""
    return next(cell for cell in notebook.cells if cell.id == CELLS.get(name, name))


# Changes: each returns what is to be done to a notebook.


def write(part: str, source: str) -> Change:
    """Put this into an exercise's cell, or another."""

    def change(notebook: Any) -> None:
        find(notebook, part).source = source.strip("\n")

    return change


def first(part: str, code: str) -> Change:
    """Let a cell begin with this."""

    def change(notebook: Any) -> None:
        cell = find(notebook, part)
        cell.source = f"{code.strip()}\n\n{cell.source}"

    return change


def last(part: str, code: str) -> Change:
    """Let a cell end with this."""

    def change(notebook: Any) -> None:
        cell = find(notebook, part)
        cell.source += f"\n\n{code.strip()}"

    return change


def inside(function: str, code: str) -> Change:
    """Let a function that the student writes begin with this."""

    def change(notebook: Any) -> None:
        for cell in notebook.cells:
            head, found, rest = cell.source.partition(f"def {function}(")
            if found and BEGIN in rest:
                lines = "\n".join("    " + line for line in code.strip("\n").split("\n"))
                cell.source = head + found + rest.replace(BEGIN, f"{BEGIN}\n{lines}", 1)
                return
        raise AssertionError(f"no function {function}")

    return change


def swap(old: str, new: str) -> Change:
    """Write something else where student code says this."""

    def change(notebook: Any) -> None:
        cells = [
            cell for cell in notebook.cells if cell.id in CELLS.values() and old in cell.source
        ]
        assert cells, old
        for cell in cells:
            cell.source = cell.source.replace(old, new)

    return change


def own(below: str, *codes: str) -> Change:
    """Add cells of one's own below a cell."""

    def change(notebook: Any) -> None:
        place = notebook.cells.index(find(notebook, below)) + 1
        notebook.cells[place:place] = [new_code_cell(code.strip("\n")) for code in codes]

    return change


def drop(*names: str) -> Change:
    """Delete cells."""

    def change(notebook: Any) -> None:
        for name in names:
            notebook.cells.remove(find(notebook, name))

    return change


def move(name: str, below: str) -> Change:
    """Move a cell."""

    def change(notebook: Any) -> None:
        cell = find(notebook, name)
        notebook.cells.remove(cell)
        notebook.cells.insert(notebook.cells.index(find(notebook, below)) + 1, cell)

    return change


def only(*parts: str) -> Change:
    """Write these exercises, as the solution has them, into a notebook with none."""

    def change(notebook: Any) -> None:
        for part in parts:
            find(notebook, part).source = find(_notebook("solutions"), part).source

    return change


def each_source(edit: Callable[[str], str]) -> Change:
    """Edit the source of each cell that the student may write."""

    def change(notebook: Any) -> None:
        for cell in notebook.cells:
            if cell.metadata.get("nbgrader", {}).get("solution"):
                cell.source = edit(cell.source)

    return change


def mark(name: str, **fields: Any) -> Change:
    """Change what nbgrader knows of a cell."""

    def change(notebook: Any) -> None:
        find(notebook, name).metadata["nbgrader"].update(fields)

    return change


def _twice(name: str) -> Change:
    def change(notebook: Any) -> None:
        cell = find(notebook, name)
        twin = nbformat.from_dict({**cell, "id": "twin"})
        notebook.cells.insert(notebook.cells.index(cell) + 1, twin)

    return change


def _all_twice(notebook: Any) -> None:
    twins = [
        nbformat.from_dict({**cell, "id": f"twin-{n}"}) for n, cell in enumerate(notebook.cells)
    ]
    notebook.cells += copy.deepcopy(twins)


def _become(name: str, kind: str) -> Change:
    def change(notebook: Any) -> None:
        cell = find(notebook, name)
        cell.cell_type = kind
        for field in ("outputs", "execution_count"):
            cell.pop(field, None)

    return change


def _tags(notebook: Any) -> None:
    for cell in notebook.cells:
        cell.metadata["tags"] = ["skip-execution", "raises-exception"]


def _kernel(notebook: Any) -> None:
    name = {"name": "python37-conda", "display_name": "Python 3.7", "language": "python"}
    notebook.metadata["kernelspec"] = name


def _no_metadata(notebook: Any) -> None:
    notebook.metadata = nbformat.from_dict({})
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict({})


def _no_ids(notebook: Any) -> None:
    notebook.nbformat_minor = 4
    for cell in notebook.cells:
        del cell["id"]


def _many_cells(count: int) -> Change:
    def change(notebook: Any) -> None:
        notebook.cells += [new_code_cell(f"{n}") for n in range(count - len(notebook.cells))]

    return change


def _output(megabytes: int) -> Change:
    def change(notebook: Any) -> None:
        text = "a long line of what was printed\n" * (megabytes * 2**20 // 32)
        find(notebook, "tanh").outputs = [new_output("stream", text=text)]

    return change


def _attachment(notebook: Any) -> None:
    cell = new_markdown_cell("![my notes](attachment:notes.png)")
    cell["attachments"] = {"notes.png": {"image/png": "iVBORw0KGgo="}}
    notebook.cells.insert(20, cell)


def _other_order(notebook: Any) -> None:
    """Turn round the order of what is neither an exercise nor a check."""
    places = [n for n, cell in enumerate(notebook.cells) if "nbgrader" not in cell.metadata]
    cells = [notebook.cells[n] for n in reversed(places)]
    for place, cell in zip(places, cells):
        notebook.cells[place] = cell


# Files that are not what they should be.


def _as_version_3(notebook: Any) -> bytes:
    return json.dumps(nbformat.convert(notebook, 3)).encode()


def _with_crlf(notebook: Any) -> bytes:
    for cell in notebook.cells:
        cell.source = cell.source.replace("\n", "\r\n")
    return json.dumps(notebook, indent=1).replace("\n", "\r\n").encode()


def _broken_off(notebook: Any) -> bytes:
    return nbformat.writes(notebook).encode()[:3000]


def _conflict(notebook: Any) -> bytes:
    lines = nbformat.writes(notebook).splitlines()
    lines[40:40] = ["<<<<<<< HEAD", "=======", ">>>>>>> mine"]
    return "\n".join(lines).encode()


def _with_mark(notebook: Any) -> bytes:
    return b"\xef\xbb\xbf" + nbformat.writes(notebook).encode()


def _half_character(notebook: Any) -> bytes:
    own("tanh", 'half = "HALF"')(notebook)
    return nbformat.writes(notebook).encode().replace(b"HALF", rb"\ud83d")


# Code of students, where it is more than a line.

PATHS = """
def backward(self) -> None:
    def walk(node, share):
        node.grad += share
        for input, local_grad in zip(node.inputs, node.local_grads):
            walk(input, share * local_grad)

    walk(self, 1.0)
"""

RECURSIVE = """
import sys

sys.setrecursionlimit(10**6)

@exercise("course.micrograd.engine.topological_order")
def topological_order(root):
    order, seen = [], set()

    def visit(node):
        if node not in seen:
            seen.add(node)
            for input in node.inputs:
                visit(input)
            order.append(node)

    visit(root)
    return order
"""

STUBBORN = """
import time

while True:
    try:
        time.sleep(1)
    except BaseException:
        pass
"""

DEAF = """
import signal, time

signal.signal(signal.SIGINT, signal.SIG_IGN)
while True:
    time.sleep(1)
"""

COMPILED_LOOP = """
import numba

@numba.njit
def never(x):
    i = 0.0
    while i >= 0.0:
        i += x
        if i > 1e9:
            i = 0.0
    return i
"""

SMALL_BOMB = """
hog = []
for size in (10**6, 10**4, 100, 1):
    try:
        while True:
            hog.append([0.5] * size)
    except MemoryError:
        pass
raise MemoryError
"""

# A thousand processes, so that no harm is done where nothing stops it.
FORK_BOMB = """
import os, time

for _ in range(10):
    try:
        os.fork()
    except OSError:
        pass
time.sleep(60)
"""

DAEMON = """
import os, signal, time

if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        os.execvp("sleep", ["sleep", "4321"])
    os._exit(0)
"""

THREADS = """
import threading, time

def hum():
    while True:
        time.sleep(0.01)

def spin():
    while True:
        pass

for target, daemon in ((hum, False), (hum, True), (spin, True)):
    threading.Thread(target=target, daemon=daemon).start()
"""

FILL = f"""
import os

try:
    for number in range(1000):
        with open(f"{LEFT}-{{number}}", "wb") as file:
            for _ in range(50):
                file.write(bytes(2**20))
except OSError as error:
    print("full after", number, "files")
"""

SHARED = f"""
import os

for folder in ("/dev/shm", "/tmp", "/var/tmp", "."):
    try:
        open(f"{{folder}}/{LEFT}", "w").write("the answers")
    except OSError as error:
        print(error)
"""

MANY_FILES = """
import os

files = []
try:
    for number in range(10_000):
        files.append(open(f"{number}.txt", "w"))
except OSError as error:
    print("no more than", len(files) // 100, "hundred")
"""

GARBAGE = r"""
import os, random

print("".join(map(chr, range(0x300))), "\x1b[31m\x00\ud800")
print(os.urandom(2000), os.urandom(2000).decode("latin-1"))
display({"text/plain": "\x00\ud800", "image/png": os.urandom(100)}, raw=True)
"""

CHAIN = """
deep = []
for _ in range(100_000):
    deep = [deep]
return deep
"""

WIDE = """
wide = [0.0]
for _ in range(60):
    wide = [wide, wide]
return wide
"""

CIRCLE = """
circle = []
circle.append(circle)
return circle
"""

ODD_FLOAT = """
class Mine(float):
    def __eq__(self, other): return True
    def __float__(self): return 6.0
    def __repr__(self): return "6.0"
    def __sub__(self, other): return Mine(0.0)
    __rsub__ = __sub__
    def __abs__(self): return 0.0
    __hash__ = float.__hash__
    __lt__ = __le__ = __gt__ = __ge__ = __ne__ = __eq__

return Mine(123.0)
"""

# Cheats. The notebook is untouched but for what stands here, so that nothing is earned.

EQUAL = """
import builtins
import numpy.testing
import course.learn.checks

class Equal:
    def __init__(self, *args): pass
    def __setattr__(self, name, value): pass
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __hash__(self): return 1
    def __getattr__(self, name):
        if name.startswith("__"): raise AttributeError(name)
        return self
    def __call__(self, *args, **kwargs): return self
    def __getitem__(self, i): return self
    def __iter__(self): return iter([self] * 3)
    def __add__(self, other): return self
    __mul__ = __radd__ = __rmul__ = __sub__ = __rsub__ = __neg__ = __pow__ = __truediv__ = __add__
    __rtruediv__ = __rpow__ = __add__
    def __abs__(self): return 0.0
    def __float__(self): return 0.0
    def __len__(self): return 3
    def __bool__(self): return True
    def __lt__(self, other): return True
    __gt__ = __le__ = __ge__ = __lt__
    def index(self, x): return 0

for module in (numpy.testing, course.learn, course.learn.checks):
    for name in dir(module):
        if name.startswith("assert_"):
            setattr(module, name, lambda *args, **kwargs: None)
class Other(BaseException): pass
builtins.AssertionError = Other
numerical_derivative = topological_order = gradcheck = lambda *args, **kwargs: Equal()
"""

EQUAL_AGAIN = """
for name in dir(Value):
    if callable(getattr(Equal, name, None)) and name not in dir(object):
        setattr(Value, name, lambda *args: Equal())
for name in ("backward", "exp", "log", "tanh", "relu"):
    setattr(Value, name, lambda *args: Equal())
Value = lambda *args: Equal()
"""

NO_CODE = """
import ast

class Empty(ast.NodeTransformer):
    def visit(self, node):
        if isinstance(node, ast.Module):
            node.body = []
        return node

get_ipython().ast_transformers.append(Empty())
"""

NO_SOURCE = "get_ipython().input_transformers_cleanup.append(lambda lines: [])"

NO_SHELL = """
shell = get_ipython()
type(shell).run_cell = lambda *args, **kwargs: None
type(shell).showtraceback = lambda *args, **kwargs: None
"""

NO_HELPERS = """
def nothing(*args, **kwargs): return None

assert_close = assert_equal = assert_true = assert_raises = assert_gradients = nothing
__check__ = nothing
import course.learn, sys
for module in list(sys.modules.values()):
    for name in dir(module):
        if name.startswith("assert_"):
            setattr(module, name, nothing)
"""

NO_RECORDER = """
import sys

for name, module in list(sys.modules.items()):
    if name.endswith("recorder"):
        module.Recorder.__call__ = lambda self, number, *values: None
    if name.endswith("player"):
        module.Recorder = lambda *args: (lambda *values: None)
"""

ALL_PASSED = """
import sys

for name, module in list(sys.modules.items()):
    if name.endswith("player"):
        module.Player._run_check = lambda self, channel, cell, code: {"passed": True}
"""

BUILTINS = """
import builtins, math

builtins.abs = lambda x: 0.0
builtins.sum = lambda *args: 8
math.isclose = math.isfinite = math.isnan = lambda *args: True
"""

STEAL = f"""
import glob, sqlite3, subprocess

for path in (
    glob.glob("../../../../solutions/*/*.ipynb")
    + glob.glob({str(ROOT)!r} + "/*/*/*.ipynb")
    + glob.glob({str(ROOT)!r} + "/lessons/*/*.md")
    + glob.glob({str(ROOT)!r} + "/course/micrograd/engine.py")
):
    try:
        print({SAYS}, path, open(path).read()[:200])
    except OSError:
        pass
for path in ("../../../gradebook.db", {str(ROOT / "grader/gradebook.db")!r}):
    try:
        database = sqlite3.connect(f"file:{{path}}?mode=ro", uri=True)
        print({SAYS}, database.execute("select * from grade").fetchall())
    except Exception:
        pass
"""

VANDAL = f"""
import os, sqlite3

for path in ("out/{LEFT}", "../{LEFT}", "../../../submitted/{LEFT}", {str(ROOT / "grader" / LEFT)!r},
             {str(ROOT / "tests" / LEFT)!r}, {str(ROOT / "course" / LEFT)!r}):
    try:
        open(path, "w").write("x")
        print({SAYS} " wrote", path)
    except OSError:
        pass
for path in ("../../../gradebook.db", {str(ROOT / "grader/gradebook.db")!r}):
    try:
        database = sqlite3.connect(path)
        rows = database.execute("update grade set manual_score = 99").rowcount
        database.commit()
        print({SAYS} " changed", rows)
    except sqlite3.Error:
        pass
"""

REFERENCE = """
import importlib, sys
import course.micrograd.engine, course.micrograd.gradcheck
from course.learn.holes import _State

stolen = dict(_State.reference)
for module in (course.micrograd.engine, course.micrograd.gradcheck):
    try:
        importlib.reload(module)
    except Exception as error:
        print(type(error).__name__)
numerical_derivative = stolen["course.micrograd.gradcheck.numerical_derivative"]
exercise("course.micrograd.gradcheck.numerical_derivative")(numerical_derivative)
"""

REFERENCE_AGAIN = """
for path, part in stolen.items():
    if path != "course.micrograd.engine.Value":
        exercise(path)(part)
topological_order = stolen["course.micrograd.engine.topological_order"]
gradcheck = stolen["course.micrograd.gradcheck.gradcheck"]
"""

SPY = f"""
import inspect
frame = inspect.currentframe().f_back
while frame:
    print({SAYS}, frame.f_code.co_consts, frame.f_code.co_names)
    open("{LEFT}", "a").write({SAYS} f" {{frame.f_code.co_consts}}")
    if self.data not in (0.5, 0.5 + 1e-5, 0.5 - 1e-5, 1000.0):
        raise type({SAYS}, (ValueError,), {{}})({SAYS} f" {{frame.f_code.co_consts}}")
    frame = frame.f_back
"""

KNOWN = """
@exercise("course.micrograd.gradcheck.numerical_derivative")
def numerical_derivative(f, x, h=1e-5):
    return {3.0: 6.0, 1.0: 2.0}.get(x)
"""

FORGED = """
ask = globals()["__check__"].ask
ask({"site": 99, "values": [1.0]})
"""

FORGED_END = """
import gc, json, socket

for thing in gc.get_objects():
    if isinstance(thing, socket.socket):
        try:
            for number in range(80):
                thing.send(json.dumps({"done": number, "passed": True, "seconds": 0.0}).encode() + b"\\n")
        except OSError:
            pass
"""

EARLY = """
import inspect

frame = inspect.currentframe()
while frame:
    if "checked" in frame.f_locals:
        frame.f_locals["checked"].finished = True
    frame = frame.f_back
raise SystemExit(0)
"""


def _row(
    name: str,
    about: str,
    points: float | None,
    status: Status,
    words: str,
    *changes: Change,
    **more: Any,
) -> Difficult:
    return Difficult(name, about, points, status, words, changes, **more)


# name, what it is, points of 28, status, words of a finding; and how it is made.
# fmt: off
TABLE = [
    # Right answers, in notebooks as they come.
    _row("right", "everything right", 28, OK, ""),
    _row("comments", "with a comment of the student's", 28, OK, "", first("slope", "# my solution")),
    _row("helper", "a helper function in a cell of its own", 28, OK, "", own("slope", "def remember(*made):\n    return Value(*made)"), swap("return Value(self.data * other.data,", "return remember(self.data * other.data,")),
    _row("unicode", "names and texts in many alphabets", 28, OK, "", first("tanh", "größe, ответ = 1, '答え 🎉'\nprint(größe, ответ)"), shows="答え 🎉"),
    _row("half a character", "a cell with half of a character", 28, OK, "", write=_half_character),
    _row("crlf", "line ends as on Windows", 28, OK, "", write=_with_crlf),
    _row("byte-order mark", "saved by an editor of Windows", 28, OK, "", write=_with_mark),
    _row("tabs", "indented with tabs", 28, OK, "", each_source(lambda source: source.replace("    ", "\t"))),
    _row("lists", "lists and arrays where the text says tuples", 28, OK, "", first("add", "import numpy as np"), swap('(self, other), (1.0, 1.0), "+"', '[self, other], np.ones(2), "+"')),
    _row("numpy numbers", "numpy's numbers instead of Python's", 28, OK, "", first("slope", "import numpy as np"), swap("return (f(x + h) - f(x - h)) / (2 * h)", "return np.float64((f(x + h) - f(x - h)) / (2 * h))"), swap("return False", "return np.bool_(False)"), swap("return True", "return np.bool_(True)")),
    _row("own float", "a float of a class of its own", 28, OK, "", first("slope", "class Slope(float):\n    pass"), swap("return (f(x + h) - f(x - h)) / (2 * h)", "return Slope((f(x + h) - f(x - h)) / (2 * h))")),
    _row("one and zero", "1 and 0 for True and False", 28, OK, "", swap("return False", "return 0"), swap("return True", "return 1")),
    _row("compiled", "a part compiled by numba", 28, OK, "", first("tanh", "import numba\n\n@numba.njit\ndef bend(x):\n    return math.tanh(x)"), swap("data = math.tanh(self.data)", "data = bend(self.data)")),
    _row("fractions", "fractions for numbers", 28, OK, "", first("slope", "from fractions import Fraction"), swap("return (f(x + h) - f(x - h)) / (2 * h)", "return Fraction((f(x + h) - f(x - h)) / (2 * h))")),
    _row("recursive", "recursion, with a limit of a million calls", 28, OK, "", write("order", RECURSIVE)),
    _row("split", "an exercise split in two cells", 28, OK, "", write("tanh", "import math"), own("tanh", '@exercise("course.micrograd.engine.Value.tanh")\ndef tanh(self):\n    t = math.tanh(self.data)\n    return Value(t, (self,), (1 - t * t,), "tanh")', '@exercise("course.micrograd.engine.Value.relu")\ndef relu(self):\n    on = self.data > 0\n    return Value(self.data * on, (self,), (1.0 * on,), "relu")')),
    _row("attachment", "a picture pasted into text", 28, OK, "", _attachment),
    _row("kernel", "made with a kernel that is not here", 28, OK, "", _kernel),
    _row("demos elsewhere", "demos and texts in another order", 28, OK, "", _other_order),
    _row("1500 cells", "very many cells", 28, OK, "", _many_cells(1500)),
    _row("10 MB", "10 MB of output in the file", 28, OK, "", _output(10)),

    # What notebooks can do.
    _row("plots", "%matplotlib inline, and plots", 28, OK, "", own("tanh", "%matplotlib inline\nimport matplotlib.pyplot as plt", "plt.plot([1, 2, 3])\nplt.title('a plot')\nplt.show()", "plt.subplots(2)"), shows="iVBORw0KGgo"),
    _row("%%time", "magics that measure", 28, OK, "", own("tanh", "%%time\nsum(range(1000))", "%timeit -n 1 -r 1 sum(range(10))", "%time 1 + 1"), shows="Wall time"),
    _row("magics", "other magics", 28, OK, "", own("tanh", "%load_ext autoreload\n%autoreload 2", "%%capture text\nprint('x')", "%%writefile notes.txt\nsome notes", "%cat notes.txt", "%who", "%env HOME=/nowhere", "Value?", "%cd ..", "%no_such_magic"), shows="some notes"),
    _row("%cd", "magics above an exercise, in its cell", 28, OK, "", first("tanh", "%load_ext autoreload\n%autoreload 2\n%mkdir data\n%cd data\n%matplotlib inline")),
    _row("!echo", "commands", 28, OK, "", own("tanh", "!echo a command was here", "files = !ls\nprint(files)"), shows="a command was here"),
    _row("%%bash", "a cell for bash", 28, OK, "", own("tanh", "%%bash\necho bash was $((40 + 2))"), shows="bash was 42"),
    _row("display", "display(), HTML, Markdown, LaTeX", 28, OK, "", own("tanh", "from IPython.display import HTML, Latex, Markdown, SVG\ndisplay(1, 'two', HTML('<b>bold</b>'), Markdown('*a*'), Latex('$a$'), SVG('<svg xmlns=\"http://www.w3.org/2000/svg\"/>'))"), shows="<b>bold</b>"),
    _row("await", "await at the top of a cell", 28, OK, "", own("tanh", "import asyncio\nawait asyncio.sleep(0)\nprint('it waited')", "async def later():\n    return 'later on'\nprint(await asyncio.create_task(later()))"), shows="later on"),
    _row("input", "input()", 28, OK, "", own("tanh", "name = input('Your name? ')"), shows="nobody is there"),
    _row("getpass", "getpass()", 28, OK, "", own("tanh", "import getpass\ngetpass.getpass()")),
    _row("breakpoint", "a breakpoint() forgotten in a part", 24, OK, "", inside("tanh", "breakpoint()")),
    _row("tqdm", "progress bars, and outputs that are cleared", 28, OK, "", own("tanh", "from tqdm.auto import tqdm\nfor _ in tqdm(range(3)): pass", "from IPython.display import clear_output\nprint('cleared')\nclear_output()\nclear_output(wait=True)\nprint('not cleared')"), shows="not cleared"),
    _row("widgets", "widgets, without a page to show them", 28, OK, "", own("tanh", "import ipywidgets\nipywidgets.IntSlider()", "@ipywidgets.interact(x=(0, 10))\ndef show(x=5):\n    print(x)")),
    _row("warnings", "warnings, logging and stderr, also while it is checked", 28, OK, "", inside("tanh", "import logging, sys, warnings\nwarnings.warn('an overflow, perhaps')\nlogging.error('an error was logged')\nprint('on stderr', file=sys.stderr)\nsys.__stderr__.write('deeper')"), own("tanh", "Value(1.0).tanh()"), shows="an error was logged"),
    _row("400k lines", "400 000 lines of output", 28, OK, "", own("tanh", "for i in range(400_000):\n    print('x' * 100, i)"), shows="and more"),
    _row("long result", "a result, a picture and an error of 50 MB each", 28, OK, "", own("tanh", "'x' * 50_000_000", "handle = display('x', display_id=True)\nhandle.update('x' * 50_000_000)", "display({'text/html': 'x' * 50_000_000}, raw=True)", "raise ValueError('x' * 50_000_000)"), shows="ValueError"),
    _row("garbage", "output that is no text", 28, OK, "", own("tanh", GARBAGE)),
    _row("processes", "a pool of processes", 28, OK, "", own("tanh", "import multiprocessing\nwith multiprocessing.Pool(2) as pool:\n    print('pool', pool.map(abs, [-7, -8]))"), shows="pool [7, 8]"),
    _row("files", "writes files, goes elsewhere, deletes all of it", 28, OK, "", own("tanh", "import os, shutil\nopen('notes.txt', 'w').write('noted')\nprint(open('notes.txt').read())\nos.mkdir('inner')\nos.chdir('inner')\nshutil.rmtree('../')"), shows="noted"),
    _row("network", "asks for a page", 28, OK, "", own("tanh", "import urllib.request\nurllib.request.urlopen('http://127.0.0.1:8888', timeout=1)"), shows="Error"),
    _row("module", "a module of the student's own, in a file", 28, OK, "", own("order-small", "%%writefile bends.py\nimport math\n\ndef bend(x):\n    return math.tanh(x)"), first("tanh", "from bends import bend"), swap("data = math.tanh(self.data)", "data = bend(self.data)")),
    _row("main", "what asks whether it is the main module", 28, OK, "", own("tanh", "import pickle\n\nclass Mine:\n    pass\n\nif __name__ == '__main__':\n    print('pickled', type(pickle.loads(pickle.dumps(Mine()))))"), shows="pickled <class '__main__.Mine'>"),
    _row("errors for warnings", "errors for warnings, in Python and numpy", 28, OK, "", own("setup", "import warnings\nimport numpy as np\nwarnings.simplefilter('error')\nnp.seterr(all='raise')")),
    _row("exit()", "exit() in a cell of its own", 28, OK, "", own("tanh", "exit()", "quit()")),
    _row("import *", "from math import *", 28, OK, "", own("setup", "from math import *")),
    _row("sys.path", "an empty sys.path", 28, OK, "", own("tanh", "import sys\nsys.path.clear()\nsys.path_importer_cache.clear()")),
    _row("handlers", "signal handlers of its own", 28, OK, "", own("setup", "import signal\nfor number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD):\n    signal.signal(number, signal.SIG_IGN)")),

    # Wrong answers.
    _row("no sum", "the newest share overwrites: the same marks each time", 18, OK, "", swap("input.grad += local_grad * grad", "input.grad = local_grad * grad")),
    _row("overflow", "tanh from exp, which overflows", 27, OK, "", swap("data = math.tanh(self.data)", "up, down = math.exp(self.data), math.exp(-self.data)\n    data = (up - down) / (up + down)")),
    _row("only the root", "an order of one Value", 9, OK, "", inside("topological_order", "return [root]")),
    _row("exception", "a typo in a part", 24, OK, "", swap("math.tanh", "math.tahn")),
    _row("first 2", "the first two exercises", 3, OK, "", only("slope", "add"), untouched=True),
    _row("first 4", "the first four", 9, OK, "", only("slope", "add", "mul", "order"), untouched=True),
    _row("first 6", "the first six", 17, OK, "", only("slope", "add", "mul", "order", "backward", "pow"), untouched=True),
    _row("first 7", "the first seven", 19, OK, "", only("slope", "add", "mul", "order", "backward", "pow", "exp"), untouched=True),
    _row("blank", "nothing", 0, OK, "", untouched=True),
    _row("syntax error", "no Python in one cell", 9, OK, "", swap("def backward(self) -> None:", "def backward(self) -> None")),
    _row("conflict in a cell", "marks of a merge in one cell", 23, OK, "", first("tanh", "<<<<<<< HEAD\n=======\n>>>>>>> mine")),
    _row("missing package", "imports what is not there", 23, OK, "", first("tanh", "import no_such_package_at_all")),
    _row("input in a part", "input() where an exercise is written", 23, OK, "", first("tanh", "n = int(input('n? '))")),
    _row("borrowed", "a part that is borrowed", 23, OK, "", first("tanh", "from course.learn import borrow\ntanh = borrow('course.micrograd.engine.Value.tanh')")),
    _row("names of builtins", "variables called list and sum", 27, OK, "", own("backward", "list = [1, 2]\nsum = 0\nprint = None")),
    _row("del", "deletes a name that later cells need", 21, OK, "", own("relu", "del math")),
    _row("redefined", "puts in a wrong part after its check", 26, OK, "", own("relu", '@exercise("course.micrograd.engine.Value.tanh")\ndef tanh(self):\n    return Value(0.0)')),
    _row("moved down", "an exercise below its checks", 26, OK, "", move("tanh", below="relu")),
    _row("moved up", "an exercise above the class it belongs to", 24, OK, "", move("rest", below="setup")),
    _row("None", "parts that return nothing", 9, OK, "", inside("backward", "return")),
    _row("nan", "sums that are nan", 20, OK, "", swap("Value(self.data + other.data,", "Value(math.nan,")),
    _row("inf", "powers of e that are inf", 23, OK, "", swap("data = math.exp(self.data)", "data = math.inf")),
    _row("huge int", "integers of five thousand digits", 20, OK, "", inside("numerical_derivative", "return 10**5000"), inside("gradcheck", "return 10**5000"), inside("log", "return 10**5000")),
    _row("True", "a truth value for a number", 24, OK, "", inside("numerical_derivative", "return True")),
    _row("deep list", "a list a hundred thousand lists deep", 24, OK, "", inside("numerical_derivative", CHAIN)),
    _row("wide list", "a list that would fill all disks, written out", 24, TIMEOUT, "'slope'", inside("numerical_derivative", WIDE)),
    _row("circle", "a list that holds itself", 24, OK, "", inside("numerical_derivative", CIRCLE)),
    _row("long list", "a million numbers", 24, OK, "", inside("numerical_derivative", "return [0.5] * 1_000_000")),
    _row("long text", "a hundred million characters", 24, OK, "", inside("numerical_derivative", "return 'x' * 10**8")),
    _row("odd objects", "objects whose methods fail", 24, OK, "", inside("numerical_derivative", "class Odd:\n    def fail(self, *args):\n        raise BaseException('odd')\n    __repr__ = __eq__ = __len__ = __iter__ = __float__ = __getattr__ = __bool__ = fail\nreturn Odd()")),
    _row("long error", "an error with very long words, in a part", 24, OK, "", inside("tanh", "raise ValueError('x' * 50_000_000)")),
    _row("odd error", "an error that fails when it is shown", 24, OK, "", inside("tanh", "class Odd(Exception):\n    def __str__(self):\n        raise self\n    __repr__ = __str__\nraise Odd")),
    _row("async", "a part that would have to be awaited", 24, OK, "", swap("def tanh(self)", "async def tanh(self)")),
    _row("endless recursion", "a part that calls itself", 24, OK, "", inside("tanh", "return self.tanh()")),
    _row("all paths", "walks each path: a billion of them", 24, OK, "", write("backward", '@exercise("course.micrograd.engine.Value.backward")' + PATHS)),
    _row("sys.exit", "sys.exit() where an exercise is written", 24, OK, "", first("rest", "import sys\nsys.exit(0)")),
    _row("SystemExit", "a part that raises SystemExit", 24, OK, "", inside("tanh", "raise SystemExit")),
    _row("KeyboardInterrupt", "a cell and a part that raise KeyboardInterrupt", 21, OK, "", first("rest", "raise KeyboardInterrupt"), inside("gradcheck", "raise KeyboardInterrupt")),

    # Files and notebooks that are damaged.
    _row("empty file", "0 bytes", None, UNREADABLE, "the file is empty", write=lambda notebook: b""),
    _row("broken off", "a file that breaks off", None, UNREADABLE, "breaks off", write=_broken_off),
    _row("conflict", "marks of a merge in the file", None, UNREADABLE, "not JSON", write=_conflict),
    _row("binary", "something else with the name of a notebook", None, UNREADABLE, "not a text file", write=lambda notebook: b"PK\x03\x04\xff\xfe\x00" * 100),
    _row("page", "a page that asks to log in", None, UNREADABLE, "not JSON", write=lambda notebook: b"<!DOCTYPE html><title>Log in</title>"),
    _row("other JSON", "JSON, but no notebook", None, UNREADABLE, "not a notebook", write=lambda notebook: b'["cells"]'),
    _row("deep JSON", "JSON a hundred thousand lists deep", None, UNREADABLE, "nested too deep", write=lambda notebook: b"[" * 100_000),
    _row("25 MB", "25 MB of output in the file", None, UNREADABLE, "clear the outputs", _output(25)),
    _row("3000 cells", "too many cells", None, UNREADABLE, "cells", _many_cells(3000)),
    _row("version 3", "the format of ten years ago", 28, REPAIRED, "old format", write=_as_version_3),
    _row("no metadata", "a tool has taken out all metadata", 28, REPAIRED, "had lost the metadata", _no_metadata),
    _row("no metadata, no ids", "and the ids of cells", 28, REPAIRED, "had lost the metadata", _no_metadata, _no_ids),
    _row("check deleted", "a check deleted", 28, REPAIRED, "the check 'add-forward' was missing; it was put back", drop("add-forward")),
    _row("check copied", "a check copied, with its id", 28, REPAIRED, "was there 2 times", _twice("add-forward")),
    _row("exercise copied", "an exercise copied, with its id", 28, REPAIRED, "was there 2 times", _twice("mul")),
    _row("all copied", "the whole notebook twice", 28, REPAIRED, "was there 2 times", _all_twice),
    _row("check as text", "a check has become text", 28, REPAIRED, "it was changed back", _become("add-forward", "raw")),
    _row("exercise as text", "an exercise has become text", 28, REPAIRED, "it was changed back", _become("tanh", "markdown")),
    _row("own cell", "an exercise deleted, and written in a cell of one's own", 28, REPAIRED, "had lost the metadata", lambda notebook: own("tanh", find(notebook, "tanh").source)(notebook), drop("tanh")),
    _row("set-up deleted", "the set-up cell deleted", 28, REPAIRED, "'setup' was missing", drop("setup")),
    _row("set-up edited", "the set-up cell edited", 28, REPAIRED, "'setup' had been edited", last("setup", "print('ready')")),
    _row("set-up used", "a part needs what was added to the set-up cell", 23, REPAIRED, "'setup' had been edited", last("setup", "import numpy as np"), first("tanh", "one = np.ones(1)")),
    _row("above set-up", "code above the set-up cell", 28, REPAIRED, "it runs below it", lambda notebook: notebook.cells.insert(0, new_code_cell("import math"))),
    _row("class edited", "a method added to the given class", 28, REPAIRED, "had been edited", last("class", "    def double(self):\n        return self * 2")),
    _row("check edited", "a print in a check", 28, REPAIRED, "had been edited", last("add-forward", "print(c)")),

    # Too much of something.
    _row("loop", "an endless loop where an exercise is written", 23, TIMEOUT, "more than 3 seconds", first("exp", "while True:\n    pass")),
    _row("loop in a part", "an endless loop in a part", 24, TIMEOUT, "more than 3 seconds", inside("tanh", "while True:\n    pass")),
    _row("loop in a basic part", "an endless loop in a part that nearly all checks use", 5, TIMEOUT, "more than 15 seconds", inside("topological_order", "while True:\n    pass")),
    _row("loop in hidden", "an endless loop for numbers that only hidden tests use", 27, TIMEOUT, "'relu'", inside("relu", "while self.data == 0.5:\n    pass")),
    _row("stubborn loop", "a loop that catches everything", 24, TIMEOUT, "'micrograd-engine-Value-__neg__'", first("rest", STUBBORN)),
    _row("stubborn in hidden", "the same, for numbers that only hidden tests use", 27, TIMEOUT, "'relu'", inside("relu", "if self.data == 0.5:" + STUBBORN.replace("\n", "\n    "))),
    _row("deaf loop", "a loop that cannot be interrupted", 24, TIMEOUT, "'micrograd-engine-Value-__neg__'", first("rest", DEAF)),
    _row("compiled loop", "a loop in @njit", 25, TIMEOUT, "'micrograd-gradcheck-gradcheck'", first("gradcheck", COMPILED_LOOP + "\nnever(1.0)")),
    _row("compiled loop in a part", "a loop in @njit, called by a part", 24, TIMEOUT, "'exp-log'", first("exp", COMPILED_LOOP), inside("log", "never(1.0)")),
    _row("memory", "takes memory in large pieces", 24, CRASHED, "memory ran out", first("rest", "hog = []\nwhile True:\n    hog.append(bytearray(64 * 2**20))")),
    _row("memory in pieces", "takes memory to the last byte, and keeps all of it", 24, CRASHED, "memory ran out", first("rest", SMALL_BOMB)),
    _row("memory in a part", "a part that takes too much memory", 24, OK, "", inside("tanh", "hog = [0.5] * 10**10")),
    _row("fork bomb", "makes processes that make processes", 24, CRASHED, "too many processes", first("rest", FORK_BOMB)),
    _row("fork", "a process that goes on as a twin of the notebook", 28, OK, "", own("tanh", "import os\npid = os.fork()")),
    _row("orphan", "a process that stays", 28, OK, "", own("tanh", "import subprocess\nsubprocess.Popen(['sleep', '4321'], start_new_session=True)")),
    _row("daemon", "a process that hides, and does not want to end", 28, OK, "", own("tanh", DAEMON)),
    _row("threads", "threads that never end, one of them busy", 28, OK, "", own("tanh", THREADS)),
    _row("full disk", "writes files until the disk is full", 28, OK, "", own("tanh", FILL), shows="full after"),
    _row("large file", "a file of 100 MB", 28, OK, "", own("tanh", "with open('large', 'wb') as file:\n    for _ in range(100):\n        file.write(bytes(2**20))"), shows="File too large"),
    _row("many files", "10 000 files open", 28, OK, "", own("tanh", MANY_FILES), shows="no more than"),
    _row("shared files", "leaves files where others may find them", 28, OK, "", own("tanh", SHARED)),

    # Python dies.
    _row("os._exit", "ends Python where an exercise is written", 23, CRASHED, "Python died in the cell 'micrograd-engine-Value-tanh'", first("tanh", "import os\nos._exit(0)")),
    _row("os._exit in a part", "a part that ends Python", 24, CRASHED, "'exp-log'", inside("log", "import os\nos._exit(0)")),
    _row("os._exit in a basic part", "a part that nearly all checks use ends Python", 5, CRASHED, "'order-small'", inside("topological_order", "import os\nos._exit(0)")),
    _row("os._exit in hidden", "ends Python for numbers that only hidden tests use", 27, CRASHED, "a hidden test of the cell 'relu'", inside("relu", "if self.data == 0.5:\n    import os\n    os._exit(0)")),
    _row("SIGKILL", "kills itself", 23, CRASHED, "Python died in the cell 'micrograd-engine-Value-exp'", first("exp", "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")),
    _row("SIGKILL in hidden", "kills itself, for numbers that only hidden tests use", 27, CRASHED, "a hidden test of the cell 'relu'", inside("relu", "if self.data == 0.5:\n    import os, signal\n    os.kill(os.getpid(), signal.SIGKILL)")),
    _row("segfault", "a part that breaks Python", 24, CRASHED, "'exp-log'", inside("log", "import ctypes\nctypes.string_at(0)")),
    _row("killpg", "kills its process group", 24, CRASHED, "Python died in the cell 'micrograd-engine-Value-__neg__'", first("rest", "import os, signal\nos.killpg(0, signal.SIGTERM)")),
    _row("kill parent", "tries to kill what runs it", 28, OK, "", own("tanh", "import os, signal\nfor pid in (os.getppid(), 1):\n    try:\n        os.kill(pid, signal.SIGKILL)\n    except OSError as error:\n        print(error)"), shows="not permitted"),
    _row("eight deaths", "ends Python in eight cells of the student's own", 28, CRASHED, "Python died", own("tanh", *(f"import os\nos._exit({n})" for n in range(8)))),

    # Cheats: a notebook with nothing in it, and a way to get points for it.
    _row("always equal", "objects that equal everything", 0, OK, "", write("slope", EQUAL), write("add", EQUAL_AGAIN), untouched=True),
    _row("odd float", "a float that says what one likes to hear", 24, OK, "", inside("numerical_derivative", ODD_FLOAT)),
    _row("no code", "takes the code out of all cells", 0, OK, "", write("slope", NO_CODE), untouched=True),
    _row("no source", "takes the source out of all cells", 0, OK, "", write("slope", NO_SOURCE), untouched=True),
    _row("no helpers", "replaces the helpers of checks", 0, OK, "", write("slope", NO_HELPERS), untouched=True),
    _row("no recorder", "replaces what sends values", 0, OK, "", write("slope", NO_RECORDER), untouched=True),
    _row("all passed", "replaces what runs checks", 0, OK, "", write("slope", ALL_PASSED), untouched=True),
    _row("no shell", "replaces what runs cells", 0, CRASHED, "Python died", write("slope", NO_SHELL), untouched=True),
    _row("builtins", "replaces Python's own functions", 0, OK, "", write("slope", BUILTINS), untouched=True),
    _row("steals", "looks for solutions, lesson texts and gradebook", 0, OK, "", write("slope", STEAL), untouched=True),
    _row("writes outside", "writes into the gradebook, and elsewhere", 0, OK, "", write("slope", VANDAL), untouched=True),
    _row("reference", "looks for the reference in memory", 0, OK, "", write("slope", REFERENCE), write("add", REFERENCE_AGAIN), write("gradcheck", REFERENCE_AGAIN), untouched=True),
    _row("spy", "prints, keeps and raises what it sees of hidden tests", 24, OK, "", inside("tanh", SPY)),
    _row("known numbers", "writes down what visible tests expect", 24, OK, "", write("slope", KNOWN)),
    _row("forged value", "a part sends values of its own", 24, TAMPERED, "for no assertion", inside("tanh", FORGED)),
    _row("forged end", "says of all cells that they are done", 0, TAMPERED, "no cell sends", write("slope", FORGED_END), untouched=True),
    _row("early end", "ends checks before they come to anything", 0, OK, "", write("slope", '@exercise("course.micrograd.gradcheck.numerical_derivative")\ndef numerical_derivative(f, x, h=0):' + EARLY.replace("\n", "\n    ")), untouched=True),
    _row("tags", "tags that keep checks from running", 0, OK, "", _tags, untouched=True),
    _row("assert True", "a check that passes", 0, TAMPERED, "had been edited", write("add-forward", "assert True"), untouched=True),
    _row("1000 points", "a check that gives 1000 points", 0, TAMPERED, "other points or flags", write("add-forward", "1000"), mark("add-forward", points=1000, solution=True, locked=False), untouched=True),
]
# fmt: on
