"""Files of entries, such as lists of domains: one entry a line, plain or gzip, `#` at the start for a comment."""

import gzip
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from pretrain.errors import InputError

_GZIP_MAGIC = b"\x1f\x8b"


def read_entries(path: Path, normalize: Callable[[str], str]) -> Iterator[str]:
    """The entries of a file in the spelling that `normalize` gives them.

    Raises:
        InputError: the file cannot be read, is not UTF-8, or has an entry of which `normalize` leaves nothing (it
            would match everything, or never).
    """
    try:
        for number, line in enumerate(_lines(path), start=1):
            text = line.strip().decode("utf-8")
            if not text or text.startswith("#"):
                continue
            entry = normalize(text)
            if not entry:
                raise InputError(
                    f"line {number} of the list {path} is {text[:80]!r}, which can match nothing: remove it"
                )
            yield entry
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"cannot read the list {path}: {error}; check the file") from error
    except UnicodeDecodeError as error:
        raise InputError(f"line {number} of the list {path} is not UTF-8 ({error}): write the list as UTF-8") from error


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        is_compressed = file.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
        file.seek(0)
        if is_compressed:
            with gzip.open(file) as lines:
                yield from lines
        else:
            yield from file


def stamps(files: Mapping[str, Path]) -> tuple[tuple[str, Path, int, int], ...]:
    """What tells unchanged files apart from changed ones, cheaply: the key to keep what was read of them under."""
    found = ((name, path, path.stat()) for name, path in sorted(files.items()))
    return tuple((name, path, stat.st_mtime_ns, stat.st_size) for name, path, stat in found)
