"""A large file goes up and comes down in parts: what a process needs for it does not grow with the file."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.command import ENVIRONMENT
from tests.s3.server import BUCKET, S3Server

pytestmark = pytest.mark.slow  # moves a gigabyte

# 4 parts of 16 MiB on their way up, 8 ranges of 8 MiB on their way down, and what the client copies of them
MAX_GROWTH_BYTES = 150e6
SIZES = (100_000_000, 400_000_000)

CODE = """
import re, sys
from pathlib import Path
from pretrain.filehash import sha256_of_file
from pretrain.store import open_store

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024

def write(num_bytes):
    path = store.scratch_file("part")
    with path.open("wb") as file:
        for number in range(num_bytes // 1_000_000):
            file.write(number.to_bytes(4, "big") * 250_000)
    return path

store = open_store(sys.argv[1])
small = write(1_000_000)
store.put_file(small, "a/small")
store.local_file("a/small")
large = write(int(sys.argv[2]))
sha256 = sha256_of_file(large)
before = peak()
store.put_file(large, "a/large")
put = peak()
assert sha256_of_file(store.local_file("a/large")) == sha256
print(put - before, peak() - before)
"""


def growths(server: S3Server, url: str, num_bytes: int, cache: Path) -> tuple[int, int]:
    """By how much the memory of a process has grown at most after it put a file, and after it got it."""
    environment = {**ENVIRONMENT, **server.environment(), "PRETRAIN_CACHE_DIR": str(cache)}
    command = [sys.executable, "-c", CODE, url, str(num_bytes)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    put, got = map(int, done.stdout.split())
    print(
        f"a file of {num_bytes / 1e6:.0f} MB: {put / 1e6:.0f} MB of memory to put it, {got / 1e6:.0f} MB with getting"
    )
    return put, got


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of a process is read from Linux")
def test_memory_does_not_grow_with_the_file(s3_server: S3Server, prefix: str, tmp_path: Path) -> None:
    for num_bytes in SIZES:
        put, got = growths(s3_server, f"s3://{BUCKET}/{prefix}-{num_bytes}", num_bytes, tmp_path / str(num_bytes))
        assert 0 < put < MAX_GROWTH_BYTES
        assert got < MAX_GROWTH_BYTES
