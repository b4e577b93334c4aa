"""Pictures for notebooks: computation graphs, the backward pass in steps, curves.

They know no unit of the course: any graph that follows `course.viz.protocol` can be drawn. Every
picture has a text alternative, and shows without scripts wherever a notebook does.
"""

from typing import TYPE_CHECKING, Any

from course.viz.graph import draw_graph
from course.viz.picture import Picture, steps
from course.viz.stepper import backward_steps
from course.viz.tree import draw_tree

if TYPE_CHECKING:
    from course.viz.images import draw_images, draw_window
    from course.viz.layouts import draw_layout
    from course.viz.plots import decision_boundary, loss_curve
    from course.viz.tokens import draw_tokens

__all__ = [
    "Picture",
    "backward_steps",
    "decision_boundary",
    "draw_graph",
    "draw_images",
    "draw_layout",
    "draw_tokens",
    "draw_tree",
    "draw_window",
    "loss_curve",
    "steps",
]


def __getattr__(name: str) -> Any:
    """Import the plots when one is used: matplotlib takes a second that graphs need not wait."""
    if name in ("decision_boundary", "loss_curve"):
        from course.viz import plots

        return getattr(plots, name)
    if name in ("draw_images", "draw_window"):
        from course.viz import images

        return getattr(images, name)
    if name == "draw_layout":
        from course.viz.layouts import draw_layout

        return draw_layout
    if name == "draw_tokens":
        from course.viz.tokens import draw_tokens

        return draw_tokens
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
