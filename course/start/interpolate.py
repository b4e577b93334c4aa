"""Linear interpolation."""


def lerp(start: float, end: float, t: float) -> float:
    """The number that lies a fraction t of the way from start to end.

        lerp(start, end, t) = start + t * (end - start)

    Args:
        start: the result at t = 0.
        end: the result at t = 1.
        t: how far along we are; 0.5 is half-way. Values outside 0..1 go on along the same line.

    Returns:
        A number. `lerp(10.0, 20.0, 0.25)` is `12.5`.
    """
    return start + t * (end - start)
