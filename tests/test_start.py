"""start.py: setting up and finding programs. Most tests put a stand-in for uv on PATH."""

import ast
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the stand-in programs are scripts")

# Runs as a shell script first and then as Python, as pip's scripts do: the path of this Python may
# hold spaces, which a first line "#!..." does not allow.
SCRIPT = f"""\
#!/bin/sh
'''exec' "{sys.executable}" "$0" "$@"
' '''
"""

STAND_IN_UV = f"""\
{SCRIPT}
import json, os, pathlib, sys, time
here = pathlib.Path(__file__).parent
if sys.argv[1] == "--version":
    sys.exit()
with open(here / "log", "a") as log:
    log.write(" ".join(sys.argv[1:]) + "\\n")
if sys.argv[1] == "venv":
    bin = pathlib.Path(sys.argv[-1], "bin")
    bin.mkdir(parents=True)
    for name in ("course", "grader", "pytest", "python", "ruff"):
        (bin / name).write_text((here / "program").read_text())
        (bin / name).chmod(0o755)
if sys.argv[1:3] == ["pip", "sync"]:
    time.sleep(float(os.environ.get("SYNC_SECONDS", "0")))
    sys.exit(os.environ.get("SYNC_ERROR"))
"""

STAND_IN_PROGRAM = f"""\
{SCRIPT}
import json, os, sys
name = sys.argv[0].rsplit("/", 1)[1]
path = os.environ["PATH"].split(":")[0]
print(json.dumps([name, sys.argv[1:], os.getcwd(), path, os.environ["VIRTUAL_ENV"]]))
sys.exit(7 if "fail" in sys.argv else 0)
"""


@dataclass
class Course:
    """A course's folder, with nothing in it but what start.py reads."""

    folder: Path
    tools: Path  # stands first on PATH

    def start(
        self, *arguments: str, cwd: Path | None = None, **variables: str
    ) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, str(self.folder / "start.py"), *arguments],
            cwd=cwd or self.folder,
            env=self.environment(**variables),
            capture_output=True,
            text=True,
            timeout=300,
        )

    def environment(self, **variables: str) -> dict[str, str]:
        return {**os.environ, "PATH": f"{self.tools}:/usr/bin:/bin", **variables}

    def uv_calls(self) -> list[str]:
        """What the stand-in was asked for since the last time."""
        log = self.tools / "log"
        calls = log.read_text().splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return [call.replace(str(self.folder), "COURSE") for call in calls]

    def change(self, name: str, old: str, new: str) -> None:
        path = self.folder / name
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))


@pytest.fixture
def course(tmp_path: Path) -> Course:
    folder, tools = tmp_path / "a café course", tmp_path / "tools"
    folder.mkdir()
    tools.mkdir()
    shutil.copy(REPOSITORY / "start.py", folder)
    (folder / "pyproject.toml").write_text("[project]\n")
    (folder / "requirements.lock").write_text("# a comment\nuv==1 \\\n    --hash=sha256:12\n")
    (tools / "program").write_text(STAND_IN_PROGRAM)
    (tools / "uv").write_text(STAND_IN_UV)
    (tools / "uv").chmod(0o755)
    return Course(folder, tools)


@pytest.fixture
def ready(course: Course) -> Course:
    """The same, set up."""
    assert course.start("setup").returncode == 0
    course.uv_calls()
    return course


def ran(answer: "subprocess.CompletedProcess[str]") -> tuple[str, list[str]]:
    """The program that ran, and its arguments."""
    assert answer.returncode == 0, answer.stderr
    name, arguments, *_ = json.loads(answer.stdout)
    return name, arguments


# Running programs.


def test_the_first_run_makes_the_environment_and_opens_the_course(course: Course) -> None:
    first = course.start()
    assert ran(first) == ("course", ["open"])
    assert "about a minute, once" in first.stderr
    make, sync, itself = course.uv_calls()
    assert make.startswith("venv --python ")
    assert "--require-hashes" in sync
    assert sync.endswith("COURSE/requirements.lock")
    assert "--editable ." in itself


