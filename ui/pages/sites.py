"""The page Sites."""

from ui.views.sites import sites

sites()
