import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pretrain.filter.characters import character_flags, code_array, code_points
from pretrain.filter.lines import bullets_and_ellipses, line_ends, repeated_segments

TEXTS = st.lists(st.sampled_from([*"ab\n \t-.•…\r\x85\u2028", "...", "\r\n", "\n\n", "ab\n", "- a"]), max_size=40).map(
    "".join
)


def count_repeated(segments):
    seen, repeats = set(), []
    for segment in segments:
        if segment in seen:
            repeats.append(segment)
        seen.add(segment)
    return [len(segments), len(repeats), sum(map(len, repeats))], repeats


@pytest.mark.parametrize(
    ("min_newlines", "is_stripped", "skip_blank"), [(2, True, False), (1, False, False), (1, False, True)]
)
@given(text=TEXTS)
@example(text="".join(f"{n % 50}\n\n" for n in range(200)))  # the table grows
@example(text="")
def test_segments_are_those_of_re_split(min_newlines, is_stripped, skip_blank, text):
    segments = re.split(rf"\n{{{min_newlines},}}", text.strip() if is_stripped else text)
    counts, repeats = count_repeated([segment for segment in segments if segment.strip() or not skip_blank])
    found = repeated_segments(code_points(text), character_flags(), min_newlines, is_stripped, skip_blank).tolist()
    assert found[:3] == counts
    if repeats:
        assert text[found[3] : found[4]] == repeats[0]
        assert text[found[5] : found[6]] == max(repeats, key=len)
    else:
        assert found[3:] == [-1] * 4


@given(TEXTS)
def test_bullets_and_ellipses_are_those_of_string_methods(text):
    lines = text.splitlines()
    bullets = [line for line in lines if line.lstrip().startswith(("•", "-"))]
    ellipses = [line for line in lines if line.rstrip().endswith(("...", "…"))]
    found = bullets_and_ellipses(code_points(text), character_flags()).tolist()
    assert found[:3] == [len(lines), len(bullets), len(ellipses)]
    assert [text[found[3] : found[4]]] * bool(bullets) == bullets[:1]
    assert [text[found[5] : found[6]]] * bool(ellipses) == ellipses[:1]


@given(TEXTS, st.integers(0, 5), st.sampled_from(["", ".", "b…"]))
def test_ends_of_lines_are_those_of_string_methods(text, short_chars, stop_chars):
    lines = [line for line in text.split("\n") if line.strip()]
    assert line_ends(code_points(text), character_flags(), short_chars, code_array(stop_chars)).tolist() == [
        len(lines),
        sum(line.endswith(tuple(stop_chars or ".")) for line in lines),
        sum(len(line) <= short_chars for line in lines),
        text.count("\n"),
    ]
