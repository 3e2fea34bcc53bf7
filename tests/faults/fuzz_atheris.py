"""
Bytes led by coverage, into everything that reads a foreign file: a result or one of our own errors, nothing else.

    pip install atheris
    python tests/faults/fuzz_atheris.py --runs 2000 [pbf proposal …]

Each reader runs in a process of its own, from seeds that are right, until it has met `runs` inputs; what breaks it is
kept in ``cache/fuzz/`` and ends the command with 1. The count of all is printed at the end. What the readers do with
nested values, bombs and giants stands in test_fuzz.py and test_hostile_sources.py; this goes where those do not lead.
"""

from __future__ import annotations

import argparse
import io
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
LED = (
    "pipelines.config",
    *(
        f"pipelines.sources.{m}"
        for m in ("boundary", "coordinates", "delimited", "opendata", "osm_file", "osm_pbf", "vector")
    ),
    "engine.proposals.geojson",
)
"""Modules whose branches lead the draw. None holds compiled kernels: their code must stay as it is."""
NAMES = ("boundary", "config", "osm", "pbf", "places", "population", "proposal")
LONGEST_S = 30

Reader = tuple[list[bytes], Callable[[bytes], Any]]
"""Seeds, and what reads such bytes."""


def _town_pbf(town: bytes, folder: Path) -> bytes:
    """A small town as OSM writes it."""
    import osmium

    (folder / "town.osm").write_bytes(town)
    with osmium.SimpleWriter(str(folder / "town.osm.pbf")) as writer:
        for thing in osmium.FileProcessor(str(folder / "town.osm")):
            writer.add(thing)
    return (folder / "town.osm.pbf").read_bytes()


def reader(name: str, folder: Path) -> Reader:
    """
    Seeds and reader of one kind of file.

    The bytes for `pbf` are the content of a data block, which is framed and packed as it should be: behind a packed
    block no coverage leads.
    """
    from engine.proposals.geojson import parse_proposal
    from pipelines.config import load_config
    from pipelines.sources.boundary import read_boundary
    from pipelines.sources.opendata import read_places
    from pipelines.sources.osm_file import read_osm
    from pipelines.sources.population import read_population
    from tests.faults.test_fuzz import KEEP, PROPOSAL, TOWN, blocks_of, framed

    def of_file(suffix: str, read: Callable[[Path], Any]) -> Callable[[bytes], Any]:
        def written(data: bytes) -> Any:
            path = folder / f"any{suffix}"
            path.write_bytes(data)
            return read(path)

        return written

    proposal = json.dumps(PROPOSAL).encode()
    outline = json.dumps(PROPOSAL["features"][2]["geometry"]).encode()
    table = b'name;lat;lon;capacity\n"A; <b>";48.85;2.35;3\n=1+1;48.86;2.36;x\n'
    squares = (
        b"idcar_200m;population\nCRS3035RES200mN2890000E3760000;12.5\nCRS3035RES200mN2890200E3760000;3\n"
    )
    toml = b'[area]\nname = "x"\nbbox = [1, 2, 3, 4]\n[source]\nosm = "x"\n[scoring]\ncutoff_min = 9\n'
    match name:
        case "pbf":
            (kind, header), *data = blocks_of(_town_pbf(TOWN, folder))
            head = framed(kind, header)
            read = of_file(".osm.pbf", lambda path: read_osm(path, keep=KEEP))
            return [content for _, content in data], lambda block: read(head + framed(b"OSMData", block))
        case "osm":
            return [TOWN], of_file(".osm", lambda path: read_osm(path, keep=KEEP))
        case "config":
            return [toml], of_file(".toml", load_config)
        case "proposal":
            return [proposal], lambda data: parse_proposal(_json(data))
        case "places":
            return [table, proposal], of_file(".csv", read_places)
        case "boundary":
            return [outline, proposal], of_file(".geojson", lambda path: read_boundary(boundary=path))
        case _:
            return [squares, table], of_file(".csv", lambda path: read_population(path, kind="grid"))


def _json(data: bytes) -> Any:
    """The value that is written there; nothing where none is."""
    try:
        return json.load(io.BytesIO(data))
    except (ValueError, RecursionError):
        return None


def _lead(name: str, runs: int, folder: Path) -> None:
    """Feed one reader in this process; does not return."""
    import atheris  # by option: no dependency of the tests

    with atheris.instrument_imports(include=list(LED), enable_loader_override=False):
        import tests.faults.test_fuzz as checks
    seeds, read = reader(name, folder)
    corpus = folder / "corpus"
    corpus.mkdir()
    for i, seed in enumerate(seeds):
        (corpus / str(i)).write_bytes(seed)
    broken = ROOT / "cache" / "fuzz"
    broken.mkdir(parents=True, exist_ok=True)
    options = [
        f"-runs={runs}",
        f"-timeout={LONGEST_S}",
        "-rss_limit_mb=3000",
        f"-artifact_prefix={broken}/{name}-",
    ]
    atheris.Setup([sys.argv[0], str(corpus), *options], lambda data: checks.survives(lambda: read(data)))
    atheris.Fuzz()


def main() -> int:
    """Feed the readers in turn and tell how much was tried."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("names", nargs="*", metavar="reader", help=", ".join(NAMES))
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--within", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    if args.within:
        _lead(args.names[0], args.runs, args.within)
    total, failed = 0, False
    for name in args.names or NAMES:
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, __file__, name, "--runs", str(args.runs), "--within", folder]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        told = re.search(r"Done (\d+) runs in (\d+) second", done.stderr)
        if done.returncode or told is None:
            failed = True
            print(f"{name}: broken\n{done.stdout[-3000:]}{done.stderr[-3000:]}", flush=True)
            continue
        total += int(told[1])
        print(f"{name}: {told[1]} inputs in {told[2]} s", flush=True)
    print(f"{total} inputs led by coverage")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
