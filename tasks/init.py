"""The task of the `init` stage."""

from pretrain.spec import RunSpec
from tasks.adapter import ArtifactRef, run_stage
from tasks.policy import stage_task


@stage_task("init", tags=["model"])
def initialize_model(spec: RunSpec, tokenizer: ArtifactRef, pack: ArtifactRef | None = None) -> ArtifactRef:
    """The weights that training starts from; `pack` where something is measured on validation sequences."""
    measured_on = {"pack": pack} if pack is not None else {}
    return run_stage(spec, "init", tokenizer=tokenizer, **measured_on)
