"""OpenStreetMap through Overpass: asked by OSMnx, kept as an OSM file, read by the rules of files."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import osmium
import osmnx
import shapely
from osmnx._errors import CacheOnlyInterruptError

from engine.network.tags import ROUTABLE_WITHOUT_HIGHWAY
from engine.osm_extract import OsmExtract
from pipelines.errors import SourceError
from pipelines.sources.boundary import box_polygon
from pipelines.sources.coordinates import Bounds
from pipelines.sources.download import Fetched, hash_file, locked, read_record, write_record
from pipelines.sources.osm_file import read_osm
from pipelines.sources.osmnx_session import TooMuchError, osmnx_session, overpass_wait_s, patiently
from pipelines.sources.transfer import Patience, public_url

OVERPASS_URL = "https://overpass-api.de/api"
LARGEST_QUERY_M2 = 2.5e9
"""[m²] OSMnx's own size of one query (50 km square)."""
CUTS = 4
"""How often a query that Overpass cannot finish is cut into quarters."""

Keep = Mapping[str, Collection[str] | None]


def fetch_overpass(
    area: Bounds | shapely.Polygon | shapely.MultiPolygon,
    *,
    keep: Keep | None = None,
    url: str = OVERPASS_URL,
    cache_dir: Path,
    offline: bool = False,
    timeout_s: float = 180.0,
    patience: Patience | None = None,
) -> OsmExtract:
    """
    Fetch the streets and features of an area, and read them like any OSM file.

    Parameters are those of `overpass_file`; so are the errors.

    Returns
    -------
    OsmExtract
        Ways that touch the area are whole; ``info.timestamp`` is the time of Overpass's data.
    """
    fetched = overpass_file(
        area, keep=keep, url=url, cache_dir=cache_dir, offline=offline, timeout_s=timeout_s, patience=patience
    )
    return read_osm(fetched.path, keep=keep)


def overpass_file(
    area: Bounds | shapely.Polygon | shapely.MultiPolygon,
    *,
    keep: Keep | None = None,
    url: str = OVERPASS_URL,
    cache_dir: Path,
    offline: bool = False,
    timeout_s: float = 180.0,
    patience: Patience | None = None,
    progress: Callable[[str], None] | None = None,
) -> Fetched:
    """
    Fetch the streets and features of an area into an ``.osm.pbf`` file in the cache.

    The same area, tags and server give the same file from the cache, without asking again: Overpass is a
    shared service, and a run should repeat. Remove the folder to have newer data.

    Parameters
    ----------
    area
        [deg] Box (west, south, east, north) or polygon, EPSG:4326.
    keep
        Tag key → accepted values (None: any) of the features wanted besides the streets.
    url
        Address of the service, up to ``/api``.
    cache_dir
        Folder of downloads.
    offline
        Use the cache only.
    timeout_s
        [s] How long Overpass may work on one query.
    patience
        Attempts and waits when the server is busy; it is asked for a free slot before each attempt.
    progress
        Told what is being done.

    Returns
    -------
    Fetched
        ``last_modified`` holds the time of Overpass's data.

    Raises
    ------
    SourceError
        The server refuses, does not finish even small queries, or patience is exhausted; or there is nothing
        in the area.

    Notes
    -----
    A query that runs out of time or memory is cut into smaller areas, at most 4 times. Complete answers
    are kept, so that a run that was stopped continues.
    """
    polygon = area if isinstance(area, shapely.Geometry) else box_polygon(area)
    tags = {
        key: sorted(values) if values is not None else True for key, values in sorted((keep or {}).items())
    }
    question = json.dumps([url.rstrip("/"), shapely.to_wkt(polygon, rounding_precision=6), tags, 1])
    folder = cache_dir / "overpass" / hashlib.sha256(question.encode()).hexdigest()[:20]
    with locked(folder, url):
        cached, note = read_record(folder)
        if cached is not None:
            return cached
        if offline:
            msg = (
                f"offline, and this area of {public_url(url)} is not in the cache: run once with a connection"
            )
            raise SourceError(msg + (f" ({note})" if note else ""))
        answers = _ask(polygon, tags, url, folder, timeout_s, patience or Patience(), progress or _silent)
        return _keep_file(answers, folder, url, polygon.bounds)


def _silent(line: str) -> None:
    """Say nothing."""


def _ask(
    polygon: shapely.Polygon | shapely.MultiPolygon,
    tags: Mapping[str, Any],
    url: str,
    folder: Path,
    timeout_s: float,
    patience: Patience,
    progress: Callable[[str], None],
) -> list[dict[str, Any]]:
    """Bring all answers into a folder, cutting the area where Overpass cannot finish."""
    size = LARGEST_QUERY_M2
    for cut in range(CUTS + 1):
        answers = folder / f"answers-{cut}"

        def once(size: float = size, answers: Path = answers) -> None:
            wait = overpass_wait_s(url, patience)
            if wait:
                progress(f"Overpass: waiting {wait:.0f} s for a free slot")
                patience.sleep(wait)
            with osmnx_session(
                answers, overpass_url=url, timeout_s=timeout_s, max_area_m2=size, cache_only=True
            ):
                _query(polygon, tags)

        try:
            patiently(once, url=url, patience=patience)
            return [json.loads(p.read_text(encoding="utf-8")) for p in sorted(answers.glob("*.json"))]
        except TooMuchError as error:
            why = str(error)
            progress(f"Overpass: {why}; asking for smaller areas")
            size = min(size, _area_m2(polygon)) / 4
    msg = (
        f"{public_url(url)} cannot finish even a {1 / 4**CUTS:.1%} part of the area ({why}): raise "
        f"source.overpass_timeout_s, choose a smaller area, or use a downloaded extract"
    )
    raise SourceError(msg)


