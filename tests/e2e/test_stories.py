"""User stories of planners and juries, one test each, in a real browser on the real demonstration."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely
from PIL import Image
from playwright.sync_api import Page, expect

from pipelines.explain import explain_cell
from pipelines.rundir import RunDirectory
from tests.e2e.conftest import ROOT, Server, keep
from tests.e2e.driver import at_rest, camera, change, click_at, move, open_map, pick, picture, shown, until

pytestmark = pytest.mark.e2e


def test_a_shared_link_opens_the_same_view(page: Page, server: Server) -> None:
    cell = gpd.read_parquet(server.runs[0] / "cells.parquet")["h3_cell"].iloc[40]
    open_map(
        page,
        server,
        f"?mode=bike&category=green&cutoff=9&cell={cell}&layers=places&lang=fr#map=15.20/60.17000/24.94500",
    )
    assert camera(page) == (15.2, 60.17, 24.945)
    expect(page.locator(".proche .legend")).to_contain_text("À vélo jusqu’au plus proche : espaces verts")
    expect(page.locator(".proche .served")).to_contain_text("à moins de 9 min")
    expect(page.locator("body")).to_contain_text(cell)
    address, before = page.url, picture(page)
    other = page.context.new_page()
    other.goto(address)
    other.locator(".proche[data-shown]").first.wait_for()
    at_rest(other)
    assert other.url == address
    assert (np.abs(picture(other) - before).max(axis=2) > 30).mean() < 0.01
    other.close()


def test_the_camera_stays_through_reruns_and_pages(page: Page, server: Server) -> None:
    open_map(page, server, "?lang=en")
    page.locator(".proche .maplibregl-canvas").click(position={"x": 5, "y": 5})
    move(page, lambda: page.keyboard.press("Equal"))
    zoomed = camera(page)
    change(page, lambda: pick(page, "By bike"))
    assert camera(page) == zoomed
    page.get_by_role("link", name="Gaps").first.click()
    page.wait_for_url("**/gaps**")
    page.locator(".proche[data-shown]").first.wait_for()
    at_rest(page)
    assert camera(page)[0] == pytest.approx(zoomed[0], abs=0.01)
    assert "mode=bike" in page.url


def test_back_and_forward_restore_the_earlier_views(page: Page, server: Server) -> None:
    def seen() -> tuple[list[str], tuple[float, float, float]]:
        page.locator(".proche[data-shown]").first.wait_for()
        at_rest(page)
        pressed = page.get_by_role("radio", checked=True)
        return [b.inner_text() for b in pressed.all()], camera(page)

    def travels(step: Callable[[], object], view: object) -> None:
        step()
        until(page, lambda: seen() == view, f"the view {view}")

    open_map(page, server, "?lang=en")
    first = seen()
    change(page, lambda: pick(page, "By bike"))
    move(page, lambda: page.get_by_role("button", name="Zoom in").click())
    second = seen()
    page.get_by_role("link", name="Gaps").first.click()
    page.wait_for_url("**/gaps?run**")
    gaps = seen()
    change(page, lambda: pick(page, "Schools"))
    third = seen()
    page.get_by_role("link", name="About the data").first.click()
    page.wait_for_url("**/about?run**")
    travels(page.go_back, third)
    assert "/gaps?" in page.url
    assert "lacking=schools" in page.url
    travels(page.go_back, gaps)
    travels(page.go_back, second)
    travels(page.go_back, first)
    assert first[0] != second[0]
    assert first[1] != second[1]
    travels(page.go_forward, second)
    address = page.url
    page.wait_for_timeout(1500)
    assert page.url == address, "the address must come to rest"


def test_back_leaves_a_map_that_was_opened_without_a_view_in_one_press(page: Page, server: Server) -> None:
    page.goto("about:blank")
    open_map(page, server)
    first = page.url
    assert "run=" in first
    change(page, lambda: pick(page, "By bike"))
    page.go_back()
    page.wait_for_url(first)
    at_rest(page)
    page.evaluate("history.back()")
    page.wait_for_url("about:blank")


def test_back_returns_from_a_street_that_was_searched(page: Page, server: Server) -> None:
    name = gpd.read_parquet(server.runs[0] / "network_walk_edges.parquet")["name"].dropna().iloc[0]
    open_map(page, server, "?lang=en")
    before = camera(page)
    page.get_by_label("Find a street or a place").fill(name)
    page.keyboard.press("Enter")
    hit = page.get_by_role("button", name=name).first
    move(page, hit.click)
    page.go_back()
    until(page, lambda: camera(page) == before, "the place before the search")


def test_the_field_for_files_speaks_the_language_of_the_page(page: Page, server: Server) -> None:
    open_map(page, server, "proposals?lang=fr")
    field = page.get_by_test_id("stFileUploader")
    expect(field).to_contain_text("Choisir un fichier")
    expect(field).not_to_contain_text("Upload")
    expect(field).not_to_contain_text("per file")
    expect(field.locator("input")).to_have_attribute("aria-label", "Choisir un fichier")
    refused = (
        ("large.geojson", 3_000_000, "Le fichier est trop grand. 2"),
        ("letter.txt", 9, "pas un fichier GeoJSON"),
    )
    for name, size, says in refused:
        file = {"name": name, "mimeType": "text/plain", "buffer": b" " * size}
        field.locator("input").set_input_files(file)
        refusal = field.get_by_role("alert").filter(has_text=says)
        expect(refusal).to_be_visible()
        assert refusal.bounding_box()["width"] > 50, "what is wrong is told to those who see as well"
    expect(field).not_to_contain_text("Error")
    expect(field.get_by_role("button", name="Retirer large.geojson")).to_be_visible()
    keep(page, "uploads-refused-fr")


def test_the_address_keeps_its_camera_when_the_server_rewrites_it(page: Page, server: Server) -> None:
    open_map(page, server, "?lang=en")
    before = camera(page)
    page.evaluate("history.pushState({}, '', location.pathname + location.search + '&late=1')")
    assert "&late=1#map=" in page.url
    assert camera(page) == before
    page.get_by_role("link", name="About the data").first.click()
    page.wait_for_url("**/about**")
    page.get_by_text("ODbL").first.wait_for()
    assert "#map=" not in page.url, "a page without a map has no camera"


def test_what_is_seen_is_saved_as_a_picture(page: Page, server: Server) -> None:
    open_map(page, server, "?category=sorting&lang=en")
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Save the picture (PNG)").click()
    saved = waiting.value
    assert saved.suggested_filename.endswith("walk_sorting_minutes.png")
    image = Image.open(saved.path()).convert("RGB")
    canvas = page.locator(".proche .canvas").bounding_box()
    assert image.width == round(canvas["width"])
    assert image.height > canvas["height"]
    assert len(np.unique(np.asarray(image).reshape(-1, 3)[::5], axis=0)) > 200


@pytest.mark.parametrize("form", ["CSV", "GeoJSON", "GeoPackage"])
def test_what_is_seen_is_saved_as_data(page: Page, server: Server, form: str) -> None:
    cells = gpd.read_parquet(server.runs[0] / "cells.parquet")
    open_map(page, server, "?mode=bike&category=schools&lang=en")
    with page.expect_download() as waiting:
        page.get_by_role("button", name=f"Download {form}").click()
    path = Path(waiting.value.path())
    column = "bike_schools_minutes"
    if form == "CSV":
        rows = list(csv.DictReader(io.StringIO(path.read_text("utf-8-sig"))))
        found = [float(r[column]) if r[column] else np.nan for r in rows]
    elif form == "GeoJSON":
        found = [f["properties"][column] for f in json.loads(path.read_text())["features"]]
    else:
        with sqlite3.connect(path) as database:
            found = [r[0] for r in database.execute(f"select {column} from cells order by fid")]
    np.testing.assert_allclose(np.array(found, dtype=float), cells[column].to_numpy(float), rtol=1e-12)


def test_two_layers_side_by_side_move_together(page: Page, server: Server) -> None:
    open_map(page, server, "?lang=en")
    page.get_by_text("Compare two layers").click()
    expect(page.locator(".proche .canvas")).to_have_count(2)
    expect(page.locator(".proche[data-shown]")).to_have_count(2)
    at_rest(page)
    left, right = page.locator(".proche .canvas").all()
    before = right.screenshot()
    left.locator(".maplibregl-canvas").click(position={"x": 5, "y": 5})
    move(page, lambda: page.keyboard.press("Equal"))
    assert right.screenshot() != before
    keep(page, "compare")


def test_a_street_is_found_by_name_and_flown_to(page: Page, server: Server) -> None:
    open_map(page, server, "?lang=en")
    before = camera(page)
    page.get_by_label("Find a street or a place").fill("snellman")
    page.keyboard.press("Enter")
    move(page, page.get_by_role("button", name="Snellmaninkatu · street").click)
    assert camera(page)[0] > before[0]


def test_proposals_are_compared_on_maps_that_show_the_same_place(page: Page, server: Server) -> None:
    open_map(page, server, "proposals?lang=en&category=sorting")
    for letter, file in (("A", "school"), ("B", "calm")):
        page.get_by_role("radio", name=letter, exact=True).click()
        expect(page.get_by_text(f"Upload as proposal {letter}")).to_be_visible()
        path = ROOT / "configs" / "proposals" / f"helsinki-{file}.geojson"
        page.get_by_test_id("stFileUploader").locator("input").set_input_files(path)
        expect(page.get_by_role("columnheader", name=letter, exact=True)).to_be_visible()
        at_rest(page)
    page.get_by_text("Maps side by side").click()
    expect(page.locator(".proche[data-shown]")).to_have_count(3)
    at_rest(page)
    before, started = camera(page), [c.screenshot() for c in page.locator(".proche .canvas").all()]
    page.locator(".proche .maplibregl-canvas").nth(2).focus()
    move(page, lambda: page.keyboard.press("Equal"))
    assert camera(page)[0] > before[0], "the address follows the first map, which follows the one that moves"
    moved = [c.screenshot() for c in page.locator(".proche .canvas").all()]
    assert all(a != b for a, b in zip(started, moved, strict=True))
    keep(page, "proposals-beside")


def test_a_cell_tells_its_proof_its_way_and_its_isochrones(page: Page, server: Server) -> None:
    cells = gpd.read_parquet(server.runs[0] / "cells.parquet")
    far = cells[cells["walk_sorting_minutes"] > 16].iloc[3]
    told = explain_cell(RunDirectory.open(server.runs[0]), far["h3_cell"], mode="walk")["categories"][
        "sorting"
    ]
    open_map(page, server, "?mode=walk&category=sorting&lang=en")
    before = picture(page)
    change(page, lambda: click_at(page, far.geometry.centroid.x, far.geometry.centroid.y))
    body = page.locator("body")
    for key in ("nearest", "runner_up"):
        expect(body).to_contain_text(f"{told[key]['name']}, {told[key]['minutes']:.1f}\u00a0min.")
    expect(body).to_contain_text(f"{-told['slack_min']:.1f}\u00a0min over 15 min.")
    expect(body).to_contain_text("Least effort: ")
    key = page.locator(".proche .key")
    expect(key).to_contain_text("The way to the nearest place")
    assert (np.abs(before - picture(page)).max(axis=2) > 60).sum() > 200
    change(page, lambda: pick(page, "Isochrones of the cell"))
    expect(key).to_contain_text("Reached within 5, 10, 15 min from the cell")
    expect(page.locator(".proche .canvas")).to_contain_text("15\u00a0min")
    keep(page, "proof")


def test_a_place_a_link_and_a_speed_are_drawn_and_taken_back(page: Page, server: Server) -> None:
    open_map(page, server, "proposals?lang=en&category=sorting")
    gaps = gpd.read_parquet(server.runs[0] / "gaps.parquet")
    middle = (
        gaps[(gaps["mode"] == "walk") & (gaps["category"] == "sorting")]
        .iloc[0]
        .geometry.representative_point()
    )
    streets = gpd.read_parquet(server.runs[0] / "network_walk_edges.parquet").geometry
    nearest = np.argsort(shapely.distance(streets.to_numpy(), middle), kind="stable")
    ends = [streets.iloc[i].interpolate(0.5, normalized=True) for i in (nearest[0], nearest[40])]

    def draws(tool: str, hint: str, *clicks: shapely.Point, edits: int) -> None:
        page.get_by_text(tool, exact=True).click()
        expect(page.get_by_text(hint)).to_be_visible()
        at_rest(page)
        for click in clicks:
            click_at(page, click.x, click.y)
            if click is not clicks[-1]:
                expect(page.get_by_text("Now click the other end.")).to_be_visible()
                at_rest(page)
        count = "1 edit" if edits == 1 else f"{edits} edits"
        expect(page.get_by_text(f"Proposal A: {count}")).to_be_visible()
        expect(page.get_by_text("How it was understood")).to_be_visible()
        expect(page.get_by_test_id("stProgress")).to_have_count(0)
        at_rest(page)

    draws("Add a place", "Click where the place is to be", middle, edits=1)
    expect(page.locator(".proche .served")).to_contain_text("cells gain, 0 lose")
    draws("Add a link", "Click the two ends", *ends, edits=2)
    draws("Change a speed", "Click the street", ends[0], edits=3)
    for line in ("New place: Sorting points", "New link", "Street changed: 30 km/h"):
        expect(page.locator("body")).to_contain_text(line)
    keep(page, "proposal-drawn")
    undo = page.get_by_role("button", name="Undo")
    for edits in ("2 edits", "1 edit", "0 edits"):
        expect(undo).to_have_count(1)  # while a page is drawn anew, what stood elsewhere before fades
        undo.click()
        expect(page.get_by_text(f"Proposal A: {edits}")).to_be_visible()
    expect(page.locator(".proche .served")).to_contain_text("within 15 min")


def test_the_cutoff_plays_without_the_server(page: Page, server: Server) -> None:
    open_map(page, server, "?category=sorting&cutoff=10&lang=en")
    served = page.locator(".proche .served")
    first = served.inner_text()
    page.get_by_role("button", name="Play the cutoff").click()
    slider = page.locator(".proche input[type=range]").first
    until(page, lambda: int(slider.input_value()) >= 14, "a cutoff of 14 minutes")
    assert "cutoff=10" in page.url, "the address must wait until the slider rests"
    page.get_by_role("button", name="Pause").click()
    page.wait_for_url(lambda url: "cutoff=10" not in url)
    assert served.inner_text() != first


def test_a_gap_is_flown_to(page: Page, server: Server) -> None:
    open_map(page, server, "gaps?mode=walk&lang=en")
    gaps = gpd.read_parquet(server.runs[0] / "gaps.parquet")
    first = gaps[(gaps["mode"] == "walk") & (gaps["category"] == "all") & (gaps["rank"] == 1)].iloc[0]
    before = camera(page)
    change(page, page.get_by_role("button", name="Show on the map").first.click)
    assert "gap=walk-all-1" in page.url
    zoom, lat, lon = camera(page)
    assert zoom > before[0]
    west, south, east, north = first.geometry.bounds
    assert west < lon < east
    assert south < lat < north
    keep(page, "gaps")


def test_the_number_of_sites_moves_map_and_curve_at_once(page: Page, server: Server) -> None:
    facts = json.loads((server.runs[0] / "sites_sorting.json").read_text())
    open_map(page, server, "sites?kind=sorting&lang=en")
    slider = page.get_by_role("slider", name="Number of new sites")
    text = page.get_by_label("Sorting points").locator(".served")
    expect(text).to_contain_text(f"({facts['curve'][-1]:,.0f}, +")
    before = picture(page)
    slider.focus()
    slider.press("Home")
    expect(text).to_contain_text(f"({facts['curve'][0]:,.0f}, +0 on today)")
    page.wait_for_url("**sites=0**")
    until(
        page,
        lambda: (np.abs(before - picture(page)).max(axis=2) > 60).sum() > 400,
        "a map without the new sites",
    )
    keep(page, "sites")


def test_programme_and_about_speak_french(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/programme?lang=fr")
    expect(page.get_by_role("heading", name="Programme")).to_be_visible()
    expect(page.locator("body")).to_contain_text("ces données ne le disent pas")
    keep(page, "programme-fr")
    page.goto(f"{server.url}/about?lang=fr")
    expect(page.locator("body")).to_contain_text("La méthode en mots simples")
    expect(page.locator("body")).to_contain_text("ODbL")
    keep(page, "about-fr")


def test_the_map_works_with_the_keyboard_alone(page: Page, server: Server) -> None:
    open_map(page, server, "?lang=en")
    canvas = page.locator(".proche .maplibregl-canvas")
    canvas.focus()
    start = camera(page)
    move(page, lambda: page.keyboard.press("ArrowUp"))
    move(page, lambda: page.keyboard.press("Equal"))
    assert camera(page) != start
    page.keyboard.press("Enter")
    page.wait_for_url("**cell=**")


def test_a_tablet_shows_everything(page: Page, server: Server) -> None:
    page.set_viewport_size({"width": 820, "height": 1180})
    open_map(page, server, "?lang=fr&category=shops")
    expect(page.locator(".proche .legend")).to_be_visible()
    overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert overflow <= 1
    keep(page, "tablet")
    page.set_viewport_size({"width": 768, "height": 1024})
    page.reload()
    at_rest(page)
    opens = page.get_by_test_id("stExpandSidebarButton")
    assert "Réglages" in opens.evaluate("b => getComputedStyle(b, '::after').content"), (
        "the controls are named"
    )
    opens.click()
    expect(page.get_by_role("radio", name="À vélo")).to_be_visible()
    keep(page, "tablet-narrow")
    page.set_viewport_size({"width": 820, "height": 1180})
    page.reload()
    at_rest(page)
    cell = gpd.read_parquet(server.runs[0] / "cells.parquet").iloc[70]
    centre = cell.geometry.centroid
    before = shown(page)
    click_at(page, centre.x, centre.y)
    page.wait_for_url("**cell=**")
    assert before
