"""Getting out of the sandbox, from inside: each wall that the machine offers is tried alone.

"bubblewrap" is what is recommended; "namespaces" is a machine that has only `unshare`; "neither" is
one that lets nobody make namespaces. Landlock, seccomp and rlimits are there each time.
"""

import json
import os
import pty
import shutil
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
import pytest
from attacks import (
    PRELUDE,
    SCALARS,
    WALLS,
    attempts,
    came_of,
    grade,
    leaked,
    points,
    printed,
    put_up,
)

from grader import doctor, fork_server
from grader.errors import GraderError
from grader.fork_server import close_all
from grader.paths import ROOT
from grader.results import Status
from grader.sandbox import layers
from grader.sandbox.layers import Limits

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="NOT TESTED: no sandbox here")

# x86-64's numbers of system calls that Python has no function for; elsewhere they are not tried.
CALLS = {
    "ptrace": "call(101, 16, os.getppid(), 0, 0)",
    "reading memory": "call(310, os.getppid(), b' ' * 64, 1, b' ' * 64, 1, 0)",
    "a mount": "call(165, b'none', b'.', b'tmpfs', 0, 0)",
    "unshare": "call(272, 0x10000000)",
    "clone": "call(56, 0x10000000 | 17, 0, 0, 0, 0)",
    "clone3": "call(435, b'\\0' * 88, 88)",
    "setns": "call(308, 0, 0)",
    "bpf": "call(321, 0, 0, 0)",
    "perf": "call(298, 0, 0, 0, 0, 0)",
    "io_uring": "call(425, 1, ctypes.create_string_buffer(200))",
    "keys": "call(250, 0, -3, 0)",
    "a file handle": "call(303, -100, b'.', ctypes.create_string_buffer(200), ctypes.create_string_buffer(8), 0)",
    "kcmp": "call(312, os.getpid(), os.getppid(), 0, 0, 0)",
    "another's file descriptor": "call(438, os.pidfd_open(os.getppid()), 0, 0)",
    "userfaultfd": "call(323, 0)",
    "fanotify": "call(300, 0, 0)",
    "shared memory": "call(29, 0x5EC3E7, 4096, 0o1666)",
    "messages": "call(68, 0x5EC3E7, 0o1666)",
    "semaphores": "call(64, 0x5EC3E7, 1, 0o1666)",
    "POSIX messages": "call(240, b'secret', os.O_CREAT | os.O_RDWR, 0o666, None)",
    "input priority": "call(251, 1, os.getppid(), 0)",
}
NUMBERED = os.uname().machine == "x86_64"

