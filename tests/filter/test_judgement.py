from pretrain.filter.judgement import Judgement, judge
from pretrain.filter.verdict import Drop, Rewrite


class ReplacesDigits:
    """A rule that rewrites, as a rule against private data would."""

    def __call__(self, view):
        text = "".join("0" if char.isdigit() else char for char in view.text)
        return Rewrite(text, "digits_replaced", value=1.0) if text != view.text else None


class DropsWord:
    def __init__(self, word):
        self.word = word

    def __call__(self, view):
        return Drop("has_word", evidence=self.word) if self.word in view.words("whitespace").tokens else None


def test_a_text_that_every_rule_keeps_is_unchanged():
    assert judge([ReplacesDigits(), DropsWord("bad")], "good text") == Judgement("good text", (), None)


def test_the_first_rule_that_drops_gives_the_reason():
    rules = [DropsWord("b"), DropsWord("a")]
    assert judge(rules, "a b").drop == Drop("has_word", evidence="b")


def test_later_rules_judge_the_rewritten_text():
    rewrite = Rewrite("call 000", "digits_replaced", value=1.0)
    rules = [DropsWord("000"), ReplacesDigits()]
    assert judge(rules, "call 123") == Judgement("call 000", (rewrite,), None)
    assert judge(rules[::-1], "call 123") == Judgement("call 000", (rewrite,), Drop("has_word", evidence="000"))
