"""What the outside may not do to a running map."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import geopandas as gpd
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import PATIENCE_S, Server, keep, start_server
from tests.e2e.driver import at_rest, click_at, open_map

pytestmark = pytest.mark.e2e

HOSTILE = '<img src=x onerror="window.hacked=1">[x](javascript:window.hacked=1)**b** $x^2$ :red[r]'


def get(server: Server, path: str, **headers: str) -> tuple[int, bytes]:
    parts = urlsplit(server.url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=20)
    connection.putrequest("GET", path, skip_host="Host" in headers)
    for name, value in headers.items():
        connection.putheader(name.replace("_", "-"), value)
    connection.endheaders()
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body


@pytest.mark.parametrize(
    "path",
    [
        "/component/ui.assets.map_scripts/../../../../../../etc/passwd",
        "/component/ui.assets.map_scripts/..%2f..%2f..%2f..%2f..%2fetc%2fpasswd",
        "/component/ui.assets.map_files/%2e%2e/%2e%2e/etc/passwd",
        "/component/ui.assets.map_scripts//etc/passwd",
        "/component/ui.assets.map_scripts/..%5c..%5cassets.py",
        "/component/ui.assets.map_library/../__init__.py",
        "/app/static/../app.py",
    ],
)
def test_no_path_leaves_its_folder(server: Server, path: str) -> None:
    status, body = get(server, path)
    assert status in (400, 403, 404) or b"<!doctype html>" in body.lower()[:200]
    assert b"root:" not in body
    assert b"import" not in body[:400] or b"<!doctype html>" in body.lower()[:200]


def upgrade(server: Server, **headers: str) -> int:
    """Status of the answer to a request for a WebSocket."""
    parts = urlsplit(server.url)
    lines = {
        "Host": f"127.0.0.1:{parts.port}",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version": "13",
        **headers,
    }
    with socket.create_connection(("127.0.0.1", parts.port), timeout=20) as raw:
        raw.sendall(
            (
                "GET /_stcore/stream HTTP/1.1\r\n"
                + "".join(f"{k}: {v}\r\n" for k, v in lines.items())
                + "\r\n"
            ).encode()
        )
        return int(raw.recv(200).split()[1])


def test_a_foreign_origin_or_host_gets_no_session(server: Server) -> None:
    assert upgrade(server, Origin=server.url) == 101
    assert upgrade(server, Origin="https://evil.example") == 403
    port = urlsplit(server.url).port
    assert upgrade(server, Host=f"evil.example:{port}", Origin=f"http://evil.example:{port}") == 403


def test_an_upload_without_token_is_refused(server: Server) -> None:
    parts = urlsplit(server.url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=20)
    connection.request(
        "PUT", "/_stcore/upload_file/session/file", body=b"x", headers={"Content-Type": "multipart/form-data"}
    )
    assert connection.getresponse().status in (400, 403, 404)
    connection.close()


@pytest.fixture(scope="module")
def hostile_server(demo_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The demonstration with markup in every name that comes from data."""
    folder = tmp_path_factory.mktemp("hostile") / "run"
    shutil.copytree(demo_run, folder)
    for name, column in (
        ("opportunities", "name"),
        ("network_walk_edges", "name"),
        ("sites_sorting", "name"),
    ):
        table = gpd.read_parquet(folder / f"{name}.parquet")
        table[column] = HOSTILE
        table.to_parquet(folder / f"{name}.parquet")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["config"]["area"]["name"] = HOSTILE
    manifest["attribution"] = [HOSTILE]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    running = start_server([folder], tmp_path_factory.mktemp("hostile-server") / "log.txt")
    yield running
    running.process.terminate()
    running.process.wait(20)


@pytest.mark.parametrize("name", ["", "gaps", "sites", "proposals", "programme", "about"])
def test_nothing_from_data_is_read_as_markup(page: Page, hostile_server: Server, name: str) -> None:
    page.goto(f"{hostile_server.url}/{name}?lang=en&category=sorting&layers=places+gaps+sites")
    page.get_by_role("heading").nth(1).wait_for()
    if name not in ("programme", "about"):
        page.locator(".proche[data-shown]").first.wait_for()
    if name == "":
        page.get_by_label("Find a street or a place").fill("img src")
        page.keyboard.press("Enter")
        expect(page.get_by_role("button", name="onerror").first).to_be_visible()
        places = gpd.read_parquet(hostile_server.runs[0] / "opportunities.parquet")
        point = places[places["category"] == "sorting"].geometry.iloc[0].representative_point()
        click_at(page, point.x, point.y)
    at_rest(page)
    assert page.evaluate("window.hacked") is None
    assert page.locator("img[src=x], a[href^=javascript]").count() == 0
    keep(page, f"hostile-{name or 'explore'}")


