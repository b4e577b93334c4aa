"""Makes the course's Python environment in .venv, once, and runs the course in it.

It needs Python and nothing else. The syntax here stays what Python 3.6 can read, so that an old
Python gets as far as the message that tells what is wrong with it.
"""

import contextlib
import difflib
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path
from typing import Iterator  # noqa: UP035 - where Python 3.6 has it

PYTHON = "py" if os.name == "nt" else "python3"


def newer_python() -> str:
    """Find a Python on this computer that is new enough; empty when there is none."""
    for name in ["python3.%d" % minor for minor in range(20, 10, -1)]:  # noqa: UP031
        null = subprocess.DEVNULL
        if (
            shutil.which(name)
            and subprocess.call([name, "--version"], stdout=null, stderr=null) == 0
        ):
            return name
    return ""


if sys.version_info < (3, 11):  # noqa: UP036 - this is for those who have an older one
    better = newer_python()
    sys.exit(
        "The course needs Python 3.11 or newer; this is Python {}.{} ({}).\n{}".format(
            sys.version_info[0],
            sys.version_info[1],
            sys.executable,
            "This computer has a newer one: " + better + " start.py"
            if better
            else "Install a newer Python and run start.py with that.",
        )
    )

ROOT = Path(__file__).resolve().parent
ENV = ROOT / ".venv"
BIN = ENV / ("Scripts" if os.name == "nt" else "bin")
EXE = ".exe" if os.name == "nt" else ""
OURS = ENV / "made-by-start.txt"  # .venv is this program's, complete or not
LOCKED = ROOT / ".venv.lock"  # there while a start.py changes .venv
PATIENCE = 1200  # seconds after which such a file is taken for a leftover
STAMP = ENV / "start.json"  # what .venv was made from; written last, so that it means "complete"
LOCK = ROOT / "requirements.lock"
PROJECT = ROOT / "pyproject.toml"
NEWEST_TRIED = (3, 14)  # only for a hint: a newer Python may lack ready-made packages

USAGE = """\
Sets up the course (once, in .venv) and runs it.

  python3 start.py                     open the course in JupyterLab
  python3 start.py --no-browser        the same, but only print the address
  python3 start.py course open 1.2     open one lesson (see: python3 start.py course --help)
  python3 start.py grader --help       build, prove and grade notebooks
  python3 start.py test                run all tests; what follows goes to pytest:
  python3 start.py test -k workspace
  python3 start.py setup               only make .venv, or bring it up to date
  python3 start.py lock                recompile requirements.lock after a change of pyproject.toml
  python3 start.py PROGRAM ...         run a program of .venv: ruff, mypy, jupyter, python ...
""".replace("python3 ", PYTHON + " ")

LOCK_COMMAND = (
    "pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url"
    " --group dev pyproject.toml -o requirements.lock --quiet"
)

# Signs, in the messages of uv and pip, that no package index could be asked.
NO_NETWORK = re.compile(
    r"dns error|name resolution|error sending request|connect error|client error|ProxyError"
    r"|NewConnectionError|Connection refused|Network is unreachable|[Tt]imed out|getaddrinfo"
    r"|[Nn]etwork connectivity is disabled|Failed to establish"
)


class Trouble(Exception):
    """Something the user can do something about; its text is all that is shown."""


class StepFailed(Trouble):
    """A program that start.py needs ended with an error."""

    def __init__(self, what: str, output: str) -> None:
        self.offline = bool(NO_NETWORK.search(output))
        lines = output.strip().splitlines()[-4 if self.offline else -15 :]
        tail = "\n".join("    | " + line[:200] for line in lines)
        if self.offline:
            advice = (
                "No package index could be reached. Is there a network connection, or does it\n"
                "need a proxy (HTTPS_PROXY)? What was already downloaded is kept: run it again."
            )
        else:
            advice = (
                "The lines above say why. Once mended, run start.py again: it goes on from here."
            )
            if sys.version_info[:2] > NEWEST_TRIED:
                advice += "\nThis Python is newer than the packages; try Python {}.{}.".format(
                    *NEWEST_TRIED
                )
        super().__init__(f"{tail}\n\nThis failed: {what}.\n{advice}")


