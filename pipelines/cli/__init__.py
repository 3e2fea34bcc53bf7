"""The command `proche`: results on stdout, progress on stderr, one clear message for an error."""

from pipelines.cli.batch import batch
from pipelines.cli.cache import cache
from pipelines.cli.planning import compare, counterfactual, rank, sites
from pipelines.cli.reading import check, explain, export, isochrone, report, schema
from pipelines.cli.root import cli, main
from pipelines.cli.run import app, demo, run

__all__ = ["cli", "main"]

for _command in (app, batch, cache, check, compare, counterfactual, demo, explain, export, isochrone, rank, report,
                 run, schema, sites):  # fmt: skip
    cli.add_command(_command)
