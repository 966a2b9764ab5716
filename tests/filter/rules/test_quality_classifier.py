import fasttext
import pytest
from pydantic import ValidationError

from pretrain.errors import InputError
from pretrain.external import Surroundings
from pretrain.fasttext_model import load_model
from pretrain.filehash import FileHashes
from pretrain.filter.rules.quality_classifier import QualityClassifierConfig
from pretrain.store import LocalStore
from tests.filter.judging import Drop, drop_of, metrics_of

GOOD, BAD = "the theorem follows from the lemma", "click here to win a prize"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A classifier of two kinds of lines, labelled as `pretrain train-classifier` does."""
    folder = tmp_path_factory.mktemp("model")
    (folder / "train.txt").write_text(f"__label__positive {GOOD}\n__label__negative {BAD}\n" * 20)
    options = {"dim": 4, "epoch": 20, "lr": 1.0, "thread": 1, "verbose": 0}
    path = folder / "model.bin"
    fasttext.train_supervised(str(folder / "train.txt"), **options).save_model(str(path))
    return path


def config_of(model, **values):
    return QualityClassifierConfig(model={"path": str(model)}, **{"threshold": 0.5, **values})


def judge(model, text, **values):
    return drop_of(config_of(model, **values), text, {"model": model})


def score(model, text, label="positive"):
    return load_model(model, "model").score_of(label, text)


def test_the_score_of_the_label_decides(model):
    assert judge(model, GOOD) is None
    assert judge(model, BAD) == Drop("quality_score_too_low", score(model, BAD), 0.5)
    assert judge(model, BAD, label="negative") is None
    assert score(model, GOOD) > 0.9
    assert score(model, BAD) < 0.1
    assert score(model, GOOD) + score(model, GOOD, "negative") == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("text", [GOOD, BAD])
def test_a_score_at_the_threshold_stays_on_either_side(model, text):
    at = score(model, text)
    assert judge(model, text, threshold=at) is None
    assert judge(model, text, threshold=at, keep="below") is None
    assert judge(model, text, threshold=min(at + 1e-6, 1)) == Drop("quality_score_too_low", at, min(at + 1e-6, 1))
    assert judge(model, text, threshold=at - 1e-6, keep="below") == Drop("quality_score_too_high", at, at - 1e-6)


def test_line_feeds_are_spaces_and_the_start_may_be_all_that_counts(model):
    assert metrics_of(config_of(model), GOOD.replace(" ", "\n"), {"model": model}) == {
        "quality_score": score(model, GOOD)
    }
    assert judge(model, f"{GOOD} {BAD} {BAD} {BAD}") is not None
    assert judge(model, f"{GOOD} {BAD} {BAD} {BAD}", max_chars=len(GOOD)) is None


@pytest.mark.parametrize("text", ["", "\0", "😀", "__label__positive", "</s>", "x" * 100_000])
def test_any_text_has_a_score(model, text):
    assert 0 <= metrics_of(config_of(model), text, {"model": model})["quality_score"] <= 1.0001


def test_a_label_that_the_model_does_not_have(model):
    with pytest.raises(
        InputError, match=r"label 'hq' is none of the 2 labels of .*: negative, positive; correct label"
    ):
        judge(model, GOOD, label="hq")


def test_the_model_counts_by_its_content(model, tmp_path):
    around = Surroundings(tmp_path, LocalStore(tmp_path / "store"), FileHashes())
    (tmp_path / "moved.bin").write_bytes(model.read_bytes())
    (tmp_path / "other.bin").write_bytes(b"other")
    first, moved, other = (
        config_of(path).external("rule:0:quality_classifier", around).fingerprint
        for path in (model, tmp_path / "moved.bin", tmp_path / "other.bin")
    )
    assert first == moved != other
    with pytest.raises(InputError, match=r"cannot read .*none\.bin"):
        config_of("none.bin").external("rule:0:quality_classifier", around)
    with pytest.raises(InputError, match=r"other\.bin is no fastText model"):
        judge(tmp_path / "other.bin", GOOD)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"model": {"path": "m.bin"}}, "threshold\n  Field required"),
        ({"threshold": 0.5}, "model\n  Field required"),
        ({"model": {"path": "m.bin"}, "threshold": 1.1}, "less than or equal to 1"),
        ({"model": {"url": "https://a.example/m.bin"}, "threshold": 0.5}, "sha256\n  Field required"),
    ],
)
def test_what_a_recipe_has_to_say(values, message):
    with pytest.raises(ValidationError, match=message):
        QualityClassifierConfig.model_validate(values)
