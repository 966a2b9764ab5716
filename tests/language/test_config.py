import pytest
from pydantic import ValidationError

from pretrain.fasttext_model import load_model
from pretrain.language.config import LID176_LABELS, LanguageConfig
from pretrain.language.inputs import find_lid176
from pretrain.model_location import ModelAtPath, ModelAtUrl

SHA256 = "0" * 64


def test_the_shortest_config():
    config = LanguageConfig.model_validate({"keep": {"en": 0.65}})
    assert config.identity() == {
        "keep": {"en": 0.65},
        "model": "lid176",
        "max_chars": 2000,
        "per_paragraph": False,
        "min_letters": 5,
        "newline": "space",
    }


def test_where_a_model_lies_is_not_its_identity():
    by_path = LanguageConfig(keep={"eng_Latn": 0.5}, model=ModelAtPath(path="lid/glotlid.bin"))
    by_url = LanguageConfig(keep={"eng_Latn": 0.5}, model=ModelAtUrl(url="https://a.example/m", sha256=SHA256))
    assert by_path.identity()["model"] == {}
    assert by_url.identity()["model"] == {"sha256": SHA256}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"keep": {}}, "at least 1 item"),
        ({"keep": {"eng": 0.65, "xyz": 0.5}}, "keep names xyz, which lid176 does not know"),
        ({"keep": {"eng_Latn": 0.65}}, "keep names eng_Latn, but lid176 tells no scripts"),
        ({"keep": {"eng": 0.65, "en": 0.5}}, "keep names a language twice: eng, en"),
        ({"keep": {"en": 65}}, "less than or equal to 1"),
        ({"keep": {"en": 0.65}, "max_chars": 0}, "greater than or equal to 1"),
        ({"keep": {"en": 0.65}, "newline": ""}, "'space' or 'remove'"),
        ({"keep": {"en": 0.65}, "model": "lid218"}, "'lid176'"),
        ({"keep": {"en": 0.65}, "model": {"url": "https://a.example/m"}}, "sha256\n  Field required"),
        ({"keep": {"en": 0.65}, "model": {"url": "m.bin", "sha256": SHA256}}, "is no URL"),
        (
            {"keep": {"en": 0.65}, "model": {"url": "https://u:p@a.example/m", "sha256": SHA256}},
            "holds credentials",
        ),
    ],
)
def test_a_wrong_key_says_what_is_allowed(values, message):
    with pytest.raises(ValidationError, match=message):
        LanguageConfig.model_validate(values)


def test_the_labels_are_those_of_the_model():
    assert load_model(find_lid176(), "language.model").labels == LID176_LABELS
