"""The configuration is strict and says what to change."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipelines.config import Config, config_schema, load_config, parse_config, slug
from pipelines.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]
LEAST = {"area": {"name": "Here", "bbox": [0.0, 0.0, 1.0, 1.0]}, "source": {"osm": "here.osm.pbf"}}


def write(folder: Path, text: str) -> Path:
    path = folder / "city.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_name_a_box_and_a_file_are_enough() -> None:
    config = parse_config(LEAST)
    assert config.modes == ("walk", "bike", "street30")
    assert (config.area.resolution, config.scoring.taxonomy, config.scoring.cutoff_min) == (10, "card", 15)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("area.resolutoin=9", ["area.resolutoin", "'resolution'"]),
        ("network.walk.sped_kmh=4", ["network.walk.sped_kmh", "'speed_kmh'"]),
        ("opportunities.shops.fil='x'", ["opportunities.shops.fil", "'file'"]),
        ("sites.trees.cuont=3", ["sites.trees.cuont", "'count'"]),
        ("area.resolution=99", ["area.resolution", "12", "99"]),
        ("area.bbox=[3, 0, 1, 1]", ["west < east", "3"]),
        ("area.place='Paris'", ["one of boundary, bbox and place"]),
        ("network.walk.speed_kmh=nan", ["speed_kmh", "finite"]),
        ("network.bike.max_lts=7", ["max_lts", "4"]),
        ("source.osm='tables'", ["nodes and edges"]),
    ],
)
def test_a_wrong_key_or_value_is_named(tmp_path: Path, override: str, words: list[str]) -> None:
    path = write(tmp_path, '[area]\nname = "Here"\nbbox = [0, 0, 1, 1]\n[source]\nosm = "x.pbf"\n')
    with pytest.raises(ConfigError) as caught:
        load_config(path, overrides=[override])
    assert all(word in str(caught.value) for word in words), str(caught.value)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"[area\nname=1", "TOML"),
        (b"\xff\xfe\x00", "UTF-8"),
        (b"", "area is missing"),
        (b"area = 3\nsource = 4", "area"),
    ],
)
def test_a_broken_file_is_a_sentence(tmp_path: Path, content: bytes, word: str) -> None:
    path = tmp_path / "city.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=word):
        load_config(path)


def test_an_absent_file_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="give the path of a TOML file"):
        load_config(tmp_path / "none.toml")


@pytest.mark.parametrize("text", ["x", "area=1", "area.=1", "=", ".a=1"])
def test_set_takes_section_key_value(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, '[area]\nname = "Here"\n[source]\nosm = "x.pbf"\n')
    with pytest.raises(ConfigError):
        load_config(path, overrides=[text])


def test_set_takes_toml_values_and_bare_words(tmp_path: Path) -> None:
    path = write(tmp_path, '[area]\nname = "Here"\n[source]\nosm = "x.pbf"\n')
    config = load_config(path, overrides=["area.resolution=9", "scoring.taxonomy=moreno", 'area.name="A, B"'])
    assert (config.area.resolution, config.scoring.taxonomy, config.area.name) == (9, "moreno", "A, B")


def test_the_digest_is_of_what_is_resolved(tmp_path: Path) -> None:
    plain = parse_config(LEAST)
    spelled = parse_config({**LEAST, "scoring": {"cutoff_min": 15.0}})
    other = parse_config({**LEAST, "scoring": {"cutoff_min": 10.0}})
    assert plain.digest == spelled.digest != other.digest


def test_the_published_schema_is_the_code() -> None:
    published = json.loads((ROOT / "configs" / "schema.json").read_text("utf-8"))
    assert published == json.loads(json.dumps(config_schema())), "run: proche schema > configs/schema.json"


def test_every_key_has_a_sentence() -> None:
    def walk(schema: dict[str, object], where: str) -> list[str]:
        properties = schema.get("properties", {})
        assert isinstance(properties, dict)
        return [
            f"{where}.{key}"
            for key, spec in properties.items()
            if "description" not in spec and "$ref" not in spec
        ]

    schema = config_schema()
    lacking = [m for name, part in schema["$defs"].items() for m in walk(part, name)]
    assert lacking == []


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.toml")), ids=lambda p: p.name)
def test_shipped_configurations_are_valid(path: Path) -> None:
    assert isinstance(load_config(path), Config)


@pytest.mark.parametrize(
    ("name", "folder"),
    [("Île-de-France", "ile-de-france"), ("../../etc", "etc"), ("東京", None), ("a/b\\c", "a-b-c")],
)
def test_a_run_folder_is_safe(name: str, folder: str | None) -> None:
    made = slug(name)
    assert made == (folder or made)
    assert made
    assert set(made) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
