"""dbt's commands one after another in one process: of a small build, half is dbt's own start.

Reads commands from standard input, a JSON list a line; answers each with `true` or `false` on standard output.
What dbt says itself goes to its log.
"""

from __future__ import annotations

import json
import os
import sys

from dbt.cli.main import dbtRunner


def main() -> None:
    """Work until the input ends."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever prints, the answers stay alone
    for line in sys.stdin:
        answers.write(f"{json.dumps(bool(dbtRunner().invoke(json.loads(line)).success))}\n")


if __name__ == "__main__":
    main()
