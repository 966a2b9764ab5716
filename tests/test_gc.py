"""What goes and what stays: kept runs with all they came from, living runs, and everything young stay."""

import time
from pathlib import Path

import pytest

from pretrain.errors import NotInStoreError, StoreError, StoreVersionError
from pretrain.gc import Garbage, Keep, Survey, collect, survey, suspects
from pretrain.leases import LEASES, Watch, leased
from pretrain.planning import make_plan
from pretrain.runner import InlineRunner
from pretrain.runs import list_run_ids, load_run, recorded_run, save_run
from pretrain.spec import RunSpec
from pretrain.store import LocalStore, open_store
from tests.tiny import write_recipe


def run(recipe: Path, *overrides: str, until: str = "filter", run_id: str) -> RunSpec:
    """A run of the first stages, with a record of that name."""
    spec = RunSpec(recipe=str(recipe), store=str(recipe.parent / "store"), until=until, overrides=list(overrides))
    with recorded_run(spec.model_copy(update={"run_id": run_id})) as begun:
        pipeline, found = begun.pipeline(), {}
        for stage in ("download", "filter"):
            inputs = {"documents": found["download"]} if stage == "filter" else {}
            outcome = pipeline.obtain(stage, inputs, runner=InlineRunner(), progress=lambda *_: None)
            found[stage] = outcome.artifact
    return spec


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """A recipe whose store has two runs, which share their download and differ in their filter."""
    path = write_recipe(tmp_path)
    run(path, run_id="20260101-1")
    run(path, "filter.rules.0.min_long_lines=4", run_id="20260101-2")
    return path


@pytest.fixture
def store(recipe: Path) -> LocalStore:
    return LocalStore(recipe.parent / "store")


def look(store: LocalStore, num_runs: int, grace_seconds: float = 0.0, keep: tuple[str, ...] = ()) -> Survey:
    return survey(store, Keep(num_runs, keep, grace_seconds), Watch(store), time.time() + 1)


def apply(store: LocalStore, num_runs: int, watch: Watch | None = None) -> list[Garbage]:
    keep = Keep(num_runs, grace_seconds=0.0)
    return collect(store, keep, lambda _: None, watch=watch, unfinished_seconds=0.0)


def filters_of(store: LocalStore) -> dict[str, str]:
    """The filter artifact of each run."""
    return {run_id: f"filter/{load_run(store, run_id).stage('filter').fingerprint}" for run_id in list_run_ids(store)}


def test_a_newer_manifest_in_use_stops_it_before_anything_goes(store: LocalStore) -> None:
    path = store.root / filters_of(store)["20260101-2"] / "manifest.json"
    path.write_text(path.read_text().replace('"schema_version":1', '"schema_version":99'))
    before = sorted(store.list_sizes(""))
    with pytest.raises(StoreVersionError, match="has manifest schema 99, this version reads up to 1: upgrade pretrain"):
        apply(store, num_runs=1)
    assert sorted(store.list_sizes("")) == before


def test_what_only_an_older_run_used_can_go_with_its_record(store: LocalStore) -> None:
    filters = filters_of(store)
    found = look(store, 1)
    assert found.runs == ["20260101-2"]
    assert [(item.kind, item.name) for item in found.garbage] == [
        ("artifact", filters["20260101-1"]),
        ("run record", "runs/20260101-1.json"),
    ]
    assert found.garbage[0].bytes == sum(store.list_sizes(filters["20260101-1"]).values())
    assert look(store, 2).garbage == []
    assert look(store, 1, keep=("20260101-1",)).garbage == []


def test_what_is_young_stays(store: LocalStore) -> None:
    found = look(store, 0, grace_seconds=3600)
    assert (found.garbage, found.num_young) == ([], 5)


def test_collecting_leaves_the_kept_run_whole(recipe: Path, store: LocalStore) -> None:
    filters = filters_of(store)
    removed = apply(store, 1)
    assert [item.name for item in removed] == [filters["20260101-1"], "runs/20260101-1.json"]
    assert store.list_folders("filter") == [filters["20260101-2"].removeprefix("filter/")]
    spec = RunSpec(recipe=str(recipe), store=store.url, until="filter", overrides=["filter.rules.0.min_long_lines=4"])
    assert [stage.action for stage in make_plan(spec.pipeline(), "filter")] == ["cached", "cached"]
    assert store.list_sizes("sweeps") == {}
    assert apply(store, 1) == []


