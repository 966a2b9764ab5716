"""A recipe of every stage, small enough to run in seconds, over real prose that every Python has."""

import json
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any

import yaml


def prose(num_documents: int) -> list[str]:
    """Pieces of the language reference, 400 characters or more each, in an order that never changes."""
    pieces = []
    for name in sorted(topics):
        piece = ""
        for paragraph in topics[name].split("\n\n"):
            piece += paragraph + "\n\n"
            if len(piece) >= 400:
                pieces.append(piece)
                piece = ""
    return pieces[:num_documents]


def write_corpus(path: Path, num_documents: int = 240) -> None:
    """JSON Lines with natural text, a tenth of it repeated exactly, and two unreadable records."""
    texts = prose(num_documents)
    rows = [json.dumps({"id": f"doc-{n}", "text": text}) for n, text in enumerate(texts)]
    rows += [json.dumps({"id": f"copy-{n}", "text": text}) for n, text in enumerate(texts[::10])]
    rows += ["{broken", json.dumps({"id": "no-text"})]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")


def tiny_values(**changes: dict[str, Any]) -> dict[str, Any]:
    """The recipe as plain values; `changes` are merged into its stages."""
    values: dict[str, Any] = {
        "name": "tiny",
        "seed": 1,
        "download": {"sources": [{"name": "reference", "uri": "corpus/*.jsonl"}]},
        "filter": {"rules": [{"rule": "course"}]},
        "dedup": {"exact": {"normalize": "none"}, "minhash": {"threshold": 0.7}},
        "language": {"keep": {"en": 0.2}},
        "shard": {"parts": 2, "validation_fraction": 0.1},
        "tokenizer": {"train": {"vocab_size": 384}},
        "pack": {"sequence_length": 32},
        "init": {
            "architecture": {
                "num_hidden_layers": 2,
                "hidden_size": 32,
                "intermediate_size": 64,
                "num_attention_heads": 2,
                "num_key_value_heads": 1,
                "max_position_embeddings": 64,
            }
        },
        "train": {
            "max_steps": 12,
            "per_device_batch_size": 4,
            "learning_rate": 0.01,
            "warmup_steps": 2,
            "log_every_steps": 4,
            "save_every_steps": 4,
            "max_eval_sequences": 16,
            "sample_prompts": ["The"],
            "sample_tokens": 8,
        },
        "eval": {
            "tasks": ["continuation_choice", "bits_per_byte"],
            "baselines": ["init"],
            "continuation_choice": {"num_questions": 8, "context_chars": 80, "continuation_chars": 40},
            "bits_per_byte": {"num_documents": 4, "document_chars": 200},
        },
    }
    for stage, change in changes.items():
        values[stage] = {**values[stage], **change}
    return values


def write_recipe(folder: Path, **changes: dict[str, Any]) -> Path:
    """The recipe and its corpus in a folder; returns the recipe's path."""
    write_corpus(folder / "corpus" / "a.jsonl")
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(tiny_values(**changes)), encoding="utf-8")
    return path
