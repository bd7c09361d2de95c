"""Merge: Parquet → one newest row per key in the warehouse."""
