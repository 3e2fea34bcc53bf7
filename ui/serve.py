"""The server's process: Streamlit, and beside its start what the first visitors would wait for."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from threading import Thread

import streamlit.web.cli

from pipelines.errors import PipelineError

_PAGES = ("explore", "gaps", "sites", "proposals", "programme", "about")
_COMPUTING = ("pipelines.explain", "pipelines.isochrone")
"""What a page loads only when somebody asks for it."""


def main() -> None:
    """Serve what Streamlit's own command line says, and warm up meanwhile."""
    rest = sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else []
    Thread(target=warm, args=(rest,), name="warming", daemon=True).start()
    streamlit.web.cli.main(prog_name="streamlit")


def warm(arguments: list[str]) -> None:
    """Load the start page, the run that it opens on, then the other pages and what they compute with."""
    import_module(f"ui.views.{_PAGES[0]}")
    from ui.cache import open_run
    from ui.runs import find_runs

    for name, path in list(find_runs(arguments, default=Path.cwd() / "cache" / "runs").items())[:1]:
        try:
            run = open_run(name, path)
            _ = run.frame, run.weight, run.opportunities, run.gap_names
        except (PipelineError, OSError):  # the page says what is wrong with the run
            pass
    for module in (*(f"ui.views.{page}" for page in _PAGES[1:]), *_COMPUTING):
        import_module(module)


if __name__ == "__main__":
    main()
