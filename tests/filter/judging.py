"""A rule applied to a text, as the stage applies it."""

import json
from typing import NamedTuple

from pretrain.documents import Document
from pretrain.filter.judgement import Judge
from pretrain.filter.textview import TextView
from pretrain.filter.words import Words


class Drop(NamedTuple):
    """Why a text goes: what its ledger row says."""

    reason: str
    value: float | None = None
    threshold: float | None = None
    evidence: str | None = None


def drop_of(config, text, files=None, **fields):
    """Why a rule with this config drops a text, or None; `fields` are those of its document (url, metadata)."""
    drop = judgement_of(config, text, files, **fields).drop
    return drop and Drop(drop.reason, drop.value, drop.threshold, drop.evidence)


def judgement_of(config, text, files=None, *, exhaustive=False, **fields):
    document = Document("0" * 32, text, "s", **fields)
    return Judge([(config.rule, config.make_rule(files or {}))], exhaustive=exhaustive)(text, document)


def metrics_of(config, text, files=None, **fields):
    """Everything that a rule measures on a text, by name."""
    metrics = judgement_of(config, text, files, exhaustive=True, **fields).metrics
    return {name.partition(".")[2]: value for name, value in metrics.items()}


def rewritten(config, text, files=None, **fields):
    """The text after a rule that rewrites, and its reasons with counts."""
    judgement = judgement_of(config, text, files, **fields)
    return judgement.text, {rewrite.reason: rewrite.value for rewrite in judgement.rewrites}


class GivenWords(TextView):
    """A text whose words are given, whatever a rule asks for."""

    def __init__(self, text, tokens):
        super().__init__(text)
        self.tokens = tokens

    def words(self, splitter):
        return Words.of(self.tokens)


def datatrove_cases(path):
    """The cases of a file that `make_datatrove_vectors.py` wrote."""
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def reason_on(config, case):
    """Why a rule drops the text of such a case, given its words; None: it stays."""
    words = case["text"].split() if case["words"] is None else case["words"]
    checks = config.make_rule({}).checks(GivenWords(case["text"], words))
    return next((check.reason for check in checks if check.is_failed), None)
