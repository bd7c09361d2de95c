"""What the C library does with the memory of replies. Knows glibc's malloc; any other is left as it is."""

from __future__ import annotations

import ctypes
from functools import cache

_SETTINGS = {
    -3: 32 << 20,  # M_MMAP_THRESHOLD, the most that glibc takes: smaller blocks come from what it keeps
    -1: 64 << 20,  # M_TRIM_THRESHOLD: how much free memory it keeps
    -8: 1,  # M_ARENA_MAX: of one arena; with one for each thread it would be 80 MB more
}
"""From malloc.h. A reply is there three times for a moment: received, taken apart by pymongo, as a batch."""


@cache
def keep_for_replies() -> bool:
    """Have it keep the memory of a reply for the next one; whether it does.

    Left alone it gives several megabytes back to the kernel and takes them anew for every reply, zeroed page
    by page: up to a quarter of the CPU of landing.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    taken = [mallopt(name, value) for name, value in _SETTINGS.items()]
    return all(taken)
