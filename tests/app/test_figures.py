"""
Every figure on a page equals the run directory's.

What stands on each page is read off it and counted again here from the run's files, by pandas alone: none of the
code that writes the pages, and none of the engine, has a part in what is expected. The figures of the page Proposals
are held against `pipelines.proposals` in `test_proposals.py`, those of the browser's legend in
`tests/e2e/test_explore.py`.
"""

from __future__ import annotations

import json
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from tests.app.pages_driver import message, opened, words
from ui.language import Translator
from ui.layers.packing import unpack
from ui.runs import Run

LANGUAGES = ("fr", "en")


def table(run: Run, name: str) -> gpd.GeoDataFrame:
    return gpd.read_parquet(run.directory.path / f"{name}.parquet")


def number(text: str, language: str) -> float:
    """A figure as a reader of a language takes it, without its unit."""
    plain = text.replace("\u202f", "").replace("\u00a0", " ").replace("\u2212", "-").split(" ")[0].rstrip("%")
    return float(plain.replace(",", ".") if language == "fr" else plain.replace(",", ""))


def shown(app: AppTest, index: str) -> pd.DataFrame:
    """The table of a page whose rows are named so."""
    (found,) = [t.value for t in app.table if t.value.index.name == index]
    return found


@pytest.mark.parametrize("language", LANGUAGES)
def test_explore_tells_shares_and_worst_cells_of_the_file(app: AppTest, run: Run, language: str) -> None:
    t, cells = Translator(language), table(run, "cells")
    opened(app, "explore", lang=language, mode="bike", category="schools")
    glance = shown(app, t("cell.place")).to_numpy()
    for column, mode in enumerate(run.modes):
        # Without residents, a cell counts in a mode where it has a street of that mode: its score tells.
        people = cells["population"]
        weight = people if people.notna().any() else cells[f"{mode}_score"].notna() * 1.0
        within = [cells[f"{mode}_{c}_minutes"] <= 15 for c in run.categories]
        for row, served in enumerate([*within, np.logical_and.reduce(within)]):
            share = round(100 * weight[served].sum() / weight.sum())
            assert number(glance[row, column], language) == share
    worst = shown(app, t("cell.heading"))
    slowest = cells[~cells["no_network"]].set_index("h3_cell")["bike_schools_minutes"]
    for cell, row in worst.iterrows():
        assert number(row.iloc[0], language) == pytest.approx(slowest[cell], abs=0.0501)
    assert slowest[worst.index].min() >= slowest.drop(worst.index).max()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("category", [None, "sorting"])
def test_gaps_tell_cells_minutes_and_what_is_missing(
    app: AppTest, run: Run, language: str, category: str | None
) -> None:
    gaps = table(run, "gaps")
    mine = gaps[(gaps["mode"] == "walk") & (gaps["category"] == (category or "all"))].sort_values("rank")
    opened(app, "gaps", lang=language, mode="walk", **({"lacking": category} if category else {}))
    blocks = [m.value.replace("\\", "") for m in app.markdown]
    t = Translator(language)
    for _, gap in mine.iterrows():
        (where,) = [i for i, text in enumerate(blocks) if text.startswith(f"**{gap['rank']}. ")]
        said = blocks[where + 1]
        minutes = f"{gap['mean_minutes']:.1f}".replace(".", "," if language == "fr" else ".")
        assert said.startswith(f"{gap['cells']} ")
        assert f" {minutes} min" in said
        for missing in gap["missing"].split(";"):
            name = run.label(missing, language) or t.known("category", missing)
            assert name.lower() in said.lower()
    assert words(app).count(t("gaps.show")) == 0, "buttons are no figures"
    heading = next(m.value for m in app.markdown if m.value.startswith("### "))
    assert [number(x, language) for x in heading.split() if x.isdigit()][-1] == mine["cells"].sum()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", ["chargers", "sorting", "trees"])
