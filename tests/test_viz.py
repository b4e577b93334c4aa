"""Pictures: what they say, that they are safe and readable, and that they never stop a lesson."""

import base64
import html
import math
import os
import random
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from course import viz
from course.viz import boxes, dot, words
from course.viz.fold import fold
from course.viz.trace import trace

ROOT = Path(__file__).parent.parent
SVG = "{http://www.w3.org/2000/svg}"


class Scalar:
    """A stand-in for a student's Value, as awkward as the protocol allows."""

    __slots__ = ("data", "grad", "inputs", "local_grads", "op")
    __hash__ = None

    def __init__(self, data, inputs=(), local_grads=(), op=""):
        self.data, self.grad = data, 0.0
        self.inputs, self.local_grads, self.op = inputs, local_grads, op

    def __eq__(self, other):
        raise AssertionError("nodes must be compared by identity")

    def __add__(self, other):
        return Scalar(self.data + other.data, (self, other), (1.0, 1.0), "+")

    def __mul__(self, other):
        return Scalar(self.data * other.data, (self, other), (other.data, self.data), "*")

    def tanh(self):
        t = math.tanh(self.data)
        return Scalar(t, (self,), (1 - t * t,), "tanh")


class Array:
    """A node with a shape whose value must not be touched, as a lazy tensor's."""

    op, inputs, grad, shape, dtype = "", (), None, (2, 3), "float32"

    @property
    def data(self):
        raise AssertionError("drawing an array must not compute it")


def expression():
    """L = (a * b + c) * f; by hand: dL/da = b f = 6, dL/db = a f = -4, dL/dc = f = -2, dL/df = d = 4."""
    a, b, c, f = Scalar(2.0), Scalar(-3.0), Scalar(10.0), Scalar(-2.0)
    return (a * b + c) * f, {"a": a, "b": b, "c": c, "f": f}


def mlp(sizes=(2, 16, 16, 1)):
    rng = random.Random(0)
    inputs = layer = [Scalar(0.5), Scalar(-1.0)]
    for size in sizes[1:]:
        sums = []
        for _ in range(size):
            total = Scalar(0.0)
            for x in layer:
                total = total + Scalar(rng.uniform(-1, 1)) * x
            sums.append(total.tanh())
        layer = sums
    return layer[0], inputs


def chain(length, ops="+"):
    node = Scalar(0.0)
    for i in range(length):
        node = Scalar(float(i), (node,), (1.0,), ops[i % len(ops)])
    return node


def parse(picture):
    return ElementTree.fromstring(picture.image)


def texts(picture):
    return [element.text.strip() for element in parse(picture).iter(f"{SVG}text")]


def shapes(picture, kind):
    """The boxes and arrows of a picture: its groups of class "node" or "edge"."""
    return [g for g in parse(picture).iter(f"{SVG}g") if g.get("class") == kind]


# --- texts and trees ---


def test_a_piece_shows_its_spaces_and_broken_characters():
    assert words.visible(" a\n\tb\u00e9".encode()) == "␣a↵⇥b\u00e9"
    assert words.visible("\u00e9".encode()[:1] + b"x\xff") == "\\xc3x\\xff"
    assert words.visible(b"\x00\x7f") == "\\x00\\x7f"
    assert words.visible("a\u00e9".encode(), str.isascii) == "a\\xc3\\xa9"


def test_tokens_are_boxes_with_numbers():
    picture = viz.draw_tokens([b" the", b"\xc3"], [267, 195], title="Tokens")
    assert picture.alt == 'Tokens: 2 pieces: "␣the" 267, "\\xc3" 195.'
    assert picture.image
    assert viz.draw_tokens([b"a" * 200, b"b", "\u3042\U0001f600".encode()]).alt.endswith('\\x80".')
    many = viz.draw_tokens([b"word"] * 60)
    assert many.alt.startswith("60 pieces: ") and len(many.image) > len(picture.image)
    for pieces, numbers in [([], None), ([b"a"], []), ([b"a"], [1, 2])]:
        with pytest.raises(ValueError, match="one for each"):
            viz.draw_tokens(pieces, numbers)


