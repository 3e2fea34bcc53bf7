"""Errors of the engine: every one inherits the project's root and the builtin it specialises."""


class EngineError(Exception):
    """Root of every error that the engine raises on purpose."""


class InputError(EngineError, ValueError):
    """A table or an argument does not hold what the function needs; the message names what to change."""


class CRSError(InputError):
    """Coordinates are in another reference system than expected, or in none."""


class SchemaError(InputError):
    """A table lacks a column, or a column has the wrong type."""
