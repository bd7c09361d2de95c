"""`python -m dashboard.cli …`: urls prints the links into Looker Studio, docs writes the reference pages."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from dashboard.looker import looker_from_environment, url
from dashboard.pages import read_pages
from dashboard.reference import fields_text, pages_text
from dashboard.target import TargetError

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).resolve().parents[2]
PAGES = ROOT / "looker" / "pages.yml"
MANIFEST = ROOT / "dbt" / "target" / "manifest.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit code."""
    parser = argparse.ArgumentParser(prog="dashboard", description=__doc__)
    parser.add_argument("command", choices=("urls", "docs"))
    options = parser.parse_args(arguments)
    try:
        sys.stdout.write(_urls() if options.command == "urls" else _docs())
    except TargetError as error:
        sys.stderr.write(f"tideline: {error}\n")
        return 1
    return 0


def _urls() -> str:
    looker = looker_from_environment()
    return "".join(f"{page.title}: {page.question}\n{url(page, looker)}\n\n" for page in read_pages(PAGES))


def _docs() -> str:
    manifest = json.loads(MANIFEST.read_text(encoding="utf-8"))
    written = {
        ROOT / "looker" / "pages.md": pages_text(read_pages(PAGES), manifest),
        ROOT / "docs" / "fields.md": fields_text(manifest),
    }
    for path, text in written.items():
        path.write_text(text, encoding="utf-8")
    return "".join(f"{path.relative_to(ROOT)}\n" for path in written)


if __name__ == "__main__":
    sys.exit(main())
