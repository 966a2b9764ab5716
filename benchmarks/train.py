"""How fast training goes beside a hand-written loop and the plain Trainer fed by the course's own dataset.

    .venv/bin/python -m benchmarks.train speed                      # the demo's model, on a CPU: ten minutes
    .venv/bin/python -m benchmarks.train gpu                        # 124M and 1B on one GPU: an hour or more
    .venv/bin/python -m benchmarks.train gpu --model 1B --sequence-length 2048 --runs 1     # one case of it
    .venv/bin/python -m benchmarks.train gpu --tiny                 # the same with small models, wherever it is
    .venv/bin/python -m benchmarks.train speed --model 124M --sequence-length 2048 --batch-size 16 --bf16 --compile
    .venv/bin/python -m benchmarks.train checkpoints
    .venv/bin/python -m benchmarks.train documents --sequence-length 2048 --batch-size 1 --steps 30

Each run is a process of its own with the same weights, batch and dtype; the three take turns, and medians count. The
first step is left out of tokens a second, and what leads to it is told as `seconds_to_first_step`. A training's files,
16 bytes a parameter, are removed as it ends. MFU is null where the peak of the device is not known.

`gpu` is `speed`, then `documents`, in bf16, compiled, at sequences of 2,048 and 4,096 tokens. The loop asks PyTorch for
causal attention, as pretrain does, and so has its flash kernel; the plain Trainer is as it comes, and makes a mask
where it is compiled. `checkpoints` is the share of the time that saving every 50 steps takes, by the clock around the
whole training. `documents` is what keeping documents of 730 tokens (the median 400) apart costs, by a mask (sdpa)
and by varlen, beside not keeping them apart.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pretrain.modeling.flops import training_flops_per_token
from pretrain.modeling.folders import CONFIG, read_json_object
from pretrain.modeling.shape import ModelShape
from pretrain.runner import num_usable_cores
from pretrain.sequences.index import SequenceIndex, SplitIndex, TokenPart
from pretrain.train.config import TrainConfig
from pretrain.train.job import TrainJob
from pretrain.train.listening import Listener
from pretrain.train.throughput import mfu

PEER = Path(__file__).resolve().parent / "train_peer.py"
SIZES: dict[str, dict[str, Any]] = {
    "tiny": {
        "vocab_size": 512,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
    },
    "demo": {
        "vocab_size": 4096,
        "hidden_size": 192,
        "intermediate_size": 512,
        "num_hidden_layers": 4,
        "num_attention_heads": 6,
        "num_key_value_heads": 2,
        "tie_word_embeddings": True,
    },
    "124M": {
        "vocab_size": 50_304,
        "hidden_size": 768,
        "intermediate_size": 2048,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "num_key_value_heads": 12,
        "tie_word_embeddings": True,
    },
    "1B": {
        "vocab_size": 50_304,
        "hidden_size": 2048,
        "intermediate_size": 5632,
        "num_hidden_layers": 20,
        "num_attention_heads": 16,
        "num_key_value_heads": 16,
        "tie_word_embeddings": False,
    },
}


# Model, sequence length, batch size: of 80 GB, `pretrain plan` counts 36 GB for the first two, 46 GB for the others.
GPU_CASES = [("124M", 2048, 16), ("124M", 4096, 8), ("1B", 2048, 4), ("1B", 4096, 2)]
TINY_CASES = [("tiny", 64, 4), ("tiny", 128, 2)]
# Lengths of documents are drawn log-normal, with the long tail of web text: 730 tokens in the mean.
DOCUMENT_TOKENS_MEDIAN, DOCUMENT_TOKENS_SIGMA = 400, 1.1


def report(name: str, **figures: Any) -> None:
    """One line of results."""
    print(json.dumps({"measured": name, **figures}), flush=True)


def report_rates(name: str, options: argparse.Namespace, device: str, rates: dict[str, float], **figures: Any) -> None:
    """One line of tokens a second by what was measured, with the case that it is of."""
    case = {key: getattr(options, key) for key in ("model", "batch_size", "sequence_length")}
    rounded = {key: round(rate) for key, rate in rates.items()}
    report(name, device=device, **case, tokens_per_second=rounded, **figures)


def write_model(folder: Path, size: str, sequence_length: int) -> Path:
    """A random Llama as a folder."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM, logging

    logging.disable_progress_bar()
    torch.manual_seed(0)
    LlamaForCausalLM(LlamaConfig(**SIZES[size], max_position_embeddings=sequence_length)).save_pretrained(folder)
    return folder