def test_a_tree_says_what_is_made_of_what():
    parts = {"the": ["t", "he"], "he": ["h", "e"]}
    picture = viz.draw_tree("the", lambda x: parts.get(x, []), str, lambda x: f"{len(x)} long")
    assert picture.alt == (
        "Tree of 5 things: t (1 long); h (1 long); e (1 long); he (2 long) is made of h and e; "
        "the (3 long) is made of t and he."
    )
    assert (len(shapes(picture, "node")), len(shapes(picture, "edge"))) == (5, 4)
    assert {"the", "he", "t", "h", "e"} <= set(texts(picture))
    with pytest.raises(ValueError, match="60 things at most"):
        viz.draw_tree(7, lambda n: [n - 1] * 2 if n else [], str, str)


# --- the graph ---


def test_a_small_graph_shows_every_node_in_the_picture_and_in_its_alt_text():
    loss, names = expression()
    names["a"].grad = 6.0
    picture = viz.draw_graph(loss, names=names | {"L": loss})
    assert picture.alt == (
        "Computation graph with 7 nodes: leaf a = 2 (grad 6); leaf b = -3 (grad 0); "
        "v1 = a * b = -6 (grad 0); leaf c = 10 (grad 0); v2 = v1 + c = 4 (grad 0); "
        "leaf f = -2 (grad 0); L = v2 * f = -8 (grad 0)."
    )
    shown = texts(picture)
    assert {"a", "b", "c", "f", "v1 = a * b", "v2 = v1 + c", "L = v2 * f"} <= set(shown)
    assert (shown.count("leaf"), shown.count("op")) == (4, 3)
    assert (len(shapes(picture, "node")), len(shapes(picture, "edge"))) == (7, 6)


def test_leaves_and_operations_have_different_shapes():
    picture = viz.draw_graph(Scalar(1.0).tanh())
    by_word = {}
    for node in shapes(picture, "node"):
        word = {t.text.strip() for t in node.iter(f"{SVG}text")} & {"leaf", "op"}
        by_word[word.pop()] = node.find(f"{SVG}polygon") is not None  # round corners are a path
    assert by_word == {"leaf": True, "op": False}


def test_a_node_used_twice_is_one_box_with_two_arrows():
    a = Scalar(3.0)
    picture = viz.draw_graph(a * a, names={"a": a})
    assert (len(shapes(picture, "node")), len(shapes(picture, "edge"))) == (2, 2)
    assert "v1 = a * a = 9" in picture.alt


def test_a_ladder_of_diamonds_is_drawn_once():
    node = Scalar(1.0)
    for _ in range(30):
        node = node + node
    picture = viz.draw_graph(node)
    assert (len(shapes(picture, "node")), len(shapes(picture, "edge"))) == (31, 60)


def test_arrows_stand_in_the_order_of_the_inputs():
    a, b = Scalar(1.0), Scalar(2.0)
    for first, second in ((a, b), (b, a)):
        picture = viz.draw_graph(first + second, names={"a": a, "b": b}, rankdir="TB")
        left_to_right = {
            t.text.strip(): float(t.get("x")) for t in parse(picture).iter(f"{SVG}text")
        }
        names = ("a", "b") if first is a else ("b", "a")
        assert left_to_right[names[0]] < left_to_right[names[1]]


def test_names_of_the_nodes():
    a = Scalar(2.0)
    b = Scalar(3.0)
    twice = a + a
    picture = viz.draw_graph(twice * Scalar(0.5), names={"a": a, "v1": twice, "b": b, "also a": a})
    assert "v1 = a, also a + a, also a" in picture.alt
    assert "v2 = v1 * 0.5 = 2" in picture.alt  # v1 is taken; a leaf without a name is its value
    assert picture.alt.endswith("Not connected to this result: b.")
    assert "Not connected to this result: b." in texts(picture)


def test_a_picture_is_a_snapshot():
    a = Scalar(2.0)
    picture = viz.draw_graph(a, names={"a": a})
    a.data = 5.0
    assert "a = 2" in picture.alt and "2" in texts(picture) and "5" not in texts(picture)


