"""SCRAM-SHA-256, the server's side (RFC 5802, RFC 7677), so that wrong credentials fail as in production."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING, Any

from devstack.mongo.errors import CommandError

if TYPE_CHECKING:
    from devstack.mongo.request import Backend, Request, Session

MECHANISM = "SCRAM-SHA-256"
_ITERATIONS = 4096


class Conversation:
    """One log-in: first message answered with a challenge, second one with the server's proof."""

    def __init__(self, credentials: tuple[str, str], payload: bytes) -> None:
        self._client_first = payload.decode().partition(",,")[2]
        fields = _fields(self._client_first)
        self._is_known = hmac.compare_digest(_unescape(fields.get("n", "")).encode(), credentials[0].encode())
        self._nonce = fields.get("r", "") + secrets.token_urlsafe(18)
        salt = secrets.token_bytes(28)
        self._salted = hashlib.pbkdf2_hmac("sha256", credentials[1].encode(), salt, _ITERATIONS)
        self.challenge = f"r={self._nonce},s={_base64(salt)},i={_ITERATIONS}"

    def finish(self, payload: bytes) -> str:
        """The server's signature for a client that proved the password.

        Raises:
            CommandError: It did not.
        """
        text = payload.decode()
        fields = _fields(text)
        message = f"{self._client_first},{self.challenge},{text.rpartition(',p=')[0]}".encode()
        client_key = _hmac(self._salted, b"Client Key")
        signature = _hmac(hashlib.sha256(client_key).digest(), message)
        proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
        is_proven = hmac.compare_digest(_base64(proof).encode(), fields.get("p", "").encode())
        if not (is_proven and self._is_known and fields.get("r") == self._nonce):
            raise CommandError(18, "Authentication failed.")
        return f"v={_base64(_hmac(_hmac(self._salted, b'Server Key'), message))}"


def start(backend: Backend, request: Request, session: Session) -> dict[str, Any]:
    """`saslStart`."""
    if request.command.get("mechanism") != MECHANISM:
        raise CommandError(334, f"only {MECHANISM} is offered")
    credentials = backend.credentials or ("", "")
    session.conversation = Conversation(credentials, bytes(request.command["payload"]))
    return {"conversationId": 1, "done": False, "payload": session.conversation.challenge.encode()}


def go_on(_backend: Backend, request: Request, session: Session) -> dict[str, Any]:
    """`saslContinue`; a last empty message of a client that cannot skip it is answered too."""
    payload = bytes(request.command["payload"])
    if session.conversation is None:
        raise CommandError(18, "no log-in has begun")
    if session.is_authenticated and not payload:
        return {"conversationId": 1, "done": True, "payload": b""}
    proof = session.conversation.finish(payload)
    session.is_authenticated = True
    return {"conversationId": 1, "done": True, "payload": proof.encode()}


def _fields(message: str) -> dict[str, str]:
    return {part[:1]: part[2:] for part in message.split(",")}


def _unescape(name: str) -> str:
    return name.replace("=2C", ",").replace("=3D", "=")


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _hmac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")
