"""formgrader, nbgrader's web page for grading by hand, on the marks of this course.

This module is also a Jupyter server extension (the functions at its end), which prints the address.
"""

import os
import secrets
from pathlib import Path
from typing import Any

from course.learn.lab import PROFILE, environment
from grader.database import gradebook_url, has_gradebook, shown_url
from grader.errors import GraderError
from grader.paths import ROOT, shown


def open_formgrader(
    data: Path, root: Path = ROOT, *, db: str = "", port: int = 0, browser: bool = True
) -> None:
    """Run a Jupyter server with formgrader until it is stopped.

    Args:
        data: where notebooks and gradebook are; inside root.
        root: the repository.
        db: the gradebook's URL; see `gradebook_url`.
        port: the port to listen on; 0 for 8888 or the next that is free.
        browser: open a browser window.

    Raises:
        GraderError: if there is no gradebook yet, or its database cannot be used.
    """
    url = gradebook_url(data, db)
    if not has_gradebook(url):
        command = "grader demo" if data.name == "demo" else "grader grade PATH"
        place = shown_url(url) if db else shown(data, root)
        option = " --db URL" if db else ""
        raise GraderError(f"there are no marks in {place} yet: run `{command}{option}` first")
    os.environ.update(environment(root))
    os.environ["GRADER_DATA"] = data.relative_to(root).as_posix()  # nbgrader_config.py reads
    os.environ["GRADER_DB"] = url if db else ""  # both of these
    for name in ("JUPYTER_PATH", "JUPYTER_CONFIG_PATH"):  # settings for other courses
        os.environ.pop(name, None)
    os.chdir(root)  # where nbgrader finds nbgrader_config.py

    # Imported here, because these modules look at the variables above.
    from jupyter_server.serverapp import ServerApp
    from traitlets.config import Config

    settings: Any = Config()
    settings.ServerApp.root_dir = str(root)
    settings.ServerApp.default_url = "/formgrader"
    settings.ServerApp.open_browser = browser
    settings.ServerApp.use_redirect_file = False  # a browser installed as a snap cannot read it
    settings.ServerApp.allow_root = True  # in a container; the server listens to this computer only
    if port:
        settings.ServerApp.port, settings.ServerApp.port_retries = port, 0
    settings.ServerApp.jpserver_extensions = {
        "grader.web": True,
        "nbgrader.server_extensions.formgrader": True,
        "notebook": True,  # formgrader's links to files lead to its pages
        "nbgrader.server_extensions.assignment_list": False,
        "nbgrader.server_extensions.course_list": False,
        "jupyter_lsp": False,
        "jupyterlab_jupytext": False,
    }
    for app in ("LabApp", "JupyterNotebookApp"):  # no news prompt, and no package index asked
        settings[app].app_settings_dir = str(PROFILE / "settings")
        settings[app].extension_manager = "readonly"
    settings.IdentityProvider.token = secrets.token_hex(24)
    settings.Application.log_level = "ERROR"
    ServerApp.launch_instance([], config=settings)


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "grader.web"}]


def _load_jupyter_server_extension(server: Any) -> None:
    """There is nothing to load: the address is known when the server has started."""


async def _start_jupyter_server_extension(server: Any) -> None:
    token = server.identity_provider.token
    print(f"Formgrader is open at\n\n    http://127.0.0.1:{server.port}/formgrader?token={token}\n")
    print("Ctrl-C, twice, stops it.", flush=True)
