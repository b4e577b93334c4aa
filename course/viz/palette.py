"""The colours of all pictures.

Text is INK or MUTED on the pale fills, at a contrast of at least 4.5 to 1 (WCAG AA; a test computes
it). Blue and orange are told apart by colour-blind readers too, and no picture relies on colour
alone: shapes, line styles and words say the same.
"""

PAPER = "#ffffff"
INK = "#1f2933"
MUTED = "#4a5763"

LEAF_FILL, LEAF_LINE = "#eaf2fb", "#3b6ea5"
OP_FILL, OP_LINE = "#fdf4e3", "#94691a"
REST_FILL, REST_LINE = "#f3f4f6", "#4a5763"
NOW_FILL = "#ffeeb8"
DONE_FILL = "#e4f3e8"

BLUE, ORANGE = "#0b5fa5", "#c2500a"
PALE_BLUE, PALE_ORANGE = "#dcebf8", "#fde8d5"
HATCH = "#f5d9bb"
