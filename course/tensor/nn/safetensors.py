"""Saving tensors to files in the safetensors format, and reading them back.

A file is

    8 bytes     the length n of the header, an unsigned integer, lowest byte first
    n bytes     the header: JSON, filled up with spaces to a multiple of 8
    the rest    the numbers of all tensors, one after the other

The header names each tensor, and says where in the rest its bytes are:

    {"0.weight": {"dtype": "F32", "shape": [8, 2], "data_offsets": [0, 64]}, ...}

The numbers stand as they do in memory, lowest byte first, the last axis fastest. Nothing in such a
file is code, so that one can be read without trusting whoever made it.

Source: https://github.com/huggingface/safetensors, "Format".
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from course.tensor.tensor import Tensor

DTYPES: dict[str, np.dtype] = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "I16": np.dtype("<i2"),
    "I8": np.dtype("i1"),
    "U64": np.dtype("<u8"),
    "U32": np.dtype("<u4"),
    "U16": np.dtype("<u2"),
    "U8": np.dtype("u1"),
    "BOOL": np.dtype("?"),
}
NAMES = {dtype: name for name, dtype in DTYPES.items()}
LARGEST_HEADER = 100_000_000  # bytes; the limit of the format's own library

Arrays = dict[str, np.ndarray]


def to_bytes(arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str] | None = None) -> bytes:
    """The contents of a safetensors file.

    Args:
        arrays: name -> numbers.
        metadata: name -> text, stored in the header under "__metadata__".

    Raises:
        TypeError: for a dtype that the format does not have.
    """
    header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    chunks: list[bytes] = []
    end = 0
    # the largest numbers first: so all of them start at a multiple of their size
    for name, array in sorted(arrays.items(), key=lambda pair: (-pair[1].itemsize, pair[0])):
        dtype = array.dtype.newbyteorder("<")
        if dtype not in NAMES:
            raise TypeError(f"{name}: safetensors files hold no {array.dtype}")
        chunk = array.astype(dtype).tobytes()
        start, end = end, end + len(chunk)
        header[name] = {
            "dtype": NAMES[dtype],
            "shape": list(array.shape),
            "data_offsets": [start, end],
        }
        chunks.append(chunk)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return b"".join([len(text).to_bytes(8, "little"), text, *chunks])


def from_bytes(data: bytes) -> tuple[Arrays, dict[str, str]]:
    """The arrays and the metadata in the contents of a safetensors file.

    Raises:
        ValueError: if this is none, or a broken one; the message says what is wrong.
    """
    header, rest = _read_header(data)
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or any(not isinstance(x, str) for x in metadata.values()):
        raise ValueError("__metadata__ is not a table of texts")
    arrays, places = {}, []
    for name, entry in header.items():
        dtype, shape, (start, end) = _read_entry(name, entry)
        if end > len(rest):
            raise ValueError(f"{name} ends at byte {end}, and there are only {len(rest)}")
        places.append((start, end, name))
        numbers = np.frombuffer(rest[start:end], dtype if dtype.kind != "b" else np.uint8)
        arrays[name] = numbers.reshape(shape).astype(dtype.newbyteorder("="))
    at = 0
    for start, end, name in sorted(places):
        if start != at:
            what = (
                "overlaps the tensor before it" if start < at else "leaves bytes before it unused"
            )
            raise ValueError(f"{name} starts at byte {start}, not {at}: it {what}")
        at = end
    if at != len(rest):
        raise ValueError(f"{len(rest) - at} bytes at the end belong to no tensor")
    return arrays, metadata


def _read_header(data: bytes) -> tuple[dict[str, Any], memoryview]:
    if len(data) < 8:
        raise ValueError(f"too short: {len(data)} bytes, and the header's length alone takes 8")
    length = int.from_bytes(data[:8], "little")
    if length > LARGEST_HEADER:
        raise ValueError(f"the header would be {length} bytes long, and may be {LARGEST_HEADER}")
    if length > len(data) - 8:
        raise ValueError(f"the header is {length} bytes long, and only {len(data) - 8} follow")
    try:
        header = json.loads(data[8 : 8 + length].decode(), object_pairs_hook=_no_name_twice)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the header is not JSON as it should be: {error}") from None
    if not isinstance(header, dict):
        raise ValueError(f"the header is a {type(header).__name__}, and not a table of tensors")
    return header, memoryview(data)[8 + length :]


def _no_name_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a name stands there twice")
    return table


def _read_entry(name: str, entry: Any) -> tuple[np.dtype, tuple[int, ...], tuple[int, int]]:
    keys = {"dtype", "shape", "data_offsets"}
    if not isinstance(entry, dict) or set(entry) != keys:
        raise ValueError(f"{name} needs dtype, shape and data_offsets, and has {entry!r:.80}")
    shape, offsets = entry["shape"], entry["data_offsets"]
    if not isinstance(entry["dtype"], str) or entry["dtype"] not in DTYPES:
        known = ", ".join(DTYPES)
        raise ValueError(f"{name} has dtype {entry['dtype']!r:.40}; known are {known}")
    if not _are_lengths(shape) or len(shape) > 32:
        raise ValueError(f"{name} has shape {shape!r:.80}")
    if not _are_lengths(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise ValueError(f"{name} has data_offsets {offsets!r:.80}: a start and an end are needed")
    dtype = DTYPES[entry["dtype"]]
    size = dtype.itemsize
    for n in shape:
        size *= n
    start, end = offsets
    if end - start != size:
        raise ValueError(
            f"{name}: shape {tuple(shape)} of {entry['dtype']} takes {size} bytes, "
            f"and data_offsets {offsets} has {end - start}"
        )
    return dtype, tuple(shape), (start, end)


def _are_lengths(numbers: Any) -> bool:
    return isinstance(numbers, list) and all(
        isinstance(n, int) and not isinstance(n, bool) and 0 <= n < 2**63 for n in numbers
    )


def safe_save(
    tensors: Mapping[str, Tensor | np.ndarray],
    path: str | os.PathLike[str],
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write tensors to a file, such as `safe_save(get_state_dict(model), "model.safetensors")`.

    Args:
        tensors: name -> tensor or array.
        path: where to. A file that is there is replaced, once the new one is complete.
        metadata: name -> text, kept with the tensors.

    Raises:
        TypeError: for a dtype that the format does not have, or if tensors is no dict.
    """
    if not isinstance(tensors, Mapping):
        raise TypeError(
            f"safe_save takes a dict of tensors, and got a {type(tensors).__name__}: "
            "write safe_save(get_state_dict(model), path)"
        )
    arrays = {
        name: x.numpy() if isinstance(x, Tensor) else np.asarray(x) for name, x in tensors.items()
    }
    path = Path(path)
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(to_bytes(arrays, metadata))
    partial.replace(path)


def safe_load(path: str | os.PathLike[str], device: Any = None) -> dict[str, Tensor]:
    """Read the tensors of a file, by name; they are leaves that require no gradient.

    Args:
        path: a file in the safetensors format.
        device: where the tensors go; the default device if not given.

    Raises:
        ValueError: if the file is no such file, or a broken one.
    """
    arrays, _ = _read_file(path)
    return {name: Tensor(array, device=device) for name, array in arrays.items()}


def safe_metadata(path: str | os.PathLike[str]) -> dict[str, str]:
    """The texts that were saved with a file's tensors."""
    return _read_file(path)[1]


def _read_file(path: str | os.PathLike[str]) -> tuple[Arrays, dict[str, str]]:
    try:
        return from_bytes(Path(path).read_bytes())
    except ValueError as error:
        raise ValueError(f"{os.fspath(path)} is no sound safetensors file: {error}") from None
