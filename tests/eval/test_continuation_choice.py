import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pretrain.documents import Document
from pretrain.errors import StageError
from pretrain.eval.config import EvalConfig
from pretrain.eval.continuation_choice import continuation_choice, cut_between_words

LETTERS = ("alpha", "bravo", "gamma", "delta", "kappa", "sigma")


def config(**choice):
    return EvalConfig.model_validate(
        {"continuation_choice": {"context_chars": 11, "continuation_chars": 12, "num_choices": 3, **choice}}
    )


def documents(number=6):
    return [
        Document(f"{i:032x}", f"the {word} is\n{word} one {word} two {word} three", "test")
        for i, word in enumerate(LETTERS[:number])
    ]


def test_a_question_is_the_beginning_of_a_document_its_continuation_and_those_of_others():
    rows = continuation_choice(documents(), config(), seed=0).rows
    by_id = {row["id"]: row for row in rows}
    row = by_id[f"{0:032x}"]
    assert row["context"] == "the alpha"
    assert row["choices"][row["answer"]] == "is\nalpha one"
    others = [choice for at, choice in enumerate(row["choices"]) if at != row["answer"]]
    assert len(others) == 2
    assert {choice.split()[1] for choice in others} <= set(LETTERS[1:])


def test_each_document_gives_one_question_and_chance_follows_the_number_of_choices():
    task = continuation_choice(documents(), config(), seed=0)
    assert sorted(row["id"] for row in task.rows) == [f"{i:032x}" for i in range(6)]
    assert task.chance == pytest.approx(1 / 3)


def test_answers_are_spread_over_the_positions():
    many = [Document(f"{i:032x}", f"number {i} is {i * 7} and then {i * 11} as well", "test") for i in range(300)]
    answers = [row["answer"] for row in continuation_choice(many, config(num_questions=300), seed=0).rows]
    counts = [answers.count(position) for position in range(3)]
    assert sum(counts) == 300
    assert min(counts) > 70


def test_questions_do_not_depend_on_the_order_of_documents_and_change_with_the_seed():
    forward = continuation_choice(documents(), config(num_questions=3), seed=0)
    backward = continuation_choice(reversed(documents()), config(num_questions=3), seed=0)
    assert forward.rows == backward.rows
    assert forward.sha256 == backward.sha256
    assert forward.rows != continuation_choice(documents(), config(num_questions=3), seed=1).rows


def test_a_document_that_begins_the_same_gives_no_false_choice():
    twin = Document("f" * 32, "the alpha is\nanother end of it", "test")
    rows = continuation_choice([*documents(3), twin], config(), seed=0).rows
    by_id = {row["id"]: row["choices"] for row in rows}
    assert "is\nanother" not in by_id[f"{0:032x}"]
    assert by_id["f" * 32].count("is\nalpha one") == 0


def test_examples_to_show_are_from_documents_of_their_own():
    made = continuation_choice(documents(), config().model_copy(update={"num_fewshot": 2}), seed=0)
    assert len(made.fewshot) == 2
    assert len(made.rows) == 4
    assert not {row["id"] for row in made.rows} & {row["id"] for row in made.fewshot}


def test_short_documents_are_left_out():
    short = Document("e" * 32, "the omega is", "test")
    rows = continuation_choice([short, *documents()], config(), seed=0).rows
    assert "e" * 32 not in {row["id"] for row in rows}


def test_too_few_documents_for_one_question_is_an_error_that_says_what_to_do():
    with pytest.raises(StageError, match=r"from 2 validation documents, of which 2 are long enough: it takes 3"):
        continuation_choice(documents(2), config(), seed=0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("one two", "one two"),
        ("one two six seven", "one two"),
        ("one two six", "one two"),
        ("onetwosixseven", "onetwosixs"),
        ("我们在这里读书写字然后回家", "我们在这里读书写字然"),
    ],
)
def test_text_is_cut_between_words_where_the_last_fifth_has_a_space(text, expected):
    limit = 8 if text.startswith("one ") else 10
    assert cut_between_words(text, limit) == expected


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=60), max_size=12), st.integers(0, 5))
def test_every_true_choice_follows_its_context_and_all_choices_differ(texts, seed):
    by_id = {f"{i:032x}": text for i, text in enumerate(texts)}
    try:
        task = continuation_choice((Document(i, t, "test") for i, t in by_id.items()), config(), seed)
    except StageError:
        return
    for row in task.rows:
        text = by_id[row["id"]].strip()
        assert text.startswith(row["context"])
        assert text[len(row["context"]) :].lstrip().startswith(row["choices"][row["answer"]])
        assert len(set(row["choices"])) == 3
        assert all(0 < len(choice) <= 12 for choice in row["choices"])
