"""What stands between student code and the machine.

Outermost is a program that starts the fork server in a world of its own: bubblewrap where there is
one, else `unshare`. Inside it, each process that will run student code gives up rights for good:
files (landlock), system calls (seccomp), amounts (rlimits). A layer that the machine does not offer
is left out, and `grader doctor` says so.
"""

import contextlib
import ctypes
import errno
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/nix/store")
SYSTEM_FILES = ("ld.so.cache", "localtime", "fonts", "alternatives", "mime.types", "magic")

DISK = 512 * 2**20  # bytes that all files of a notebook may take together

# linux/landlock.h: what a version of landlock can forbid, as the number of its lowest bits.
FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}
LATEST_FILE_RIGHTS = 16
EXECUTE, READ_FILE, READ_DIR = 1, 1 << 2, 1 << 3
FILE_ONLY = EXECUTE | 1 << 1 | READ_FILE | 1 << 14 | 1 << 15  # rights that make sense on a file
NEVER = 1 << 6 | 1 << 11 | 1 << 12  # making devices, and links that lead out of a folder
NO_TCP, NO_SIGNALS_OUT = 0b11, 0b11
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # the same on all processors
PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS, PR_SET_CHILD_SUBREAPER = 4, 38, 36

FORBIDDEN_CALLS = (
    *("ptrace", "process_vm_readv", "process_vm_writev", "kcmp", "pidfd_getfd", "userfaultfd"),
    *("unshare", "setns", "mount", "umount2", "pivot_root", "chroot", "open_tree", "move_mount"),
    *(
        "fsopen",
        "fsmount",
        "fspick",
        "fsconfig",
        "mount_setattr",
        "open_by_handle_at",
        "name_to_handle_at",
        "bpf",
        "perf_event_open",
    ),
    *("keyctl", "add_key", "request_key", "io_uring_setup", "init_module", "finit_module"),
    *("delete_module", "kexec_load", "reboot", "swapon", "swapoff", "acct", "quotactl"),
    *("settimeofday", "clock_settime", "clock_adjtime", "sethostname", "setdomainname"),
    # Connections of all kinds; socketpair stays, which processes of one notebook may use.
    *("socket", "fanotify_init", "fanotify_mark", "inotify_add_watch"),
    # Memory and messages that outlive a process, for the next submission to find.
    *("shmget", "shmat", "shmctl", "msgget", "msgsnd", "msgrcv", "msgctl"),
    *("semget", "semop", "semtimedop", "semctl", "mq_open", "mq_unlink"),
    *("memfd_create", "memfd_secret"),  # memory that is in no process
    # Priorities, its own and others'.
    *("setpriority", "ioprio_set", "sched_setscheduler", "sched_setparam", "sched_setattr"),
)
# What landlock does not cover; in bubblewrap, only the notebook's own folder can be written.
FORBIDDEN_OUTSIDE_BUBBLEWRAP = (
    *("chmod", "fchmod", "fchmodat", "fchmodat2", "chown", "fchown", "lchown", "fchownat"),
    *("utime", "utimes", "utimensat", "futimesat", "setxattr", "lsetxattr", "fsetxattr"),
    *("removexattr", "lremovexattr", "fremovexattr"),
)
# These may act on the calling process, which is number 0, and on no other.
ON_ITSELF_ONLY = ("prlimit64", "sched_setaffinity")
NEW_NAMESPACES = 0x10000000 | 0x00020000 | 0x20000000 | 0x40000000  # of users, files, pids, network


@dataclass(frozen=True)
class Limits:
    """How much one submission may use.

    Attributes:
        cell_seconds: how long a cell may take.
        notebook_seconds: how long all of it may take.
        memory: bytes that it may take on top of what the libraries have.
        processes: how many processes it may have at a time.
        file_bytes: how large a file it may write.
    """

    cell_seconds: float = 60
    notebook_seconds: float = 300
    memory: int = 2 * 2**30
    processes: int = 64
    file_bytes: int = 64 * 2**20


