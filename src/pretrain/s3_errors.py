"""What an S3 server or client says when it fails: what may pass by itself, and what to tell the user of the rest."""

from collections.abc import Callable, Mapping
from typing import Any

import botocore.exceptions as boto
import urllib3.exceptions
from botocore.parsers import ResponseParserError

from pretrain.errors import PretrainError, StoreError, StoreFullError, StorePermissionError, UsageError

# OperationAborted (409): a conflicting request is at work on the key. The digests: the body was changed on its way.
_PASSING_CODES = {
    "BadDigest",
    "ConditionalRequestConflict",
    "IncompleteBody",
    "InternalError",
    "OperationAborted",
    "RequestLimitExceeded",
    "RequestTimeout",
    "RequestTimeoutException",
    "ServiceUnavailable",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "TooManyRequests",
    "XAmzContentChecksumMismatch",
    "XAmzContentSHA256Mismatch",
}
_PASSING_STATUSES = {429, 500, 502, 503, 504}
_PASSING_CLIENT_ERRORS = (
    boto.HTTPClientError,
    boto.ConnectionError,
    boto.IncompleteReadError,
    boto.FlexibleChecksumError,
    ResponseParserError,
    urllib3.exceptions.HTTPError,  # of a body, where botocore does not translate it
)
# All that a request to S3, and the reading of its answer, raises; an operating system's errors are not among it.
CLIENT_ERRORS = (boto.BotoCoreError, boto.ClientError, ResponseParserError, urllib3.exceptions.HTTPError)
_NO_CREDENTIALS = (
    boto.NoCredentialsError,
    boto.PartialCredentialsError,
    boto.CredentialRetrievalError,
    boto.ProfileNotFound,
    boto.NoAuthTokenError,
    boto.TokenRetrievalError,
    boto.SSOError,
    boto.LoginError,
)
_REFUSALS = {
    "SignatureDoesNotMatch": "the access key or its secret is wrong: check AWS_ACCESS_KEY_ID and "
    "AWS_SECRET_ACCESS_KEY, or the profile",
    "InvalidAccessKeyId": "the server does not know the access key: check AWS_ACCESS_KEY_ID, or the profile",
    "ExpiredToken": "the session token has expired: get a new one, then run the same command to resume",
    "TokenRefreshRequired": "the session token has expired: get a new one, then run the same command to resume",
    "InvalidToken": "the session token is not valid: check AWS_SESSION_TOKEN, or the profile",
    "RequestTimeTooSkewed": "this machine's clock is wrong: set it",
}
_DENIED = "these credentials may not do that: a store needs GetObject, PutObject, DeleteObject and ListBucket"
_WRONG_REGIONS = {"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"}
_FULL = {"QuotaExceeded", "InsufficientStorage", "XMinioStorageFull", "507"}


def code_of(error: BaseException) -> str:
    """The code of an answer (`NoSuchKey`), or of its HTTP status where it had no body; else empty."""
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, boto.ClientError) else ""


def status_of(error: BaseException) -> int:
    """The HTTP status of an answer that is an error; 0 where there was no answer."""
    if not isinstance(error, boto.ClientError):
        return 0
    metadata: Mapping[str, Any] = error.response.get("ResponseMetadata", {})
    return int(metadata.get("HTTPStatusCode", 0))


def may_pass(error: BaseException) -> bool:
    """Whether the same request may find the server well a moment later."""
    if isinstance(error, boto.ClientError):
        return code_of(error) in _PASSING_CODES or status_of(error) in _PASSING_STATUSES
    return isinstance(error, _PASSING_CLIENT_ERRORS)


def is_answer(error: BaseException) -> bool:
    """Whether a server of S3 answered, be it with a refusal."""
    return isinstance(error, boto.ClientError) and not may_pass(error)


def read_page(list_page: Callable[..., dict[str, Any]], request: Mapping[str, Any]) -> dict[str, Any]:
    """One page of a listing, every entry of which can be used.

    Raises:
        ResponseParserError: one cannot: no sha256 guards a listing, so this is all that shows wrong bytes in it.
    """
    try:
        page = list_page(**request)
        for entry in page.get("Contents", []):
            _require_below(request["Prefix"], entry["Key"], entry["Size"], entry["LastModified"])
        for entry in page.get("CommonPrefixes", []):
            _require_below(request["Prefix"], entry["Prefix"])
        for entry in page.get("Uploads", []):
            _require_below(request["Prefix"], entry["Key"], entry["UploadId"], entry["Initiated"])
    except (KeyError, ValueError) as error:  # of a number or a time, botocore lets Python's own pass
        raise ResponseParserError(f"a listing cannot be read ({error!r})") from error
    return page


def _require_below(prefix: str, key: str, *_: object) -> None:
    if not key.startswith(prefix):
        raise ValueError(f"{key!r} is not under {prefix!r}")


def store_error(error: Exception, action: str, place: str, bucket: str, endpoint: str) -> PretrainError:
    """The error in the words of pretrain.

    Args:
        error: what botocore raised.
        action: what was being done (`reading`).
        place: the url it was done to.
        bucket: the bucket.
        endpoint: the server's address.
    """
    code, status = code_of(error), status_of(error)
    message = error.response.get("Error", {}).get("Message", "") if isinstance(error, boto.ClientError) else error
    said = f"{code}: {message}" if code else str(error)
    if isinstance(error, _NO_CREDENTIALS):
        return StorePermissionError(
            f"no usable credentials for {place} ({error}): set them as the AWS tools read them, by environment "
            "or profile"
        )
    if code == "NoSuchBucket":
        return UsageError(f"there is no bucket {bucket!r} at {endpoint}: create it, or correct --store")
    if code == "InvalidBucketName" or isinstance(error, boto.ParamValidationError):
        return UsageError(f"{place}: not a bucket and key that S3 takes ({said}): correct --store")
    if code in _WRONG_REGIONS or status == 301:
        return UsageError(
            f"the bucket {bucket!r} is not in the region asked ({said}): set AWS_DEFAULT_REGION to its own"
        )
    if code in _FULL or status == 507:
        return StoreFullError(f"no space left while {action} {place} ({said}): free some, then run the same command")
    if code in _REFUSALS or status in {401, 403}:
        return StorePermissionError(f"refused while {action} {place} ({said}): {_REFUSALS.get(code, _DENIED)}")
    if code or status:
        return StoreError(f"the store failed while {action} {place} ({said}); run the same command to resume")
    return StoreError(
        f"no answer from {endpoint} while {action} {place} ({said}): check the network and AWS_ENDPOINT_URL, "
        "then run the same command to resume"
    )
