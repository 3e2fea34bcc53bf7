"""``python -m pipelines`` is ``proche``."""

from pipelines.cli import main

main()
