"""What each kind of site asks of a street."""

from __future__ import annotations

from types import MappingProxyType

from engine.sites.candidates import KerbRule

PARKING_STREETS = frozenset(
    {
        "primary",
        "primary_link",
        "secondary",
        "secondary_link",
        "tertiary",
        "tertiary_link",
        "unclassified",
        "residential",
        "living_street",
    }
)
"""Classes of street along whose kerb a car may plausibly park: no motorway, trunk, footway or drive."""

CHARGERS = KerbRule(
    spacing_m=40.0,
    junction_clearance_m=10.0,
    offset_m=-1.0,
    classes=PARKING_STREETS,
    min_width_m=5.5,  # one lane of 3.5 m for fire engines beside a parking lane of 2 m
    needs_parking=True,
    clearance_m=MappingProxyType({"crossing": 5.0, "bus_stop": 15.0, "tree": 1.5, "walkway": 1.5}),
    avoid_median=True,
    apart_m=20.0,
)
"""A station of about three parking places: 5 m clear of crossings as the French road code asks (R417-11)."""

SORTING = KerbRule(
    spacing_m=40.0,
    junction_clearance_m=10.0,
    offset_m=-1.0,
    classes=PARKING_STREETS,
    min_width_m=5.5,
    needs_parking=True,
    clearance_m=MappingProxyType({"crossing": 5.0, "bus_stop": 15.0, "building": 2.0, "walkway": 1.5}),
    avoid_median=True,
    apart_m=20.0,
)
"""A row of containers in the place of two parked cars (about 10 m)."""

TREES = KerbRule(
    spacing_m=8.0,
    junction_clearance_m=10.0,
    offset_m=0.8,
    classes=PARKING_STREETS | {"pedestrian"},
    min_width_m=5.0,
    needs_pavement=True,
    clearance_m=MappingProxyType(
        {"tree": 6.0, "building": 3.0, "crossing": 5.0, "bus_stop": 10.0, "charger": 3.0, "walkway": 1.0}
    ),
    apart_m=6.0,
)
"""A street tree 0.8 m behind the kerb, 6 m from other trunks, 3 m from façades, 10 m from junctions."""
