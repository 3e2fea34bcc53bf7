"""The command itself: one clear message and an exit code for every error that is raised on purpose."""

from __future__ import annotations

import errno
import sys
import traceback
from typing import Any

import click

from engine.errors import EngineError, InputError
from pipelines.cli.console import DATA
from pipelines.errors import PipelineError
from pipelines.version import __version__

INTERRUPTED = 130
COMPUTATION = 4


class Commands(click.Group):
    """Turns the errors that we raise on purpose into one message and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except (PipelineError, EngineError, MemoryError) as error:
            if ctx.params.get("debug"):
                traceback.print_exc()
            click.echo(
                f"proche: {str(error) or 'out of memory: choose a smaller area or a coarser resolution'}",
                err=True,
            )
            ctx.exit(_exit_code(error))
        except KeyboardInterrupt:
            click.echo(
                "proche: interrupted; finished steps are kept, the next run goes on from there", err=True
            )
            ctx.exit(INTERRUPTED)
        except BrokenPipeError:
            sys.stderr.close()
            ctx.exit(0)
        except OSError as error:
            if ctx.params.get("debug"):
                traceback.print_exc()
            click.echo(f"proche: {_disk_message(error)}", err=True)
            ctx.exit(DATA)


def _disk_message(error: OSError) -> str:
    """What a disk refused, and what to do."""
    what = f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"{what}; make room (`proche cache gc --limit 5GB`), or use another disk: --out and $PROCHE_CACHE"
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{what}; choose a folder that can be written: --out for the run, $PROCHE_CACHE for the cache"
    return (
        f"{what}; finished steps are kept, the next run goes on from there (--debug shows where it happened)"
    )


def _exit_code(error: BaseException) -> int:
    if isinstance(error, PipelineError):
        return error.exit_code
    return DATA if isinstance(error, InputError) else COMPUTATION


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="proche")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def cli(debug: bool) -> None:
    """Measure what people reach within fifteen minutes of home, and what to build next."""


def main() -> None:
    """Run the command."""
    cli(prog_name="proche")
