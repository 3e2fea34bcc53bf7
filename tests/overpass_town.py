"""
An Overpass service on this machine: it knows a few objects and answers OSMnx's queries as Overpass does.

It reads the statements of a query (`way["highway"](poly:'…');`), selects by tags and by polygon, recurses to
members and nodes, and answers in the shape of `[out:json]` with `out;`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qs

import shapely

from tests.loopback import Asked, Fault

STAMP = "2024-05-01T10:00:00Z"
_STATEMENT = re.compile(r"(node|way|relation)((?:\[[^\]]*\])+)\(poly:'([^']*)'\)")
_TEST = re.compile(r"""\[["']([^"']+)["'](?:(=|~)["']([^"']*)["'])?\]""")
_STATUS_HEAD = """Connected as: 1
Current time: 2024-05-01T10:00:00Z
Announced endpoint: x/
Rate limit: 2
"""
_STATUS_TAIL = "Currently running queries (pid, space limit, time limit, start time):\n"
STATUS_FREE = f"{_STATUS_HEAD}2 slots available now.\n{_STATUS_TAIL}"
STATUS_FULL = f"""{_STATUS_HEAD}Slot available after: 2024-05-01T10:00:09Z, in 9 seconds.
Slot available after: 2024-05-01T10:00:07Z, in 7 seconds.
{_STATUS_TAIL}"""


def status(text: str = STATUS_FREE) -> Fault:
    """The page `/api/status`."""
    return Fault(200, text.encode(), {"Content-Type": "text/plain"})


def remark(text: str) -> Fault:
    """What Overpass says with status 200 when a query ran out of time or memory."""
    body = {"version": 0.6, "generator": "Overpass API 0.7.62", "elements": [], "remark": text}
    return Fault(200, json.dumps(body).encode(), {"Content-Type": "application/json"})


class OverpassTown:
    """Objects in Overpass's JSON, and a reply for each query."""

    def __init__(self, elements: Iterable[dict[str, Any]], *, largest_deg2: float = math.inf) -> None:
        self.elements = {(e["type"], e["id"]): e for e in elements}
        self.queries: list[str] = []
        self.largest_deg2 = largest_deg2
        """[deg²] A query over more than this times out."""

    def __call__(self, asked: Asked) -> Fault:
        query = parse_qs(asked.body.decode())["data"][0]
        self.queries.append(query)
        found: dict[tuple[str, int], dict[str, Any]] = {}
        for kind, tests, poly in _STATEMENT.findall(query):
            numbers = [float(x) for x in poly.split()]
            area = shapely.Polygon(list(zip(numbers[1::2], numbers[0::2], strict=True)))
            if area.area > self.largest_deg2:
                return remark('runtime error: Query timed out in "query" at line 1 after 181 seconds.')
            for element in self.elements.values():
                if element["type"] == kind and _holds(element, tests) and self._touches(element, area):
                    self._add(element, found)
        body = {
            "version": 0.6,
            "generator": "Overpass API 0.7.62",
            "osm3s": {
                "timestamp_osm_base": STAMP,
                "copyright": "The data included in this document is from www.openstreetmap.org.",
            },
            "elements": list(found.values()),
        }
        return Fault(200, json.dumps(body).encode(), {"Content-Type": "application/json"}, chunked=True)

    def _add(self, element: dict[str, Any], found: dict[tuple[str, int], dict[str, Any]]) -> None:
        found[element["type"], element["id"]] = element
        below = [("node", n) for n in element.get("nodes", [])]
        below += [(m["type"], m["ref"]) for m in element.get("members", []) if m["type"] != "relation"]
        for key in below:
            self._add(self.elements[key], found)

    def _touches(self, element: dict[str, Any], area: shapely.Polygon) -> bool:
        points: dict[tuple[str, int], dict[str, Any]] = {}
        self._add(element, points)
        nodes = [p for p in points.values() if p["type"] == "node"]
        return any(area.covers(shapely.Point(p["lon"], p["lat"])) for p in nodes)


def _holds(element: dict[str, Any], tests: str) -> bool:
    tags = element.get("tags", {})
    for key, sign, value in _TEST.findall(tests):
        if key not in tags or (sign == "=" and tags[key] != value):
            return False
        if sign == "~" and not re.search(value, tags[key]):
            return False
    return True
