"""Layouts against numpy's own views: any chain of them reads the same elements."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from course.tensor.layout import Layout, contiguous_strides
from course.viz import draw_layout

SHAPES = st.lists(st.integers(0, 4), max_size=4).map(tuple)
SLICES = st.builds(
    slice,
    st.none() | st.integers(-6, 6),
    st.none() | st.integers(-6, 6),
    st.none() | st.integers(-3, 3).filter(bool),
)


def numpys_strides(array):
    return tuple(stride // array.itemsize for stride in array.strides)


def test_by_hand():
    assert contiguous_strides((4, 2, 3)) == (6, 3, 1)
    assert contiguous_strides(()) == ()
    matrix = Layout.contiguous((2, 3))
    assert matrix.position((1, 2)) == 5
    assert matrix.positions().tolist() == [[0, 1, 2], [3, 4, 5]]
    assert matrix.permute((1, 0)) == Layout((3, 2), (1, 3))
    assert matrix.cut(1, slice(None, None, -1)) == Layout((2, 3), (3, -1), 2)
    assert Layout.contiguous((3,)).expand((2, 3)) == Layout((2, 3), (0, 1))
    assert matrix.reshape((3, 2)) == Layout.contiguous((3, 2))
    assert matrix.permute((1, 0)).reshape((6,)) is None
    assert matrix.read(["a", "b", "c", "d", "e", "f"]).tolist() == [
        ["a", "b", "c"],
        ["d", "e", "f"],
    ]


@given(SHAPES)
def test_strides_are_numpys(shape):
    if 0 not in shape:  # numpy gives empty arrays strides of its own choice
        assert contiguous_strides(shape) == numpys_strides(np.zeros(shape))


@given(SHAPES, st.data())
def test_any_chain_of_views_reads_what_numpys_views_hold(shape, data):
    buffer = np.arange(int(np.prod(shape)))
    array, layout = buffer.reshape(shape), Layout.contiguous(shape)
    for kind in data.draw(
        st.lists(st.sampled_from(["permute", "cut", "expand", "reshape"]), max_size=5)
    ):
        if kind == "permute":
            order = data.draw(st.permutations(range(array.ndim)))
            array, layout = array.transpose(order), layout.permute(order)
        elif kind == "cut" and array.ndim:
            axis = data.draw(st.integers(0, array.ndim - 1))
            piece = data.draw(SLICES)
            array = array[(slice(None),) * axis + (piece,)]
            layout = layout.cut(axis, piece)
        elif kind == "expand" and array.ndim < 4:
            wanted = tuple(2 if n == 1 else n for n in array.shape)
            wanted = (data.draw(st.integers(0, 3)), *wanted)
            array, layout = np.broadcast_to(array, wanted), layout.expand(wanted)
        elif kind == "reshape":
            flat = layout.reshape((layout.size,))
            assert layout.is_contiguous == array.flags.c_contiguous
            if layout.is_contiguous:
                array, layout = array.reshape(-1), flat
            else:
                assert flat is None
        assert layout.shape == array.shape
        assert np.array_equal(layout.read(buffer), array)
        index = tuple(n - 1 for n in array.shape)
        if layout.size:
            assert buffer[layout.position(index)] == array[index]


def test_what_does_not_fit_is_refused():
    matrix = Layout.contiguous((2, 3))
    for index in [(2, 0), (0, -1), (0,), (0, 0, 0)]:
        with pytest.raises(IndexError):
            matrix.position(index)
    with pytest.raises(ValueError, match="no order of 2 axes"):
        matrix.permute((0, 0))
    with pytest.raises(ValueError, match="cannot be stretched"):
        matrix.expand((3,))
    with pytest.raises(ValueError, match="do not broadcast"):
        matrix.expand((2, 4))
    with pytest.raises(ValueError, match="6 elements do not fit"):
        matrix.reshape((4,))


def test_a_picture_tells_its_array_in_words():
    layout = Layout.contiguous((2, 3)).permute((1, 0)).cut(0, slice(None, None, -2))
    picture = draw_layout("abcdef", layout.shape, layout.strides, layout.offset, title="a view")
    assert picture.alt == (
        "a view: a buffer of 6 numbers, read as shape (2, 2) with strides (-2, 3) and offset 2. "
        "Row by row: c from place 2, f from place 5; a from place 0, d from place 3."
    )
    assert draw_layout([1.5, 2], (4, 2), (0, 1)).image
    assert draw_layout([1.5, 2], (2,), (1,)).image
    for arguments, says in [
        (("ab", (2, 2), (1, 1)), "places 0 to 2 are not all in 2 numbers"),
        (("ab", (1, 1, 2), (2, 2, 1)), "can draw one or two axes"),
        (("ab", (0,), (1,)), "can draw one or two axes"),
        ((range(40), (40,), (1,)), "32 numbers at most"),
    ]:
        with pytest.raises(ValueError, match=says):
            draw_layout(*arguments)
