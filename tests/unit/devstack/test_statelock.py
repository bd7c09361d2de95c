"""One stack a folder, and the folder knows whose."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from devstack.process import INCLUDE, StackError
from devstack.statelock import StateLock, holder

if TYPE_CHECKING:
    from pathlib import Path

HOLD = """
import sys, time
from pathlib import Path
from devstack.statelock import StateLock
with StateLock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_folder_without_stack_is_held_by_nobody(tmp_path: Path) -> None:
    assert holder(tmp_path) is None
    with StateLock(tmp_path / "new" / "state") as lock:
        assert holder(tmp_path / "new" / "state") == os.getpid()
    assert holder(tmp_path / "new" / "state") is None
    lock.__exit__()


def test_a_second_holder_is_refused_and_the_first_one_named(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, cwd=INCLUDE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        assert holder(tmp_path) == other.pid
        with pytest.raises(
            StackError, match=rf"a stack runs already in {tmp_path} \(process {other.pid}\)"
        ) as it:
            StateLock(tmp_path).__enter__()
        assert it.value.remedy.endswith(f"press Ctrl-C in its terminal, or end process {other.pid}")
        other.kill()
    assert holder(tmp_path) is None
    with StateLock(tmp_path):
        assert holder(tmp_path) == os.getpid()
