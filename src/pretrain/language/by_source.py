"""The table of languages by source, from the counts in a manifest."""

from collections import Counter
from collections.abc import Mapping
from typing import Any


def language_rows(stats: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The documents of each language by source, most first: a row a language, a column a source."""
    by_source: dict[str, dict[str, int]] = stats.get("languages_by_source", {})
    totals = Counter[str]()
    for counts in by_source.values():
        totals.update(counts)
    return [
        {"language": name, **{source: counts.get(name, 0) for source, counts in by_source.items()}, "all": total}
        for name, total in sorted(totals.items(), key=lambda pair: (-pair[1], pair[0]))
    ]
