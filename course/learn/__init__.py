"""What every notebook begins with: its lesson, its exercises and its checks."""

from course.learn.checks import (
    CheckFailed,
    assert_clean,
    assert_close,
    assert_equal,
    assert_gradients,
    assert_raises,
    assert_true,
)
from course.learn.holes import LessonError, borrow, exercise, lesson

__all__ = [
    "CheckFailed",
    "LessonError",
    "assert_clean",
    "assert_close",
    "assert_equal",
    "assert_gradients",
    "assert_raises",
    "assert_true",
    "borrow",
    "exercise",
    "lesson",
]
