"""Where the gradebook is: in a SQLite file or on a PostgreSQL server."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, event, inspect
from sqlalchemy.engine import Engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from grader.errors import GraderError

CONNECT_SECONDS = 10  # a server that is not there should not be waited for much longer
FORMS = "write sqlite:///FILE or postgresql://USER@HOST/DATABASE"


def gradebook_url(data: Path, db: str = "") -> str:
    """The gradebook's URL, in full.

    Args:
        data: the folder for the SQLite file gradebook.db, which is used without a URL.
        db: sqlite:///FILE or postgresql://USER@HOST/DATABASE.

    Raises:
        GraderError: if db is something else.
    """
    if not db:
        return f"sqlite:///{data / 'gradebook.db'}"
    try:
        url = make_url(db)
    except (ArgumentError, ValueError):
        raise GraderError(f"what --db gives is no URL of a database: {FORMS}") from None
    kind = url.get_backend_name()
    if kind == "sqlite":
        if not url.database or url.database == ":memory:":
            raise GraderError("the gradebook must be in a file: write --db sqlite:///FILE")
        return f"sqlite:///{Path(url.database).resolve()}"  # nbgrader works in other folders
    if kind not in ("postgresql", "postgres"):
        raise GraderError(f"nbgrader does not work with {kind}: {FORMS}")
    if "@" in (url.host or ""):  # else the rest of the password would count as the host's name
        raise GraderError("in the password of --db, write @ as %40, / as %2F and : as %3A")
    if "+" not in url.drivername:
        url = url.set(drivername="postgresql+psycopg")
    if "connect_timeout" not in url.query:
        url = url.update_query_dict({"connect_timeout": str(CONNECT_SECONDS)})
    return url.render_as_string(hide_password=False)


def shown_url(url: str) -> str:
    """A URL as messages may show it: without its password, and without options, which may hold one."""
    return make_url(url).set(query={}).render_as_string(hide_password=True)


def has_gradebook(url: str) -> bool:
    """Whether there is a gradebook in this database.

    Raises:
        GraderError: if the database cannot be used.
    """
    place = make_url(url)
    if place.get_backend_name() == "sqlite" and not Path(place.database or "").exists():
        return False  # to look inside would make the file
    with database_trouble(url):
        engine = create_engine(url)
        try:
            return inspect(engine).has_table("submitted_notebook")
        finally:
            engine.dispose()


def tune(engine: Engine) -> None:
    """Let SQLite write fast, and wait for others that write."""
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _tune_sqlite)
        engine.dispose()  # connections made before know nothing of it


def _tune_sqlite(connection: Any, _: Any) -> None:
    connection.execute("PRAGMA journal_mode = WAL")  # one fsync less for each commit,
    connection.execute("PRAGMA synchronous = NORMAL")  # and then none but at checkpoints
    connection.execute("PRAGMA busy_timeout = 30000")


@contextlib.contextmanager
def database_trouble(url: str) -> Iterator[None]:
    """Say in words what is wrong with a database; passwords are not among them.

    Raises:
        GraderError: if the database cannot be used.
    """
    try:
        yield
    except (ImportError, NoSuchModuleError):
        raise GraderError(
            f"{shown_url(url)} needs a driver that is not installed: write postgresql://, without "
            "a driver's name, and install psycopg (`pip install 'psycopg[binary]'`)"
        ) from None
    except DBAPIError as error:
        reason = " ".join(str(error.orig).split())
        if url.startswith("sqlite"):
            remedy = (
                "can its folder be written, is there room on the disk, and is no other program "
                "busy with it?"
            )
        else:
            remedy = (
                "is the server running, are host, user, password and database right, and may this "
                "user make tables there?"
            )
        raise GraderError(f"the gradebook {shown_url(url)} fails ({reason}): {remedy}") from None
