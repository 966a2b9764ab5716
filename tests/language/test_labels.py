import pytest

from pretrain.language.config import LID176_LABELS
from pretrain.language.labels import Label, minimum_for, normalized


@pytest.mark.parametrize(
    ("label", "language", "script"),
    [
        ("en", "en", None),
        ("eng", "en", None),
        ("__label__eng_Latn", "en", "Latn"),
        ("srp_cyrl", "sr", "Cyrl"),
        ("zh-Hant", "zh", "Hant"),
        ("cmn_Hani", "zh", "Hani"),
        ("arb_Arab", "ar", "Arab"),
        ("arz_Arab", "arz", "Arab"),
        ("yue_Hant", "yue", "Hant"),
        ("als_Latn", "sq", "Latn"),
        ("als", "als", None),
        ("ceb", "ceb", None),
        ("und_Latn", "und", "Latn"),
        ("__label__positive", "positive", None),
    ],
)
def test_labels_as_iso_639(label, language, script):
    assert normalized(label) == (language, script)


def test_lid176_names_every_language_as_the_stage_does():
    assert {label for label in LID176_LABELS if normalized(label) != Label(label)} == set()


def test_a_script_s_minimum_comes_before_the_language_s():
    keep = {Label("sr"): 0.5, Label("sr", "Cyrl"): 0.8, Label("uz", "Latn"): 0.6}
    assert minimum_for(Label("sr", "Cyrl"), keep) == 0.8
    assert minimum_for(Label("sr", "Latn"), keep) == 0.5
    assert minimum_for(Label("uz", "Cyrl"), keep) is None
