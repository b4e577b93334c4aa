"""Attacks on the marks and on the hidden tests, from inside the student's process.

Each is a submission that would gain points, or print a hidden test, if anything that student code
can reach decided a mark or went to where students look.
"""

import dataclasses
import json
import math

import nbformat
import pytest
from attacks import (
    ANSWERS,
    DOUBLE_CHECK,
    HALF_CHECK,
    HALF_PLACE,
    LESSON,
    PRELUDE,
    SCALARS,
    grade,
    hand_in,
    leaked,
    pack,
    points,
    printed,
    visible_text,
)

from grader.bank import read_bank
from grader.build import build_lesson
from grader.fork_server import close_all
from grader.paths import ROOT
from grader.results import Status
from grader.sandbox.layers import Limits
from grader.worker import How, Job, grade_submission


@pytest.fixture(scope="module", autouse=True)
def _servers_end():
    yield
    close_all()


def test_the_lesson_that_is_attacked() -> None:
    outcome = grade()
    assert points(outcome) == 3 and outcome.status == Status.OK and not leaked(outcome)
    wrong = grade(double="def double(x): return abs(2 * x)", half="half = None")
    assert points(wrong) == 0 and wrong.status == Status.OK and not leaked(wrong)


# Objects that are equal to everything, or look like something else.

EQUAL = """
class Anything:
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __lt__(self, other): return True
    __le__ = __gt__ = __ge__ = __lt__
    def __hash__(self): return 0
    def __bool__(self): return True
    def __len__(self): return 1
    def __iter__(self): return iter([self])
    def __getitem__(self, index): return self
    def __getattr__(self, name): return self
    def __call__(self, *args, **kwargs): return self
    def __abs__(self): return self
    def __sub__(self, other): return 0.0
    __rsub__ = __mul__ = __rmul__ = __add__ = __radd__ = __sub__
"""

LOOKS_LIKE_A_FLOAT = (
    EQUAL
    + """
    @property
    def __class__(self): return float
    def __float__(self): return 4.0
    def __index__(self): return 4
    def __array__(self, *args, **kwargs): import numpy; return numpy.array(4.0)
    def __instancecheck__(self, other): return True
    def __reduce__(self): return (print, ("unpickled",))
"""
)

NUMPY = """
import numpy as np

class Anything(np.ndarray):
    def __new__(cls): return np.zeros(()).view(cls)
    def __array_function__(self, function, types, args, kwargs): return True
    def __array_ufunc__(self, *args, **kwargs): return True
    def __eq__(self, other): return True
    def __float__(self): return 4.0
    def item(self): return 4.0
    def tobytes(self, *args): return b"\\0" * 8
    dtype = np.dtype("float64")
"""

FLOAT = """
class Anything(float):
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __sub__(self, other): return 0.0
    __rsub__ = __sub__
    def __float__(self): return 4.0
    def __repr__(self): return "4.0"
    __hash__ = float.__hash__
"""

META = """
class Meta(type):
    def __instancecheck__(cls, instance): return True
    def __subclasscheck__(cls, other): return True
    def __eq__(cls, other): return True
    __hash__ = type.__hash__
    __name__ = "float"

class Anything(metaclass=Meta):
    __module__ = "builtins"
    def __eq__(self, other): return True

Anything.__qualname__ = Anything.__name__ = "float"
"""

USED = "\ndef double(x): return Anything()\n"


@pytest.mark.parametrize(
    "code",
    [EQUAL, LOOKS_LIKE_A_FLOAT, NUMPY, FLOAT, META],
    ids=["equal", "float", "numpy", "subclass", "metaclass"],
)
def test_an_object_that_equals_everything_equals_nothing(code: str) -> None:
    outcome = grade(double=code + USED, half="half = double = Anything")
    assert points(outcome) == 0
    assert not leaked(outcome)


# What student code can do to the process that it runs in.