def _area_m2(polygon: shapely.Polygon | shapely.MultiPolygon) -> float:
    """[m²] Area that OSMnx will ask for: it goes 500 m beyond the polygon for streets."""
    projected, _ = osmnx.projection.project_geometry(polygon)
    return float(projected.buffer(500).area)


def _query(polygon: shapely.Polygon | shapely.MultiPolygon, tags: Mapping[str, Any]) -> None:
    """Have OSMnx put every answer into its cache: streets, then features."""
    filters = ['["highway"]']
    for key, values in ROUTABLE_WITHOUT_HIGHWAY.items():
        filters.append(f'["{key}"~"^({"|".join(sorted(values))})$"]' if values else f'["{key}"]')
    _interrupted(partial(osmnx.graph_from_polygon, polygon, custom_filter=filters))
    wanted = dict(tags)
    # turn restrictions and squares mapped as relations are no features of a category, but rules of routing
    for key, value in (("type", "restriction"), ("highway", "pedestrian")):
        if wanted.get(key) is not True:
            wanted[key] = sorted({*wanted.get(key, []), value})
    _interrupted(partial(osmnx.features_from_polygon, polygon, wanted))


def _interrupted(action: Callable[[], object]) -> None:
    try:
        action()
    except CacheOnlyInterruptError:
        return


def _keep_file(answers: list[dict[str, Any]], folder: Path, url: str, bounds: Bounds) -> Fetched:
    """Write the elements of all answers into one file, each once, in the order of OSM files."""
    elements = _merged(answers)
    if not any(kind == "way" for kind, _ in elements):
        msg = f"{public_url(url)} knows no street in {tuple(round(b, 5) for b in bounds)}: check the area"
        raise SourceError(msg)
    stamps = [a["osm3s"]["timestamp_osm_base"] for a in answers if "timestamp_osm_base" in a.get("osm3s", {})]
    part, target = folder / "part.osm.pbf", folder / "area.osm.pbf"
    part.unlink(missing_ok=True)
    header = osmium.io.Header()
    header.set("generator", "proche")
    if stamps:
        header.set("osmosis_replication_timestamp", min(stamps))
    header.add_box(osmium.osm.Box(*bounds))
    with osmium.SimpleWriter(str(part), header=header) as writer:
        for kind, element in _ordered(elements):
            _write(writer, kind, element)
    with part.open("rb+") as written:
        os.fsync(written.fileno())
    part.replace(target)
    sha256, md5, size = hash_file(target)
    fetched = Fetched(
        path=target,
        sha256=sha256,
        size=size,
        url=public_url(url),
        etag=None,
        last_modified=min(stamps) if stamps else None,
        fetched_at=datetime.now(UTC).isoformat(timespec="seconds"),
        md5=md5,
    )
    write_record(folder, fetched)
    for answer in folder.glob("answers-*/*.json"):
        answer.unlink()
    return fetched


_KINDS = ("node", "way", "relation")


def _merged(answers: list[dict[str, Any]]) -> dict[tuple[str, int], dict[str, Any]]:
    """Elements by kind and id; neighbouring areas repeat those on their border."""
    elements: dict[tuple[str, int], dict[str, Any]] = {}
    for element in (e for answer in answers for e in answer.get("elements", [])):
        if element.get("type") not in _KINDS or not isinstance(element.get("id"), int):
            continue
        elements.setdefault((element["type"], element["id"]), element)
    return elements


def _ordered(elements: Mapping[tuple[str, int], dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    for kind in _KINDS:
        for key in sorted(k for k in elements if k[0] == kind):
            yield kind, elements[key]


_MEMBER = {"node": "n", "way": "w", "relation": "r"}


def _write(writer: osmium.SimpleWriter, kind: str, element: dict[str, Any]) -> None:
    tags = {str(k): str(v) for k, v in sorted(element.get("tags", {}).items())}
    common = {"id": element["id"], "tags": tags}
    if kind == "node":
        writer.add_node(osmium.osm.mutable.Node(location=(element["lon"], element["lat"]), **common))
    elif kind == "way":
        writer.add_way(osmium.osm.mutable.Way(nodes=element.get("nodes", []), **common))
    else:
        members = [(_MEMBER[m["type"]], m["ref"], m.get("role", "")) for m in element.get("members", [])]
        writer.add_relation(osmium.osm.mutable.Relation(members=members, **common))
