"""Evaluation tasks in files: stated once, read by `eval` as questions and by `decontaminate` as text to look for."""