PATCHES = {
    "the helpers": """
import course.learn, course.learn.checks as checks
for module in (course.learn, checks):
    for name in dir(module):
        if name.startswith("assert_") or name.endswith("_problem") or name in ("_same", "_fail"):
            setattr(module, name, lambda *a, **k: None)
assert_close = assert_raises = assert_true = lambda *a, **k: None
""",
    "numpy": """
import numpy, numpy.testing
for module in (numpy, numpy.testing):
    for name in dir(module):
        if name.startswith("assert_") or name in ("isclose", "allclose", "array_equal"):
            setattr(module, name, lambda *a, **k: True)
""",
    "builtins": """
import builtins
builtins.isinstance = builtins.issubclass = lambda *a: True
builtins.abs = builtins.float = lambda x: 4.0
builtins.AssertionError = builtins.Exception = KeyboardInterrupt
builtins.exec = builtins.compile = builtins.eval = lambda *a, **k: None
""",
    "json and marshal": """
import json, marshal, random, linecache, os, socket, numpy
json.dumps = lambda words, **k: '{"done": 2, "passed": true, "seconds": 0.0}'
marshal.loads = lambda data: compile("", "<nothing>", "exec")
random.seed = numpy.random.seed = lambda *a: None
linecache.getlines = lambda *a: ["4.0"] * 99
""",
    "a syntax tree transformer": """
import ast

class Nothing(ast.NodeTransformer):
    def visit_Module(self, node): node.body = []; return node

get_ipython().ast_transformers.append(Nothing())
""",
    "an input transformer": """
shell = get_ipython()
shell.input_transformers_cleanup.append(lambda lines: [])
shell.input_transformers_post.append(lambda lines: [])
""",
    "events and magics": """
shell = get_ipython()
shell.events.register("pre_run_cell", lambda info: shell.user_ns.update(__check__=print))
shell.run_cell = shell.run = lambda *a, **k: None
get_ipython().run_line_magic("alias_magic", "x time")
""",
    "the recorder": """
import grader.sandbox.recorder as recorder, grader.sandbox.player as player_module
recorder.Recorder.__call__ = lambda *a: None
player_module.Recorder = lambda *a: (lambda *values: None)
""",
    "the stand-in": """
class Names(dict):
    def __setitem__(self, name, value): super().__setitem__(name, print if name == "__check__" else value)

get_ipython().user_ns = Names(get_ipython().user_ns)
__check__ = print
""",
    "the encoder": """
from grader.sandbox import values
values.Encoder.encode = lambda self, value: 4.0
values.look = lambda value: "4.0"
""",
    "exceptions": """
import grader.sandbox.recorder as recorder
class Passed(BaseException): pass
recorder.Stopped = Passed
get_ipython().set_custom_exc((BaseException,), lambda *a, **k: None)
""",
    "import hooks": """
import builtins, sys
sys.modules["marshal"] = sys.modules["grader.sandbox.values"] = sys
builtins.__import__ = lambda *a, **k: sys
sys.meta_path.clear()
""",
    "frames": """
import sys

def trace(frame, event, arg):
    for name, value in list(frame.f_locals.items()):
        if name in ("actual", "passed", "x"):
            frame.f_locals[name] = 4.0
    return trace

sys.settrace(trace); sys.setprofile(trace)
__import__("threading").settrace(trace)
""",
}


@pytest.mark.parametrize("name", PATCHES)
def test_patching_the_process_gains_nothing(name: str) -> None:
    """With wrong parts: that the visible tests may even be silenced earns nothing."""
    wrong = "\ndef double(x): return 2.0\n"
    outcome = grade(double=PATCHES[name] + wrong, half="def half(x): return 1.5")
    assert points(outcome) == 0
    assert not leaked(outcome)


# Forged messages. The messages of all visible tests can be forged, as their values can be seen.

VISIBLE = f"""
say(done=1, outputs=[], finished=True, count=2, full=False, seconds=0.0)
say(start={DOUBLE_CHECK})
say(site=0, values=[4.0]); hear()
say(done={DOUBLE_CHECK}, passed=True, seconds=0.0)
say(start={HALF_PLACE})
say(done={HALF_PLACE}, outputs=[], finished=True, count=3, full=False, seconds=0.0)
say(start={HALF_CHECK})
say(site=1, values=[1.5]); hear()
say(site=2, attempt=["text", ["ValueError"], "ValueError: text"]); hear()
say(done={HALF_CHECK}, passed=True, seconds=0.0)
say(end=True)
"""

# Plays the hidden parts as well, and sends what it finds in their code.
HIDDEN = """
from grader.sandbox.player import Channel
import base64, marshal

def constants(code):
    for x in code.co_consts:
        yield x
        if hasattr(x, "co_consts"):
            yield from constants(x)

while True:
    runner = Channel(player.others[hear()["runner"]])
    runner.say({"pid": os.getpid()})
    while True:
        try:
            order = runner.hear()
        except BaseException:
            break
        code = marshal.loads(base64.b64decode(order["code"]))
        numbers = [x for x in constants(code) if isinstance(x, (int, float))]
        for number, site in enumerate(order["sites"]):
            if site:
                FORGE
        runner.say({"done": order["cell"], "passed": True, "seconds": 0.0})
"""

