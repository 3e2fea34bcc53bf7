"""
The shipped configurations of Paris, run as written against a server on this machine.

The only thing changed is the host of every address, by the same ``--set`` that anybody may use. The server gives
slices of the real files in the shapes of the real services: ranges and validators, a published ``.md5``, CSV with
``;`` and a byte-order mark, lower-case technical names, GeoJSON exports, a zip with a GeoPackage, Overpass's JSON.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import geopandas as gpd
import osmium
import pytest

from pipelines.compute import run
from pipelines.config import load_config
from pipelines.rundir import check
from tests.loopback import Content, Fault, Loopback, serve
from tests.overpass_town import OverpassTown, status

CONFIGS = Path(__file__).resolve().parents[2] / "configs"


@pytest.fixture
def server() -> Iterator[Loopback]:
    with serve() as loopback:
        yield loopback


def addresses(table: dict[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """Every address in a configuration, with its key."""
    for key, value in table.items():
        if isinstance(value, dict):
            yield from addresses(value, f"{above}{key}.")
        elif isinstance(value, str) and value.startswith("https://"):
            yield f"{above}{key}", value


def moved(config: Path, server: Loopback) -> list[str]:
    """``--set`` for every address: the same path, below the real host's name, on the server here."""
    table = tomllib.loads(config.read_text(encoding="utf-8"))
    return [f"{key}={server.url}/{url.removeprefix('https://')}" for key, url in addresses(table)]


def place(server: Loopback, url: str, body: bytes, content_type: str, **options: Any) -> None:
    parts = urlsplit(url)
    server.put(f"/{parts.netloc}{parts.path}", Content(body, content_type, **options))


def portal_csv(text: str) -> bytes:
    """A CSV as the portal exports it: byte-order mark, ``;``, technical names in lower case."""
    header, rest = text.removeprefix("\ufeff").split("\n", 1)
    return ("\ufeff" + header.lower() + "\n" + rest).encode()


def portal_geojson(frame: gpd.GeoDataFrame) -> bytes:
    return frame.to_json(drop_id=True).encode()


