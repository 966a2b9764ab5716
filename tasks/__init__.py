"""Prefect tasks: one thin adapter a stage."""
