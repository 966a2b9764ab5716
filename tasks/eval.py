"""The task of the `eval` stage."""

from pretrain.spec import RunSpec
from tasks.adapter import ArtifactRef, run_stage
from tasks.policy import stage_task


@stage_task("eval", tags=["model"])
def evaluate_model(spec: RunSpec, shard: ArtifactRef, models: dict[str, ArtifactRef]) -> ArtifactRef:
    """Scores the trained model and the baselines that the recipe names."""
    return run_stage(spec, "eval", shard=shard, **models)
