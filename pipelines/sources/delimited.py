"""Delimited text as cities publish it: any separator, any encoding, byte-order marks, gzip; bounded."""

from __future__ import annotations

import csv
import io
import math
import re
import warnings
import zlib
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from pipelines.errors import SourceError

SEPARATORS = (";", ",", "\t", "|")
MOST_BYTES = 2 << 30
"""Largest text read into memory, after decompression."""
MOST_COLUMNS = 4096
_FREE_BYTES = 64 << 20
_MOST_RATIO = 200
"""Real tables compress 5 to 50 times, a bomb up to 1032 times (the limit of RFC 1951): refused in between."""
_TRUE = frozenset({"1", "true", "t", "yes", "y", "oui", "o", "vrai", "ja", "si", "sí", "sim"})
_FALSE = frozenset({"0", "false", "f", "no", "n", "non", "faux", "nein", "não", "nao"})


def read_bytes(path: Path, *, most: int = MOST_BYTES) -> bytes:
    """
    Read a file into memory, through gzip where its first bytes say so.

    Raises
    ------
    SourceError
        The file is absent, larger than `most`, expands suspiciously, or its gzip stream is damaged.
    """
    try:
        raw = path.open("rb")
    except OSError as error:
        msg = f"cannot open {path}: {error.strerror}. Check the path (relative to the configuration)"
        raise SourceError(msg) from error
    with raw:
        if path.stat().st_size > most:
            size = path.stat().st_size
            msg = f"{path} has {size:,} bytes, at most {most:,} are read: cut it to the study area"
            raise SourceError(msg)
        packed = raw.read()
    return _gunzip(packed, path, most) if packed[:2] == b"\x1f\x8b" else packed


def _gunzip(packed: bytes, path: Path, most: int) -> bytes:
    most = min(most, max(_FREE_BYTES, _MOST_RATIO * len(packed)))
    out, rest = bytearray(), packed
    try:
        while rest[:2] == b"\x1f\x8b":
            stream = zlib.decompressobj(wbits=31)
            out += stream.decompress(rest, most + 1 - len(out))
            if len(out) > most:
                msg = f"{path} expands from {len(packed):,} to over {most:,} bytes: refused as a gzip bomb"
                raise SourceError(msg)
            if not stream.eof:
                msg = f"{path} is a gzip file cut short: fetch it again"
                raise SourceError(msg)
            rest = stream.unused_data
    except zlib.error as error:
        msg = f"{path} is a damaged gzip file ({error}): fetch it again"
        raise SourceError(msg) from error
    return bytes(out)


def decode(data: bytes, path: Path, *, encoding: str | None = None) -> str:
    """
    Turn bytes into text by the byte-order mark, else UTF-8, else Windows-1252.

    Raises
    ------
    SourceError
        `encoding` is unknown or does not fit, or the bytes are not text.
    """
    try:
        if encoding is not None:
            text = data.decode(encoding)
        elif data.startswith((b"\xff\xfe", b"\xfe\xff")):
            text = data.decode("utf-16")
        else:
            text = _utf8_or_western(data)
    except (UnicodeDecodeError, LookupError) as error:
        tried = encoding or "UTF-8, UTF-16 or Windows-1252"
        msg = f"{path} is not text in {tried} ({error}): name its encoding"
        raise SourceError(msg) from error
    if "\x00" in text:
        msg = f"{path} holds binary data (a zero at character {text.index(chr(0))}), not delimited text"
        raise SourceError(msg)
    return text.removeprefix("\ufeff")


def _utf8_or_western(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252")


def sniff_separator(text: str) -> str:
    r"""
    Find the separator that cuts the first lines into the same number of fields, the most of them.

    Examples
    --------
    >>> sniff_separator('name;geo\n"Rue A; B";48.1, 2.3\nC;48.2, 2.4')
    ';'
    """
    head = text[:65536].splitlines()[:40]
    scores: list[tuple[float, int, str]] = []
    for separator in SEPARATORS:
        try:
            widths = [len(row) for row in csv.reader(head, delimiter=separator) if row]
        except csv.Error:
            continue
        width = widths[0] if widths else 1
        agreeing = sum(w == width for w in widths) / max(len(widths), 1)
        scores.append((agreeing if width > 1 else 0.0, width, separator))
    agreed = [s for s in scores if s[0] >= 0.75]
    return max(agreed, key=lambda s: s[1])[2] if agreed else max(scores, key=lambda s: (s[0], s[1]))[2]


def read_delimited(
    path: Path, *, separator: str | None = None, encoding: str | None = None, most: int = MOST_BYTES
) -> pd.DataFrame:
    """
    Read a delimited file as text, nothing interpreted.

    Parameters
    ----------
    path
        The file, also gzipped.
    separator, encoding
        Found by looking where not given.
    most
        [bytes] Largest content accepted, after decompression.

    Returns
    -------
    pandas.DataFrame
        All columns strings, stripped; an empty field is missing. Row ``i`` of the frame is data row ``i + 1``
        of the file.

    Raises
    ------
    SourceError
        The file is absent, too large, not text, empty, or its rows do not agree with its header.
    """
    text = decode(read_bytes(path, most=most), path, encoding=encoding)
    if not text.strip():
        msg = f"{path} is empty: expected a header and rows"
        raise SourceError(msg)
    if text.lstrip()[:1] in ("<", "{"):
        msg = f"{path} begins with {text.lstrip()[:20]!r}: not a table. Check what was downloaded"
        raise SourceError(msg)
    separator = separator or sniff_separator(text)
    try:
        width = len(next(csv.reader(text[: 1 << 17].splitlines(), delimiter=separator), []))
        if width > MOST_COLUMNS:
            msg = f"{path} has {width} columns or more, at most {MOST_COLUMNS} are read"
            raise SourceError(msg)
        frame = _parse(text, separator)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, csv.Error, ValueError) as error:
        msg = (
            f"{path} is not a table separated by {separator!r}: {error}. Name the separator or repair the row"
        )
        raise SourceError(msg) from error
    frame.columns = pd.Index([str(c).strip() for c in frame.columns])
    for column in frame.columns:
        stripped = frame[column].str.strip()
        frame[column] = stripped.mask(stripped == "")
    return frame


