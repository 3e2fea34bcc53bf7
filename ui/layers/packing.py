"""A container of named arrays that a browser reads without copying: header in JSON, then aligned binary."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

ALIGNMENT = 8
"""[byte] Every array begins at a multiple of this, so that a typed array may be laid over the buffer."""

_JS_TYPES: dict[np.dtype[Any], str] = {
    np.dtype("u1"): "Uint8Array",
    np.dtype("<u2"): "Uint16Array",
    np.dtype("<u4"): "Uint32Array",
    np.dtype("<u8"): "BigUint64Array",
    np.dtype("<f4"): "Float32Array",
    np.dtype("<f8"): "Float64Array",
}


def pack(header: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """
    Join a JSON header and named arrays into one buffer.

    Layout: length of the header in bytes (uint32, little endian), the header in UTF-8 padded with spaces,
    then the arrays, each padded to `ALIGNMENT`. The header's key ``arrays`` lists name, JavaScript type,
    byte offset counted from the end of the header, and number of entries. The same input gives the same
    bytes.

    Parameters
    ----------
    header
        Anything that JSON can hold; the key ``arrays`` is added.
    arrays
        Flat arrays of uint8, uint16, uint32, uint64, float32 or float64.

    Raises
    ------
    TypeError
        An array has a type that no JavaScript typed array has.

    Examples
    --------
    >>> buffer = pack({"unit": "min"}, {"value": np.array([1, 2], dtype="u2")})
    >>> unpack(buffer)[1]["value"].tolist()
    [1, 2]
    """
    listing, blobs, offset = [], [], 0
    for name, array in arrays.items():
        flat = np.ascontiguousarray(array).reshape(-1)
        little = flat.dtype.newbyteorder("<")
        if little not in _JS_TYPES:
            msg = f"array {name!r} is {flat.dtype}; expected one of {sorted(str(t) for t in _JS_TYPES)}"
            raise TypeError(msg)
        blob = flat.astype(little, copy=False).tobytes()
        blob += b"\0" * (-len(blob) % ALIGNMENT)
        listing.append({"name": name, "type": _JS_TYPES[little], "offset": offset, "length": len(flat)})
        blobs.append(blob)
        offset += len(blob)
    text = json.dumps(
        {**header, "arrays": listing}, ensure_ascii=False, separators=(",", ":"), allow_nan=False
    )
    head = text.encode()
    head += b" " * (-(4 + len(head)) % ALIGNMENT)
    return len(head).to_bytes(4, "little") + head + b"".join(blobs)


def unpack(buffer: bytes) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    """
    Read what `pack` wrote: the header and the arrays, as the browser reads them.

    Raises
    ------
    ValueError
        The buffer is shorter than its header says.
    """
    size = int.from_bytes(buffer[:4], "little")
    if len(buffer) < 4 + size:
        msg = f"buffer has {len(buffer)} bytes, its header alone {4 + size}"
        raise ValueError(msg)
    header = json.loads(buffer[4 : 4 + size])
    dtypes: dict[str, np.dtype[Any]] = {name: dtype for dtype, name in _JS_TYPES.items()}
    arrays = {
        item["name"]: np.frombuffer(buffer, dtypes[item["type"]], item["length"], 4 + size + item["offset"])
        for item in header["arrays"]
    }
    return header, arrays
