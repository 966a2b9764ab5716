"""What `pretrain plan` says of the model before anything runs: its size, and what training it would cost."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pretrain.estimates import Estimate, Prospect, Quantity, duration
from pretrain.init.config import InitConfig
from pretrain.init.report import TOKENS_PER_PARAMETER
from pretrain.init.start import TokenIds, architecture_config
from pretrain.modeling.flops import training_flops_per_token
from pretrain.modeling.folders import CONFIG, read_json_object
from pretrain.modeling.memory import training_memory_bytes
from pretrain.modeling.parameters import parameters_by_kind
from pretrain.modeling.shape import ModelShape


def estimate(config: InitConfig, prospect: Prospect) -> Estimate:
    """Parameters, FLOPs, memory and time of the recipe's training. Empty where the model's sizes are not known yet.

    Returns:
        `parameters` and those by kind, `flops_per_token`, `tokens_for_20x`, `training_tokens`,
        `training_flops`, `training_memory` by component, and `training_time` where hardware was named.

    Raises:
        InputError: the checkpoint's config.json cannot be used.
        RecipeError: an operation does not fit the model.
    """
    shape = _shape(config, prospect)
    if shape is None:
        return {}
    return {**_size(shape), **_training(shape, prospect)}


def _size(shape: ModelShape) -> dict[str, Quantity]:
    by_kind = parameters_by_kind(shape)
    parameters = sum(by_kind.values())
    return {
        "parameters": Quantity(parameters),
        **{f"parameters.{kind}": Quantity(number) for kind, number in by_kind.items()},
        "tokens_for_20x": Quantity(TOKENS_PER_PARAMETER * parameters, "tokens"),
    }


def _training(shape: ModelShape, prospect: Prospect) -> dict[str, Quantity]:
    train, sequence_length = prospect.recipe["train"], prospect.recipe["pack"]["sequence_length"]
    batch_size = train["per_device_batch_size"]
    step_tokens = train.get("global_batch_tokens")  # or so many forward passes
    if step_tokens is None:
        step_tokens = batch_size * (train["gradient_accumulation_steps"] or 1) * sequence_length
    tokens = train.get("tokens") or train["max_steps"] * step_tokens
    flops = training_flops_per_token(shape, sequence_length)
    memory = training_memory_bytes(
        shape,
        batch_size=batch_size,
        sequence_length=sequence_length,
        bf16=train["bf16"],
        gradient_checkpointing=train["gradient_checkpointing"],
        optimizer=train.get("optimizer", "adamw"),
    )
    found = {
        "flops_per_token": Quantity(flops, f"at {sequence_length:,} tokens a sequence"),
        "training_tokens": Quantity(tokens, "tokens"),
        "training_flops": Quantity(float(flops * tokens), "FLOPs"),
        "training_memory": Quantity(sum(memory.values()), "bytes"),
        **{f"training_memory.{name}": Quantity(number, "bytes") for name, number in memory.items()},
    }
    if prospect.hardware is not None:
        used = prospect.hardware
        found["training_time"] = duration(
            used.seconds(flops * tokens), f"on {used.name} at an MFU of {used.mfu:g}", digits=4
        )
    return found


def _shape(config: InitConfig, prospect: Prospect) -> ModelShape | None:
    """The sizes after all operations; None where the tokenizer or the checkpoint has to be there first."""
    made = prospect.artifacts.get("init")
    if made is not None and made.parts(f"data/{CONFIG}"):
        return ModelShape.from_config(read_json_object(made.open_part(f"data/{CONFIG}")))
    vocab_size = _vocab_size(prospect)
    start = _start(config, prospect, vocab_size)
    if start is None:
        return None
    ModelShape.from_config(start)  # before operations read it
    if vocab_size is None and not config.needs_source_tokenizer:
        vocab_size = int(start["vocab_size"])  # the tokenizer has to have as many
    if vocab_size is None:
        return None
    values = dict(start)
    for operation in config.operations:
        values = operation.config_after(values, vocab_size)
    return ModelShape.from_config(values)


def _start(config: InitConfig, prospect: Prospect, vocab_size: int | None) -> Mapping[str, Any] | None:
    if config.architecture is not None:
        return architecture_config(config.architecture, TokenIds(vocab_size, None, None, None)) if vocab_size else None
    for outside in prospect.external.get("init", ()):
        for file in outside.files:
            if file.name == CONFIG and "://" not in file.location:
                return read_json_object(Path(file.location))
    return None


def _vocab_size(prospect: Prospect) -> int | None:
    """Of the tokenizer that the store has, that is imported, or that is to be trained (then at most so many)."""
    made = prospect.artifacts.get("tokenizer")
    if made is not None and "vocab_size" in made.manifest.stats:
        return int(made.manifest.stats["vocab_size"])
    trained = prospect.recipe["tokenizer"].get("train")
    if trained is not None:
        return int(trained["vocab_size"])
    for outside in prospect.external.get("tokenizer", ()):
        for file in outside.files:
            if file.name == "tokenizer.json" and "://" not in file.location:
                return _num_tokens(Path(file.location))
    return None


def _num_tokens(path: Path) -> int | None:
    """One more than the largest id in a tokenizer.json, or None where its vocabulary is of an unknown form."""
    values = read_json_object(path)
    vocabulary = values.get("model", {}).get("vocab")
    added = [token["id"] for token in values.get("added_tokens", [])]
    if isinstance(vocabulary, Mapping):
        return int(max([*vocabulary.values(), *added])) + 1
    if isinstance(vocabulary, list):  # Unigram: pairs of token and score, by id
        return int(max([len(vocabulary) - 1, *added])) + 1
    return None