def test_arrays_show_shape_and_dtype_without_being_computed():
    node = Array()
    total = Scalar(np.ones((4, 5)), (node, node), (), "add")
    total.grad = np.zeros((4, 5))
    picture = viz.draw_graph(total, names={"x": node})
    assert "leaf x, shape (2, 3), dtype float32 (grad none)" in picture.alt
    assert "v1 = add(x, x), shape (4, 5), dtype float64 (grad (4, 5))" in picture.alt


class SizedArray(Array):
    """An array node that knows how many bytes it takes."""

    def __init__(self, nbytes):
        self.nbytes = nbytes


def test_arrays_show_their_size_if_they_know_it():
    small, large = SizedArray(24), SizedArray(12_544)
    picture = viz.draw_graph(Scalar(0.0, (small, large), (), "f"), names={"x": small, "y": large})
    assert "leaf x, shape (2, 3), dtype float32, size 24 B (grad none)" in picture.alt
    assert "leaf y, shape (2, 3), dtype float32, size 12.5 kB (grad none)" in picture.alt
    assert {"size", "24 B", "12.5 kB"} <= set(texts(picture))


@pytest.mark.parametrize(
    ("n_bytes", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (12_544, "12.5 kB"),
        (999_499, "999 kB"),
        (999_500, "1 MB"),
        (2_560_000_000, "2.56 GB"),
    ],
)
def test_sizes(n_bytes, text):
    assert words.size_text(n_bytes) == text


def test_an_index_stands_behind_what_it_picks_from():
    node = SizedArray(24)
    assert "v1 = x[ ]" in viz.draw_graph(Scalar(0.0, (node,), (), "[ ]"), names={"x": node}).alt


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (2.0, "2"),
        (7, "7"),
        (-0.0, "0"),
        (0.123456, "0.1235"),
        (12345.6, "12346"),
        (1234567.0, "1.235e6"),
        (-1.5e-7, "-1.5e-7"),
        (10**400, "1.000e400"),
        (math.nan, "nan"),
        (-math.inf, "-inf"),
        (None, "none"),
        (np.float32(0.5), "0.5"),
        ("a word that is much too long", "a word that is …"),
    ],
)
def test_short_numbers(value, text):
    assert words.short(value) == text


def test_ranges_count_what_is_no_number():
    assert words.range_text([1.0, -2.0, math.nan, None, None]) == "-2 to 1, 1 × nan, 2 × none"
    assert words.range_text([None, None]) == "none"


# --- folding ---


def test_a_network_is_folded_to_its_layers():
    out, (x1, x2) = mlp()
    picture = viz.draw_graph(out, names={"x1": x1, "x2": x2, "out": out})
    assert boxes.width_of(picture.image) < boxes.WIDE
    assert len(shapes(picture, "node")) == 17
    shown = texts(picture)
    for text in ("x1", "x2", "out = tanh", "256 × *", "256 × +", "256 leaves", "32 × *"):
        assert text in shown
    assert shown.count("16 × tanh") == 2
    assert "980 nodes" in picture.alt and "16 × tanh, data -0.6373 to 0.6474" in picture.alt


def test_folding_loses_no_node_and_no_edge():
    out, _ = mlp()
    graph = trace(out, "test")
    for limit in (60, 17, 10, 2):
        groups = fold(graph, (), limit)
        assert len(groups) <= limit
        assert sorted(i for g in groups for i in g.members) == list(range(len(graph.nodes)))
        assert all(j > i for i, g in enumerate(groups) for j in g.inputs), "a cycle"
    place = {i: p for p, g in enumerate(fold(graph, (), 60)) for i in g.members}
    between = sum(place[i] != place[j] for i, ins in enumerate(graph.inputs) for j in ins)
    assert between == sum(sum(g.inputs.values()) for g in fold(graph, (), 60))


def test_names_give_way_where_everything_has_one():
    out, _ = mlp()
    nodes = trace(out, "test").nodes
    picture = viz.draw_graph(out, names={f"p{i}": node for i, node in enumerate(nodes)})
    assert "256 × *" in picture.alt and "more nodes" not in picture.alt


def test_a_long_chain_is_neither_recursed_into_nor_drawn_in_full():
    same = viz.draw_graph(chain(20_000))
    assert "19,999 × +" in same.alt
    mixed = viz.draw_graph(chain(20_000, ops=["+", "*"]))
    assert "… 19,989 more nodes" in texts(mixed)
    assert len(shapes(mixed, "node")) == 13
    assert viz.backward_steps(chain(20_000)).captions[0].startswith("This graph has 20,001 nodes")