def test_an_environment_that_is_up_to_date_is_left_alone(ready: Course) -> None:
    again = ready.start()
    assert again.stderr == ""
    assert ready.uv_calls() == []


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (["--no-browser"], ("course", ["open", "--no-browser"])),
        (["--port", "9000"], ("course", ["open", "--port", "9000"])),
        (["course", "open", "1.2"], ("course", ["open", "1.2"])),
        (["grader", "build", "--check"], ("grader", ["build", "--check"])),
        (["test", "-k", "a b"], ("pytest", ["-k", "a b"])),
        (["test"], ("pytest", ["-n", "2", "--dist", "loadgroup"])),
        (["ruff", "check", "--fix"], ("ruff", ["check", "--fix"])),
    ],
)
def test_words(ready: Course, arguments: list[str], command: tuple[str, list[str]]) -> None:
    assert ran(ready.start(*arguments)) == command


def test_programs_run_where_the_user_is_and_tests_where_the_course_is(
    ready: Course, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    bin, environment = str(ready.folder / ".venv/bin"), str(ready.folder / ".venv")
    answer = json.loads(ready.start("grader", cwd=elsewhere).stdout)
    assert answer[2:] == [str(elsewhere), bin, environment]
    answer = json.loads(ready.start("test", cwd=elsewhere).stdout)
    assert answer[2:] == [str(ready.folder), bin, environment]


def test_exit_codes_are_passed_on(ready: Course) -> None:
    assert ready.start("test", "fail").returncode == 7


def test_an_unknown_word_is_answered_with_what_there_is(ready: Course) -> None:
    answer = ready.start("tset")
    assert answer.returncode == 2
    assert "Did you mean `test`?" in answer.stderr
    assert "course grader pytest python ruff" in answer.stderr
    assert "Traceback" not in answer.stderr
    assert ready.start("../../tools/uv").returncode == 2


def test_help_needs_no_environment(course: Course) -> None:
    answer = course.start("--help")
    assert answer.returncode == 0
    assert "start.py test" in answer.stdout
    assert not (course.folder / ".venv").exists()


def test_lock_compiles_and_names_no_index(course: Course) -> None:
    course.start("lock", "--upgrade")
    (compile,) = course.uv_calls()
    assert compile.startswith("pip compile --universal")
    assert "--no-emit-index-url" in compile
    assert compile.endswith("--upgrade")


# Keeping .venv right.


def test_a_new_lock_is_installed_into_the_same_environment(ready: Course) -> None:
    extra = ready.folder / ".venv/extra"
    extra.touch()
    ready.change("requirements.lock", "uv==1", "uv==2")
    answer = ready.start("setup")
    assert answer.returncode == 0
    assert [call.split()[:2] for call in ready.uv_calls()] == [["pip", "sync"], ["pip", "install"]]
    assert extra.exists()
    ready.change("pyproject.toml", "[project]", "[project]\nversion = '2'")
    assert "up to date" in ready.start("setup").stderr


@pytest.mark.parametrize("what", ["python", "folder"])
def test_an_environment_of_another_python_or_folder_is_made_anew(ready: Course, what: str) -> None:
    stamp = ready.folder / ".venv/start.json"
    stamp.write_text(json.dumps({**json.loads(stamp.read_text()), what: "another"}))
    answer = ready.start("setup")
    assert ("another" if what == "python" else "another folder") in answer.stderr
    assert [call.split()[0] for call in ready.uv_calls()] == ["venv", "pip", "pip"]
    assert ready.start("setup").stderr == ""


def test_a_course_that_was_moved_is_set_up_anew(ready: Course) -> None:
    ready.folder = ready.folder.rename(ready.folder.with_name("moved"))
    assert "another folder" in ready.start("setup").stderr
    assert ready.start("setup").stderr == ""


@pytest.mark.parametrize("damage", ["no stamp", "bad stamp", "no python", "a file", "dead link"])
def test_a_damaged_environment_is_made_anew(ready: Course, damage: str) -> None:
    environment = ready.folder / ".venv"
    if damage == "no stamp":
        (environment / "start.json").unlink()
    elif damage == "bad stamp":
        (environment / "start.json").write_text('{"python": ')
    elif damage == "no python":
        (environment / "bin/python").unlink()
        (environment / "bin/python").symlink_to("/nowhere/python")
    else:
        shutil.rmtree(environment)
        if damage == "a file":
            environment.write_text("")
        else:
            environment.symlink_to("/nowhere")
    answer = ready.start()
    assert ran(answer)[0] == "course"
    assert "removing it" in answer.stderr
    assert ready.start("setup").stderr == ""


def test_an_interrupted_set_up_is_made_anew(course: Course) -> None:
    process = subprocess.Popen(
        [sys.executable, "start.py"],
        cwd=course.folder,
        env=course.environment(SYNC_SECONDS="60"),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    log = course.tools / "log"
    while "sync" not in (log.read_text() if log.exists() else ""):
        assert process.poll() is None
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does on Ctrl-C
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Interrupted" in errors
    assert "Traceback" not in errors.split("Interrupted")[0]
    assert not (course.folder / ".venv/start.json").exists()
    assert ran(course.start())[0] == "course"


def test_a_second_start_waits_for_the_first(course: Course) -> None:
    command = [sys.executable, "start.py", "setup"]
    first = subprocess.Popen(command, cwd=course.folder, env=course.environment(SYNC_SECONDS="2"))
    while not (course.folder / ".venv.lock").exists():
        assert first.poll() is None
        time.sleep(0.02)
    second = course.start("setup")
    assert first.wait(timeout=60) == second.returncode == 0
    assert "waiting for it" in second.stderr
    assert sum(call.startswith("venv") for call in course.uv_calls()) == 1
    assert not (course.folder / ".venv.lock").exists()


def test_the_lock_of_one_that_was_killed_is_no_hindrance(course: Course) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    (course.folder / ".venv.lock").write_text(str(gone.pid))
    answer = course.start("setup")
    assert answer.returncode == 0
    assert "waiting" not in answer.stderr


def test_an_environment_of_somebody_else_is_put_aside(course: Course) -> None:
    theirs = course.folder / ".venv" / "precious"
    theirs.parent.mkdir()
    theirs.write_text("keep me")
    answer = course.start("setup")
    assert answer.returncode == 0
    assert ".venv-old-1" in answer.stderr
    assert (course.folder / ".venv-old-1" / "precious").read_text() == "keep me"


# What goes wrong, said plainly.


def test_a_failed_installation_says_why_and_is_tried_again(course: Course) -> None:
    failed = course.start(SYNC_ERROR="error: no space left on device")
    assert failed.returncode == 1
    assert "no space left on device" in failed.stderr
    assert "This failed: install the packages." in failed.stderr
    assert "network" not in failed.stderr
    assert "Traceback" not in failed.stderr
    assert ran(course.start())[0] == "course"


OFFLINE = "error: Failed to fetch\n  cause: dns error: failed to lookup address information"


def test_no_network(course: Course) -> None:
    failed = course.start(SYNC_ERROR=OFFLINE)
    assert failed.returncode == 1
    assert "Is there a network connection" in failed.stderr


def test_without_network_an_older_environment_goes_on_serving(ready: Course) -> None:
    ready.change("requirements.lock", "uv==1", "uv==2")
    answer = ready.start(SYNC_ERROR=OFFLINE)
    assert ran(answer)[0] == "course"
    assert "Going on with the packages that are there" in answer.stderr
    ready.uv_calls()
    assert ran(ready.start())[0] == "course"  # with a network it is made up for, in place
    assert [call.split()[0] for call in ready.uv_calls()] == ["pip", "pip"]


def test_an_old_python_is_told_so(course: Course) -> None:
    pretend = "import runpy, sys; sys.version_info = (3, 6, 15, 'final', 0); "
    answer = subprocess.run(
        [sys.executable, "-c", f"{pretend} runpy.run_path('start.py', run_name='__main__')"],
        cwd=course.folder,
        capture_output=True,
        text=True,
    )
    assert answer.returncode == 1
    assert answer.stderr.startswith("The course needs Python 3.11 or newer; this is Python 3.6")
    assert "Traceback" not in answer.stderr


def test_an_old_python_can_read_it() -> None:
    source = (REPOSITORY / "start.py").read_text()
    ast.parse(source, feature_version=(3, 6))
    with pytest.raises(SyntaxError):  # so that the line above is known to mean something
        ast.parse("(x := 1)", feature_version=(3, 6))
    assert "from __future__" not in source


@pytest.mark.parametrize("uv", ["none", "only pretends"])
def test_a_python_without_venv_is_told_the_remedy(course: Course, uv: str, tmp_path: Path) -> None:
    (course.tools / "uv").unlink()
    if uv == "only pretends":  # as pyenv does
        (course.tools / "uv").write_text("#!/bin/sh\nexit 127\n")
        (course.tools / "uv").chmod(0o755)
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules/ensurepip.py").write_text("raise ImportError")
    answer = course.start(PYTHONPATH=str(tmp_path / "modules"))
    assert answer.returncode == 1
    assert re.search(r"sudo apt install python3\.\d+-venv", answer.stderr)
    assert "Traceback" not in answer.stderr


def test_start_py_alone_says_what_is_missing(course: Course) -> None:
    (course.folder / "requirements.lock").unlink()
    answer = course.start()
    assert answer.returncode == 1
    assert "requirements.lock is missing" in answer.stderr
    assert "Traceback" not in answer.stderr


# For real: a small lock, made of entries of the true one, through pip and uv.


def lock_entries(*names: str) -> str:
    lock = (REPOSITORY / "requirements.lock").read_text()
    found = re.findall(r"^(\S+?)==.*\n(?:    .*\n)+", lock, re.MULTILINE)
    assert set(names) <= set(found)
    parts = re.split(r"(?m)^(?=\S)", lock)
    return "".join(part for part in parts if part.startswith(tuple(f"{n}==" for n in names)))


@pytest.mark.parametrize("uv", ["through pip", "not to be had"])
def test_a_real_environment_without_uv_on_path(course: Course, uv: str) -> None:
    (course.tools / "uv").unlink()
    build = ("hatchling", "packaging", "pathspec", "pluggy", "tomlkit", "trove-classifiers")
    lock = lock_entries("uv", *build)
    if uv == "not to be had":
        lock = re.sub(r"(?m)^uv==\S+", "uv==99.0", lock)
    (course.folder / "requirements.lock").write_text(lock)
    (course.folder / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
        '[project]\nname = "small-course"\nversion = "1"\nscripts = {course = "course:main"}\n'
        '[tool.hatch.build]\ndev-mode-dirs = ["."]\n'
        '[tool.hatch.build.targets.wheel]\npackages = ["course"]\n'
    )
    (course.folder / "course").mkdir()
    (course.folder / "course/__init__.py").write_text(
        "import sys\ndef main(): print(__file__, *sys.argv[1:])\n"
    )
    answer = course.start("--flag")
    if "No package index could be reached" in answer.stderr:
        pytest.skip("no package index can be reached, so nothing can be installed")
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.strip() == f"{course.folder}/course/__init__.py open --flag"
    assert (course.folder / ".venv/bin/uv").exists() == (uv == "through pip")
    again = course.start("python", "-c", "import sys; print(sys.prefix)")
    assert (again.stdout.strip(), again.stderr) == (str(course.folder / ".venv"), "")