def say(words: str) -> None:
    """Print progress where it does not mix with a program's output."""
    print(words, file=sys.stderr, flush=True)


# The stamp: is .venv complete and up to date?


def wanted_stamp() -> dict[str, str]:
    """Describe the .venv that this Python would make of the present files."""
    try:
        packages = hashlib.sha256(LOCK.read_bytes() + PROJECT.read_bytes()).hexdigest()
    except FileNotFoundError as missing:
        raise Trouble(
            f"{missing.filename} is missing. start.py works inside the course's folder:\n"
            "clone or download the whole of it."
        ) from None
    version = "{}.{}.{}".format(*sys.version_info)
    return {"python": version, "folder": str(ROOT), "packages": packages}


def found_stamp() -> dict[str, str]:
    """Read the stamp of the present .venv; empty when there is none, or no whole one."""
    try:
        stamp = json.loads(STAMP.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) and program("python").exists() else {}


def write_stamp(stamp: dict[str, str]) -> None:
    """Mark .venv as complete."""
    unfinished = STAMP.with_suffix(".part")
    unfinished.write_text(json.dumps(stamp, indent=1), encoding="utf-8")
    unfinished.replace(STAMP)


def why_rebuild(found: dict[str, str], wanted: dict[str, str]) -> str:
    """Say why .venv cannot be mended in place; empty if it can."""
    if not found:
        return "is incomplete, or was made by another program"
    if found.get("folder") != wanted["folder"]:
        return "was made for another folder"
    if found.get("python") != wanted["python"]:
        return "was made by Python {}, and this is {}".format(found.get("python"), wanted["python"])
    return ""


# Making .venv.


def ensure_environment() -> None:
    """Make .venv or bring it up to date; do nothing, quickly, when it is.

    The stamp is removed first and written last. A .venv without one was interrupted half-way (or
    made by somebody else) and is made anew, because nothing tells which of its packages are whole.
    """
    if found_stamp() == wanted_stamp():
        return
    with only_one():
        set_up()


@contextlib.contextmanager
def only_one() -> Iterator[None]:
    """Let one start.py at a time change .venv; others wait until it is done."""
    said = False
    while True:
        try:
            handle = os.open(str(LOCKED), os.O_CREAT | os.O_EXCL | os.O_WRONLY)
            os.write(handle, str(os.getpid()).encode())
            os.close(handle)
            break
        except FileExistsError:
            if is_leftover():
                with contextlib.suppress(OSError):
                    LOCKED.unlink()
                continue
        if not said:
            say("Another start.py is at work on .venv: waiting for it. (If there is none, delete")
            say(f"{LOCKED} .)")
            said = True
        time.sleep(0.5)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            LOCKED.unlink()


def is_leftover() -> bool:
    """Tell whether the start.py that left its lock behind is gone."""
    try:
        if time.time() - LOCKED.stat().st_mtime > PATIENCE:
            return True
        if os.name == "nt":  # where asking for a process by os.kill would end it
            return False
        os.kill(int(LOCKED.read_text(encoding="utf-8")), 0)
    except ProcessLookupError:
        return True
    except (OSError, ValueError):  # just being written, or just gone
        return False
    return False


def set_up() -> None:
    """Make .venv, or bring it up to date."""
    wanted, found = wanted_stamp(), found_stamp()
    if found == wanted:  # by the one that we waited for
        return
    uv = uv_on_path()
    reason = why_rebuild(found, wanted)
    if not reason and not uv and not program("pip").exists():
        reason = "was made with uv, which is no longer here"
    if reason:
        remove_environment(reason)
        say("Making .venv (about a minute, once) ...")
        create_environment(uv)
        install(uv or uv_through_pip())
    else:
        say("Bringing .venv up to date ...")
        STAMP.unlink()
        try:
            install(uv or uv_through_pip())
        except StepFailed as failure:
            if not failure.offline:
                raise
            write_stamp(found)  # all is downloaded before any is changed: these are whole
            say(f"{failure}\n\nGoing on with the packages that are there.\n")
            return
    write_stamp(wanted)
    say("Done.\n")


