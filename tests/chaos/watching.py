"""What happens in a store, as it happens: changes of its files, or requests to its server. Each is one event."""

import contextlib
import ctypes
import os
import select
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

_CREATE, _CLOSE_WRITE, _MOVED_TO, _DELETE = 0x100, 0x8, 0x80, 0x200  # of inotify(7)
_IS_FOLDER = 0x40000000
_HEADER = struct.Struct("iIII")
_POLL_SECONDS = 0.001  # a request takes the server several


class Events:
    """What happened, in order, and a wait for what is to come. An event is a path, or a line of a log."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._changed = threading.Condition()

    def add(self, names: list[str]) -> None:
        """Adds events that happen now."""
        with self._changed:
            self._names += names
            self._changed.notify_all()

    def since(self, first: int) -> list[str]:
        """The events after the first `first`."""
        with self._changed:
            return self._names[first:]

    def wait_for(self, text: str, number: int, first: int, timeout_seconds: float) -> bool:
        """Waits until `number` events after the first `first` are changes of `text`; False after a timeout."""
        with self._changed:
            return self._changed.wait_for(lambda: num_changes(self._names[first:], text) >= number, timeout_seconds)

    def __len__(self) -> int:
        with self._changed:
            return len(self._names)


def num_changes(names: list[str], text: str) -> int:
    """How many events have `text` in them; what is only read counts where `text` is empty."""
    return sum(text in name and not (text and name.startswith("GET ")) for name in names)


@contextlib.contextmanager
def changes_in(folder: Path) -> Iterator[Events]:
    """Files of a folder tree that are made, written to their end, moved in or removed. Linux only."""
    events, is_over = Events(), threading.Event()
    folder.mkdir(parents=True, exist_ok=True)
    watch = _Inotify()
    watch.add(str(folder))
    thread = threading.Thread(target=_follow_changes, args=(watch, events, is_over), daemon=True)
    thread.start()
    try:
        yield events
    finally:
        is_over.set()
        thread.join()
        watch.close()


@contextlib.contextmanager
def requests_in(log: Path, text: str) -> Iterator[Events]:
    """Lines that are added to a log and have `text` in them."""
    events, is_over = Events(), threading.Event()
    with log.open("rb") as file:
        file.seek(0, os.SEEK_END)
        thread = threading.Thread(target=_follow_lines, args=(file, text.encode(), events, is_over), daemon=True)
        thread.start()
        try:
            yield events
        finally:
            is_over.set()
            thread.join()


def _follow_lines(file, text: bytes, events: Events, is_over: threading.Event) -> None:
    unfinished = b""
    while not is_over.is_set():
        data = file.read()
        if not data:
            time.sleep(_POLL_SECONDS)
            continue
        *lines, unfinished = (unfinished + data).split(b"\n")
        if found := [line.decode() for line in lines if text in line]:
            events.add(found)


def _follow_changes(watch: "_Inotify", events: Events, is_over: threading.Event) -> None:
    while not is_over.is_set():
        if select.select([watch.descriptor], [], [], 0.1)[0] and (names := watch.read()):
            events.add(names)


class _Inotify:
    """inotify(7) over a folder tree, folders that are made later included."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.descriptor = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self.descriptor < 0:
            raise OSError(ctypes.get_errno(), "inotify_init1")
        self._folders: dict[int, str] = {}

    def add(self, folder: str) -> list[str]:
        """Watches a folder and those in it; returns the files that are there already."""
        mask = _CREATE | _CLOSE_WRITE | _MOVED_TO | _DELETE
        number = self._libc.inotify_add_watch(self.descriptor, os.fsencode(folder), mask)
        if number < 0:
            return []  # removed again
        self._folders[number] = folder
        found: list[str] = []
        with contextlib.suppress(FileNotFoundError):
            for entry in os.scandir(folder):
                found += self.add(entry.path) if entry.is_dir(follow_symlinks=False) else [entry.path]
        return found

    def read(self) -> list[str]:
        """The paths of the changes since the last call."""
        try:
            data = os.read(self.descriptor, 1 << 16)
        except BlockingIOError:
            return []
        start = 0
        changed: list[str] = []
        while start < len(data):
            number, mask, _, length = _HEADER.unpack_from(data, start)
            name = data[start + _HEADER.size : start + _HEADER.size + length].rstrip(b"\0")
            start += _HEADER.size + length
            path = f"{self._folders[number]}/{os.fsdecode(name)}"
            if not mask & _IS_FOLDER:
                changed.append(path)
            elif mask & (_CREATE | _MOVED_TO):
                changed += self.add(path)
        return changed

    def close(self) -> None:
        os.close(self.descriptor)
