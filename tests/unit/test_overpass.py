"""Overpass, asked through OSMnx for a quarter drawn by hand, on a server that is busy, tired or confused."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import osmnx
import pytest

from pipelines.errors import SourceError
from pipelines.sources.boundary import read_boundary
from pipelines.sources.overpass import fetch_overpass, overpass_file
from pipelines.sources.transfer import Patience
from tests.loopback import Fault, Loopback, free_port, serve
from tests.overpass_town import STAMP, STATUS_FULL, OverpassTown, remark, status

# The quarter, 0.002° wide. Way 12 leaves the box to the east; way 13 lies 1 km beyond it.
#
#     4 ─12──────────────── 9 → (outside)
#     │         ┌─20─┐
#    11         │park│   s (shop, node 7)
#     │         └────┘
#     1 ─10── 2 ─14(ferry)── 3
#
BOX = (2.3500, 48.8500, 2.3520, 48.8520)


def _node(number: int, lon: float, lat: float, **tags: str) -> dict[str, Any]:
    return {"type": "node", "id": number, "lon": lon, "lat": lat, **({"tags": tags} if tags else {})}


def _way(number: int, nodes: list[int], **tags: str) -> dict[str, Any]:
    return {"type": "way", "id": number, "nodes": nodes, "tags": tags}


def _quarter() -> list[dict[str, Any]]:
    return [
        _node(1, 2.3502, 48.8502),
        _node(2, 2.3510, 48.8502, barrier="gate", access="private"),
        _node(3, 2.3518, 48.8502),
        _node(4, 2.3502, 48.8518),
        _node(7, 2.3517, 48.8511, shop="bakery", name="Au pain doré"),
        _node(9, 2.3560, 48.8518),
        _node(21, 2.3508, 48.8508),
        _node(22, 2.3512, 48.8508),
        _node(23, 2.3512, 48.8512),
        _node(31, 2.3640, 48.8502),
        _node(32, 2.3650, 48.8502),
        _way(10, [1, 2], highway="residential", name="Rue d'en bas", oneway="yes"),
        _way(11, [1, 4], highway="footway"),
        _way(12, [4, 9], highway="primary", maxspeed="50"),
        _way(13, [31, 32], highway="residential"),
        _way(14, [2, 3], route="ferry"),
        _way(20, [21, 22, 23, 21], leisure="park", name="Petit parc"),
        {
            "type": "relation",
            "id": 40,
            "tags": {"type": "restriction", "restriction": "no_left_turn"},
            "members": [
                {"type": "way", "ref": 11, "role": "from"},
                {"type": "node", "ref": 4, "role": "via"},
                {"type": "way", "ref": 12, "role": "to"},
            ],
        },
    ]


KEEP = {"shop": {"bakery", "butcher"}, "leisure": None}


@pytest.fixture
def server() -> Iterator[Loopback]:
    with serve() as loopback:
        loopback.put("/api/status", status())
        loopback.put("/api/interpreter", OverpassTown(_quarter()))
        yield loopback


def get(server: Loopback, cache: Path, waits: list[float] | None = None, **options: Any) -> Any:
    patience = Patience(sleep=(waits if waits is not None else []).append, read_timeout_s=5, attempts=4)
    return fetch_overpass(
        BOX, keep=KEEP, url=server.url + "/api", cache_dir=cache, patience=patience, **options
    )


def test_a_quarter_becomes_an_extract(server: Loopback, tmp_path: Path) -> None:
    extract = get(server, tmp_path)
    assert extract.ways["way_id"].tolist() == [10, 11, 12, 14]
    assert extract.ways.set_index("way_id").loc[10, "name"] == "Rue d'en bas"
    assert extract.ways.set_index("way_id").loc[12, "maxspeed"] == "50"
    refs = extract.node_id[extract.way_refs[extract.way_offsets[2] : extract.way_offsets[3]]]
    assert refs.tolist() == [4, 9], "a way that touches the box is whole"
    assert extract.node_tags.loc[2, "barrier"] == "gate"
    assert extract.restrictions[["from_way", "via_node", "to_way"]].to_numpy().tolist() == [[11, 4, 12]]
    features = extract.features.set_index("id")
    assert features.index.tolist() == ["node/7", "way/20"]
    assert features.loc["node/7", "tags"]["name"] == "Au pain doré"
    assert features.loc["way/20", "geometry"].geom_type == "Polygon"
    assert extract.info.timestamp == STAMP
    assert extract.lon[extract.node_id == 9][0] == pytest.approx(2.3560, abs=1e-7)


def test_the_second_time_nothing_is_asked_and_the_bytes_are_the_same(
    server: Loopback, tmp_path: Path
) -> None:
    url = server.url + "/api"
    first = overpass_file(BOX, keep=KEEP, url=url, cache_dir=tmp_path / "a")
    asked = len(server.asked)
    assert overpass_file(BOX, keep=KEEP, url=url, cache_dir=tmp_path / "a") == first
    assert len(server.asked) == asked
    assert overpass_file(BOX, keep=KEEP, url=url, cache_dir=tmp_path / "b").sha256 == first.sha256


def test_the_request_is_polite(server: Loopback, tmp_path: Path) -> None:
    get(server, tmp_path, timeout_s=77)
    queries = [a for a in server.asked if a.path == "/api/interpreter"]
    assert all(a.headers["User-Agent"].startswith("proche/") for a in server.asked)
    assert b"timeout%3A77" in queries[0].body
    assert server.asked[0].path == "/api/status", "a free slot is asked for first"


def test_osmnx_is_left_as_it_was(server: Loopback, tmp_path: Path) -> None:
    before = {k: v for k, v in vars(osmnx.settings).items() if not k.startswith("_")}
    lookup = socket.getaddrinfo
    get(server, tmp_path)
    server.put("/api/interpreter", Fault(400))
    with pytest.raises(SourceError):
        get(server, tmp_path / "other")
    assert {k: v for k, v in vars(osmnx.settings).items() if not k.startswith("_")} == before
    assert socket.getaddrinfo is lookup


def test_a_full_server_is_waited_for(server: Loopback, tmp_path: Path) -> None:
    server.put("/api/status", status(STATUS_FULL), status())
    waits: list[float] = []
    assert len(get(server, tmp_path, waits).ways) == 4
    assert waits == [7.0], "the sooner of the two slots"


@pytest.mark.parametrize("code", [429, 504])
def test_a_busy_answer_is_tried_again_after_the_time_it_names(
    server: Loopback, tmp_path: Path, code: int
) -> None:
    town = OverpassTown(_quarter())
    server.put("/api/interpreter", Fault(code, b"busy", {"Retry-After": "11"}), town)
    waits: list[float] = []
    assert len(get(server, tmp_path, waits).ways) == 4
    assert waits == [11.0]


def test_answers_that_arrived_are_not_asked_again(server: Loopback, tmp_path: Path) -> None:
    town = OverpassTown(_quarter())
    server.put("/api/interpreter", town, Fault(429), town)
    get(server, tmp_path)
    assert len(town.queries) == len(set(town.queries)), "no query was answered twice"


def test_patience_ends_with_the_servers_words(server: Loopback, tmp_path: Path) -> None:
    body = (
        b"<html><head><title>OSM3S Response</title></head><body><p><strong>Error</strong>: runtime error: open64: 0 "
        b"Success Dispatcher_Client::request_read_and_idx::timeout. The server is probably too busy.</p></body></html>"
    )
    server.put("/api/interpreter", Fault(504, body, {"Content-Type": "text/html"}))
    waits: list[float] = []
    with pytest.raises(
        SourceError, match=r"gave up .* after 4 attempts: .*504.*probably too busy.*answers that arrived"
    ):
        get(server, tmp_path, waits)
    assert waits == [1.0, 2.0, 4.0]


def test_a_wait_longer_than_a_run_ends_it(server: Loopback, tmp_path: Path) -> None:
    server.put("/api/interpreter", Fault(429, b"", {"Retry-After": "4000"}))
    with pytest.raises(SourceError, match="asks to wait 4000 s"):
        get(server, tmp_path)
    server.put("/api/status", status(STATUS_FULL.replace("in 9", "in 900").replace("in 7", "in 700")))
    with pytest.raises(SourceError, match="no free slot for 700 s"):
        get(server, tmp_path)


def test_a_query_that_is_too_much_is_cut_until_it_is_not(server: Loopback, tmp_path: Path) -> None:
    # the street query covers the box and 500 m around: about 1.6e-4 square degrees, cut once
    town = OverpassTown(_quarter(), largest_deg2=6e-5)
    server.put("/api/interpreter", town)
    extract = get(server, tmp_path)
    assert extract.ways["way_id"].tolist() == [10, 11, 12, 14], (
        "the parts together are the whole, and no part twice"
    )
    assert len(town.queries) > 4 * 5
    whole = OverpassTown(_quarter())
    server.put("/api/interpreter", whole)
    assert extract.ways.equals(get(server, tmp_path / "whole").ways)


def test_what_cannot_be_finished_even_in_parts_says_so(server: Loopback, tmp_path: Path) -> None:
    server.put("/api/interpreter", remark('runtime error: Query ran out of memory in "recurse" at line 1.'))
    with pytest.raises(SourceError, match=r"cannot finish even .*ran out of memory.*overpass_timeout_s"):
        get(server, tmp_path)


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (
            Fault(400, b"<html><body><p>Error: line 1: parse error: Unknown type</p></body></html>"),
            "400.*parse error",
        ),
        (
            Fault(200, b"<html><head><title>x</title></head><body>Sign in to Wi-Fi</body></html>"),
            "JSON: “Sign in to Wi-Fi”",
        ),
        (remark("runtime error: something else"), "did not finish: runtime error: something else"),
        (Fault(200, b'{"elements": [], "osm3s": {}}'), "knows no street"),
        (Fault(200, b'{"elements": [{"type": "way"'), "something else than JSON"),
    ],
)
def test_answers_that_are_no_data(server: Loopback, tmp_path: Path, reply: Fault, message: str) -> None:
    server.put("/api/interpreter", reply)
    with pytest.raises(SourceError, match=message):
        get(server, tmp_path)


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    waits: list[float] = []
    patience = Patience(sleep=waits.append, attempts=2)
    url = f"http://127.0.0.1:{free_port()}/api"
    with pytest.raises(SourceError, match=r"gave up on .* after 2 attempts: no answer"):
        overpass_file(BOX, url=url, cache_dir=tmp_path, patience=patience)


def test_offline_needs_the_cache(server: Loopback, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="offline, and this area"):
        get(server, tmp_path, offline=True)
    assert not server.asked
    online = get(server, tmp_path)
    assert get(server, tmp_path, offline=True).ways.equals(online.ways)


def test_half_an_answer_left_by_a_killed_run_is_asked_again(server: Loopback, tmp_path: Path) -> None:
    town = OverpassTown(_quarter())
    server.put("/api/interpreter", town, Fault(400))
    with pytest.raises(SourceError):
        get(server, tmp_path)
    (answer,) = tmp_path.rglob("answers-0/*.json")
    answer.write_text(answer.read_text()[:40])
    server.put("/api/interpreter", town)
    assert len(get(server, tmp_path).ways) == 4


# ----------------------------------------------------------------------------------- places by name, from Nominatim

PLACE = [
    {
        "place_id": 1,
        "osm_type": "relation",
        "osm_id": 7444,
        "lat": "48.851",
        "lon": "2.351",
        "class": "boundary",
        "type": "administrative",
        "importance": 0.9,
        "name": "Petit quartier",
        "display_name": "Petit quartier, Paris, France",
        "boundingbox": ["48.85", "48.852", "2.35", "2.352"],
        "geojson": {
            "type": "Polygon",
            "coordinates": [[[2.35, 48.85], [2.352, 48.85], [2.352, 48.852], [2.35, 48.85]]],
        },
    }
]


def test_a_place_is_found_by_name_and_kept(
    server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import json
    import time

    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    server.put(
        "/search", Fault(503), Fault(200, json.dumps(PLACE).encode(), {"Content-Type": "application/json"})
    )
    options: dict[str, Any] = {
        "cache_dir": tmp_path,
        "nominatim_url": server.url,
        "patience": Patience(sleep=[].append),
    }
    found = read_boundary(place="Petit quartier, Paris", **options)
    assert found.source == "Petit quartier, Paris, France"
    assert found.geometry.area == pytest.approx(0.002 * 0.002 / 2)
    assert read_boundary(place="Petit quartier, Paris", offline=True, **options).geometry.equals(
        found.geometry
    )
    assert server.count("/search") == 2
    with pytest.raises(SourceError, match="offline"):
        read_boundary(place="Elsewhere", offline=True, **options)
    server.put("/search", Fault(200, b"[]", {"Content-Type": "application/json"}))
    with pytest.raises(SourceError, match="no area is called 'Nowhere'"):
        read_boundary(place="Nowhere", **options)
