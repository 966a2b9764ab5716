"""Rows as questions: every shape of the public files, and what a row that does not fit is told."""

import pytest

from pretrain.errors import InputError
from pretrain.task_files.questions import read_questions
from tests.task_files.file_tasks import QUIZ, STORY, files_of, make_task, write_rows


def questions(tmp_path, rows, **task):
    path = write_rows(tmp_path / "rows.jsonl", rows)
    return read_questions(make_task(**task), files_of(path))


ROW = {"q": "Which?", "c": ["red", "green"], "a": 1}
WINOGRANDE = {"s": "Al met Bo as _ asked.", "o1": "Al", "o2": "Bo", "a": "2"}
FILLED = {"prompt": "{s}", "blank": "_", "choices": ["o1", "o2"], "labels": ["1", "2"]}
COPA = {"p": "He fell.", "q": "cause", "c1": "It was icy.", "c2": "It was dry.", "a": 0}
HELLASWAG = {"l": "Tea", "a": "Boil it. [header] How [title] Pour", "b": "then  wait", "e": ["[step] Sip.", "Go."]}


@pytest.mark.parametrize(
    ("row", "task", "expected"),
    [
        (ROW, {}, {"context": "Which?", "choices": ["red", "green"], "answer": 1}),
        (ROW, {"prompt": "Q: {q}\nA:"}, {"context": "Q: Which?\nA:", "choices": ["red", "green"], "answer": 1}),
        ({**ROW, "a": "0"}, {}, {"context": "Which?", "choices": ["red", "green"], "answer": 0}),
        ({**ROW, "a": "green"}, {"answer_is": "text"}, {"context": "Which?", "choices": ["red", "green"], "answer": 1}),
        (
            {"q": "2+2?", "c": {"text": [3, 4], "label": ["A", "B"]}, "a": "B"},
            {"choices": "c.text", "labels": "c.label"},
            {"context": "2+2?", "choices": ["3", "4"], "answer": 1},
        ),
        (
            {"q": "Why?", "c": [{"text": "x", "label": "1"}, {"text": "y", "label": "2"}], "a": 2},
            {"choices": "c.text", "labels": "c.label"},
            {"context": "Why?", "choices": ["x", "y"], "answer": 1},
        ),
        (
            {"q": "Why?", "t": {"so": 0, "as it is": 1}},
            {"choices": "t", "answer": "t", "answer_is": "flags"},
            {"context": "Why?", "choices": ["so", "as it is"], "answer": 1},
        ),
        (
            {"q": "Why?", "t": {"choices": ["so", "as"], "labels": [1, 0]}},
            {"choices": "t.choices", "answer": "t.labels", "answer_is": "flags"},
            {"context": "Why?", "choices": ["so", "as"], "answer": 0},
        ),
        (
            {"q": "Is it?", "a": True},
            {"choices": None, "fixed_choices": ["no", "yes"]},
            {"context": "Is it?", "choices": ["no", "yes"], "answer": 1},
        ),
        (
            ROW,
            {"prompt": "{q}\nA. {c.0}\nB. {c.1}\nAnswer:", "choices": None, "fixed_choices": ["A", "B"]},
            {"context": "Which?\nA. red\nB. green\nAnswer:", "choices": ["A", "B"], "answer": 1},
        ),
        (
            {"good": "He is.", "bad": "He are."},
            {"prompt": "", "choices": ["good", "bad"], "answer": 0},
            {"context": "", "choices": ["He is.", "He are."], "answer": 0},
        ),
        (
            WINOGRANDE,
            FILLED,
            {"contexts": ["Al met Bo as Al", "Al met Bo as Bo"], "continuation": " asked.", "answer": 1},
        ),
        (
            COPA,
            {
                "prompt": "{p|without_end_mark} {q}",
                "values": {"q": {"cause": "because", "effect": "therefore"}},
                "choices": ["c1|lower_first", "c2|lower_first"],
            },
            {"context": "He fell because", "choices": ["it was icy.", "it was dry."], "answer": 0},
        ),
        (
            HELLASWAG,
            {"prompt": "{l}: {a} {b|capitalize}", "choices": "e", "answer": 1, "clean": "wikihow"},
            {"context": "Tea: Boil it. How. Pour Then wait", "choices": [" Sip.", "Go."], "answer": 1},
        ),
        (
            {**ROW, "c": ["", "red", "green"], "a": 2},
            {"drop_empty_choices": True},
            {"context": "Which?", "choices": ["red", "green"], "answer": 1},
        ),
    ],
)
def test_choices_of_a_row(tmp_path, row, task, expected):
    assert questions(tmp_path, [row], **{**QUIZ, **task}) == [{"id": "0", **expected}]


@pytest.mark.parametrize(
    ("row", "task", "expected"),
    [
        ({"text": "I fed the dog."}, {}, {"context": "I fed the", "target": " dog."}),
        ({"text": "He said:\n\n“Go home. "}, {}, {"context": "He said:\n\n“Go", "target": " home."}),
        ({"text": "1 + 1 =", "a": 2}, {"target": "a"}, {"context": "1 + 1 =", "target": " 2"}),
        ({"text": "我们去", "a": "学校"}, {"target": "a", "delimiter": ""}, {"context": "我们去", "target": "学校"}),
    ],
)
def test_continuation_of_a_row(tmp_path, row, task, expected):
    assert questions(tmp_path, [row], **{**STORY, **task}) == [{"id": "0", **expected}]


