"""What file systems behind a URL say when they fail: what may pass by itself, and what to tell the user of the rest."""

import contextlib
import errno
import logging
import random
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from pretrain.errors import InputError, PretrainError, TransientInputError
from pretrain.external import ExternalFile
from pretrain.redaction import without_secrets

T = TypeVar("T")

logger = logging.getLogger(__name__)

PATIENCE_SECONDS = 120.0  # as for a store in S3
FIRST_PATIENCE_SECONDS = 2.0  # with a server that has never answered: its address may be wrong
LONGEST_PAUSE_SECONDS = 10.0
_PASSING_STATUSES = {408, 425, 429, 500, 502, 503, 504}
_REFUSING_STATUSES = {401, 403, 407}
_PASSING_ERRORS = {errno.EIO, errno.EBUSY, errno.EAGAIN, errno.ETIMEDOUT, errno.EPIPE, errno.EHOSTUNREACH}


def may_pass(error: BaseException) -> bool:
    """Whether the same request may find the server well a moment later."""
    import aiohttp

    from pretrain.s3_errors import CLIENT_ERRORS
    from pretrain.s3_errors import may_pass as s3_may_pass

    if isinstance(error, FileNotFoundError):  # what fsspec makes of every failure of an HTTP server
        return isinstance(error.__cause__, aiohttp.ClientError | TimeoutError) and may_pass(error.__cause__)
    if isinstance(error, aiohttp.ClientResponseError):
        return error.status in _PASSING_STATUSES
    if isinstance(error, aiohttp.ClientSSLError | aiohttp.InvalidURL):
        return False
    if isinstance(error, CLIENT_ERRORS):
        return s3_may_pass(error)
    if isinstance(error, aiohttp.ClientError | TimeoutError | ConnectionError):
        return True
    return isinstance(error, OSError) and error.errno in _PASSING_ERRORS


@contextlib.contextmanager
def input_errors(uri: str) -> Iterator[None]:
    """Errors of file systems, told without the secrets that their own messages may hold; those that may pass, pass.

    Raises:
        InputError: nothing is there, it is refused, or no driver is there for it.
        TransientInputError: it failed in another way.
    """
    try:
        yield
    except PretrainError:
        raise
    except Exception as error:
        if may_pass(error):
            raise
        raise _in_own_words(uri, error) from None


def patiently(uri: str, request: Callable[[], T], seconds: float) -> T:
    """What `request` gives, tried again for so many seconds while its failure may pass.

    Raises:
        InputError, TransientInputError: as `input_errors`.
    """
    pauses = Pauses(uri, seconds)
    while True:
        try:
            with input_errors(uri):
                return request()
        except PretrainError:
            raise
        except Exception as error:
            if not may_pass(error):
                raise
            pauses.wait(error)


class Pauses:
    """The waits between tries: full jitter on a pause that doubles, until patience ends."""

    def __init__(self, uri: str, seconds: float) -> None:
        self._shown = without_secrets(uri)
        self._seconds = seconds
        self.begin()

    def begin(self) -> None:
        """Starts anew, because something was achieved."""
        self._num_tries = 0
        self._ends_at = time.monotonic() + self._seconds

    def wait(self, failure: Exception) -> None:
        """Waits for the next try. Raises TransientInputError when patience is at its end."""
        self._num_tries += 1
        pause = random.uniform(0, min(LONGEST_PAUSE_SECONDS, 0.1 * 2 ** min(self._num_tries, 10)))
        if time.monotonic() + pause > self._ends_at:
            raise TransientInputError(
                f"reading {self._shown} broke off ({_brief(failure)}); check the network, and run the same command "
                "to resume"
            ) from None
        level = logging.WARNING if self._num_tries == 4 else logging.DEBUG  # an outage is said once, not at every try
        logger.log(level, "reading %s: %s; trying again", self._shown, _brief(failure))
        time.sleep(pause)


def changed_error(file: ExternalFile) -> InputError:
    """The error for a file that is another than the one that was planned."""
    return InputError(
        f"{without_secrets(file.location)} was changed while the run was on its way: run the same command again"
    )


def _brief(error: BaseException) -> str:
    """The kind of a failure and its status: messages of libraries may hold signed addresses."""
    cause = error.__cause__ if isinstance(error, FileNotFoundError) and error.__cause__ else error
    status = getattr(cause, "status", None)
    return f"{type(cause).__name__} {status}" if status else type(cause).__name__


def _in_own_words(uri: str, error: Exception) -> PretrainError:
    shown, name = without_secrets(uri), type(error).__name__
    status = getattr(error.__cause__ if isinstance(error, FileNotFoundError) else error, "status", None)
    if isinstance(error, PermissionError) or "Credential" in name or status in _REFUSING_STATUSES:
        return InputError(f"{shown} refuses this environment's credentials ({_brief(error)}); check them")
    if isinstance(error, FileNotFoundError) or status in {404, 410}:
        return InputError(f"nothing is at {shown}; correct the uri in the recipe")
    if isinstance(error, ImportError | ValueError):
        return InputError(
            f"{shown} cannot be opened: {str(error).replace(uri, shown)}; "
            "use a local path, s3 or https, or install its driver"
        )
    return TransientInputError(
        f"{shown} cannot be reached ({_brief(error)}); check the network and run the same command again"
    )
