"""A model's file on this machine: checked where it lies, or fetched once into the cache folder."""

import hashlib
import logging
import uuid
from pathlib import Path

from pretrain.errors import InputError, PretrainError, TransientInputError
from pretrain.external import ExternalFile, require_unchanged
from pretrain.filehash import FileHashes, cache_dir
from pretrain.redaction import without_secrets

logger = logging.getLogger(__name__)

_CHUNK_BYTES = 1 << 20


def local_model(file: ExternalFile, key: str) -> Path:
    """The model's file on this machine, with the content that the fingerprint counted.

    Args:
        file: the model as it was planned.
        key: the key of the recipe that names it, for messages: `language.model`.

    Raises:
        InputError: it is not there, or its bytes are others.
        StageError: its server cannot be reached; the same command tries again.
    """
    if "://" not in file.location:
        return require_unchanged(file)
    sha256 = file.identity.removeprefix("sha256:")
    target = cache_dir() / "models" / sha256
    if not target.exists() or FileHashes().sha256(target) != sha256:
        _fetch(file.location, sha256, target, key)
    return target


def _fetch(url: str, sha256: str, target: Path, key: str) -> None:
    shown = without_secrets(url)
    logger.info("fetching the model %s", shown)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.{uuid.uuid4().hex}")
    try:
        found = _copy(url, part)
        if found != sha256:
            raise InputError(
                f"{shown} has sha256 {found}, the recipe says {sha256}: "
                f"correct {key} if the file found is the one you want"
            )
        part.replace(target)
    except PretrainError:
        raise
    except Exception as error:  # each fsspec driver has its own; their messages may hold a signed url
        if isinstance(error, (ImportError, ValueError)) or _is_missing(error):
            raise InputError(f"cannot open the model {shown} ({type(error).__name__}); correct {key}.url") from None
        raise TransientInputError(
            f"cannot fetch the model {shown} ({type(error).__name__}); check the network and the "
            "credentials in the environment, and run the same command again"
        ) from None
    finally:
        part.unlink(missing_ok=True)


def _copy(url: str, target: Path) -> str:
    import fsspec

    digest = hashlib.sha256()
    # expand: without it, "?" in a signed url is taken for a glob
    with fsspec.open(url, "rb", expand=False) as source, target.open("wb") as copy:
        while chunk := source.read(_CHUNK_BYTES):
            digest.update(chunk)
            copy.write(chunk)
    return digest.hexdigest()


def _is_missing(error: BaseException | None) -> bool:
    # fsspec raises FileNotFoundError for a refused connection too, with the true error as its cause
    is_missing = isinstance(error, FileNotFoundError)
    while isinstance(error, FileNotFoundError):
        error = error.__cause__
    return is_missing and error is None