def test_a_bad_upload_is_a_sentence(page: Page, server: Server, tmp_path: Path) -> None:
    open_map(page, server, "proposals?lang=en")
    bad = tmp_path / "bad.geojson"
    bad.write_text(
        '{"type": "FeatureCollection", "features": [{"type": "Feature", "properties": {"edit": "<b>boom</b>"}}]}'
    )
    page.locator("input[type=file]").set_input_files(str(bad))
    alert = page.get_by_role("alert").first
    expect(alert).to_contain_text("feature 1")
    assert page.locator("b", has_text="boom").count() == 0
    assert "Traceback" not in page.inner_text("body")


def test_a_large_upload_is_refused_before_it_is_read(page: Page, server: Server, tmp_path: Path) -> None:
    open_map(page, server, "proposals?lang=en")
    large = tmp_path / "large.geojson"
    with large.open("wb") as file:
        file.truncate(200_000_000)
    page.locator("input[type=file]").set_input_files(str(large))
    expect(page.get_by_text("The file is too large.")).to_be_visible()
    # Past the browser, the server itself closes the door: two hundred megabytes do not get in.
    parts = urlsplit(server.url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
    connection.putrequest("PUT", "/_stcore/upload_file/session/file")
    connection.putheader("Content-Length", "200000000")
    connection.putheader("Content-Type", "multipart/form-data; boundary=x")
    connection.endheaders()
    assert connection.getresponse().status in (400, 403, 413)
    connection.close()


def test_two_people_draw_at_once_and_each_sees_their_own(browser: Browser, server: Server) -> None:
    people = [browser.new_context(viewport={"width": 1280, "height": 860}).new_page() for _ in range(2)]
    for person in people:
        person.set_default_timeout(1000 * PATIENCE_S)
        open_map(person, server, "proposals?lang=en&category=sorting")
        person.get_by_text("Add a place").click()
        expect(person.get_by_text("Click where the place is to be")).to_be_visible()
        at_rest(person)
    click_at(people[0], 24.9445, 60.1765)
    expect(people[0].get_by_text("Proposal A: 1 edit")).to_be_visible()
    expect(people[1].get_by_text("Proposal A: 0 edits")).to_be_visible()
    click_at(people[1], 24.9410, 60.1665)
    expect(people[1].get_by_text("Proposal A: 1 edit")).to_be_visible()
    said = []
    for person in people:
        expect(person.locator(".proche .served")).to_contain_text("cells gain", timeout=400_000)
        said.append(person.locator(".proche .served").inner_text())
    assert said[0] != said[1]
    for person in people:
        person.context.close()


BROKEN = """
import pipelines.proposals

def apply(*given, **named):
    raise ZeroDivisionError("a fault of the product")

pipelines.proposals.apply = apply
"""


def test_a_worker_that_breaks_down_takes_neither_the_page_nor_the_draft_along(
    page: Page, demo_run: Path, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(BROKEN)
    log = tmp_path / "log.txt"
    running = start_server([demo_run], log, PYTHONPATH=str(tmp_path))
    try:
        open_map(page, running, "proposals?lang=en&category=sorting")
        page.get_by_text("Add a place").click()
        expect(page.get_by_text("Click where the place is to be")).to_be_visible()
        at_rest(page)
        click_at(page, 24.9445, 60.1765)
        alert = page.get_by_role("alert")
        expect(alert).to_contain_text("The computation broke down", timeout=400_000)
        assert "ZeroDivisionError" not in page.inner_text("body")
        expect(page.get_by_text("Proposal A: 1 edit")).to_be_visible()
        page.get_by_role("button", name="Try again").click()
        expect(alert).to_contain_text("The computation broke down")
        page.get_by_role("button", name="Undo").click()
        expect(page.get_by_text("Proposal A: 0 edits")).to_be_visible()
        expect(alert).to_have_count(0)
        told = log.read_text()
        assert told.count("ZeroDivisionError: a fault of the product") == 2, "tried twice, told twice"
        assert get(running, "/_stcore/health")[0] == 200
    finally:
        running.process.kill()
        running.process.wait(20)


def test_a_killed_server_is_found_again_by_the_page(page: Page, demo_run: Path, tmp_path: Path) -> None:
    running = start_server([demo_run], tmp_path / "log.txt")
    try:
        open_map(page, running, "gaps?lang=en")
        running.process.kill()
        running.process.wait(20)
        expect(page.get_by_role("heading", name="Connection error")).to_be_visible()
        running = start_server([demo_run], tmp_path / "log.txt", port=urlsplit(running.url).port)
        page.reload()
        page.locator(".proche[data-shown]").first.wait_for()
        expect(page.get_by_role("heading", name="Connection error")).to_have_count(0)
    finally:
        running.process.kill()
        running.process.wait(20)
