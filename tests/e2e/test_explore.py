"""The page Explore in a real browser, on the real demonstration."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import ROOT, Server, keep
from tests.e2e.driver import change, click_at, open_map, pick, picture
from ui.runs import Run

pytestmark = pytest.mark.e2e


def test_mode_and_category_change_the_picture_and_the_numbers(page: Page, server: Server) -> None:
    open_map(page, server, "?mode=walk&category=sorting&lang=en")
    legend = page.locator(".proche .legend")
    expect(legend).to_contain_text("On foot to the nearest: sorting points")
    first, words = picture(page), legend.inner_text()
    change(page, lambda: pick(page, "By bike"))
    second = picture(page)
    expect(legend).to_contain_text("By bike to the nearest: sorting points")
    assert (np.abs(first - second).max(axis=2) > 20).mean() > 0.02
    assert legend.inner_text() != words
    words = legend.inner_text()
    change(page, lambda: pick(page, "Shops"))
    expect(legend).to_contain_text("By bike to the nearest: shops")
    assert (np.abs(second - picture(page)).max(axis=2) > 20).mean() > 0.005
    assert legend.inner_text() != words
    assert "mode=bike" in page.url
    assert "category=shops" in page.url


def test_a_click_shows_the_figures_of_the_cell(page: Page, server: Server) -> None:
    cells = gpd.read_parquet(server.runs[0] / "cells.parquet")
    cell = cells[cells["walk_shops_minutes"].notna() & ~cells["no_network"]].iloc[len(cells) // 3]
    centre = cell.geometry.centroid
    open_map(page, server, "?mode=walk&category=shops&lang=en")
    change(page, lambda: click_at(page, centre.x, centre.y))
    body = page.locator("body")
    expect(body).to_contain_text(cell["h3_cell"])
    expect(body).to_contain_text(f"{cell['walk_shops_minutes']:.1f}\u00a0min")
    assert f"cell={cell['h3_cell']}" in page.url
    keep(page, "explore-cell")


def test_layers_units_and_attribution_are_visible(page: Page, server: Server) -> None:
    open_map(page, server, "?mode=walk&category=shops&lang=en")
    expect(page.get_by_text("© OpenStreetMap contributors")).to_be_visible()
    expect(page.locator(".proche .legend")).to_contain_text("minutes, mean over the streets of a cell")
    before = picture(page)
    change(page, lambda: pick(page, "Places"))
    assert (np.abs(before - picture(page)).max(axis=2) > 60).sum() > 200


def test_the_cutoff_moves_in_the_browser_and_ends_up_in_the_address(page: Page, server: Server) -> None:
    cells = gpd.read_parquet(server.runs[0] / "cells.parquet")
    open_map(page, server, "?mode=walk&category=sorting&lang=en")
    slider = page.get_by_role("slider", name="Cutoff in minutes")
    before = picture(page)
    change(page, lambda: [slider.focus(), slider.press("Home")])
    assert (np.abs(before - picture(page)).max(axis=2) > 20).mean() > 0.02
    page.wait_for_url("**cutoff=5**")
    weight = Run.open("demo", server.runs[0]).weight
    served = weight[(cells["walk_sorting_minutes"] <= 5).to_numpy()].sum()
    expect(page.locator(".proche .served")).to_contain_text(f"({served:,.0f})")


def test_the_legend_tells_the_shares_of_the_summary(page: Page, server: Server) -> None:
    modes = json.loads((server.runs[0] / "summary.json").read_text())["modes"]
    open_map(page, server, "?mode=walk&category=schools&lang=en")
    for mode, name in (("walk", "On foot"), ("street30", "By car at 30 km/h")):
        if mode != "walk":
            change(page, lambda name=name: pick(page, name))
        told = modes[mode]["categories"]["schools"]
        says = f"{100 * told['share']:.0f}% of cells ({told['served']:.0f}) within 15 min"
        expect(page.locator(".proche .served")).to_have_text(says)
    expect(page.locator(".proche .extra")).to_contain_text("No street (6)")


def test_the_picture_of_the_readme(page: Page, server: Server) -> None:
    open_map(page, server, "?mode=walk&category=sorting&layers=places+gaps&lang=en")
    made = keep(page, "map")
    image = picture(page)
    assert len(np.unique(image.reshape(-1, 3)[::7], axis=0)) > 200, "the picture is nearly blank"
    target = ROOT / "docs" / "images" / "map.png"
    if not target.exists() or os.environ.get("PROCHE_UPDATE_IMAGES"):
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(made, Path(target))
