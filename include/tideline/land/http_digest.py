"""Checksums that an API sends with a body, compared with what came. Knows three headers and no sockets.

`Content-Digest` and `Repr-Digest` (RFC 9530), `Content-MD5` (RFC 1864). They are of the body as it is sent:
where that is compressed on the way, what is here is no longer it. HTTP itself has no checksum; TLS has.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from typing import TYPE_CHECKING

from tideline.errors import SourceUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_DIGEST = re.compile(r"(sha-512|sha-256)\s*=\s*:([A-Za-z0-9+/=]*):", re.IGNORECASE)
_NAMES = {"sha-256": "sha256", "sha-512": "sha512"}


def check_digest(url: str, headers: Mapping[str, str], body: bytes) -> None:
    """Compare the body with each checksum that is sent along.

    Raises:
        SourceUnavailableError: It is another; asking again may give the right body.
    """
    if headers.get("content-encoding", "identity").lower() != "identity":
        return
    for name, expected in _digests(headers):
        found = hashlib.new(name, body, usedforsecurity=False).digest()
        if found != expected:
            raise SourceUnavailableError(
                f"the body's {name} is {found.hex()}, the server says {expected.hex()}",
                place=url,
                remedy="look at proxies on the way if this does not pass",
            )


def _digests(headers: Mapping[str, str]) -> Iterator[tuple[str, bytes]]:
    """Algorithm and checksum; what cannot be understood says nothing."""
    found = [("md5", headers.get("content-md5", ""))]
    for header in ("content-digest", "repr-digest"):
        found += [(_NAMES[match[1].lower()], match[2]) for match in _DIGEST.finditer(headers.get(header, ""))]
    for name, text in found:
        try:
            digest = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            continue
        if len(digest) == hashlib.new(name, usedforsecurity=False).digest_size:
            yield name, digest
