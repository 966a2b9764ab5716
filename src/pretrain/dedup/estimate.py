"""What `pretrain plan` says of deduplication before it runs: documents, disk, memory of a worker, time.

Rates are CPU seconds for a megabyte of text, measured by `benchmarks/dedup.py` on 0.2 to 1 GB of make_bulk.py's text,
one core of an AMD EPYC, 2026-11-26. Widths are of the rows that the steps write (docs/scale.md has them one by one).
"""

from pretrain.dedup.config import DedupConfig
from pretrain.estimates import Estimate, Prospect, Quantity, duration
from pretrain.runner import num_usable_cores

_SECONDS_PER_MB = {"exact": 0.010, "segments": 0.013, "minhash": 0.037, "substrings": 0.57}

# Of a document: id, source, length and hash, which stay; hashes of one shuffle.
_LISTED_BYTES = 60
_SHUFFLED_BYTES = 60
# Beside the band keys: hash and count; pairs and candidates; n-grams of the fifth that is in a pair; links.
_SIGNATURE_BYTES = 24
_PAIRS_BYTES = 96 + 30
_NGRAMS_PER_TEXT_BYTE = 0.2 * 8 * 450 / 3000
# Hashes of paragraphs: 0.10 bytes for a byte of that text.
_SEGMENTS_PER_TEXT_BYTE = 0.10
# A window of 64 bytes for every byte that repeats, of which a fifth of the text is assumed.
_WINDOWS_PER_TEXT_BYTE = 64 * 0.2

# Where only the sizes of source files are known: a document of 3 KB, and what gzip, zstd and parquet make of text.
_TEXT_BYTES_PER_DOCUMENT = 3000
_TEXT_BYTES_PER_COMPRESSED_BYTE = 2.5
_COMPRESSED = (".gz", ".zst", ".parquet", ".bz2", ".xz", ".zip")


def estimate(config: DedupConfig, prospect: Prospect) -> Estimate:
    """Disk and time for the documents that come in, where their number is known or can be guessed from file sizes.

    Returns:
        `documents`, `text`, `scratch_disk` (at most, removed at the end), `signatures_disk` (stay), `worker_memory`,
        `cpu_time`, and `time` with a worker on every core of this machine.
    """
    found = _from_artifact(prospect) or _from_files(prospect)
    if found is None:
        return {}
    num_documents, text_bytes, origin = found
    seconds = text_bytes / 1e6 * _seconds_per_mb(config)
    cores = num_usable_cores()
    return {
        "documents": Quantity(num_documents, origin),
        "text": Quantity(text_bytes, "bytes"),
        "scratch_disk": Quantity(_scratch_bytes(config, num_documents, text_bytes), "bytes"),
        "signatures_disk": Quantity(_signature_bytes(config, num_documents), "bytes"),
        "worker_memory": Quantity(config.memory_limit_bytes, "bytes"),
        "cpu_time": duration(seconds, "of one core"),
        "time": duration(seconds / cores, f"with {cores} workers"),
    }


def _from_artifact(prospect: Prospect) -> tuple[int, int, str] | None:
    for stage in ("filter", "download"):  # where filter is not built, no more come in than come out of download
        artifact = prospect.artifacts.get(stage)
        if artifact is not None:
            stats = artifact.manifest.stats
            return int(stats["documents_out"]), int(stats["bytes_out"]), f"of {stage} in the store"
    return None


def _from_files(prospect: Prospect) -> tuple[int, int, str] | None:
    files = [file for outside in prospect.external.get("download", ()) for file in outside.files]
    if not files or any(file.bytes == 0 and not file.identity.startswith("sha256:") for file in files):
        return None
    factors = (_TEXT_BYTES_PER_COMPRESSED_BYTE if file.name.endswith(_COMPRESSED) else 1 for file in files)
    text_bytes = round(sum(file.bytes * factor for file, factor in zip(files, factors, strict=True)))
    return max(1, text_bytes // _TEXT_BYTES_PER_DOCUMENT), text_bytes, "guessed from the sizes of the source files"


def _seconds_per_mb(config: DedupConfig) -> float:
    # reading, listing and writing, which `exact` stands for, are done whatever the steps
    steps = {"segments": config.segments, "minhash": config.minhash, "substrings": config.substrings}
    return _SECONDS_PER_MB["exact"] + sum(_SECONDS_PER_MB[name] for name, step in steps.items() if step is not None)


def _scratch_bytes(config: DedupConfig, num_documents: int, text_bytes: int) -> int:
    per_document, per_text_byte = 0.0, 0.0
    if config.exact is not None:
        per_document += _SHUFFLED_BYTES
    if config.segments is not None:
        per_text_byte += _SEGMENTS_PER_TEXT_BYTE
    if config.minhash is not None:
        per_document += _SHUFFLED_BYTES + _SHUFFLED_BYTES * config.minhash.bands + _PAIRS_BYTES
        per_text_byte += _NGRAMS_PER_TEXT_BYTE
    if config.substrings is not None:
        per_text_byte += _WINDOWS_PER_TEXT_BYTE
    return round(num_documents * per_document + text_bytes * per_text_byte)


def _signature_bytes(config: DedupConfig, num_documents: int) -> int:
    minhash = 0 if config.minhash is None else _SIGNATURE_BYTES + 8 * config.minhash.bands
    return num_documents * (_LISTED_BYTES + minhash)
