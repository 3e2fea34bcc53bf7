"""Readers: files, downloads, Overpass, tables and open-data exports."""
