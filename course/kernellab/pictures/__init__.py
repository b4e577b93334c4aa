"""What the checker noted down, as pictures; each has a text alternative with the same numbers."""

from course.kernellab.pictures.banks import draw_banks
from course.kernellab.pictures.faults import draw_fault
from course.kernellab.pictures.heat import draw_heat
from course.kernellab.pictures.roofline import draw_roofline
from course.kernellab.pictures.threads import draw_threads
from course.kernellab.pictures.timeline import draw_barriers
from course.kernellab.pictures.warp import draw_warp

__all__ = [
    "draw_banks",
    "draw_barriers",
    "draw_fault",
    "draw_heat",
    "draw_roofline",
    "draw_threads",
    "draw_warp",
]
