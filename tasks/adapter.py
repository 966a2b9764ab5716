"""From a stage to a Prefect task: states and UI artifacts around one call of the pipeline."""

from typing import NamedTuple, cast

from prefect.runtime import task_run
from prefect.states import Completed

from pretrain.artifact import artifact_key
from pretrain.dag import node
from pretrain.errors import PretrainError
from pretrain.planning import make_plan
from pretrain.spec import RunSpec
from tasks.progress import PrefectProgress
from tasks.ui import publish_funnel, publish_stats


class ArtifactRef(NamedTuple):
    """The name of a finished artifact, `<stage>/<fingerprint>`: all that tasks hand to each other.

    One text, new for every artifact: Prefect draws its arrows by the identity of what it finds in a result.
    """

    key: str


def run_stage(spec: RunSpec, stage: str, **inputs: ArtifactRef) -> ArtifactRef:
    """Obtains the artifact of `stage`; a stage found in the store ends in the state `Cached`."""
    pipeline = spec.pipeline()
    roles = node(stage).inputs(pipeline.recipe)
    try:
        upstream = {role: pipeline.open(inputs[role].key) for role in roles}
    except PretrainError as error:
        error.stage = stage
        raise
    refresh = stage in spec.refresh and (task_run.run_count or 1) == 1  # a retry keeps what was completed
    progress = PrefectProgress(stage)
    with spec.runner() as runner:
        outcome = pipeline.obtain(stage, upstream, runner=runner, progress=progress, refresh=refresh)
    publish_stats(outcome)
    publish_funnel(outcome, upstream.get("documents"))
    ref = ArtifactRef(outcome.artifact.key)
    name = "Cached" if outcome.action == "cached" else "Completed"
    # A task that returns a state ends in it, and its caller gets the state's data.
    return cast(ArtifactRef, Completed(name=name, message=f"{outcome.action} {outcome.artifact.key}", data=ref))


def planned(spec: RunSpec, stage: str) -> ArtifactRef:
    """The artifact that `stage` has under this recipe: where a flow run alone starts from."""
    fingerprints = {entry.stage: entry.fingerprint for entry in make_plan(spec.pipeline(), stage)}
    return ArtifactRef(artifact_key(stage, fingerprints[stage]))
