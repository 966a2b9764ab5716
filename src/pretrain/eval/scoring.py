"""Scores one model with lm-evaluation-harness. Imports torch and the harness: for the worker only."""

import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import lm_eval
import torch
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager

from pretrain.modeling.folders import load_model, load_tokenizer
from pretrain.sequences.encoder import Encoder

# Told the name of the task and the number of sequences scored in it so far.
ScoringProgress = Callable[[str, int], None]

# Only median, perplexity and the like are resampled, with a process pool. Accuracy has a closed form, which
# the harness takes for any positive number; for 0 it gives the text "N/A".
_BOOTSTRAP_ITERS = 1


class DocumentStartLM(HFLM):  # type: ignore[misc]  # the harness is published without types
    """The harness's Hugging Face model, fed as training was: one bos token, then the ids of plain text.

    `add_bos_token` of the harness cannot say this. In 0.4.13 it is passed on as `add_special_tokens`: True
    leaves it to the tokenizer's post-processor, which may add no bos, or an eos between context and
    continuation; and `loglikelihood_rolling` puts a bos (eos where there is none) in front itself, so that
    True may double it.

    Args:
        encoder: the tokenizer as the training data went through it.
        on_batch: told the number of sequences after every forward pass.
        options: of HFLM.

    Attributes:
        num_truncated: sequences so far of which the beginning did not fit into `max_length`.
    """

    def __init__(self, *, encoder: Encoder, on_batch: Callable[[int], None], **options: Any) -> None:
        super().__init__(add_bos_token=False, **options)
        self._encoder = encoder
        self._on_batch = on_batch
        self.num_truncated = 0

    def tok_encode(self, string: str, *args: Any, **kwargs: Any) -> list[int]:
        """The ids of a text alone, without special tokens."""
        return self._encoder.encode([string])[0]

    def loglikelihood(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """The log-probability of each continuation after its context, which may be empty, and whether it is greedy."""
        encoded = [(request.args, *self._encode_pair(*request.args)) for request in requests]
        scores: list[tuple[float, bool]] = self._loglikelihood_tokens(encoded, disable_tqdm=disable_tqdm)
        return scores

    def _encode_pair(self, context: str, continuation: str) -> tuple[list[int], list[int]]:
        context_ids, continuation_ids = super()._encode_pair(context, continuation) if context else ([], [])
        if not continuation_ids:  # no context, or a tokenizer that makes one token of its end and what follows
            continuation_ids = self.tok_encode(continuation)
        self.num_truncated += len(context_ids) + len(continuation_ids) > self.max_length
        # The harness asserts that a continuation fits; 120 characters of a foreign script can be 360 tokens.
        return [self.prefix_token_id, *context_ids], continuation_ids[: self.max_length]

    def _model_call(self, inps: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        logits: torch.Tensor = super()._model_call(inps, *args, **kwargs)
        self._on_batch(inps.shape[0])
        return logits


class _SequenceCounter:
    """Counts the sequences of the task that is being scored."""

    def __init__(self, on_progress: ScoringProgress) -> None:
        self._on_progress = on_progress
        self._task, self._sequences = "", 0

    def start(self, task: str) -> None:
        self._task, self._sequences = task, 0
        self._on_progress(task, 0)

    def add(self, sequences: int) -> None:
        self._sequences += sequences
        self._on_progress(self._task, self._sequences)


def open_model(folder: Path, job: Mapping[str, Any], on_batch: Callable[[int], None]) -> DocumentStartLM:
    """The model in a folder with its tokenizer, on the GPU where there is one."""
    model = load_model(folder, job["dtype"])
    if torch.cuda.is_available():
        torch.nn.Module.cuda(model)  # the method of transformers has lost its signature for type checkers
    model.config.use_cache = False  # nothing is generated: keys and values need not be kept
    return DocumentStartLM(
        encoder=Encoder(folder),
        on_batch=on_batch,
        pretrained=model,
        tokenizer=load_tokenizer(folder),
        batch_size=job["batch_size"],
        max_length=job["max_length"],
    )


def score(model_folder: Path, job: Mapping[str, Any], on_progress: ScoringProgress) -> dict[str, Any]:
    """Scores one model on the tasks of a job.

    Args:
        model_folder: a model with its tokenizer.
        job: `task_folder` (with the harness's YAML files), `tasks` (names), `seed`, `dtype`, `batch_size` in
            sequences, `max_length` in tokens or None.
        on_progress: called after every batch.

    Returns:
        `metrics` {task: {metric: value or None}}, `samples` {task: [per question]}, `max_length` in tokens,
        `device`, `seconds` {what: wall time}, `truncated` {task: sequences that are longer than `max_length`}.
    """
    started = time.monotonic()
    counter = _SequenceCounter(on_progress)
    model = open_model(model_folder, job, counter.add)
    seconds = {"load": time.monotonic() - started}
    manager = TaskManager(include_path=job["task_folder"], include_defaults=False)
    metrics, samples, truncated = {}, {}, {}
    for name in job["tasks"]:
        started = time.monotonic()
        counter.start(name)
        model.num_truncated = 0
        metrics[name], samples[name] = _score_task(model, manager, name, job["seed"])
        truncated[name] = model.num_truncated
        seconds[name] = time.monotonic() - started
    return {
        "metrics": metrics,
        "samples": samples,
        "max_length": model.max_length,
        "device": str(model.device),
        "seconds": seconds,
        "truncated": truncated,
    }


def _score_task(
    model: DocumentStartLM, manager: TaskManager, name: str, seed: int
) -> tuple[dict[str, float | None], list[dict[str, Any]]]:
    loaded = manager.load([name])
    for task in loaded["tasks"].values():
        task.set_fewshot_seed(seed)
    # simple_evaluate would add a survey of the machine by a dozen commands (1.5 s) and nothing that is used.
    outcome = lm_eval.evaluate(lm=model, task_dict=loaded, bootstrap_iters=_BOOTSTRAP_ITERS, log_samples=True)
    logged = outcome["samples"][name]
    metrics = {
        key.removesuffix(",none"): plain(value)
        for key, value in outcome["results"][name].items()
        if key.endswith(",none")
    }
    output_type = loaded["tasks"][name].OUTPUT_TYPE
    if output_type == "multiple_choice":
        return metrics, [_choice_sample(entry) for entry in logged]
    if output_type == "loglikelihood":
        return _continuation_scores(metrics, logged)
    rows = [_rolling_sample(entry) for entry in logged]
    words = sum(len(re.split(r"\s+", entry["doc"]["text"])) for entry in logged)
    return metrics | word_perplexity(sum(entry["filtered_resps"][0] for entry in logged), words), rows


def _continuation_scores(
    metrics: dict[str, float | None], logged: Sequence[dict[str, Any]]
) -> tuple[dict[str, float | None], list[dict[str, Any]]]:
    scored = [entry["filtered_resps"][0] for entry in logged]
    rows = [
        {"id": entry["doc"]["id"], "correct": bool(is_greedy), "logprob": plain(logprob)}
        for entry, (logprob, is_greedy) in zip(logged, scored, strict=True)
    ]
    return metrics | perplexity([logprob for logprob, _ in scored]), rows


def perplexity(logprobs: Sequence[float]) -> dict[str, float | None]:
    """Perplexity for a target, as the harness defines it for LAMBADA, and its standard error by the delta method.

    Args:
        logprobs: natural log-probability of every target, at least one.

    Returns:
        None for what is beyond a float, and for the error of a single target.
    """
    number = len(logprobs)
    mean = sum(logprobs) / number
    try:
        value = math.exp(-mean)
    except OverflowError:
        return {"perplexity": None, "perplexity_stderr": None}
    if number == 1:
        return {"perplexity": plain(value), "perplexity_stderr": None}
    deviation = math.sqrt(sum((logprob - mean) ** 2 for logprob in logprobs) / (number - 1))
    return {"perplexity": plain(value), "perplexity_stderr": plain(value * deviation / math.sqrt(number))}


def word_perplexity(logprob: float, words: int) -> dict[str, float | None]:
    """Perplexity for a word, as the harness defines it, or None where it is beyond a float.

    Args:
        logprob: natural log-probability of the whole text.
        words: pieces of the text between white space.
    """
    try:
        value = plain(math.exp(-logprob / words))
    except OverflowError:
        value = None
    return {"word_perplexity": value, "word_perplexity_stderr": None}


def plain(value: Any) -> float | None:
    """A metric as JSON can carry it: a Python float, or None for what is no finite number ("N/A", nan)."""
    if isinstance(value, str) or not math.isfinite(value):
        return None
    return float(value)


def _choice_sample(entry: dict[str, Any]) -> dict[str, Any]:
    logprobs = [logprob for logprob, _ in entry["filtered_resps"]]
    by_length = {"correct_norm": "acc_norm", "correct_bytes": "acc_bytes"}
    return {
        "id": entry["doc"]["id"],
        "answer": entry["doc"]["answer"],
        "chosen": max(range(len(logprobs)), key=logprobs.__getitem__),
        "correct": entry["acc"] == 1.0,
        **{name: entry[metric] == 1.0 for name, metric in by_length.items() if metric in entry},
        "logprobs": [plain(logprob) for logprob in logprobs],
    }


def _rolling_sample(entry: dict[str, Any]) -> dict[str, Any]:
    text = entry["doc"]["text"]
    return {
        "id": entry["doc"]["id"],
        "bytes": len(text.encode()),
        "logprob": plain(entry["filtered_resps"][0]),
    }
