"""Pictures of trees: what something is made of, and what its parts are made of."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from course.viz.boxes import Arrow, Box, Drawing, draw
from course.viz.picture import Picture

T = TypeVar("T")
MOST = 60  # boxes in a picture


def draw_tree(
    root: T, parts: Callable[[T], Sequence[T]], name: Callable[[T], str], word: Callable[[T], str]
) -> Picture:
    """Draw what something is made of, from the smallest parts on the left to the whole on the right.

    Args:
        root: the whole: anything.
        parts: gives what a thing is made of, in order; nothing for the smallest parts, which have square corners.
        name: a short text for a thing.
        word: another one, such as its number; it stands beside the name.

    Returns:
        The picture. Its `alt` says of each thing what it is made of.

    Raises:
        ValueError: if there are more than 60 things; one that is used twice counts twice.
    """
    boxes: list[Box] = []
    arrows: list[Arrow] = []
    said: list[str] = []

    def add(thing: T) -> int:
        """Draw a thing after its parts; its place in the list of boxes."""
        inner = [add(part) for part in parts(thing)]
        if len(boxes) == MOST:
            raise ValueError(f"can draw a tree of {MOST} things at most")
        arrows.extend(Arrow(part, len(boxes)) for part in inner)
        boxes.append(Box(name(thing), (), "op" if inner else "leaf", word(thing)))
        made = " and ".join(boxes[part].title for part in inner)
        said.append(f"{name(thing)} ({word(thing)}){' is made of ' + made if made else ''}")
        return len(boxes) - 1

    add(root)
    return draw(Drawing(boxes, arrows), f"Tree of {len(boxes)} things: {'; '.join(said)}.")
