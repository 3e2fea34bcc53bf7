"""Reading OSM files: every format agrees with libosmium, and no broken file passes for a whole one."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import osmium
import pytest
import shapely

from engine.network.build import build_network
from engine.network.profile import ModeProfile
from pipelines.errors import SourceError
from pipelines.sources.osm_file import detect_format, read_osm, read_raw
from pipelines.sources.osm_pbf_decode import decode_block
from tests.osm_town import DEGREE_M, osm_xml

REAL = (
    "helsinki_centre_2019.osm.pbf",
    "krems_2013.osm.gz",
    "monaco_2021.osm.pbf",
    "paris_bss.osm.pbf",
    "paris_eiffel_walk_20231004.osm.pbf",
)

#   A---B
#   |   |     A–B–D–C–A a park; AB a street with a shop at B
#   C---D
TOWN = "AB\nCD"
WAYS = [("AB", {"highway": "residential", "name": "Rue d'Été"}), ("ABDCA", {"leisure": "park"})]
NODES = {"B": {"shop": "bakery", "name": "Bäcker “Ö”"}}


@pytest.fixture
def town(tmp_path: Path) -> Path:
    path = tmp_path / "town.osm"
    path.write_text(osm_xml(TOWN, WAYS, nodes=NODES), encoding="utf-8")
    return path


def converted(path: Path, target: Path, file_format: str = "") -> Path:
    """Let libosmium write a file in another format."""
    with osmium.SimpleWriter(osmium.io.File(str(target), file_format)) as writer:
        osmium.apply(osmium.io.Reader(str(path)), writer)
    return target


# --- agreement with libosmium -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", REAL)
def test_every_object_agrees_with_libosmium(shared_data: Path, name: str) -> None:
    path = shared_data / "osm" / name
    raw = read_raw(path)
    node = way = relation = 0
    node_tags, way_tags, relation_tags = (
        table.dicts(np.arange(n))
        for table, n in (
            (raw.node_tags, len(raw.node_id)),
            (raw.way_tags, len(raw.way_id)),
            (raw.relation_tags, len(raw.relation_id)),
        )
    )
    for obj in osmium.FileProcessor(str(path)):
        tags = dict(obj.tags)
        if obj.is_node():
            assert (raw.node_id[node], raw.node_x[node], raw.node_y[node]) == (
                obj.id,
                obj.location.x,
                obj.location.y,
            )
            assert node_tags[node] == tags
            node += 1
        elif obj.is_way():
            refs = raw.way_refs[raw.way_offsets[way] : raw.way_offsets[way + 1]]
            assert raw.way_id[way] == obj.id
            assert refs.tolist() == [n.ref for n in obj.nodes]
            assert way_tags[way] == tags
            way += 1
        else:
            span = slice(raw.member_offsets[relation], raw.member_offsets[relation + 1])
            found = zip(raw.member_kind[span], raw.member_ref[span], raw.member_role[span], strict=True)
            assert raw.relation_id[relation] == obj.id
            assert [("nwr"[k], int(r), raw.texts[t]) for k, r, t in found] == [
                (m.type, m.ref, m.role) for m in obj.members
            ]
            assert relation_tags[relation] == tags
            relation += 1
    assert (node, way, relation) == (len(raw.node_id), len(raw.way_id), len(raw.relation_id))


@pytest.mark.parametrize(
    ("suffix", "file_format"),
    [
        ("osm.pbf", "pbf"),
        ("osm.pbf", "pbf,pbf_compression=none"),
        ("osm.pbf", "pbf,pbf_dense_nodes=false"),
        ("osm.pbf", "pbf,pbf_compression=lz4"),
        ("osm.gz", ""),
        ("osm.bz2", ""),
        ("osm", ""),
    ],
)
def test_formats_agree(tmp_path: Path, town: Path, suffix: str, file_format: str) -> None:
    path = converted(town, tmp_path / f"again.{suffix}", file_format)
    one, two = (read_osm(p, keep={"leisure": None, "shop": None}) for p in (town, path))
    np.testing.assert_array_equal(one.node_id, two.node_id)
    np.testing.assert_array_equal(one.lon, two.lon)
    assert one.ways["name"].tolist() == two.ways["name"].tolist() == ["Rue d'Été"]
    assert one.features["tags"].tolist() == two.features["tags"].tolist()
    assert (one.features.geometry == two.features.geometry).all()


@pytest.mark.parametrize("name", REAL)
def test_columns_agree_with_the_tags(shared_data: Path, name: str) -> None:
    path = shared_data / "osm" / name
    extract, raw = read_osm(path), read_raw(path)
    plain = extract.ways[extract.ways["area_of"] == 0]
    tags = raw.way_tags.dicts(np.searchsorted(raw.way_id, plain["way_id"]))
    for key in plain.columns[2:]:
        assert [t.get(key, "") for t in tags] == plain[key].astype("str").fillna("").tolist(), key
    rings = extract.ways[extract.ways["area_of"] > 0]
    assert (rings["area"] == "yes").all()
    node = extract.node_tags
    tags = raw.node_tags.dicts(np.searchsorted(raw.node_id, node.index))
    for key in node.columns:
        assert [t.get(key, "") for t in tags] == node[key].astype("str").fillna("").tolist(), key


def test_the_content_decides_not_the_name(tmp_path: Path, town: Path) -> None:
    disguised = tmp_path / "town.osm.pbf"
    disguised.write_bytes(gzip.compress(town.read_bytes()))
    assert detect_format(disguised) == "osm.gz"
    assert len(read_osm(disguised).ways) == 1


def test_reading_is_deterministic(shared_data: Path) -> None:
    path = shared_data / "osm" / "helsinki_centre_2019.osm.pbf"
    one, two = (read_osm(path, keep={"amenity": None, "leisure": ("park",)}) for _ in range(2))
    assert one.features.to_json() == two.features.to_json()
    assert one.ways.equals(two.ways)
    assert one.info == two.info


def test_header_facts(shared_data: Path) -> None:
    monaco = read_osm(shared_data / "osm" / "monaco_2021.osm.pbf").info
    assert monaco.timestamp == "2021-04-21T20:21:46Z"
    assert monaco.bbox == pytest.approx((7.409205, 43.72335, 7.448637, 43.75169))
    assert monaco.counts["nodes"] == 25_423
    helsinki = read_osm(shared_data / "osm" / "helsinki_centre_2019.osm.pbf").info
    assert helsinki.timestamp is None
    krems = read_osm(shared_data / "osm" / "krems_2013.osm.gz").info
    assert krems.bbox == pytest.approx((15.599556, 48.3874372, 15.6711388, 48.4141629))


# --- features ---------------------------------------------------------------------------------------------


def test_features_of_every_kind(tmp_path: Path) -> None:
    #   A-----B      park A–B–D–C with a pond 1–2–4–3 cut out; the outer ring in two ways, one drawn backwards
    #   | 1 2 |      E a shop, F–G a row of trees, A–B–E–A a closed street, not an area
    #   | 3 4 |
    #   C-----D E
    drawing = "A....B.\n..12..F\n..34..G\nC....DE"
    ways = [
        ("ABD", {}),
        ("ACD", {}),
        ("12431", {"natural": "water"}),
        ("FG", {"natural": "tree_row"}),
        ("ABEA", {"highway": "service", "leisure": "track"}),
        ("BFGB", {"highway": "service", "barrier": "fence"}),
        ("EGDE", {"amenity": "school"}),
    ]
    park = (
        {"type": "multipolygon", "leisure": "park", "name": "P"},
        [("way", 1, "outer"), ("way", 2, ""), ("way", 3, "inner")],
    )
    path = tmp_path / "town.osm"
    nodes = {"E": {"shop": "bakery;pastry"}}
    path.write_text(osm_xml(drawing, ways, nodes=nodes, relations=[park], cell_m=10), encoding="utf-8")
    keep = {
        "shop": ("pastry",),
        "leisure": None,
        "natural": ("water", "tree_row"),
        "amenity": ("school",),
        "barrier": None,
    }
    features = read_osm(path, keep=keep).features.set_index("id")
    kinds = {i: g.geom_type for i, g in features.geometry.items()}
    assert kinds == {
        f"node/{ord('E')}": "Point",
        "way/3": "Polygon",
        "way/4": "LineString",
        "way/5": "Polygon",
        "way/6": "LineString",
        "way/7": "Polygon",
        "relation/101": "Polygon",
    }
    area = shapely.area(features.geometry["relation/101"]) * DEGREE_M**2
    assert area == pytest.approx(50 * 30 - 10 * 10, rel=1e-3)
    assert features.loc["relation/101", "tags"] == {"type": "multipolygon", "leisure": "park", "name": "P"}
    assert type(features.loc["way/4", "tags"]) is dict
    assert features.crs == "EPSG:4326"


def test_bounds_keep_what_touches_the_box(tmp_path: Path) -> None:
    #   A--B--C--D--E
    path = tmp_path / "line.osm"
    street = {"highway": "residential"}
    nodes = {"A": {"shop": "x"}, "C": {"shop": "x"}}
    ways = [
        ("AB", street),
        ("BC", street),
        ("CD", street),
        ("DE", street),
        ("AE", street),
        ("BPDB", {"leisure": "park"}),
    ]
    path.write_text(osm_xml("....P....\nA.B.C.D.E", ways, nodes=nodes), encoding="utf-8")
    x = 400 / DEGREE_M
    extract = read_osm(path, keep={"shop": None, "leisure": None}, bounds=(x - 1e-4, -0.01, x + 1e-4, 0.01))
    assert extract.ways["way_id"].tolist() == [2, 3, 5]  # way 5 crosses the box without a node in it
    assert extract.features["id"].tolist() == [f"node/{ord('C')}", "way/6"]
    assert len(read_osm(path, bounds=(10, 10, 11, 11)).ways) == 0


def test_nothing_is_kept_unless_asked(town: Path) -> None:
    features = read_osm(town).features
    assert len(features) == 0 and list(features.columns) == ["id", "tags", "edited", "geometry"]


DATED = """<?xml version="1.0"?><osm version="0.6">
<node id="1" version="1" timestamp="2019-04-21T09:50:14Z" lon="0" lat="0"><tag k="shop" v="bakery"/></node>
<node id="2" version="1" timestamp="1969-01-01T00:00:00Z" lon="0" lat="0.001"><tag k="shop" v="x"/></node>
<node id="3" version="1" lon="0.001" lat="0.001"><tag k="shop" v="y"/></node>
<way id="4" version="2" timestamp="2012-02-29T23:59:59Z"><nd ref="1"/><nd ref="2"/><nd ref="3"/><nd ref="1"/>
<tag k="shop" v="mall"/></way>
<relation id="5" version="1" timestamp="2023-12-31T00:00:00Z"><member type="way" ref="4" role="outer"/>
<tag k="type" v="multipolygon"/><tag k="shop" v="mall"/></relation></osm>"""


@pytest.mark.parametrize("options", [None, "pbf", "pbf,pbf_dense_nodes=false", "pbf,add_metadata=timestamp"])
def test_the_day_of_the_last_edit_of_every_kind_of_object(tmp_path: Path, options: str | None) -> None:
    path = tmp_path / "dated.osm"
    path.write_text(DATED, encoding="utf-8")
    if options is not None:
        packed = tmp_path / "dated.osm.pbf"
        with osmium.SimpleWriter(osmium.io.File(str(packed), options)) as writer:
            osmium.apply(str(path), writer)
        path = packed
    features = read_osm(path, keep={"shop": None}).features
    days = np.datetime_as_string(features["edited"].to_numpy().astype("datetime64[D]"))
    assert days.tolist() == ["2019-04-21", "1970-01-01", "1970-01-01", "2012-02-29", "2023-12-31"]


# --- bad input --------------------------------------------------------------------------------------------


@pytest.fixture
def pbf(tmp_path: Path, shared_data: Path) -> bytes:
    return (shared_data / "osm" / "paris_bss.osm.pbf").read_bytes()


def refused(path: Path, content: bytes, *, match: str) -> None:
    path.write_bytes(content)
    with pytest.raises(SourceError, match=match) as caught:
        read_osm(path)
    assert path.name in str(caught.value)
    assert any(word in str(caught.value) for word in ("fetch", "run", "rewrite", "expected"))


@pytest.mark.parametrize("share", [0.999, 0.9, 0.5, 0.1, 0.01])
def test_a_truncated_pbf_never_passes(tmp_path: Path, pbf: bytes, share: float) -> None:
    refused(tmp_path / "cut.osm.pbf", pbf[: int(len(pbf) * share)], match="cut short")


def test_a_pbf_cut_between_blocks_only_lacks_its_end(tmp_path: Path, pbf: bytes) -> None:
    # nothing in the format says where a file should end: the header alone is a whole, empty file
    size = int.from_bytes(pbf[:4], "big")
    path = tmp_path / "head.osm.pbf"
    header_end = 4 + size + osm_blob_size(pbf[4 : 4 + size])
    path.write_bytes(pbf[:header_end])
    with pytest.raises(SourceError, match="no node, way or relation"):
        read_osm(path)


def osm_blob_size(header: bytes) -> int:
    at = header.index(b"\x18") + 1
    value = shift = 0
    while True:
        value |= (header[at] & 127) << shift
        if header[at] < 128:
            return value
        at, shift = at + 1, shift + 7


def test_truncated_xml_never_passes(tmp_path: Path, town: Path) -> None:
    text = town.read_bytes()
    refused(tmp_path / "cut.osm", text[: len(text) // 2], match="damaged or cut short")
    refused(tmp_path / "cut.osm.gz", gzip.compress(text)[:-12], match="damaged or cut short")
    refused(tmp_path / "cut.osm.bz2", bz2.compress(text)[:-12], match="damaged or cut short")


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("empty.osm.pbf", b"", "is empty"),
        ("empty.osm", b"", "is empty"),
        ("blank.osm", b" \n\t\n", "no OSM file"),
        ("empty.osm.gz", gzip.compress(b"", mtime=0), "damaged or cut short"),
        ("empty.osm.bz2", bz2.compress(b""), "damaged or cut short"),
        ("zeros.osm.pbf", bytes(4096), "no OSM file"),
        ("text.osm", b"hello", "no OSM file"),
        ("page.osm.pbf", b"<!DOCTYPE html><html><body>404</body></html>", "no OSM file"),
        ("page.osm", b"<?xml version='1.0'?><html xmlns='x'></html>", "no OSM file"),
        ("photo.osm.pbf", b"\xff\xd8\xff\xe0" + bytes(100), "no OSM file"),
        ("archive.osm", b"PK\x03\x04" + bytes(100), "no OSM file"),
        ("data.osm", b'{"version": 0.6, "elements": []}', "no OSM file"),
        ("none.osm", b"<?xml version='1.0'?><osm version='0.6'></osm>", "no node, way or relation"),
        ("change.osm", b"<?xml version='1.0'?><osmChange version='0.6'></osmChange>", "change file"),
        ("gz.osm.gz", b"\x1f\x8b" + bytes(100), "damaged or cut short"),
        (
            "coordinates.osm",
            b"<osm version='0.6'><node id='1' version='1' lon='NaN' lat='1'/></osm>",
            "damaged",
        ),
        (
            "bomb.osm",
            b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>'
            b'<osm version="0.6"><node id="1" version="1" lon="0" lat="0"><tag k="a" v="&b;"/></node></osm>',
            "damaged",
        ),
    ],
)
def test_what_is_no_osm_file_is_refused(tmp_path: Path, name: str, content: bytes, match: str) -> None:
    refused(tmp_path / name, content, match=match)


def test_a_pbf_of_a_header_alone_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "none.osm.pbf"
    osmium.SimpleWriter(str(path)).close()
    refused(path, path.read_bytes(), match="no node, way or relation")


def test_absent_files_and_folders(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere.osm.pbf", tmp_path):
        with pytest.raises(SourceError, match="cannot be opened"):
            read_osm(path)


def test_flipped_bytes_never_pass_unseen_or_crash(tmp_path: Path, pbf: bytes) -> None:
    rng = np.random.default_rng(3)
    whole = len(pbf)
    path = tmp_path / "flipped.osm.pbf"
    for _ in range(60):
        damaged = bytearray(pbf)
        damaged[rng.integers(40, whole)] ^= int(rng.integers(1, 256))
        path.write_bytes(bytes(damaged))
        with pytest.raises(SourceError):  # zlib's checksum notices every one inside a block
            read_osm(path)


def test_hostile_blocks_raise_and_never_read_elsewhere(shared_data: Path) -> None:
    rng = np.random.default_rng(5)
    block = bytearray(uncompressed_blocks(shared_data / "osm" / "paris_bss.osm.pbf")[0])
    for trial in range(400):
        hurt = bytearray(block[: rng.integers(1, len(block))] if trial % 2 else block)
        for _ in range(rng.integers(1, 8)):
            hurt[rng.integers(0, min(len(hurt), 4000))] = int(rng.integers(0, 256))
        try:
            found = decode_block(bytes(hurt))
        except ValueError:
            continue
        assert len(found.node_id) <= len(hurt)
    for junk in (
        b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
        b"\x0a\x80",
        b"\x12\x04\x12\x02\x0a\x7f",
        b"\x07",
        b"\x0b",
    ):
        with pytest.raises(ValueError, match=r"message|field|list"):
            decode_block(junk)


def uncompressed_blocks(path: Path) -> list[bytes]:
    from pipelines.sources.osm_pbf import _blocks

    with path.open("rb") as file:
        return [data for _, kind, data in _blocks(file, path) if kind == "OSMData"]


def test_a_block_may_not_lie_about_its_size(tmp_path: Path, pbf: bytes) -> None:
    # a bomb: 100 MB of zeros compressed to 100 kB, in a block that states any size
    packed = zlib.compress(bytes(100_000_000), 9)
    blob = b"\x10" + varint(1000) + b"\x1a" + varint(len(packed)) + packed
    header = b"\x0a\x07OSMData\x18" + varint(len(blob))
    start = len(header).to_bytes(4, "big") + header + blob
    size = int.from_bytes(pbf[:4], "big")
    whole_header = pbf[: 4 + size + osm_blob_size(pbf[4 : 4 + size])]
    refused(tmp_path / "bomb.osm.pbf", whole_header + start, match="size that it states")


def test_lzma_blocks_are_read(tmp_path: Path, pbf: bytes) -> None:
    block = uncompressed_blocks_of(pbf, tmp_path)[0]
    packed = lzma.compress(block, format=lzma.FORMAT_ALONE)
    blob = b"\x10" + varint(len(block)) + b"\x22" + varint(len(packed)) + packed
    header = b"\x0a\x07OSMData\x18" + varint(len(blob))
    size = int.from_bytes(pbf[:4], "big")
    whole_header = pbf[: 4 + size + osm_blob_size(pbf[4 : 4 + size])]
    path = tmp_path / "lzma.osm.pbf"
    path.write_bytes(whole_header + len(header).to_bytes(4, "big") + header + blob)
    assert len(read_raw(path).node_id) == len(decode_block(block).node_id)


def uncompressed_blocks_of(data: bytes, folder: Path) -> list[bytes]:
    path = folder / "whole.osm.pbf"
    path.write_bytes(data)
    return uncompressed_blocks(path)


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def test_history_files_are_refused(tmp_path: Path) -> None:
    text = (
        '<osm version="0.6"><node id="1" version="1" visible="true" lon="1" lat="1"/>'
        '<node id="1" version="2" visible="false"/></osm>'
    )
    source = tmp_path / "history.osh"
    source.write_text(text)
    pbf = converted(source, tmp_path / "history.osh.pbf", "osh.pbf")
    with pytest.raises(SourceError, match="time-filter"):
        read_osm(pbf)


@pytest.mark.parametrize("mark", ['visible="false"', "action='delete'"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress], ids=["osm", "gz", "bz2"])
def test_deleted_objects_do_not_come_to_life(
    tmp_path: Path, mark: str, pack: Callable[[bytes], bytes]
) -> None:
    text = f'<osm version="0.6"><node id="1" lon="1" lat="1"/><node id="2" {mark} lon="1" lat="1"/></osm>'
    (tmp_path / "edited.osm").write_bytes(pack(text.encode()))
    with pytest.raises(SourceError, match=r"deleted objects .*time-filter"):
        read_osm(tmp_path / "edited.osm")
    (tmp_path / "plain.osm").write_bytes(pack(text.replace(mark, 'visible="true"').encode()))
    assert read_osm(tmp_path / "plain.osm").info.counts["nodes"] == 2


def test_locations_on_ways_are_refused_with_a_remedy(tmp_path: Path, town: Path) -> None:
    target = tmp_path / "low.osm.pbf"
    with osmium.SimpleWriter(osmium.io.File(str(target), "pbf,locations_on_ways=true")) as writer:
        locations = osmium.NodeLocationsForWays(osmium.index.create_map("flex_mem"))
        ways_only = osmium.filter.EntityFilter(osmium.osm.WAY)
        osmium.apply(osmium.io.Reader(str(town)), locations, ways_only, writer)
    with pytest.raises(SourceError, match="add-locations-to-ways"):
        read_osm(target)


# --- repairs ----------------------------------------------------------------------------------------------


def xml(tmp_path: Path, body: str) -> Path:
    path = tmp_path / "odd.osm"
    path.write_text(f'<osm version="0.6">{body}</osm>', encoding="utf-8")
    return path


def node(i: int, x: float, y: float = 0.0, version: int = 1) -> str:
    return f'<node id="{i}" version="{version}" lon="{x}" lat="{y}"/>'


def way(i: int, refs: list[int], version: int = 1) -> str:
    inside = "".join(f'<nd ref="{r}"/>' for r in refs)
    return f'<way id="{i}" version="{version}">{inside}<tag k="highway" v="residential"/></way>'


def test_a_missing_node_cuts_the_way_and_is_counted(tmp_path: Path) -> None:
    body = "".join(node(i, i / 1000) for i in (1, 2, 4, 5)) + way(1, [1, 2, 3, 4, 5]) + way(2, [9, 1, 8])
    extract = read_osm(xml(tmp_path, body))
    assert extract.info.repairs["missing_nodes"] == 3
    assert extract.info.repairs["ways_cut_at_missing_nodes"] == 1
    assert extract.ways["way_id"].tolist() == [1, 1]  # never a straight line over the gap
    assert np.diff(extract.way_offsets).tolist() == [2, 2]


def test_repeated_nodes_and_objects(tmp_path: Path) -> None:
    body = (
        node(1, 0)
        + node(2, 0.5)
        + node(2, 0.001, version=2)
        + way(1, [1, 2, 2])
        + way(2, [1])
        + way(3, [1, 1])
    )
    extract = read_osm(xml(tmp_path, body))
    assert extract.info.repairs == {"duplicate_nodes": 1, "duplicate_refs": 2}
    assert extract.lon.tolist() == [0.0, 0.001]  # the later version counts
    assert extract.ways["way_id"].tolist() == [1]


def test_unsorted_files_read_the_same(tmp_path: Path) -> None:
    parts = [node(3, 0.003), node(1, 0.001), node(2, 0.002), way(7, [1, 2]), way(4, [2, 3])]
    straight = read_osm(xml(tmp_path, "".join([parts[1], parts[2], parts[0], parts[4], parts[3]])))
    mixed = read_osm(xml(tmp_path, "".join(parts)))
    np.testing.assert_array_equal(straight.node_id, mixed.node_id)
    np.testing.assert_array_equal(straight.way_refs, mixed.way_refs)
    assert straight.ways.equals(mixed.ways)


def test_negative_ids_are_read_and_copies_stay_below_them(tmp_path: Path) -> None:
    body = (
        node(-2, 0.001)
        + '<node id="-1" version="1" lon="0.002" lat="0"><tag k="barrier" v="wall"/></node>'
        + node(5, 0.003)
        + node(6, 0.002, 0.001)
        + way(-1, [-2, -1, 5])
        + way(1, [-2, 6, 5])
    )
    network = build_network(read_osm(xml(tmp_path, body)), ModeProfile.default("walk"))
    ids = network.node_id.tolist()
    assert len(set(ids)) == len(ids)
    assert min(ids) < -2
    assert {-2, 5} <= set(ids) or len(ids) >= 2


def test_streets_across_the_antimeridian_keep_their_length(tmp_path: Path) -> None:
    body = node(1, 179.999, -16.8) + node(2, -179.999, -16.8) + node(3, 179.998, -16.8) + way(1, [3, 1, 2])
    network = build_network(read_osm(xml(tmp_path, body)), ModeProfile.default("walk"))
    assert network.length_m.sum() == pytest.approx(0.003 * DEGREE_M * np.cos(np.deg2rad(16.8)), rel=1e-6)


def test_huge_ids_cost_no_memory(tmp_path: Path) -> None:
    big = 9_000_000_000_000_000_000
    body = node(big, 0.001) + node(big + 1, 0.002) + way(big, [big, big + 1])
    extract = read_osm(xml(tmp_path, body))
    assert extract.node_id.tolist() == [big, big + 1]


def test_open_rings_are_counted(tmp_path: Path) -> None:
    body = (
        "".join(node(i, i / 1000, (i % 2) / 1000) for i in range(1, 5))
        + '<way id="1" version="1"><nd ref="1"/><nd ref="2"/><nd ref="3"/></way>'
        + '<relation id="1" version="1"><member type="way" ref="1" role="outer"/>'
        + '<member type="way" ref="2" role="outer"/><tag k="type" v="multipolygon"/>'
        + '<tag k="leisure" v="park"/></relation>'
    )
    extract = read_osm(xml(tmp_path, body), keep={"leisure": None})
    assert len(extract.features) == 0
    repairs = extract.info.repairs
    assert (repairs["open_rings"], repairs["missing_member_ways"], repairs["features_without_geometry"]) == (
        1,
        1,
        1,
    )
