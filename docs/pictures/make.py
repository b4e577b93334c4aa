"""Makes the pictures of the README: python3 start.py python docs/pictures/make.py."""

from pathlib import Path

from course.micrograd import Value
from course.viz import draw_graph

HERE = Path(__file__).parent


def main() -> None:
    """Write graph.svg: a neuron after its backward pass."""
    x, w, b = Value(2.0), Value(-0.5), Value(1.5)
    out = (x * w + b).tanh()
    out.backward()
    picture = draw_graph(out, names={"x": x, "w": w, "b": b, "out": out})
    (HERE / "graph.svg").write_bytes(picture.image)
    print(picture.alt)


if __name__ == "__main__":
    main()
