"""The task of the `dedup` stage."""

from pretrain.spec import RunSpec
from tasks.adapter import ArtifactRef, run_stage
from tasks.policy import stage_task


@stage_task("dedup", tags=["data"])
def deduplicate(spec: RunSpec, documents: ArtifactRef) -> ArtifactRef:
    """Drops exact and near duplicates."""
    return run_stage(spec, "dedup", documents=documents)
