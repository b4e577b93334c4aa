"""Pictures for notebooks: computation graphs, the backward pass in steps, curves, probabilities, attention.

They know no unit of the course: any graph that follows `course.viz.protocol` can be drawn. Every
picture has a text alternative, and shows without scripts wherever a notebook does.
"""

import importlib
from typing import TYPE_CHECKING, Any

from course.viz.graph import draw_graph
from course.viz.picture import Picture, steps
from course.viz.stepper import backward_steps
from course.viz.tree import draw_tree

if TYPE_CHECKING:
    from course.viz.attention import attention_maps
    from course.viz.bars import draw_shares
    from course.viz.chances import draw_chances, draw_pieces
    from course.viz.images import draw_images, draw_window
    from course.viz.layouts import draw_layout
    from course.viz.matrices import draw_matrix
    from course.viz.plots import decision_boundary, loss_curve
    from course.viz.tokens import draw_tokens

__all__ = [
    "Picture",
    "attention_maps",
    "backward_steps",
    "decision_boundary",
    "draw_chances",
    "draw_graph",
    "draw_images",
    "draw_layout",
    "draw_matrix",
    "draw_pieces",
    "draw_shares",
    "draw_tokens",
    "draw_tree",
    "draw_window",
    "loss_curve",
    "steps",
]


LATER = {
    "attention_maps": "attention",
    "decision_boundary": "plots",
    "draw_chances": "chances",
    "draw_images": "images",
    "draw_layout": "layouts",
    "draw_matrix": "matrices",
    "draw_pieces": "chances",
    "draw_shares": "bars",
    "draw_tokens": "tokens",
    "draw_window": "images",
    "loss_curve": "plots",
}
"""In which module of this package each picture stands that matplotlib draws."""


def __getattr__(name: str) -> Any:
    """Import the plots when one is used: matplotlib takes a second that graphs need not wait."""
    if name not in LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"course.viz.{LATER[name]}"), name)
