"""How fast the map is and how much it sends: Paris (17,958 streets) in 7,836 cells, or in 54,816 finer ones."""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Browser, Page, WebSocket

from pipelines.compute import run as compute
from pipelines.explain import labels_of
from pipelines.rundir import RunDirectory
from tests.e2e.conftest import ARTIFACTS, ROOT, Server, start_server
from tests.e2e.driver import at_rest as settle
from tests.e2e.driver import change, open_map, pick
from tests.e2e.protocol import light_session

pytestmark = [pytest.mark.bench, pytest.mark.e2e, pytest.mark.slow]

FIRST_PICTURE_S = 3.0
CHANGE_S = 0.5
FIRST_PICTURE_FINE_S = 5.0
CHANGE_FINE_S = 1.0
BYTES = 100_000
SESSIONS = 10
SESSION_MEMORY_MB = 60
MEDIAN_INTERACTION_S = 1.0
SERVER_CPU_S = 0.05


@dataclass
class Traffic:
    """Bytes that came over the WebSocket."""

    received: int = 0

    def watch(self, socket: WebSocket) -> None:
        socket.on("framereceived", self._add)

    def _add(self, frame: bytes | str) -> None:
        self.received += len(frame)


def computed(folder: Path, resolution: int, variable: str) -> Path:
    """The whole of Paris from its own street tables; an environment variable names one computed before."""
    ready = os.environ.get(variable)
    if ready:
        return Path(ready)
    config, overrides = ROOT / "configs" / "paris-tables.toml", [f"area.resolution={resolution}"]
    return compute(config, out=folder / "paris", cache=folder / "cache", overrides=overrides).path


@contextmanager
def serving(run: Path, folder: Path) -> Iterator[Server]:
    running = start_server([run], folder / "log.txt")
    yield running
    running.process.terminate()
    running.process.wait(20)


