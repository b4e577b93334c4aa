"""A PostgreSQL server for tests, started from the installed package: not a test itself."""

import atexit
import functools
import itertools
import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import URL

USER, PASSWORD = "teacher", "p@ss/w%rd:"  # nothing that a URL takes as it is
_numbers = itertools.count(1)


def new_database() -> str:
    """The URL of an empty database; the test is skipped where there is no PostgreSQL."""
    psycopg = pytest.importorskip("psycopg", reason="no psycopg: pip install 'psycopg[binary]'")
    if _programs() is None:
        pytest.skip("no PostgreSQL: apt-get install postgresql")
    port, name = _server(), f"course{next(_numbers)}"
    with psycopg.connect(
        host="127.0.0.1",
        port=port,
        user=USER,
        password=PASSWORD,
        dbname="postgres",
        autocommit=True,
    ) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    url = URL.create("postgresql", USER, PASSWORD, "127.0.0.1", port, name)
    return url.render_as_string(hide_password=False)


def _programs() -> Path | None:
    """The folder of PostgreSQL's programs: Debian keeps them off the PATH."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda x: int(x.parent.name))
    found = shutil.which("initdb", path=os.pathsep.join(map(str, reversed(folders))))
    found = found or shutil.which("initdb")
    return Path(found).resolve().parent if found else None


@functools.cache
def _server() -> int:
    """Start a server, which ends with the tests; only the first call takes time.

    Returns:
        The port that it listens to.
    """
    import pwd  # not there on Windows

    programs = _programs()
    assert programs
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    data, secret = folder / "data", folder / "password"
    secret.write_text(PASSWORD)
    other: dict[str, Any] = {}
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        nobody = pwd.getpwnam("nobody")
        other = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        for path in (folder, secret):
            os.chown(path, nobody.pw_uid, nobody.pw_gid)

    def run(program: str, *arguments: str, check: bool = True) -> None:
        # Into a file: a pipe would be kept open by the server.
        with (folder / "log").open("a") as log:
            command = [str(programs / program), "-D", str(data), *arguments]
            done = subprocess.run(command, cwd=folder, stdout=log, stderr=log, **other)
        if check and done.returncode:
            pytest.fail(f"PostgreSQL's {program} failed: {(folder / 'log').read_text()[-2000:]}")

    def stop() -> None:
        run("pg_ctl", "stop", "--mode=immediate", check=False)
        shutil.rmtree(folder, ignore_errors=True)

    login = f"--username={USER}", f"--pwfile={secret}", "--auth=scram-sha-256"
    run("initdb", *login, "--encoding=UTF8", "--no-locale", "--no-sync")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off"
    atexit.register(stop)
    run("pg_ctl", "start", "--wait", f"--options={options}")
    return port
