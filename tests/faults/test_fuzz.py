"""
Configurations, proposals, OSM files, manifests and cache records of any shape: a clear error or a counted repair.

``PROCHE_FUZZ=1000`` tries that many inputs in each test (default 80); the count of all is printed at the end.
`tests/faults/fuzz_atheris.py` goes where these draws do not lead: by coverage, where atheris is installed.
"""

from __future__ import annotations

import copy
import io
import json
import os
import random
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.errors import EngineError
from engine.proposals.geojson import parse_proposal
from pipelines.config import load_config, parse_config
from pipelines.errors import PipelineError
from pipelines.rundir import MANIFEST, RunDirectory, check
from pipelines.sources.download import check_copy, read_record
from pipelines.sources.osm_file import read_osm
from pipelines.store import RECORD, Store
from tests.faults import fuzz_atheris
from tests.osm_town import osm_xml
from tests.tried import note

EACH = int(os.environ.get("PROCHE_FUZZ", "80"))
fuzzed = settings(
    max_examples=EACH,
    deadline=None,
    database=None,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.function_scoped_fixture,
    ],
)
LONGEST_S = 30.0
"""[s] No small input computes longer, on the slowest machine; however busy that is."""


def survives(read: Callable[[], Any]) -> Any:
    """The result, or None after one of our own errors with one printable, bounded message; all else is a failure."""
    note("hostile inputs tried")
    start = time.process_time()
    try:
        return read()
    except (PipelineError, EngineError) as error:
        message = str(error)
        assert 15 < len(message) < 20_000
        assert "Traceback" not in message
        return None
    finally:
        assert time.process_time() - start < LONGEST_S


# --- any value at any place of something that is right

LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(
        [
            "../../x",
            "\x00",
            "\x1b[2J",
            "<b>",
            "=1+1",
            "1e999",
            "NaN",
            "http://127.0.0.1:9/",
            "file:///etc/passwd",
        ]
    ),
)
ANYTHING = st.recursive(
    LEAVES,
    lambda x: st.lists(x, max_size=4) | st.dictionaries(st.text(max_size=8), x, max_size=4),
    max_leaves=8,
)


