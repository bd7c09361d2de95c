"""Checksums beside a body: compared where they are understood, and no reason to refuse where they are not."""

from __future__ import annotations

import base64
import hashlib

import pytest

from tideline.errors import SourceUnavailableError
from tideline.land.http_digest import check_digest

BODY = b'[{"id": 1}]'
URL = "http://api.test/things"


def digest(name, body=BODY):
    return base64.b64encode(hashlib.new(name, body).digest()).decode()


RIGHT = {
    "Content-MD5": {"content-md5": digest("md5")},
    "Content-Digest": {"content-digest": f"sha-256=:{digest('sha256')}:"},
    "Repr-Digest": {"repr-digest": f"sha-512=:{digest('sha512')}:"},
    "two": {"content-digest": f"md5=:AAAA:, SHA-256=:{digest('sha256')}:, sha-512=:{digest('sha512')}:"},
}


@pytest.mark.parametrize("headers", RIGHT.values(), ids=RIGHT)
def test_the_body_is_compared(headers):
    check_digest(URL, headers, BODY)
    for at in range(len(BODY)):
        flipped = BODY[:at] + bytes([BODY[at] ^ 1]) + BODY[at + 1 :]
        with pytest.raises(SourceUnavailableError, match="the server says") as raised:
            check_digest(URL, headers, flipped)
        assert raised.value.place == URL


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"content-md5": "no base64!"},
        {"content-md5": "AAAA"},
        {"content-digest": "sha-256=AAAA"},
        {"content-digest": "sha-256=:AAAA:"},
        {"content-digest": f"crc32c=:{digest('md5')}:"},
        {"content-md5": digest("md5", b"compressed"), "content-encoding": "gzip"},
    ],
    ids=str,
)
def test_what_is_not_understood_says_nothing(headers):
    check_digest(URL, headers, BODY)
