import pytest

from pretrain.fasttext_model import load_model
from pretrain.language.config import LanguageConfig
from pretrain.language.identification import Judge, letters_up_to
from pretrain.language.inputs import find_lid176
from pretrain.language.labels import UNKNOWN
from tests.language.test_stage import ENGLISH, FRENCH, GERMAN


def judge(text, **config):
    config = LanguageConfig.model_validate({"keep": {"en": 0.5}, **config})
    return Judge(load_model(find_lid176(), "language.model"), config)(text)


@pytest.mark.parametrize(
    ("text", "num_letters"),
    [("", 0), ("1234 $%& ... 5678 +-*/ [] {}", 0), ("12 h, 3 d", 2), ("😀" * 50, 0), ("\n\n", 0)],
)
def test_text_with_next_to_no_letters_is_unknown(text, num_letters):
    judgement = judge(text)
    assert judgement == (UNKNOWN, None, "language_unknown", num_letters, 5, UNKNOWN)
    assert judge(text, keep={"en": 0.5, "unknown": 0}) == (UNKNOWN, text, None, None, None, None)
    assert judge(text, min_letters=0).language != UNKNOWN


def test_letters_are_those_of_any_script_and_counted_no_further_than_needed():
    assert letters_up_to("аб 12 漢字 é_", 100) == 5
    assert letters_up_to("word " * 1000, 10) == 12


def test_paragraphs_of_other_languages_go():
    text = f"{ENGLISH}\n\n{GERMAN}\n \n{ENGLISH}\n\n\n{FRENCH}\n\n{GERMAN}\n"
    judgement = judge(text, per_paragraph=True)
    assert judgement.text == f"{ENGLISH}\n \n{ENGLISH}"
    assert judgement[0] == "en"
    assert judgement[2:] == ("language_paragraphs_removed", 3, None, "de: 2, fr: 1")
    assert judge(text, per_paragraph=True, keep={"de": 0.5, "fr": 0.5}).text == f"{GERMAN}\n\n\n{FRENCH}\n\n{GERMAN}"


def test_a_document_without_a_paragraph_to_keep_goes_for_its_longest():
    judgement = judge(f"{FRENCH}\n\n{GERMAN}", per_paragraph=True)
    assert (judgement.language, judgement.text, judgement.reason) == ("de", None, "language_not_kept")


def test_an_unknown_paragraph_goes_with_the_one_before_it_and_the_first_with_what_follows():
    text = f"1.\n\n{ENGLISH}\n\n* * *\n\n{GERMAN}\n\n42"
    assert judge(text, per_paragraph=True).text == f"1.\n\n{ENGLISH}\n\n* * *"
    assert judge("1.\n\n2.", per_paragraph=True).reason == "language_unknown"


@pytest.mark.parametrize("text", [ENGLISH, f"\n\n{ENGLISH}\n\n{ENGLISH}  \n", f"{ENGLISH}\n\n\n\n"])
def test_a_document_of_wanted_paragraphs_stays_byte_by_byte(text):
    judgement = judge(text, per_paragraph=True)
    assert (judgement.text, judgement.reason) == (text, None)
