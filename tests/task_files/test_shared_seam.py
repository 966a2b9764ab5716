"""A task bound once, in `eval`, is scored there and looked for by `decontaminate`; each stage counts what it reads."""

import json

import pytest

from pretrain.dag import node
from pretrain.decontaminate.stage import build
from pretrain.documents import read_documents, read_ledger
from pretrain.errors import InputError, RecipeError
from pretrain.pipeline import Pipeline
from pretrain.planning import make_plan
from pretrain.recipe import load_recipe, parse_recipe
from pretrain.runner import InlineRunner
from pretrain.spec import RunSpec
from pretrain.stage import StageContext
from pretrain.store import LocalStore
from tests.decontaminate.decontaminating import documents
from tests.document_artifact import make_document_artifact
from tests.task_files.file_tasks import QUIZ, STORY, make_task, write_rows
from tests.test_planning import pretend_built, to_build
from tests.tiny import tiny_values, write_recipe

ARC = {
    "name": "arc",
    "path": "eval/arc.jsonl",
    "kind": "multiple_choice",
    "prompt": "Question: {question}\nAnswer:",
    "choices": "choices.text",
    "labels": "choices.label",
    "answer": "answerKey",
    "id": "id",
    "where": {"split": "test"},
}
ITEM = {
    "id": "MCAS_7",
    "split": "test",
    "question": "Which of these tools would a farmer use to find out how much rain has fallen on the fields?",
    "choices": {"text": ["a rain gauge", "a wind vane"], "label": ["A", "B"]},
    "answerKey": "A",
}
SHOWN = {
    **ITEM,
    "id": "shown",
    "question": "What do plants take in from the air around them to make their own food at noon?",
}
DEV = {
    **ITEM,
    "id": "dev",
    "split": "dev",
    "question": "Why does the moon look larger to us when it is near the horizon?",
}
FILLER = "The committee met again on Tuesday without an agenda. " * 20


def recipe_values(decontaminate="eval", *tasks, **changes):
    values = tiny_values()
    values["eval"] = {**values["eval"], "tasks": [*values["eval"]["tasks"], *(tasks or (ARC,))]}
    values["decontaminate"] = {"tasks": decontaminate}
    return {**values, **changes}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "eval").mkdir()
    write_rows(tmp_path / "eval" / "arc.jsonl", [DEV, ITEM])
    write_rows(tmp_path / "eval" / "shown.jsonl", [SHOWN])
    return tmp_path


def test_a_planted_item_of_a_file_bound_in_eval_alone_is_found_with_its_span(folder):
    task = {**ARC, "fewshot_path": "eval/shown.jsonl", "num_fewshot": 1}
    recipe = parse_recipe(recipe_values(["eval"], task))
    store = LocalStore(folder / "store")
    identity = Pipeline(recipe, folder, store).identify("decontaminate", {"documents": "x"})
    copy = "which of these tools, would a FARMER use to find out: how much rain has fallen"
    planted, shown, dev, clean = documents(
        *(FILLER + text + " " + FILLER for text in (copy, SHOWN["question"], DEV["question"])), FILLER
    )
    stats = build(
        StageContext(
            stage="decontaminate",
            config=node("decontaminate").config(recipe),
            seed=0,
            inputs={"documents": make_document_artifact(store, "language", [[planted, shown, dev, clean]])},
            external={each.name: each for each in identity.external},
            store=store,
            artifact_key="decontaminate/x",
            runner=InlineRunner(),
            progress=lambda done, total, text: None,
        )
    )
    [row] = read_ledger(store.local_file("decontaminate/x/ledger/part-00000.parquet"))
    assert (row.id, row.reason, row.evidence) == (planted.id, "contaminated", f"arc/MCAS_7: {copy}")
    assert list(read_documents(store.local_file("decontaminate/x/data/part-00000.parquet"))) == [shown, dev, clean]
    assert stats["items_by_task"] == {"arc": 1}
    assert stats["passages_by_task"] == {"arc": 3}  # the question, and the question with each choice
    assert stats["items_hit_by_task"] == {"arc": 1}


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ({**QUIZ, "prompt": "Q: {q}"}, {"fields": [["q"], ["q", "c"]]}),
        ({**QUIZ, "choices": ["a|strip", "b"]}, {"fields": [["q"], ["q", "a"], ["q", "b"]]}),
        ({**QUIZ, "prompt": ""}, {"fields": [["c"]]}),
        ({**QUIZ, "prompt": "{s}: {q}", "question": "q"}, {"fields": [["q"], ["q", "c"]]}),
        ({**QUIZ, "prompt": "{p} {q}", "values": {"q": {"cause": "because"}}}, {"fields": [["p"], ["p", "c"]]}),
        ({**QUIZ, "choices": None, "fixed_choices": ["no", "yes"]}, {"fields": [["q"]]}),
        ({**QUIZ, "blank": "_", "choices": ["a", "b"]}, {"fields": [["q"]], "blank": "_", "blank_fields": ["a", "b"]}),
        (
            {**QUIZ, "where": {"s": "test"}, "id": "n"},
            {"fields": [["q"], ["q", "c"]], "where": {"s": "test"}, "id": "n"},
        ),
        (STORY, {"fields": [["text"]]}),
        ({**STORY, "prompt": "{a}\n{b}", "target": "t|strip"}, {"fields": [["a", "b", "t"]]}),
    ],
)
def test_what_is_looked_for_follows_from_the_entry(task, expected):
    common = {"blank": None, "blank_fields": [], "id": None, "min_words": None, "where": {}}
    assert make_task(**task).searched().identity() == {"name": task["name"], **common, **expected}


