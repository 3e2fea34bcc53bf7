"""The map component: MapLibre GL in the browser, cells and streets drawn from packed bytes."""
