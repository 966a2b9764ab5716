"""The task of the `decontaminate` stage."""

from pretrain.spec import RunSpec
from tasks.adapter import ArtifactRef, run_stage
from tasks.policy import stage_task


@stage_task("decontaminate", tags=["data"])
def decontaminate_documents(spec: RunSpec, documents: ArtifactRef) -> ArtifactRef:
    """Finds evaluation items in documents, and drops, cuts or reports those."""
    return run_stage(spec, "decontaminate", documents=documents)