FORGED_VALUES = {
    "none": "pass",
    "right visible ones": "runner.ask({'site': number, 'values': [4.0]})",
    "not a number": "runner.ask({'site': number, 'values': [{'float': 'nan'}]})",
    "bare nan": "runner.ask({'site': number, 'values': [float('nan')]})",
    "an array of all": "runner.ask({'site': number, 'values': [{'list': numbers}]})",
    "many": "[runner.say({'site': number, 'values': [x]}) for x in numbers]",
    "true": "runner.ask({'site': number, 'values': [True]})",
    "two": "runner.ask({'site': number, 'values': [4.0, 4.0], 'expected': 4.0, 'go': True})",
    "other kinds": "runner.ask({'site': number, 'attempt': ['', ['ValueError'], ''], 'slopes': {}})",
    "a thing": (
        "runner.ask({'site': number, 'values': [{'thing': {'number': 0, 'class': 'float', 'shown': '4'}}]})"
    ),
    "no number": "runner.ask({'site': True, 'values': []})",
    "an answer": "runner.ask({'go': True, 'passed': True, 'finished': True, 'credit': 99, 'points': 99})",
}


def test_the_visible_part_can_be_forged_and_gives_nothing() -> None:
    outcome = grade(double=PRELUDE + VISIBLE + "time.sleep(3)", half="pass")
    assert points(outcome) == 0


@pytest.mark.parametrize("name", FORGED_VALUES)
def test_forged_values_gain_nothing(name: str) -> None:
    code = PRELUDE + VISIBLE + HIDDEN.replace("FORGE", FORGED_VALUES[name])
    outcome = grade(double=code, half="pass")
    assert outcome.checks, outcome.findings  # the grader came through it
    assert points(outcome) == 0
    assert not leaked(outcome)


def test_right_values_count_whoever_sends_them() -> None:
    """The forger of the tests above does reach the grader: with the right values, they would win."""
    forge = (
        "values = {1: [-62.875], 2: [2469.0]} if order['cell'] == 2 else {4: [38.625]}\n"
        "                if number in values: runner.ask({'site': number, 'values': values[number]})\n"
        "                elif order['cell'] == 4 and number == 3: runner.ask({'site': 3, 'attempt': ['', ['ValueError'], '']})"
    )
    outcome = grade(double=PRELUDE + VISIBLE + HIDDEN.replace("FORGE", forge), half="pass")
    assert points(outcome) == 3, outcome.checks


STRANGE_MESSAGES = {
    "an early end": "say(end=True); time.sleep(1)",
    "an early end, and death": "say(end=True); os._exit(0)",
    "done with another cell": "say(done=4, passed=True, seconds=0)",
    "passed, for this cell": f"say(done={HALF_PLACE}, passed=True, seconds=0, outputs=[], count=1)",
    "a foreign start": "say(start=99)",
    "a negative start": "say(start=-1)",
    "a start of what was": "say(start=0)",
    "a start of what was, twice": "say(start=1); say(start=1); say(done=1, outputs=[], count=1)",
    "no object": "player.main.connection.sendall(b'[1, 2]\\n')",
    "no JSON": "player.main.connection.sendall(b'{' * 10000 + b'\\n')",
    "deep JSON": "player.main.connection.sendall(b'[' * 10**6 + b']' * 10**6 + b'\\n')",
    "deep object": "player.main.connection.sendall(b'{\"a\":' * 10**6 + b'1' + b'}' * 10**6 + b'\\n')",
    "a long number": "player.main.connection.sendall(b'{\"start\": ' + b'9' * 10**6 + b'}\\n')",
    "large float": "player.main.connection.sendall(b'{\"start\": 1e400}\\n')",
    "not utf-8": "player.main.connection.sendall(b'{\"\\xff\": 1}\\n')",
    "an endless line": "player.main.connection.sendall(b'x' * 10**8)",
    "empty lines": "player.main.connection.sendall(b'\\n' * 10**6)",
    "many objects": "player.main.connection.sendall(b'{}\\n' * 10**6)",
    "infinite count": f"say(done={HALF_PLACE}, outputs=[], count=float('inf'), full=False)",
    "outputs of a wrong kind": f"say(done={HALF_PLACE}, outputs={{'a': 1}}, count=1, full=False)",
    "outputs of no kind": f"say(done={HALF_PLACE}, outputs=[1, None, {{'output_type': 'stream'}}], count=1, full=False)",
    "deep outputs": (
        f"x = []\nfor _ in range(600): x = [x]\nsay(done={HALF_PLACE}, count=1, full=False, outputs=[{{'output_type': 'stream', 'name': 'stdout', 'text': x}}])"
    ),
    "halves of characters": (
        f"say(done={HALF_PLACE}, count=1, full=False, outputs=[{{'output_type': 'error', 'ename': '\\ud800', 'evalue': '', 'traceback': []}}])"
    ),
    "closed sockets": "os.closerange(0, 500)",
    "exchanged sockets": "[os.dup2(player.others[0].fileno(), player.main.connection.fileno())]",
    "all sockets shut": "[s.shutdown(2) for s in (player.main.connection, *player.others)]",
    "layers again": "say(layers=['nothing'])",
    "death in a check": f"say(done={HALF_PLACE}, outputs=[], count=1, full=False); say(start={HALF_CHECK}); os._exit(1)",
}


