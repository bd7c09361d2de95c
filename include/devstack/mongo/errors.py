"""The error that a command answers with. Codes and names are MongoDB's (src/mongo/base/error_codes.yml)."""

from __future__ import annotations

from typing import Any

_NAMES = {
    1: "InternalError",
    2: "BadValue",
    9: "FailedToParse",
    13: "Unauthorized",
    14: "TypeMismatch",
    18: "AuthenticationFailed",
    22: "InvalidBSON",
    26: "NamespaceNotFound",
    27: "IndexNotFound",
    43: "CursorNotFound",
    48: "NamespaceExists",
    59: "CommandNotFound",
    66: "ImmutableField",
    73: "InvalidNamespace",
    115: "CommandNotSupported",
    334: "MechanismUnavailable",
    10334: "BSONObjectTooLarge",
    11000: "DuplicateKey",
    40414: "IDLFailedToParse",
}


class CommandError(Exception):
    """A command failed; the client receives code, name and text.

    Args:
        code: MongoDB's error code; one of those named above.
        message: What the client reads.
        extra: More fields of the error document, e.g. `keyPattern`.
    """

    def __init__(self, code: int, message: str, **extra: object) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.extra = extra

    def reply(self) -> dict[str, Any]:
        """The error document of a command."""
        return {
            "ok": 0.0,
            "errmsg": self.message,
            "code": self.code,
            "codeName": _NAMES.get(self.code, f"Location{self.code}"),
            **self.extra,
        }

    def write_error(self, index: int) -> dict[str, Any]:
        """The same as one entry of `writeErrors`."""
        return {"index": index, "code": self.code, "errmsg": self.message, **self.extra}
