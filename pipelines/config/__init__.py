"""
The configuration of a run: strict, frozen, every key with a default, a unit and a sentence.

One module a section (`area`, `source`, `network`, `opportunity`, `population`, `scoring`, `raster`, `sites`), `whole`
for all of them together, `load` to read one, `fault` to say what is wrong with it.
"""

from pipelines.config.area import Area
from pipelines.config.load import load_config, parse_config
from pipelines.config.network import Bike, MajorRoadRules, Network, Street30, Walk
from pipelines.config.opportunity import Opportunity
from pipelines.config.population import Population
from pipelines.config.raster import Elevation, Heat
from pipelines.config.scoring import Scoring
from pipelines.config.sites import (
    Chargers,
    GreenSites,
    JointBudget,
    SiteKind,
    Sites,
    SiteScenario,
    SortingSites,
    StationKind,
    Trees,
)
from pipelines.config.source import FileSource, Source
from pipelines.config.value import MODES, DecayName, Mode, slug
from pipelines.config.whole import Config, config_schema

__all__ = [
    "MODES",
    "Area",
    "Bike",
    "Chargers",
    "Config",
    "DecayName",
    "Elevation",
    "FileSource",
    "GreenSites",
    "Heat",
    "JointBudget",
    "MajorRoadRules",
    "Mode",
    "Network",
    "Opportunity",
    "Population",
    "Scoring",
    "SiteKind",
    "SiteScenario",
    "Sites",
    "SortingSites",
    "Source",
    "StationKind",
    "Street30",
    "Trees",
    "Walk",
    "config_schema",
    "load_config",
    "parse_config",
    "slug",
]