def places_in(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a nested value."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(p for key, child in inside for p in places_in(child, (*path, key)))]


def with_value(whole: Any, path: tuple[Any, ...], value: Any) -> Any:
    """A copy with another value at one place."""
    if not path:
        return value
    result = copy.deepcopy(whole)
    here = result
    for key in path[:-1]:
        here = here[key]
    here[path[-1]] = value
    return result


@st.composite
def spoiled(draw: st.DrawFn, whole: Any) -> Any:
    """What is right, with one to three places replaced by anything, removed or renamed."""
    for _ in range(draw(st.integers(1, 3))):
        places = places_in(whole)
        path = places[draw(st.integers(0, len(places) - 1))]
        whole = with_value(whole, path, draw(ANYTHING))
    return whole


CONFIG: dict[str, Any] = {
    "area": {"name": "Here", "bbox": [24.93, 60.16, 24.96, 60.18], "resolution": 10},
    "source": {"osm": "x.osm.pbf", "sha256": "0" * 64},
    "network": {
        "walk": {"speed_kmh": 5.0}, "bike": {"max_lts": 3}, "street30": {"major": {"names": ["A"]}},
    },
    "opportunities": {
        "shops": {"osm": {"shop": ["bakery"]}, "min_area_ha": 0.1, "weight": 2},
        "sorting": {
            "osm": {}, "file": "a.csv", "group_by": ["id"], "where": {"open": ["yes"]}, "exclude": {"id": ["9"]},
            "streams": "glass",
        },
    },
    "population": {"grid": "p.gpkg", "column": "n", "keep": ["poor"]},
    "scoring": {"taxonomy": "card", "cutoff_min": 15, "weights": {"green": 2}},
    "sites": {"trees": {"count": 3, "spacing_m": 8, "existing": {"file": "t.csv", "id": "t"}}},
}  # fmt: skip


@fuzzed
@given(tables=spoiled(CONFIG))
def test_configurations(tables: Any) -> None:
    config = survives(lambda: parse_config(tables)) if isinstance(tables, dict) else None
    if config is not None:
        assert survives(lambda: parse_config(config.model_dump(exclude_unset=True))).digest == config.digest


TEXTS = st.one_of(
    st.binary(max_size=200),
    st.text(max_size=200).map(lambda t: t.encode("utf-8", "surrogatepass")),
    st.integers(1, 50_000).map(lambda n: b"a=" + b"[" * n),
)
OVERRIDES = st.text(max_size=40) | st.sampled_from(
    ["a.b=[", "area.name=x\ny", "=", "a.b.c.d=1", "area={}", "area.bbox.x=1", "area.name=" + "[" * 9000]
)


@fuzzed
@given(text=TEXTS, override=OVERRIDES, suffix=st.sampled_from([".toml", ".json"]))
def test_configuration_files(text: bytes, override: str, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"any{suffix}"
    path.write_bytes(text)
    survives(lambda: load_config(path))
    path.write_text('[area]\nname = "x"\n[source]\nosm = "x"\n', "utf-8")
    if suffix == ".toml":
        survives(lambda: load_config(path, overrides=[override]))


POINT = {"type": "Point", "coordinates": [24.94, 60.17]}
LINE = {"type": "LineString", "coordinates": [[24.94, 60.17], [24.95, 60.18]]}
RING = {"type": "Polygon", "coordinates": [[[24.94, 60.17], [24.95, 60.17], [24.95, 60.18], [24.94, 60.17]]]}
PROPOSAL: dict[str, Any] = {
    "type": "FeatureCollection",
    "name": "A school",
    "phases": ["one", "two"],
    "features": [
        {"type": "Feature", "geometry": geometry, "properties": {"edit": kind, "cost_eur": 5, "phase": 1, **properties}}
        for kind, geometry, properties in (
            ("add_amenity", POINT, {"category": "schools", "capacity": 20, "name": "A"}),
            ("add_amenity", RING, {"category": "green", "entrances": [[24.94, 60.17]]}),
            ("remove_amenity", RING, {"category": "schools"}),
            ("resize_amenity", None, {"id": "node/1", "capacity": 3}),
            ("open_schoolyard", POINT, {"school_category": "schools"}),
            ("add_street", LINE, {"modes": ["walk"], "speed_kmh": 5, "oneway": True, "lts": 1, "connect": "all"}),
            ("remove_street", None, {"osm_way": [1, 2], "modes": ["street30"]}),
            ("change_street", LINE, {"max_speed_kmh": 30, "direction": "forward", "cycleway": "lane", "width_m": 2}),
            ("speed_area", RING, {"max_speed_kmh": 30, "keep_highway": ["primary"], "calms": True, "phase": 2}),
        )
    ],
}  # fmt: skip


@fuzzed
@given(value=spoiled(PROPOSAL))
def test_proposals(value: Any) -> None:
    proposal = survives(lambda: parse_proposal(value))
    if proposal is not None:
        assert isinstance(proposal.name, str)
        assert proposal.cost_eur is None or np.isfinite(proposal.cost_eur)


# --- OSM files


TOWN = osm_xml(
    "\nA--B--C\n|  |  |\nD--E--F\n",
    [
        ("ABC", {"highway": "residential", "name": "<script>"}),
        ("DEF", {"highway": "footway"}),
        ("AD", {"highway": "steps"}),
        ("BE", {"highway": "primary", "maxspeed": "1e99"}),
        ("ABEDA", {"leisure": "park"}),
    ],
    nodes={"A": {"amenity": "school", "name": "=1+1"}},
).encode()
KEEP = {"amenity": None, "leisure": None}


@fuzzed
@given(changes=st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=12)), max_size=5), keep=st.floats(0, 1),
       whole=st.booleans())  # fmt: skip
def test_osm_xml(changes: list[tuple[float, bytes]], keep: float, whole: bool, tmp_path: Path) -> None:
    data = bytearray(TOWN)
    for where, new in changes:
        at = int(where * len(data))
        data[at : at + len(new)] = new
    path = tmp_path / "any.osm"
    path.write_bytes(data if whole else data[: int(keep * len(data))])
    extract = survives(lambda: read_osm(path, keep=KEEP))
    if extract is not None:
        assert np.isfinite(extract.features.geometry.bounds.to_numpy()).all()


