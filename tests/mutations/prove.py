"""Put each seeded bug into a copy of the tree and run the tests named for it: `make mutations`.

The copies are in a temporary folder; the tree itself is never touched. First the tests run without any bug: what
fails already proves nothing. A bug is caught where a test fails; one that merely keeps the tests from being
collected, or the product from being imported, is an error of the proof. Ends with `20/20 caught`, else fails.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mutants import MUTANTS, Mutant

REPOSITORY = Path(__file__).resolve().parents[2]
COPIED = ("include", "tests", "dags", "plugins", "pyproject.toml")
LINKED = (".venv", ".tideline")
PASSED, FAILED = 0, 1
TIMEOUT_SECONDS = 600


def copy_tree(root: Path) -> Path:
    """A tree of its own to spoil, with the environments of the real one."""
    ignored = shutil.ignore_patterns("__pycache__", ".hypothesis")
    for name in COPIED:
        source = REPOSITORY / name
        if source.is_dir():
            shutil.copytree(source, root / name, ignore=ignored)
        elif source.exists():
            shutil.copy(source, root / name)
    for name in LINKED:
        (root / name).symlink_to(REPOSITORY / name)
    return root


def run_tests(root: Path, tests: tuple[str, ...]) -> tuple[int, str]:
    """pytest's exit code, and what it printed."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    try:
        done = subprocess.run(
            command,
            cwd=root,
            env=environment | {"PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return FAILED, f"FAILED (nothing for {TIMEOUT_SECONDS} s)"
    return done.returncode, done.stdout + done.stderr


def try_one(mutant: Mutant) -> tuple[Mutant, str | None, str]:
    """Which test caught it, or None; and what pytest printed."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        root = copy_tree(Path(folder))
        mutant.apply(root)
        code, output = run_tests(root, mutant.tests)
    caught = re.search(r"^FAILED (\S+)", output, re.MULTILINE)
    return mutant, caught[1] if code == FAILED and caught else None, output


def baseline(mutants: tuple[Mutant, ...]) -> None:
    """Without a bug every test must pass."""
    tests = tuple(dict.fromkeys(test for mutant in mutants for test in mutant.tests))
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        code, output = run_tests(copy_tree(Path(folder)), tests)
    if code != PASSED:
        sys.exit(f"the tests fail without any bug:\n{output[-4000:]}")


def say(line: str) -> None:
    """One line, at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """Try all, or those whose name contains what is given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("only", nargs="*", help="part of a bug's name")
    parser.add_argument("--jobs", type=int, default=max(1, (os.cpu_count() or 2) - 1))
    options = parser.parse_args()
    chosen = tuple(m for m in MUTANTS if not options.only or any(part in m.name for part in options.only))
    for mutant in chosen:  # an anchor that is gone is told before anything takes long
        mutant.applied((REPOSITORY / "include" / "tideline" / mutant.file).read_text())
    started = time.monotonic()
    baseline(chosen)
    say(f"{len(chosen)} bugs; without them all tests pass ({time.monotonic() - started:.0f} s)")
    escaped = 0
    with ThreadPoolExecutor(options.jobs) as pool:
        for mutant, caught, output in pool.map(try_one, chosen):
            escaped += caught is None
            say(f"  {'caught ' if caught else 'ESCAPED'}  {mutant.name:42} {caught or output[-800:]}")
    say(f"{len(chosen) - escaped}/{len(chosen)} caught")
    sys.exit(1 if escaped else 0)


if __name__ == "__main__":
    main()
