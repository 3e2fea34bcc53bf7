"""What is asked of a set of stations: how many, for whom, within what, and which of several questions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy.typing as npt

from engine.errors import InputError
from engine.sites.candidates import KerbRule
from engine.sites.rules import CHARGERS, SORTING
from engine.sites.selection import Effort

RULES = {"chargers": CHARGERS, "sorting": SORTING}
SPACING_M = {"chargers": 150.0, "sorting": 100.0}
Objective = Literal["covering", "p_median"]


@dataclass(frozen=True, eq=False)
class Scenario:
    """
    One way the future may be.

    Attributes
    ----------
    name
        What it is called in the results.
    demand
        Who is to be served in each cell, shape (cells,); None takes the demand of the question.
    speed_factor
        People come this much faster (slower below 1).
    """

    name: str
    demand: npt.ArrayLike | None = None
    speed_factor: float = 1.0


@dataclass(frozen=True, eq=False)
class StationAsk:
    """
    The question that a set of stations answers.

    Attributes
    ----------
    kind
        ``chargers`` or ``sorting``.
    count
        New stations at most.
    cutoff_min
        [min] Longest trip to a station; a cell is served when at least half of its streets lie within it.
    min_spacing_m
        [m] Two stations are never nearer than this, in a straight line; None for the kind's own.
    rule
        What is asked of a place; None for the kind's own (`engine.sites.rules`).
    unit, trip
        What demand counts, and how people come, in words.
    objective
        ``covering``: most demand within the cutoff. ``p_median``: least travel, a trip of more than `far_min`, or
        none, counting `far_min`.
    capacity, existing_capacity
        [unit] What a new station and the existing ones can serve, the latter one number or one a station; None for no
        limit, and None for existing ones takes `capacity`. Covering alone.
    takes, stream_weight
        True where an existing point takes a waste stream, shape (existing, streams), and what each stream counts; new
        points take all. Covering without capacity alone.
    need
        What a person of each cell counts, shape (cells,) (`engine.sites.objective.equity_weight`); None counts all
        alike.
    sweep
        Numbers of new stations to answer as well, each with its own proof. Covering without capacity alone.
    scenarios
        Further futures: one set is sought whose worst regret over them and the question itself is least. Covering
        without capacity alone.
    effort
        How hard to search.

    Raises
    ------
    InputError
        The kind is unknown, or two of these do not go together.
    """

    kind: str
    count: int
    cutoff_min: float = 5.0
    min_spacing_m: float | None = None
    rule: KerbRule | None = None
    unit: str = "residents"
    trip: str = "walk"
    objective: Objective = "covering"
    far_min: float = 15.0
    capacity: float | None = None
    existing_capacity: npt.ArrayLike | None = None
    takes: npt.ArrayLike | None = None
    stream_weight: npt.ArrayLike | None = None
    need: npt.ArrayLike | None = None
    sweep: tuple[int, ...] = ()
    scenarios: tuple[Scenario, ...] = ()
    effort: Effort | None = None

    def __post_init__(self) -> None:
        if self.kind not in RULES:
            msg = f"kind is {self.kind!r}: expected one of {', '.join(RULES)}"
            raise InputError(msg)
        asked = {
            "p_median": self.objective == "p_median",
            "capacity": self.capacity is not None,
            "scenarios": bool(self.scenarios),
            "sweep": bool(self.sweep),
        }
        both = [name for name, given in asked.items() if given]
        if len(both) > 1 and both != ["p_median"]:
            msg = f"{' and '.join(both)} do not go together: ask them one after another"
            raise InputError(msg)
        if self.takes is not None and both in (["p_median"], ["capacity"]):
            msg = f"{both[0]} does not go with waste streams: ask them one after another"
            raise InputError(msg)

    @property
    def kerb_rule(self) -> KerbRule:
        """The rule, or the kind's own."""
        return self.rule or RULES[self.kind]

    @property
    def spacing_m(self) -> float:
        """[m] The spacing, or the kind's own."""
        return SPACING_M[self.kind] if self.min_spacing_m is None else self.min_spacing_m
