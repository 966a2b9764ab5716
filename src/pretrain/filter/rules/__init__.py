"""One rule a file: its config with the published thresholds, and the rule itself."""
