"""Replay: what was landed once goes through again, from raw to warehouse, without asking any source."""
