"""Mistakes that would give a run without meaning are refused in a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.compute import run
from pipelines.errors import ConfigError, SourceError
from tests.osm_town import osm_xml


@pytest.mark.parametrize(
    "rule",
    [
        "network.walk.wheelchair=true",
        "network.walk.profile='wheelchair'",
        "network.bike.max_lts=2",
        "network.street30.major.names=['Rue de Rivoli']",
    ],
)
def test_a_rule_that_reads_tags_is_refused_for_tables_of_streets(rule: str, tmp_path: Path) -> None:
    (tmp_path / "n.csv").write_text("node_id,lon,lat\n1,2.35,48.85\n2,2.351,48.85\n")
    (tmp_path / "e.csv").write_text("from,to,oneway,length_m\n1,2,0,80\n")
    (tmp_path / "town.toml").write_text(
        '[area]\nname = "T"\nbbox = [2.349, 48.849, 2.352, 48.851]\n'
        '[source]\nosm = "tables"\nnodes = "n.csv"\nedges = "e.csv"\n'
    )
    with pytest.raises(ConfigError, match=r"tags.*leave it out"):
        run(tmp_path / "town.toml", overrides=[rule], cache=tmp_path / "cache")


@pytest.mark.parametrize(
    ("ways", "bbox", "said"),
    [
        (
            [("AB", {"highway": "residential"})],
            [2.349, 48.849, 2.352, 48.851],
            r"covers 0\.0.*longitude comes first",
        ),
        ([], [0.0, 0.0, 0.001, 0.001], "holds no way"),
    ],
    ids=["elsewhere", "no ways"],
)
def test_an_extract_of_another_place_is_refused(
    ways: list[tuple[str, dict[str, str]]], bbox: list[float], said: str, tmp_path: Path
) -> None:
    (tmp_path / "town.osm").write_text(osm_xml("AB", ways))
    (tmp_path / "town.toml").write_text(f'[area]\nname = "T"\nbbox = {bbox}\n[source]\nosm = "town.osm"\n')
    with pytest.raises(SourceError, match=said):
        run(tmp_path / "town.toml", cache=tmp_path / "cache")
