import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pretrain.filter.sentences import split_sentences


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("", []),
        (" \n ", []),
        ("One. Two? Three!", ["One.", "Two?", "Three!"]),
        ('He said "no." And left.', ['He said "no."', "And left."]),
        ("What?! (So.) Yes", ["What?! (", "So.)", "Yes"]),  # marks belong to what ends before them
        (". One", [".", "One"]),
        ("It costs 3.50 a piece. Yes.", ["It costs 3.50 a piece.", "Yes."]),
        ("Wait... no.", ["Wait... no."]),  # an ellipsis is no end
        ("一。二。", ["一。二。"]),  # marks inside a run of letters are no words
    ],
)
def test_sentences_end_with_a_mark_of_their_own(text, sentences):
    assert split_sentences(text, "regex") == sentences


PIECES = st.sampled_from(["Word", "it", ".", "?", "!", " ", " ", '"', ",", "(", ")", "$", "3.5", "。", "…", "'s"])


@pytest.mark.slow  # spaCy imports torch
@given(st.lists(PIECES, max_size=15).map("".join))
@settings(deadline=None)  # spaCy loads
def test_the_rule_is_that_of_spacy_on_its_own_words(text):
    spacy = pytest.importorskip("spacy", reason="words: spacy needs the optional dependency")
    from pretrain.filter import sentences, splitters

    doc = splitters.spacy_pipeline()(text)
    words = [(token.idx, token.idx + len(token)) for token in doc]
    assert spacy.__version__ >= "3.8"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sentences, "word_spans", lambda _: words)
        found = [sentence for sentence in split_sentences(text, "regex") if sentence]
    assert found == split_sentences(text, "spacy")
