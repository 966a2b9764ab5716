"""Shards to a trained model: tokenizer, then pack and init side by side (unless init measures), then train."""

from prefect import flow

from pretrain.runs import part_of_run
from pretrain.spec import RunSpec
from tasks.adapter import ArtifactRef, planned
from tasks.init import initialize_model
from tasks.pack import pack_sequences
from tasks.tokenizer import obtain_tokenizer
from tasks.train import train


@flow(name="train-model", flow_run_name="train-model")
def train_model(spec: RunSpec, shard: ArtifactRef | None = None) -> dict[str, ArtifactRef]:
    """The trained model and what it was trained from, by stage; run alone, it takes the store's shards."""
    with part_of_run(spec, "train") as run:
        shard = shard or planned(run, "shard")
        made = {"tokenizer": obtain_tokenizer(run, shard)}
        # The short branch goes to a thread: Ctrl-C and a cancel reach the long one at once.
        is_side_by_side = run.wants("init") and not run.needs("init", "pack")
        initializing = initialize_model.submit(run, made["tokenizer"]) if is_side_by_side else None
        if run.wants("pack"):
            made["pack"] = pack_sequences(run, shard, made["tokenizer"])
        if initializing:
            made["init"] = initializing.result()
        elif run.wants("init"):
            made["init"] = initialize_model(run, made["tokenizer"], made["pack"])
        if run.wants("train"):
            made["train"] = train(run, made["pack"], made["init"])
    return made
