"""The task of the `language` stage."""

from pretrain.spec import RunSpec
from tasks.adapter import ArtifactRef, run_stage
from tasks.policy import stage_task


@stage_task("language", tags=["data"])
def keep_languages(spec: RunSpec, documents: ArtifactRef) -> ArtifactRef:
    """Keeps documents in the recipe's languages."""
    return run_stage(spec, "language", documents=documents)
