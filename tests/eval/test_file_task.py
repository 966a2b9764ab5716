"""Tasks in files as the harness is given them: chance, limit, solved questions, and the public files."""

import importlib.util
from pathlib import Path

import pytest
from pydantic import ValidationError

from pretrain.errors import InputError
from pretrain.eval.config import EvalConfig
from pretrain.eval.file_task import file_task
from pretrain.eval.inputs import external_inputs
from pretrain.external import Surroundings
from pretrain.filehash import FileHashes
from pretrain.store import LocalStore
from pretrain.task_files.rows import read_all_rows
from tests.task_files.file_tasks import EVAL, QUIZ, STORY, files_of, needs_public_files, write_rows

ROWS = [{"q": f"q{n}", "c": ["x", "y", "z", "w"][: 2 + n % 3], "a": n % 2} for n in range(9)]


def made(folder, *tasks, seed=0, **config):
    """The tasks as the stage makes them of files in `folder`."""
    values = EvalConfig.model_validate({"tasks": tasks, **config})
    around = Surroundings(folder, LocalStore(folder / "store"), FileHashes())
    external = {each.name: each for each in external_inputs(values, around)}
    return [file_task(task, external, values, seed) for task in values.file_tasks]


@pytest.fixture
def folder(tmp_path):
    write_rows(tmp_path / "quiz.jsonl", ROWS)
    write_rows(tmp_path / "story.jsonl", [{"text": "one two three"}, {"text": "four five"}])
    return tmp_path


def test_chance_is_that_of_the_real_numbers_of_choices(folder):
    quiz, story = made(folder, QUIZ, STORY)
    assert quiz.chance == pytest.approx((1 / 2 + 1 / 3 + 1 / 4) / 3, abs=1e-15)
    assert [row["id"] for row in quiz.rows] == [str(n) for n in range(9)]
    assert quiz.fewshot == []
    assert [metric["metric"] for metric in quiz.harness["metric_list"]] == ["acc", "acc_norm", "acc_bytes"]
    assert (story.chance, story.holds) == (None, "questions")
    assert story.rows == [
        {"id": "0", "context": "one two", "target": " three"},
        {"id": "1", "context": "four", "target": " five"},
    ]


def test_a_limit_takes_questions_by_hash_and_keeps_their_order(folder):
    def chosen(seed=0, **task):
        [limited] = made(folder, {**QUIZ, **task}, seed=seed, limit=4)
        return [int(row["id"]) for row in limited.rows]

    assert chosen() == sorted(chosen()) == chosen()
    assert len(chosen()) == 4
    assert chosen() != [0, 1, 2, 3]
    assert chosen() != chosen(seed=1)
    assert len(chosen(limit=2)) == 2
    assert set(chosen(limit=2)) < set(chosen())


def test_solved_questions_of_the_same_file_are_not_scored(folder):
    [task] = made(folder, QUIZ, num_fewshot=3)
    shown, scored = ({row["id"] for row in rows} for rows in (task.fewshot, task.rows))
    assert (len(shown), len(scored), shown & scored) == (3, 6, set())
    assert made(folder, QUIZ, num_fewshot=3) == [task]
    [own] = made(folder, {**QUIZ, "num_fewshot": 1}, num_fewshot=3)
    assert own.fewshot == task.fewshot[:1]


def test_a_question_that_a_file_has_twice_is_not_both_shown_and_scored(folder):
    write_rows(folder / "quiz.jsonl", [ROWS[0]] * 3 + [ROWS[1]] * 3)
    [task] = made(folder, QUIZ, num_fewshot=1)
    [shown] = task.fewshot
    assert len(task.rows) == 3
    assert shown["context"] not in {row["context"] for row in task.rows}


