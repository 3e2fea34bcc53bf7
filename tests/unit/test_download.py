"""Downloads as they should go: once, checked, kept, asked again politely."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.errors import ConfigError, SourceError
from pipelines.sources.download import Fetched, check_file, fetch, file_name, parse_checksum
from pipelines.sources.transfer import Patience, public_url
from tests.loopback import Content, Fault, Loopback, serve

BODY = bytes(range(256)) * 4000


@pytest.fixture
def server() -> Iterator[Loopback]:
    with serve() as loopback:
        yield loopback


def get(url: str, cache: Path, waits: list[float] | None = None, **options: object) -> Fetched:
    """Fetch without real waits; the waits asked for are written down."""
    patience = Patience(sleep=(waits if waits is not None else []).append, read_timeout_s=5)
    return fetch(url, cache_dir=cache, patience=patience, **options)  # type: ignore[arg-type]


def test_a_download_is_kept_with_its_hash_and_validators(server: Loopback, tmp_path: Path) -> None:
    url = server.put("/europe/monaco-latest.osm.pbf", Content(BODY))
    seen: list[tuple[int, int | None]] = []
    fetched = get(url, tmp_path, progress=lambda done, total: seen.append((done, total)))
    assert fetched.path.name == "monaco-latest.osm.pbf"
    assert fetched.path.read_bytes() == BODY
    assert fetched.sha256 == hashlib.sha256(BODY).hexdigest()
    assert (fetched.size, fetched.etag, fetched.note) == (len(BODY), '"v1"', "")
    assert seen[-1] == (len(BODY), len(BODY))
    assert seen == sorted(seen)
    kept = {p.name for p in fetched.path.parent.iterdir()} - {"lock"}  # older filelock takes its file away
    assert kept == {"monaco-latest.osm.pbf", "record.json"}
    agent = server.asked[0].headers["User-Agent"]
    assert agent.startswith("proche/")


def test_an_unchanged_file_is_not_sent_again(server: Loopback, tmp_path: Path) -> None:
    url = server.put("/a.pbf", Content(BODY))
    first = get(url, tmp_path)
    second = get(url, tmp_path)
    assert second == first
    assert server.asked[1].headers["If-None-Match"] == '"v1"'
    assert server.asked[1].headers["If-Modified-Since"] == "Wed, 04 Oct 2023 20:21:32 GMT"


def test_a_changed_file_replaces_the_old_one(server: Loopback, tmp_path: Path) -> None:
    url = server.put("/a.csv", Content(b"old"), Content(b"newer", etag='"v2"', last_modified=None))
    assert get(url, tmp_path).path.read_bytes() == b"old"
    second = get(url, tmp_path)
    assert (second.path.read_bytes(), second.etag, second.last_modified) == (b"newer", '"v2"', None)


def test_a_known_hash_needs_no_second_request(server: Loopback, tmp_path: Path) -> None:
    url = server.put("/a.pbf", Content(BODY))
    digest = hashlib.sha256(BODY).hexdigest().upper()
    get(url, tmp_path, sha256=digest)
    get(url, tmp_path, sha256=digest)
    assert server.count("/a.pbf") == 1


def test_a_young_copy_is_used_unasked(server: Loopback, tmp_path: Path) -> None:
    url = server.put("/a.csv", Content(b"a;b\n1;2\n", etag=None, last_modified=None))
    get(url, tmp_path)
    get(url, tmp_path, max_age_s=3600)
    assert server.count("/a.csv") == 1
    get(url, tmp_path)
    assert server.count("/a.csv") == 2


def test_offline_uses_the_cache_or_says_what_to_do(server: Loopback, tmp_path: Path) -> None:
    url = server.put("/a.pbf", Content(BODY))
    with pytest.raises(SourceError, match=r"offline.*not in the cache.*run once with a connection"):
        get(url, tmp_path, offline=True)
    get(url, tmp_path)
    offline = get(url, tmp_path, offline=True)
    assert offline.path.read_bytes() == BODY
    assert not offline.revalidated
    assert server.count("/a.pbf") == 1
    with pytest.raises(SourceError, match=r"offline.*sha256 is"):
        get(url, tmp_path, offline=True, sha256="0" * 64)


@pytest.mark.parametrize(
    "form", ["{md5}  town.osm.pbf\n", "{md5} *town.osm.pbf\n", "{md5}", "{sha}  town.osm.pbf"]
)
def test_a_published_checksum_is_honoured(server: Loopback, tmp_path: Path, form: str) -> None:
    url = server.put("/town.osm.pbf", Content(BODY))
    line = form.format(md5=hashlib.md5(BODY).hexdigest(), sha=hashlib.sha256(BODY).hexdigest())
    sums = server.put("/town.osm.pbf.md5", Content(line.encode(), etag='"m"'))
    get(url, tmp_path, checksum_url=sums)
    get(url, tmp_path, checksum_url=sums)
    assert server.count("/town.osm.pbf") == 1, (
        "the published hash had not changed: no need to ask for the file"
    )


def test_a_new_published_checksum_brings_the_new_file(server: Loopback, tmp_path: Path) -> None:
    bodies = [b"monday" * 9, b"tuesday" * 9]
    url = server.put("/t.pbf", *[Content(b, etag=f'"{i}"') for i, b in enumerate(bodies)])
    sums = server.put(
        "/t.pbf.md5",
        *[
            Content(f"{hashlib.md5(b).hexdigest()}  t.pbf".encode(), etag=f'"{i}"')
            for i, b in enumerate(bodies)
        ],
    )
    assert get(url, tmp_path, checksum_url=sums).path.read_bytes() == bodies[0]
    assert get(url, tmp_path, checksum_url=sums).path.read_bytes() == bodies[1]


def test_a_list_of_checksums_is_read_by_name() -> None:
    text = f"{'a' * 64}  other.pbf\n{'b' * 64}  ./sub/town.pbf\n"
    assert parse_checksum(text, name="town.pbf", where="x").sha256 == "b" * 64
    with pytest.raises(SourceError, match=r"holds no hash of city\.pbf"):
        parse_checksum(text, name="city.pbf", where="http://x/sums")


@pytest.mark.parametrize("wrong", [{"sha256": "0" * 64}, {"md5": "0" * 32}, {"size": 3}])
def test_wrong_content_is_refused_and_not_kept(
    server: Loopback, tmp_path: Path, wrong: dict[str, object]
) -> None:
    url = server.put("/a.pbf", Content(BODY))
    with pytest.raises(SourceError, match=rf"{next(iter(wrong))} is .*, expected .*run again"):
        get(url, tmp_path, **wrong)
    assert not [p for p in tmp_path.rglob("*") if p.is_file() and p.name != "lock"]


def test_a_damaged_copy_is_noticed_named_and_replaced(server: Loopback, tmp_path: Path) -> None:
    url = server.put("/a.pbf", Content(BODY))
    path = get(url, tmp_path).path
    path.write_bytes(BODY[:-1] + b"x")
    again = get(url, tmp_path)
    assert again.path.read_bytes() == BODY
    assert "damaged; fetched anew" in again.note
    path.with_name("record.json").write_text("[]")
    assert "unreadable" in get(url, tmp_path).note


def test_a_server_out_of_reach_leaves_the_good_copy_in_use(server: Loopback, tmp_path: Path) -> None:
    url = server.put("/a.pbf", Content(BODY), Fault(503))
    get(url, tmp_path)
    waits: list[float] = []
    second = get(url, tmp_path, waits)
    assert second.path.read_bytes() == BODY
    assert not second.revalidated
    assert "503" in second.note
    assert waits == [1.0], "a good copy at hand makes for less patience"


def test_a_cut_renewal_leaves_the_old_copy_and_is_resumed_later(server: Loopback, tmp_path: Path) -> None:
    newer = Content(BODY[::-1], etag='"v2"')
    url = server.put("/a.pbf", Content(BODY), replace(newer, cut_after=70_000), Fault(503))
    get(url, tmp_path)
    assert get(url, tmp_path).path.read_bytes() == BODY
    server.put("/a.pbf", newer)
    assert get(url, tmp_path).path.read_bytes() == BODY[::-1]
    assert server.asked[-1].headers["Range"] == "bytes=70000-"


@pytest.mark.parametrize(
    "url", ["ftp://x/a", "file:///etc/passwd", "/tmp/a", "http://", "javascript:alert(1)"]
)
def test_only_web_addresses_are_fetched(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigError, match="http://"):
        get(url, tmp_path)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://x/europe/france/ile-de-france-latest.osm.pbf", "ile-de-france-latest.osm.pbf"),
        (
            "https://x/api/explore/v2.1/catalog/datasets/les-arbres/exports/csv?lang=fr&use_labels=true",
            "les-arbres.csv",
        ),
        ("https://x/", "data"),
        ("https://x/a/..%2F..%2Fetc%2Fpasswd", "etc_passwd"),
        ("https://x/%E2%82%AC.csv", "csv"),
        ("https://x/" + "a" * 500 + ".csv", "a" * 120),
    ],
)
def test_names_come_from_the_address_and_stay_in_the_folder(url: str, name: str) -> None:
    assert file_name(url) == name


def test_a_password_in_an_address_is_not_repeated(server: Loopback, tmp_path: Path) -> None:
    url = server.put("/gone.csv", Fault(410)).replace("http://", "http://user:secret@")
    with pytest.raises(SourceError) as error:
        get(url, tmp_path)
    assert "secret" not in str(error.value)
    assert public_url("https://u:p@x.org:8/y?z=1") == "https://x.org:8/y?z=1"


def test_check_file_names_what_differs(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    assert check_file(path, size=3) == hashlib.sha256(b"abc").hexdigest()
    with pytest.raises(SourceError, match="md5 is 900150983cd24fb0d6963f7d28e17f72, expected ffff"):
        check_file(path, md5="f" * 32)
    with pytest.raises(SourceError, match="no file at"):
        check_file(tmp_path / "b")
