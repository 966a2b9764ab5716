import pytest
from pydantic import ValidationError

from pretrain.dedup.config import DedupConfig, ExactConfig, KeepConfig, MinHashConfig


def test_defaults_are_exact_strings_and_fineweb_minhash():
    config = DedupConfig()
    assert config.exact == ExactConfig(normalize="none")
    minhash = config.minhash
    assert minhash is not None
    assert (minhash.ngram, minhash.bands, minhash.rows, minhash.threshold) == (5, 14, 8, 0.7)


def test_null_switches_a_step_off():
    assert DedupConfig.model_validate({"exact": None}).exact is None
    assert DedupConfig.model_validate({"minhash": None}).minhash is None


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"exact": None, "minhash": None}, "all steps are null"),
        ({"keep": {"prefer_sources": ["a", "a"]}}, "names a source twice"),
        ({"keep": {"order": "shortest"}}, "'longest', 'first' or 'lowest_id'"),
        ({"exact": {"normalize": "lower"}}, "casefold_punctuation_digits"),
        ({"minhash": {"threshold": 0.0}}, "greater than 0"),
        ({"keep": {"copies": "all_but"}}, "needs the sources that may lose documents"),
        ({"keep": {"removable_sources": ["web"]}}, "the others take none"),
        ({"minhash": {"signature": "datatrove", "unit": "character"}}, "is made of words"),
        ({"minhash": {"signature": "datatrove", "seed": 1 << 32}}, "below 2\\^32"),
        ({"segments": {}, "against": ["dedup/0"]}, "finished artifacts are never edited"),
        ({"keep": {"copies": "none"}, "against": ["dedup/0"]}, "finished artifacts are never edited"),
        ({"memory_limit_bytes": 1 << 20}, "greater than or equal to 536870912"),
        ({"minhash": {"ngrams": 5}}, "Extra inputs are not permitted"),
    ],
)
def test_wrong_values_are_refused(values, message):
    with pytest.raises(ValidationError, match=message):
        DedupConfig.model_validate(values)


def test_identity_holds_every_value_that_bears_on_the_result():
    identity = DedupConfig(minhash=MinHashConfig(seed=7), keep=KeepConfig(prefer_sources=("wiki", "web"))).identity()
    assert identity["minhash"]["seed"] == 7
    assert identity["keep"] == {
        "prefer_sources": ["wiki", "web"],
        "quality_key": None,
        "order": "longest",
        "copies": "first",
        "removable_sources": [],
    }


def test_the_memory_limit_bears_on_no_result():
    assert DedupConfig(memory_limit_bytes=1 << 30).identity() == DedupConfig().identity()