def remove_environment(reason: str) -> None:
    """Delete .venv if this program made it; else put it aside."""
    if not os.path.lexists(str(ENV)):
        return
    if ENV.is_dir() and not ENV.is_symlink() and not (OURS.exists() or STAMP.exists()):
        names = (ROOT / f".venv-old-{n}" for n in range(1, 1000))
        aside = next(path for path in names if not path.exists())
        say(f"The folder .venv was made by another program: it is {aside.name} now.")
        try:
            ENV.rename(aside)
        except OSError as error:
            raise Trouble(f"{error}\n\n.venv could not be renamed: close what uses it.") from None
        return
    say(f"The folder .venv {reason}: removing it ...")
    try:
        if ENV.is_dir() and not ENV.is_symlink():
            STAMP.unlink(missing_ok=True)
            shutil.rmtree(str(ENV))
        else:
            ENV.unlink()
    except OSError as error:
        raise Trouble(
            f"{error}\n\n.venv could not be removed. Close the programs that run from it"
            " (JupyterLab, a terminal,\nan editor), or delete the folder yourself; then run"
            " start.py again."
        ) from None


def create_environment(uv: str | None) -> None:
    """Make an empty virtual environment of the Python that runs this."""
    python = getattr(sys, "_base_executable", None) or sys.executable  # not that of another .venv
    if uv:
        run_step("make a virtual environment", [uv, "venv", "--python", python, str(ENV)])
        OURS.touch()
        return
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        version = "{}.{}".format(*sys.version_info)
        raise Trouble(
            f"This Python ({python}) came without the modules `venv` and `ensurepip`.\n"
            f"On Debian and Ubuntu:  sudo apt install python{version}-venv\n"
            "Elsewhere: install Python from its own installer, or install `uv`. Then run start.py again."
        ) from None
    run_step("make a virtual environment", [python, "-m", "venv", str(ENV)])
    OURS.touch()


def install(uv: str | None) -> None:
    """Install what requirements.lock lists, and the course itself as an editable package."""
    say("  installing the packages ...")
    python = str(program("python"))
    itself = ["--no-deps", "--no-build-isolation", "--editable", "."]
    if uv:
        pip = [uv, "pip"]
        chosen = ["--python", python, "--quiet"]
        run_step("install the packages", [*pip, "sync", *chosen, "--require-hashes", str(LOCK)])
        run_step("install the course", [*pip, "install", *chosen, *itself])
        return
    entries = lock_entries()
    del entries["uv"]  # nothing here needs it, and it is the one that could not be had
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    with requirements_file("".join(entries.values())) as path:
        run_step("install the packages", [*pip, "--require-hashes", "-r", path])
    run_step("install the course", [*pip, *itself])


def uv_on_path() -> str | None:
    """Find a uv that works and lies outside .venv, which may be about to be removed."""
    folders = os.environ.get("PATH", "").split(os.pathsep)
    path = os.pathsep.join(f for f in folders if f and Path(f).resolve() != BIN)
    uv = shutil.which("uv", path=path)
    # pyenv leaves a `uv` on PATH that only says that there is none.
    if uv and subprocess.run([uv, "--version"], capture_output=True).returncode == 0:
        return uv
    return None


