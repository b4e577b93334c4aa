"""Unit 0: the first, smallest part of the machine."""

from course.start.interpolate import lerp

__all__ = ["lerp"]