def test_sites_tell_what_each_adds_and_the_curve(app: AppTest, run: Run, language: str, kind: str) -> None:
    t, sites = Translator(language), table(run, f"sites_{kind}")
    facts = json.loads((run.directory.path / f"sites_{kind}.json").read_text())
    opened(app, "sites", lang=language, kind=kind)
    rows = shown(app, t("sites.rank"))
    new = sites[sites["rank"] > 0].set_index("rank")
    assert [int(r) for r in rows.index] == sorted(new.index)[: len(rows)]
    for rank, row in rows.iterrows():
        site = new.loc[int(rank)]
        assert number(row[t("sites.adds")], language) == pytest.approx(site["newly_served"], abs=0.501)
        if np.isfinite(site["nearest_existing_m"]):
            assert number(row[t("sites.nearest")], language) == pytest.approx(
                site["nearest_existing_m"], abs=0.501
            )
        assert (site["name"] or t("sites.unnamed")) in row[t("sites.where")]
    (curve,) = [d for e in app.get("bidi_component") if (d := told(e)) and "curve" in d]
    assert curve["curve"] == facts["curve"]
    assert curve["bend"] == (facts["bend"] or 0)
    drawn = message(app)[0]["overlays"]["sites"]["features"]
    assert [f["properties"]["rank"] for f in drawn] == sites["rank"].tolist()
    assert [f["properties"]["locked"] for f in drawn] == sites["locked"].tolist()


def told(element: Any) -> dict[str, Any] | None:
    """What a component was told, as JSON; None where it was told bytes."""
    return json.loads(element.proto.json) if element.proto.json else None


@pytest.mark.parametrize("language", LANGUAGES)
def test_programme_tells_what_the_tables_hold(app: AppTest, run: Run, language: str) -> None:
    t = Translator(language)
    opened(app, "programme", lang=language)
    here = shown(app, t("programme.target")).iloc[:, 1]
    places, trees = (
        table(run, "opportunities"),
        json.loads((run.directory.path / "sites_trees.json").read_text()),
    )
    green = places[places["category"] == "green"]
    area = green.to_crs(green.estimate_utm_crs()).area.sum() / 1e4
    assert number(here[t("target.sorting")], language) == (places["category"] == "sorting").sum()
    assert (
        number(here[t("target.charger_stations")], language) == table(run, "sites_chargers")["locked"].sum()
    )
    assert str(trees["figures"]["existing"]) in here[t("target.trees")]
    assert number(here[t("target.green")], language) == pytest.approx(area, rel=0.01)
    assert here[t("target.roofs")] == t("programme.unknown")
    bike = table(run, "network_bike_edges").drop_duplicates("street")
    low, high = here[t("target.bike")].replace("\u00a0", " ").removesuffix(" km").split("–")
    kilometres = bike.loc[bike["highway"] == "cycleway", "length_m"].sum() / 1000
    assert number(low, language) == pytest.approx(kilometres, abs=0.0501)
    assert number(low, language) <= number(high, language) <= bike["length_m"].sum() / 1000


@pytest.mark.parametrize("language", LANGUAGES)
def test_about_tells_sources_counts_and_confidence(app: AppTest, run: Run, language: str) -> None:
    t, places, cells = Translator(language), table(run, "opportunities"), table(run, "cells")
    opened(app, "about", lang=language)
    metrics = {m.label: m.value for m in app.metric}
    assert number(metrics[t("about.cells")], language) == len(cells)
    assert number(metrics[t("about.edge_cells")], language) == round(100 * cells["edge_affected"].mean())
    assert number(metrics[t("about.no_network")], language) == cells["no_network"].sum()
    rejected, of = metrics[t("about.rejected")].split(" / ")
    assert (number(rejected, language), number(of, language)) == (
        (places["reason"].fillna("") != "").sum(),
        len(places),
    )
    rows = shown(app, t("cell.place"))
    counts = places["category"].value_counts()
    assert [number(x, language) for x in rows[t("about.places")]] == [counts[c] for c in run.categories]
    trust = pd.read_parquet(run.directory.path / "portrait.parquet")
    means = [trust[f"walk_{c}_confidence"].mean() for c in run.categories]
    assert [number(x, language) for x in rows[t("about.trust")]] == pytest.approx(means, abs=0.00501)
    sources = shown(app, t("about.role"))
    assert [x.removesuffix("…") for x in sources["SHA-256"]] == [
        entry["sha256"][:12] for entry in run.manifest["inputs"]
    ]


def test_the_map_is_told_the_column_in_full(app: AppTest, run: Run) -> None:
    cells = table(run, "cells")
    for mode in run.modes:
        for show, column in (("p90", "p90_minutes"), ("n10", "n10"), ("second", "second_minutes")):
            opened(app, "explore", mode=mode, show=show, category="green")
            (_, arrays) = next(unpack(e.proto.bytes) for e in app.get("bidi_component") if e.proto.bytes)
            file = cells[f"{mode}_green_{column}"].to_numpy(float)
            np.testing.assert_allclose(arrays["values"], np.where(np.isnan(file), 1e9, file), rtol=1e-6)