OUTSIDE = {
    "solutions": "os.listdir({root!r} + '/solutions')",
    "lessons": "os.listdir({root!r} + '/lessons')",
    "a solution": "open({root!r} + '/solutions/1_micrograd/1_scalars.ipynb').read()",
    "notebooks": "os.listdir({root!r} + '/notebooks')",
    "tests": "open({root!r} + '/tests/attacks.py').read()",
    "git": "os.listdir({root!r} + '/.git')",
    "the judge": "open({root!r} + '/grader/judge.py').read()",
    "the gradebook": "open({root!r} + '/grader/gradebook.db', 'rb').read(1)",
    "packs": "os.listdir({root!r} + '/grader/packs')",
    "the repository": "os.listdir({root!r})",
    "home": "os.listdir({home!r})",
    "passwords": "open('/etc/passwd').read()",
    "other temporary files": "open({secret!r}).read()",
    "the way there by a link": "os.symlink({secret!r}, 'link') or open('link').read()",
    "the way there by a hard link": "os.link({secret!r}, 'hard') or open('hard').read()",
    "the way there by the process": "open('/proc/self/root' + {secret!r}).read()",
    "the way there by the first process": "open('/proc/1/root' + {secret!r}).read()",
    "the way there by a program": "subprocess.run(['cat', {secret!r}], capture_output=True, check=True)",
    "the root folder": "os.listdir('/')",
    "the folder above": "os.listdir('..')",
    "the system's devices": "os.listdir('/sys/block')",
}
WRITING = {
    "beside its folder": "open('../beside', 'w')",
    "the temporary folder": "open('/tmp/beside', 'w')",
    "another temporary folder": "open('/var/tmp/beside', 'w')",
    "the repository": "open({root!r} + '/beside', 'w')",
    "the course": "open({root!r} + '/course/__init__.py', 'a')",
    "Python": "open(sys.prefix + '/beside', 'w')",
    "packages": "open(os.__file__, 'a')",
    "a file outside": "open({secret!r}, 'a')",
    "a file's mode": "os.chmod({secret!r}, 0o777)",
    "a file's owner": "os.chown({secret!r}, os.getuid(), os.getgid())",
    "a file's time": "os.utime({secret!r}, (1, 1))",
    "a file's attributes": "os.setxattr({secret!r}, 'user.x', b'1')",
    "a file's length": "os.truncate({secret!r}, 0)",
    "a file's name": "os.rename({secret!r}, 'mine')",
    "a file's end": "os.unlink({secret!r})",
    "a device": "os.mknod('device', stat.S_IFBLK | 0o600, os.makedev(254, 0)) or open('device', 'rb').read(1)",
    "memory as a device": "os.mknod('memory', stat.S_IFCHR | 0o600, os.makedev(1, 1))",
    "the kernel": "open('/proc/sys/kernel/core_pattern', 'w')",
    "its place in the queue": "open('/proc/self/oom_score_adj', 'w').write('1000')",
    "the fork server's": "open(f'/proc/{{os.getppid()}}/oom_score_adj', 'w').write('1000')",
}
NETWORK = {
    "this computer": "socket.create_connection(('127.0.0.1', {port}), 2)",
    "this computer by IPv6": "socket.socket(socket.AF_INET6).connect(('::1', {port}))",
    "a datagram": "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', {port}))",
    "a raw socket": "socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)",
    "a packet": "socket.socket(socket.AF_PACKET, socket.SOCK_RAW)",
    "the kernel": "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)",
    "the host": "socket.socket(socket.AF_VSOCK).connect((2, 1))",
    "a name": "socket.getaddrinfo('example.org', 80)",
    "a socket in a file": "socket.socket(socket.AF_UNIX).connect({path!r})",
    "a socket with a name": "socket.socket(socket.AF_UNIX).connect('\\0' + {abstract!r})",
    "a datagram to a file": "socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b'x', {path!r})",
    "a page": "__import__('urllib.request').request.urlopen('http://127.0.0.1:{port}', timeout=2)",
    "the terminal": "os.write(os.open({tty!r}, os.O_RDWR | os.O_NOCTTY), b'hello')",
    "its terminal": "open('/dev/tty')",
}
PROCESSES = {
    "a signal to the grader": "os.kill({pid}, 0)",
    "a signal to the fork server": "os.kill(os.getppid(), 0)",
    "a signal to the first process": "os.kill(1, 0) if os.getppid() != 1 else 1 / 0",
    "a signal by file": "signal.pidfd_send_signal(os.pidfd_open(os.getppid()), 0)",
    "the grader's environment": "open('/proc/{pid}/environ').read()",
    "the grader's files": "os.listdir('/proc/{pid}/fd')",
    "the fork server's memory": "open(f'/proc/{{os.getppid()}}/mem', 'rb').read(1)",
    "the fork server's map": "open(f'/proc/{{os.getppid()}}/maps').read(1)",
    "the fork server's environment": "open(f'/proc/{{os.getppid()}}/environ').read(1)",
    "the fork server's sockets": "[os.readlink(f'/proc/{{os.getppid()}}/fd/{{x}}') for x in range(20)]",
    "the first process's environment": "open('/proc/1/environ').read(1)",
    "the grader's limits": "resource.prlimit({pid}, resource.RLIMIT_NOFILE)",
    "the fork server's limits": "resource.prlimit(os.getppid(), resource.RLIMIT_NOFILE)",
    "the fork server's new limits": "resource.prlimit(os.getppid(), resource.RLIMIT_CORE, (0, 0))",
    "the fork server's priority": "os.setpriority(os.PRIO_PROCESS, os.getppid(), 1)",
    "everybody's priority": "os.setpriority(os.PRIO_USER, os.getuid(), 1)",
    "the fork server's processors": "os.sched_setaffinity(os.getppid(), os.sched_getaffinity(0))",
    "the fork server's order": "os.sched_setscheduler(os.getppid(), os.SCHED_BATCH, os.sched_param(0))",
    "more memory": "resource.setrlimit(resource.RLIMIT_AS, (-1, -1))",
    "more files": "resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))",
    "larger files": "resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))",
    "more processor time": "resource.setrlimit(resource.RLIMIT_CPU, (-1, -1))",
    "a root of its own": "os.chroot('.')",
    "another name": "socket.sethostname('other')",
}


