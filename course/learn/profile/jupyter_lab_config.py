"""What the student's JupyterLab is like. `course open` starts JupyterLab with this file.

What the course does not use is switched off, so that it starts sooner and shows less.
An author who wants everything that JupyterLab has runs `python3 start.py jupyter lab` instead.
"""

import secrets
from pathlib import Path

c = get_config()  # type: ignore[name-defined]  # noqa: F821 - given by Jupyter

# The news prompt off, and the panels for instructors gone.
c.LabApp.app_settings_dir = str(Path(__file__).with_name("settings"))
c.LabApp.extension_manager = "readonly"  # the other kind asks a package index

c.ServerApp.jpserver_extensions = {
    "course.learn.lab": True,  # the Validate button's server side, and the address printed plainly
    "jupyterlab_jupytext": False,
    "jupyter_lsp": False,
    "nbgrader.server_extensions.assignment_list": False,
    "nbgrader.server_extensions.course_list": False,
    "nbgrader.server_extensions.formgrader": False,
    "nbgrader.server_extensions.validate_assignment": False,
    "notebook": False,
}
c.ServerApp.ip = "127.0.0.1"  # only this computer can reach it
c.ServerApp.allow_root = True  # as in a container

# The extension above prints the address; a token that Jupyter makes would be printed once more.
c.IdentityProvider.token = secrets.token_hex(24)
c.Application.log_level = "ERROR"
# A browser installed as a snap cannot read the file through which Jupyter would open it.
c.ServerApp.use_redirect_file = False
