"""The further questions of the page Sites, on a run whose files hold their answers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from tests.app.pages_driver import ROOT, opened, words
from ui.runs import Run
from ui.views.site_questions import each_further

SWEEP = [
    {"count": 10, "objective": 100.0, "share": 0.25, "bound": 100.0, "gap": 0.0, "bend": False},
    {"count": 20, "objective": 180.0, "share": 0.45, "bound": 181.0, "gap": 0.0056, "bend": True},
    {"count": 40, "objective": 200.0, "share": 0.5, "bound": 200.0, "gap": 0.0, "bend": False},
]
FUTURES = {
    "scenarios": [
        {"name": "as asked", "served": 300.0, "best_bound": 310.0, "regret": 0.01},
        {"name": "slow walkers", "served": 150.0, "best_bound": 170.0, "regret": 0.0725},
    ],
    "worst_regret": 0.0725,
    "worst_regret_bound": 0.0512,
}
KIND = {"count": 5, "cost": 150_000.0, "objective": 900.0, "baseline": 600.0, "unit": "cells", "weight": 2.0}
BUDGET = {"amount": 200_000.0, "spent": 150_000.0, "gap": 0.0034, "kinds": {"chargers": KIND}}


@pytest.fixture
def asked(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Open the page in a language on a copy of the run with these members in its facts, and a sum."""

    def show(language: str, budget: dict[str, Any] | None = None, **facts: Any) -> AppTest:
        folder = tmp_path / "asked"
        shutil.copytree(run.directory.path, folder)
        path = folder / "sites_chargers.json"
        path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | facts), "utf-8")
        if budget:
            (folder / "sites_budget.json").write_text(json.dumps(budget), "utf-8")
            manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
            manifest["outputs"]["sites_budget.json"] = manifest["outputs"]["sites_chargers.json"]
            (folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")
        monkeypatch.setenv("PROCHE_RUNS", str(folder))
        monkeypatch.setattr("sys.argv", ["app.py"])
        app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=800)
        return opened(app, "sites", kind="chargers", lang=language)

    return show


def _table(app: AppTest, index: str) -> Any:
    return next(t.value for t in app.table if t.value.index.name == index)


def test_a_sweep_shows_every_number_with_its_proof_and_marks_the_bend(asked: Any) -> None:
    app = asked("en", figures={"sweep": SWEEP})
    table = _table(app, "New sites")
    assert table.index.tolist() == ["10", "20", "40"]
    assert table["Share served"].tolist() == ["25.0%", "45.0%", "50.0%"]
    assert table["Each further site adds"].tolist() == ["–", "8", "1"]
    assert table["Proven gap"].tolist() == ["0.00%", "0.56%", "0.00%"]
    assert table["Bend"].tolist() == ["", "here", ""]
    assert "bends at **20** new sites, which serve 45.0%" in words(app)
    assert len(app.get("arrow_vega_lite_chart")) + len(app.get("vega_lite_chart")) == 1
    assert "More can be asked" not in words(app)


def test_what_one_more_site_adds() -> None:
    assert each_further(SWEEP) == [8.0, 1.0]


def test_futures_show_what_the_set_misses_in_each(asked: Any) -> None:
    app = asked("fr", figures=FUTURES)
    table = _table(app, "Avenir")
    assert table.index.tolist() == ["Comme demandé", "slow walkers"]
    assert [v.replace("\u202f", " ") for v in table["Manqué du meilleur connu"]] == ["1,00 %", "7,25 %"]
    assert "5,12" in words(app)


def test_a_sum_shows_its_parts(asked: Any) -> None:
    app = asked("en", budget=BUDGET)
    row = _table(app, "Kind").loc["Charging stations"]
    assert row.tolist() == ["5", "150,000", "300 cells", "2.0", "2.00"]
    assert "150,000 of 200,000 are spent (75%). Proven gap of the division: 0.34%" in words(app)


def test_minutes_are_not_called_residents(asked: Any) -> None:
    walked = {"mean_min_before": 9.04, "mean_min_after": 6.5}
    curve = [900.0, 700.0, 650.0, 640.0]
    app = asked("en", sense="min", unit="cells × min", curve=curve, bend=1, figures=walked)
    assert "**9.0\u00a0min** today, **6.5\u00a0min** with the new sites" in words(app)
    assert "bends after 1 sites (dashed): they bring 77% of what all 3 add" in words(app)
    told = [json.loads(e.proto.json) for e in app.get("bidi_component") if e.proto.json]
    texts = next(t["texts"]["value"] for t in told if "curve" in t)
    assert "person-minutes" in texts


def test_without_them_the_page_says_how_to_ask(asked: Any) -> None:
    assert "--kind chargers --sweep 20,40,60" in words(asked("en", figures={}))
