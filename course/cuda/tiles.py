"""How large the tiles of the matrix products are."""

SIDE = 16
"""Threads along each side of a block, and elements along each side of a tile of `matmul_tiled`."""

PER = 4
"""Elements along each side of the square that one thread computes in `matmul_blocked`."""

TILE = SIDE * PER
"""Elements along each side of the square that one block computes in `matmul_blocked`."""

ROW = TILE + SIDE
"""Elements of a padded row in shared memory: two neighbouring rows begin in different halves of the banks."""
