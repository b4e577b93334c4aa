"""What is wrong with the patients of the bug clinic."""


def chart() -> dict[int, tuple[str, str | None] | None]:
    """What the checker finds out about each of the patients, 1 to 18.

    Returns:
        By number, a fault's kind and the name of its array, both as the report has them, such as ("race", "out"). A
        divergent barrier has no array, and neither has too much shared memory: there, None stands in the array's place.
        A patient without a fault has None instead of the pair.
    """
    return {
        1: ("out of bounds", "x"),
        2: ("out of bounds", "x"),
        3: ("negative index", "x"),
        4: ("out of bounds", "image"),
        5: None,
        6: ("race", "out"),
        7: ("race", "x"),
        8: None,
        9: ("race between blocks", "y"),
        10: ("race", "tile"),
        11: ("divergent barrier", None),
        12: ("divergent barrier", None),
        13: ("uninitialised read", "tile"),
        14: ("out of bounds", "tile"),
        15: ("race", "tile"),
        16: ("race", "tile"),
        17: ("race", "count"),
        18: ("too much shared memory", None),
    }
