"""Shards to a trained model: tokenizer, then pack and init side by side, then train."""

from prefect import flow

from pretrain.spec import RunSpec
from tasks.adapter import ArtifactRef, planned
from tasks.init import initialize_model
from tasks.pack import pack_sequences
from tasks.tokenizer import obtain_tokenizer
from tasks.train import train


@flow(name="train-model", flow_run_name="train-model")
def train_model(spec: RunSpec, shard: ArtifactRef | None = None) -> dict[str, ArtifactRef]:
    """The trained model and what it was trained from, by stage; run alone, it takes the store's shards."""
    spec = spec.resolved()
    shard = shard or planned(spec, "shard")
    made = {"tokenizer": obtain_tokenizer(spec, shard)}
    # The short branch goes to a thread: Ctrl-C and a cancel reach the long one at once.
    initializing = initialize_model.submit(spec, made["tokenizer"]) if spec.wants("init") else None
    if spec.wants("pack"):
        made["pack"] = pack_sequences(spec, shard, made["tokenizer"])
    if initializing:
        made["init"] = initializing.result()
    if spec.wants("train"):
        made["train"] = train(spec, made["pack"], made["init"])
    return made