def test_rows_of_one_id_are_one_question_and_numbers_are_those_of_the_file(tmp_path):
    rows = [{**ROW, "s": split, "n": n} for split, n in (("dev", 7), ("test", 8), ("test", 8), ("test", 9))]
    by_id = questions(tmp_path, rows, **QUIZ, where={"s": "test"}, id="n")
    assert [row["id"] for row in by_id] == ["8", "9"]
    assert [row["id"] for row in questions(tmp_path, rows, **QUIZ, where={"s": ["test"], "n": [7, 8]})] == ["1", "2"]


def test_true_of_a_recipe_is_true_of_any_file(tmp_path):
    rows = [{**ROW, "n": value} for value in (True, "true", "TRUE", "True", False, "false", 1)]
    assert len(questions(tmp_path, rows, **QUIZ, where={"n": True})) == 4


@pytest.mark.parametrize(
    ("row", "task", "message"),
    [
        ({"c": ["a", "b"], "a": 0}, {}, r"row 1 .* quiz has nothing at q: prompt takes one text there, not 0; .* c, a"),
        (ROW, {"prompt": "{c.2}"}, r"has nothing at c\.2: prompt takes one text"),
        ({**ROW, "q": None}, {}, r"has \[null\] at q: prompt takes one text"),
        ({**ROW, "c": ["a"]}, {}, r'has \[\["a"\]\] at c: choices takes two texts or more'),
        ({**ROW, "c": ["a", None]}, {}, r"at c: choices takes two texts or more"),
        ({**ROW, "c": ["a", " "]}, {}, r"at choices: choice 1 is empty.* or set drop_empty_choices"),
        ({**ROW, "c": ["a", "b", ""], "a": 2}, {"drop_empty_choices": True}, "choice 2 is empty"),
        ({**ROW, "a": 2}, {}, r"has \[2\] at a: there are 2 choices, so that 0 to 1 is allowed; give labels, if"),
        ({**ROW, "a": -1}, {}, r"has \[-1\] at a: there are 2 choices"),
        ({**ROW, "a": "B"}, {}, r"has B at a: it is no index; give labels"),
        ({**ROW, "a": None}, {}, r"has \[null\] at a: answer takes one value there; the row has q, c, a"),
        ({**ROW, "a": "C"}, {"labels": ["A", "B"]}, r"has C at a: it is none of the labels \['A', 'B'\]; correct"),
        ({**ROW, "a": "blue"}, {"answer_is": "text"}, r"has blue at a: it is none of the choices \['red', 'green'\]"),
        ({**ROW, "a": [1, 1]}, {"answer_is": "flags"}, r"has \[\[1, 1\]\] at a: .* a list with one 1, not 2"),
        ({**ROW, "a": [0, 1, 0]}, {"answer_is": "flags"}, r"at a: there are 3 flags for 2 choices"),
        (ROW, {"prompt": "{c.²}"}, r"has nothing at c\.²"),
        (ROW, {"answer": 2}, r"has 2 at answer: there are 2 choices"),
        ({**ROW, "q": "x"}, {"values": {"q": {"Which?": "w"}}}, r"has x at q: values has words for Which\? only"),
        ({**ROW, "q": "no gap"}, {"blank": "_"}, r"has no gap at prompt: it needs one gap '_'"),
        ({**ROW, "q": "gap _"}, {"blank": "_"}, r"it needs one gap '_' \(blank\) with text after it"),
        ({**ROW, "q": "_ and _ go"}, {"blank": "_"}, r"it needs one gap '_'"),
    ],
)
def test_a_row_that_does_not_fit_is_named_with_key_and_value(tmp_path, row, task, message):
    first = {**ROW, **_fit(task)}
    with pytest.raises(InputError, match=message):
        questions(tmp_path, [first, row], **{**QUIZ, **task})


def _fit(task):
    """What makes the row before fit the task, so that the number of the wrong one is seen."""
    fits = {"blank": {"q": "_ it."}, "labels": {"a": "A"}, "answer_is": {"a": [1, 0]}, "values": {}}
    if task.get("answer_is") == "text":
        return {"a": "red"}
    if task.get("answer") == 2:
        return {"c": ["x", "y", "z"]}
    return {key: value for name in task if name in fits for key, value in fits[name].items()}


@pytest.mark.parametrize(
    ("rows", "task", "message"),
    [
        ([], QUIZ, r"the task quiz has no question: .*rows\.jsonl has 0 rows, none; correct path"),
        ([ROW], {**QUIZ, "where": {"s": "test"}}, r"has 1 rows, none with s: test; correct path or where"),
        ([ROW, {**ROW, "q": "Who?"}], {**QUIZ, "id": "a"}, r"row 1 .* has the id '1' of an earlier row, but makes"),
        ([ROW], {**QUIZ, "id": "n"}, r"row 0 .* has nothing at n: id takes one text"),
        ([{"text": "word"}], STORY, r"row 0 of the task story has word at prompt: there is no last word, or"),
        (
            [{"text": "a b", "t": ""}],
            {**STORY, "target": "t"},
            "has a b at prompt: there is no last word, or no target",
        ),
        ([[1]], QUIZ, "holds a list where an item has to be an object"),
    ],
)
def test_a_file_without_questions_says_why(tmp_path, rows, task, message):
    with pytest.raises(InputError, match=message):
        questions(tmp_path, rows, **task)
