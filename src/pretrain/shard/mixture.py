"""From what a mixture asks for to epochs of each source.

A document of train has `floor(epochs + draw)` rows, its draw uniform over [0, 1) by the hash of seed and id. More
epochs only add rows, so that a target in bytes has a number of epochs that comes nearest to it; it is found by
bisection, each step one pass over the records of all input parts.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pretrain.errors import RecipeError
from pretrain.shard.config import ShardConfig, SourceShare
from pretrain.shard.plan import Rules, draws
from pretrain.shard.records import Records

# Epochs in steps of this: the resolution of a draw.
_STEP = 2.0**-32


class _Given(NamedTuple):
    """What the documents of train hold by source, before the mixture: documents, bytes, and bytes times weights."""

    documents: dict[str, int]
    text_bytes: dict[str, float]
    weighted_bytes: dict[str, float]


def resolve_epochs(records: Sequence[Records], rules: Rules, config: ShardConfig) -> dict[str, float]:
    """The epochs of every source that the mixture names.

    Args:
        records: of all input parts, with traits.
        rules: with the threshold, the documents that are kept, and the weights by size class.
        config: with a mixture, or weights by cluster size.

    Raises:
        RecipeError: a name is no source; a source has nothing to give; it would be repeated more than `max_epochs`.
    """
    given = _given(records, rules)
    _require_known(config.mixture, given)
    targets = _targets(config, given)
    for source, target in targets.items():
        _require_enough(source, target / given.text_bytes[source], config, f"{target:,.0f} bytes of text")
    epochs = _nearest(records, rules, targets)
    epochs |= {source: share.epochs for source, share in config.mixture.items() if share.epochs is not None}
    for source in given.text_bytes:
        if given.text_bytes[source]:
            mean_weight = given.weighted_bytes[source] / given.text_bytes[source]
            asked = (
                f"{epochs.get(source, 1.0):.4g} epochs, and weights by cluster size of {mean_weight:.4g} on average,"
            )
            _require_enough(source, epochs.get(source, 1.0) * mean_weight, config, asked)
    return epochs


def _targets(config: ShardConfig, given: _Given) -> dict[str, float]:
    """The bytes of train text asked of each source with `tokens` or a `weight`."""
    shares = {source: share for source, share in config.mixture.items() if share.epochs is None}
    for source in shares:
        if not given.weighted_bytes[source]:
            raise RecipeError(
                f"shard.mixture.{source} asks for text of a source that has none in the train split, or only of weight "
                "0: leave it out, or loosen the rules before shard"
            )
    ratios = {source: share.bytes_per_token or config.bytes_per_token for source, share in shares.items()}
    weights = {source: share.weight for source, share in shares.items() if share.weight is not None}
    total_weight = sum(weights.values())
    target_tokens = config.target_tokens or min(
        (given.text_bytes[s] / ratios[s] * total_weight / weight for s, weight in weights.items()), default=0.0
    )
    tokens = {
        source: target_tokens * weights[source] / total_weight if source in weights else float(share.tokens or 0)
        for source, share in shares.items()
    }
    return {source: tokens[source] * ratios[source] for source in shares}


def _nearest(records: Sequence[Records], rules: Rules, targets: Mapping[str, float]) -> dict[str, float]:
    """For each source with a target the epochs whose bytes come nearest to it, in multiples of `_STEP`."""
    if not targets:
        return {}
    low, low_bytes = dict.fromkeys(targets, 0), dict.fromkeys(targets, 0.0)
    high = dict.fromkeys(targets, int(1 / _STEP))
    high_bytes = _bytes_at(records, rules, high)
    while any(high_bytes[source] <= target for source, target in targets.items()):
        high = {source: high[source] * (1 + (high_bytes[source] <= target)) for source, target in targets.items()}
        high_bytes = _bytes_at(records, rules, high)
    while any(high[source] - low[source] > 1 for source in targets):
        middle = {source: (low[source] + high[source]) // 2 for source in targets}
        text_bytes = _bytes_at(records, rules, middle)
        for source, target in targets.items():
            if text_bytes[source] <= target:
                low[source], low_bytes[source] = middle[source], text_bytes[source]
            else:
                high[source], high_bytes[source] = middle[source], text_bytes[source]
    return {
        source: _STEP * (low[source] if target - low_bytes[source] <= high_bytes[source] - target else high[source])
        for source, target in targets.items()
    }


def _bytes_at(records: Sequence[Records], rules: Rules, steps: Mapping[str, int]) -> dict[str, float]:
    """The bytes of train text that each source gives at so many steps of epochs."""
    total = dict.fromkeys(steps, 0.0)
    at = rules._replace(epochs={source: _STEP * number for source, number in steps.items()})
    for part, traits, is_train in _train_documents(records, rules):
        copies = np.floor(at.epochs_of(part, traits) + draws(part)) * is_train
        _add(total, part, traits, copies * traits["bytes"])
    return total


def _given(records: Sequence[Records], rules: Rules) -> _Given:
    names = sorted({source for part in records for source in part.sources})
    documents, text_bytes, weighted_bytes = (dict.fromkeys(names, 0.0) for _ in range(3))
    for part, traits, is_train in _train_documents(records, rules):
        _add(documents, part, traits, np.ones(len(traits)))
        _add(text_bytes, part, traits, is_train * traits["bytes"])
        weights = np.array(rules.weights)[traits["size_class"]]
        _add(weighted_bytes, part, traits, is_train * traits["bytes"] * weights)
    return _Given({name: int(number) for name, number in documents.items()}, text_bytes, weighted_bytes)


def _train_documents(
    records: Sequence[Records], rules: Rules
) -> Iterator[tuple[Records, NDArray[np.void], NDArray[np.bool_]]]:
    for part in records:
        if part.traits is not None and len(part.traits):
            yield part, part.traits, rules.is_kept(part) & ~rules.in_validation(part)


def _add(total: dict[str, float], part: Records, traits: NDArray[np.void], values: NDArray[np.float64]) -> None:
    sums = np.bincount(traits["source"], weights=values, minlength=len(part.sources))
    for source, value in zip(part.sources, sums.tolist(), strict=True):
        if source in total:
            total[source] += value


def _require_known(mixture: Mapping[str, SourceShare], given: _Given) -> None:
    unknown = sorted(set(mixture) - set(given.documents))
    if unknown:
        raise RecipeError(
            f"shard.mixture names {', '.join(unknown)}, of which no document reached shard: correct it to some of "
            f"{', '.join(sorted(given.documents))}, or loosen the rules before shard"
        )


def _require_enough(source: str, epochs: float, config: ShardConfig, asked: str) -> None:
    if epochs > config.max_epochs * (1 + 1e-9):
        raise RecipeError(
            f"shard asks for {asked} of source {source}: {epochs:.4g} epochs of its train text, above "
            f"shard.max_epochs {config.max_epochs:g}. Ask for less, bring more text, or raise shard.max_epochs"
        )
