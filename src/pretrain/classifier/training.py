"""From two corpora to a fastText model and a report on texts that it has not seen.

The same files and settings give the same bytes: fastText runs on one thread, for on several it adds up gradients in
the order in which they come.
"""

import json
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pretrain.classifier.config import LABELS, POSITIVE, TrainingConfig
from pretrain.classifier.corpora import LabelledCorpus
from pretrain.classifier.examples import Example, Examples, is_held_out, write_training_file
from pretrain.classifier.measures import SHOWN_THRESHOLDS, Scored, area_under_curve, measures_at
from pretrain.errors import InputError, UsageError
from pretrain.fasttext_model import FastTextModel
from pretrain.filehash import sha256_of_file
from pretrain.progress import Progress


def train_classifier(
    corpora: Sequence[LabelledCorpus],
    config: TrainingConfig,
    output: Path,
    *,
    progress: Progress,
    is_verbose: bool = False,
) -> dict[str, Any]:
    """Trains a model and measures it.

    Args:
        corpora: one of each label.
        config: the settings.
        output: the model's file, `.bin`; the report goes to the same name with `.json`.
        progress: told how far reading and measuring are.
        is_verbose: whether fastText shows its own progress on stderr.

    Returns:
        The report: model, sha256, label, threshold, precision, recall, f1, negatives_kept and auc on the held-out
        texts, the same at other thresholds, how many texts were trained on, held out and left out, the settings.

    Raises:
        InputError: a corpus cannot be read, or has too few texts.
        UsageError: the output cannot be written.
    """
    _prepare(output)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}-") as folder:
        with Examples(Path(folder) / "texts", seed=config.seed, max_chars=config.max_chars) as examples:
            _read(corpora, examples, progress)
            chosen = examples.chosen(config.max_documents)
            held_out = [example for example in chosen if is_held_out(example, config.held_out_fraction)]
            trained = [example for example in chosen if not is_held_out(example, config.held_out_fraction)]
            _require_both(corpora, trained, held_out, config)
            write_training_file(Path(folder) / "train.txt", examples.lines(trained))
            model_path = Path(folder) / "model.bin"
            _fit(Path(folder) / "train.txt", model_path, config, is_verbose)
            scored = _score(model_path, examples, held_out, progress)
        report = {
            "model": str(output),
            "sha256": sha256_of_file(model_path),
            "label": POSITIVE,
            **measures_at(scored, config.threshold),
            "auc": area_under_curve(scored),
            "thresholds": [measures_at(scored, threshold) for threshold in SHOWN_THRESHOLDS],
            "trained": _by_label(trained),
            "held_out": _by_label(held_out),
            "duplicates": examples.num_duplicates,
            "in_both_corpora": examples.num_contradictions,
            "unreadable": {corpus.label: dict(sorted(corpus.unreadable.items())) for corpus in corpora},
            "config": config.identity(),
        }
        model_path.replace(output)
    report_path = output.with_suffix(".json")
    report_path.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return report


def _prepare(output: Path) -> None:
    if output.suffix != ".bin":
        raise UsageError(f"--output is {output}, but fastText models are named .bin; the report gets the suffix .json")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write {output}: {error.strerror}; choose another --output") from error


def _read(corpora: Sequence[LabelledCorpus], examples: Examples, progress: Progress) -> None:
    num_files, num_read, num_texts = sum(len(corpus.files) for corpus in corpora), 0, 0
    for corpus in corpora:
        for source, file in corpus.files:
            for text in corpus.texts_of(source, file):
                examples.add(text, corpus.label)
                num_texts += 1
                progress(num_read, num_files, f"reading {corpus.label}: {num_texts:,} texts")
            num_read += 1
    progress(num_files, num_files, f"read {num_texts:,} texts")


def _require_both(
    corpora: Sequence[LabelledCorpus], trained: list[Example], held_out: list[Example], config: TrainingConfig
) -> None:
    counts = _by_label([*trained, *held_out])
    for corpus in corpora:
        corpus.require_texts(counts[corpus.label])
    for side, examples in (("train on", trained), ("hold out", held_out)):
        missing = [label for label, count in _by_label(examples).items() if count == 0]
        if missing:
            raise InputError(
                f"no {missing[0]} text is left to {side}: of {counts[missing[0]]} texts, a share of "
                f"{config.held_out_fraction} is held out by hash; give more texts, or another --held-out"
            )


def _fit(train_file: Path, model_path: Path, config: TrainingConfig, is_verbose: bool) -> None:
    import fasttext

    model = fasttext.train_supervised(
        input=str(train_file),
        lr=config.learning_rate,
        dim=config.dim,
        epoch=config.epochs,
        wordNgrams=config.word_ngrams,
        minCount=config.min_count,
        bucket=config.buckets,
        seed=config.seed,
        thread=1,
        verbose=2 if is_verbose else 0,
    )
    model.save_model(str(model_path))


def _score(model_path: Path, examples: Examples, held_out: list[Example], progress: Progress) -> list[Scored]:
    model = FastTextModel(model_path, "the model just trained")
    scored = []
    for index, (label, line) in enumerate(examples.lines(held_out), start=1):
        scored.append((model.score_of(POSITIVE, line), label == POSITIVE))
        progress(index, len(held_out), f"measuring: {index:,} held-out texts")
    return scored


def _by_label(examples: list[Example]) -> dict[str, int]:
    counts = Counter(example.label for example in examples)
    return {label: counts[label] for label in LABELS}