def test_folded_arrays():
    many = Scalar(0.0, tuple(Array() for _ in range(70)), (1.0,) * 70, "stack")
    assert "70 leaves, shape (2, 3), grad none" in viz.draw_graph(many).alt
    many.inputs = tuple(SizedArray(1000) for _ in range(70))
    assert "70 leaves, shape (2, 3), size 70 kB in all, grad none" in viz.draw_graph(many).alt
    many.inputs = (Array(), *many.inputs)  # one that does not know its size
    assert "71 leaves, shape (2, 3), grad none" in viz.draw_graph(many).alt


# --- the stepper ---


def settled(frame):
    """The gradients that a frame calls settled."""
    listed = frame.alt.partition("Settled gradients: ")[2].rstrip(".")
    return {
        name: float(value) for name, value in (item.rsplit(" ", 1) for item in listed.split(", "))
    }


def test_the_steps_end_in_the_gradients_computed_by_hand():
    loss, names = expression()
    result = viz.backward_steps(loss, names | {"L": loss})
    assert settled(result.pictures[-1]) == {
        "a": 6, "b": -4, "c": -2, "f": 4, "v1": -2, "v2": -2, "L": 1,
    }  # fmt: skip
    assert result.captions == (
        "Step 1 of 3: L = v2 * f, with gradient 1 (by itself: the result), "
        "passes 1 × -2 = -2 to v2 (now -2) and 1 × 4 = 4 to f (now 4).",
        "Step 2 of 3: v2 = v1 + c, with gradient -2, "
        "passes -2 × 1 = -2 to v1 (now -2) and -2 × 1 = -2 to c (now -2).",
        "Step 3 of 3: v1 = a * b, with gradient -2, "
        "passes -2 × -3 = 6 to a (now 6) and -2 × 2 = -4 to b (now -4).",
    )
    assert [texts(frame).count("now") for frame in result.pictures] == [1, 1, 1]
    assert all(node.grad == 0.0 for node in trace(loss, "test").nodes), "their own grad was touched"


def test_gradients_add_up_where_a_node_is_used_several_times():
    a = Scalar(3.0)
    result = viz.backward_steps(a * a + a, names={"a": a})  # d(a² + a)/da = 2a + 1 = 7
    assert settled(result.pictures[-1])["a"] == 7
    assert "3 to a (now 4) and 1 × 3 = 3 to a (now 7)" in result.captions[-1]
    assert "a" not in settled(result.pictures[0])
    assert "so far" in texts(result.pictures[0])


def test_the_layout_stays_while_stepping():
    loss, names = expression()
    sizes = {boxes.width_of(frame.image) for frame in viz.backward_steps(loss, names).pictures}
    assert len(sizes) == 1


def test_a_leaf_and_a_large_graph_are_refused_politely():
    leaf = viz.backward_steps(Scalar(2.0))
    assert leaf.captions == ("2 is a leaf: nothing was computed, so nothing is passed back.",)
    large = viz.backward_steps(mlp()[0])
    assert "too many to step through" in large.captions[0] and "16 × tanh" in large.pictures[0].alt


@pytest.mark.parametrize(
    ("local_grads", "error", "message"),
    [
        (None, ValueError, r"v1 = 1 \+ 2 \(op '\+'\) has no .local_grads"),
        ((1.0,), ValueError, r"v1 = 1 \+ 2 \(op '\+'\) has 2 inputs but 1 local_grads"),
        ((1.0, None), TypeError, r"v1 = 1 \+ 2 \(op '\+'\) has local_grads that are not numbers"),
    ],
)
def test_wrong_local_grads_are_named(local_grads, error, message):
    node = Scalar(1.0) + Scalar(2.0)
    node.local_grads = local_grads
    with pytest.raises(error, match=message):
        viz.backward_steps(node)


# --- bad input ---


