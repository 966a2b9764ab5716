"""The stage `language`: one unit a part of the upstream artifact.

Writes `data/part-NNNNN.parquet` with the documents of the languages kept, `lang` set to the language (ISO 639-1, else
-3), and `ledger/part-NNNNN.parquet` with a row for every other document: `language_not_kept` (value: score, evidence:
the model's label), `language_score_too_low` (with the lowest score that the recipe keeps as threshold) or
`language_unknown` (value: letters); and one for every document that lost paragraphs: `language_paragraphs_removed`
(value: how many, evidence: of which languages).
"""

from typing import NamedTuple

from pretrain.artifact import Artifact, PartRecord
from pretrain.documents import Document, LedgerRow, document_writer, ledger_writer, read_documents
from pretrain.errors import InputError
from pretrain.external import ExternalFile
from pretrain.fasttext_model import FastTextModel, load_model
from pretrain.language.config import LanguageConfig
from pretrain.language.identification import Judge, Judgement
from pretrain.language.labels import UNKNOWN, normalized
from pretrain.model_fetching import local_model
from pretrain.stage import StageContext, Stats, UnitFiles, part_name, sum_stats

_KEY = "language.model"


class LanguagePart(NamedTuple):
    """One unit: a part of the upstream artifact."""

    name: str
    stage: str
    documents: Artifact
    part: PartRecord
    model: ExternalFile
    config: LanguageConfig


def build(context: StageContext[LanguageConfig]) -> Stats:
    """Identifies the language of every document of the input `documents`.

    Returns:
        documents_in, documents_out, documents_dropped, documents_changed, bytes_in and bytes_out (of UTF-8 text),
        dropped_by_reason, changed_by_reason; documents_by_language {language: n} and
        languages_by_source {source: {language: n}} (of all documents, kept or not); documents_by_source (kept) and
        dropped_by_source, by reason.

    Raises:
        InputError: the model cannot be used, or does not know a language that the recipe keeps.
        StageError: the model's server cannot be reached.
    """
    ((model,),) = (external.files for external in context.external.values())
    _require_known(context.config, _load(model))
    documents = context.inputs["documents"]
    units = [
        (name, LanguagePart(name, context.stage, documents, part, model, context.config))
        for index, part in enumerate(documents.parts())
        for name in [part_name(index)]
    ]
    receipts = context.run_units(units, identify_part)
    return {**_no_stats(), **sum_stats(receipts)}


def identify_part(files: UnitFiles, unit: LanguagePart) -> Stats:
    """Identifies the documents of one part and returns its counts."""
    judge = Judge(_load(unit.model), unit.config)
    stats = _no_stats()
    with (
        files.create(f"data/{unit.name}.parquet") as data,
        files.create(f"ledger/{unit.name}.parquet") as ledger,
        document_writer(data.open()) as kept,
        ledger_writer(ledger.open()) as rows,
    ):
        for document in read_documents(unit.documents.open_part(unit.part)):
            judgement = judge(document.text)
            _count_judgement(stats, document, judgement)
            if judgement.text is not None:
                kept.append(document._replace(text=judgement.text, lang=judgement.language))
            if judgement.reason is not None:
                rows.append(_row(document, unit.stage, judgement))
        data.rows, ledger.rows = kept.num_rows, rows.num_rows
    return stats


def _row(document: Document, stage: str, judgement: Judgement) -> LedgerRow:
    return LedgerRow(
        id=document.id,
        source=document.source,
        stage=stage,
        reason=str(judgement.reason),
        value=judgement.value,
        threshold=judgement.threshold,
        evidence=judgement.evidence,
    )


def _count_judgement(stats: Stats, document: Document, judgement: Judgement) -> None:
    stats["documents_in"] += 1
    stats["bytes_in"] += len(document.text.encode())
    _count(stats["documents_by_language"], judgement.language)
    _count(stats["languages_by_source"].setdefault(document.source, {}), judgement.language)
    if judgement.text is None:
        stats["documents_dropped"] += 1
        _count(stats["dropped_by_reason"], str(judgement.reason))
        _count(stats["dropped_by_source"].setdefault(document.source, {}), str(judgement.reason))
        return
    stats["documents_out"] += 1
    stats["bytes_out"] += len(judgement.text.encode())
    _count(stats["documents_by_source"], document.source)
    if judgement.reason is not None:
        stats["documents_changed"] += 1
        _count(stats["changed_by_reason"], judgement.reason)


def _load(model: ExternalFile) -> FastTextModel:
    return load_model(local_model(model, _KEY), _KEY)


def _require_known(config: LanguageConfig, model: FastTextModel) -> None:
    labels = set(map(normalized, model.labels))
    names = {UNKNOWN, *(label.language for label in labels)}
    keys = {key: normalized(key) for key in config.keep}
    unknown = sorted(
        k for k, label in keys.items() if label not in labels and (label.script or label.language not in names)
    )
    if unknown:
        known = ", ".join(sorted(model.labels)[:20])
        raise InputError(
            f"language.keep names {', '.join(unknown)}, which the model does not know: correct it to some of "
            f"its {len(model.labels)} labels ({known}{', ...' if len(model.labels) > 20 else ''})"
        )


def _count(counts: dict[str, int], name: str) -> None:
    counts[name] = counts.get(name, 0) + 1


def _no_stats() -> Stats:
    return {
        "documents_in": 0,
        "documents_out": 0,
        "documents_dropped": 0,
        "documents_changed": 0,
        "bytes_in": 0,
        "bytes_out": 0,
        "dropped_by_reason": {},
        "changed_by_reason": {},
        "documents_by_language": {},
        "languages_by_source": {},
        "documents_by_source": {},
        "dropped_by_source": {},
    }
