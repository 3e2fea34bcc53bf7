"""Protocol Buffers: what is read in step equals what is read one by one, and nothing is read past an end."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.sources.protobuf import (
    LENGTH,
    VARINT,
    Span,
    Spans,
    fields,
    messages,
    numbers,
    ragged_numbers,
    scan,
    signed,
    sums,
    varint,
)

WORDS = st.integers(0, 2**64 - 1) | st.integers(0, 300)
MESSAGES = st.lists(
    st.lists(
        st.tuples(st.sampled_from([1, 2, 200]), WORDS)
        | st.tuples(st.sampled_from([3, 17]), st.binary(max_size=200)),
        max_size=6,
        unique_by=lambda field: field[0],
    ),
    max_size=6,
)


def written(value: int) -> bytes:
    """A number as the format's description says: seven bits a byte, the lowest first."""
    parts = []
    while value >= 128:
        parts.append(value & 127 | 128)
        value >>= 7
    return bytes([*parts, value])


def message(wanted: list[tuple[int, int | bytes]]) -> bytes:
    out = b""
    for number, value in wanted:
        if isinstance(value, int):
            out += written(number << 3 | VARINT) + written(value)
        else:
            out += written(number << 3 | LENGTH) + written(len(value)) + value
    return out


def as_int64(values: list[int]) -> list[int]:
    return np.array(values, dtype=np.uint64).view(np.int64).tolist()


@given(st.lists(WORDS))
def test_a_list_reads_as_it_was_written(values: list[int]) -> None:
    data = b"".join(written(v) for v in values)
    assert numbers(np.frombuffer(data, np.uint8)).tolist() == as_int64(values)


@given(st.lists(st.integers(-(2**63), 2**63 - 1)))
def test_zigzag_gives_the_signs_back(values: list[int]) -> None:
    zigzag = [((v << 1) ^ (v >> 63)) % 2**64 for v in values]
    assert signed(np.array(as_int64(zigzag), dtype=np.int64)).tolist() == values


@given(st.lists(st.lists(st.integers(-1000, 1000))))
def test_each_list_of_differences_begins_anew(lists: list[list[int]]) -> None:
    delta = np.array([v for values in lists for v in values], dtype=np.int64)
    expected = [int(v) for values in lists for v in np.cumsum(values)]
    assert sums(delta, np.array([len(v) for v in lists], dtype=np.int64)).tolist() == expected


@given(MESSAGES)
def test_many_messages_in_step_read_as_each_alone(wanted: list[list[tuple[int, int | bytes]]]) -> None:
    parts = [message(m) for m in wanted]
    ends = np.cumsum([len(p) for p in parts], dtype=np.int64)
    spans = Spans(ends - np.array([len(p) for p in parts], dtype=np.int64), ends)
    data = b"".join(parts)
    values, contents = scan(np.frombuffer(data, np.uint8), spans, values=(1, 2, 200), contents=(3, 17))
    for row, (start, stop) in enumerate(zip(*spans, strict=True)):
        alone = dict(fields(data, Span(int(start), int(stop))))
        assert {n: values[n][row] for n in (1, 2, 200)} == {
            n: as_int64([alone.get(n, 0)])[0] for n in (1, 2, 200)
        }
        where = messages(data, Span(int(start), int(stop)))
        for n in (3, 17):
            found = data[int(contents[n].start[row]) : int(contents[n].stop[row])]
            assert found == dict(wanted[row]).get(n, b"")
            assert (n in where) == (n in dict(wanted[row]))


@given(st.lists(st.lists(WORDS, max_size=5), max_size=5))
def test_ragged_lists_keep_their_lengths(lists: list[list[int]]) -> None:
    parts = [b"".join(written(v) for v in values) for values in lists]
    ends = np.cumsum([len(p) for p in parts], dtype=np.int64)
    spans = Spans(ends - np.array([len(p) for p in parts], dtype=np.int64), ends)
    found, count = ragged_numbers(np.frombuffer(b"".join(parts), np.uint8), spans)
    assert found.tolist() == as_int64([v for values in lists for v in values])
    assert count.tolist() == [len(values) for values in lists]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\x08", id="a key without value"),
        pytest.param(b"\x08\x80", id="a number without end"),
        pytest.param(b"\x08" + b"\xff" * 11, id="a number of too many bits"),
        pytest.param(b"\x1a\x05abc", id="a content past the end"),
        pytest.param(b"\x1a" + b"\xff" * 9 + b"\x01", id="a content of 2^64 bytes"),
        pytest.param(b"\x0b", id="no known type"),
        pytest.param(b"\x09abc", id="eight bytes of which three are there"),
    ],
)
def test_what_runs_past_its_end_is_refused(data: bytes) -> None:
    whole = Span(0, len(data))
    with pytest.raises(ValueError):
        fields(data, whole)
    with pytest.raises(ValueError):
        messages(data, whole)
    spans = Spans(np.array([0]), np.array([len(data)]))
    with pytest.raises(ValueError):
        scan(np.frombuffer(data, np.uint8), spans, values=(1,), contents=(3,))


def test_a_number_may_not_take_bytes_of_the_next_message() -> None:
    with pytest.raises(ValueError, match="past its end"):
        varint(b"\x80\x01", 0, 1)
