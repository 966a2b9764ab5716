"""File systems of a test's own: small ones that can be filled, and ones that refuse to be written. They need root."""

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


class Disk:
    """A file system in memory whose size can be changed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def resize(self, num_kilobytes: int) -> None:
        """Gives it so much space in all."""
        self._remount(f"size={num_kilobytes}k")

    def leave_free(self, num_kilobytes: int) -> None:
        """Leaves so much space beside what is there."""
        used = shutil.disk_usage(self.folder).used
        self.resize(max(4, used // 1024 + num_kilobytes))  # 0 would be no limit

    def make_read_only(self) -> None:
        """Refuses every write from now on."""
        self._remount("ro")

    def _remount(self, option: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{option}", str(self.folder)], check=True)


@contextlib.contextmanager
def mounted_disk(folder: Path) -> Iterator[Disk]:
    """A file system of 50 MB at `folder` for the time of a block; skips the test where none can be mounted."""
    folder.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", "size=50m", "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
