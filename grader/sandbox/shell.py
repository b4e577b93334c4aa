"""IPython without a kernel around it: what a cell prints, shows and raises is kept in a list."""

import io
import sys
from collections.abc import Mapping
from typing import Any, NoReturn

from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from matplotlib_inline.backend_inline import configure_inline_support
from traitlets import Type
from traitlets.config import Config

OUTPUT_LIMIT = 1_000_000  # characters for one cell, pictures included
ERROR_LIMIT = 20_000  # characters of one error
NO_INPUT = (
    "input() waits for a person, and nobody is there while a notebook is graded: "
    "put the text into a variable instead"
)


class Outputs:
    """What the cell under way has put out, as nbformat has it, up to a limit."""

    def __init__(self) -> None:
        self.items: list[dict[str, Any]] = []
        self._named: dict[str | None, list[dict[str, Any]]] = {}
        self._size = 0

    def take(self) -> list[dict[str, Any]]:
        """All of it; the next cell begins with nothing."""
        items, self.items, self._size = self.items, [], 0
        for item in items:
            if item["output_type"] == "stream":
                item["text"] = "".join(item["text"])
        return items

    def add(self, output_type: str, **fields: Any) -> None:
        """Add an output, if there is room; an error always finds room."""
        self._size += sum(len(str(value)) for value in fields.values())
        if self._size <= OUTPUT_LIMIT or output_type == "error":
            self.items.append({"output_type": output_type, **fields})

    def show(self, data: Any, metadata: Any, name: str | None, update: bool) -> None:
        """Add a picture or the like; or let it take the place of those of the same name."""
        if update:
            self._size += len(str(data))
            if self._size <= OUTPUT_LIMIT:
                for item in self._named.get(name, []):
                    item.update(data=data, metadata=metadata)
            return
        before = len(self.items)
        self.add("display_data", data=data, metadata=metadata)
        if name is not None:
            self._named.setdefault(name, []).extend(self.items[before:])

    def write(self, name: str, text: str) -> None:
        """Add text to a stream, as far as there is room."""
        room = OUTPUT_LIMIT - self._size
        self._size += len(text)
        if room <= 0:
            return
        if len(text) > room:
            text = text[:room] + "\n... and more"
        last = self.items[-1] if self.items else {}
        if last.get("name") == name:
            last["text"].append(text)
        else:
            self.items.append({"output_type": "stream", "name": name, "text": [text]})


OUTPUTS = Outputs()


class Stream(io.TextIOBase):
    """Stands in the place of stdout or stderr."""

    encoding = "utf-8"
    errors = "replace"

    def __init__(self, name: str) -> None:
        self.name = name

    def write(self, text: str) -> int:
        """Keep the text."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        OUTPUTS.write(self.name, text)
        return len(text)

    def writable(self) -> bool:
        """Always."""
        return True


def _refuse_input(*_: Any) -> NoReturn:
    raise EOFError(NO_INPUT)


# A student's traceback ends in their own line, and in no file of ours.
_refuse_input.__code__ = _refuse_input.__code__.replace(co_filename="<input>")


class NoInput(io.TextIOBase):
    """Stands in the place of stdin."""

    readline = read = _refuse_input


class _Publisher(DisplayPublisher):
    def publish(
        self,
        data: Any,
        metadata: Any = None,
        source: Any = None,
        *,
        transient: Any = None,
        update: Any = False,
        **more: Any,
    ) -> None:
        name = (transient or {}).get("display_id")
        OUTPUTS.show(_plain(data), _plain(metadata or {}), name, bool(update))

    def clear_output(self, wait: bool = False) -> None:
        OUTPUTS.take()


class _Hook(DisplayHook):
    def write_output_prompt(self) -> None:
        """A notebook has no prompt to write."""

    def write_format_data(self, format_dict: Any, md_dict: Any = None) -> None:
        OUTPUTS.add(
            "execute_result",
            data=_plain(format_dict),
            metadata=_plain(md_dict or {}),
            execution_count=self.shell.execution_count if self.shell else None,
        )

    def finish_displayhook(self) -> None:
        """Nothing was written to a stream that would have to be flushed."""


class Shell(InteractiveShell):
    """IPython for one notebook."""

    displayhook_class = Type(_Hook)
    display_pub_class = Type(_Publisher)

    def enable_gui(self, gui: str | None = None) -> None:
        """Nothing to do: pictures go into the notebook."""

    def _showtraceback(self, etype: Any, evalue: Any, stb: list[str]) -> None:
        text = "\n".join(map(str, stb))
        if len(text) > ERROR_LIMIT:
            text = f"{text[: ERROR_LIMIT // 2]}\n...\n{text[-ERROR_LIMIT // 2 :]}"
        OUTPUTS.add("error", ename=etype.__name__, evalue=str(evalue)[:2000], traceback=[text])

    def run(self, source: str) -> tuple[list[dict[str, Any]], BaseException | None]:
        """Run a cell as Jupyter does; returns its outputs, and the error that ended it."""
        use_streams()
        result = self.run_cell(source, store_history=True)
        outputs = OUTPUTS.take()
        error = result.error_before_exec or result.error_in_exec
        if error is not None and not any(x["output_type"] == "error" for x in outputs):
            name, words = type(error).__name__, str(error)[:2000]
            text = [f"{name}: {words}"]
            outputs.append(
                {"output_type": "error", "ename": name, "evalue": words, "traceback": text}
            )
        return outputs, error


def make_shell() -> Shell:
    """IPython, ready for a notebook: pictures appear below the cell, input() says that it cannot."""
    config: Any = Config()
    config.HistoryManager.enabled = False
    config.InteractiveShell.colors = "nocolor"
    shell = Shell.instance(config=config)
    configure_inline_support(shell, "module://matplotlib_inline.backend_inline")
    shell.run_cell("None", silent=True)  # the first cell of all takes long
    try:
        raise ValueError
    except ValueError:
        shell.showtraceback()  # so does the first error
    shell.execution_count = 1
    OUTPUTS.take()
    return shell


def use_streams() -> None:
    """Let what is printed go to the outputs, whatever the cell before has put there."""
    sys.stdout, sys.stderr, sys.stdin = Stream("stdout"), Stream("stderr"), NoInput()


def _plain(data: Mapping[str, Any]) -> dict[str, Any]:
    """Display data without what JSON cannot hold: pictures as base64 text."""
    import base64

    plain = {}
    for kind, value in dict(data).items():
        if isinstance(value, bytes):
            value = base64.b64encode(value).decode()
        plain[str(kind)] = value
    return plain