@pytest.mark.parametrize("name", STRANGE_MESSAGES)
def test_strange_messages_cost_the_sender_alone(name: str) -> None:
    """The grader goes on; what stands above the cell keeps its points, and nothing is gained."""
    outcome = grade(half=PRELUDE + STRANGE_MESSAGES[name] + "\ndef half(x): return -1.0")
    by_id = {check.id: check.points for check in outcome.checks}
    assert by_id == {"double-check": 2, "half-check": 0}, outcome.findings
    assert not any("grading failed" in finding for finding in outcome.findings)
    assert len(outcome.findings) < 10
    nbformat.writes(nbformat.from_dict(outcome.notebook)).encode()  # it can be saved
    json.dumps(dataclasses.asdict(outcome), allow_nan=False)
    assert points(grade()) == 3  # and the next one is not touched by it


STRANGE_VALUES = {
    "none": "{'values': []}",
    "no list": "{'values': 3}",
    "too many": "{'values': [1.5, 1.5, 1.5]}",
    "nothing": "{}",
    "deep": "{'values': [deep]}",
    "deep and tagged": "{'values': [{'list': [deep]}]}",
    "a long integer": "{'values': [{'int': '0x' + 'f' * 20000}]}",
    "a huge class name": "{'values': [{'thing': {'number': 0, 'class': 'a' * 10**7, 'shown': 'x'}}]}",
    "half a character": "{'values': [{'thing': {'number': 0, 'class': 'a', 'shown': '\\ud800'}}]}",
    "a class of half a character": "{'values': [{'thing': {'number': 0, 'class': '\\ud800', 'shown': ''}}]}",
    "a huge shape": "{'values': [{'array': ['<f8', [2**62, 2**62], '']}]}",
    "an endless range": "{'values': [{'range': [0, 10**15, 1]}]}",
    "objects of Python": "{'values': [{'array': ['O', [1], 'AAAAAAAAAAA=']}]}",
    "wrong attempt": "{'attempt': 3}",
    "deep attempt": "{'attempt': [deep, deep, deep]}",
    "wrong slopes": "{'slopes': {'names': 3}}",
    "infinite site": "{'site': float('inf'), 'values': []}",
    "site of no kind": "{'site': {'a': []}, 'values': []}",
}


@pytest.mark.parametrize("name", STRANGE_VALUES)
def test_strange_values_are_wrong_values(name: str) -> None:
    code = f"""
import grader.sandbox.recorder as recorder
deep = []
for _ in range(600): deep = [deep]
recorder.Recorder._look = lambda *a: {STRANGE_VALUES[name]}
def half(x): return x / 2
"""
    outcome = grade(half=code)
    assert {check.id for check in outcome.checks} == {"double-check", "half-check"}, (
        outcome.findings
    )
    assert points(outcome) == 0  # the hidden part of double runs in the same process
    assert all(len(check.message) < 20_000 for check in outcome.checks)
    nbformat.writes(nbformat.from_dict(outcome.notebook)).encode()
    json.dumps(dataclasses.asdict(outcome), allow_nan=False)


SENDERS = {
    "a thread": "import threading\nthreading.Thread(target=forge, daemon=True).start()\ntime.sleep(0.5)",
    "a process": "if not os.fork():\n    forge()\n    time.sleep(99)\ntime.sleep(0.5)",
    "a finalizer": "class End:\n    def __del__(self): forge()\nEnd()",
    "a signal": "import signal\nsignal.signal(signal.SIGALRM, lambda *a: forge())\nsignal.setitimer(signal.ITIMER_REAL, 0.01)\ntime.sleep(0.5)",
    "the end of Python": "import atexit\natexit.register(forge)\nsys.exit()",
}


@pytest.mark.parametrize("name", SENDERS)
def test_it_does_not_matter_who_forges(name: str) -> None:
    code = f"""
def forge():
    for channel in (player.main.connection, *player.others):
        for number in range(5):
            channel.send(json.dumps({{"pid": 1}}).encode() + b"\\n")
            channel.send(json.dumps({{"site": number, "values": [4.0]}}).encode() + b"\\n")
            for place in ({DOUBLE_CHECK}, {HALF_CHECK}):
                channel.send(json.dumps({{"done": place, "passed": True, "seconds": 0}}).encode() + b"\\n")
"""
    outcome = grade(double=PRELUDE + code + SENDERS[name], half="pass")
    assert outcome.checks and points(outcome) == 0
    assert not leaked(outcome)


