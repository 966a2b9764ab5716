"""Which files `python://docs` and `python://code` read: this machine's Python and the packages beside it.

Names are `stdlib/<path>` and `packages/<path>`, the same wherever Python is installed.
"""

import hashlib
import os
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from pretrain.download.config import Source
from pretrain.errors import InputError
from pretrain.external import ExternalFile, external_file
from pretrain.filehash import FileHashes

_TOPICS = "stdlib/pydoc_data/topics.py"
# Tests hold broken files on purpose; the packages of an environment are no part of its standard library.
_SKIPPED_FOLDERS = {"test", "tests", "idle_test", "__pycache__", "site-packages", "dist-packages"}


class Installation(NamedTuple):
    """Where a Python lives: the standard library's folder, and the folders of installed packages."""

    stdlib: Path
    packages: tuple[Path, ...]

    @classmethod
    def running(cls) -> "Installation":
        """The Python that runs this process."""
        paths = sysconfig.get_paths()
        folders = dict.fromkeys([Path(paths["purelib"]), Path(paths["platlib"])])
        return cls(Path(paths["stdlib"]), tuple(folders))


def python_files(source: Source, installation: Installation, hashes: FileHashes) -> list[ExternalFile]:
    """The files that a `python://` source reads, in order of name, each hashed once.

    Raises:
        InputError: a named package is not installed, or there is no Python file at all.
    """
    found = dict(_source_files(installation.stdlib, "stdlib"))
    if source.uri == "python://code":
        found.pop(_TOPICS, None)  # prose in a Python literal: python://docs reads it
    else:
        found.update(_package_files(source, installation.packages))
    if not found:
        raise InputError(f"source {source.name!r}: no Python file under {installation.stdlib}; use files instead")
    names = sorted(found) if source.max_bytes is None else _sample(found, source.max_bytes)
    return [external_file(found[name], name, hashes) for name in names]


def _package_files(source: Source, folders: Iterable[Path]) -> Iterator[tuple[str, Path]]:
    wanted = None if source.packages is None else set(source.packages)
    seen = set()
    for folder in folders:
        for entry in sorted(folder.iterdir()) if folder.is_dir() else []:
            name = entry.name.removesuffix(".py")
            if wanted is not None and name not in wanted:
                continue
            if entry.is_dir() and entry.name not in _SKIPPED_FOLDERS:
                seen.add(name)
                yield from _source_files(entry, f"packages/{entry.name}")
            elif entry.suffix == ".py":
                seen.add(name)
                yield f"packages/{entry.name}", entry
    missing = sorted((wanted or set()) - seen)
    if missing:
        raise InputError(
            f"source {source.name!r}: package {missing[0]!r} is not installed beside this Python; "
            "correct `packages` (import names) or install it"
        )


def _source_files(root: Path, prefix: str) -> Iterator[tuple[str, Path]]:
    for folder, subfolders, names in os.walk(root):
        subfolders[:] = [name for name in subfolders if name not in _SKIPPED_FOLDERS]
        for name in names:
            path = Path(folder) / name
            if name.endswith(".py") and path.is_file():
                yield f"{prefix}/{path.relative_to(root).as_posix()}", path


def _sample(found: dict[str, Path], max_bytes: int) -> list[str]:
    """Names of whole files up to `max_bytes`: the topics, then by the hash of the name. Sorted by name."""
    taken = []
    left = max_bytes
    for name in sorted(found, key=lambda name: (name != _TOPICS, hashlib.sha256(name.encode()).digest())):
        size = found[name].stat().st_size
        if size <= left:
            taken.append(name)
            left -= size
    return sorted(taken)
