"""The page Programme."""

from ui.views.programme import programme

programme()
