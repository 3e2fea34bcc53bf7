"""One reading of an extract serves many areas: what is cut gives what would have been read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from pandas.testing import assert_frame_equal

from pipelines.batch.batch import _order, open_folder
from pipelines.batch.plan import read_batch
from pipelines.batch.split import Cuts, Split, make_cuts, splits
from pipelines.batch.unit import Order, compute_unit
from pipelines.sources.osm_cut import CUT_FILE, Cutter, read_cut, write_cut
from pipelines.sources.osm_file import assemble, read_raw
from pipelines.steps.context import code_digest
from pipelines.steps.streets import MAP_FEATURES
from tests.batch_town import WALK_ONLY, leftovers

KEEP = {
    **MAP_FEATURES,
    **dict.fromkeys(("shop", "leisure", "landuse", "amenity", "barrier", "entrance", "highway")),
}
FILES = (
    "helsinki_centre_2019.osm.pbf",
    "monaco_2021.osm.pbf",
    "krems_2013.osm.gz",
    "porto_centre_2020.osm.pbf",
)


@pytest.mark.parametrize("name", FILES)
def test_a_cut_gives_what_the_whole_file_gives(shared_data: Path, tmp_path: Path, name: str) -> None:
    """Streets, features, restrictions that can act, memberships: in random boxes, small and large."""
    raw = read_raw(shared_data / "osm" / name)
    cutter = Cutter.of(raw)
    low = np.array([raw.node_x.min(), raw.node_y.min()]) / 1e7
    high = np.array([raw.node_x.max(), raw.node_y.max()]) / 1e7
    rng = np.random.default_rng(9)
    for k in range(4):
        middle, half = rng.uniform(low, high), (high - low) * (0.02, 0.1, 0.3, 1.0)[k] / 2
        bounds = (*(middle - half).tolist(), *(middle + half).tolist())
        write_cut(cutter.cut(bounds, keep=KEEP), tmp_path / CUT_FILE)
        cut = read_cut(tmp_path / CUT_FILE)
        assert len(cut.node_id) <= len(raw.node_id)
        whole, part = (assemble(r, source="x", keep=KEEP, bounds=bounds) for r in (raw, cut))
        for column in ("node_id", "lon", "lat", "way_offsets", "way_refs"):
            assert np.array_equal(getattr(whole, column), getattr(part, column)), column
        assert_frame_equal(whole.ways, part.ways)
        assert_frame_equal(whole.node_tags, part.node_tags)
        assert_frame_equal(whole.memberships, part.memberships)
        assert list(whole.features["tags"]) == list(part.features["tags"])
        assert list(whole.features.geometry.to_wkb()) == list(part.features.geometry.to_wkb())
        acting = [
            e.restrictions[np.isin(e.restrictions["from_way"], e.ways["way_id"])] for e in (whole, part)
        ]
        assert_frame_equal(acting[0].reset_index(drop=True), acting[1].reset_index(drop=True))
        assert whole.info.bbox == part.info.bbox
        assert whole.info.road_ends == part.info.road_ends


@pytest.fixture(scope="module")
def quarters(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> Iterator[list[Order]]:
    """Three quarters of the centre of Helsinki, on foot."""
    folder = tmp_path_factory.mktemp("quarters")
    file = shared_data / "osm" / FILES[0]
    boxes = (
        [24.937, 60.166, 24.942, 60.170],
        [24.943, 60.170, 24.949, 60.175],
        [24.944, 60.167, 24.950, 60.169],
    )
    rows = [
        f'[[areas]]\nname = "Q{i}"\nosm = "{file}"\nbbox = {box}\nsource.buffer_m = 200\n'
        for i, box in enumerate(boxes)
    ]
    (folder / "quarters.toml").write_text(WALK_ONLY + "\n".join(rows))
    plan = read_batch([folder / "quarters.toml"])
    ticket = open_folder(folder / "out", plan)
    yield [
        _order(u, folder / "out", folder / "cache", code_digest(), ticket, force=False, offline=True)
        for u in plan.units
    ]


def moved(order: Order, name: str) -> Order:
    """The same order, with another folder and another cache."""
    out, cache = Path(order.out).parent / f"out-{name}", Path(order.cache).parent / f"cache-{name}"
    out.mkdir(exist_ok=True)
    (out / "ticket.txt").write_text(order.ticket)
    return Order(**{**order.__dict__, "out": str(out), "cache": str(cache)})


def test_units_read_their_cut_and_give_the_same_bytes(
    quarters: list[Order], monkeypatch: pytest.MonkeyPatch
) -> None:
    orders = [moved(o, "cut") for o in quarters]
    keys = make_cuts(Split("x", tuple(orders)))
    assert len(set(keys.values())) == 3
    with monkeypatch.context() as patched:
        patched.setattr("pipelines.steps.streets.read_osm", None)  # whoever reads the whole file fails
        cut = [compute_unit(o) for o in orders]
    direct = [compute_unit(moved(o, "direct")) for o in quarters]
    assert [o.status for o in cut + direct] == ["done"] * 6
    for order in quarters:
        a, b = (moved(order, name).folder for name in ("cut", "direct"))
        names = sorted(p.name for p in a.glob("*.parquet"))
        assert [(a / n).read_bytes() for n in names] == [(b / n).read_bytes() for n in names]


def test_cuts_go_when_nobody_needs_them(quarters: list[Order]) -> None:
    orders = [moved(o, "gone") for o in quarters]
    cache = Path(orders[0].cache)
    cuts = Cuts(cache)
    cuts.add(make_cuts(Split("x", tuple(orders))))
    assert len(list(cache.glob("artifacts/cut/*"))) == 3
    cuts.release(orders[0].id)
    assert len(list(cache.glob("artifacts/cut/*"))) == 2
    cuts.clear()
    assert list(cache.glob("artifacts/cut/*")) == []
    assert leftovers(cache) == []


def test_a_file_is_cut_where_much_would_be_read_again(quarters: list[Order]) -> None:
    mb = Path(quarters[0].tables["source"]["osm"]).stat().st_size / 1e6
    assert [len(s.orders) for s in splits(quarters, least_mb=2 * mb - 0.01)] == [3]
    assert splits(quarters, least_mb=2 * mb + 0.01) == []
    assert splits(quarters[:1], least_mb=0.01) == []


def test_a_file_that_cannot_be_read_is_left_to_its_units(quarters: list[Order], tmp_path: Path) -> None:
    broken = tmp_path / "broken.osm.pbf"
    broken.write_bytes(b"\x00\x00\x00\x0dOSMHeader")
    tables = [{**o.tables, "source": {**o.tables["source"], "osm": str(broken)}} for o in quarters]
    orders = [
        Order(**{**moved(o, "bad").__dict__, "tables": t}) for o, t in zip(quarters, tables, strict=True)
    ]
    assert make_cuts(Split("x", tuple(orders))) == {}
    assert compute_unit(orders[0]).status == "failed"
