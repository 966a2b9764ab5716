"""Removes documents that repeat others: exact copies by hash, near copies by verified MinHash-LSH."""
