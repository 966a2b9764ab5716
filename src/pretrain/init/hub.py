"""A model of a hub at a pinned commit, in the cache folder that huggingface_hub keeps."""

import logging
from collections.abc import Sequence
from pathlib import Path

from pretrain.errors import InputError, TransientInputError
from pretrain.modeling.folders import CONFIG, WEIGHTS_INDEX

logger = logging.getLogger(__name__)


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
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    logger.info("init: fetching %s at %s", repository, revision)
    try:
        folder = snapshot_download(
            repository, revision=revision, allow_patterns=[CONFIG, WEIGHTS_INDEX, "*.safetensors", *more_files]
        )
    except (RepositoryNotFoundError, RevisionNotFoundError, GatedRepoError) as error:
        raise InputError(
            f"init.from: the hub gives no {repository} at {revision} ({type(error).__name__}): correct the id or the "
            "commit, or give access to it (HF_TOKEN)"
        ) from error
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        message = " ".join(str(error).split())
        raise TransientInputError(
            f"init.from: {repository} at {revision} could not be fetched ({type(error).__name__}: {message}); check "
            "the network and access to it (HF_TOKEN), then run the same command to resume"
        ) from error
    return Path(folder)
