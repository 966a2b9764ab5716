"""The data stages of a recipe run in this process, and the record of that run."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pretrain.artifact import Artifact
from pretrain.dag import node, stages_of
from pretrain.runner import InlineRunner, Runner
from pretrain.runs import RunRecord, StageRecord, new_run, save_run
from pretrain.spec import RunSpec
from pretrain.store import Store


class DataRun(NamedTuple):
    """A finished run: its store, its record, and its artifacts by stage."""

    store: Store
    record: RunRecord
    artifacts: dict[str, Artifact]


def run_data_stages(
    recipe: Path, store: Path, *, overrides: Sequence[str] = (), until: str = "shard", runner: Runner | None = None
) -> DataRun:
    """Obtains every stage up to `until` from a recipe file and saves the run record."""
    spec = RunSpec(recipe=str(recipe), store=str(store), overrides=list(overrides), until=until).resolved()
    pipeline = spec.pipeline()
    artifacts: dict[str, Artifact] = {}
    records = []
    for stage in stages_of(pipeline.recipe, until):
        inputs = {role: artifacts[name] for role, name in node(stage).inputs(pipeline.recipe).items()}
        done = pipeline.obtain(stage, inputs, runner=runner or InlineRunner(), progress=lambda *_: None)
        artifacts[stage] = done.artifact
        record = StageRecord(
            stage=stage,
            fingerprint=done.artifact.fingerprint,
            action=done.action,
            seconds=done.seconds,
            stats=done.artifact.manifest.stats,
        )
        records.append(record)
    run = new_run(spec).model_copy(update={"stages": records, "state": "completed"})
    save_run(pipeline.store, run)
    return DataRun(pipeline.store, run, artifacts)
