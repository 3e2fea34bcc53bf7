"""What a proposal says: edits of places and streets, frozen, each with its cost, name and phase."""

from __future__ import annotations

from dataclasses import dataclass

from shapely.geometry.base import BaseGeometry

from engine.errors import InputError

MODES = ("walk", "bike", "street30")
"""Modes that an edit may name."""


@dataclass(frozen=True)
class Edit:
    """
    What every edit carries.

    Attributes
    ----------
    where
        How messages name the edit: ``feature 2 ("Footbridge")``.
    geometry
        [deg] Point, line or polygon, EPSG:4326; None where an id says what is meant.
    name, note
        For people.
    cost_eur
        [EUR] Cost; None where unknown.
    phase
        When it is built, from 1.
    """

    where: str
    geometry: BaseGeometry | None
    name: str = ""
    note: str = ""
    cost_eur: float | None = None
    phase: int = 1

    @property
    def shape(self) -> BaseGeometry:
        """The geometry of an edit that must have one."""
        if self.geometry is None:
            msg = f"{self.where}: it has no geometry; draw one"
            raise InputError(msg)
        return self.geometry


@dataclass(frozen=True)
class AddAmenity(Edit):
    """
    A new place: a point, or a park drawn as a polygon.

    Attributes
    ----------
    category
        Category of the run.
    capacity
        Seats, hectares …; None counts as 1.
    entrances
        [deg] Where a polygon is entered; empty: its outline meets the streets as a mapped park's does.
    """

    category: str = ""
    capacity: float | None = None
    entrances: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class RemoveAmenity(Edit):
    """Existing places taken away: by id, the nearest to a point, or all inside a polygon."""

    place_id: str | None = None
    category: str | None = None


@dataclass(frozen=True)
class ResizeAmenity(Edit):
    """An existing place with another capacity."""

    place_id: str | None = None
    category: str | None = None
    capacity: float = 1.0


@dataclass(frozen=True)
class OpenSchoolyard(Edit):
    """
    A schoolyard opened to the public: the school's doors lead to a place of another category as well.

    Attributes
    ----------
    place_id, school_category
        The school: by id, else the nearest of the category to the point.
    category
        What the yard becomes.
    capacity
        Its capacity; None counts as 1.
    """

    place_id: str | None = None
    school_category: str = "schools"
    category: str = "green"
    capacity: float | None = None


@dataclass(frozen=True)
class AddStreet(Edit):
    """
    A new street, path, lane or bridge along the drawn line.

    Attributes
    ----------
    modes
        Who may use it.
    speed_kmh
        [km/h] Speed; None: the mode's own.
    oneway
        Only in the drawn direction.
    lts
        Level of Traffic Stress, 1–4.
    connect
        ``ends``: it meets other streets at its ends alone, as a bridge does; ``all``: wherever it crosses one.
    """

    modes: tuple[str, ...] = ("walk", "bike")
    speed_kmh: float | None = None
    oneway: bool = False
    lts: int = 1
    connect: str = "ends"


@dataclass(frozen=True)
class StreetChoice(Edit):
    """
    Existing streets: of OpenStreetMap ways, along a drawn line, nearest to a point, with their middle in a polygon.

    Attributes
    ----------
    osm_way
        Ids of ways; a geometry as well keeps only their streets near it.
    modes
        Who is concerned; empty: every mode of the run that has the street.
    """

    osm_way: tuple[int, ...] = ()
    modes: tuple[str, ...] = ()


@dataclass(frozen=True)
class RemoveStreet(StreetChoice):
    """Streets closed at their middle: nobody passes, those who live and trade there come and go by either end."""


@dataclass(frozen=True)
class ChangeStreet(StreetChoice):
    """
    Streets with another speed, direction or stress; what is None stays.

    Attributes
    ----------
    speed_kmh
        [km/h] Speed from now on.
    max_speed_kmh
        [km/h] Nobody is faster from now on; who is slower stays so.
    direction
        ``both``, ``forward`` (as the line is drawn) or ``backward``.
    lts
        Level of Traffic Stress, 1–4.
    cycleway
        ``track``, ``lane`` or ``street``: gives the stress where `lts` is not given.
    width_m
        [m] Width of the cycle lane.
    """

    speed_kmh: float | None = None
    max_speed_kmh: float | None = None
    direction: str | None = None
    lts: int | None = None
    cycleway: str | None = None
    width_m: float | None = None


@dataclass(frozen=True)
class SpeedArea(Edit):
    """
    A limit for every street whose middle lies in a polygon.

    Attributes
    ----------
    max_speed_kmh
        [km/h] Nobody is faster; who is slower stays so.
    keep_highway
        Classes of streets that keep their own limit; None: the run's major roads.
    modes
        Who drives by the limit.
    calms
        Whether cycling on these streets becomes less stressful, as Furth's criteria say.
    """

    max_speed_kmh: float = 30.0
    keep_highway: tuple[str, ...] | None = None
    modes: tuple[str, ...] = ("street30",)
    calms: bool = True


@dataclass(frozen=True)
class Proposal:
    """
    A set of edits with its author and cost.

    Attributes
    ----------
    name, author, description
        For people.
    edits
        In the order of the file.
    cost_eur
        [EUR] Total cost: the file's, else the sum over the edits that state one; None where none does.
    cost_complete
        Whether the total is the file's own, or every edit states its cost.
    phases
        Names of the phases, from 1.
    digest
        SHA-256 of the file, empty where there is none.
    ignored
        Properties of the file that mean nothing here, for people to see.
    """

    name: str
    edits: tuple[Edit, ...]
    author: str = ""
    description: str = ""
    cost_eur: float | None = None
    cost_complete: bool = False
    phases: tuple[str, ...] = ()
    digest: str = ""
    ignored: tuple[str, ...] = ()
