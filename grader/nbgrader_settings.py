"""nbgrader's settings that shape notebooks, in one place for the builder and for nbgrader itself."""

from traitlets.config import Config

CODE_STUB = '# YOUR CODE HERE\nraise NotImplementedError("yours to write: replace this line")'
TEXT_STUB = "*Your answer here.*"


def notebook_settings() -> Config:
    """What the student's notebook shows in the place of a solution."""
    config = Config()
    config.ClearSolutions.code_stub = {"python": CODE_STUB}
    config.ClearSolutions.text_stub = TEXT_STUB
    return config
