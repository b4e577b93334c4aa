"""Saving and loading: the walk, the state dict, and the safetensors format, also of broken files."""

import contextlib
import json
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from course.tensor import Tensor, manual_seed, no_grad
from course.tensor.nn import BatchNorm2d, Conv2d, Linear, Parameter, Sequential, optim
from course.tensor.nn.safetensors import DTYPES, from_bytes, to_bytes
from course.tensor.nn.state import (
    get_parameters,
    get_state_dict,
    load_state_dict,
    safe_load,
    safe_metadata,
    safe_save,
)

# ---------------------------------------------------------------- the walk


class Plain:
    """An ordinary object with tensors in it, no Module."""

    def __init__(self):
        self.layers = [Linear(2, 3), Tensor.tanh, Linear(3, 1)]
        self.table = {"a": Tensor([1.0]), 7: (Tensor([2.0]),)}
        self.number = 5


def test_any_object_will_do():
    plain = Plain()
    names = [
        "layers.0.weight",
        "layers.0.bias",
        "layers.2.weight",
        "layers.2.bias",
        "table.a",
        "table.7.0",
    ]
    assert list(get_state_dict(plain)) == names
    assert get_state_dict(plain)["table.7.0"] is plain.table[7][0]
    assert get_parameters(plain) == get_parameters(plain.layers)
    assert len(get_parameters([plain, plain])) == 4
    assert list(get_state_dict({"x": Tensor([1])})) == ["x"]
    assert (
        get_state_dict(3) == {} and get_state_dict(np.ones(3)) == {} and get_parameters(Plain) == []
    )
    single = Tensor([1.0], requires_grad=True)
    assert get_parameters(single) == [single]


def test_loading_works_in_place():
    model = Linear(2, 1)
    arrays = [p._data for p in model.parameters()]
    optimizer = optim.SGD(model.parameters(), lr=1.0)
    result = load_state_dict(model, {"weight": Tensor([[1, 2]]), "bias": np.array([3.0])})
    assert result == ([], [])
    assert [p._data for p in model.parameters()] == arrays
    assert model.weight.tolist() == [[1.0, 2.0]] and model.weight.dtype == np.float32
    model(Tensor([[1.0, 1.0]])).sum().backward()
    optimizer.step()
    assert model.bias.item() == 2.0


def test_loading_counts_as_a_change_in_place():
    model = Linear(2, 1)
    loss = model(Tensor([[1.0, 2.0]], requires_grad=True)).sum()
    model.load_state_dict(model.state_dict())
    with pytest.raises(RuntimeError, match="changed in place"):
        loss.backward()


def test_what_is_loaded_is_copied():
    model, numbers = Linear(2, 1), np.ones((1, 2), np.float32)
    load_state_dict(model, {"weight": numbers, "bias": np.zeros(1)})
    numbers[:] = 9
    assert model.weight.tolist() == [[1.0, 1.0]]


def test_names_that_do_not_fit():
    model = Linear(2, 1)
    state = {"weight": Tensor([[5.0, 6.0]]), "scale": Tensor([1.0])}
    with pytest.raises(
        KeyError, match=r"Linear.*Missing in the state: bias.*Not in the Linear: scale"
    ):
        load_state_dict(model, state)
    bias = model.bias.item()
    assert load_state_dict(model, state, strict=False) == (["bias"], ["scale"])
    assert model.weight.tolist() == [[5.0, 6.0]] and model.bias.item() == bias


def test_shapes_that_do_not_fit_change_nothing():
    model = Linear(2, 1)
    before = model.weight.tolist()
    state = {"weight": Tensor([[5.0, 6.0]]), "bias": Tensor([1.0, 2.0])}
    for strict in (True, False):
        with pytest.raises(ValueError, match=r"bias is \(1,\) and the state has \(2,\)"):
            load_state_dict(model, state, strict)
    assert model.weight.tolist() == before


# ---------------------------------------------------------------- a file

