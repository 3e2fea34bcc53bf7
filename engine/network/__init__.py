"""Street networks: from OSM tables to a routable graph for each mode."""
