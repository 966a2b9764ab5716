"""A byte-level tokenizer and models small enough to build in every test."""

from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from pretrain.artifact import Artifact, Manifest
from pretrain.external import Surroundings
from pretrain.filehash import FileHashes
from pretrain.init.config import InitConfig
from pretrain.init.inputs import external_inputs
from pretrain.init.stage import build
from pretrain.runner import InlineRunner
from pretrain.stage import Receipt, StageContext, Stats, UnitFiles
from pretrain.store import LocalStore, Store

SPECIAL_TOKENS = ["<s>", "</s>", "<pad>"]  # ids 0, 1, 2; then one token for each of the 256 bytes
VOCAB_SIZE = 259
ARCHITECTURE = {
    "num_hidden_layers": 8,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "initializer_range": 0.2,  # wide, so that argmax and logits tell models apart
}


def byte_tokenizer(
    pad_token: str | None = "<pad>", num_extra_tokens: int = 0, special_tokens: list[str] = SPECIAL_TOKENS
) -> PreTrainedTokenizerFast:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    extra = [f"extra{index}" for index in range(num_extra_tokens)]
    vocabulary = {token: index for index, token in enumerate([*special_tokens, *alphabet, *extra])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token=pad_token)


def tokenizer_artifact(store: Store, tokenizer: PreTrainedTokenizerFast, folder: Path) -> Artifact:
    tokenizer.save_pretrained(folder)
    files = UnitFiles(store, "tokenizer/upstream")
    for path in sorted(folder.iterdir()):
        with files.create(f"data/{path.name}") as output:
            output.path.write_bytes(path.read_bytes())
    manifest = Manifest(
        stage="tokenizer",
        stage_version=1,
        fingerprint="upstream",
        inputs=[],
        config={},
        parts=files.written,
        stats={},
        provenance={},
    )
    artifact = Artifact(store, manifest)
    store.write_bytes(f"{artifact.key}/manifest.json", manifest.to_bytes())  # where workers read it
    return artifact


def save_checkpoint(folder: Path, **changed) -> LlamaForCausalLM:
    """A checkpoint of `ARCHITECTURE` with random weights, saved by transformers."""
    torch.manual_seed(1)
    model = LlamaForCausalLM(LlamaConfig(**{**ARCHITECTURE, "vocab_size": VOCAB_SIZE, **changed}))
    model.save_pretrained(folder)
    return model


def run_init(
    tmp_path: Path,
    config: dict,
    *,
    tokenizer: PreTrainedTokenizerFast | None = None,
    runner=None,
    seed: int = 0,
    name: str = "made",
    pack: Artifact | None = None,
    store: Store | None = None,
) -> tuple[Path, Stats]:
    """Builds `init/<name>`; returns its data folder and its stats."""
    store = store or LocalStore(tmp_path / "store")
    parsed = InitConfig.model_validate(config)
    around = Surroundings(tmp_path, store, FileHashes(tmp_path / "hashes"))
    made = tokenizer_artifact(store, tokenizer or byte_tokenizer(), tmp_path / "tokenizer")
    context = StageContext(
        stage="init",
        config=parsed,
        seed=seed,
        inputs={"tokenizer": made, **({"pack": pack} if pack is not None else {})},
        external={found.name: found for found in external_inputs(parsed, around)},
        store=store,
        artifact_key=f"init/{name}",
        runner=runner or InlineRunner(),
        progress=lambda done, total, text: None,
    )
    stats = build(context)
    parts = [file.path for receipt in context.receipts.values() for file in receipt.files]
    folders = {store.local_file(f"init/{name}/{path}").parent for path in parts}
    return folders.pop(), stats


def receipts(tmp_path: Path, name: str = "made") -> list[Receipt]:
    """The receipts of `init/<name>`, by name."""
    folder = tmp_path / "store" / "init" / name / "receipts"
    return [Receipt.model_validate_json(path.read_bytes()) for path in sorted(folder.iterdir())]