def uv_through_pip() -> str | None:
    """Install the uv that requirements.lock names into .venv; None where it has no such build."""
    pip = [str(program("python")), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    say("  fetching uv, which installs the rest ...")
    with requirements_file(lock_entries()["uv"]) as path:
        try:
            run_step("fetch uv", [*pip, "--require-hashes", "--only-binary=:all:", "-r", path])
        except StepFailed as failure:
            if failure.offline:
                raise
            say("  there is no uv for this computer: using pip, which takes a few minutes")
            return None
    return str(program("uv"))


def lock_entries() -> dict[str, str]:
    """Split requirements.lock by package: a name, and its lines there."""
    entries: dict[str, str] = {}
    name = ""
    for line in LOCK.read_text(encoding="utf-8").splitlines(keepends=True):
        if line.startswith("#"):
            continue
        if not line[:1].isspace():
            name = re.split(r"[=\s\[]", line)[0]
        entries[name] = entries.get(name, "") + line
    return entries


@contextlib.contextmanager
def requirements_file(text: str) -> Iterator[str]:
    """Give the path of a file with the given text that exists as long as the `with`."""
    descriptor, path = tempfile.mkstemp(suffix=".txt")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    try:
        yield path
    finally:
        os.unlink(path)


def run_step(what: str, command: list[str]) -> None:
    """Run one step of the set-up, with a sign of life now and then.

    Raises:
        StepFailed: With the end of the program's output.
    """
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            command,
            cwd=str(ROOT),
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        seconds = 0
        while True:
            try:
                code = process.wait(timeout=15)
                break
            except subprocess.TimeoutExpired:
                seconds += 15
                say(f"  ... {seconds} s")
        output.seek(0)
        if code != 0:
            raise StepFailed(what, output.read().decode("utf-8", "replace"))


# Running programs in .venv.


def program(name: str) -> Path:
    """Give the path of a program of .venv."""
    return BIN / (name + EXE)


def programs() -> list[str]:
    """List the programs of .venv, without the scripts for shells."""
    names = (path.name for path in BIN.iterdir() if os.access(str(path), os.X_OK))
    if EXE:
        names = (name[: -len(EXE)] for name in names if name.endswith(EXE))
    return sorted(name for name in names if not name.endswith((".bat", ".ps1", ".py")))


def environment() -> dict[str, str]:
    """Give the environment of an activated .venv."""
    variables = dict(os.environ, VIRTUAL_ENV=str(ENV))
    variables["PATH"] = os.pathsep.join([str(BIN), os.environ.get("PATH", os.defpath)])
    # Settings that would make python, uv or pip look past .venv.
    for name in (
        "PYTHONHOME",
        "UV_SYSTEM_PYTHON",
        "UV_PYTHON",
        "PIP_USER",
        "PIP_TARGET",
        "PIP_PREFIX",
    ):
        variables.pop(name, None)
    return variables


def run(command: list[str], folder: Path | None = None) -> int:
    """Become the given program (on Windows: run it); give its exit code."""
    if folder:
        os.chdir(str(folder))
    if os.name != "nt":
        os.execve(command[0], command, environment())
    process = subprocess.Popen(command, env=environment())
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            pass  # Ctrl-C reached the program too: it decides what to do


def main(arguments: list[str]) -> int:
    """Run what the command line asks for; give the exit code."""
    word, rest = (arguments[0], arguments[1:]) if arguments else ("course", ["open"])
    if word in ("-h", "--help", "help"):
        print(USAGE, end="")
        return 0
    if word == "lock":
        uv = uv_on_path()
        if not uv:
            ensure_environment()
            uv = str(program("uv"))
        return run(
            [uv, *LOCK_COMMAND.split(), "--custom-compile-command", "python3 start.py lock", *rest],
            ROOT,
        )
    ensure_environment()
    if word == "setup":
        return 0
    if word == "test":
        # All tests: in two processes, as many as the smallest machine has cores. With more threads
        # in each, these would wait for each other: numpy's products took up to four times as long.
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            os.environ.setdefault(name, "1")
        return run([str(program("pytest")), *(rest or ["-n", "2", "--dist", "loadgroup"])], ROOT)
    if word.startswith("-"):
        word, rest = "course", ["open", *arguments]
    if word in programs():
        return run([str(program(word)), *rest])
    raise UnknownWord(word)


class UnknownWord(Trouble):
    """The first word of the command line is nothing that start.py knows."""

    def __init__(self, word: str) -> None:
        known = ["setup", "test", "lock", *programs()]
        close = difflib.get_close_matches(word, known, n=1)
        hint = f" Did you mean `{close[0]}`?" if close else ""
        names = textwrap.fill(" ".join(programs()), 96, break_on_hyphens=False)
        super().__init__(
            f"start.py does not know `{word}`.{hint}\n\n{USAGE}\nThe programs of .venv:\n{names}"
        )


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except UnknownWord as trouble:
        say(str(trouble))
        sys.exit(2)
    except Trouble as trouble:
        say(str(trouble))
        sys.exit(1)
    except KeyboardInterrupt:
        say(f"\nInterrupted. Run `{PYTHON} start.py` again: it takes up where it stopped.")
        sys.exit(130)
