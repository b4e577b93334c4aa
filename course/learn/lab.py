"""JupyterLab for students: opens at a lesson, and writes nothing outside the course's folder.

This module is also a Jupyter server extension (the functions at its end), which the profile in
`profile/jupyter_lab_config.py` switches on.
"""

import json
import os
import sys
import urllib.request
import webbrowser
from http.client import HTTPException
from pathlib import Path
from typing import Any

from course.learn.workspace import ROOT

PROFILE = Path(__file__).with_name("profile")


def environment(root: Path = ROOT) -> dict[str, str]:
    """Give the variables that keep what Jupyter and the libraries write inside the course.

    They hold for the server, and through it for its kernels and for nbgrader.
    """
    home = root / ".jupyter"
    folders = {
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "JUPYTERLAB_SETTINGS_DIR": "config/lab/user-settings",
        "JUPYTERLAB_WORKSPACES_DIR": "config/lab/workspaces",
        "IPYTHONDIR": "ipython",
        "MPLCONFIGDIR": "matplotlib",
        "NUMBA_CACHE_DIR": "numba",
        "CUDA_CACHE_PATH": "cuda",
        "XDG_CACHE_HOME": "cache",
    }
    variables = {name: str(home / folder) for name, folder in folders.items()}
    # nbgrader starts programs by name, and "python" should be this one whatever the shell says.
    variables["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return variables


def open_lab(lesson: str, *, browser: bool = True, port: int | None = None) -> None:
    """Run JupyterLab until it is stopped; if it runs already, only open the lesson in it.

    Args:
        lesson: the lesson to show, for example "1_micrograd/1_scalars".
        browser: open a browser window.
        port: the port to listen on; by default 8888 or the next that is free.
    """
    os.environ.update(environment())
    _quiet_kernels()
    # Folders from elsewhere, which may hold other kernels called "python3".
    for name in ("JUPYTER_PATH", "JUPYTER_CONFIG_PATH"):
        os.environ.pop(name, None)
    page = f"/lab/tree/{lesson}.ipynb"
    os.chdir(ROOT / "work")  # Jupyter also reads configuration files that lie where it is started
    address = None if port else _running(page)
    if address:
        print(f"The course is open already:\n\n    {address}\n")
        if browser:
            webbrowser.open(address)
        return

    # Imported here, because these modules look at the variables above.
    from jupyterlab.labapp import LabApp  # type: ignore[import-untyped]

    arguments = [
        f"--config={PROFILE / 'jupyter_lab_config.py'}",
        f"--ServerApp.root_dir={ROOT / 'work'}",
        f"--LabApp.default_url={page}",
        f"--ServerApp.open_browser={browser}",
    ]
    if port:
        arguments += [f"--ServerApp.port={port}", "--ServerApp.port_retries=0"]
    LabApp.launch_instance(arguments)


def _quiet_kernels() -> None:
    """Keep a kernel's remarks, which mean nothing to a student, out of the terminal."""
    folder = Path(os.environ["IPYTHONDIR"]) / "profile_default"
    folder.mkdir(parents=True, exist_ok=True)
    settings = {"IPKernelApp": {"log_level": "ERROR"}}
    (folder / "ipython_kernel_config.json").write_text(json.dumps(settings), encoding="utf-8")


def _running(page: str) -> str | None:
    """Give the address of a page on the course's JupyterLab, if that runs."""
    ask = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy is for elsewhere
    for path in Path(os.environ["JUPYTER_RUNTIME_DIR"]).glob("jpserver-*.json"):
        try:
            server = json.loads(path.read_text(encoding="utf-8"))
            if Path(server["root_dir"]).resolve() != (ROOT / "work").resolve():
                continue  # formgrader, for instance
            port, token = server["port"], server["token"]
            # Asked with the token, so that no other server at this port passes for ours.
            ask.open(_address(port, "/api/status", token), timeout=2).close()
        except (OSError, HTTPException, ValueError, KeyError):
            continue  # left over from a server that was killed
        return _address(port, page, token)
    return None


def _address(port: int, page: str, token: str) -> str:
    return f"http://127.0.0.1:{port}{page}?token={token}"


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "course.learn.lab"}]


def _load_jupyter_server_extension(server: Any) -> None:
    from course.learn import validate

    validate.install(server)


async def _start_jupyter_server_extension(server: Any) -> None:
    # Not `server.display_url`, which hides a token that comes from the configuration.
    address = _address(server.port, server.default_url, server.identity_provider.token)
    print(f"The course is open at\n\n    {address}\n", flush=True)
    print("Keep this window open while you work. Ctrl-C, twice, stops the course.", flush=True)
