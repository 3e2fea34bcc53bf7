"""What a person does on the map, in words of the tests."""

from __future__ import annotations

import io
import math
import re

import numpy as np
from PIL import Image
from playwright.sync_api import Page

from tests.e2e.conftest import Server


def open_map(page: Page, server: Server, query: str = "") -> None:
    """Open a page (``gaps?mode=bike``) and wait for its first picture."""
    page.goto(f"{server.url}/{query}")
    page.locator(".proche[data-shown]").first.wait_for()


def shown(page: Page) -> str:
    return page.locator(".proche[data-shown]").first.get_attribute("data-shown") or ""


def change(page: Page, act: object) -> None:
    """Do something that changes the map, and wait until the new picture stands."""
    before = shown(page)
    act()  # type: ignore[operator]
    page.wait_for_function(
        "before => { const find = (root) => root.querySelector('.proche[data-shown]')"
        " ?? [...root.querySelectorAll('*')].map((e) => e.shadowRoot && find(e.shadowRoot)).find(Boolean);"
        " const map = find(document); return map && map.dataset.shown !== before; }",
        arg=before,
    )


def picture(page: Page) -> np.ndarray:
    raw = page.locator(".proche .canvas").screenshot()
    return np.asarray(Image.open(io.BytesIO(raw)).convert("RGB")).astype(int)


def camera(page: Page) -> tuple[float, float, float]:
    page.wait_for_function("location.hash.startsWith('#map=')")
    zoom, lat, lon = re.fullmatch(r".*#map=([\d.]+)/(-?[\d.]+)/(-?[\d.]+)", page.url).groups()
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
