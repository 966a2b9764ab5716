from pretrain.filter.symbols import SENTENCE_ENDS, SYMBOLS, TERMINAL_PUNCTUATION


def test_the_sets_have_the_sizes_of_datatrove_0_10_1():
    assert len(set(SYMBOLS)) == len(SYMBOLS) == 281
    assert len(set(TERMINAL_PUNCTUATION)) == len(TERMINAL_PUNCTUATION) == 159


def test_symbols_are_punctuation_and_controls_but_no_letters_digits_or_spaces():
    assert set("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~“”…—。？１\x00\x7f") <= set(SYMBOLS)
    assert not set("aZ09é東 \t\n•©") & set(SYMBOLS)


def test_sentences_end_with_terminal_punctuation_and_not_with_quotes_colons_or_ellipses():
    assert set(".!?。؟।") <= set(TERMINAL_PUNCTUATION)
    assert not set("\"'…:;,") & set(TERMINAL_PUNCTUATION)


def test_the_marks_that_end_a_sentence_for_spacy():
    assert len(set(SENTENCE_ENDS)) == len(SENTENCE_ENDS) == 128
    assert set(SENTENCE_ENDS) < set(TERMINAL_PUNCTUATION)
