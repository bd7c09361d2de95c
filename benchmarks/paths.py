"""Where things are. All that a benchmark writes lies under `.tideline/` and may be deleted at any time."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CATALOG = ROOT / "benchmarks" / "catalog"
CACHE = ROOT / ".tideline" / "bench"
FIXTURES = CACHE / "fixtures"
OUTPUT = CACHE / "output"
RESULT = CACHE / "result.json"
PYTHON = ROOT / ".venv" / "bin" / "python"
UV = ROOT / ".venv" / "bin" / "uv"
PEERS = ROOT / ".tideline" / "venvs" / "peers"
PEERS_LOCK = ROOT / "benchmarks" / "requirements-peers.txt"
