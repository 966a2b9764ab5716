"""Finds text of evaluation items in documents by word n-grams, and drops, cuts or reports it."""
