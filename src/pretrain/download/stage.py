"""The `download` stage: every record of every source becomes a document or a ledger row."""

from collections import Counter
from collections.abc import Iterator

from pretrain.documents import Document, LedgerRow, read_ledger
from pretrain.download.config import DownloadConfig, Source
from pretrain.download.extraction import TextExtractor
from pretrain.download.formats import read_records
from pretrain.download.parts import UnitParts
from pretrain.download.records import ReadResult, Record, Skipped, license_of, to_row
from pretrain.download.remote import is_remote
from pretrain.download.units import Unit, cut_units
from pretrain.errors import BadInputFractionError, InputError
from pretrain.external import require_unchanged
from pretrain.stage import Receipt, StageContext, Stats, UnitFiles, sum_stats

_NUM_EXAMPLES = 3
# A manifest is read whole: names that are no licence names must not swell it.
_MAX_LICENSE_CHARS = 80
_MAX_LICENSES = 200


def build(context: StageContext[DownloadConfig]) -> Stats:
    """Reads all sources and returns the counts of the manifest.

    `documents_in` counts the records seen (a file that cannot be read at all is one), `documents_out` those
    that became documents, and the rest is in the ledger. `bytes_in` and `bytes_out` are the same UTF-8 bytes
    of text: an unreadable record has none. `records_by_source`, `documents_by_source` split the first two,
    `dropped_by_source` is the ledger by source and reason. `skipped_by_source` is its part that is no document
    by its nature (a picture in a source tree), so that it is no sign of damage. `documents_by_license` counts
    documents by the name of their licence, `unknown` without one; of each unit the first 200 names are told
    apart, of at most 80 characters, and `other` are the rest.

    Raises:
        BadInputFractionError: more than `max_bad_fraction` of the records of one source, without those that
            were skipped, are unreadable.
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
    skipped: Counter[str] = Counter()
    licenses: Counter[str] = Counter()
    num_documents = num_bytes = 0
    with UnitParts(files, unit.name) as parts:
        for record, row in _rows(unit):
            if isinstance(row, Document):
                size = len(row.text.encode())
                parts.append_document(row, size)
                licenses[_license_name(record, source, licenses)] += 1
                num_documents += 1
                num_bytes += size
            else:
                parts.append_ledger(row)
                dropped[row.reason] += 1
                skipped[row.reason] += isinstance(record, Skipped)
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
        "dropped_by_source": {source.name: dict(sorted(dropped.items()))},
        "skipped_by_source": {source.name: dict(sorted((+skipped).items()))},
        "documents_by_license": dict(sorted(licenses.items())),
    }


def _rows(unit: Unit) -> Iterator[tuple[ReadResult, Document | LedgerRow]]:
    with TextExtractor(unit.source.html) as extractor:
        for file in unit.files:
            if unit.source.sha256 is not None and is_remote(file):
                from pretrain.download.remote_copies import require_sha256

                require_sha256(file, unit.source.sha256)
            for record in read_records(file, unit.source, extractor):
                yield record, to_row(record, unit.source, file.name)


def _license_name(record: ReadResult, source: Source, known: Counter[str]) -> str:
    value = license_of(record, source) if isinstance(record, Record) else None
    name = "unknown" if value is None else value.strip().encode("utf-8", "replace").decode()
    is_new = name not in known
    return "other" if len(name) > _MAX_LICENSE_CHARS or (is_new and len(known) >= _MAX_LICENSES) else name


def _check_source(context: StageContext[DownloadConfig], source: Source, stats: Stats, receipts: list[Receipt]) -> None:
    num_records = stats["records_by_source"][source.name]
    num_skipped = sum(stats["skipped_by_source"][source.name].values())
    num_expected = num_records - num_skipped
    num_bad = num_expected - stats["documents_by_source"][source.name]
    if not num_records:
        raise InputError(f"source {source.name!r} holds no record: its files are empty; check them or take it out")
    if num_bad > context.config.max_bad_fraction * num_expected:
        raise BadInputFractionError(
            f"source {source.name!r}: {num_bad} of {num_expected} records are unreadable "
            f"({num_bad / num_expected:.1%}, allowed {context.config.max_bad_fraction:.1%}): "
            f"{_summary(context, source, stats, receipts)}. Repair or take out these files, correct text_key "
            f"({source.text_key!r}) or format ({source.format!r}), or raise download.max_bad_fraction"
        )


def _summary(context: StageContext[DownloadConfig], source: Source, stats: Stats, receipts: list[Receipt]) -> str:
    """Reasons of unreadable records by number, each with the first that it happened to."""
    skipped = stats["skipped_by_source"][source.name]
    counts: Counter[str] = Counter()
    examples: dict[str, list[str]] = {}
    paths = [file.path for receipt in receipts for file in receipt.files if file.path.startswith("ledger/")]
    for path in paths:
        for row in read_ledger(context.store.local_file(f"{context.artifact_key}/{path}")):
            if row.source == source.name and row.reason not in skipped:
                counts[row.reason] += 1
                if len(examples.setdefault(row.reason, [])) < _NUM_EXAMPLES:
                    examples[row.reason].append(str(row.evidence))
    return "; ".join(
        f"{reason} {count} (first: {', '.join(examples[reason])})" for reason, count in counts.most_common()
    )
