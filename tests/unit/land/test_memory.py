"""Memory of replies: kept from one to the next where the C library is glibc, and no error where it is not."""

from __future__ import annotations

import ctypes
import platform
import subprocess
import sys
from typing import Any

import pytest

from tideline.land import memory, mongodb

REPLIES = """
import resource, sys, threading
from tideline.land.memory import keep_for_replies
if sys.argv[1] == "kept":
    assert keep_for_replies()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def receive(count):
    for _ in range(count):
        received = bytearray(5_000_000)
        batch = bytes(received)
        del received, batch
threads = [threading.Thread(target=receive, args=(count,)) for count in (2, 50)]
threads[0].start(); threads[0].join()
before = faults()
threads[1].start(); threads[1].join()
print(faults() - before)
"""


def page_faults(how: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", REPLIES, how], capture_output=True, text=True, check=True, timeout=60
    )
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_memory_of_a_reply_is_taken_from_the_kernel_once() -> None:
    assert page_faults("kept") < page_faults("left alone") / 10


@pytest.mark.parametrize("error", [AttributeError("no mallopt"), OSError("no library"), TypeError("Windows")])
def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(_: object) -> None:
        raise error

    monkeypatch.setattr(ctypes, "CDLL", fail)
    assert memory.keep_for_replies.__wrapped__() is False


def test_a_landing_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    class BegunError(Exception):
        pass

    def begun(*_: Any) -> bool:
        raise BegunError

    monkeypatch.setattr(mongodb, "keep_for_replies", begun)
    with pytest.raises(BegunError):
        mongodb.land(None, None, None)  # type: ignore[arg-type]
