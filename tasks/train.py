"""The task of the `train` stage."""

from pretrain.spec import RunSpec
from tasks.adapter import ArtifactRef, run_stage
from tasks.policy import stage_task


@stage_task("train", tags=["model"])
def train(spec: RunSpec, pack: ArtifactRef, init: ArtifactRef) -> ArtifactRef:
    """Trains the model; a retry resumes at the last complete checkpoint."""
    return run_stage(spec, "train", pack=pack, init=init)
