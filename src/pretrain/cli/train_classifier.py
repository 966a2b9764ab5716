"""`pretrain train-classifier`: a fastText model for the filter rule `quality_classifier`, from two corpora."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from pretrain.cli.common import JsonOption, console, errors_end_the_command, print_json, shown_number
from pretrain.cli.progress import shown_progress

_CORPUS_HELP = "A file, folder, glob or URL of {} texts, in any format that sources have; may be given again."


def train_classifier_command(
    positive: Annotated[list[str], typer.Option(metavar="URI", help=_CORPUS_HELP.format("good"))],
    negative: Annotated[list[str], typer.Option(metavar="URI", help=_CORPUS_HELP.format("ordinary"))],
    output: Annotated[Path, typer.Option(help="The model's file (.bin); the report stands beside it (.json).")],
    text_key: Annotated[str, typer.Option(help="Field of the records that holds the text.")] = "text",
    threshold: Annotated[float, typer.Option(min=0, max=1, help="Score from which a text counts as good.")] = 0.5,
    held_out: Annotated[float, typer.Option(min=0.001, max=0.9, help="Share of texts to measure on.")] = 0.1,
    max_documents: Annotated[int | None, typer.Option(min=2, help="Texts of each class; all if unset.")] = None,
    max_chars: Annotated[int | None, typer.Option(min=1, help="Characters of a text that count.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of weights, order and split; same seed, same bytes.")] = 0,
    learning_rate: Annotated[float, typer.Option(min=1e-6, help="fastText's lr.")] = 0.1,
    dim: Annotated[int, typer.Option(min=1, help="Length of a word's vector.")] = 100,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the texts.")] = 5,
    word_ngrams: Annotated[int, typer.Option(min=1, max=10, help="Longest run of words that is a feature.")] = 2,
    min_count: Annotated[int, typer.Option(min=1, help="Occurrences from which a word is a feature.")] = 1,
    buckets: Annotated[
        int, typer.Option(min=1, help="Hash buckets for runs of words; each takes 4 x dim bytes of the model.")
    ] = 2_000_000,
    as_json: JsonOption = False,
) -> None:
    """Train a quality classifier from good and ordinary texts, and measure it on texts held out."""
    from pretrain.classifier.config import NEGATIVE, POSITIVE, TrainingConfig
    from pretrain.classifier.corpora import LabelledCorpus
    from pretrain.classifier.training import train_classifier
    from pretrain.progress import LoggedProgress

    config = TrainingConfig(
        text_key=text_key,
        held_out_fraction=held_out,
        threshold=threshold,
        max_documents=max_documents,
        max_chars=max_chars,
        seed=seed,
        learning_rate=learning_rate,
        dim=dim,
        epochs=epochs,
        word_ngrams=word_ngrams,
        min_count=min_count,
        buckets=buckets,
    )
    with errors_end_the_command(), shown_progress(1):
        corpora = [LabelledCorpus(POSITIVE, positive, text_key), LabelledCorpus(NEGATIVE, negative, text_key)]
        report = train_classifier(
            corpora, config, output, progress=LoggedProgress("classifier"), is_verbose=sys.stderr.isatty()
        )
    print_json(report) if as_json else _print_report(report)


def _print_report(report: dict[str, Any]) -> None:
    out = console()
    for name in ("trained", "held_out"):
        counts = ", ".join(f"{shown_number(count)} {label}" for label, count in report[name].items())
        out.print(f"{name.replace('_', ' '):<9} {counts}", markup=False)
    left_out = sum(sum(reasons.values()) for reasons in report["unreadable"].values())
    out.print(
        f"left out  {shown_number(report['duplicates'])} duplicates, {shown_number(report['in_both_corpora'])} texts "
        f"in both corpora, {shown_number(left_out)} records without a text",
        markup=False,
    )
    columns = ("threshold", "precision", "recall", "f1", "negatives_kept")
    table = Table(*(column.replace("_", " ") for column in columns), box=None, pad_edge=False)
    rows = {row["threshold"]: row for row in (*report["thresholds"], report)}
    for threshold, row in sorted(rows.items()):
        style = "bold" if threshold == report["threshold"] else ""
        table.add_row(*(_shown(row[column]) for column in columns), style=style)
    out.print(table)
    out.print(f"AUC {_shown(report['auc'])} on texts held out; wrote {report['model']} and its report", markup=False)
    rule = f"{{rule: quality_classifier, model: {{path: {report['model']}}}, threshold: {report['threshold']}}}"
    out.print(f"as a filter rule: {rule}", markup=False)


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
