"""The page About."""

from ui.views.about import about

about()