STORED = (
    b'\x88\x00\x00\x00\x00\x00\x00\x00{"__metadata__":{"by":"me"},"a":{"dtype":"F32","shape":[2],"data_offsets":'
    b'[0,8]},"b":{"dtype":"BOOL","shape":[],"data_offsets":[8,9]}}  '
    b"\x00\x00\x80?\x00\x00\x00\xc0\x01"
)


def test_bytes_are_as_stored():
    arrays = {"b": np.array(True), "a": np.array([1.0, -2.0], np.float32)}
    length = struct.unpack("<Q", STORED[:8])[0]
    assert length % 8 == 0 and len(STORED) == 8 + length + 9
    assert to_bytes(arrays, {"by": "me"}) == STORED
    loaded, metadata = from_bytes(STORED)
    assert metadata == {"by": "me"} and list(loaded) == ["a", "b"]
    assert loaded["a"].tolist() == [1.0, -2.0] and loaded["a"].dtype == np.float32
    assert loaded["b"].shape == () and loaded["b"].dtype == bool and loaded["b"].item() is True


def random_model():
    model = Sequential(Conv2d(1, 2, 3), BatchNorm2d(2), Linear(6, 3))
    model(Tensor.randn(2, 1, 8, 8))
    return model


def test_reloading_gives_the_same_bits(tmp_path):
    manual_seed(0)
    model = random_model()
    path = tmp_path / "model.safetensors"
    safe_save(get_state_dict(model), path, {"epoch": "3"})
    other = random_model()
    load_state_dict(other, safe_load(path))
    x = Tensor.randn(2, 1, 8, 8)
    for a, b in zip(get_state_dict(model).values(), get_state_dict(other).values()):
        assert a.numpy().tobytes() == b.numpy().tobytes() and a.dtype == b.dtype
    assert model.eval()(x).numpy().tobytes() == other.eval()(x).numpy().tobytes()
    assert safe_metadata(path) == {"epoch": "3"}
    assert [p.name for p in tmp_path.iterdir()] == ["model.safetensors"]
    loaded = safe_load(str(path))
    assert not loaded["0.weight"].requires_grad
    with no_grad():
        loaded["0.weight"][:] = 0.0  # writable


def test_views_are_saved_as_they_look(tmp_path):
    x = Tensor(np.arange(6.0).reshape(2, 3))
    safe_save({"T": x.T, "row": x[1], "stretched": Tensor([1]).expand(3)}, tmp_path / "x")
    loaded = safe_load(tmp_path / "x")
    assert loaded["T"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert loaded["row"].tolist() == [3, 4, 5] and loaded["stretched"].tolist() == [1, 1, 1]


def test_an_old_file_stays_if_saving_fails(tmp_path):
    path = tmp_path / "x"
    safe_save({"a": Tensor([1.0])}, path)
    with pytest.raises(TypeError, match="c: safetensors files hold no complex128"):
        safe_save({"a": Tensor([2.0]), "c": np.array([1j])}, path)
    with pytest.raises(TypeError, match=r"got a Linear: write safe_save\(get_state_dict\(model\)"):
        safe_save(Linear(1, 1), path)
    assert safe_load(path)["a"].tolist() == [1.0]


ARRAYS = st.dictionaries(
    st.text(max_size=8).filter(lambda name: name != "__metadata__"),
    st.sampled_from([d.newbyteorder("=") for d in DTYPES.values()]).flatmap(
        lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, min_side=0, max_side=3))
    ),
    max_size=4,
)


@given(ARRAYS, st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=2))
def test_round_trip(arrays, metadata):
    loaded, read = from_bytes(to_bytes(arrays, metadata))
    assert read == metadata and loaded.keys() == arrays.keys()
    for name, array in arrays.items():
        assert loaded[name].dtype == array.dtype and loaded[name].shape == array.shape
        assert loaded[name].tobytes() == array.tobytes()


@given(ARRAYS)
def test_other_programs_read_our_files_and_we_theirs(arrays):
    library = pytest.importorskip("safetensors.numpy")
    theirs = library.load(to_bytes(arrays, {"a": "b"}))
    assert theirs.keys() == arrays.keys()
    for name, array in arrays.items():
        assert theirs[name].dtype == array.dtype and theirs[name].tobytes() == array.tobytes()
    ours, _ = from_bytes(library.save(arrays))
    for name, array in arrays.items():
        assert ours[name].shape == array.shape and ours[name].tobytes() == array.tobytes()


