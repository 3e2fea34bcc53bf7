"""Accessibility of every page, measured by axe-core in both languages."""

from __future__ import annotations

import json
import time

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.e2e.conftest import ARTIFACTS, Server
from tests.e2e.driver import at_rest, open_map

pytestmark = pytest.mark.e2e

# Rules whose findings lie in Streamlit's own frame, which this project cannot change; each with what was found.
FRAME: dict[str, str] = {}
FADING_S = 20.0


@pytest.mark.parametrize("language", ["fr", "en"])
@pytest.mark.parametrize("name", ["", "gaps", "sites", "proposals", "programme", "about"])
def test_no_serious_finding(page: Page, server: Server, name: str, language: str) -> None:
    query = f"?lang={language}&category=sorting&layers=gaps"
    if name in ("programme", "about"):
        page.goto(f"{server.url}/{name}{query}")
        page.get_by_role("heading").nth(1).wait_for()
    else:
        open_map(page, server, f"{name}{query}")
    at_rest(page)
    # While a script runs, and for a moment after it, Streamlit fades what it replaces: a finding counts if it stays.
    end = time.monotonic() + FADING_S
    while True:
        found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
        serious = [v for v in found if v["impact"] in ("serious", "critical") and v["id"] not in FRAME]
        if not serious or time.monotonic() > end:
            break
        page.wait_for_timeout(1000)
    ARTIFACTS.mkdir(exist_ok=True)
    report = [
        {
            "id": v["id"],
            "help": v["help"],
            "nodes": [[n["html"][:300], n["failureSummary"][:300]] for n in v["nodes"]],
        }
        for v in found
    ]
    (ARTIFACTS / f"axe-{name or 'explore'}-{language}.json").write_text(json.dumps(report, indent=1))
    assert serious == [], [(v["id"], v["help"], [n["html"][:200] for n in v["nodes"]][:4]) for v in serious]


def test_the_page_tells_its_language(page: Page, server: Server) -> None:
    open_map(page, server, "?lang=fr")
    assert page.evaluate("document.documentElement.lang") == "fr"
    open_map(page, server, "?lang=en")
    assert page.evaluate("document.documentElement.lang") == "en"


def test_who_prefers_the_dark_sees_the_colours_that_were_measured(page: Page, server: Server) -> None:
    page.emulate_media(color_scheme="dark")
    open_map(page, server, "?lang=en")
    colours = [
        page.locator(place).first.evaluate("e => getComputedStyle(e).backgroundColor")
        for place in (".stApp", ".proche .legend")
    ]
    assert colours == ["rgb(251, 250, 247)", "rgb(255, 255, 255)"]
