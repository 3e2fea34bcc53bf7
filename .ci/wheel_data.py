"""Build hook: a wheel carries the configurations and the page list; an editable install finds them in the checkout."""

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CustomBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Adds ``configs`` and ``app.py`` to a standard wheel only."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Say which files go where."""
        if version == "standard":
            build_data["force_include"] = {"configs": "pipelines/_configs", "app.py": "ui/script/app.py"}
