"""The `download` stage: every record of every source becomes a document or a ledger row."""

from collections import Counter
from itertools import chain

from pretrain.documents import Document, read_ledger
from pretrain.download.config import DownloadConfig, Source
from pretrain.download.formats import read_records
from pretrain.download.parts import UnitParts
from pretrain.download.records import to_row
from pretrain.download.units import Unit, cut_units
from pretrain.errors import BadInputFractionError, InputError
from pretrain.external import require_unchanged
from pretrain.stage import Receipt, StageContext, Stats, UnitFiles, sum_stats

_NUM_EXAMPLES = 3


def build(context: StageContext[DownloadConfig]) -> Stats:
    """Reads all sources and returns the counts of the manifest.

    `documents_in` counts the records seen (a file that cannot be read at all is one), `documents_out` those
    that became documents, and the rest is in the ledger. `bytes_in` and `bytes_out` are the same UTF-8 bytes
    of text: an unreadable record has none. `records_by_source`, `documents_by_source` split the first two.

    Raises:
        BadInputFractionError: more than `max_bad_fraction` of the records of one source are unreadable.
        InputError: a source holds no record, or a file was changed since the run was planned.
        StageError: a remote source could not be read.
    """
    units = cut_units(context.config, context.external)
    receipts = context.run_units([(unit.name, unit) for unit in units], read_unit)
    stats = sum_stats(receipts)
    for source in context.config.sources:
        _check_source(context, source, stats, receipts)
    return stats


def read_unit(files: UnitFiles, unit: Unit) -> Stats:
    """Reads the files of one unit in their order, until the source's limit."""
    source = unit.source
    dropped: Counter[str] = Counter()
    num_documents = num_bytes = 0
    rows = chain.from_iterable(
        (to_row(record, source, file.name) for record in read_records(file, source)) for file in unit.files
    )
    with UnitParts(files, unit.name) as parts:
        for row in rows:
            if isinstance(row, Document):
                size = len(row.text.encode())
                parts.append_document(row, size)
                num_documents += 1
                num_bytes += size
            else:
                parts.append_ledger(row)
                dropped[row.reason] += 1
            if num_documents == source.max_documents:
                break
    for file in unit.files:
        if file.identity.startswith("sha256:"):
            require_unchanged(file)  # once more: it may have been changed while it was read
    num_dropped = dropped.total()
    return {
        "documents_in": num_documents + num_dropped,
        "documents_out": num_documents,
        "documents_dropped": num_dropped,
        "bytes_in": num_bytes,
        "bytes_out": num_bytes,
        "dropped_by_reason": dict(sorted(dropped.items())),
        "records_by_source": {source.name: num_documents + num_dropped},
        "documents_by_source": {source.name: num_documents},
    }


def _check_source(context: StageContext[DownloadConfig], source: Source, stats: Stats, receipts: list[Receipt]) -> None:
    num_records = stats["records_by_source"][source.name]
    num_bad = num_records - stats["documents_by_source"][source.name]
    if not num_records:
        raise InputError(f"source {source.name!r} holds no record: its files are empty; check them or take it out")
    if num_bad > context.config.max_bad_fraction * num_records:
        raise BadInputFractionError(
            f"source {source.name!r}: {num_bad} of {num_records} records are unreadable "
            f"({num_bad / num_records:.1%}, allowed {context.config.max_bad_fraction:.1%}): "
            f"{_summary(context, source, receipts)}. Repair or take out these files, correct text_key "
            f"({source.text_key!r}) or format ({source.format!r}), or raise download.max_bad_fraction"
        )


def _summary(context: StageContext[DownloadConfig], source: Source, receipts: list[Receipt]) -> str:
    """Reasons by number, each with the first records it happened to."""
    counts: Counter[str] = Counter()
    examples: dict[str, list[str]] = {}
    paths = [file.path for receipt in receipts for file in receipt.files if file.path.startswith("ledger/")]
    for path in paths:
        for row in read_ledger(context.store.local_file(f"{context.artifact_key}/{path}")):
            if row.source == source.name:
                counts[row.reason] += 1
                if len(examples.setdefault(row.reason, [])) < _NUM_EXAMPLES:
                    examples[row.reason].append(str(row.evidence))
    return "; ".join(
        f"{reason} {count} (first: {', '.join(examples[reason])})" for reason, count in counts.most_common()
    )