def test_solved_questions_of_a_file_of_their_own_are_its_first(folder):
    write_rows(folder / "dev.jsonl", [{**ROWS[0], "q": f"dev {n}", "s": "ab"[n % 2]} for n in range(6)])
    fewshot = {"fewshot_path": "dev.jsonl", "fewshot_where": {"s": "b"}, "num_fewshot": 2}
    [task] = made(folder, {**QUIZ, **fewshot})
    assert [row["context"] for row in task.fewshot] == ["dev 1", "dev 3"]
    assert len(task.rows) == 9


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_fewshot": 9}, "the task quiz has 9 questions, too few to show 9 and to score others"),
        ({"num_fewshot": 10, "fewshot_path": "dev.jsonl"}, "fewshot_path of the task quiz has 1 questions, fewer"),
        ({"num_fewshot": 1, "fewshot_path": "dev.jsonl"}, "question 0 of fewshot_path of the task quiz is also one to"),
        ({"path": "absent.jsonl"}, "no file matches 'absent.jsonl'"),
    ],
)
def test_too_few_questions_and_shown_answers_are_refused(folder, changes, message):
    write_rows(folder / "dev.jsonl", [ROWS[8]])
    with pytest.raises(InputError, match=message):
        made(folder, {**QUIZ, **changes})


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ({**QUIZ, "kind": "cloze"}, "kind: multiple_choice or kind: continuation"),
        ({"name": "quiz", "path": "f"}, "kind: multiple_choice or kind: continuation"),
        ({**QUIZ, "name": "a/b"}, "match pattern"),
        ({**QUIZ, "name": "bits_per_byte"}, "is the name of a task made from the validation split"),
        ({**QUIZ, "choices": None}, "either choices"),
        ({**QUIZ, "choices": ["one"]}, "at least 2 items"),
        ({**QUIZ, "choices": ["a|upper", "b"]}, "'upper' is no transform"),
        ({**QUIZ, "prompt": "{q"}, "expected '}' before end of string"),
        ({**QUIZ, "prompt": "Guess", "choices": None, "fixed_choices": ["a", "b"]}, "all questions are the same"),
        ({**QUIZ, "labels": "l", "answer": 0}, "let answer be a key"),
        ({**QUIZ, "values": {"x": {"a": "b"}}}, "values has words for x, which the prompt does not name"),
        ({**QUIZ, "fewshot_where": {"s": "dev"}}, "fewshot_where chooses rows of fewshot_path"),
        ({**QUIZ, "fewshot_path": "dev.jsonl"}, "shows none of it: set its num_fewshot"),
        ({**STORY, "prompt": "The end"}, "the prompt names no key"),
        ({**STORY, "choices": "c"}, "Extra inputs are not permitted"),
    ],
)
def test_a_wrong_entry_says_what_is_allowed(task, message):
    with pytest.raises(ValidationError, match=message):
        EvalConfig.model_validate({"tasks": [task]})


def test_a_name_is_given_once():
    with pytest.raises(ValidationError, match="quiz is given twice"):
        EvalConfig.model_validate({"tasks": [QUIZ, {**STORY, "name": "quiz"}]})


QA = {"kind": "multiple_choice", "prompt": "Question: {question}\nAnswer:"}
LABELLED = {"choices": "choices.text", "labels": "choices.label", "answer": "answerKey", "id": "id"}
REQUESTS = {**QA, "prompt": "{doc.query}", "choices": "doc.choices", "answer": "doc.gold", "id": "native_id"}
MC1 = {"choices": "mc1_targets", "answer": "mc1_targets", "answer_is": "flags", "drop_empty_choices": True}
DEV = {"where": {"split": "test"}, "fewshot_where": {"split": "dev", "subject": "abstract_algebra"}, "num_fewshot": 5}
PUBLIC = {
    "arc_easy.jsonl.gz": ({**QA, **LABELLED}, 570, (567 / 4 + 2 / 5 + 1 / 3) / 570),
    "openbookqa.jsonl.gz": ({**QA, **LABELLED, "prompt": "{question_stem}"}, 500, 1 / 4),
    "piqa.jsonl.gz": ({**QA, "prompt": "{goal}", "choices": ["sol1", "sol2"], "answer": "label"}, 1838, 1 / 2),
    "winogrande_xl.jsonl.gz": (
        {**QA, "prompt": "{sentence}", "blank": "_", "choices": ["option1", "option2"], "answer": "answer"}
        | {"labels": ["1", "2"]},
        1267,
        1 / 2,
    ),
    "copa.jsonl.gz": (
        {**QA, "prompt": "{premise|without_end_mark} {question}", "id": "idx"}
        | {"choices": ["choice1|lower_first", "choice2|lower_first"], "answer": "label"}
        | {"values": {"question": {"cause": "because", "effect": "therefore"}}},
        100,
        1 / 2,
    ),
    "oe_hellaswag__rc_5shot.jsonl.gz": (REQUESTS, 1000, 1 / 4),
    "oe_copycolors__10way.jsonl.gz": (REQUESTS, 100, 1 / 10),
    "mmlu_part1.jsonl.gz": ({**QA, "choices": "choices", "answer": "answer", **DEV}, 4603, 1 / 4),
    "blimp_part1.jsonl.gz": (
        {
            **QA,
            "prompt": "",
            "choices": ["sentence_good", "sentence_bad"],
            "answer": 0,
            "where": {"UID": "npi_present_1"},
        },
        1000,
        1 / 2,
    ),
    "truthfulqa_mc_task.json": ({**QA, "prompt": "Q: {question}\nA:", **MC1}, 790, 0.22347779857273528),
    "TruthfulQA.csv": (
        {**QA, "prompt": "{Question}", "choices": ["Best Answer", "Best Incorrect Answer"], "answer": 0},
        790,
        1 / 2,
    ),
    "lambada_test_openai.jsonl": ({"kind": "continuation", "prompt": "{text}"}, 5153, None),
}


