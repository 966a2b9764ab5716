"""Eight processes with overlapping recipes in one store, and gc at work beside them without pause.

gc keeps no run and has no grace: what no living run names goes at once, so that the processes build again and again.
"""

import json
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pretrain.gc import Garbage, Keep, collect
from pretrain.leases import Watch
from pretrain.store import Store, open_store
from tests.chaos.overlapping import LAST
from tests.command import ENVIRONMENT
from tests.content import content_of, num_parts
from tests.s3.bucket import content_of_bucket
from tests.s3.server import BUCKET, S3Server
from tests.tiny import write_recipe

NUM_PROCESSES = 8
KEEP_NOTHING = Keep(num_runs=0, grace_seconds=0.0)


def all_at_once(
    recipe: Path, store: str, folder: Path, num_runs: int, *, num_processes: int = NUM_PROCESSES, until: str = LAST
) -> list[dict[str, Any]]:
    """What each process said at its end; every second one is a machine of its own."""
    machines = [{"PRETRAIN_CACHE_DIR": str(folder / f"machine-{n % 2}")} for n in range(num_processes)]
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.overlapping", str(recipe), store, str(seed), str(num_runs), until],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**ENVIRONMENT, **machine},
        )
        for seed, machine in enumerate(machines)
    ]
    ended = [process.communicate(timeout=900) for process in processes]
    assert [process.returncode for process in processes] == [0] * num_processes, ended
    return [json.loads(text) for text, _ in ended]


class Collecting:
    """gc, again and again, while the block runs."""

    def __init__(self, store: Store) -> None:
        self.removed: Counter[str] = Counter()
        self.num_sweeps = 0
        self.error: BaseException | None = None
        self._store, self._watch = store, Watch(store)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._collect)

    def __enter__(self) -> "Collecting":
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._ended.set()
        self._thread.join()

    def sweep(self) -> list[Garbage]:
        removed = collect(self._store, KEEP_NOTHING, lambda _: None, watch=self._watch)
        self.num_sweeps += 1
        self.removed.update(item.kind for item in removed)
        return removed

    def _collect(self) -> None:
        try:
            while not self._ended.wait(0.1):
                self.sweep()
        except BaseException as error:
            self.error = error
            raise


@pytest.mark.chaos
@pytest.mark.parametrize("place", ["local", "s3"])
def test_nothing_in_use_is_removed_and_all_end_well(
    place: str, s3_server: S3Server, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
        monkeypatch.setitem(ENVIRONMENT, name, value)
    recipe = write_recipe(tmp_path)
    url = str(tmp_path / "store") if place == "local" else f"s3://{BUCKET}/{prefix}"
    store = open_store(url)
    with Collecting(store) as collecting:
        said = all_at_once(recipe, url, tmp_path, num_runs=4)
    assert collecting.error is None
    assert [one["lost"] for one in said] == [[]] * NUM_PROCESSES
    built, cached = (sum(one[name] for one in said) for name in ("built", "cached"))
    assert collecting.removed["artifact"] > 0

    all_at_once(recipe, url, tmp_path, num_runs=4)  # the same seeds, and no gc: the store now has all of it
    assert all_at_once(recipe, url, tmp_path, num_runs=4) == [
        {"built": 0, "cached": 6 * 4, "lost": []} for _ in range(NUM_PROCESSES)
    ]
    content = content_of(Path(url)) if place == "local" else content_of_bucket(s3_server, prefix)
    for name, artifact in content.items():
        assert artifact["parts"] == {part["path"]: part["sha256"] for part in artifact["manifest"]["parts"]}, name
    collecting.sweep()
    assert store.list_sizes("") == {}
    with capsys.disabled():
        print(
            f"\n{place}: {NUM_PROCESSES} processes, {built} stages built and {cached} found beside "
            f"{collecting.num_sweeps} sweeps, which removed {dict(collecting.removed)}; "
            f"{len(content)} artifacts and {num_parts(content)} parts compared with their manifests"
        )


def test_three_at_once_beside_gc(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A slice for every change: the first two stages, in a local store."""
    recipe, url = write_recipe(tmp_path), str(tmp_path / "store")
    with Collecting(open_store(url)) as collecting:
        said = all_at_once(recipe, url, tmp_path, num_runs=3, num_processes=3, until="filter")
    assert collecting.error is None
    assert [one["lost"] for one in said] == [[]] * 3
    assert sum(one["built"] + one["cached"] for one in said) == 3 * 3 * 2
    for name, artifact in content_of(Path(url)).items():
        assert artifact["parts"] == {part["path"]: part["sha256"] for part in artifact["manifest"]["parts"]}, name
    collecting.sweep()
    assert open_store(url).list_sizes("") == {}
    assert collecting.removed["artifact"] > 0
    with capsys.disabled():
        print(f"\n3 processes beside {collecting.num_sweeps} sweeps, which removed {dict(collecting.removed)}")