# ---------------------------------------------------------------- files that are none


def a_file(header, data=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(dtype="F32", shape=(2,), offsets=(0, 8)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


BROKEN = [
    (b"", "too short: 0 bytes"),
    (b"1234567", "too short: 7 bytes"),
    (a_file({}, length=1000), "1000 bytes long, and only 2 follow"),
    (a_file({}, length=2**63), "may be 100000000"),
    (a_file(b"not json"), "not JSON"),
    (a_file(b"\xff\xfe{}"), "not JSON"),
    (a_file(b"[" * 100_000), "not JSON"),
    (a_file([1, 2]), "the header is a list"),
    (a_file(b'{"a":1,"a":2}'), "twice"),
    (a_file({"a": 5}), "a needs dtype, shape and data_offsets"),
    (a_file({"a": {"dtype": "F32", "shape": [2]}}), "a needs dtype"),
    (a_file({"a": entry("F33")}, bytes(8)), "dtype 'F33'; known are F64"),
    (a_file({"a": entry("BF16", (4,))}, bytes(8)), "'BF16'"),
    (a_file({"a": entry(["F32"])}, bytes(8)), "dtype"),
    (a_file({"a": entry(shape=(-2,))}, bytes(8)), "shape"),
    (a_file({"a": entry(shape=(2.0,))}, bytes(8)), "shape"),
    (a_file({"a": entry(shape=(True, 2))}, bytes(8)), "shape"),
    (a_file({"a": {**entry(), "shape": "2"}}, bytes(8)), "shape"),
    (a_file({"a": entry("U8", (1,) * 40, (0, 1))}, bytes(1)), "shape"),
    (a_file({"a": entry(offsets=(8, 0))}, bytes(8)), "a start and an end"),
    (a_file({"a": entry(offsets=(0, 4, 8))}, bytes(8)), "a start and an end"),
    (a_file({"a": entry(offsets=(-8, 0))}, bytes(8)), "a start and an end"),
    (a_file({"a": entry(shape=(3,))}, bytes(8)), r"shape \(3,\) of F32 takes 12 bytes.*has 8"),
    (a_file({"a": entry(shape=(2**40, 2**40))}, bytes(8)), "takes"),
    (a_file({"a": entry()}, bytes(7)), "ends at byte 8, and there are only 7"),
    (a_file({"a": entry()}, bytes(9)), "1 bytes at the end"),
    (a_file({"a": entry(), "b": entry()}, bytes(8)), "b starts at byte 0, not 8: it overlaps"),
    (a_file({"a": entry(), "b": entry(offsets=(4, 12))}, bytes(12)), "overlaps"),
    (a_file({"a": entry(offsets=(4, 12))}, bytes(12)), "a starts at byte 4, not 0.*unused"),
    (a_file({"__metadata__": {"a": 1}}), "__metadata__"),
    (a_file({"__metadata__": "a"}), "__metadata__"),
]


@pytest.mark.parametrize(("data", "message"), BROKEN)
def test_broken_files_are_refused(data, message, tmp_path):
    path = tmp_path / "bad.safetensors"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=f"(?s)bad.safetensors is no sound.*{message}"):
        safe_load(path)


@given(st.integers(0, len(STORED) - 1), st.integers(0, 255))
def test_one_wrong_byte_never_does_worse_than_an_error(place, byte):
    broken = bytearray(STORED)
    broken[place] = byte
    with contextlib.suppress(ValueError):
        from_bytes(bytes(broken))


@given(st.integers(0, len(STORED) - 1))
def test_a_cut_off_file_is_refused(n):
    with pytest.raises(ValueError):
        from_bytes(STORED[:n])


def test_an_empty_file_of_tensors():
    assert from_bytes(to_bytes({})) == ({}, {})
    assert Parameter([1.0]).requires_grad  # and nothing is pickled: see from_bytes