@pytest.mark.parametrize("function", [viz.draw_graph, viz.backward_steps])
@pytest.mark.parametrize(
    ("root", "message"),
    [
        (None, "is None. Did the function that made it forget to return"),
        (3.0, r"is the float 3.0. Pass the node itself, such as loss, not its number loss.data"),
        ([Scalar(1.0)], "is a list. Pass one node"),
        ("a", "is a str, which has no .data"),
    ],
)
def test_what_is_no_node_is_refused_with_a_remedy(function, root, message):
    with pytest.raises(TypeError, match=rf"{function.__name__}\(root\).*{message}"):
        function(root)


def test_other_bad_input_is_refused():
    a = Scalar(1.0)
    with pytest.raises(TypeError, match=r"An input of a node \(op '\+'\).*the float 2.0"):
        viz.draw_graph(Scalar(3.0, (a, 2.0), (), "+"))
    for names in ([a], {1: a}, {"a": 1.0}):
        with pytest.raises(TypeError, match="names"):
            viz.draw_graph(a, names=names)
    with pytest.raises(ValueError, match="at least 2"):
        viz.draw_graph(a, max_nodes=1)
    with pytest.raises(ValueError, match="LR"):
        viz.draw_graph(a, rankdir="left")
    a.inputs, a.op = (a,), "+="
    with pytest.raises(ValueError, match=r"cycle.*'\+='"):
        viz.draw_graph(a)


# --- pictures ---

NASTY = '<script>alert("1 & 2")</script> \\ \x00 \n "quoted" \udc80 é 文'


class Page(HTMLParser):
    """Every tag of a page with its attributes."""

    def __init__(self, page):
        super().__init__()
        self.tags = []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))


def test_names_and_operations_are_escaped():
    a = Scalar(1.0)
    node = Scalar(1.0, (a,), (1.0,), NASTY)
    picture = viz.draw_graph(node, names={NASTY: a})
    assert any("<script>" in text for text in texts(picture))  # as a text, not as an element
    result = viz.backward_steps(node, names={NASTY: a})
    for shown in (picture, result):
        page = shown._repr_html_()
        assert {tag for tag, _ in Page(page).tags} <= {"img", "details", "summary", "div"}
        page.encode()
    folded = viz.draw_graph(Scalar(0.0, tuple(Scalar(1.0) for _ in range(70)), (), NASTY))
    parse(folded)


def test_a_picture_is_an_image_in_the_page_with_a_text_alternative():
    loss, names = expression()
    picture = viz.draw_graph(loss, names=names)
    [(tag, attributes)] = Page(picture._repr_html_()).tags
    assert tag == "img"
    assert attributes["alt"] == picture.alt == repr(picture)
    assert "background:#fff" in attributes["style"] and "max-width:100%" in attributes["style"]
    kind, _, data = attributes["src"].partition(",")
    assert kind == "data:image/svg+xml;base64"
    assert base64.b64decode(data) == picture.image


def test_the_stepper_is_an_accordion_that_opens_at_the_first_step():
    loss, names = expression()
    first, second = viz.backward_steps(loss, names), viz.backward_steps(loss, names)
    details = [attributes for tag, attributes in Page(first._repr_html_()).tags if tag == "details"]
    assert ["open" in d for d in details] == [True, False, False]
    assert {d["name"] for d in details} == {first.name} != {second.name}
    assert repr(first) == "\n".join(first.captions)
    for pictures, captions in (([], []), (first.pictures, ["one"])):
        with pytest.raises(ValueError, match="one caption for each picture"):
            viz.steps(pictures, captions)


def luminance(color):
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_the_colours_have_contrast():
    loss, names = expression()
    drawn = [*viz.backward_steps(loss, names).pictures, viz.draw_graph(chain(99, ops=["+", "*"]))]
    inks, fills, lines = set(), set(), set()
    for picture in drawn:
        for element in parse(picture).iter():
            if element.tag == f"{SVG}text":
                inks.add(element.get("fill", "#000000"))
            elif element.get("fill", "none") != "none":
                fills.add(element.get("fill"))
        for node in shapes(picture, "node"):
            lines |= {child.get("stroke") for child in node if child.get("stroke")}
    pale = {fill for fill in fills if luminance(fill) > 0.5}  # the others are arrow heads
    assert len(inks) >= 2 and len(pale) >= 4
    assert min(contrast(ink, fill) for ink in inks for fill in pale) >= 4.5
    assert min(contrast(line, "#ffffff") for line in lines) >= 3


