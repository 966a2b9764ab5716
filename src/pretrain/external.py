"""Content from outside the store: source files, imported tokenizers and models, language models.

It takes part in a fingerprint by what it is, never by where it lies: each file counts with its name relative to the
uri and the sha256 of its bytes, so that a changed file is noticed and a touched or moved folder is not.
"""

import glob
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from pretrain.errors import InputError
from pretrain.filehash import FileHashes
from pretrain.fingerprint import FINGERPRINT_HEX_DIGITS, canonical_json
from pretrain.store import Store


@dataclass(frozen=True)
class ExternalFile:
    """One outside file.

    Attributes:
        name: its path relative to the uri it was found under; what error messages and ledgers show.
        location: where its bytes are on this machine (a path) or a URL.
        identity: what stands for its content: `sha256:<hex>` locally, an ETag or a revision remotely.
        bytes: its size, or 0 where that is not known.
    """

    name: str
    location: str
    identity: str
    bytes: int


@dataclass(frozen=True)
class ExternalInput:
    """A named set of outside files that one stage reads, such as `source:docs` or `model:lid176`."""

    name: str
    files: tuple[ExternalFile, ...]

    @property
    def fingerprint(self) -> str:
        """32 hex digits over the names and identities of the files, in order of name."""
        pairs = sorted([file.name, file.identity] for file in self.files)
        return hashlib.sha256(canonical_json(pairs).encode()).hexdigest()[:FINGERPRINT_HEX_DIGITS]


@dataclass(frozen=True)
class Surroundings:
    """What is needed to find outside content: the recipe's folder, the store, and the memo of hashes."""

    recipe_folder: Path
    store: Store
    hashes: FileHashes


def local_files(uri: str, around: Surroundings) -> list[ExternalFile]:
    """The files at a local path, folder (recursively) or glob, in order of name, each hashed once.

    Raises:
        InputError: nothing is there, or it cannot be read.
    """
    pattern = str(around.recipe_folder / Path(uri).expanduser())
    if glob.has_magic(pattern) and not Path(pattern).exists():
        root = Path(_fixed_part(pattern))
        paths = [Path(path) for path in glob.glob(pattern, recursive=True)]  # noqa: PTH207 (absolute)
    else:
        root = Path(pattern) if Path(pattern).is_dir() else Path(pattern).parent
        paths = [Path(pattern)] if Path(pattern).is_file() else list(root.rglob("*"))
        if not Path(pattern).exists():
            paths = []
    found = sorted(path for path in paths if path.is_file())
    if not found:
        raise InputError(f"no file matches {uri!r} (looked for {pattern}); correct the path in the recipe")
    return [external_file(path, path.relative_to(root).as_posix(), around.hashes) for path in found]


def external_file(path: Path, name: str, hashes: FileHashes) -> ExternalFile:
    """A local file as outside content.

    Raises:
        InputError: it cannot be read, or its name is not UTF-8.
    """
    shown = os.fsencode(path).decode("utf-8", "backslashreplace")
    if os.fsencode(name) != name.encode("utf-8", "replace"):
        raise InputError(f"the name of {shown} is not UTF-8, so no ledger can hold it; rename it")
    try:
        digest = hashes.sha256(path)
        return ExternalFile(name, str(path), f"sha256:{digest}", path.stat().st_size)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}; check the file and its permissions") from error


def require_unchanged(file: ExternalFile) -> Path:
    """The path of a local outside file, after a check that it still is what the fingerprint counted.

    Raises:
        InputError: it was changed or removed since the run was planned.
    """
    path = Path(file.location)
    try:
        digest = FileHashes().sha256(path)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}; put it back and run again") from error
    if f"sha256:{digest}" != file.identity:
        raise InputError(f"{path} was changed while the run was on its way: run the same command again")
    return path


def _fixed_part(pattern: str) -> str:
    parts = Path(pattern).parts
    num_fixed = next(index for index, part in enumerate(parts) if glob.has_magic(part))
    return str(Path(*parts[:num_fixed]))