def public(name):
    task = {"name": "public", "path": name, **PUBLIC[name][0]}
    if "fewshot_where" in task:
        task["fewshot_path"] = name
    [made_task] = made(EVAL, task)
    return made_task


@needs_public_files
@pytest.mark.parametrize("name", PUBLIC)
def test_public_files_have_their_questions_and_chance(name):
    _, num_questions, chance = PUBLIC[name]
    task = public(name)
    assert len(task.rows) == num_questions
    assert task.chance == (None if chance is None else pytest.approx(chance, abs=1e-12))


def rows_in(name):
    return list(read_all_rows(files_of(EVAL / name)))


def published(task, module):
    """A module of lm-evaluation-harness's own tasks, by its file."""
    package = Path(str(importlib.util.find_spec("lm_eval").submodule_search_locations[0]))
    spec = importlib.util.spec_from_file_location(module, package / "tasks" / task / f"{module}.py")
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


@needs_public_files
def test_winogrande_is_that_of_the_harness():
    own = published("winogrande", "preprocess_winogrande")
    for row, question in zip(rows_in("winogrande_xl.jsonl.gz"), public("winogrande_xl.jsonl.gz").rows, strict=True):
        assert question["contexts"] == own.doc_to_choice(row)
        assert question["continuation"] == " " + own.doc_to_target(row)
        assert question["answer"] == own.doc_to_text(row)


@needs_public_files
def test_copa_is_that_of_the_harness():
    own = published("super_glue/copa", "utils")
    for row, question in zip(rows_in("copa.jsonl.gz"), public("copa.jsonl.gz").rows, strict=True):
        assert question["context"] == own.doc_to_text(row)
        assert [" " + choice for choice in question["choices"]] == own.doc_to_choice(row)
        assert " " + question["choices"][question["answer"]] == own.doc_to_target(row)


@needs_public_files
def test_lambada_is_that_of_the_harness():
    rows = rows_in("lambada_test_openai.jsonl")
    for row, question in zip(rows, public("lambada_test_openai.jsonl").rows, strict=True):
        assert question["context"] == " ".join(row["text"].split(" ")[:-1])
        assert question["target"] == " " + row["text"].split(" ")[-1]


def test_hellaswag_is_cleaned_as_the_harness_does(tmp_path):
    rows = [
        {
            "l": "Tea",
            "a": "[header] Boil [title] it.",
            "b": "then  wait [substeps] a",
            "e": [" [step] Sip. ", "Go  on"],
        },
        {"l": "Tea", "a": "A man pours.", "b": "", "e": ["x", "y [title] z"]},
    ]
    write_rows(tmp_path / "h.jsonl", rows)
    entry = {"name": "h", "path": "h.jsonl", "kind": "multiple_choice", "choices": "e", "answer": 0, "clean": "wikihow"}
    [task] = made(tmp_path, {**entry, "prompt": "{l}: {a} {b|capitalize}"})
    preprocess = published("hellaswag", "utils").preprocess
    for row, question in zip(rows, task.rows, strict=True):
        assert question["context"] == preprocess(f"{row['l']}: {row['a']} {row['b'].capitalize()}")
        assert question["choices"] == [preprocess(ending) for ending in row["e"]]