def test_the_same_input_gives_the_same_bytes():
    program = (
        "import sys, hashlib; sys.path.insert(0, 'tests'); import test_viz as t; from course import viz\n"
        "loss, names = t.expression(); out, _ = t.mlp()\n"
        "shown = [viz.draw_graph(loss, names=names), viz.draw_graph(out), viz.backward_steps(loss),\n"
        "         viz.draw_graph(t.chain(99, ops=['+', '*'])), viz.loss_curve([3, 2, 1])]\n"
        "print(hashlib.sha256(''.join(p._repr_html_() for p in shown).encode()).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", program], env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=ROOT, capture_output=True, text=True, check=True,
        ).stdout
        for seed in "12"
    }  # fmt: skip
    assert len(digests) == 1


def test_no_graphviz_gives_a_table(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path))
    assert dot.find_dots() == []
    loss, names = expression()
    picture = viz.draw_graph(loss, names=names)
    assert picture.image is None
    page = picture._repr_html_()
    assert [tag for tag, _ in Page(page).tags] == ["pre"]
    assert picture.alt in html.unescape(page)
    rows = [re.split(r" {2,}", line) for line in repr(picture).splitlines()]
    assert ["v3 = v2 * f", "op", "data -8, grad 0", "v2, f"] in rows
    assert ["a", "leaf", "data 2, grad 0"] in rows
    assert "Step 3 of 3" in viz.backward_steps(loss, names)._repr_html_()
    assert "16 × tanh" in repr(viz.draw_graph(mlp()[0]))


