"""Importing a tokenizer outside of a stage, and the reference vectors."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from pretrain.sequences.encoder import Encoder
from pretrain.tokenizer.config import TokenizerConfig
from pretrain.tokenizer.converting import Options, huggingface_files

VECTORS = Path(__file__).parent / "vectors" / "reference.json"


@cache
def reference() -> dict[str, Any]:
    vectors: dict[str, Any] = json.loads(VECTORS.read_text(encoding="utf-8"))
    return vectors


def converted(folder: Path, contents: dict[str, bytes], **values: Any) -> Encoder:
    """The encoder of the Hugging Face folder that these files become."""
    config = TokenizerConfig.model_validate({"import": "x", **values})
    folder.mkdir(exist_ok=True)
    for name, data in huggingface_files(contents, Options.of(config)).items():
        (folder / name).write_bytes(data)
    return Encoder(folder)


def gpt2_files(merges: list[tuple[str, str]], more: tuple[str, ...] = ("<|endoftext|>",)) -> dict[str, bytes]:
    """GPT-2's two files: the bytes, what the merges make, and more tokens."""
    from pretrain.sequences.encoder import byte_alphabet

    tokens = [*byte_alphabet(), *(left + right for left, right in merges), *more]
    lines = ["#version: 0.2", *(f"{left} {right}" for left, right in merges)]
    return {
        "vocab.json": json.dumps({token: index for index, token in enumerate(tokens)}).encode(),
        "merges.txt": ("\n".join(lines) + "\n").encode(),
    }
