"""Reading an OSM PBF file: its frame of compressed blocks, its header, and its blocks put together."""

from __future__ import annotations

import lzma
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np

from pipelines.errors import PipelineError, SourceError
from pipelines.sources.osm_pbf_decode import DTYPES, Block, decode_block, holds
from pipelines.sources.osm_raw import RawOsm, raw_osm

MAX_HEADER, MAX_BLOB = 64 * 1024, 32 * 1024 * 1024
"""[B] Largest header and largest block that the format allows."""

_READABLE = {"OsmSchema-V0.6", "DenseNodes"}
_HISTORY = "HistoricalInformation"

FETCH = "fetch it again and compare its size or checksum with the source's"


class UnknownCompressionError(PipelineError):
    """A block is compressed in a way that is not read here (lz4, zstd)."""


@dataclass(frozen=True)
class Header:
    """What the header block says; ``timestamp`` and ``bbox`` are None where it says nothing."""

    timestamp: str | None
    bbox: tuple[float, float, float, float] | None
    on_ways: bool
    """Positions may be stored on ways instead of nodes."""


def read_pbf(path: Path, *, name: Path | None = None) -> RawOsm:
    """
    Read every object of a PBF file, block by block.

    Parameters
    ----------
    path
        The file.
    name
        Name under which errors speak of it; default: its own.

    Raises
    ------
    SourceError
        The file is truncated or damaged, holds the history of objects, or asks for features not known here.
    UnknownCompressionError
        A block is compressed by lz4 or zstd.

    Notes
    -----
    O(bytes). Beside the result one uncompressed block (at most 32 MB) is held.
    """
    parts = _Parts()
    header = None
    name = name or path
    with path.open("rb") as file:
        for start, kind, data in _blocks(file, name):
            try:
                if kind == "OSMHeader":
                    header = _checked_header(data, name)
                elif kind == "OSMData":
                    parts.add(data)
            except ValueError as error:
                raise _damaged(name, start, error) from error
    if header is None:
        msg = f"{name}: holds no header block; expected a PBF file: {FETCH}"
        raise SourceError(msg)
    raw = parts.raw(header)
    if header.on_ways and (raw.locate(raw.way_refs) < 0).any():
        msg = (
            f"{name}: stores positions on its ways and lacks nodes; expected nodes: take the file as it was "
            "before `osmium add-locations-to-ways`"
        )
        raise SourceError(msg)
    return raw


def blocks_with(
    path: Path, kind: Literal["nodes", "ways"], *, name: Path | None = None
) -> Iterator[tuple[bytes, Block]]:
    """
    Decode the blocks that hold objects of a kind, one after the other; the others are only unpacked.

    Parameters
    ----------
    path
        The file.
    kind
        Which objects are wanted.
    name
        Name under which errors speak of it; default: its own.

    Yields
    ------
    tuple of bytes and Block
        The uncompressed bytes, which the texts point into, and the objects.

    Raises
    ------
    SourceError, UnknownCompressionError
        As for `read_pbf`.
    """
    name = name or path
    with path.open("rb") as file:
        for start, block_kind, data in _blocks(file, name):
            try:
                block = decode_block(data) if block_kind == "OSMData" and holds(data, kind) else None
            except ValueError as error:
                raise _damaged(name, start, error) from error
            if block is not None:
                yield data, block


def _damaged(name: Path, start: int, error: ValueError) -> SourceError:
    return SourceError(f"{name}: the block at byte {start:,} is damaged ({error}); {FETCH}")


def _blocks(file: BinaryIO, path: Path) -> Iterator[tuple[int, str, bytes]]:
    """Start, type and uncompressed content of every block."""
    while True:
        start = file.tell()
        size = file.read(4)
        if not size:
            return
        length = int.from_bytes(size, "big")
        head = file.read(length) if 0 < length <= MAX_HEADER else b""
        fields = _fields(head, path, start) if len(size) == 4 and len(head) == length > 0 else []
        kind = b"".join(value for number, value in fields if number == 1 and isinstance(value, bytes))
        stored = [value for number, value in fields if number == 3 and isinstance(value, int)]
        if not kind or not stored or not 0 <= stored[-1] <= MAX_BLOB:
            msg = (
                f"{path}: is cut short or damaged at byte {start:,}; expected the header of a block: {FETCH}"
            )
            raise SourceError(msg)
        blob = file.read(stored[-1])
        if len(blob) != stored[-1]:
            msg = (
                f"{path}: ends at byte {start + 4 + length + len(blob):,} inside a block that should end at "
                f"{start + 4 + length + stored[-1]:,}: the file is cut short; {FETCH}"
            )
            raise SourceError(msg)
        yield start, kind.decode("ascii", "replace"), _content(blob, path, start)


def _content(blob: bytes, path: Path, start: int) -> bytes:
    """Uncompressed content of a block."""
    fields = dict(_fields(blob, path, start))
    for number, decompress in ((3, _inflate), (4, _unpack_lzma)):
        packed = fields.get(number)
        if isinstance(packed, bytes):
            size = fields.get(2)
            try:
                data = decompress(packed, MAX_BLOB + 1)
            except (zlib.error, lzma.LZMAError) as error:
                msg = f"{path}: the block at byte {start:,} cannot be uncompressed ({error}); {FETCH}"
                raise SourceError(msg) from error
            if len(data) > MAX_BLOB or (isinstance(size, int) and size != len(data)):
                msg = f"{path}: the block at byte {start:,} does not have the size that it states; {FETCH}"
                raise SourceError(msg)
            return data
    plain = fields.get(1)
    if isinstance(plain, bytes):
        return plain
    if any(isinstance(fields.get(number), bytes) for number in (5, 6, 7)):
        raise UnknownCompressionError
    msg = f"{path}: the block at byte {start:,} holds no data; {FETCH}"
    raise SourceError(msg)


