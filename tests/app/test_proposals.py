"""Drafts and the page Proposals: what is drawn is a proposal, and what it does is what the pipelines compute."""

from __future__ import annotations

import json
import time
from concurrent.futures import Future
from pathlib import Path
from threading import Event
from typing import ClassVar

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from engine.errors import InputError
from pipelines.comparison import compare
from pipelines.comparison_files import comparison_csv
from pipelines.dossier import dossier
from pipelines.proposals import apply, open_base
from tests.app.pages_driver import message, opened, words
from ui import rescoring
from ui.dossiers import dossiers, make, proposals_of
from ui.dossiers import steps_of as dossier_steps
from ui.drafting import MOST_EDITS, Draft, draft_from_file, link_edit, point_edit
from ui.layers.packing import unpack
from ui.rescoring import Rescorer, outcome, rescorer, steps_of
from ui.runs import Run
from ui.views.proposals import difference
from ui.work import StoppableProgress, StoppedError

SHOP = point_edit("add_amenity", 24.9451234567, 60.177, category="shops")
PLACE = point_edit("add_amenity", 24.944, 60.1775, category="sorting")
NOWHERE = point_edit("remove_amenity", 0.0, 0.0, category="shops")


def test_a_draft_grows_and_goes_back_without_changing() -> None:
    empty = Draft("A")
    one = empty.adding(SHOP)
    two = one.adding(link_edit((24.94, 60.17), (24.941, 60.17)))
    assert [len(d.features) for d in (empty, one, two)] == [0, 1, 2]
    assert two.undone() is one
    assert one.undone() is empty
    assert empty.undone() is empty
    assert two.cleared().features == ()
    assert two.cleared().undone() is two
    assert len({empty.digest, one.digest, two.digest}) == 3
    assert one.features[0]["geometry"]["coordinates"] == [24.945123, 60.177]


def test_a_draft_file_is_read_back_as_it_was() -> None:
    draft = Draft("Chaussée d'Antin").adding(SHOP)
    again = draft_from_file(json.dumps(draft.geojson).encode(), name="B")
    assert (again.name, again.features) == (draft.name, draft.features)
    assert again.digest == draft.digest


def test_what_a_file_says_of_itself_goes_into_the_dossier() -> None:
    said = {"author": "Ana", "description": "Two shops", "cost_eur": 250_000, "phases": ["2027", "2028"]}
    file = {"type": "FeatureCollection", "name": "Shops of Bonfim", **said, "features": [SHOP, SHOP]}
    draft = draft_from_file(json.dumps(file).encode(), name="B")
    assert draft.geojson == file
    [proposal] = proposals_of({"A": Draft("A"), "B": draft})
    assert (proposal.name, proposal.author, proposal.cost_eur) == ("B · Shops of Bonfim", "Ana", 250_000)
    assert proposals_of({"A": Draft("A").adding(SHOP)})[0].name == "A"
    dearer = draft_from_file(json.dumps({**file, "cost_eur": 1}).encode(), name="B")
    assert dearer.digest != draft.digest


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\xff\xfe\x00", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"{}", "FeatureCollection"),
        (b'{"type": "FeatureCollection", "features": [{"type": "Feature"}]}', "feature 1"),
        (b" " * 2_000_001, "at most 2 MB"),
        (
            json.dumps({"type": "FeatureCollection", "features": [SHOP] * (MOST_EDITS + 1)}).encode(),
            "at most 200",
        ),
    ],
)
def test_a_bad_file_is_refused_in_a_sentence(content: bytes, says: str) -> None:
    with pytest.raises(InputError, match=says):
        draft_from_file(content, name="A")


def test_an_edit_that_is_none_is_refused() -> None:
    with pytest.raises(InputError, match="edit"):
        Draft("A").adding(point_edit("add_magic", 0, 0))
    full = Draft("A", (SHOP,) * MOST_EDITS)
    with pytest.raises(InputError, match="at most"):
        full.adding(SHOP)


