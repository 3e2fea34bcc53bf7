"""The artifacts of a finished run, and which of its files lies in which."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.config import Mode
from pipelines.steps.area import StudyArea
from pipelines.store import Artifact


@dataclass(frozen=True, eq=False)
class Results:
    """Artifacts of a run, for export."""

    area: StudyArea
    modes: tuple[Mode, ...]
    categories: tuple[str, ...]
    extract: Artifact
    networks: dict[Mode, Artifact]
    opportunities: Artifact
    scores: Artifact
    portrait: Artifact
    gaps: Artifact
    sites: dict[str, Artifact]
    budget: Artifact | None

    def files(self) -> dict[str, Artifact]:
        """Every output of the run by name, and the artifact that holds it."""
        found: dict[str, Artifact] = {}
        for mode, artifact in self.networks.items():
            found |= {f"network_{mode}_{part}.parquet": artifact for part in ("nodes", "edges")}
        listed = ("opportunities.parquet", "access_points.parquet", "parks.csv")
        found |= {n: self.opportunities for n in listed if n in self.opportunities.record["files"]}
        found |= dict.fromkeys(("portrait.parquet", "summary.json"), self.portrait)
        found["cells.parquet"] = self.scores
        found["gaps.parquet"] = self.gaps
        for kind, artifact in self.sites.items():
            found |= {f"sites_{kind}.{suffix}": artifact for suffix in ("parquet", "json")}
        if self.budget is not None:
            found["sites_budget.json"] = self.budget
        found["features.parquet"] = self.extract
        return found
