"""Places: categories, parks and their entrances, duplicates."""