def test_a_forged_start_does_not_keep_the_grader_for_ever() -> None:
    """Each message that starts a cell would give it all of its time again."""
    code = "while True:\n    say(start=NUMBER)\n    time.sleep(0.02)"
    for number in (HALF_PLACE, HALF_CHECK, 0):
        outcome = grade(half=PRELUDE + code.replace("NUMBER", str(number)), limits=Limits(1, 3))
        assert points(outcome) == 2, outcome.findings


def test_time_between_cells_is_the_notebooks_time() -> None:
    """Who sends that a cell is done, and starts no other, has no time of his own."""
    places = range(HALF_CHECK, HALF_CHECK + 9)
    code = f"""
say(done={HALF_PLACE}, outputs=[], count=1, full=False)
for place in {list(places)}:
    time.sleep(1)
    say(start=place)
    say(done=place, outputs=[], count=1, full=False, passed=False, seconds=0)
say(end=True)
time.sleep(9)
"""
    outcome = grade(
        half=PRELUDE + code, extra=[f"x = {n}" for n in places[1:]], limits=Limits(1, 3)
    )
    assert outcome.status in (Status.TIMEOUT, Status.TAMPERED)


def test_a_forged_death_of_other_cells_ends() -> None:
    outcome = grade(half=PRELUDE + "say(start=0)\nos._exit(0)", limits=Limits(1, 3))
    assert points(outcome) == 2 and len(outcome.findings) < 10, outcome.findings


def test_answers_that_never_stop_coming_end_with_the_notebooks_time() -> None:
    code = "while True:\n    say(shown='x')\n    time.sleep(0.02)"
    outcome = grade(half=f"class Sender:\n    def __truediv__(self, o): pass\n{PRELUDE}\ndef half(x):\n"
                    + "\n".join("    " + row for row in code.splitlines()), limits=Limits(1, 3))  # fmt: skip
    assert points(outcome) <= 2 and outcome.status != Status.OK


def test_seconds_are_measured_outside() -> None:
    for lie in ("float('nan')", "1e300", "-5.0", "10**400", "'31.4375'"):
        code = f"""
import time as real, types
import grader.sandbox.player as player_module
count = [0]
player_module.time = types.SimpleNamespace(perf_counter=lambda: 0.0)
import json
dumps = json.dumps
def lying(words, **more):
    if isinstance(words, dict) and "seconds" in words:
        words["seconds"] = {lie}
    return dumps(words, **more)
player_module.json = types.SimpleNamespace(dumps=lying, loads=json.loads)
"""
        outcome = grade(double=code + ANSWERS["double"])
        assert outcome.checks, outcome.findings
        for check in outcome.checks:
            assert math.isfinite(check.seconds) and 0 <= check.seconds <= outcome.seconds
    assert points(outcome) == 3  # a lie about time changes no mark


# The reference.

STEAL = """
import inspect, types
from course.learn.holes import find_part
from course.learn.manifest import find_lesson

def copy(part):
    if not isinstance(part, types.FunctionType):
        return part
    twin = types.FunctionType(part.__code__, part.__globals__, part.__name__, part.__defaults__, part.__closure__)
    twin.__kwdefaults__ = part.__kwdefaults__
    return twin

def steal():
    import course.learn
    globals().update({name: getattr(course.learn, name) for name in course.learn.__all__})
    for part in find_lesson("1_micrograd/1_scalars").parts:
        globals()[part.path.rpartition(".")[2]] = copy(find_part(part.path))
"""

THEFTS = {
    "before the set-up cell": (
        STEAL
        + """
if "lesson" in globals():
    say(start=0)
    os._exit(0)
steal()
import math
from course.viz import backward_steps, draw_graph
"""
    ),
    "slow set-up cell": (
        STEAL
        + """
if "lesson" in globals():
    say(start=0)
    import signal
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    time.sleep(30)
steal()
import math
"""
    ),
    "borrow": """
import os
os.environ.pop("COURSE_GRADING", None)
from course.learn import borrow
from course.learn.manifest import find_lesson
for part in find_lesson("1_micrograd/1_scalars").parts:
    try: globals()[part.path.rpartition(".")[2]] = borrow(part.path)
    except Exception as error: print(error)
""",
    "restore": STEAL + "\nfrom course.learn import holes\nholes.restore()\nsteal()",
    "the state": (
        """
from course.learn.holes import _State, _put
_put(_State.reference)
for path, part in list(_State.reference.items()):
    globals()[path.rpartition(".")[2]] = part
"""
    ),
    "another lesson": (
        STEAL + '\nlesson("0_start/0_welcome")\nimport course.micrograd.engine\nsteal()'
    ),
    "reload": """
import importlib, sys
for name in ("course.micrograd.engine", "course.micrograd.gradcheck"):
    try: importlib.reload(sys.modules[name])
    except BaseException as error: print(error)
from course.micrograd.engine import Value, topological_order
from course.micrograd.gradcheck import gradcheck, numerical_derivative
""",
    "the heap": """
for function in [x for x in gc.get_objects() if type(x).__name__ == "function"]:
    if (function.__module__ or "").startswith("course.micrograd"):
        globals()[function.__name__] = function
gc.unfreeze()
for function in [x for x in gc.get_objects() if type(x).__name__ == "function"]:
    if (function.__module__ or "").startswith("course.micrograd"):
        globals()[function.__name__] = function
""",
}


