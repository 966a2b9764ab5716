"""The files of a tokenizer in a repository of the Hugging Face hub, of the commit that the recipe pins."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from pretrain.errors import InputError, TransientInputError
from pretrain.external import ExternalFile
from pretrain.tokenizer.inputs import HUB_PREFIX, tokenizer_files

if TYPE_CHECKING:
    from huggingface_hub import HfApi

_MAX_BYTES = 1 << 28  # the largest published tokenizer.json files have some 35 MB


def hub_contents(file: ExternalFile) -> dict[str, bytes]:
    """The bytes of the tokenizer's files, by the name that they count with; kept in huggingface_hub's cache.

    Raises:
        InputError: there is no such repository, commit or tokenizer, or access to it is refused.
        StageError: the hub cannot be reached; the same command tries again.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

    repository, revision = file.location.removeprefix(HUB_PREFIX), file.identity.removeprefix("revision:")
    try:
        return _fetch(HfApi(), repository, revision)
    except (InputError, TransientInputError):
        raise
    except HFValidationError as error:
        raise InputError(f"tokenizer.import {repository!r} is no id of a hub: {error}") from error
    except HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else 0
        if status in (400, 401, 403, 404):
            raise InputError(
                f"tokenizer.import: the hub has no {repository} at commit {revision}, or refuses access (status "
                f"{status}); correct the id and the revision, or set HF_TOKEN"
            ) from error
        raise _unreachable(repository, error) from error
    except (OfflineModeIsEnabled, OSError) as error:
        raise _unreachable(repository, error) from error
    except Exception as error:
        if type(error).__module__.startswith(("httpx", "httpcore")):
            raise _unreachable(repository, error) from error
        raise


def _fetch(api: "HfApi", repository: str, revision: str) -> dict[str, bytes]:
    info = api.model_info(repository, revision=revision, files_metadata=True)
    if info.sha != revision:
        raise InputError(
            f"tokenizer.import: the hub answers {revision} of {repository} with the commit {info.sha}; "
            "pin the commit itself"
        )
    sizes = {sibling.rfilename: sibling.size or 0 for sibling in info.siblings or []}
    contents = {}
    for name, path in tokenizer_files([name for name in sizes if "/" not in name], repository).items():
        if sizes[path] > _MAX_BYTES:
            raise InputError(f"tokenizer.import: {path} of {repository} has {sizes[path]:,} bytes; it is no tokenizer")
        contents[name] = Path(api.hf_hub_download(repository, path, revision=revision)).read_bytes()
    return contents


def _unreachable(repository: str, error: Exception) -> TransientInputError:
    reason = re.sub(r"\s+", " ", str(error))[:300]
    return TransientInputError(
        f"tokenizer.import: {repository} could not be fetched ({type(error).__name__}: {reason}); check the network "
        "and run the same command again"
    )
