"""The task of the `tokenizer` stage."""

from pretrain.spec import RunSpec
from tasks.adapter import ArtifactRef, run_stage
from tasks.policy import stage_task


@stage_task("tokenizer", tags=["data"])
def obtain_tokenizer(spec: RunSpec, shard: ArtifactRef) -> ArtifactRef:
    """Trains a tokenizer on the shards, or imports one."""
    return run_stage(spec, "tokenizer", shard=shard)
