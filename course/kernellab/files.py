"""The files that generated code is kept in, so that numba can keep machine code beside it.

Every piece is a small Python module that stands for itself: the next session need not compile it.
"""

import hashlib
import importlib.util
import os
import sys
import tempfile
from pathlib import Path
from types import ModuleType

import numba

from course.kernellab import runtime


def cache_folder() -> Path:
    """Where compiled kernels are kept: KERNELLAB_CACHE, else beside this package, else temporary."""
    if chosen := os.environ.get("KERNELLAB_CACHE"):
        return Path(chosen)
    here = Path(__file__).parent / "__pycache__" / "kernels"
    try:
        here.mkdir(parents=True, exist_ok=True)
        if os.access(here, os.W_OK):
            return here
    except OSError:
        pass
    return (
        Path(tempfile.gettempdir())
        / f"kernellab-{os.getuid() if hasattr(os, 'getuid') else 'user'}"
    )


def _fingerprint() -> str:
    """Changes whenever the generated text could come to mean something else."""
    text = Path(runtime.__file__).read_bytes() + numba.__version__.encode()
    return hashlib.sha256(text).hexdigest()[:8]


def load(source: str, label: str) -> ModuleType:
    """The module with this source, from a file that numba can keep machine code beside."""
    digest = hashlib.sha256((source + _fingerprint()).encode()).hexdigest()[:16]
    module_name = f"kernellab_{label}_{digest}"
    if module_name in sys.modules:
        return sys.modules[module_name]
    folder = cache_folder()
    path = folder / f"{module_name}.py"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        # Written aside and renamed: another process never sees half a file.
        handle, temporary = tempfile.mkstemp(dir=folder, suffix=".tmp")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(source)
        os.replace(temporary, path)
    spec = importlib.util.spec_from_file_location(module_name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    spec.loader.exec_module(module)
    return module
