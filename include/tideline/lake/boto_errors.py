"""What boto's exceptions mean, for the lake and for S3 sources alike. Knows codes, not who reads or why."""

from __future__ import annotations

from enum import Enum
from http.client import HTTPException
from typing import TYPE_CHECKING

from botocore import exceptions as boto
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

if TYPE_CHECKING:
    from collections.abc import Mapping


class Trouble(Enum):
    """What a failed call to an S3 server calls for."""

    PRECONDITION = "a condition on the object did not hold"
    NO_OBJECT = "there is no such object"
    NO_BUCKET = "there is no such bucket"
    NO_UPLOAD = "there is no such multipart upload"
    DENIED = "these credentials may not do this"
    SETTINGS = "credentials, region or endpoint are missing or wrong"
    UNAVAILABLE = "the server does not answer, or sheds load"
    REFUSED = "the server refuses the request"


class GarbledReplyError(Exception):
    """A reply lacks what each must have: damaged on the way, or cut in its head, which Python accepts."""


FAILURES = (
    ClientError,
    BotoCoreError,
    ResponseParserError,
    GarbledReplyError,
    HTTPError,
    HTTPException,
    OSError,
    ValueError,
)
"""What a call to boto, or a read from its streaming body, may raise; `ValueError` for a date that is none."""

_CODES = {
    Trouble.PRECONDITION: "PreconditionFailed 412",
    Trouble.NO_OBJECT: "NoSuchKey NoSuchVersion NotFound 404",
    Trouble.NO_BUCKET: "NoSuchBucket",
    Trouble.NO_UPLOAD: "NoSuchUpload",
    Trouble.DENIED: "AccessDenied Forbidden 403 401 AllAccessDisabled AccountProblem InvalidObjectState",
    Trouble.SETTINGS: (
        "InvalidAccessKeyId SignatureDoesNotMatch ExpiredToken InvalidToken TokenRefreshRequired "
        "RequestTimeTooSkewed AuthorizationHeaderMalformed PermanentRedirect 301 InvalidBucketName "
        "IllegalLocationConstraintException NotSignedUp InvalidClientTokenId AuthFailure"
    ),
    Trouble.UNAVAILABLE: (
        "SlowDown InternalError ServiceUnavailable RequestTimeout Throttling ThrottlingException "
        "RequestLimitExceeded OperationAborted ConditionalRequestConflict IncompleteBody BadDigest "
        "XAmzContentSHA256Mismatch XMinioServerNotInitialized TemporaryRedirect"
    ),
}
_MEANING = {code: trouble for trouble, codes in _CODES.items() for code in codes.split()}
_TRANSIENT_STATUS = frozenset({408, 409, 425, 429})
_NEVER = 501
"""What a server says of a header that it does not know, such as the condition of a write."""

_NOT_OURS = ("CERTIFICATE_VERIFY_FAILED", "WRONG_VERSION_NUMBER")
"""OpenSSL's names for a certificate that is not trusted, and for a server that speaks no TLS. Any other error
of TLS may pass: a connection that is cut is one."""

_TRANSIENT = (
    boto.ConnectionError,
    boto.HTTPClientError,
    boto.IncompleteReadError,
    boto.ChecksumError,
    boto.FlexibleChecksumError,
    boto.CredentialRetrievalError,
    boto.MetadataRetrievalError,
    boto.CapacityNotAvailableError,
    ResponseParserError,
    GarbledReplyError,
    HTTPError,
    HTTPException,
    OSError,
    ValueError,
)


def check_whole(reply: Mapping[str, object], *names: str) -> None:
    """Check that a reply has what it must have.

    Raises:
        GarbledReplyError: It has not.
    """
    missing = [name for name in names if name not in reply]
    if missing:
        raise GarbledReplyError(f"the reply lacks {', '.join(missing)}")


def check_listed(page: Mapping[str, object]) -> None:
    """Check that a page of a listing says whether there is another one, and where.

    Servers that know version 1 of `ListObjects` alone answer version 2 with it: there are more, and no token.

    Raises:
        GarbledReplyError: It does not, and would pass for an empty bucket, or for the last page.
    """
    check_whole(page, "IsTruncated")
    if page["IsTruncated"] and not page.get("NextContinuationToken"):
        raise GarbledReplyError(
            "the listing goes on and its reply lacks NextContinuationToken: see whether the server speaks "
            "version 2 of ListObjects"
        )


def trouble_of(error: Exception) -> Trouble:
    """What one of `FAILURES` calls for; a code that nobody knows is judged by its HTTP status."""
    if isinstance(error, ClientError):
        return _of_reply(error)
    if isinstance(error, boto.SSLError) and any(reason in str(error) for reason in _NOT_OURS):
        return Trouble.SETTINGS
    return Trouble.UNAVAILABLE if isinstance(error, _TRANSIENT) else Trouble.SETTINGS


def _of_reply(error: ClientError) -> Trouble:
    known = _MEANING.get(str(error.response.get("Error", {}).get("Code")))
    if known is not None:
        return known
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if (status >= 500 and status != _NEVER) or status in _TRANSIENT_STATUS:  # noqa: PLR2004 - server errors
        return Trouble.UNAVAILABLE
    return Trouble.REFUSED
