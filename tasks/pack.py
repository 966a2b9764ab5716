"""The task of the `pack` stage."""

from pretrain.spec import RunSpec
from tasks.adapter import ArtifactRef, run_stage
from tasks.policy import stage_task


@stage_task("pack", tags=["data"])
def pack_sequences(spec: RunSpec, shard: ArtifactRef, tokenizer: ArtifactRef) -> ArtifactRef:
    """Documents to token sequences of one length."""
    return run_stage(spec, "pack", shard=shard, tokenizer=tokenizer)
