"""A tokenizer as the files that `AutoTokenizer.from_pretrained` loads."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from pretrain.stage import UnitFiles
from pretrain.temporary import temporary_folder


def save_tokenizer(
    files: UnitFiles,
    tokenizer: Tokenizer,
    special_roles: Mapping[str, str],
    more_special_tokens: Sequence[str] = (),
) -> None:
    """Writes the tokenizer under `data/`, its special tokens by role (`bos_token`, ...) and the others."""
    from transformers import PreTrainedTokenizerFast

    make: Any = PreTrainedTokenizerFast  # its signature has no types
    fast = make(
        tokenizer_object=tokenizer,
        clean_up_tokenization_spaces=False,  # decoded text keeps its spaces before punctuation
        extra_special_tokens=list(more_special_tokens),
        **special_roles,
    )
    with temporary_folder() as folder:
        fast.save_pretrained(folder)
        copy_folder(files, folder)


def copy_folder(files: UnitFiles, folder: Path) -> None:
    """Writes every file of a flat folder under `data/`."""
    for path in sorted(folder.iterdir()):
        with files.create(f"data/{path.name}") as output:
            output.path.write_bytes(path.read_bytes())
