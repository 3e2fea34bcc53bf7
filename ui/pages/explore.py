"""Explore: any measure on the map, its figures beside it."""

from ui.views.explore import explore

explore()
