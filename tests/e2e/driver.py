"""What a person does on the map, in words of the tests."""

from __future__ import annotations

import io
import math
import re
import time
from collections.abc import Callable

import numpy as np
from PIL import Image
from playwright.sync_api import Page

from tests.e2e.conftest import PATIENCE_S, Server


def until(page: Page, check: Callable[[], bool], what: str, *, within_s: float = PATIENCE_S) -> None:
    """Wait for a condition, and not for a time: a loaded machine may take its time, a quick one does not wait."""
    end = time.monotonic() + within_s
    while not check():
        assert time.monotonic() < end, f"after {within_s:.0f} s there is still not: {what}"
        page.wait_for_timeout(50)


def open_map(page: Page, server: Server, query: str = "") -> None:
    """Open a page (``gaps?mode=bike``) and wait until its first picture stands and nothing runs any more."""
    page.goto(f"{server.url}/{query}")
    page.locator(".proche[data-shown]").first.wait_for()
    at_rest(page)


def at_rest(page: Page) -> None:
    """Wait until the script has ended and every map on the page has stopped moving."""
    page.locator('[data-testid="stApp"][data-test-script-state="notRunning"]').wait_for()
    maps = page.locator(".proche:has(> .canvas)")
    still = page.locator(".proche[data-shown][data-still]")
    until(page, lambda: maps.count() == still.count(), "a map at rest")


def shown(page: Page) -> str:
    return page.locator(".proche[data-shown]").first.get_attribute("data-shown") or ""


def change(page: Page, act: Callable[[], object]) -> None:
    """Do something that changes the map, and wait until the new picture stands."""
    before = shown(page)
    act()
    until(page, lambda: shown(page) not in ("", before), "a new picture")
    at_rest(page)


def move(page: Page, act: Callable[[], object]) -> None:
    """Do something that moves the camera, and wait until it has come to rest elsewhere."""
    before = camera(page)
    act()
    until(page, lambda: camera(page) != before, "a camera that moved")
    at_rest(page)


def picture(page: Page) -> np.ndarray:
    raw = page.locator(".proche .canvas").screenshot()
    return np.asarray(Image.open(io.BytesIO(raw)).convert("RGB")).astype(int)


def camera(page: Page) -> tuple[float, float, float]:
    """Zoom, latitude and longitude as the address tells them."""
    found = re.fullmatch(r"#map=([\d.]+)/(-?[\d.]+)/(-?[\d.]+)", page.evaluate("location.hash"))
    assert found, f"the address has no camera: {page.url}"
    zoom, lat, lon = found.groups()
    return float(zoom), float(lat), float(lon)


def mercator(lon: float, lat: float) -> tuple[float, float]:
    return (lon + 180) / 360, (1 - math.asinh(math.tan(math.radians(lat))) / math.pi) / 2


def click_at(page: Page, lon: float, lat: float) -> None:
    zoom, lat0, lon0 = camera(page)
    box = page.locator(".proche .canvas").bounding_box()
    (x, y), (x0, y0), world = mercator(lon, lat), mercator(lon0, lat0), 512 * 2**zoom
    page.mouse.click(
        box["x"] + box["width"] / 2 + (x - x0) * world, box["y"] + box["height"] / 2 + (y - y0) * world
    )


def pick(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).or_(
        page.get_by_role("radio", name=name, exact=True)
    ).click()