def wrapper(readable: Iterable[Path]) -> tuple[str, list[str]]:
    """The program that starts a command in a world of its own.

    Args:
        readable: files and folders that the command may read, besides the system's.

    Returns:
        The layer's name, and the words that go before the command. Both are empty if there is none.
    """
    for name, words in (("bubblewrap", _bubblewrap(readable)), ("namespaces", _unshare())):
        if words and _works([*words, "true"]):
            return name, words
    return "", []


def python_folders() -> list[Path]:
    """Where this Python and its packages lie."""
    folders = {sys.prefix, sys.base_prefix, sysconfig.get_path("purelib")}
    return [Path(folder) for folder in sorted(folders)]


def _works(command: Sequence[str]) -> bool:
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _bubblewrap(readable: Iterable[Path]) -> list[str]:
    program = shutil.which("bwrap")
    if program is None:
        return []
    words = [program, "--unshare-user", "--unshare-pid", "--unshare-net", "--unshare-ipc"]
    words += ["--unshare-uts", "--unshare-cgroup-try", "--hostname", "sandbox"]
    words += ["--uid", "65534", "--gid", "65534", "--cap-drop", "ALL"]
    words += ["--die-with-parent", "--new-session"]
    for name in SYSTEM:
        if os.path.islink(name):
            words += ["--symlink", os.readlink(name), name]
        elif os.path.isdir(name):
            words += ["--ro-bind", name, name]
    for name in SYSTEM_FILES:
        words += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
    words += ["--proc", "/proc", "--dev", "/dev"]
    for folder in ("/tmp", "/dev/shm"):
        words += [*_size_option(program), "--tmpfs", folder]
    for path in readable:
        if not str(path).startswith(tuple(f"{name}/" for name in SYSTEM)):
            words += ["--ro-bind", str(path), str(path)]
    return [*words, "--chdir", "/tmp", "--"]


def _size_option(program: str) -> list[str]:
    """Words that limit the size of a folder in memory, if this bubblewrap knows them."""
    words = subprocess.run([program, "--help"], capture_output=True, text=True).stdout
    return ["--size", str(DISK)] if "--size" in words else []


def _unshare() -> list[str]:
    program = shutil.which("unshare")
    if program is None or sys.platform != "linux":
        return []
    words = [program, "--user", "--map-current-user", "--net", "--ipc", "--uts", "--pid"]
    return [*words, "--mount", "--mount-proc", "--fork", "--kill-child", "--"]


