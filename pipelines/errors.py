"""Errors of the pipelines: every one inherits the project's root and the builtin it specialises."""


class PipelineError(Exception):
    """Root of every error that the pipelines raise on purpose; the command ends with `exit_code`."""

    exit_code: int = 4


class ConfigError(PipelineError, ValueError):
    """A configuration or a command line cannot be honoured; the message names the key and the remedy."""

    exit_code = 2


class SourceError(PipelineError, OSError):
    """An input cannot be read as what it should be; the message names it and the remedy."""

    exit_code = 3


class ArtifactError(PipelineError, RuntimeError):
    """A stored result is missing, damaged or not the one its manifest names."""

    exit_code = 3
