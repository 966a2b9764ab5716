"""What a document stage took, as rows for a table: per source, and per reason with examples of what it took.

The rows are plain values, safe to draw as Markdown or HTML: text from the corpus is masked and made harmless.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pretrain.artifact import Artifact
from pretrain.dag import DOCUMENT_STAGES
from pretrain.examples import Example, find_examples
from pretrain.snippet import snippet

_NAME = re.compile(r"[a-z0-9]+([_-][a-z0-9]+)*")  # marks inside a word are no emphasis: such a name is drawn as it is
_MAX_SOURCES = 100
_MAX_REASONS = 50
_MAX_SOURCES_OF_A_REASON = 3

Row = dict[str, Any]


def source_rows(artifact: Artifact) -> list[Row]:
    """A row a source, that with most documents in first, and the sum of all."""
    stats = artifact.manifest.stats
    if artifact.stage not in DOCUMENT_STAGES or "dropped_by_source" not in stats:
        return []
    kept, dropped = stats["documents_by_source"], stats["dropped_by_source"]
    counts = [
        (source, kept.get(source, 0), sum(dropped.get(source, {}).values())) for source in sorted({*kept, *dropped})
    ]
    counts.sort(key=lambda one: -one[1] - one[2])
    shown, rest = counts[:_MAX_SOURCES], counts[_MAX_SOURCES:]
    if rest:
        shown.append((f"{len(rest)} more", sum(k for _, k, _ in rest), sum(d for _, _, d in rest)))
    shown.append(("all", stats["documents_out"], stats["documents_dropped"]))
    return [
        {
            "source": _name(source),
            "documents in": num_kept + num_dropped,
            "documents out": num_kept,
            "dropped": num_dropped,
            "kept": _share(num_kept, num_kept + num_dropped),
            "reasons": _largest(dropped.get(source, stats["dropped_by_reason"] if source == "all" else {})),
        }
        for source, num_kept, num_dropped in shown
    ]


def reason_rows(artifact: Artifact, upstream: Artifact | None) -> list[Row]:
    """A row for every example of every reason, that which took most first; counts are in the first row of a reason.

    Args:
        artifact: of a document stage.
        upstream: the artifact that it read; None for `download`.

    Raises:
        DamagedArtifactError: a part that was looked into is missing or damaged.
    """
    stats = artifact.manifest.stats
    if artifact.stage not in DOCUMENT_STAGES:
        return []
    reasons = sorted(stats["dropped_by_reason"].items(), key=lambda item: (-item[1], item[0]))
    examples = find_examples(artifact, upstream)
    rows = []
    for reason, count in reasons[:_MAX_REASONS]:
        taken = {source: counts.get(reason, 0) for source, counts in stats.get("dropped_by_source", {}).items()}
        told = {"reason": _name(reason), "documents": f"{count:,}", "of input": _share(count, stats["documents_in"])}
        found: Sequence[Example | None] = examples.get(reason, [None])
        for place, example in enumerate(found):
            is_first = place == 0
            of_reason = told if is_first else dict.fromkeys(told, "")
            rows.append({**of_reason, **_shown(example), "most of them from": _largest(taken) if is_first else ""})
    return rows


def _shown(example: Example | None) -> dict[str, str]:
    row = example.row if example is not None else None
    return {
        "value": _number(row.value) if row is not None else "",
        "threshold": _number(row.threshold) if row is not None else "",
        "text": snippet(example.text or "") if example is not None else "",
        "evidence": snippet(row.evidence or "") if row is not None else "",
        "document": row.id if row is not None else "",
    }


def _largest(counts: Mapping[str, int]) -> str:
    """`web 40, code 20, 3 more 7`: the largest, and the sum of the others."""
    ordered = sorted(((name, n) for name, n in counts.items() if n), key=lambda item: (-item[1], item[0]))
    told = [f"{_name(name)} {count:,}" for name, count in ordered[:_MAX_SOURCES_OF_A_REASON]]
    rest = ordered[_MAX_SOURCES_OF_A_REASON:]
    told += [f"{len(rest):,} more {sum(count for _, count in rest):,}"] if rest else []
    return ", ".join(told)


def _name(text: str) -> str:
    return text if _NAME.fullmatch(text) else snippet(text)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else ""