def blocks_of(data: bytes) -> list[tuple[bytes, bytes]]:
    """Kind and uncompressed content of each block of a PBF file whose blocks are packed by zlib."""
    from pipelines.sources.osm_pbf import _blocks

    return [(kind.encode(), bytes(content)) for _, kind, content in _blocks(io.BytesIO(data), Path("x"))]


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def framed(kind: bytes, content: bytes, *, stated: int | None = None, size: int | None = None) -> bytes:
    """A block as a file holds it; by option it lies about its size unpacked, or packed."""
    packed = zlib.compress(content)
    blob = (
        b"\x10" + varint(len(content) if stated is None else stated) + b"\x1a" + varint(len(packed)) + packed
    )
    header = b"\x0a" + varint(len(kind)) + kind + b"\x18" + varint(len(blob) if size is None else size)
    return struct.pack(">I", len(header)) + header + blob


@pytest.fixture(scope="module")
def pbf(shared_data: Path) -> bytes:
    return (shared_data / "osm" / "paris_bss.osm.pbf").read_bytes()


@fuzzed
@given(seed=st.integers(0, 2**32))
def test_osm_pbf_with_hostile_blocks(seed: int, pbf: bytes, tmp_path: Path) -> None:
    draw = random.Random(seed)
    blocks = blocks_of(pbf)
    n = draw.randrange(len(blocks))
    kind, content = blocks[n]
    hurt = bytearray(content[: draw.randint(1, len(content))] if draw.random() < 0.5 else content)
    for _ in range(draw.randint(0, 6)):
        hurt[draw.randrange(min(len(hurt), 3000))] = draw.randrange(256)
    parts = [framed(kind, bytes(hurt)) if i == n else framed(*block) for i, block in enumerate(blocks)]
    if draw.random() < 0.3:
        draw.shuffle(parts)
    path = tmp_path / "any.osm.pbf"
    path.write_bytes(b"".join(parts))
    extract = survives(lambda: read_osm(path, keep=KEEP))
    if extract is not None:
        assert np.isfinite(extract.lon).all()
        assert np.isfinite(extract.lat).all()


def test_a_pbf_cut_at_and_round_every_block_boundary(pbf: bytes, tmp_path: Path) -> None:
    """A cut inside a block is always noticed; one between blocks leaves a file that is whole for all that it says."""
    blocks = blocks_of(pbf)
    parts = [framed(*b) for b in blocks]
    ends = np.cumsum([len(p) for p in parts])
    whole = b"".join(parts)
    path = tmp_path / "cut.osm.pbf"
    for end in ends[:-1]:
        for shift in (-1, 1, 3, 4, 5):
            path.write_bytes(whole[: end + shift])
            assert survives(lambda: read_osm(path)) is None, f"cut at {end}{shift:+}"
        path.write_bytes(whole[:end])
        survives(lambda: read_osm(path))
    path.write_bytes(whole)
    assert survives(lambda: read_osm(path)) is not None


@pytest.mark.parametrize("amount", [10 << 30, (1 << 31) - 1, (1 << 63) - 1, 33 << 20])
def test_a_declared_size_of_gigabytes_costs_nothing(pbf: bytes, tmp_path: Path, amount: int) -> None:
    from pipelines.memory import peak_of

    (kind, header), (data_kind, content) = blocks_of(pbf)[:2]
    head = framed(kind, header)
    for block in (
        framed(data_kind, content, stated=amount),
        framed(data_kind, content, size=amount),
        struct.pack(">I", min(amount, 2**32 - 1)) + b"\x0a\x07OSMData",
    ):
        path = tmp_path / "giant.osm.pbf"
        path.write_bytes(head + block)
        with peak_of() as before:
            pass
        with peak_of() as peak:
            assert survives(lambda path=path: read_osm(path)) is None
        assert peak.mb < before.mb + 120, "nothing of that size was set aside"