@pytest.fixture(scope="module", params=WALLS)
def wall(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each wall in turn; skipped, with a word, where the machine lacks it."""
    with pytest.MonkeyPatch.context() as patch:
        put_up(request.param, patch)
        try:
            yield request.param
        finally:
            close_all()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What there is to reach outside: files, listening sockets, a terminal."""
    folder = tmp_path_factory.mktemp("outside")
    secret = folder / "secret.txt"
    secret.write_text("outside")
    path = str(folder / "socket")
    if len(path) > 100:
        pytest.skip(f"NOT TESTED: {path} is too long for a socket")
    abstract = f"grading-{os.getpid()}"
    by_file, by_name = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
    by_file.bind(path)
    by_name.bind(f"\0{abstract}")
    controller, terminal = pty.openpty()
    with socket.create_server(("127.0.0.1", 0)) as server, by_file, by_name:
        by_file.listen()
        by_name.listen()
        yield {
            "root": str(ROOT),
            "home": str(Path.home()),
            "secret": str(secret),
            "path": path,
            "abstract": abstract,
            "port": server.getsockname()[1],
            "tty": os.ttyname(terminal),
            "pid": os.getpid(),
        }
    os.close(controller)
    os.close(terminal)


def refused(lines: dict[str, str], world: dict[str, Any]) -> dict[str, str | None]:
    """Try these; returns what was not refused."""
    known = {name: line.format(**world) for name, line in lines.items()}
    outcome = grade(half=attempts(known), limits=Limits(20, 60))
    found = came_of(outcome)
    assert set(found) == set(lines)
    return {name: result for name, result in found.items() if result is not None}


def test_the_walls_are_those_that_are_tried(wall: str) -> None:
    assert layers.wrapper(())[0] == ("" if wall == "neither" else wall)
    outcome = grade()
    assert points(outcome) == 3 and outcome.status == Status.OK
    assert [layer.split()[0] for layer in outcome.layers] == ["landlock", "seccomp", "rlimits"]


def test_files_outside_are_not_read(wall: str, world: dict[str, Any]) -> None:
    assert not refused(OUTSIDE, world)


def test_nothing_outside_is_written(wall: str, world: dict[str, Any]) -> None:
    secret = Path(world["secret"])
    before = secret.stat()
    assert not refused(WRITING, world)
    after = secret.stat()
    assert secret.read_text() == "outside"
    assert (after.st_mode, after.st_mtime, after.st_uid) == (
        before.st_mode,
        before.st_mtime,
        before.st_uid,
    )


def test_nobody_is_reached(wall: str, world: dict[str, Any]) -> None:
    assert not refused(NETWORK, world)


def test_other_processes_are_out_of_reach(wall: str, world: dict[str, Any]) -> None:
    assert not refused(PROCESSES, world)
    assert points(grade()) == 3


@pytest.mark.skipif(not NUMBERED, reason="NOT TESTED: system calls have other numbers here")
def test_the_system_is_not_asked_for_more(wall: str, world: dict[str, Any]) -> None:
    assert not refused({name: line.replace("{", "{{") for name, line in CALLS.items()}, world)


@pytest.mark.skipif(not NUMBERED, reason="NOT TESTED: system calls have other numbers here")
def test_numbers_of_other_kinds_of_system_calls(wall: str) -> None:
    """The same calls under the numbers that 32-bit pointers have, where the kernel knows these."""
    lines = {
        "socket": "call(0x40000000 | 41, 1, 1, 0)",
        "ptrace": "call(0x40000000 | 521, 0, 0, 0, 0)",
    }
    outcome = grade(half=attempts(lines))
    if outcome.status != Status.CRASHED:  # which is what seccomp does with them
        assert came_of(outcome) == dict.fromkeys(lines)
    assert points(grade()) == 3


def test_what_a_notebook_may_do_it_can(wall: str) -> None:
    """Otherwise all of these tests would pass in a sandbox where nothing works."""
    lines = {
        "write": "open('mine.txt', 'w').write('x')",
        "read": "open('mine.txt').read()",
        "folders": "os.makedirs('a/b') or os.rename('mine.txt', 'a/b/c')",
        "a temporary file": "__import__('tempfile').NamedTemporaryFile().write(b'x')",
        "a program": "subprocess.run(['ls'], capture_output=True, check=True).stdout",
        "Python": "subprocess.run([sys.executable, '-c', 'import numpy'], check=True)",
        "processes": "__import__('multiprocessing').get_context('fork').Pipe()",
        "threads": "[*__import__('concurrent.futures').futures.ThreadPoolExecutor(2).map(abs, [-1])]",
        "an event loop": "__import__('asyncio').new_event_loop().close()",
        "pairs of sockets": "socket.socketpair()",
        "own limits": "resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))",
        "its status": "open('/proc/self/status').read(1)",
        "a picture": "__import__('matplotlib.pyplot').pyplot.plot([1, 2])",
        "random numbers": "os.urandom(3)",
        "nothing": "open('/dev/null', 'w').write('x')",
    }
    outcome = grade(half=attempts(lines), limits=Limits(30, 60))
    assert [name for name, result in came_of(outcome).items() if result is None] == []


def test_the_environment_says_nothing(wall: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "sesame-of-the-grader")
    close_all()  # so that the next fork server is started with it
    outcome = grade(
        half="import os\nprint(dict(os.environ))\nprint(open('/proc/self/environ').read())"
    )
    assert "PYTHONPATH" in printed(outcome, "half")
    assert "sesame-of-the-grader" not in printed(outcome, "half") and not leaked(outcome)


def test_no_file_of_the_grader_is_left_open(wall: str) -> None:
    """Sockets to the grader that are this notebook's, and /dev/null; nothing else is inherited."""
    code = """
import os
print([os.readlink(f"/proc/self/fd/{fd}") for fd in range(3, 200) if os.path.exists(f"/proc/self/fd/{fd}")])
print(sorted({player.main.connection.fileno(), *(s.fileno() for s in player.others)}))
"""
    outcome = grade(half=PRELUDE + code)
    opened, own = printed(outcome, "half").splitlines()
    kinds = [name.partition(":")[0] for name in json.loads(opened.replace("'", '"'))]
    assert set(kinds) <= {"socket", "/dev/null"}
    assert kinds.count("socket") == len(json.loads(own))


# From one submission to the next.

LEAVE = """
import os, resource, signal, subprocess, sys, threading

text = "left by the first"
for path in ("left.txt", "../left.txt", "/tmp/left.txt", "/dev/shm/left.txt", "/var/tmp/left.txt",
             os.path.expanduser("~/left.txt"), os.environ["TMPDIR"] + "/left.txt", "/dev/mqueue/left"):
    try:
        with open(path, "w") as file: file.write(text)
        os.makedirs(os.path.dirname(path) + "/left", exist_ok=True)
    except OSError: pass
os.environ["LEFT"] = text
import numpy, course.learn.checks, builtins, grader.sandbox.values, multiprocessing.shared_memory as shared
numpy.left = builtins.left = course.learn.checks.left = grader.sandbox.values.left = text
course.learn.checks.close_problem = numpy.isclose = lambda *a, **k: None
try: shared.SharedMemory("left", create=True, size=64)
except OSError: pass
for number in (resource.RLIMIT_NOFILE, resource.RLIMIT_FSIZE, resource.RLIMIT_CPU, resource.RLIMIT_NPROC, resource.RLIMIT_AS):
    try: resource.prlimit(os.getppid(), number, (7, 7))
    except (OSError, ValueError): pass
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGHUP, signal.SIG_IGN)
os.umask(0)
for setsid in (False, True):
    subprocess.Popen([sys.executable, "-c", "import signal, time\\nfor n in range(1, 30):\\n    try: signal.signal(n, signal.SIG_IGN)\\n    except OSError: pass\\ntime.sleep(4321)"], start_new_session=setsid)
if not os.fork():
    os.setsid()
    if os.fork():
        os._exit(0)
    while True:
        signal.pause()
print("left")
"""

LOOK = """
import json, os, resource, signal, sys, builtins, numpy, course.learn.checks, grader.sandbox.values

found = []
for folder in (".", "..", "/tmp", "/dev/shm", "/var/tmp", os.path.expanduser("~"), "/dev/mqueue"):
    try: found += [f"{folder}/{name}" for name in os.listdir(folder)]
    except OSError: pass
for number in range(1, 9):
    try: found += [open(f"../notebook-{number}/left.txt").read()]
    except OSError: pass
for path in ("/dev/shm/left.txt", "/tmp/left.txt", "/dev/shm/left"):
    try: found += [open(path).read()]
    except OSError: pass
found += [x for x in (numpy, builtins, course.learn.checks, grader.sandbox.values) if hasattr(x, "left")]
found += [x for x in os.environ if x == "LEFT"]
found += [n for n in (resource.RLIMIT_NOFILE, resource.RLIMIT_FSIZE, resource.RLIMIT_NPROC) if 7 in resource.getrlimit(n)]
found += [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(n) != signal.SIG_DFL]
if os.umask(0o22) == 0:
    found += ["umask"]
try: others = [p for p in os.listdir("/proc") if p.isdigit() and int(p) not in (1, os.getpid(), os.getppid())]
except OSError: others = []
for pid in others:
    try: found += [open(f"/proc/{pid}/cmdline").read()] * ("4321" in open(f"/proc/{pid}/cmdline").read())
    except OSError: pass
print("found", [str(x) for x in found])
"""  # fmt: skip


def test_nothing_reaches_the_next_submission(wall: str) -> None:
    outcome = grade(half=LEAVE)
    assert printed(outcome, "half") == "left\n", outcome.notebook
    later = grade(half=LOOK)
    assert printed(later, "half") == "found []\n"
    assert points(grade()) == 3
    assert points(grade(double="def double(x): return 5")) == 1
    assert not list(Path("/dev/shm").glob("left*"))


def test_what_the_hidden_part_writes_reaches_nobody(wall: str) -> None:
    """Hidden tests are seen at last; what keeps them is gone before the next submission comes."""
    code = """
import os, pathlib
def double(x):
    if x not in (2.0,):
        for folder in (".", "/dev/shm", "/tmp", os.environ["TMPDIR"]):
            try: pathlib.Path(folder, f"kept{x}").write_text(f"{x} sesame")
            except OSError: pass
    return 2 * x
"""
    look = """
import glob
for folder in ("/dev/shm", "..", "/tmp", "../*", "/tmp/*", "/var/tmp"):
    for path in glob.glob(folder + "/kept*"):
        print(path)
"""
    assert points(grade(double=code)) == 3
    later = grade(half=look)
    assert printed(later, "half") == "" and not leaked(later)
    assert not list(Path("/dev/shm").glob("kept*"))


def test_a_fork_server_is_killed_by_nobody(wall: str) -> None:
    code = """
import os, signal
for pid in (os.getppid(), 1, -1, -os.getpgid(os.getppid()), 0):
    if pid in (0, -1):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try: os.kill(pid, signal.SIGTERM if pid in (0, -1) else signal.SIGKILL)
    except OSError: pass
try: os.killpg(os.getpgid(os.getppid()) or 1, signal.SIGTERM)
except OSError: pass
print("still here")
"""
    grade()
    before = [server._process.pid for server in fork_server._servers.values()]
    outcome = grade(half=code)
    assert printed(outcome, "half") == "still here\n"
    assert [server._process.pid for server in fork_server._servers.values()] == before
    assert points(grade()) == 3


def test_orphans_die(wall: str) -> None:
    """Also those that hide in a session of their own, and those of a notebook that was killed."""
    for end in ("", "\nos._exit(0)", "\nwhile True: pass"):
        grade(half=LEAVE + end, limits=Limits(1, 4))
        (server,) = fork_server._servers.values()
        family = psutil.Process(server._process.pid).children(recursive=True)
        names = [" ".join(process.cmdline()) for process in family]
        assert not [name for name in names if "4321" in name]
        assert len(family) <= 2  # the wrapper's first process, and the fork server


# Limits.


def test_memory_has_a_limit(wall: str) -> None:
    code = "x = []\nwhile True:\n    x.append(bytearray(10**7))"
    outcome = grade(half=code, limits=Limits(20, 60, memory=200 * 2**20))
    assert outcome.memory < 2**30 and points(outcome) == 2
    many = """
import os, time
for _ in range(6):
    if not os.fork():
        x = bytearray(150 * 2**20)
        for page in range(0, len(x), 4096):
            x[page] = 1
        time.sleep(60)
        os._exit(0)
time.sleep(60)
"""
    outcome = grade(half=many, limits=Limits(20, 60, memory=200 * 2**20))
    assert outcome.status == Status.CRASHED and points(outcome) == 2


def test_processes_have_a_limit(wall: str) -> None:
    code = """
import os, time
for _ in range(150):
    if not os.fork():
        time.sleep(60)
        os._exit(0)
time.sleep(60)
"""
    outcome = grade(half=code, limits=Limits(20, 60, processes=30))
    assert outcome.status == Status.CRASHED and points(outcome) == 2
    assert points(grade()) == 3


def test_a_flood_of_messages_hides_no_processes(wall: str) -> None:
    """Whoever talks all the time is looked at all the same."""
    code = """
import threading
def forks():
    for _ in range(150):
        if not os.fork():
            time.sleep(60)
            os._exit(0)

class Talks:
    def __rtruediv__(self, other): return self
def half(x):
    forks()
    end = time.monotonic() + 20
    while time.monotonic() < end:
        player.main.ask({"shown": "x"})
        time.sleep(0.01)
    return x / 2
"""
    outcome = grade(half=PRELUDE + code, limits=Limits(20, 60, processes=30))
    assert (
        outcome.status == Status.CRASHED
        and {x.id: x.points for x in outcome.checks}["half-check"] == 0
    )


def test_files_have_a_limit(wall: str) -> None:
    code = """
import os
def write(name):
    try:
        with open(name, "wb") as file:
            while True:
                file.write(bytes(2**20))
    except OSError as error:
        return file.tell() if not file.closed else os.path.getsize(name)

print(os.path.getsize("big") if write("big") is None else os.path.getsize("big"))
stat = os.statvfs(".")
print(stat.f_blocks * stat.f_frsize)
try:
    fds = [os.open("/dev/null", os.O_RDONLY) for _ in range(5000)]
except OSError:
    print("no more")
"""
    outcome = grade(half=code, limits=Limits(20, 60, file_bytes=4 * 2**20))
    size, disk, more = printed(outcome, "half").splitlines()
    assert int(size) <= 4 * 2**20 and more == "no more"
    if wall == "bubblewrap" and layers._size_option(str(shutil.which("bwrap"))):
        assert int(disk) <= 2**30


def test_all_files_together_have_a_limit(wall: str) -> None:
    code = """
import time
for number in range(100):
    with open(f"{number}", "wb") as file:
        file.write(bytes(30 * 2**20))
    time.sleep(0.1)
"""
    outcome = grade(half=code, limits=Limits(30, 60))
    text = json.dumps(outcome.notebook)
    assert (
        outcome.status == Status.CRASHED or "No space left" in text or "FileNotFoundError" in text
    )
    assert points(outcome) == 2


def test_deep_folders_harm_nobody(wall: str) -> None:
    """What is cleaned up afterwards may be nested deeper than Python can call itself."""
    code = "import os\nfor _ in range(3000):\n    os.mkdir('d')\n    os.chdir('d')\nprint('deep')"
    outcome = grade(half=code, limits=Limits(20, 60))
    assert points(outcome) == 2, outcome.findings
    for _ in range(2):
        later = grade()
        assert points(later) == 3 and later.status == Status.OK, later.findings


def test_folders_without_rights_harm_nobody(wall: str) -> None:
    code = """
import os
os.makedirs("a/b")
open("a/b/c", "w").write("x")
for name in ("a/b", "a", "."):
    try: os.chmod(name, 0)
    except OSError: pass
"""
    for _ in range(2):
        assert points(grade(half=code)) == 2
        assert points(grade(half="import os\nprint(os.listdir())")) == 2


def test_the_number_of_files_has_a_limit(wall: str) -> None:
    code = """
import os, time
for number in range(30_000):
    os.close(os.open(f"{number}", os.O_CREAT | os.O_WRONLY))
time.sleep(2)
print("all of them")
"""
    outcome = grade(half=code, limits=Limits(30, 60))
    assert "all of them" not in printed(outcome, "half") and points(outcome) == 2
    assert points(grade()) == 3


def test_there_is_no_memory_that_nobody_counts(wall: str) -> None:
    found = came_of(grade(half=attempts({"memory": "os.memfd_create('x')"})))
    assert found == {"memory": None}


def test_output_has_a_limit(wall: str) -> None:
    code = "import os\nfor _ in range(300):\n    print('x' * 10**6)\n    os.write(1, b'x' * 10**6)"
    outcome = grade(half=code, limits=Limits(20, 60))
    assert 0 < len(printed(outcome, "half")) < 3 * 10**6


@pytest.mark.parametrize(
    "code",
    [
        "while True: pass",
        "import time\nwhile True:\n    try: time.sleep(9)\n    except BaseException: pass",
        "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)",
        "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\nwhile True: pass",
        "import os\nif os.fork(): os.wait()\nwhile True: pass",
    ],
    ids=["busy", "stubborn", "stopped", "deaf", "forked"],
)
def test_time_has_a_limit_however_it_is_spent(code: str) -> None:
    outcome = grade(half=code, limits=Limits(1, 4))
    assert outcome.status == Status.TIMEOUT and points(outcome) == 2, outcome.findings
    close_all()


def test_a_bomb_of_processes_is_stopped(wall: str) -> None:
    """Each makes two more, up to a few hundred, so that a machine without walls survives this test."""
    code = """
import os, time
end = time.monotonic() + 20
for _ in range(8):
    os.fork()
while time.monotonic() < end:
    time.sleep(0.1)
os._exit(0)
"""
    outcome = grade(half=code, limits=Limits(30, 60, processes=40))
    assert outcome.status == Status.CRASHED and points(outcome) == 2
    assert points(grade()) == 3
    time.sleep(0.2)
    left = [p for p in psutil.Process().children(recursive=True) if p.status() != "zombie"]
    assert len(left) <= 4


# The reference's code, with each wall.


def test_the_lessons_own_parts_are_not_to_be_read(wall: str) -> None:
    lines = {
        "file": "open(f'{root}/course/micrograd/engine.py').read()",
        "bytes": "os.listdir(f'{root}/course/micrograd/__pycache__')",
        "program": "subprocess.run(['cat', f'{root}/course/micrograd/engine.py'], check=True)",
        "fresh": "subprocess.run([sys.executable, '-c', 'import course.micrograd.engine'], check=True)",
        "reload": "__import__('importlib').reload(sys.modules['course.micrograd.engine'])",
        "source": "__import__('inspect').getsource(sys.modules['course.micrograd.gradcheck'])",
        "link": "os.symlink(f'{root}/course/micrograd/engine.py', 'x') or open('x').read()",
        "another process's eyes": "open(f'/proc/{os.getppid()}/root{root}/course/micrograd/engine.py').read()",
    }
    code = f"root = {str(ROOT)!r}\n" + attempts(lines)
    notebook = grade(SCALARS, extra=[code], limits=Limits(20, 60)).notebook
    assert notebook is not None
    found = json.loads(notebook["cells"][-1]["outputs"][0]["text"])
    assert found == dict.fromkeys(lines)


# What is required.


def test_without_walls_nothing_is_graded(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_bubblewrap", "_unshare"):
        monkeypatch.setattr(layers, name, lambda *a: [])
    monkeypatch.setattr(doctor, "landlock_version", lambda: 3)
    monkeypatch.setattr(doctor, "seccomp_works", lambda: False)
    doctor.walls.cache_clear()
    try:
        assert doctor.walls().missing == ["network", "processes"]
        with pytest.raises(GraderError, match="bubblewrap"):
            doctor.require_walls()
    finally:
        doctor.walls.cache_clear()