def test_a_gain_is_minutes_saved_and_new_reach_is_infinite() -> None:
    before, after = np.array([20, 5, np.nan, 8, np.nan]), np.array([12, 6, 9, np.nan, np.nan])
    np.testing.assert_array_equal(
        difference(before, after, more_is_better=False), [8, -1, np.inf, -np.inf, np.nan]
    )
    np.testing.assert_array_equal(difference(np.array([50.0]), np.array([70.0]), more_is_better=True), [20])


def test_one_content_is_computed_once_and_stopped_work_is_forgotten(
    demo_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    monkeypatch.setattr("ui.rescoring.outcome", lambda _run, draft, **_: calls.append(draft.digest))
    worker, opened_run = Rescorer(), Run.open("demo", demo_run)
    draft = Draft("A").adding(SHOP)
    first = worker.submit(opened_run, draft)
    assert worker.submit(opened_run, Draft("B").adding(SHOP)) is first
    first.future.result(10)
    assert calls == [draft.digest]
    worker.stop(opened_run, draft)
    assert first.waiting, "whoever still holds it must not take it for a result"
    assert worker.submit(opened_run, draft) is not first
    worker.pool.shutdown()


def test_a_rescoring_ends_at_its_next_step_once_stopped(run: Run) -> None:
    class StopsAfterTwo(StoppableProgress):
        def say(self, line: str) -> None:
            super().say(line)
            if self.steps == 2:
                self.stopped.set()

    rescoring._base.clear()
    progress = StopsAfterTwo()
    with pytest.raises(StoppedError):
        outcome(run, Draft("A").adding(SHOP), progress)
    assert progress.steps == 2, "in the middle of loading the run"
    whole = StoppableProgress()
    assert len(outcome(run, Draft("A").adding(SHOP), whole).rescored.cells) == len(run.cells)
    assert whole.steps == steps_of(run) == 4 * len(run.modes)


def test_what_an_edit_leaves_alone_keeps_the_figures_of_the_summary(run: Run) -> None:
    after = outcome(run, Draft("A").adding(SHOP), StoppableProgress()).summary["modes"]
    for mode in run.modes:
        for category in ("schools", "green", "sorting"):
            today = run.summary["modes"][mode]["categories"][category]
            for key in ("served", "share", "mean_minutes", "equity"):
                assert after[mode]["categories"][category][key] == today[key], (mode, category, key)


def test_stop_ends_the_work_and_takes_the_edit_back(
    app: AppTest, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, ended = Event(), Event()

    def endless(_run: Run, _draft: Draft, progress: StoppableProgress) -> None:
        begun.set()
        try:
            while True:
                progress.say("one more")
                time.sleep(0.01)
        finally:
            ended.set()

    monkeypatch.setattr("ui.rescoring.outcome", endless)
    opened(app, "proposals", lang="en")
    draft = Draft("A").adding(point_edit("add_amenity", 24.9431, 60.1711, category="schools"))
    app.session_state["drafts"]["A"] = draft
    app.run()
    assert not app.exception
    job = rescorer().submit(run, draft)
    assert job.waiting
    assert app.get("progress"), "long work shows how far it is"
    assert begun.wait(240), "the run is loaded first, on the same thread"
    app.button(key="stop").click().run()
    assert ended.wait(30), "the work goes on"
    assert not app.exception
    assert app.session_state["drafts"]["A"].features == ()
    assert rescorer().known(run, draft) is None
    assert not any(b.key == "stop" for b in app.button)
    assert message(app)[0]["scale"]["kind"] == "cutoff"


class EndsWhileThePageIsDrawn:
    """A job under way when the page first asks, and refused when it asks again."""

    def __init__(self) -> None:
        self.progress, self.future, self.asked = StoppableProgress(), Future[None](), 0
        self.future.set_exception(InputError("feature 1: no street of the run is meant; x"))

    @property
    def waiting(self) -> bool:
        self.asked += 1
        return self.asked == 1


def test_a_job_that_ends_while_the_page_is_drawn_is_noticed(
    app: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(app, "proposals", lang="en")
    job = EndsWhileThePageIsDrawn()
    monkeypatch.setattr(Rescorer, "submit", lambda _self, _run, _draft: job)
    monkeypatch.setattr(Rescorer, "known", lambda _self, _run, _draft: None)
    app.session_state["drafts"]["A"] = Draft("A").adding(SHOP)
    app.run()
    assert not app.exception
    assert "means no street of this run" in app.error[0].value


def test_a_link_that_was_begun_is_forgotten_with_its_tool(app: AppTest) -> None:
    opened(app, "proposals", lang="en")
    app.radio(key="tool").set_value("link").run()
    app.button(key="at_apply").click().run()
    assert "Now click the other end." in words(app)
    assert len(message(app)[0]["overlays"]["edits"]["features"]) == 1
    app.radio(key="tool").set_value("place").run()
    assert message(app)[0]["overlays"]["edits"]["features"] == []


def test_proposals_stand_side_by_side_in_figures_and_maps(app: AppTest, run: Run) -> None:
    opened(app, "proposals", lang="en", category="sorting", mode="walk")
    drafts = {"A": Draft("A").adding(PLACE), "B": Draft("B").adding(SHOP), "C": Draft("C").adding(NOWHERE)}
    app.session_state["drafts"] = drafts
    for draft in drafts.values():
        rescorer().submit(run, draft).future.exception(240)
    app.run()
    table = app.table[-1].value
    assert list(table.columns) == ["Today", "A", "B"]
    assert "Without figures: C." in words(app)
    after = rescorer().known(run, drafts["A"]).summary["modes"]["walk"]["categories"]["sorting"]
    shown = table.loc["Sorting points: mean minutes", "A"]
    assert shown.startswith(f"**{after['mean_minutes']:.2f}** (\u2212")
    assert table.loc["Sorting points: mean minutes", "B"].endswith(" (±0)")
    app.toggle(key="maps_beside").set_value(True).run()
    assert not app.exception
    maps = [unpack(e.proto.bytes) for e in app.get("bidi_component") if e.proto.bytes]
    assert [m[0]["legend"] for m in maps] == ["map", "map-A", "map-B"]
    np.testing.assert_array_equal(maps[0][1]["values"], maps[1][1]["values"])
    assert maps[1][1]["values"].max() > 1
    assert np.abs(maps[2][1]["values"]).max() == 0, "a shop moves no time to a sorting point"


def test_a_place_added_on_the_page_changes_the_map_as_the_pipelines_do(app: AppTest, run: Run) -> None:
    opened(app, "proposals", lang="en", mode="walk", category="sorting")
    lon, lat = 24.944, 60.1775
    app.radio(key="tool").set_value("place").run()
    app.selectbox(key="tool_category").select("sorting").run()
    app.number_input(key="at_lon").set_value(lon).run()
    app.number_input(key="at_lat").set_value(lat).run()
    app.button(key="at_apply").click().run()
    draft = app.session_state["drafts"]["A"]
    assert [f["properties"]["category"] for f in draft.features] == ["sorting"]
    rescorer().submit(run, draft).future.result(240)
    app.run()
    assert not app.exception
    header, arrays = message(app)
    base = open_base(run.directory)
    after = apply(base, draft.proposal).cells["walk_sorting_minutes"].to_numpy(float)
    gain = difference(run.values("walk_sorting_minutes"), after, more_is_better=False)
    np.testing.assert_allclose(arrays["values"], gain, rtol=1e-6, atol=1e-6)
    assert gain.max() > 1
    assert header["scale"]["kind"] == "change"
    assert header["overlays"]["edits"]["features"][0]["geometry"]["coordinates"] == [lon, lat]
    assert "Sorting points: mean minutes" in words(app)
    app.button(key="undo").click().run()
    assert app.session_state["drafts"]["A"].features == ()
    assert message(app)[0]["scale"]["kind"] == "cutoff"


def test_two_clicks_make_a_link(app: AppTest) -> None:
    opened(app, "proposals", lang="en")
    app.radio(key="tool").set_value("link").run()
    app.button(key="at_apply").click().run()
    assert app.session_state["drafts"]["A"].features == ()
    app.number_input(key="at_lat").set_value(60.1722).run()
    app.button(key="at_apply").click().run()
    (feature,) = app.session_state["drafts"]["A"].features
    assert feature["geometry"]["type"] == "LineString"


def test_a_proposal_that_cannot_be_is_refused_in_a_sentence(app: AppTest, run: Run) -> None:
    opened(app, "proposals", lang="en")
    draft = Draft("A").adding(point_edit("remove_amenity", 0.0, 0.0, category="shops"))
    app.session_state["drafts"]["A"] = draft
    job = rescorer().submit(run, draft)
    assert job.future.exception(240) is not None
    app.run()
    assert not app.exception
    assert "cannot be computed" in app.error[0].value


def test_the_dossier_is_made_in_the_background_and_is_the_command_s(app: AppTest, run: Run) -> None:
    opened(app, "proposals", lang="fr")
    assert not any(b.key == "dossier_make" for b in app.button), "without edits there is nothing to compare"
    drafts = {x: Draft(x) for x in "ABC"}
    drafts["B"] = drafts["B"].adding(SHOP)
    app.session_state["drafts"] = drafts
    app.run()
    app.button(key="dossier_make").click().run()
    made = dossiers().submit(run, drafts, "fr").future.result(timeout=600)
    app.run()
    assert not app.exception
    assert not any(b.key == "dossier_stop" for b in app.button)
    alone = compare(open_base(run.directory), [drafts["B"].proposal])
    assert made.html.decode() == dossier(alone, language="fr")
    assert made.csv.decode("utf-8-sig") == comparison_csv(alone)


def test_a_dossier_can_be_stopped_at_each_of_its_steps(run: Run) -> None:
    drafts = {"A": Draft("A").adding(PLACE)}

    class Counts(StoppableProgress):
        lines: ClassVar[list[str]] = []

        def say(self, line: str) -> None:
            super().say(line)
            self.lines.append(line)

    whole = Counts()
    make(run, proposals_of(drafts), "en", whole)
    assert whole.steps == dossier_steps(run, drafts)
    assert sum("draws" in line for line in whole.lines) == 10

    class StopsAmongTheDraws(StoppableProgress):
        def say(self, line: str) -> None:
            super().say(line)
            if "300 of" in line:
                self.stopped.set()

    progress = StopsAmongTheDraws()
    with pytest.raises(StoppedError):
        make(run, proposals_of(drafts), "en", progress)
    assert progress.stopped.is_set()
    assert progress.steps < whole.steps


def test_stopping_a_draft_ends_the_loading_unless_another_draft_waits_for_it(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended, begun = Event(), Event()

    def endless(_run: Run, *, progress: StoppableProgress) -> None:
        begun.set()
        try:
            while True:
                progress.say("one more")
                time.sleep(0.01)
        finally:
            ended.set()

    monkeypatch.setattr("ui.rescoring.base_of", endless)
    worker, mine, other = Rescorer(), Draft("A").adding(SHOP), Draft("A").adding(PLACE)
    worker.prepare(run)
    assert begun.wait(30)
    worker.submit(run, mine)
    worker.submit(run, other)
    worker.stop(run, mine)
    assert not ended.wait(0.2), "another draft waits for it"
    assert worker.steps(run, other) > 0, "loading shows how far it is"
    worker.stop(run, other)
    assert ended.wait(30), "nobody waits for it any more"
    worker.pool.shutdown()


def test_work_that_breaks_down_is_said_kept_and_tried_again(
    app: AppTest, run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tries = []

    def broken(_run: Run, _draft: Draft, progress: StoppableProgress) -> None:
        tries.append(1)
        raise ZeroDivisionError("a fault of the product")

    monkeypatch.setattr("ui.rescoring.outcome", broken)
    opened(app, "proposals", lang="en")
    draft = Draft("A").adding(point_edit("add_amenity", 24.9433, 60.1713, category="schools"))
    app.session_state["drafts"]["A"] = draft
    assert isinstance(rescorer().submit(run, draft).future.exception(60), ZeroDivisionError)
    app.run()
    assert not app.exception
    assert ["broke down" in e.value for e in app.error] == [True]
    assert app.session_state["drafts"]["A"] == draft
    app.button(key="again").click().run()
    assert isinstance(rescorer().submit(run, draft).future.exception(60), ZeroDivisionError)
    assert len(tries) == 2
    assert [r.exc_info[0] for r in caplog.records if r.exc_info] == [ZeroDivisionError] * 2
    app.run()
    app.button(key="undo").click().run()
    assert not app.exception
    assert not app.error
