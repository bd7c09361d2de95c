"""The BigQuery emulator: its pinned environment, the corrections to its faults, and how it is started."""
