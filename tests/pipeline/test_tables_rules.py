"""Rules that read OpenStreetMap's tags are refused for tables of streets, never silently without effect."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.compute import run
from pipelines.errors import ConfigError


@pytest.mark.parametrize(
    "rule",
    [
        "network.walk.wheelchair=true",
        "network.walk.profile='wheelchair'",
        "network.bike.max_lts=2",
        "network.street30.major.names=['Rue de Rivoli']",
    ],
)
def test_a_rule_of_tags_is_refused(rule: str, tmp_path: Path) -> None:
    (tmp_path / "n.csv").write_text("node_id,lon,lat\n1,2.35,48.85\n2,2.351,48.85\n")
    (tmp_path / "e.csv").write_text("from,to,oneway,length_m\n1,2,0,80\n")
    (tmp_path / "town.toml").write_text(
        '[area]\nname = "T"\nbbox = [2.349, 48.849, 2.352, 48.851]\n'
        '[source]\nosm = "tables"\nnodes = "n.csv"\nedges = "e.csv"\n'
    )
    with pytest.raises(ConfigError, match=r"tags.*leave it out"):
        run(tmp_path / "town.toml", overrides=[rule], cache=tmp_path / "cache")
