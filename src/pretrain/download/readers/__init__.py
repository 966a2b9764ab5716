"""One module a format: a function of (file, source) that streams its records."""