def protect_server() -> None:
    """Let orphans come to the fork server, and nobody look into it."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


def give_up_rights(limits: Limits, folder: Path, readable: Iterable[Path], wall: str) -> list[str]:
    """Let this process, and all that it will start, do little from now on.

    Args:
        limits: how much it may use.
        folder: where it may write.
        readable: what it may read, besides the system's files.
        wall: the wrapper around it; empty if there is none.

    Returns:
        The names of the layers that are on.
    """
    ctypes.CDLL(None).prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    on = []
    version = landlock_version()
    if version:
        system = [Path(name) for name in (*SYSTEM, *(f"/etc/{name}" for name in SYSTEM_FILES))]
        own_process = Path("/proc" if wall else f"/proc/{os.getpid()}")
        devices = ["null", "zero", "full", "random", "urandom"]
        if wall == "bubblewrap":  # elsewhere these are the whole machine's
            devices += ["shm", "pts", "ptmx", "tty"]
        writable = [folder, *(Path("/dev", name) for name in devices)]
        _landlock(version, writable, [*system, own_process, *readable])
        on.append(f"landlock {version}")
    if _seccomp(wall):
        on.append("seccomp")
    _rlimits(limits, wall)
    return [*on, "rlimits"]


def landlock_version() -> int:
    """The version of landlock that this machine has; 0 if none."""
    if sys.platform != "linux":
        return 0
    libc = ctypes.CDLL(None, use_errno=True)
    return max(0, libc.syscall(CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(1)))


class _Ruleset(ctypes.Structure):
    _fields_ = (
        ("files", ctypes.c_uint64),
        ("network", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    )


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("rights", ctypes.c_uint64), ("parent", ctypes.c_int32))


def _landlock(version: int, writable: Iterable[Path], readable: Iterable[Path]) -> None:
    libc = ctypes.CDLL(None, use_errno=True)

    def call(number: int, *arguments: object) -> int:
        result = libc.syscall(number, *arguments)
        if result < 0:
            code = ctypes.get_errno()
            raise OSError(code, f"landlock: {os.strerror(code)}")
        return result

    everything = (1 << FILE_RIGHTS.get(version, LATEST_FILE_RIGHTS)) - 1
    ruleset = _Ruleset(everything, NO_TCP, NO_SIGNALS_OUT)
    size = 8 if version < 4 else 16 if version < 6 else 24  # older versions know fewer fields
    rules = call(CREATE_RULESET, ctypes.byref(ruleset), ctypes.c_size_t(size), ctypes.c_uint32(0))
    for paths, rights in (
        (writable, everything & ~NEVER),
        (readable, EXECUTE | READ_FILE | READ_DIR),
    ):
        for path in paths:
            try:
                parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
            except OSError:  # not on this machine
                continue
            beneath = _Beneath(rights if path.is_dir() else rights & FILE_ONLY & everything, parent)
            call(ADD_RULE, rules, 1, ctypes.byref(beneath), 0)
            os.close(parent)
    call(RESTRICT_SELF, rules, 0)
    os.close(rules)


def seccomp_works() -> bool:
    """Whether system calls can be filtered here."""
    try:
        import pyseccomp  # type: ignore[import-untyped]  # noqa: F401
    except (ImportError, OSError, RuntimeError):  # libseccomp is not there
        return False
    return True


def _seccomp(wall: str) -> bool:
    if not seccomp_works():
        return False
    import pyseccomp

    filter_ = pyseccomp.SyscallFilter(pyseccomp.ALLOW)

    def refuse(name: str, *arguments: object, code: int = errno.EPERM) -> None:
        with contextlib.suppress(OSError, ValueError):  # unknown on this processor
            filter_.add_rule(pyseccomp.ERRNO(code), name, *arguments)

    for name in FORBIDDEN_CALLS:
        refuse(name)
    for name in FORBIDDEN_OUTSIDE_BUBBLEWRAP if wall != "bubblewrap" else ():
        refuse(name)
    for name in ON_ITSELF_ONLY:
        refuse(name, pyseccomp.Arg(0, pyseccomp.NE, 0))
    for bit in (1 << n for n in range(32) if NEW_NAMESPACES >> n & 1):
        refuse("clone", pyseccomp.Arg(0, pyseccomp.MASKED_EQ, bit, bit))
    # What it would be asked for lies in memory, where a filter cannot look; libc then uses clone.
    refuse("clone3", code=errno.ENOSYS)
    filter_.load()
    return True


def _rlimits(limits: Limits, wall: str) -> None:
    import resource

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    has = pages * resource.getpagesize()
    seconds = int(limits.notebook_seconds) + 10
    for name, amount in (
        (resource.RLIMIT_AS, has + limits.memory),
        (resource.RLIMIT_FSIZE, limits.file_bytes),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 512),
        (resource.RLIMIT_CPU, seconds),
        # Within a wall it counts what is inside; elsewhere, all of the user's processes.
        *([(resource.RLIMIT_NPROC, 4 * limits.processes)] if wall else []),
    ):
        hard = resource.getrlimit(name)[1]
        amount = amount if hard == resource.RLIM_INFINITY else min(amount, hard)
        resource.setrlimit(name, (amount, amount))
    signal.signal(
        signal.SIGXFSZ, signal.SIG_IGN
    )  # a file that grows too large is an error, no death
