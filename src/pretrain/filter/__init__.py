"""Decides by heuristic rules which documents stay, and says of every other one why it went."""
