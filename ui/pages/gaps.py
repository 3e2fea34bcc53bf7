"""The page Gaps."""

from ui.views.gaps import gaps

gaps()