@pytest.fixture(scope="module")
def paris_server(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> Iterator[Server]:
    """Paris in 7,836 cells."""
    assert shared_data.is_dir()
    folder = tmp_path_factory.mktemp("paris")
    with serving(computed(folder, 10, "PROCHE_TEST_PARIS"), folder) as server:
        yield server


@pytest.fixture(scope="module")
def fine_server(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> Iterator[Server]:
    """Paris in 54,816 cells."""
    assert shared_data.is_dir()
    folder = tmp_path_factory.mktemp("paris-11")
    with serving(computed(folder, 11, "PROCHE_TEST_PARIS_11"), folder) as server:
        yield server


def busy() -> float:
    """How many processors other programs keep busy just now: times are only judged on a machine at rest."""
    return psutil.cpu_percent(interval=1.0) / 100 * (psutil.cpu_count() or 1)


def judge(name: str, figure: float, bar: float, *, at_rest: bool) -> None:
    """Write a figure down; hold it against its bar on a machine at rest, and against ten times the bar always."""
    ARTIFACTS.mkdir(exist_ok=True)
    with (ARTIFACTS / "speed.jsonl").open("a") as file:
        file.write(
            json.dumps({"figure": name, "value": round(figure, 3), "bar": bar, "at_rest": at_rest}) + "\n"
        )
    assert figure <= (bar if at_rest else 10 * bar), f"{name}: {figure:.2f}, bar {bar}, at rest: {at_rest}"


def first_picture_and_change(page: Page, server: Server, bars: tuple[float, float], cells: str) -> None:
    """Open the map and change its layer five times, and hold both against their bars."""
    at_rest = busy() < 0.3
    open_map(page, server, "?lang=fr")  # the server reads the run once, for everybody
    start = time.perf_counter()
    open_map(page, server, "?lang=fr&category=sorting")
    judge(f"first picture, {cells} [s]", time.perf_counter() - start, bars[0], at_rest=at_rest)
    times = []
    label = labels_of(RunDirectory.open(server.runs[0]), language="fr")
    for name in ("À vélo", "À pied", label["schools"], label["sorting"], "À vélo"):
        press(page, name)
        times.append(drawn_s(page))
        settle(page)
    judge(f"change of layer, {cells}, median [s]", statistics.median(times), bars[1], at_rest=at_rest)


def test_first_picture_and_change_of_layer(page: Page, paris_server: Server) -> None:
    first_picture_and_change(page, paris_server, (FIRST_PICTURE_S, CHANGE_S), "resolution 10")


def test_first_picture_and_change_of_layer_in_fine_cells(page: Page, fine_server: Server) -> None:
    assert len(RunDirectory.open(fine_server.runs[0]).cells) > 50_000
    first_picture_and_change(page, fine_server, (FIRST_PICTURE_FINE_S, CHANGE_FINE_S), "resolution 11")


def test_geometry_crosses_once_and_a_change_sends_little(page: Page, paris_server: Server) -> None:
    traffic = Traffic()
    page.on("websocket", traffic.watch)
    fetched: list[str] = []
    page.on("request", lambda r: fetched.append(r.url))
    open_map(page, paris_server, "?lang=fr")
    geometry = [u for u in fetched if u.endswith((".cells", ".streets"))]
    assert len(geometry) == 2
    page.wait_for_timeout(500)
    fetched.clear()
    label = labels_of(RunDirectory.open(paris_server.runs[0]), language="fr")
    for name in ("À vélo", label["schools"], label["green"]):
        traffic.received = 0
        change(page, lambda name=name: pick(page, name))
        page.wait_for_timeout(300)
        judge(f"bytes of a change to {name}", traffic.received, BYTES, at_rest=True)
        assert traffic.received > 1000
    page.get_by_role("link", name="Manques").first.click()
    page.wait_for_url("**/gaps**")
    page.locator(".proche[data-shown]").first.wait_for()
    assert [u for u in fetched if u.endswith((".cells", ".streets"))] == [], "geometry crossed twice"


def press(page: Page, name: str, *, after_s: float = 0.0) -> None:
    """Press a button after a while, by the page's own clock; `drawn_s` tells when the new picture stood."""
    button = page.get_by_role("radio", name=name, exact=True).element_handle()
    page.locator(".proche:has(> .canvas)").evaluate(
        """(frame, [button, wait]) => {
          const before = frame.dataset.shown;
          window.drawn = null;
          setTimeout(() => {
            const from = performance.now();
            new MutationObserver((_, observer) => {
              if (frame.dataset.shown === before) return;
              observer.disconnect();
              window.drawn = (performance.now() - from) / 1000;
            }).observe(frame, { attributes: true });
            button.click();
          }, wait);
        }""",
        [button, 1000 * after_s],
    )


def drawn_s(page: Page) -> float:
    """[s] From the press of the button to the new picture."""
    page.wait_for_function("window.drawn !== null")
    return float(page.evaluate("window.drawn"))


ROUNDS = ("By bike", "On foot", "By bike", "On foot")
PAUSE_S = 0.5


def test_ten_sessions_at_once(browser: Browser, paris_server: Server) -> None:
    """
    Ten people change the mode at the same moment.

    Each of them has a computer of their own, so one page draws here, and the other nine are sessions that speak
    the server's protocol without a browser. The time of the page runs to the new picture, that of the others to
    the server's last word.
    """
    process = psutil.Process(paris_server.process.pid)
    at_rest = busy() < 0.3
    drawing = browser.new_page()
    open_map(drawing, paris_server, "?lang=en")
    alone = process.memory_info().rss
    pages: list[float] = []
    sessions: list[float] = []
    with ExitStack() as connected:
        others = [
            connected.enter_context(light_session(paris_server.url, "lang=en")) for _ in range(SESSIONS - 1)
        ]
        grown = (process.memory_info().rss - alone) / 1e6 / len(others)
        judge("memory of a further session [MB]", grown, SESSION_MEMORY_MB, at_rest=True)
        worked = sum(process.cpu_times()[:2])
        with ThreadPoolExecutor(len(others)) as people:
            for name in ROUNDS:
                press(drawing, name, after_s=PAUSE_S)
                time.sleep(PAUSE_S)
                sessions += people.map(lambda other, name=name: other.choose("Mode", name), others)
                pages.append(drawn_s(drawing))
        worked = (sum(process.cpu_times()[:2]) - worked) / len(ROUNDS) / SESSIONS
    drawing.close()
    judge("the server's work for an interaction [CPU s]", worked, SERVER_CPU_S, at_rest=True)
    median = statistics.median([*pages, *sessions])
    judge("interaction with ten sessions, median [s]", median, MEDIAN_INTERACTION_S, at_rest=at_rest)
    median = statistics.median(pages)
    judge("of them the page that draws, median [s]", median, MEDIAN_INTERACTION_S, at_rest=at_rest)


def test_ten_browsers_on_the_server_s_own_processors(browser: Browser, paris_server: Server) -> None:
    """Harder than life: ten pages draw in software on the two processors that also serve them."""
    at_rest = busy() < 0.3
    pages = [browser.new_page() for _ in range(SESSIONS)]
    for person in pages:
        open_map(person, paris_server, "?lang=en")
    times = []
    for name in ROUNDS:
        start = time.perf_counter() + 6 * PAUSE_S
        for person in pages:
            press(person, name, after_s=start - time.perf_counter())
        times += [drawn_s(person) for person in pages]
    for person in pages:
        person.close()
    median = statistics.median(times)
    judge("interaction with ten drawing pages, median [s]", median, MEDIAN_INTERACTION_S, at_rest=at_rest)
