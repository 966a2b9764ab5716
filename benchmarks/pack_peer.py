"""Runs under a peer's interpreter: parquet documents to packed tokens, CPU seconds as a JSON object on standard output.

    X/bin/python benchmarks/pack_peer.py datasets|datatrove FOLDER TOKENIZER.json BOS EOS

FOLDER has parquet files with a column `text`. Prints `tokens`, special tokens counted, and `seconds`.
"""

import contextlib
import json
import os
import resource
import sys
import tempfile
from pathlib import Path

os.environ["TOKENIZERS_PARALLELISM"] = "false"
SEQUENCE_LENGTH = 2048


def cpu_seconds() -> float:
    """CPU seconds of this process and of those that it waited for."""
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def run_datasets(folder: Path, tokenizer_file: str, bos: str, eos: str) -> dict[str, object]:
    """The course's packing: map over the texts, here in batches, then one array cut into rows, to parquet."""
    import datasets
    import numpy as np
    from transformers import PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast(tokenizer_file=tokenizer_file, bos_token=bos, eos_token=eos)
    datasets.disable_progress_bars()

    def tokenize(batch: dict[str, list[str]]) -> dict[str, list[object]]:
        ids = tokenizer(batch["text"], add_special_tokens=False, return_attention_mask=False)["input_ids"]
        framed = [[tokenizer.bos_token_id, *each, tokenizer.eos_token_id] for each in ids]
        return {"input_ids": framed, "num_tokens": [len(each) for each in framed]}

    with tempfile.TemporaryDirectory() as scratch:
        started = cpu_seconds()
        files = [str(path) for path in sorted(folder.glob("*.parquet"))]
        texts = datasets.load_dataset("parquet", data_files=files, split="train", cache_dir=scratch)
        mapped = texts.select_columns(["text"]).map(tokenize, batched=True, load_from_cache_file=False)
        ids = np.concatenate(mapped["input_ids"])
        rows = ids[: len(ids) // SEQUENCE_LENGTH * SEQUENCE_LENGTH].reshape(-1, SEQUENCE_LENGTH).astype(np.int32)
        datasets.Dataset.from_dict({"input_ids": rows}).to_parquet(f"{scratch}/packed.parquet")
        return {"tokens": len(ids), "seconds": cpu_seconds() - started}


def run_datatrove(folder: Path, tokenizer_file: str, bos: str, eos: str) -> dict[str, object]:
    """Its DocumentTokenizer with its defaults, and no shuffle."""
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.readers import ParquetReader
    from datatrove.pipeline.tokens import DocumentTokenizer

    with tempfile.TemporaryDirectory() as scratch:
        writer = DocumentTokenizer(
            f"{scratch}/tokens", tokenizer_name_or_path=tokenizer_file, eos_token=eos, shuffle_documents=False
        )
        started = cpu_seconds()
        with contextlib.redirect_stdout(sys.stderr):
            LocalPipelineExecutor(
                pipeline=[ParquetReader(str(folder), glob_pattern="*.parquet"), writer], tasks=1, logging_dir=None
            ).run()
        seconds = cpu_seconds() - started
        num_bytes = sum(path.stat().st_size for path in Path(scratch).glob("tokens/*.ds"))
        return {"tokens": num_bytes // 2, "seconds": seconds}


if __name__ == "__main__":
    run = {"datasets": run_datasets, "datatrove": run_datatrove}[sys.argv[1]]
    print(json.dumps(run(Path(sys.argv[2]), *sys.argv[3:])))