def test_what_a_living_run_names_stays_though_no_record_does(store: LocalStore) -> None:
    mine = filters_of(store)["20260101-1"]
    with leased(store, [mine], "20260101-1"):
        assert [item.name for item in apply(store, 1)] == []  # its record too
        assert mine.removeprefix("filter/") in store.list_folders("filter")


def test_the_lease_of_a_killed_run_protects_until_it_was_seen_silent(store: LocalStore) -> None:
    notice = '{"id":"killed","run_id":null,"host":"h","pid":1,"beat":1,"artifacts":["%s"]}'
    mine = filters_of(store)["20260101-1"]
    store.write_bytes("leases/killed.json", (notice % mine).encode())
    assert mine not in [item.name for item in apply(store, 0)]
    watch = Watch(store, silence_seconds=0.2)
    watch.living(LEASES)
    time.sleep(0.3)
    assert {mine, "leases/killed.json"} <= {item.name for item in apply(store, 0, watch)}
    assert store.list_sizes("leases") == {}


def test_a_lease_that_was_long_not_renewed_is_suspect(store: LocalStore) -> None:
    store.write_bytes("leases/killed.json", b"{}")
    assert suspects(store, time.time()) == 0
    assert suspects(store, time.time() + 3600) == 1


def test_an_artifact_that_a_kept_recipe_starts_from_stays(store: LocalStore) -> None:
    mine = filters_of(store)["20260101-1"]
    record = load_run(store, "20260101-2")
    save_run(store, record.model_copy(update={"recipe": {"init": {"from": f"/mnt/{mine}/data"}}}))
    assert [item.name for item in look(store, 1).garbage] == ["runs/20260101-1.json"]


def test_a_killed_run_that_is_kept_keeps_what_it_had_begun(store: LocalStore) -> None:
    record = load_run(store, "20260101-2")
    begun = "train/" + "ab" * 16
    store.write_bytes(f"{begun}/receipts/export.json", b"{}")
    killed = {"state": "running", "stages": [], "planned": {"train": "ab" * 16}}
    save_run(store, record.model_copy(update=killed))
    assert begun not in [item.name for item in look(store, 1).garbage]
    assert ("unfinished build", begun) in [(item.kind, item.name) for item in look(store, 0).garbage]


def test_what_interrupted_writes_left_goes(store: LocalStore) -> None:
    (store.root / ".tmp" / "0123-part.parquet").write_bytes(b"half")
    filters = filters_of(store)
    store.write_bytes(f"{filters['20260101-2']}/scratch/band-0.npy", b"1234")
    found = {(item.kind, item.name, item.bytes) for item in apply(store, 2)}
    assert found == {
        ("interrupted write", ".tmp/0123-part.parquet", 4),
        ("scratch files", f"{filters['20260101-2']}/scratch", 4),
    }
    assert (list((store.root / ".tmp").iterdir()), len(store.list_folders("filter"))) == ([], 2)


def test_beside_a_living_run_what_writes_left_is_taken_for_its_own(store: LocalStore) -> None:
    (store.root / ".tmp" / "0123-part.parquet").write_bytes(b"half")
    with leased(store, []):
        keep = Keep(2, grace_seconds=0.0)
        assert collect(store, keep, lambda _: None) == []


def test_folders_of_others_are_not_looked_at(store: LocalStore) -> None:
    for path in ("notes/today.txt", "filter/README", "corpus/a/b.jsonl"):
        store.write_bytes(path, b"mine")
    apply(store, 0)
    assert set(store.list_sizes("")) == {"notes/today.txt", "filter/README", "corpus/a/b.jsonl"}


def test_a_record_that_cannot_be_read_stops_it(store: LocalStore) -> None:
    store.write_bytes("runs/20260101-2.json", b"{half")
    with pytest.raises(StoreError, match="unknown what a run to keep refers to"):
        look(store, 1)


def test_a_run_to_keep_has_to_be_there(store: LocalStore) -> None:
    with pytest.raises(NotInStoreError, match="no run 'mine'"):
        look(store, 1, keep=("mine",))


def test_a_store_that_does_not_tell_times_keeps_everything() -> None:
    store = open_store("memory://no-times/store")
    store.write_bytes("filter/aa/manifest.json", b"{}")
    entries = store.list_entries("")
    assert set(entries) == {"filter/aa/manifest.json"}
    assert (entries["filter/aa/manifest.json"].modified or 0) > 1.7e9
