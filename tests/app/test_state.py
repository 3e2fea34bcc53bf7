"""The view in the address: what goes out comes back, and nonsense does no harm."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ui.layers.scale import CITY_KINDS, Measure
from ui.runs import Run, find_runs, fingerprint
from ui.state import KINDS, OVERLAYS, View, language_from_query, view_from_query


def test_every_view_survives_the_address(run: Run) -> None:
    for kind in KINDS:
        view = View(
            mode=run.modes[-1],
            kind=kind,
            category=run.categories[0 if kind in CITY_KINDS else -1],
            cutoff_min=8,
            cell=run.cells["h3_cell"].iloc[3],
            overlays=("places", "sites"),
            gap=sorted(run.gap_names)[0] if run.gap_names else None,
            site_kind=run.site_kinds[0],
            sites=5,
            lacking=run.categories[-1],
            second=Measure(run.modes[0], kind, None if kind in CITY_KINDS else run.categories[0]),
        )
        assert view_from_query(view.to_query(), run) == view


def test_an_empty_address_is_the_default_view(run: Run) -> None:
    view = view_from_query({}, run)
    assert (view.mode, view.kind, view.category, view.cutoff_min) == (
        run.modes[0],
        "minutes",
        run.categories[0],
        15,
    )
    assert view.measure.column in run.cells.columns


_KEYS = st.sampled_from(
    [
        "mode",
        "show",
        "category",
        "cutoff",
        "cell",
        "layers",
        "district",
        "gap",
        "kind",
        "sites",
        "lacking",
        "beside",
    ]
)
_WORDS = [
    "../../etc/passwd",
    "<script>",
    "1e9",
    "-5",
    "٣",
    "15 ",
    "walk score shops",
    "walk n5",
    "bike minutes shops",
]
_NASTY = st.one_of(st.text(max_size=300), st.sampled_from(_WORDS))


@settings(max_examples=200)
@given(st.dictionaries(_KEYS, _NASTY))
def test_any_address_gives_a_view_that_the_run_has(run: Run, query: dict[str, str]) -> None:
    view = view_from_query(query, run)
    assert view.mode in run.modes
    assert view.measure.column in run.cells.columns
    assert 5 <= view.cutoff_min <= 30
    assert view.cell is None or view.cell in run.row_of
    assert set(view.overlays) <= set(OVERLAYS)
    assert view.site_kind is None or view.site_kind in run.site_kinds
    assert view.lacking is None or view.lacking in run.categories
    assert view.second is None or view.second.column in run.cells.columns


def test_the_language_is_the_address_then_the_browser_then_english() -> None:
    assert language_from_query({"lang": "fr"}, ["en-GB"]) == "fr"
    assert language_from_query({"lang": "<b>"}, ["de-DE", "fr-FR"]) == "fr"
    assert language_from_query({}, ["de"]) == "en"


def test_runs_are_found_by_argument_variable_or_folder(
    demo_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PROCHE_RUNS", raising=False)
    assert find_runs([], default=tmp_path) == {}
    (tmp_path / "unfinished").mkdir()
    (tmp_path / "linked").symlink_to(demo_run)
    assert list(find_runs([], default=tmp_path).values()) == [demo_run.resolve()]
    twice = find_runs([str(demo_run), str(demo_run)], default=tmp_path)
    assert list(twice) == [demo_run.resolve().name, f"{demo_run.resolve().name} (2)"]
    monkeypatch.setenv("PROCHE_RUNS", str(demo_run))
    assert list(find_runs([], default=tmp_path / "none").values()) == [demo_run.resolve()]
    assert fingerprint(demo_run) == fingerprint(demo_run)