@pytest.mark.skipif(sys.platform == "win32", reason="makes a program of a shell script")
def test_a_broken_dot_is_passed_over(monkeypatch, tmp_path):
    broken = tmp_path / "dot"
    broken.write_text("#!/bin/sh\necho Format: svg not recognized >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    before = dot.dot_command.DOT_BINARY
    assert dot.find_dots()[0] == broken
    assert viz.draw_graph(Scalar(1.0)).image is not None  # by graphviz-pure, in the scripts folder
    assert before == dot.dot_command.DOT_BINARY


def test_an_exported_notebook_shows_pictures_and_their_texts():
    import nbformat.v4 as nbformat
    from nbconvert import HTMLExporter

    loss, names = expression()
    shown = [viz.draw_graph(loss, names=names), viz.backward_steps(loss, names)]
    outputs = [
        nbformat.new_output(
            "display_data", data={"text/html": p._repr_html_(), "text/plain": repr(p)}
        )
        for p in shown
    ]
    notebook = nbformat.new_notebook(cells=[nbformat.new_code_cell("loss", outputs=outputs)])
    page, _ = HTMLExporter().from_notebook_node(notebook)
    alts = [a["alt"] for tag, a in Page(page).tags if tag == "img"]
    assert alts == [shown[0].alt, *(frame.alt for frame in shown[1].pictures)]


def test_pictures_know_no_unit_and_do_not_wait_for_matplotlib():
    program = "import sys; before = set(sys.modules); import course.viz; print(*set(sys.modules) - before)"
    loaded = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert [m for m in loaded if m.startswith("course.") and not m.startswith("course.viz")] == []
    assert "matplotlib" not in loaded
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = viz.nothing


# --- plots ---


def png_width(picture):
    assert picture.image.startswith(b"\x89PNG")
    return int.from_bytes(picture.image[16:20])


def test_a_loss_curve_says_its_first_last_and_lowest_loss():
    for losses in ([1.0, 0.25, 0.5], np.array([1.0, 0.25, 0.5])):
        picture = viz.loss_curve(losses, title="Moons")
        assert picture.alt == (
            "Moons: loss by step. 3 values: first 1, last 0.5, lowest 0.25 at step 1."
        )
        assert png_width(picture) > picture.width  # sharp on a fine screen
        assert f'width="{picture.width}"' in picture._repr_html_()
    both = viz.loss_curve({"train": [2, 1], "test": [3.0, math.nan]}, log=True, xlabel="epoch")
    assert "train, 2 values: first 2, last 1, lowest 1 at epoch 1." in both.alt
    assert "test, 2 values: first 3, last nan, lowest 3 at epoch 0; 1 are not finite." in both.alt
    assert "first nan, last nan; 1 are" in viz.loss_curve([math.nan]).alt


def test_a_decision_boundary_says_how_many_points_are_right():
    points = [[-1.0, 0.0], [1.0, 0.0], [2.0, 1.0], [0.5, 0.5]]
    seen = []

    def predict(xy):
        seen.append(xy.shape)
        return xy[:, 0] - 0.75

    for labels in ([-1, 1, 1, 1], [0, 1, 1, 1], np.array([False, True, True, True])):
        picture = viz.decision_boundary(predict, points, labels, title="Halves", resolution=10)
        assert picture.alt == (
            "Halves: 3 of 4 points (75 %) are on the right side of the boundary; "
            "3 are positive (circles), 1 negative (triangles)."
        )
    assert seen[:2] == [(4, 2), (100, 2)]
    for score in (1.0, 0.0, math.nan):  # no boundary in sight
        constant = viz.decision_boundary(lambda xy, s=score: np.full(len(xy), s), points, labels)
        assert png_width(constant) > 0


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: viz.loss_curve([]), ValueError, "empty"),
        (lambda: viz.loss_curve({}), ValueError, "empty"),
        (lambda: viz.loss_curve([[1, 2]]), ValueError, r"got shape \(1, 2\), expected \(n,\)"),
        (lambda: viz.loss_curve([Scalar(1.0)]), TypeError, r"losses must be numbers.*\.data"),
        (lambda: boundary(points=[1, 2]), ValueError, r"points: got shape \(2,\), expected \(n, 2\)"),
        (lambda: boundary(points=np.empty((0, 2)), labels=[]), ValueError, "at least one point"),
        (lambda: boundary(points=[[0, math.inf]], labels=[1]), ValueError, "infinite"),
        (lambda: boundary(labels=[1]), ValueError, r"labels: got shape \(1,\), expected \(2,\)"),
        (lambda: boundary(labels=[2, 1]), ValueError, "got 1, 2, expected 1 and -1, or 1 and 0"),
        (lambda: boundary(predict=lambda xy: xy[:1, 0]), ValueError, r"got shape \(1,\), exp.*\(2,\)"),
        (lambda: boundary(predict=lambda xy: xy), ValueError, r"got shape \(2, 2\), expected \(n,\)"),
        (lambda: boundary(predict=lambda xy: [Scalar(1.0)] * len(xy)), TypeError, r"\.data of each"),
        (lambda: viz.Picture.from_figure(None, "x"), TypeError, "got a NoneType"),
    ],
)  # fmt: skip
def test_plots_refuse_wrong_shapes(call, error, message):
    with pytest.raises(error, match=message):
        call()


def boundary(predict=lambda xy: xy[:, 0], points=((0, 0), (1, 1)), labels=(0, 1)):
    return viz.decision_boundary(predict, points, labels)


def test_a_figure_of_pyplot_is_closed_so_that_it_is_not_shown_twice():
    from matplotlib import pyplot

    figure, axes = pyplot.subplots()
    axes.plot([1, 2])
    picture = viz.Picture.from_figure(figure, "A rising line.")
    assert picture.mime == "image/png" and picture.alt == "A rising line."
    assert not pyplot.fignum_exists(figure.number)
    with pytest.raises(ValueError, match="alt is empty"):
        viz.Picture.from_figure(figure, " ")


def test_a_matrix_says_its_numbers_and_what_is_hidden():
    picture = viz.draw_matrix(
        [[1.0, 0.0], [0.25, 0.75]],
        ["a", "b"],
        ["x", "y"],
        hidden=[[False, True], [False, False]],
        title="Weights",
        xlabel="key",
        ylabel="query",
    )
    assert picture.alt == "Weights. query by key (x, y). a: 1.00, hidden; b: 0.25, 0.75."
    assert png_width(picture) > picture.width
    assert "0: 3; 1: 0." in viz.draw_matrix([[3], [0]], digits=0).alt
    for wrong in ([1, 2], [[]], [[-1]], np.ones((40, 40))):
        with pytest.raises(ValueError, match="1 to 1024 numbers"):
            viz.draw_matrix(wrong)
    with pytest.raises(ValueError, match="do not fit"):
        viz.draw_matrix([[1, 2]], ["a"], ["x"])


