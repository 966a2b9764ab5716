"""Identifies the language of every document and keeps those of the languages that the recipe names."""
