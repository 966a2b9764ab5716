"""The task of the `shard` stage."""

from pretrain.spec import RunSpec
from tasks.adapter import ArtifactRef, run_stage
from tasks.policy import stage_task


@stage_task("shard", tags=["data"])
def shard_documents(spec: RunSpec, documents: ArtifactRef, deduplicated: ArtifactRef | None = None) -> ArtifactRef:
    """Shuffles documents into equal shards, train and validation."""
    clusters = {"clusters": deduplicated} if deduplicated is not None else {}
    return run_stage(spec, "shard", documents=documents, **clusters)