def write_data(
    folder: Path, num_sequences: int, length: int, vocab_size: int, *, isolate_documents: bool = False
) -> Path:
    """Random tokens as a pack artifact's folder, of documents of random lengths, and the same rows as parquet."""
    generator = np.random.default_rng(0)
    rows = generator.integers(3, vocab_size, (num_sequences, length)).astype("<u2")
    lengths = generator.lognormal(np.log(DOCUMENT_TOKENS_MEDIAN), DOCUMENT_TOKENS_SIGMA, rows.size // 100 + 1)
    starts = np.concatenate([[0], np.cumsum(np.ceil(lengths).astype(np.int64))])
    path = folder / "data/train/part-00000.tokens"
    path.parent.mkdir(parents=True)
    path.write_bytes(rows.tobytes())
    empty = SplitIndex(parts=[], tokens=0, sequences=0, tokens_dropped=0)
    starts = starts[starts < rows.size]
    part = TokenPart(path="data/train/part-00000.tokens", tokens=rows.size, documents=len(starts))
    np.save(folder / part.borders_path, starts)
    index = SequenceIndex(
        isolate_documents=isolate_documents,
        dtype="uint16",
        vocab_size=vocab_size,
        sequence_length=length,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=2,
        splits={
            "train": SplitIndex(parts=[part], tokens=rows.size, sequences=num_sequences, tokens_dropped=0),
            "validation": empty,
        },
    )
    (folder / "data/index.json").write_text(index.model_dump_json())
    np.save(folder / "data/token_bytes.npy", np.full(vocab_size, 4, np.int32))
    pq.write_table(pa.table({"input_ids": list(rows.astype(np.int32))}), folder / "rows.parquet")
    return folder


def write_inputs(folder: Path, options: argparse.Namespace, *, isolate_documents: bool = False) -> None:
    """The model and the data of one comparison."""
    write_model(folder / "model", options.model, options.sequence_length)
    num_sequences = max(1000, options.steps * options.batch_size)
    vocab_size = SIZES[options.model]["vocab_size"]
    write_data(folder / "pack", num_sequences, options.sequence_length, vocab_size, isolate_documents=isolate_documents)


def run_pretrain(folder: Path, options: argparse.Namespace, steps: int, save_every: int | None, run: str) -> Any:
    """A training by the worker that the stage starts; its stats."""
    model, pack = folder / "model", folder / "pack"
    shape = ModelShape.from_config(read_json_object(model / CONFIG))
    config = TrainConfig.model_validate(
        {
            "max_steps": steps,
            "per_device_batch_size": options.batch_size,
            "learning_rate": 1e-3,
            "warmup_steps": min(10, steps),
            "bf16": options.bf16,
            "compile": options.compile,
            "attention": options.attention,
            "save_every_steps": save_every or steps,
            "max_eval_sequences": 0,
        }
    )
    work = folder / run
    (work / "checkpoints").mkdir(parents=True)
    job = TrainJob(
        config=config,
        seed=0,
        pack_folder=pack,
        init_folder=model,
        checkpoint_folder=work / "checkpoints",
        scratch_folder=work,
        export_folder=work / "export",
        num_threads=options.threads,
        flops_per_token=training_flops_per_token(shape, options.sequence_length),
    )
    stats = Listener(lambda done, total, text: None, steps, None).run(job, silence_seconds=600)
    shutil.rmtree(work)
    return stats


def run_peer(name: str, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """The loop or the Trainer."""
    spec = {
        "model": str(folder / "model"),
        "tokens": str(folder / "pack/data/train/part-00000.tokens"),
        "parquet": str(folder / "pack/rows.parquet"),
        "sequence_length": options.sequence_length,
        "batch_size": options.batch_size,
        "steps": options.steps,
        "learning_rate": 1e-3,
        "warmup_steps": min(10, options.steps),
        "bf16": options.bf16,
        "compile": options.compile,
        "threads": options.threads,
    }
    path = folder / "spec.json"
    path.write_text(json.dumps(spec))
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_DATASETS_CACHE": str(folder / "cache")}
    # with two in sight the Trainer would double the batch
    environment["CUDA_VISIBLE_DEVICES"] = environment.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]
    done = subprocess.run(
        [sys.executable, str(PEER), name, str(path)], capture_output=True, text=True, check=False, env=environment
    )
    if done.returncode:
        sys.exit(f"error: {PEER.name} {name} ended with {done.returncode}:\n{done.stderr[-4000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def measure_speed(folder: Path, options: argparse.Namespace) -> None:
    """Tokens a second of all three."""
    found: dict[str, list[dict[str, Any]]] = {"pretrain": [], "loop": [], "trainer": []}
    for run in range(options.runs):
        found["pretrain"].append(run_pretrain(folder, options, options.steps, None, f"run-{run}")["measured"])
        for name in ("loop", "trainer"):
            found[name].append(run_peer(name, folder, options))

    def median(name: str, key: str) -> float:
        return statistics.median(each[key] for each in found[name])

    rates = {name: median(name, "tokens_per_second") for name in found}
    shape = ModelShape.from_config(read_json_object(folder / "model" / CONFIG))
    flops_per_token = training_flops_per_token(shape, options.sequence_length)
    report_rates(
        "speed",
        options,
        found["pretrain"][0]["device"],
        rates,
        of_the_loop=round(rates["pretrain"] / rates["loop"], 3),
        of_the_trainer=round(rates["pretrain"] / rates["trainer"], 3),
        mfu={name: mfu(rate, flops_per_token, 1) for name, rate in rates.items()},
        seconds_to_first_step={name: round(median(name, "seconds_to_first_step"), 1) for name in found},
    )


def measure_documents(folder: Path, options: argparse.Namespace) -> None:
    """Tokens a second with documents kept apart in two ways, and not."""
    cases = {"together": (False, "sdpa"), "sdpa": (True, "sdpa"), "varlen": (True, "varlen")}
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in cases}
    for isolated in (False, True):
        write_inputs(folder / str(isolated), options, isolate_documents=isolated)
    for run in range(options.runs):
        for name, (isolated, attention) in cases.items():
            case = argparse.Namespace(**{**vars(options), "attention": attention})
            stats = run_pretrain(folder / str(isolated), case, options.steps, None, f"{name}-{run}")
            found[name].append(stats["measured"])
    rates = {name: statistics.median(each["tokens_per_second"] for each in runs) for name, runs in found.items()}
    report_rates(
        "documents",
        options,
        found["varlen"][0]["device"],
        rates,
        varlen_of_sdpa=round(rates["varlen"] / rates["sdpa"], 3),
        varlen_of_together=round(rates["varlen"] / rates["together"], 3),
    )


def measure_gpu(folder: Path, options: argparse.Namespace) -> None:
    """Speed and MFU of the models that one GPU is used for."""
    import torch

    if not options.tiny and not torch.cuda.is_available():
        sys.exit("error: no CUDA device is visible. `--tiny` runs the same with small models on the CPU")
    cases = [
        case
        for case in (TINY_CASES if options.tiny else GPU_CASES)
        if options.model in (None, case[0]) and options.sequence_length in (None, case[1])
    ]
    if not cases:
        sys.exit(f"error: no such case; model, sequence length and batch size are of {TINY_CASES + GPU_CASES}")
    for model, sequence_length, batch_size in cases:
        chosen: dict[str, Any] = {"model": model, "sequence_length": sequence_length, "batch_size": batch_size}
        # compiling takes a CPU longer than all else; `--tiny --compile` does it
        chosen |= {"bf16": True, "compile": options.compile or not options.tiny}
        case = argparse.Namespace(**{**vars(options), **chosen})
        with tempfile.TemporaryDirectory(dir=folder) as name:
            write_inputs(Path(name), case)
            measure_speed(Path(name), case)
            measure_documents(Path(name) / "documents", case)


def measure_checkpoints(folder: Path, options: argparse.Namespace) -> None:
    """The time of a training with a checkpoint every 50 steps beside one with the last alone."""
    seconds: dict[int, list[float]] = {50: [], options.steps: []}
    for run in range(options.runs):
        for every, taken in seconds.items():
            measured = run_pretrain(folder, options, options.steps, every, f"run-{run}-{every}")["measured"]
            taken.append(measured["training_seconds"] - measured["seconds_to_first_step"])
    often, once = (statistics.median(taken) for taken in seconds.values())
    report("checkpoints", steps=options.steps, seconds=round(often, 2), of_them_lost=round((often - once) / often, 4))


def main() -> None:
    """Runs one measurement."""
    measurements = {
        "speed": measure_speed,
        "gpu": measure_gpu,
        "checkpoints": measure_checkpoints,
        "documents": measure_documents,
    }
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("measurement", choices=measurements)
    parser.add_argument("--model", choices=SIZES, help="default: demo; of `gpu`: only this one")
    parser.add_argument("--sequence-length", type=int, help="default: 256; of `gpu`: only this one")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=num_usable_cores())
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--tiny", action="store_true", help="of `gpu`: small models, on a CPU too")
    options = parser.parse_args(namespace=argparse.Namespace(attention="sdpa"))
    if options.measurement != "gpu":
        options.model, options.sequence_length = options.model or "demo", options.sequence_length or 256
    with tempfile.TemporaryDirectory() as name:
        if options.measurement in ("speed", "checkpoints"):
            write_inputs(Path(name), options)
        measurements[options.measurement](Path(name), options)


if __name__ == "__main__":
    main()
