"""The page Proposals."""

from ui.views.proposals import proposals

proposals()