def _inflate(packed: bytes, limit: int) -> bytes:
    engine = zlib.decompressobj()
    data = engine.decompress(packed, limit)
    if not engine.eof and len(data) < limit:
        raise zlib.error("the compressed data end early")
    return data


def _unpack_lzma(packed: bytes, limit: int) -> bytes:
    return lzma.LZMADecompressor().decompress(packed, limit)


def _fields(data: bytes, path: Path, start: int) -> list[tuple[int, int | bytes]]:
    """Fields of a small message: number, and value or bytes."""
    found: list[tuple[int, int | bytes]] = []
    pos = 0
    try:
        while pos < len(data):
            key, pos = _varint(data, pos)
            if key & 7 == 0:
                value, pos = _varint(data, pos)
                found.append((key >> 3, value))
            elif key & 7 == 2:
                size, pos = _varint(data, pos)
                found.append((key >> 3, data[pos : pos + size]))
                pos += size
            else:
                pos += {1: 8, 5: 4}[key & 7]
        _at_end(pos, data)
    except (IndexError, KeyError):
        msg = f"{path}: the message at byte {start:,} is damaged; expected a PBF file: {FETCH}"
        raise SourceError(msg) from None
    return found


def _at_end(pos: int, data: bytes) -> None:
    if pos != len(data):
        raise IndexError


def _varint(data: bytes, pos: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[pos]
        pos += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, pos
        shift += 7
        if shift > 63:
            raise IndexError


def _checked_header(data: bytes, path: Path) -> Header:
    """Parse the header block and refuse what cannot be read faithfully."""
    fields = _fields(data, path, 0)
    features = tuple(v.decode("utf-8", "replace") for n, v in fields if n == 4 and isinstance(v, bytes))
    if _HISTORY in features:
        msg = (
            f"{path}: holds the history of objects; expected the state of one day: "
            "run `osmium time-filter` on it and use the result"
        )
        raise SourceError(msg)
    unknown = sorted(set(features) - _READABLE)
    if unknown:
        msg = (
            f"{path}: requires {', '.join(unknown)}; expected a plain file ({', '.join(sorted(_READABLE))}): "
            "rewrite it with `osmium cat -o plain.osm.pbf`"
        )
        raise SourceError(msg)
    seconds = next((v for n, v in fields if n == 32 and isinstance(v, int)), None)
    stamp = None if not seconds else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    box = next((v for n, v in fields if n == 1 and isinstance(v, bytes)), None)
    sides = {n: _zigzag(v) / 1e9 for n, v in _fields(box, path, 0) if isinstance(v, int)} if box else {}
    bbox = (sides[1], sides[4], sides[2], sides[3]) if {1, 2, 3, 4} <= set(sides) else None
    return Header(stamp, bbox, any(n == 5 and v == b"LocationsOnWays" for n, v in fields))


def _zigzag(value: int) -> int:
    return (value >> 1) ^ -(value & 1)


class _Parts:
    """Blocks gathered, their texts replaced by codes of one common table."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self.codes: dict[bytes, int] = {}

    def add(self, data: bytes) -> None:
        """Take one block in."""
        block = decode_block(data)
        named = {name: getattr(block, name) for name in _TEXT_COLUMNS}
        used = np.unique(np.concatenate(list(named.values())))
        if len(used) and not 0 <= used[0] <= used[-1] < len(block.text_start):
            raise ValueError("a tag names a text that the block lacks")
        code = np.zeros(len(block.text_start), dtype=np.int32)
        codes = self.codes
        ends = zip(
            used.tolist(), block.text_start[used].tolist(), block.text_stop[used].tolist(), strict=True
        )
        for text, start, stop in ends:
            code[text] = codes.setdefault(data[start:stop], len(codes))
        nothing = np.empty(0, dtype=np.int64)
        coded = {name: code[column] for name, column in named.items()}
        self.blocks.append(block._replace(**coded, text_start=nothing, text_stop=nothing))

    def raw(self, header: Header) -> RawOsm:
        """Put everything together."""
        columns = {
            name: np.concatenate([nothing, *(getattr(block, name) for block in self.blocks)])
            for name, nothing in _EMPTY.items()
        }
        for counted, rows in (
            ("node_id", ("node_tag_row",)),
            ("way_id", ("way_tag_row",)),
            ("relation_id", ("relation_tag_row",)),
            ("way_ref", ("way_stop",)),
            ("member_ref", ("member_stop",)),
        ):
            before = np.concatenate([[0], np.cumsum([len(getattr(block, counted)) for block in self.blocks])])
            for name in rows:
                sizes = [len(getattr(block, name)) for block in self.blocks]
                columns[name] += np.repeat(before[:-1], sizes).astype(columns[name].dtype)
        self.blocks.clear()
        texts = [text.decode("utf-8", "replace") for text in self.codes]
        return raw_osm(columns, texts, timestamp=header.timestamp, bbox=header.bbox)


_TEXT_COLUMNS = (
    *("node_tag_key", "node_tag_value", "way_tag_key", "way_tag_value"),
    *("relation_tag_key", "relation_tag_value", "member_role"),
)
_EMPTY = {name: np.empty(0, dtype) for name, dtype in DTYPES.items() if not name.startswith("text_")}