@pytest.mark.parametrize("name", THEFTS)
def test_the_reference_earns_nothing(name: str) -> None:
    """No copy of the lesson's own parts works: neither from memory nor from files."""
    release = nbformat.reads(pack(SCALARS).release, 4)
    exercises = [
        cell.id for cell in release.cells if cell.metadata.get("nbgrader", {}).get("solution")
    ]
    cells = dict.fromkeys(exercises, "pass")
    cells[exercises[0]] = PRELUDE + THEFTS[name]
    outcome = grade(SCALARS, limits=Limits(2, 8), **cells)
    assert outcome.checks and points(outcome) == 0, outcome.checks


SOURCE = """
import importlib, inspect, linecache, os, pathlib, subprocess, sys
import course.micrograd.engine as engine, course.micrograd.gradcheck as gradcheck

def show(what, get):
    try: print(what, get())
    except BaseException as error: print(what, type(error).__name__)

file = pathlib.Path(engine.__spec__.origin)
show("file", file.read_text)
show("open", lambda: os.open(file, os.O_RDONLY))
show("link", lambda: os.link(file, "copy.py"))
show("cache", lambda: [x.read_bytes() for x in (file.parent / "__pycache__").iterdir()])
show("cached", lambda: pathlib.Path(engine.__spec__.cached).read_bytes())
show("loader", lambda: engine.__loader__.get_source("course.micrograd.engine"))
show("loader code", lambda: engine.__loader__.get_code("course.micrograd.engine").co_consts)
show("inspect", lambda: inspect.getsource(engine))
show("linecache", lambda: linecache.getlines(str(file)))
show("lines", lambda: [k for k in linecache.cache if "engine.py" in k and linecache.cache[k][2]])
show("fresh", lambda: subprocess.run([sys.executable, "-c", "import course.micrograd.engine as e, inspect; print(inspect.getsource(e))"], capture_output=True, text=True))
show("cat", lambda: subprocess.run(["cat", str(file)], capture_output=True, text=True))
show("proc", lambda: pathlib.Path(f"/proc/self/root{file}").read_text())
show("code", lambda: [f.__code__.co_consts for f in (engine.topological_order, gradcheck.gradcheck) if hasattr(f, "__code__")])
"""


def test_the_reference_cannot_be_read() -> None:
    text = (ROOT / "course" / "micrograd" / "engine.py").read_text()
    rows = [row.strip() for row in text.splitlines() if len(row.strip()) > 30]
    outcome = grade(SCALARS, limits=Limits(20, 60), slope="pass", extra=[SOURCE])
    assert outcome.notebook is not None
    (probe,) = (x for x in outcome.notebook["cells"] if x["source"].strip() == SOURCE.strip())
    shown = json.dumps(probe["outputs"])
    assert "inspect" in shown and "fresh" in shown  # it did run
    found = [row for row in rows if row in shown or json.dumps(row)[1:-1] in shown]
    # The notebook gives Value's own lines itself; what is asked for is in none of the outputs.
    given = json.dumps(outcome.notebook["cells"][0:12])
    assert not [row for row in found if row not in given], found


# Leaks: all that student code sees of a hidden test, it sees when nobody listens any more.

LEAKS = {
    "prints": "print(x, text)",
    "stores": "stored.append((x, text))",
    "raises": "raise ValueError(x, text)",
    "raises a class": "raise type(f'Error{x}{text}', (Exception,), {})(text)",
    "raises a builtin's twin": "raise type('ValueError', (BaseException,), {'__str__': lambda s: text})()",
    "exits": "sys.exit(text)",
    "dies": "print(text); os._exit(3)",
    "warns": "import warnings; warnings.warn(text)",
    "displays": "from IPython.display import display; display(text, x)",
    "returns a thing": "return type(f'A{x}', (), {'__repr__': lambda s: text})()",
    "returns text": "return text",
    "returns a list": "return [text, x]",
    "loops": "while True: pass",
    "sleeps for so long": "time.sleep(99)",
    "writes a file": "open('kept.txt', 'a').write(text)",
    "tells the main process": "os.write(pipe[1], text.encode())",
    "replaces what shows": "sys.stdout.write(text); sys.stderr.write(text); os.write(1, text.encode())",
    "changes the cells": (
        "player.cells[0] = text; linecache.cache['<check half-check>'] = (1, None, [text], '')"
    ),
    "shows values": "say(shown=text); [channel.send(shown) for channel in player.others]",
    "sends an error": (
        "[channel.send(json.dumps({'done': 4, 'passed': False, 'seconds': 0, 'error': {'names': [text, 'print', text], 'text': text}}).encode() + b'\\n') for channel in player.others]"
    ),
    "an odd site": (
        "[channel.send(json.dumps({'site': text, 'values': [text]}).encode() + b'\\n') for channel in player.others]"
    ),
    "as a number of a process": (
        "[channel.send(json.dumps({'pid': text}).encode() + b'\\n') for channel in player.others]"
    ),
    "on a visible site": (
        "[channel.send(json.dumps({'site': 0, 'values': [False]}).encode() + b'\\n' + shown) for channel in player.others]"
    ),
    "on a nested site": (
        "channel = [c for c in gc.get_objects() if type(c).__name__ == 'Channel' and c is not player.main][-1]; channel.ask({'site': 0, 'values': [False]}); channel.ask({'shown': text})"
    ),
    "on a visible site, later": (
        "[channel.send(shown + json.dumps({'site': 0, 'values': [False]}).encode() + b'\\n' + shown * 3) for channel in player.others]"
    ),
}


