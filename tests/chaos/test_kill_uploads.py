"""A process that is killed while it uploads a large file: what it had sent, no one sees, and gc removes."""

import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.chaos.chains import collect_garbage
from tests.chaos.places import BucketPlace
from tests.chaos.watching import Events
from tests.command import ENVIRONMENT
from tests.s3.bucket import client_of
from tests.s3.server import BUCKET, S3Server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

NUM_KILLS = 12
KEY = "shard/0123456789abcdef/data/part-00000.parquet"
NUM_BYTES = 60_000_000  # four parts of an upload
SCRIPT = """
import sys
from pathlib import Path
from pretrain.store import open_store
store = open_store(sys.argv[1])
path = store.scratch_file("part")
path.write_bytes(Path(sys.argv[2]).read_bytes())
store.put_file(path, sys.argv[3])
"""


def test_killed_while_it_uploads(s3_server: S3Server, prefix: str, tmp_path: Path) -> None:
    place = BucketPlace(s3_server, prefix)
    environment = {**place.environment(), "PRETRAIN_CACHE_DIR": str(tmp_path / "cache")}
    data = random.Random(0).randbytes(NUM_BYTES)
    source = tmp_path / "source"
    source.write_bytes(data)
    generator = random.Random(1)
    num_kills = most_uploads = 0
    with place.watched() as events:
        while num_kills < NUM_KILLS:
            process = upload(place, source, environment)
            kill_after(process, events, generator)
            num_kills += process.returncode == -signal.SIGKILL
            assert set(place.files()) <= {KEY}
            if whole := place.files().get(KEY):  # its last request had been sent
                assert whole == data
                client_of(s3_server).delete_object(Bucket=BUCKET, Key=f"{prefix}/{KEY}")
            most_uploads = max(most_uploads, place.num_uploads())
    assert most_uploads >= NUM_KILLS // 2
    assert upload(place, source, environment).wait(60) == 0
    assert place.files() == {KEY: data}
    removed = Counter(collect_garbage(place, environment))  # the file too: it is of no run
    assert removed == {"interrupted write": most_uploads, "unfinished build": 1}
    assert (place.num_uploads(), place.files()) == (0, {})


def upload(place: BucketPlace, source: Path, environment: dict[str, str]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, place.url, str(source), KEY], env={**ENVIRONMENT, **environment}
    )


def kill_after(process: "subprocess.Popen[bytes]", events: Events, generator: random.Random) -> None:
    """Kills at one of the requests of the upload: its begin, a part, its end."""
    first, number = len(events), generator.randint(1, 5)
    while process.poll() is None and not events.wait_for("", number, first, 0.02):
        pass
    time.sleep(generator.uniform(0, 0.02))
    process.kill()
    process.wait()