def test_an_entity_bomb_in_osm_xml_is_refused(tmp_path: Path) -> None:
    entities = "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 10))
    external = '<!ENTITY x SYSTEM "file:///etc/hostname">'
    for declared, used in ((f'<!ENTITY a0 "ha">{entities}', "&a9;"), (external, "&x;")):
        path = tmp_path / "bomb.osm"
        path.write_text(
            f'<?xml version="1.0"?><!DOCTYPE osm [{declared}]><osm version="0.6">'
            f'<node id="1" version="1" lon="1" lat="1"><tag k="name" v="{used}"/></node></osm>'
        )
        assert survives(lambda path=path: read_osm(path, keep={"name": None})) is None


@pytest.mark.parametrize("suffix", ["gz", "bz2"])
def test_a_packed_osm_file_that_unfolds_without_end_is_bounded(tmp_path: Path, suffix: str) -> None:
    import bz2
    import gzip

    node = b'<node id="1" version="1" lon="1" lat="1"/>'
    text = b'<osm version="0.6">' + node + b" " * (256 << 20) + b"</osm>"
    path = tmp_path / f"bomb.osm.{suffix}"
    path.write_bytes({"gz": gzip, "bz2": bz2}[suffix].compress(text))
    from pipelines.memory import peak_of

    del text
    with peak_of() as before:
        pass
    with peak_of() as peak:
        survives(lambda: read_osm(path))
    assert peak.mb < before.mb + 400


# --- what other people's caches and run directories hold

MANIFEST_OF_A_RUN: dict[str, Any] = {
    "product": "proche", "modes": ["walk"], "categories": ["shops"], "base": "/",
    "config": {"area": {"name": "x", "bbox": [1, 2, 3, 4]}, "source": {"osm": "x"}},
    "outputs": {"cells.parquet": {"sha256": "0" * 64, "size": 4}},
}  # fmt: skip


def test_what_is_spoiled_was_right(tmp_path: Path) -> None:
    """Else every draw would end at the same first error."""
    assert len(parse_proposal(PROPOSAL).edits) == 9
    assert parse_config(CONFIG).area.name == "Here"
    (tmp_path / MANIFEST).write_text(json.dumps(MANIFEST_OF_A_RUN), "utf-8")
    assert RunDirectory.open(tmp_path).modes
    assert load_config(tmp_path / MANIFEST).area.name == "x"


@fuzzed
@given(value=spoiled(MANIFEST_OF_A_RUN))
def test_manifests(value: Any, tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_text(json.dumps(value), "utf-8")
    (tmp_path / "cells.parquet").write_bytes(b"PAR1")

    def opened() -> RunDirectory:
        run = RunDirectory.open(tmp_path)
        check(tmp_path)
        _ = run.name, run.modes, run.categories
        return run

    survives(opened)
    survives(lambda: load_config(tmp_path / MANIFEST))


@fuzzed
@given(data=st.data())
def test_records_of_the_cache(data: st.DataObject, tmp_path: Path) -> None:
    def build(folder: Path) -> dict[str, Any]:
        (folder / "a.txt").write_text("a")
        return {"n": 1}

    store = Store(tmp_path)
    artifact, _ = store.make("step", "k" * 40, build, force=True)
    record = json.loads((artifact.path / RECORD).read_text())
    record["cost"] = {"seconds": 1.0, "peak_mb": 1.0}  # the draw must not hang on the clock
    (artifact.path / RECORD).write_text(json.dumps(data.draw(spoiled(record))), "utf-8")
    found = survives(lambda: store.find("step", "k" * 40))
    assert found is None or isinstance(found.info, dict)
    download = tmp_path / "http" / "x"
    download.mkdir(parents=True, exist_ok=True)
    (download / "a.csv").write_bytes(b"a")
    known = {"name": "a.csv", "sha256": "0", "md5": "0", "size": 1, "url": "http://x", "etag": None,
             "last_modified": None, "fetched_at": "2026-01-01T00:00:00+00:00", "revalidated": True,
             "note": ""}  # fmt: skip
    (download / "record.json").write_text(json.dumps(data.draw(spoiled(known))), "utf-8")
    survives(lambda: check_copy(download))
    survives(lambda: read_record(download))
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("name", fuzz_atheris.NAMES)
def test_what_coverage_leads_reads_its_seeds(name: str, tmp_path: Path) -> None:
    seeds, read = fuzz_atheris.reader(name, tmp_path)
    assert survives(lambda: read(seeds[0])) is not None
    survives(lambda: read(seeds[0][:-9]))
