"""Tideline: what changed at the source is in the warehouse within the hour, once, traceable to its bytes."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("tideline")
except PackageNotFoundError:  # a source tree on PYTHONPATH that was never installed
    __version__ = "0+unknown"
