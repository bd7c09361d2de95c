"""A reply whose head was cut looks like a success without a body to the client's libraries: here it is told.

What is missing may be how long the body is, or where an upload goes on. Knows HTTP, not what is asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import requests

if TYPE_CHECKING:
    from google.cloud import bigquery

_NO_BODY = (204, 304)


def refuse_cut_heads(client: bigquery.Client) -> None:
    """Have requests fail as lost connections do where the head of the reply was cut. Idempotent."""
    hooks = client._http.hooks["response"]
    if _look not in hooks:
        hooks.append(_look)


def _look(reply: requests.Response, **_: object) -> None:
    if (_is_unbounded(reply) and not reply.content) or _leads_nowhere(reply):
        raise requests.ConnectionError(f"the head of the reply of {reply.url} was cut", request=reply.request)


def _is_unbounded(reply: requests.Response) -> bool:
    """Whether its body ends where the connection does: BigQuery's is of a told length, or in chunks."""
    if reply.status_code in _NO_BODY or reply.request.method == "HEAD":
        return False
    length, coding = (reply.headers.get(name, "") for name in ("Content-Length", "Transfer-Encoding"))
    return not length.isdigit() and coding.lower() != "chunked"


def _leads_nowhere(reply: requests.Response) -> bool:
    """Whether it began an upload and does not say under which id it goes on."""
    begins = reply.request.method == "POST" and "uploadType=resumable" in (reply.request.url or "")
    return begins and reply.ok and "upload_id=" not in reply.headers.get("Location", "")
