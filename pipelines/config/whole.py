"""The whole configuration of a run."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

from pipelines.config.area import Area
from pipelines.config.network import Network
from pipelines.config.opportunity import Opportunity
from pipelines.config.population import Population
from pipelines.config.raster import Elevation, Heat
from pipelines.config.scoring import Scoring
from pipelines.config.sites import Sites
from pipelines.config.source import Source
from pipelines.config.value import MODES, CategoryName, Mode, Strict


class Config(Strict):
    """The whole configuration of a run."""

    area: Area
    source: Source
    network: Network = Network()
    opportunities: dict[CategoryName, Opportunity] = {}
    """Categories that replace the taxonomy's of the same name, or add to them."""
    population: Population = Population()
    scoring: Scoring = Scoring()
    sites: Sites = Sites()
    elevation: Elevation = Elevation()
    heat: Heat = Heat()

    @property
    def modes(self) -> tuple[Mode, ...]:
        """The modes of the run, in the order walk, bike, street30."""
        return tuple(m for m in MODES if getattr(self.network, m).enabled)

    @property
    def digest(self) -> str:
        """SHA-256 of the resolved configuration."""
        return sha256(
            json.dumps(self.model_dump(mode="json"), sort_keys=True, ensure_ascii=False).encode()
        ).hexdigest()


def config_schema() -> dict[str, Any]:
    """JSON Schema of the configuration."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Config.model_json_schema()}
