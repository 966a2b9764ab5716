import pytest

from pretrain.dedup.normalization import normalize, text_digest


@pytest.mark.parametrize(
    ("text", "whitespace", "plain"),
    [
        ("Same text", "Same text", "same text"),
        (" Two\t\tlines \r\n\n here ", "Two lines here", "two lines here"),
        ("Call 555-0199, now!", "Call 555-0199, now!", "call 0 0 now"),
        ("v1.10.2", "v1.10.2", "v0 0 0"),
        ("snake_case $5 + 6", "snake_case $5 + 6", "snake case 0 0"),
        ("STRASSE Straße", "STRASSE Straße", "strasse strasse"),
        ("١٢٣ दो", "١٢٣ दो", "0 दो"),
        ("हिंदी", "हिंदी", "हिंदी"),
        ("a\u00a0b\u2003c", "a b c", "a b c"),
        ("", "", ""),
        (" \n\t", "", ""),
        ("-- !! --", "-- !! --", "-- !! --"),
    ],
)
def test_what_each_normalisation_makes_of_a_text(text, whitespace, plain):
    assert normalize(text, "none") == text
    assert normalize(text, "whitespace") == whitespace
    assert normalize(text, "casefold_punctuation_digits") == plain


def test_the_digest_is_xxh3_128_in_canonical_byte_order():
    # the published xxh3_128 of no input
    assert text_digest("", "none").hex() == "99aa06d3014798d86001c324468d497f"
    assert text_digest("a  b", "whitespace") == text_digest("a b", "none")
    assert text_digest("a  b", "none") != text_digest("a b", "none")
