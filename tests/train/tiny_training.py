"""A training small enough for seconds: 2 layers, 32 wide, 64 tokens, and the artifacts that it reads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pretrain.artifact import Artifact, Manifest
from pretrain.runner import InlineRunner
from pretrain.sequences import SequenceIndex, SplitIndex, TokenPart
from pretrain.stage import StageContext, Stats, UnitFiles
from pretrain.store import LocalStore, Store
from pretrain.train.config import TrainConfig
from pretrain.train.stage import build

VOCAB_SIZE = 64
SEQUENCE_LENGTH = 32
# 40 sequences: ten steps of 2 x 2 sequences are one epoch, so that 30 steps cross two of its ends
NUM_SEQUENCES = {"train": 40, "validation": 8}


def make_pack(store: Store, num_sequences: dict[str, int] = NUM_SEQUENCES, noisy: Sequence[int] = ()) -> Artifact:
    """Sequences that count modulo 61 from a random start: easy, so that the loss falls in a few steps.

    Those of the training split at `noisy` are random.
    """
    files = UnitFiles(store, "pack/upstream")
    generator = np.random.default_rng(0)
    splits = {}
    for split, count in num_sequences.items():
        starts = generator.integers(0, 61, size=(count, 1))
        tokens = (3 + (starts + np.arange(SEQUENCE_LENGTH)) % 61).astype("<u2")
        if split == "train":
            tokens[list(noisy)] = np.random.default_rng(7).integers(3, 64, size=(len(noisy), SEQUENCE_LENGTH))
        path = f"data/{split}/part-00000.tokens"
        with files.create(path) as output:
            output.path.write_bytes(tokens.tobytes())
        splits[split] = SplitIndex(
            parts=[TokenPart(path=path, tokens=tokens.size, documents=1)],
            tokens=tokens.size,
            sequences=count,
            tokens_dropped=0,
        )
    index = SequenceIndex(
        dtype="uint16",
        vocab_size=VOCAB_SIZE,
        sequence_length=SEQUENCE_LENGTH,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=2,
        splits=splits,
    )
    with files.create("data/index.json") as output:
        output.path.write_text(index.model_dump_json())
    with files.create("data/token_bytes.npy") as output, output.path.open("wb") as file:
        np.save(file, np.array([0, 0, 0] + [1 + i % 4 for i in range(VOCAB_SIZE - 3)], dtype=np.int32))
    return _finish(store, "pack", files)


def make_init(store: Store, files: Mapping[str, str] | None = None, **sizes: object) -> Artifact:
    """A randomly initialised Llama with attention dropout, and files beside it by name."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    values = {
        "vocab_size": VOCAB_SIZE,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "max_position_embeddings": 64,
        "attention_dropout": 0.1,
        "bos_token_id": 0,
        "eos_token_id": 1,
    }
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(**values | sizes))
    folder = Path(store.local_file("saved-init"))
    model.save_pretrained(folder)
    for name, text in (files or {"tokenizer.json": '{"kept": "as it is"}'}).items():
        (folder / name).write_text(text)
    written = UnitFiles(store, "init/upstream")
    for path in sorted(folder.iterdir()):
        with written.create(f"data/{path.name}") as output:
            output.path.write_bytes(path.read_bytes())
    return _finish(store, "init", written)


def make_context(
    store: LocalStore, pack: Artifact, init: Artifact, *, key: str = "train/x", **config: object
) -> StageContext[TrainConfig]:
    """30 steps with dropout, two micro-batches a step, a checkpoint every 4 steps and a row every 3."""
    values = {
        "max_steps": 30,
        "per_device_batch_size": 2,
        "gradient_accumulation_steps": 2,
        "learning_rate": 0.01,
        "warmup_steps": 3,
        "log_every_steps": 3,
        "save_every_steps": 4,
        "eval_every_steps": 10,
    }
    return StageContext(
        stage="train",
        config=TrainConfig.model_validate(values | config),
        seed=0,
        inputs={"pack": pack, "init": init},
        external={},
        store=store,
        artifact_key=key,
        runner=InlineRunner(),
        progress=lambda done, total, text: None,
    )


def context_in(folder: Path, **config: object) -> StageContext[TrainConfig]:
    """The same in a store of its own."""
    store = LocalStore(folder)
    return make_context(store, make_pack(store), make_init(store), **config)


@dataclass
class Trained:
    """A finished training: where it is, what it told, and what it reported on the way."""

    context: StageContext[TrainConfig]
    stats: Stats
    progress: list[tuple[int, int, str]]

    def file(self, path: str) -> Path:
        return self.context.store.local_file(f"{self.context.artifact_key}/{path}")


def train(context: StageContext[TrainConfig]) -> Trained:
    """Trains, from the checkpoints that are there."""
    told: list[tuple[int, int, str]] = []
    context = replace(context, progress=lambda *news: told.append(news))
    return Trained(context, build(context), told)


def _finish(store: Store, stage: str, files: UnitFiles) -> Artifact:
    manifest = Manifest(
        stage=stage,
        stage_version=1,
        fingerprint="upstream",
        inputs=[],
        config={},
        parts=sorted(files.written, key=lambda part: part.path),
        stats={},
        provenance={},
    )
    store.write_bytes(f"{stage}/upstream/manifest.json", manifest.to_bytes())
    artifact = Artifact(store, manifest)
    store.write_bytes(f"{artifact.key}/manifest.json", manifest.to_bytes())  # where workers read it
    return artifact
