"""The report on a model, for people: where its parameters are, what was done, what training it takes."""

from collections.abc import Iterator, Mapping
from typing import Any

from pretrain.artifact import Artifact
from pretrain.modeling.parameters import KINDS

_FACTS = ("dropped", "added", "scheme", "std", "seed", "dtype", "keep")
_COMPONENTS = ("weights", "gradients", "optimizer_states", "activations")


def view(artifact: Artifact) -> Iterator[tuple[str, list[str]]]:
    """Titles with lines: parameters by kind, operations, memory for training, and block influence where measured."""
    stats = artifact.manifest.stats
    total = stats["parameters"]
    by_kind = {kind: stats["parameters_by_kind"][kind] for kind in KINDS}
    yield (
        "parameters",
        [
            *(f"{name:<18}{number:>16,}  {number / total:6.1%}" for name, number in by_kind.items()),
            f"{'all':<18}{total:>16,}  20 tokens for each are {stats['tokens_for_20x']:,}",
        ],
    )
    memory = stats["training_memory_bytes"]
    yield (
        f"memory for training, one sequence of {stats['flops_sequence_length']:,} tokens in float32",
        [
            *(f"{name:<18}{_megabytes(memory[name])}" for name in _COMPONENTS),
            f"{'all':<18}{_megabytes(sum(memory.values()))}",
            f"{stats['flops_per_token']:,} FLOPs a token, forward and backward",
        ],
    )
    if stats["operations"]:
        yield "operations", [_operation(entry) for entry in stats["operations"]]
    for entry in stats["operations"]:
        if "block_influence" in entry:
            gone = set(entry["dropped"])
            yield (
                "block influence by layer",
                [
                    f"{layer:>4}  {value:.6f}{'  dropped' if layer in gone else ''}"
                    for layer, value in enumerate(entry["block_influence"])
                ],
            )
    yield "validation loss right after init", [_validation(stats)]


def _megabytes(num_bytes: int) -> str:
    return f"{num_bytes / 1e6:>16,.1f} MB"


def _operation(entry: Mapping[str, Any]) -> str:
    told = [f"{name} {entry[name]}" for name in _FACTS if name in entry]
    told += [f"{entry[name]:,} {name}" for name in entry if name.startswith("tokens_")]
    words = ", ".join([*told, f"{entry['num_hidden_layers']} layers", f"{entry['parameters']:,} parameters"])
    return f"{entry['op']}: {words}"


def _validation(stats: Mapping[str, Any]) -> str:
    if stats.get("validation_loss") is None:
        return "not measured here: `validation_loss_first` of the train artifact, or set init.validation_sequences"
    bits = stats.get("validation_bits_per_byte")
    told = f", {bits:.4f} bits per byte" if bits is not None else ""
    return f"{stats['validation_loss']:.4f} nats a token{told}, on {stats['validation_sequences']:,} sequences"