@pytest.fixture
def paris_services(server: Loopback, shared_data: Path, tmp_path: Path) -> Loopback:
    """What the addresses of paris.toml answer: the 3e arrondissement and around."""
    data = shared_data / "paris"
    table = tomllib.loads((CONFIGS / "paris.toml").read_text(encoding="utf-8"))
    url = dict(addresses(table))
    extract = (shared_data / "osm" / "paris_bss.osm.pbf").read_bytes()
    place(server, url["source.osm"], extract, "application/octet-stream", etag='"65-osm"')
    sums = f"{hashlib.md5(extract).hexdigest()}  ile-de-france-latest.osm.pbf\n".encode()
    place(server, url["source.checksum_url"], sums, "text/plain", etag='"65-md5"')
    portal = {"etag": None, "last_modified": None, "ranges": False}
    third = gpd.read_file(data / "arrondissements.geojson").query("c_ar == 3")
    place(server, url["area.boundary"], portal_geojson(third), "application/geo+json", **portal)
    quarters = (data / "quartier_paris.geojson").read_bytes()
    place(server, url["area.neighbourhoods"], quarters, "application/geo+json", **portal)
    green = gpd.read_file(data / "espaces_verts_ne_paris_2021.gpkg", bbox=(2.352, 48.858, 2.38, 48.87))
    green = green.rename(columns={"Name": "nsq_espace_vert", "Description": "nom_ev"})
    green["type_ev"] = ["Promenades ouvertes", "Décorations sur la voie publique"] * (len(green) // 2) + [
        "Bois"
    ] * (len(green) % 2)
    green["categorie"] = "Square"
    place(server, url["opportunities.green.url"], portal_geojson(green), "application/geo+json", **portal)
    for key, name in (
        ("opportunities.primary_schools.url", "etablissements-scolaires-colleges.csv"),
        ("opportunities.sorting.url", "trilib_2018.csv"),
        ("sites.chargers.existing.url", "belib_static_2025.csv.gz"),
        ("sites.trees.existing.url", "les-arbres_10k_sample.csv"),
    ):
        raw = (data / name).read_bytes()
        text = (gzip.decompress(raw) if name.endswith(".gz") else raw).decode("utf-8-sig")
        place(server, url[key], portal_csv(text), "text/csv; charset=utf-8", **portal)
    squares = gpd.read_file(shared_data / "population" / "filosofi2015_200m_paris.gpkg")
    squares.columns = [c.lower() for c in squares.columns]
    squares.to_file(tmp_path / "carreaux_200m_met.gpkg", layer="carreaux_200m_met")
    squares.head(3).to_file(tmp_path / "carreaux_200m_reun.gpkg", layer="carreaux_200m_reun")
    with zipfile.ZipFile(tmp_path / "grid.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("carreaux_200m_met.gpkg", "carreaux_200m_reun.gpkg"):
            archive.write(tmp_path / name, name)
    place(
        server,
        url["population.grid"],
        (tmp_path / "grid.zip").read_bytes(),
        "application/zip",
        etag='"insee"',
    )
    return server


def test_paris_runs_as_written(paris_services: Loopback, tmp_path: Path) -> None:
    config = CONFIGS / "paris.toml"
    overrides = moved(config, paris_services)
    assert len(overrides) == 10, "every address of the configuration is served here"
    first = run(config, overrides=overrides, cache=tmp_path / "cache")
    assert check(first.path)["state"].eq("ok").all()
    cells = first.cells
    assert len(cells) > 60
    assert cells["walk_shops_minutes"].notna().any()
    assert cells["walk_primary_schools_minutes"].notna().any()
    # the squares of the 3e hold about 34,000 residents (Filosofi 2015)
    assert 25_000 < cells["population"].sum() < 45_000
    inputs = {entry["role"]: entry for entry in first.manifest["inputs"]}
    assert inputs["osm"]["size"] == 90_146
    assert set(inputs) >= {
        "osm",
        "area.boundary",
        "population",
        "opportunities.green",
        "opportunities.sorting",
    }
    places = first.opportunities
    assert (places["category"] == "sorting").sum() == 40
    before = len(paris_services.asked)
    again = run(config, overrides=overrides, cache=tmp_path / "cache")
    assert again.cells.equals(cells)
    asked = [a.path for a in paris_services.asked[before:]]
    assert not any(p.endswith("osm.pbf") for p in asked), "the published checksum had not changed"
    offline = run(config, overrides=overrides, cache=tmp_path / "cache", offline=True)
    assert offline.cells.equals(cells)


def _overpass_elements(path: Path) -> list[dict[str, Any]]:
    """Objects of a real extract in Overpass's JSON."""
    found: list[dict[str, Any]] = []
    kind = {"n": "node", "w": "way", "r": "relation"}
    for item in osmium.FileProcessor(str(path)):
        element: dict[str, Any] = {"type": kind[item.type_str()], "id": item.id}
        if item.is_node():
            element |= {"lat": item.location.lat, "lon": item.location.lon}
        elif item.is_way():
            element["nodes"] = [n.ref for n in item.nodes]
        else:
            element["members"] = [{"type": kind[m.type], "ref": m.ref, "role": m.role} for m in item.members]
        if len(item.tags):
            element["tags"] = {t.k: t.v for t in item.tags}
        found.append(element)
    known = {(e["type"], e["id"]) for e in found}
    for element in found:
        if "nodes" in element:
            element["nodes"] = [n for n in element["nodes"] if ("node", n) in known]
        if "members" in element:
            element["members"] = [m for m in element["members"] if (m["type"], m["ref"]) in known]
    return found


def test_the_quarter_runs_as_written(server: Loopback, shared_data: Path, tmp_path: Path) -> None:
    town = OverpassTown(_overpass_elements(shared_data / "osm" / "paris_bss.osm.pbf"))
    server.put("/api/status", status())
    server.put("/api/interpreter", Fault(429, b"", {"Retry-After": "0"}), town)
    config = CONFIGS / "paris-quarter.toml"
    overrides = [f"source.overpass_url={server.url}/api"]
    first = run(config, overrides=overrides, cache=tmp_path / "cache")
    assert check(first.path)["state"].eq("ok").all()
    assert first.cells["walk_shops_minutes"].notna().sum() > 50
    inputs = {entry["role"]: entry for entry in first.manifest["inputs"]}
    assert inputs["osm"]["sha256"]
    asked = len(server.asked)
    run(config, overrides=overrides, cache=tmp_path / "cache")
    assert len(server.asked) == asked, "a run repeats without asking Overpass again"


def test_the_quarter_is_two_kilometres_square() -> None:
    west, south, east, north = load_config(CONFIGS / "paris-quarter.toml").area.bbox or (0, 0, 0, 0)
    box = gpd.GeoSeries.from_xy([west, east], [south, north], crs="EPSG:4326").to_crs("EPSG:2154")
    assert box.x.iloc[1] - box.x.iloc[0] == pytest.approx(2000, abs=25)
    assert box.y.iloc[1] - box.y.iloc[0] == pytest.approx(2000, abs=25)


def test_every_shipped_address_is_https_and_has_a_licence() -> None:
    for path in sorted(CONFIGS.glob("*.toml")):
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        assert "http://" not in path.read_text(encoding="utf-8")
        for key, _ in addresses(table):
            section = table
            for part in key.split(".")[:-1]:
                section = section[part]
            assert key.startswith(("area.", "source.")) or section.get("licence"), f"{path.name}: {key}"


@pytest.mark.slow
def test_the_whole_of_paris_from_tables(shared_data: Path, tmp_path: Path) -> None:
    config = CONFIGS / "paris-tables.toml"
    result = run(config, cache=tmp_path / "cache")
    assert check(result.path)["state"].eq("ok").all()
    population = gpd.read_file(shared_data / "population" / "filosofi2015_200m_paris.gpkg")["Ind"].sum()
    facts = json.dumps(result.manifest)
    assert '"population"' in facts
    assert result.cells["population"].sum() == pytest.approx(population, rel=0.02)
    assert (result.opportunities["category"] == "sorting").sum() == 40
