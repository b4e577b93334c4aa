"""Errors that an author or a teacher can mend, with the place where."""


class GraderError(Exception):
    """Something the user can mend; the message says what and how."""


class LessonTextError(GraderError):
    """A mistake in a lesson text.

    Args:
        file: the text's path, as the author knows it.
        line: counted from 1.
        message: what is wrong, and the remedy.
    """

    def __init__(self, file: str, line: int, message: str) -> None:
        super().__init__(f"{file}:{line}: {message}")
        self.file, self.line, self.message = file, line, message
