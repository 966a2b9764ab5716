import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrain.classifier.examples import Examples, is_held_out, write_training_file


def collected(path, texts, max_documents=None, **options):
    with Examples(path, **{"seed": 0, "max_chars": None, **options}) as examples:
        for text, label in texts:
            examples.add(text, label)
        chosen = examples.chosen(max_documents)
        return examples, list(examples.lines(chosen)), chosen


def test_each_text_once_and_none_of_both_classes(tmp_path):
    texts = [("a", "positive"), ("b", "negative"), ("a", "positive"), ("c\nd", "positive"), ("b", "positive")]
    texts += [("b", "negative"), (" a ", "positive")]
    examples, lines, _ = collected(tmp_path / "texts", texts)
    assert sorted(lines) == [("positive", "a"), ("positive", "c d")]
    assert (examples.num_duplicates, examples.num_contradictions) == (3, 1)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("two\nlines", "two lines"),
        ("the __label__negative word", "the  negative word"),
        ("to be </s> or", "to be   or"),
        ("é\u2028x", "é\u2028x"),
    ],
)
def test_what_the_training_reads(tmp_path, text, line):
    _, lines, _ = collected(tmp_path / "texts", [(text, "positive")])
    assert lines == [("positive", line)]
    write_training_file(tmp_path / "train.txt", iter(lines))
    assert (tmp_path / "train.txt").read_bytes() == f"__label__positive {line}\n".encode()


def test_a_text_without_a_word_is_left_out(tmp_path):
    assert collected(tmp_path / "texts", [("</s>", "positive"), (" ", "negative"), ("__label__", "negative")])[1] == []


def test_only_the_start_may_count(tmp_path):
    examples, lines, _ = collected(tmp_path / "texts", [("abc", "positive"), ("abd", "positive")], max_chars=2)
    assert (lines, examples.num_duplicates) == ([("positive", "ab")], 1)


TEXTS = st.lists(st.tuples(st.text("abc", min_size=1, max_size=4), st.sampled_from(["positive", "negative"])))


@given(TEXTS, st.randoms(use_true_random=False))
def test_order_and_split_do_not_depend_on_the_order_of_files(tmp_path_factory, texts, random):
    path = tmp_path_factory.mktemp("examples") / "texts"
    _, lines, chosen = collected(path, texts)
    shuffled = [*texts]
    random.shuffle(shuffled)
    _, lines_again, chosen_again = collected(path, shuffled)
    assert lines == lines_again
    assert [is_held_out(e, 0.5) for e in chosen] == [is_held_out(e, 0.5) for e in chosen_again]
    assert len({line for _, line in lines}) == len(lines)


def test_the_split_is_even_and_a_sample_is_even_on_both_sides(tmp_path):
    texts = [(f"text {i}", "positive" if i % 4 else "negative") for i in range(4000)]
    _, _, chosen = collected(tmp_path / "texts", texts)
    assert 340 < sum(is_held_out(example, 0.1) for example in chosen) < 460
    _, lines, sample = collected(tmp_path / "texts", texts, max_documents=500)
    assert sum(label == "positive" for label, _ in lines) == sum(label == "negative" for label, _ in lines) == 500
    assert 60 < sum(is_held_out(example, 0.1) for example in sample) < 140
    assert collected(tmp_path / "texts", texts, seed=1)[1] != collected(tmp_path / "texts", texts)[1]
