import numpy as np
import pyarrow as pa

from pretrain.documents import Document
from pretrain.filter.judgement import Judge, Judgement
from pretrain.filter.verdict import Check, Rewrite


class ReplacesDigits:
    """A rule that rewrites, as a rule against private data would."""

    metrics = ()

    def checks(self, view):
        text = "".join("0" if char.isdigit() else char for char in view.text)
        if text != view.text:
            yield Rewrite(text, "digits_replaced", value=1.0)


class DropsWord:
    metrics = ("count",)

    def __init__(self, word):
        self.word = word

    def checks(self, view):
        count = view.text.split().count(self.word)
        yield Check("count", count, count > 0, "has_word", 0, self.word)


def judge(*rules, exhaustive=False):
    return Judge([(type(rule).__name__, rule) for rule in rules], exhaustive=exhaustive)


def found(word, count=1):
    return Check("count", count, True, "has_word", 0, word)


def test_a_text_that_every_rule_keeps_is_unchanged():
    judgement = judge(ReplacesDigits(), DropsWord("bad"))("good text")
    assert judgement == Judgement("good text", (), (), {"DropsWord.count": 0})
    assert judgement.drop is None


def test_the_first_rule_that_drops_gives_the_reason_and_ends_the_judgement():
    judgement = judge(DropsWord("b"), DropsWord("a"))("a b")
    assert judgement.drop == found("b")
    assert judgement.metrics == {"DropsWord.count": 1}


def test_an_exhaustive_judge_lists_every_test_that_failed_and_every_metric():
    judgement = judge(DropsWord("b"), DropsWord("x"), DropsWord("a"), exhaustive=True)("a b a")
    assert judgement.drop == found("b")
    assert judgement.failed == (("DropsWord", found("b")), ("DropsWord#3", found("a", 2)))
    assert judgement.metrics == {"DropsWord.count": 1, "DropsWord#2.count": 0, "DropsWord#3.count": 2}


def test_later_rules_judge_the_rewritten_text():
    rewrite = Rewrite("call 000", "digits_replaced", value=1.0)
    judgement = judge(DropsWord("000"), ReplacesDigits())("call 123")
    assert (judgement.text, judgement.rewrites, judgement.drop) == ("call 000", (rewrite,), None)
    judgement = judge(ReplacesDigits(), DropsWord("000"))("call 123")
    assert (judgement.text, judgement.rewrites, judgement.drop) == ("call 000", (rewrite,), found("000"))


class DropsByPath:
    """A rule that reads the document's fields, as one on addresses would."""

    metrics = ("is_test",)

    def checks(self, view):
        path = view.metadata.get("path")
        yield Check("is_test", None, path == "tests/a.py", "is_test", evidence=view.document and view.document.url)


def test_rules_see_the_document_also_after_a_rewrite():
    document = Document("0" * 32, "call 123", "s", url="https://a.example/", metadata='{"path": "tests/a.py"}')
    judgement = judge(ReplacesDigits(), DropsByPath())(document.text, document)
    assert judgement.drop == Check("is_test", None, True, "is_test", evidence="https://a.example/")
    assert judge(DropsByPath())("a text alone").drop is None


class KeepsLong(DropsWord):
    """A rule that knows of long texts at once that they stay."""

    def keeps(self, texts):
        return np.array([len(text) > 9 for text in texts.to_pylist()])


def test_a_column_is_decided_at_once_where_every_rule_can():
    texts = pa.chunked_array([["a long text", "short"], ["another text"]], pa.large_string())
    able, unable = KeepsLong("bad"), DropsWord("bad")
    assert judge(able).keeps(texts) == [True, False, True]
    assert judge(able, unable).keeps(texts) == [False] * 3
    assert judge(able, exhaustive=True).keeps(texts) == [False] * 3  # metrics need every test
    assert judge(able).keeps(texts.slice(0, 0)) == []
