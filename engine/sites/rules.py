"""What each kind of site asks of a street."""

from __future__ import annotations

from types import MappingProxyType

from engine.sites.candidates import KerbRule

PARKING_STREETS = frozenset(
    {
        "primary",
        "secondary",
        "tertiary",
        "unclassified",
        "residential",
        "living_street",
    }
)
"""Classes of street along whose kerb a car may plausibly park: no motorway, trunk, slip road, footway or drive."""

OFF_THE_GROUND = MappingProxyType({"water": 1.0, "railway": 3.0, "green": 0.1})
"""[m] Clear of water and open tracks, and not inside a park: a street that is drawn there is not a kerb to build at."""

CHARGERS = KerbRule(
    spacing_m=40.0,
    junction_clearance_m=16.0,
    offset_m=-1.0,
    classes=PARKING_STREETS,
    min_width_m=5.5,  # one lane of 3.5 m for fire engines beside a parking lane of 2 m
    needs_parking=True,
    clearance_m=MappingProxyType(
        {
            "crossing": 7.5,
            "bus_stop": 15.0,
            "building": 1.5,
            "tree": 1.5,
            "walkway": 1.5,
            "barrier": 1.0,
            "door": 2.0,
            "station": 15.0,
            **OFF_THE_GROUND,
        }
    ),
    avoid_median=True,
    apart_m=20.0,
    other_street_m=1.0,
)
"""
A station of about three parking places (15 m): its end 8 m from the middle of the junction, and clear of the crossing.

The French road code keeps the 5 m before a crossing free of parked cars (R417-11). Where a wall, a fence or a row of
bollards runs nobody parks.
"""

SORTING = KerbRule(
    spacing_m=40.0,
    junction_clearance_m=14.0,
    offset_m=-1.0,
    classes=PARKING_STREETS,
    min_width_m=5.5,
    needs_parking=True,
    clearance_m=MappingProxyType(
        {
            "crossing": 7.0,
            "bus_stop": 15.0,
            "building": 2.0,
            "tree": 1.5,
            "walkway": 1.5,
            "barrier": 1.0,
            "door": 2.0,
            "station": 15.0,
            **OFF_THE_GROUND,
        }
    ),
    avoid_median=True,
    apart_m=20.0,
    other_street_m=1.0,
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
        {
            "tree": 6.0,
            "building": 3.0,
            "crossing": 5.0,
            "bus_stop": 10.0,
            "station": 3.0,
            "walkway": 1.0,
            "barrier": 1.0,
            "door": 4.0,
            **OFF_THE_GROUND,
        }
    ),
    apart_m=6.0,
    other_street_m=1.5,
)
"""
A street tree 0.8 m behind the kerb, 6 m from other trunks, 3 m from façades, 4 m from doors, 10 m from junctions.

3 m to the façade also says that the pavement is wide enough: nearly 4 m from kerb to wall. Between two carriageways
the strip must be wide enough for 1.5 m to the other kerb.
"""

OBSTACLE_KINDS = tuple(sorted({*CHARGERS.clearance_m, *SORTING.clearance_m, *TREES.clearance_m}))
"""What a site can be asked to keep away from."""
