"""The task of the `filter` stage."""

from pretrain.spec import RunSpec
from tasks.adapter import ArtifactRef, run_stage
from tasks.policy import stage_task


@stage_task("filter", tags=["data"])
def filter_documents(spec: RunSpec, documents: ArtifactRef) -> ArtifactRef:
    """Drops documents by the recipe's quality rules."""
    return run_stage(spec, "filter", documents=documents)