def test_eval_stands_beside_files_of_its_own_and_survives_a_run_record():
    own = {"name": "gsm8k", "path": "g.jsonl", "fields": ["question"]}
    recipe = parse_recipe(recipe_values([own, "eval"], ARC, QUIZ))
    assert [task.name for task in recipe.config_of("decontaminate").task_files] == ["gsm8k", "arc", "quiz"]
    dumped = recipe.model_dump(mode="json", by_alias=True)
    assert dumped["decontaminate"]["tasks"][1] == "eval"
    assert parse_recipe(dumped) == recipe


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (recipe_values(eval=None), "decontaminate.tasks names eval, but the recipe has no eval: add tasks with a path"),
        (
            recipe_values(eval={"tasks": ["bits_per_byte"]}),
            "decontaminate.tasks names eval, but eval.tasks binds no files",
        ),
        (recipe_values(["eval", "eval"]), "more than one task has the name eval"),
        (
            recipe_values(["eval", {"name": "arc", "path": "a.jsonl", "fields": ["q"]}]),
            "more than one task has the name arc",
        ),
        (recipe_values("train"), "decontaminate.tasks.0.eval: Input should be 'eval' .*'train'"),
        (recipe_values("eval", {**ARC, "promt": ""}), "eval.tasks.2.multiple_choice.promt: unknown key .*prompt, "),
        (recipe_values("eval", "arc_easy"), "eval.tasks.2.built-in: Input should be 'continuation_choice' or"),
    ],
)
def test_a_recipe_that_cannot_be_resolved_is_refused(values, message):
    with pytest.raises(RecipeError, match=message):
        parse_recipe(values)


def rebuilt(folder, change=None, **files):
    """Which of the two stages a change of the recipe or of files rebuilds, and why."""
    path = write_recipe(folder)
    path.write_text(json.dumps(recipe_values()))
    pretend_built(Pipeline(load_recipe(path), folder, LocalStore(folder / "store")))
    for name, rows in files.items():
        write_rows(folder / "eval" / f"{name}.jsonl", rows)
    plan = make_plan(RunSpec(recipe=str(path), store=str(folder / "store"), overrides=change or []).pipeline())
    reasons = to_build(plan)
    own = {stage: [line for line in reasons.get(stage, []) if "input train" not in line] for stage in reasons}
    return {stage: lines for stage, lines in own.items() if stage in ("decontaminate", "eval")}


def test_a_batch_size_or_a_prompt_rebuilds_eval_alone(folder):
    assert rebuilt(folder, ["eval.batch_size=8"]) == {"eval": ["eval.batch_size: 16 -> 8"]}
    prompt = ["eval.tasks.2.prompt='Q: {question} A:'"]
    assert rebuilt(folder, prompt) == {
        "eval": [r"eval.tasks.2.prompt: 'Question: {question}\nAnswer:' -> " + "'Q: {question} A:'"]
    }


def test_another_field_rebuilds_both(folder):
    reasons = rebuilt(folder, ["eval.tasks.2.choices=choices.label"])
    assert reasons["decontaminate"] == ["decontaminate.tasks.0.fields.1.1: 'choices.text' -> 'choices.label'"]
    assert "eval.tasks.2.choices: 'choices.text' -> 'choices.label'" in reasons["eval"]


def test_a_changed_file_rebuilds_both_and_the_plan_says_so(folder):
    reasons = rebuilt(folder, arc=[DEV, {**ITEM, "answerKey": "B"}])
    assert [line.split(":")[:2] for line in reasons["decontaminate"]] == [["input task", "arc changed"]]
    assert ["input task", "arc changed"] in [line.split(":")[:2] for line in reasons["eval"]]


def test_a_moved_file_rebuilds_nothing(folder):
    (folder / "moved").mkdir()
    write_rows(folder / "moved" / "arc.jsonl", [DEV, ITEM])
    assert rebuilt(folder, ["eval.tasks.2.path=moved/arc.jsonl"]) == {}


def test_a_file_that_is_gone_is_named_by_the_plan(folder):
    with pytest.raises(InputError, match=r"no file matches 'eval/gone\.jsonl'"):
        rebuilt(folder, ["eval.tasks.2.path=eval/gone.jsonl"])


def test_stages_without_files_keep_their_identity():
    plain = parse_recipe(tiny_values())
    assert node("eval").identity(plain)["tasks"] == ["continuation_choice", "bits_per_byte"]
    assert node("eval").identity(plain).keys() == {
        *("tasks", "baselines", "num_fewshot", "limit", "batch_size", "max_length", "dtype", "seed"),
        *("continuation_choice", "bits_per_byte"),
    }


@pytest.mark.parametrize(
    ("task", "seen"),
    [
        ({**ARC, "answer": "gold"}, "row 1 of the task arc has nothing at gold: .* the row has id, split, question"),
        (
            {**ARC, "fewshot_path": "eval/shown.jsonl", "num_fewshot": 1, "values": {"question": {"Why?": "Why"}}},
            "values has words for Why\\? only",
        ),
        (
            {**ARC, "where": {"split": "tset"}},
            "the task arc has no question: .*arc.jsonl has 2 rows, none with split: tset",
        ),
    ],
)
def test_a_wrong_key_is_told_by_the_plan_and_not_after_training(folder, task, seen):
    write_recipe(folder)
    pipeline = Pipeline(parse_recipe(recipe_values(["eval"], task)), folder, LocalStore(folder / "store"))
    with pytest.raises(InputError, match=seen):
        make_plan(pipeline)
