"""The task of the `download` stage."""

from pretrain.spec import RunSpec
from tasks.adapter import ArtifactRef, run_stage
from tasks.policy import stage_task


@stage_task("download", tags=["data"])
def download_documents(spec: RunSpec) -> ArtifactRef:
    """Sources to documents."""
    return run_stage(spec, "download")
