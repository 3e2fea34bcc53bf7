"""What a siting run hands back: the chosen sites, and the proof of how good the set is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Effort:
    """
    How hard a solver may work, in counts of work and never in seconds: the same inputs give the same sites.

    Attributes
    ----------
    restarts
        Rounds of the local search: each opens a part of the best set and closes it again. Maximal covering takes a
        third of them from each linear relaxation; where those do not pay, all, and three times as many where the gap
        stays above 1 %. The p-median takes a three-hundredth.
    bound_steps
        Steps of the Lagrangian bound.
    cut_rounds
        Linear relaxations at most: a plain one where the Lagrangian bound leaves a gap, one with cuts where it is above
        half a per cent still, further ones above 1 % (`engine.sites.cover_cuts`); 0 leaves them out. Read by maximal
        covering alone.
    exact_nodes
        Nodes of the exact search at the end, which only small problems get (`engine.sites.exact`); 0 leaves it out.
        Read by maximal covering alone.
    gap_target
        Stop as soon as the proven gap is at most this share of the objective.
    seed
        Seed of the perturbations.
    """

    restarts: int = 60_000
    bound_steps: int = 2000
    cut_rounds: int = 6
    exact_nodes: int = 200
    gap_target: float = 0.0
    seed: int = 1


@dataclass(frozen=True, eq=False)
class SiteSelection:
    """
    A set of sites with a proven bound.

    Attributes
    ----------
    chosen
        New sites, rows of the coverage, in the order in which they should be built: each is the best next one
        of the set.
    locked
        Sites that were there before, rows of the coverage.
    objective
        [demand] Value of locked and chosen together.
    baseline
        [demand] Value of the locked sites alone.
    bound
        [demand] No set of the same size can be worth more (fewer for a cost: see ``sense``).
    curve
        [demand] Value after each pick, shape (len(chosen) + 1,); it starts at ``baseline`` and ends at
        ``objective``.
    method
        How the set and the bound were found.
    sense
        ``max`` where more is better (covering), ``min`` where less is (p-median).
    figures
        Further figures for the manifest (steps taken, size of the reduced problem …).
    envelope
        [demand] What no set of 0, 1, 2 … new sites can exceed, concave; None where the solver does not tell.
    """

    chosen: IntArray
    locked: IntArray
    objective: float
    baseline: float
    bound: float
    curve: FloatArray
    method: str
    sense: str = "max"
    figures: dict[str, Any] | None = None
    envelope: FloatArray | None = None

    @property
    def gap(self) -> float:
        """Proven gap, |bound − objective| / |objective|: 0 is optimal, inf where nothing is served."""
        return relative_gap(self.objective, self.bound)

    @property
    def gain_gap(self) -> float:
        """The same gap as a share of what the NEW sites add: stricter where the locked ones serve much."""
        return relative_gap(abs(self.objective - self.baseline), abs(self.bound - self.baseline))

    @property
    def is_optimal(self) -> bool:
        """True where the bound leaves no room beyond rounding (one part in a thousand million)."""
        return self.gap <= 1e-9


def relative_gap(objective: float, bound: float) -> float:
    """
    Distance between a bound and an objective as a share of the objective.

    Returns
    -------
    float
        0 where they agree (also where both are 0), inf where only the objective is 0.
    """
    if bound == objective:
        return 0.0
    return abs(bound - objective) / abs(objective) if objective else float("inf")
