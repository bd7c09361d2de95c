"""Which API is read: the public JSONPlaceholder where it answers, else our stand-in."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request

from devstack.process import Program, answers_http, module

PORT = "TIDELINE_HTTP_PORT"
PUBLIC_URL = "https://jsonplaceholder.typicode.com"
PATIENCE_SECONDS = 3.0


def program(seed: int, port: int | None = None) -> Program:
    """Our stand-in, with items made from the seed."""
    arguments = ("--seed", str(seed))
    return Program(
        "jsonplaceholder",
        lambda number: module("devstack.http_server", "--port", str(number), *arguments),
        lambda number: answers_http(number, "/users/1"),
        {},
        port,
        PORT,
    )


def answers(url: str = PUBLIC_URL, patience_seconds: float = PATIENCE_SECONDS) -> bool:
    """Whether the API answers in time, name resolution and proxies included."""
    found: list[bool] = []
    asking = threading.Thread(target=_ask, args=(url, patience_seconds, found), daemon=True)
    asking.start()
    asking.join(patience_seconds)
    return bool(found)


def _ask(url: str, patience_seconds: float, found: list[bool]) -> None:
    try:
        with urllib.request.urlopen(f"{url}/users/1", timeout=patience_seconds) as answer:  # noqa: S310
            if json.load(answer).get("id") == 1:
                found.append(True)
    except urllib.error.HTTPError as refused:
        refused.close()
    except (OSError, ValueError, AttributeError):
        return