@pytest.mark.parametrize("name", LEAKS)
def test_nothing_of_hidden_tests_is_seen(name: str) -> None:
    """`text` is all that a part can find out: its input, the caller's source and code, names."""
    body = f"""
import linecache, threading
stored = []
pipe = os.pipe()
threading.Thread(target=lambda: print(os.read(pipe[0], 10**6)), daemon=True).start()

def find_out(x):
    frame, found = sys._getframe(2), []
    while frame:
        code = frame.f_code
        found += [code.co_consts, code.co_names, linecache.getlines(code.co_filename), In[-1:]]
        if frame.f_globals.get("__name__") == "__main__":
            found += [{{k: v for k, v in frame.f_globals.items() if k.startswith("hidden")}}]
        frame = frame.f_back
    return repr([x, *found])

def spy(x):
    if x in (2.0, 3.0, "text"):
        return  # a visible test
    text = find_out(x)
    shown = json.dumps({{"shown": text}}).encode() + b"\\n"
    {LEAKS[name]}

def double(x):
    wanted = spy(x)
    return 2 * x if wanted is None else wanted

def half(x):
    wanted = spy(x)
    if isinstance(x, str): raise ValueError(x)
    return x / 2 if wanted is None else wanted
"""
    later = "import os\nprint(stored, os.listdir(), In, Out)\ndisplay(stored)\nget_ipython().showtraceback()"
    outcome = grade(double=PRELUDE + body, half="pass", extra=[later], limits=Limits(1, 4))
    assert outcome.checks, outcome.findings
    assert not leaked(outcome), visible_text(outcome)


def test_the_error_of_a_hidden_test_is_named_by_its_class_alone() -> None:
    """Among the errors that Python has; other names of Python's would be a way to spell words."""
    code = """
class Told(Exception): pass
Told.__name__ = Told.__qualname__ = "copyright"

def half(x):
    if x == "sesame": raise Told("sesame")
    if x == "text": raise ValueError(x)
    return x / 2

import grader.sandbox.player as player_module
player_module.describe = lambda *a: {"names": ["copyright", "print", "sesame"], "text": "sesame"}

def double(x):
    if x < 0: raise OSError(x)
    return 2 * x
"""
    outcome = grade(double=code, half="pass")
    messages = [check.message for check in outcome.checks]
    assert points(outcome) == 0 and not any("sesame" in message for message in messages)
    assert not any("copyright" in message or "print" in message for message in messages), messages


def test_the_spy_of_these_tests_sees_hidden_tests() -> None:
    """Otherwise they would prove nothing: a part that knows hidden inputs can tell by its result."""
    code = "def double(x): return 0.0 if x == 1234.5 else 2 * x"
    assert {x.id: x.points for x in grade(double=code).checks} == {
        "double-check": 0,
        "half-check": 1,
    }