def _parse(text: str, separator: str) -> pd.DataFrame:
    """Read all fields as text; rows may end with separators too many, but not with fields too many."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        try:
            return pd.read_csv(
                io.StringIO(text),
                sep=separator,
                dtype="str",
                keep_default_na=False,
                na_values=[""],
                index_col=False,
            )
        except pd.errors.ParserWarning:
            return _parse_ragged(text, separator)


def _parse_ragged(text: str, separator: str) -> pd.DataFrame:
    lines = csv.reader(io.StringIO(text), delimiter=separator)
    header = next(line for line in lines if line)
    rows: list[list[str | None]] = []
    for line in lines:
        if not line:
            continue
        if any(field.strip() for field in line[len(header) :]):
            msg = f"row {len(rows) + 1} has {len(line)} fields, the header {len(header)}"
            raise ValueError(msg)
        fields = [field or None for field in line[: len(header)]]
        rows.append(fields + [None] * (len(header) - len(fields)))
    return pd.DataFrame(rows, columns=header, dtype="str")


def texts(column: pd.Series) -> pd.Series:
    """Every value as text, whatever it is (bytes, lists, numbers); a missing one stays missing."""
    if isinstance(column.dtype, pd.StringDtype):
        return column.astype("str")
    shown = [None if _is_missing(v) else v if isinstance(v, str) else str(v) for v in column.array]
    return pd.Series(shown, index=column.index, name=column.name, dtype="str")


def _is_missing(value: object) -> bool:
    return (
        value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and math.isnan(value))
    )


def numbers(column: pd.Series, *, what: str) -> pd.Series:
    """
    Read a text column as numbers; a decimal comma is understood, a missing field stays missing.

    Raises
    ------
    SourceError
        A field is not a finite number; the message names the row.
    """
    if not isinstance(column.dtype, pd.StringDtype) and column.dtype != object:
        values = column.astype("float64")
    else:
        text = texts(column).str.replace("\u00a0", "").str.replace("\u202f", "")
        comma = text.str.fullmatch(r"[+-]?\d+,\d+").fillna(value=False)
        text = text.where(~comma, text.str.replace(",", "."))
        values = pd.to_numeric(text, errors="coerce").astype("float64")
    wrong = (values.isna() & column.notna()) | values.isin([float("inf"), float("-inf")])
    refuse_rows(column, wrong, what=what, expected="a finite number")
    return values


def flags(column: pd.Series, *, what: str) -> pd.Series:
    """
    Read a column of yes and no in the words that tables use; a missing field is no.

    Raises
    ------
    SourceError
        A field is none of them; the message names the row.
    """
    text = texts(column).str.lower().str.replace(r"\.0+$", "", regex=True)
    yes, no = text.isin(_TRUE), text.isin(_FALSE) | column.isna()
    refuse_rows(column, ~(yes | no), what=what, expected="1 or 0, true or false, yes or no")
    return yes & column.notna()


def refuse_rows(column: pd.Series, wrong: pd.Series, *, what: str, expected: str) -> None:
    """
    Raise where any row is wrong, naming the first ones.

    Raises
    ------
    SourceError
        Any entry of `wrong` is True.
    """
    rows = wrong.to_numpy().nonzero()[0]
    if len(rows):
        shown = ", ".join(f"row {r + 1}: {plain(column.iloc[r])}" for r in rows[:3])
        count = f"{len(rows)} of {len(column)} rows are wrong ({shown})"
        msg = f"{what}, column {column.name!r}: {count}; expected {expected}"
        raise SourceError(msg)


def plain(value: object, *, most: int = 60) -> str:
    """Show a value in a message: printable, quoted, short."""
    text = re.sub(r"\s+", " ", "".join(c if c.isprintable() else "�" for c in str(value)))
    return f"“{text[:most]}{'…' if len(text) > most else ''}”"


def column_named(frame: pd.DataFrame, names: Sequence[str]) -> str | None:
    """Find the first of several names among the columns, exactly, else without regard to case and signs."""
    for name in names:
        if name in frame.columns:
            return name
    folded = {re.sub(r"[^a-z0-9]", "", str(c).lower()): str(c) for c in reversed(frame.columns)}
    for name in names:
        key = re.sub(r"[^a-z0-9]", "", name.lower())
        if key and key in folded:
            return folded[key]
    return None