def test_shares_say_per_cent():
    picture = viz.draw_shares({"small": {"a": 1, "b": 3}, "large": {"a": 0, "b": 2000}}, unit="kg")
    assert picture.alt == "Shares: small, 4 kg: a 25%, b 75%; large, 2,000 kg: a 0%, b 100%."
    assert png_width(picture) > picture.width
    for wrong in ({}, {"x": {"a": 0}}, {"x": {"a": 1}, "y": {"b": 1}}, {"x": {"a": -1, "b": 2}}):
        with pytest.raises(ValueError):
            viz.draw_shares(wrong)


# --- probabilities and attention ---


def test_chances_are_listed_and_what_is_left_out_is_named():
    rows = {"T = 1": [0.1, 0.4, 0.2, 0.3], "k = 2": np.array([0, 4 / 7, 0, 3 / 7])}
    picture = viz.draw_chances(rows, [" cat", "dog", "", "\n"], title="Next", most=3)
    assert picture.alt == (
        "Next. T = 1: dog 40.0 %, ⏎ 30.0 %, ∅ 20.0 %. k = 2: dog 57.1 %, ⏎ 42.9 %, ∅ left out. "
        "1 less likely tokens are not shown."
    )
    assert png_width(picture) > picture.width
    assert "not shown" not in viz.draw_chances({"": [1.0, 0.0]}, ["a", "b"]).alt


def test_pieces_say_where_they_end_and_what_falls_on_them():
    picture = viz.draw_pieces([0.25, 0.0, 0.75], [" a", "b", "c"], [0.25, 0.0, 1.0])
    assert picture.alt == (
        "A piece for each token. From 0: ␣a up to 0.25, b up to 0.25, c up to 1. "
        "0.25 falls on c. 0 falls on ␣a."
    )
    assert png_width(picture) > 0


@pytest.mark.parametrize("n_heads", [1, 5])
def test_attention_maps_say_who_looks_where(n_heads):
    weights = np.tile([[1.0, 0.0, 0.0], [0.25, 0.75, 0.0], [0.2, 0.2, 0.6]], (n_heads, 1, 1))
    picture = viz.attention_maps(weights, ["The", " end", "!"], title="Heads")
    assert picture.alt.startswith(
        f"Heads: {n_heads} map{'s' * (n_heads > 1)} of 3 queries by 3 keys."
    )
    assert "head 0: The at The (100 %), ␣end at ␣end (75 %), ! at ! (60 %)." in picture.alt
    assert picture.alt.count("(75 %)") == n_heads
    last = viz.attention_maps(weights[:, 1:], ["The", " end", "!"], queries=[1], captions=["x"] * n_heads)  # fmt: skip
    assert "1 queries by 3 keys. x: ! at ! (60 %)." in last.alt
    long = viz.attention_maps(np.full((1, 20, 20), 0.05), ["word"] * 20)
    assert png_width(long) > 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: viz.draw_chances({}, ["a"]), "chances are empty"),
        (lambda: viz.draw_chances({"x": [0.5, 0.5]}, ["a"]), r"shape \(2,\), expected \(1,\)"),
        (lambda: viz.draw_chances({"x": []}, []), r"shape \(0,\)"),
        (lambda: viz.draw_pieces([[1.0]], ["a"]), r"shape \(1, 1\), expected \(1,\)"),
        (lambda: viz.attention_maps([[1.0]], ["a"]), r"shape \(1, 1\), expected \(heads"),
        (lambda: viz.attention_maps(np.ones((1, 2, 2)), ["a"]), "got 1 tokens for 2 queries and 2 keys"),
        (lambda: viz.attention_maps(np.ones((1, 2, 1)), ["a"]), "queries are the last of them"),
        (lambda: viz.attention_maps(np.ones((1, 1, 1)), ["a"], captions=["x", "y"]), "2 captions for 1 maps"),
    ],
)  # fmt: skip
def test_pictures_of_probabilities_refuse_wrong_shapes(call, message):
    with pytest.raises(ValueError, match=message):
        call()
