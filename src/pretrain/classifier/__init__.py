"""Trains the fastText classifiers that the filter rule `quality_classifier` applies, from two labelled corpora."""
