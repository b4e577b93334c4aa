"""Pictures for notebooks: computation graphs, the backward pass in steps, curves, probabilities, attention.

They know no unit of the course: any graph that follows `course.viz.protocol` can be drawn. Every
picture has a text alternative, and shows without scripts wherever a notebook does.
"""

from typing import TYPE_CHECKING, Any

from course.viz.graph import draw_graph
from course.viz.picture import Picture, steps
from course.viz.stepper import backward_steps

if TYPE_CHECKING:
    from course.viz.attention import attention_maps
    from course.viz.chances import draw_chances, draw_pieces
    from course.viz.images import draw_images, draw_window
    from course.viz.layouts import draw_layout
    from course.viz.plots import decision_boundary, loss_curve

__all__ = [
    "Picture",
    "attention_maps",
    "backward_steps",
    "decision_boundary",
    "draw_chances",
    "draw_graph",
    "draw_images",
    "draw_layout",
    "draw_pieces",
    "draw_window",
    "loss_curve",
    "steps",
]


def __getattr__(name: str) -> Any:
    """Import the plots when one is used: matplotlib takes a second that graphs need not wait."""
    if name in ("decision_boundary", "loss_curve"):
        from course.viz import plots

        return getattr(plots, name)
    if name == "attention_maps":
        from course.viz.attention import attention_maps

        return attention_maps
    if name in ("draw_chances", "draw_pieces"):
        from course.viz import chances

        return getattr(chances, name)
    if name in ("draw_images", "draw_window"):
        from course.viz import images

        return getattr(images, name)
    if name == "draw_layout":
        from course.viz.layouts import draw_layout

        return draw_layout
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
