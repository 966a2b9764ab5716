"""The stage `language`: one unit a part of the upstream artifact.

Writes `data/part-NNNNN.parquet` with the documents of the languages kept, `lang` set to the model's label,
and `ledger/part-NNNNN.parquet` with a row for every other document: `language_not_kept` (value: score,
evidence: label) or `language_score_too_low` (with the lowest score that the recipe keeps as threshold).
"""

from typing import NamedTuple

from pretrain.artifact import Artifact, PartRecord
from pretrain.documents import Document, LedgerRow, document_writer, ledger_writer, read_documents
from pretrain.errors import InputError
from pretrain.external import ExternalFile
from pretrain.language.config import LanguageConfig
from pretrain.language.fetching import local_model
from pretrain.language.model import Identified, LanguageModel, as_line, load_model
from pretrain.stage import StageContext, Stats, UnitFiles, part_name, sum_stats


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
        documents_in, documents_out, documents_dropped, bytes_in and bytes_out (of UTF-8 text),
        dropped_by_reason, documents_by_language {label: n} (of all documents, kept or not);
        documents_by_source (kept) and dropped_by_source, by reason.

    Raises:
        InputError: the model cannot be used, or does not know a language that the recipe keeps.
        StageError: the model's server cannot be reached.
    """
    ((model,),) = (external.files for external in context.external.values())
    _require_known(context.config, load_model(local_model(model)))
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
    model = load_model(local_model(unit.model))
    config = unit.config
    stats = _no_stats()
    with (
        files.create(f"data/{unit.name}.parquet") as data,
        files.create(f"ledger/{unit.name}.parquet") as ledger,
        document_writer(data.path) as kept,
        ledger_writer(ledger.path) as rows,
    ):
        for document in read_documents(unit.documents.open_part(unit.part)):
            found = model.identify(as_line(document.text, config.max_chars, config.newline))
            num_bytes = len(document.text.encode())
            stats["documents_in"] += 1
            stats["bytes_in"] += num_bytes
            _count(stats["documents_by_language"], found.label)
            row = judge(document, found, config, unit.stage)
            if row is None:
                kept.append(document._replace(lang=found.label))
                stats["documents_out"] += 1
                stats["bytes_out"] += num_bytes
                _count(stats["documents_by_source"], document.source)
            else:
                rows.append(row)
                stats["documents_dropped"] += 1
                _count(stats["dropped_by_reason"], row.reason)
                _count(stats["dropped_by_source"].setdefault(document.source, {}), row.reason)
        data.rows, ledger.rows = kept.num_rows, rows.num_rows
    return stats


def judge(document: Document, found: Identified, config: LanguageConfig, stage: str) -> LedgerRow | None:
    """The ledger row of a document that goes, or None when its language and score are kept."""
    minimum = config.keep.get(found.label)
    if minimum is not None and found.score >= minimum:
        return None
    reason = "language_not_kept" if minimum is None else "language_score_too_low"
    return LedgerRow(document.id, document.source, stage, reason, found.score, minimum, found.label)


def _require_known(config: LanguageConfig, model: LanguageModel) -> None:
    unknown = sorted(config.keep.keys() - model.labels)
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
        "bytes_in": 0,
        "bytes_out": 0,
        "dropped_by_reason": {},
        "documents_by_language": {},
        "documents_by_source": {},
        "dropped_by_source": {},
    }