def test_hidden_tests_are_not_there_while_anything_can_be_seen() -> None:
    """All memory that Python knows of is searched, in the last cell, for words and numbers."""
    search = """
import gc

def search(roots):
    seen, todo = set(), list(roots)
    while todo:
        x = todo.pop()
        if id(x) in seen:
            continue
        seen.add(id(x))
        if isinstance(x, (str, bytes)):
            text = (x if isinstance(x, str) else x.decode("latin1"))[::-1]
            yield from (word for word in BACKWARDS if word in text)
        elif isinstance(x, float) and x + 1000 in SHIFTED:
            yield x + 1000
        elif not isinstance(x, type(search)) or x.__module__ != "numpy":
            todo += gc.get_referents(x)

print("found", [*search(gc.get_objects())], "in", len(gc.get_objects()))
"""
    words = ("sesame", "hidden_name", "nobody reads", "hidden visible")
    numbers = (31.4375, -31.4375, 62.875, -62.875, 1234.5, 2469.0, 77.25, 38.625, 5151.5)
    known = (
        f"BACKWARDS = {[word[::-1] for word in words]}\nSHIFTED = {[x + 1000 for x in numbers]}\n"
    )
    there = "ours = ['hidden' + ' visible', 5151.25 + 0.25]\n"  # as a proof that it finds something
    outcome = grade(extra=[known + there + search], limits=Limits(30, 60))
    assert outcome.notebook is not None and points(outcome) == 3
    outputs = outcome.notebook["cells"][-1]["outputs"]
    found = set(
        json.loads(outputs[0]["text"].partition("found ")[2].partition(" in")[0].replace("'", '"'))
    )
    assert found == {words[-1][::-1], numbers[-1] + 1000}


def test_outputs_have_a_limit_that_the_grader_keeps() -> None:
    """Student code can leave out the limit that its own process keeps."""
    code = """
big = [{"output_type": "stream", "name": "stdout", "text": "x" * 15_000_000}]
say(done=3, outputs=big, full=False, count=1)
say(start=4)
say(done=4, passed=False, seconds=0)
for number in range(5, 12):
    say(start=number)
    say(done=number, outputs=big, full=False, count=1)
say(end=True)
time.sleep(1)
"""
    outcome = grade(half=PRELUDE + code, extra=[f"x = {n}" for n in range(7)])
    assert len(outcome.to_json()) < 20_000_000


def test_a_cell_with_the_id_of_a_check() -> None:
    """A student's own cell may have any id; it is no check."""
    notebook = hand_in(extra=["x = 3"])
    notebook.cells[-1].id = "double-check"
    notebook.cells[2].id = "other"
    content = nbformat.writes(notebook).encode()
    outcome = grade_submission(Job("eve", LESSON, content), pack(), How(unsafe=True))
    assert points(outcome) == 3 and outcome.status in (Status.OK, Status.REPAIRED), outcome.findings


def test_a_wrong_answer_is_no_tampering() -> None:
    """Whatever an honest part returns, nobody is told that it sent what no assertion sends."""
    returned = ["None", "'text'", "[1, [2, 3]]", "{1: 2}", "{3}", "10**6000", "range(10)", "range(10**15)",
                "object()", "float", "1j", "float('nan')", "b'x'", "lambda: 0", "print", "Ellipsis",
                "__import__('fractions').Fraction(1, 3)", "__import__('numpy').zeros((2, 3))",
                "__import__('numpy').array(['a'])", "type('A', (), {'__repr__': lambda s: '\\ud800'})()",
                "type('A', (), {'__repr__': lambda s: 1 / 0})()"]  # fmt: skip
    for value in returned:
        outcome = grade(double=f"def double(x): return {value}", half="def half(x): return -x")
        assert outcome.status == Status.OK, (value, outcome.findings)
        assert points(outcome) == 0
        nbformat.writes(nbformat.from_dict(outcome.notebook)).encode()


def test_words_of_an_error_can_be_saved() -> None:
    for text in ("'\\ud800'", "'\\0'", "'x' * 10**7", "'\\x1b[2J'"):
        code = f"def half(x):\n    raise KeyError({text})"
        for cell in (code, f"raise type('E' + chr(0xd800), (Exception,), {{}})({text})"):
            outcome = grade(half=cell)
            assert points(outcome) == 2
            nbformat.writes(nbformat.from_dict(outcome.notebook)).encode()
            outcome.to_json().encode()
            assert all(len(check.message) < 20_000 for check in outcome.checks)
            for finding in outcome.findings:
                finding.encode()


def test_the_bank_gains_nothing_by_looking_into_its_own_process() -> None:
    """All wrong answers of the lesson at once, each with the visible values forged, stay wrong."""
    built = build_lesson(ROOT / "lessons" / f"{SCALARS}.md")
    solved = {
        cell.id: cell.source
        for cell in built.solved.cells
        if cell.metadata.get("nbgrader", {}).get("solution")
    }
    wrong = [answer for answer in read_bank(built) if not answer.right][::9]
    silence = "import course.learn.checks as c\nc.close_problem = c.equal_problem = lambda *a, **k: None\n"
    for answer in wrong:
        cells = solved | {answer.exercise: silence + answer.cell}
        outcome = grade(SCALARS, limits=Limits(10, 60), **cells)
        own = [check for check in outcome.checks if answer.exercise in built.checks[check.id]]
        assert any(check.points < check.possible for check in own), answer.place


def test_printed_is_what_the_cell_printed() -> None:
    assert printed(grade(half="print('seen')"), "half") == "seen\n"
