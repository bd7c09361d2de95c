"""Refine: raw bytes → typed Parquet, with what cannot be typed in quarantine."""
