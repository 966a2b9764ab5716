"""A model of a hub at a pinned commit, in the cache folder that huggingface_hub keeps."""

import logging
from collections.abc import Sequence
from pathlib import Path

from pretrain.errors import InputError, TransientInputError
from pretrain.modeling.folders import CONFIG, WEIGHTS_INDEX

logger = logging.getLogger(__name__)

_REFUSALS = (400, 401, 403, 404)  # where a retry asks for the same in vain


def fetch_model(repository: str, revision: str, more_files: Sequence[str] = ()) -> Path:
    """The local folder of a model's config.json and safetensors; what is there already is not fetched again.

    Args:
        repository: owner/name.
        revision: the commit, 40 hex digits.
        more_files: names of other files to bring where there are any.

    Raises:
        InputError: there is no such model or commit, or it may not be read.
        TransientInputError: the hub could not be reached.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    logger.info("init: fetching %s at %s", repository, revision)
    try:
        folder = Path(
            snapshot_download(
                repository, revision=revision, allow_patterns=[CONFIG, WEIGHTS_INDEX, "*.safetensors", *more_files]
            )
        )
    except HFValidationError as error:
        raise InputError(f"init.from {repository!r} is no id of a hub: {error}") from error
    except HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else 0
        if status in _REFUSALS:
            raise InputError(
                f"init.from: the hub gives no {repository} at {revision} (status {status}): correct the id or the "
                "commit, or give access to it (HF_TOKEN)"
            ) from error
        raise _unreachable(repository, revision, error) from error
    except OSError as error:
        raise _unreachable(repository, revision, error) from error
    except Exception as error:
        if type(error).__module__.startswith(("httpx", "httpcore")):
            raise _unreachable(repository, revision, error) from error
        raise
    if folder.name != revision:
        raise InputError(f"init.from: the hub answers {revision} of {repository} with {folder.name}; pin that commit")
    return folder


def _unreachable(repository: str, revision: str, error: Exception) -> TransientInputError:
    message = " ".join(str(error).split())
    return TransientInputError(
        f"init.from: {repository} at {revision} could not be fetched ({type(error).__name__}: {message}); check the "
        "network and access to it (HF_TOKEN), then run the same command to resume"
    )
