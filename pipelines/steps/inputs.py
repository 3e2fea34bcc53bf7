"""Fetch: addresses in the configuration become files on this disk, checked and recorded for the manifest."""

from __future__ import annotations

from pathlib import Path

from pipelines.errors import ConfigError, SourceError
from pipelines.sources.demo import package_file
from pipelines.sources.download import check_file, fetch, hash_file
from pipelines.sources.transfer import public_url
from pipelines.steps.context import Context, InputFile


def resolve(
    ctx: Context,
    role: str,
    address: str,
    *,
    sha256: str | None = None,
    md5: str | None = None,
    checksum_url: str | None = None,
    size: int | None = None,
    licence: str = "",
) -> InputFile:
    """
    Bring an input to this disk.

    Parameters
    ----------
    role
        What it is in the run: ``osm``, ``opportunities.shops``, ``population`` …; one file a role.
    address
        A URL, ``package:NAME/PATH``, or a path relative to the configuration.
    sha256, md5, checksum_url, size
        What is expected of the file; a mismatch is an error.

    Raises
    ------
    ConfigError
        The file is absent.
    SourceError
        The download fails, or the file is not the one expected.
    """
    if role in ctx.inputs:
        return ctx.inputs[role]
    details: dict[str, object] = {}
    if address.startswith(("http://", "https://")):
        ctx.progress.say(f"  ↓ {role}: {public_url(address)}")
        fetched = fetch(
            address,
            cache_dir=ctx.cache / "http",
            sha256=sha256,
            md5=md5,
            checksum_url=checksum_url,
            size=size,
            offline=ctx.offline,
        )
        path, found_sha, found_size = fetched.path, fetched.sha256, fetched.size
        details = {
            "etag": fetched.etag,
            "last_modified": fetched.last_modified,
            "fetched_at": fetched.fetched_at,
            "revalidated": fetched.revalidated,
            "note": fetched.note,
        }
        ctx.progress.say(f"    {fetched.size / 1e6:.1f} MB{f'; {fetched.note}' if fetched.note else ''}")
    else:
        path = package_file(address) if address.startswith("package:") else _local(ctx, role, address)
        check_file(path, sha256=sha256, md5=md5, size=size)
        found_sha, _, found_size = hash_file(path)
    ctx.inputs[role] = InputFile(role, address, path, found_sha, found_size, licence, details)
    ctx.log.write("input", **ctx.inputs[role].record())
    return ctx.inputs[role]


def _local(ctx: Context, role: str, address: str) -> Path:
    path = Path(address).expanduser()
    path = path if path.is_absolute() else ctx.base / path
    if not path.exists():
        msg = f"{role}: there is no file {path}; give a path relative to the configuration ({ctx.base}), or a URL"
        raise ConfigError(msg)
    if not path.is_file():
        msg = f"{role}: {path} is a folder; give the file inside it"
        raise SourceError(msg)
    return path
