"""The map: cached reads of run directories, map layers, pages."""
