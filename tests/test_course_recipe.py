"""recipes/course.yaml: the numbers of the course "Pretraining LLMs", and its data rules beside the course's steps."""

import json
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import fasttext
import pytest

from pretrain.artifact import Artifact
from pretrain.documents import Document, read_documents, read_ledger
from pretrain.language.inputs import find_lid176
from pretrain.modeling.hardware import parse_hardware
from pretrain.modeling.parameters import parameters_by_kind
from pretrain.modeling.shape import ModelShape
from pretrain.planning import make_estimates, make_plan
from pretrain.recipe import Recipe, load_recipe
from pretrain.spec import RunSpec
from tests.data_run import DataRun, run_data_stages

RECIPE = Path(__file__).parents[1] / "recipes" / "course.yaml"
# scraped code, twice, so that there are copies
SAMPLE = (
    "download.sources=[{name: code, uri: 'python://code', max_bytes: 300000}, "
    "{name: again, uri: 'python://code', max_bytes: 100000}]"
)


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return load_recipe(RECIPE)


def test_the_model_of_lesson_4(recipe: Recipe) -> None:
    assert recipe.init.architecture is not None
    assert recipe.tokenizer.train is not None
    sizes = {"model_type": "llama", "vocab_size": recipe.tokenizer.train.vocab_size}
    shape = ModelShape.from_config({**recipe.init.architecture.model_dump(), **sizes})
    assert sum(parameters_by_kind(shape).values()) == 248_013_824


def test_the_numbers_of_lessons_3_and_5(recipe: Recipe) -> None:
    assert (recipe.shard.parts, recipe.shard.shuffle, recipe.pack.sequence_length) == (10, False, 32)
    assert (recipe.pack.bos, recipe.pack.eos) == (True, True)
    train = recipe.train
    assert (train.learning_rate, train.per_device_batch_size, train.max_steps) == (5e-5, 2, 30)
    assert (train.warmup_steps, train.weight_decay, train.schedule, train.log_every_steps) == (10, 0, "linear", 3)


def test_it_can_be_planned(tmp_path: Path) -> None:
    spec = RunSpec(recipe=str(RECIPE), store=str(tmp_path / "store"), overrides=[SAMPLE]).resolved()
    assert [stage.stage for stage in make_plan(spec.pipeline())] == [
        *("download", "filter", "dedup", "language", "shard", "tokenizer", "pack", "init", "train")
    ]


def lines_with_options() -> list[list[str]]:
    """The lines of its comments with `--set`, as a shell splits them."""
    lines = RECIPE.read_text(encoding="utf-8").splitlines()
    return [shlex.split(line.removeprefix("#"), comments=True) for line in lines if "--set" in line]


def planned(recipe: Path, store: Path, overrides: list[str]) -> dict[str, Any]:
    """The estimate of init."""
    pipeline = RunSpec(recipe=str(recipe), store=str(store), overrides=[SAMPLE, *overrides]).resolved().pipeline()
    estimate = make_estimates(pipeline, make_plan(pipeline), parse_hardware("h100")).get("init", {})
    return {name: quantity.value for name, quantity in estimate.items()}


def test_the_other_models_of_lesson_4_by_the_options_in_its_comments(tmp_path: Path) -> None:
    numbered = {words[0]: words[2:] for words in lines_with_options() if words[0] != "--set"}
    assert numbered.keys() == {"217,601,024", "308,839,424"}
    for parameters, overrides in numbered.items():
        found = planned(RECIPE, tmp_path / "store", overrides)
        assert f"{found['parameters']:,}" == parameters
        assert found["training_time"] > 0


def test_a_pretrained_model_by_the_options_in_its_comments(tmp_path: Path) -> None:
    from tests.init.tiny_models import byte_tokenizer, save_checkpoint

    options = [word for words in lines_with_options() if words[0] == "--set" for word in words if word != "--set"]
    of_the_hub = [word.replace("<40 hex digits>", "a1" * 20) for word in options if "revision" in word]
    of_a_folder = [word for word in options if "revision" not in word]
    assert (len(of_the_hub), len(of_a_folder)) == (2, 2)
    assert planned(RECIPE, tmp_path / "store", of_the_hub) == {}  # nothing is fetched to be planned
    recipe = Path(shutil.copy(RECIPE, tmp_path))
    model = save_checkpoint(tmp_path / "TinySolar")
    byte_tokenizer().save_pretrained(tmp_path / "TinySolar")
    layer = sum(weight.numel() for weight in model.model.layers[0].parameters())
    assert planned(recipe, tmp_path / "store", of_a_folder)["parameters"] == model.num_parameters() - 2 * layer


OTHERS = [f"This is the paragraph {n} of a text, and no other is like it." for n in range(6)]
LONG = "r" * 20
EDGES = {
    "too_few_lines": "Two lines\nof prose",
    "paragraph_too_short": "A line\nof prose\nup",
    "kept: 3 of 10 paragraphs": "\n\n".join(["So"] * 4 + OTHERS),
    "paragraph_repetition": "\n\n".join(["So"] * 4 + OTHERS[:5]),  # 3 of 9
    "kept: 20 of 100 characters": f"first\n\n{LONG}\n\nsecond one\n\n{LONG}" + " " * 39,
    "paragraph_char_repetition": f"first\n\n{LONG}\n\nsecond one\n\n{LONG}" + " " * 38,  # 20 of 99
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> DataRun:
    """The sample, and a text at each threshold and beyond."""
    folder = tmp_path_factory.mktemp("course")
    rows = [json.dumps({"text": text}) for text in EDGES.values()]
    (folder / "edges.jsonl").write_text("\n".join(rows), encoding="utf-8")
    edges = f"{{name: edges, uri: '{folder / 'edges.jsonl'}'}}"
    return run_data_stages(RECIPE, folder / "store", overrides=[f"{SAMPLE.removesuffix(']')}, {edges}]"])


def documents(artifact: Artifact) -> list[Document]:
    return [document for part in artifact.parts() for document in read_documents(artifact.open_part(part))]


def is_long_enough(text: str) -> bool:
    lines = text.split("\n")
    return len(lines) >= 3 and sorted(map(len, lines))[-3] >= 3


def repeats_little(text: str) -> bool:
    paragraphs = re.compile(r"\n{2,}").split(text.strip())
    seen: set[str] = set()
    again = [paragraph for paragraph in paragraphs if paragraph in seen or seen.add(paragraph)]  # type: ignore[func-returns-value]
    return len(again) / len(paragraphs) <= 0.3 and sum(map(len, again)) / len(text) <= 0.2


def test_its_data_stages_decide_as_the_course_does(run: DataRun) -> None:
    scraped = documents(run.artifacts["download"])
    kept = [document for document in scraped if is_long_enough(document.text) and repeats_little(document.text)]
    assert [one.id for one in documents(run.artifacts["filter"])] == [one.id for one in kept]
    texts: set[str] = set()
    unique = [one for one in kept if not (one.text in texts or texts.add(one.text))]  # type: ignore[func-returns-value]
    assert [one.id for one in documents(run.artifacts["dedup"])] == [one.id for one in unique]
    model = fasttext.load_model(str(find_lid176())).f
    found = [(one.id, model.predict(one.text.replace("\n", "") + "\n", 1, 0.0, "strict")[0]) for one in unique]
    english = [key for key, (score, label) in found if label == "__label__en" and score > 0.4]
    assert [one.id for one in documents(run.artifacts["language"])] == english
    assert 0 < len(english) < len(scraped)
    assert len(unique) < len(kept)


def test_each_reason_takes_the_text_beyond_its_threshold_and_not_that_at_it(run: DataRun) -> None:
    assert set(run.artifacts["filter"].manifest.stats["dropped_by_reason"]) == {
        *("too_few_lines", "paragraph_too_short", "paragraph_repetition", "paragraph_char_repetition")
    }
    parts = run.artifacts["filter"].parts("ledger/")
    reasons = {row.id: row.reason for part in parts for row in read_ledger(run.artifacts["filter"].open_part(part))}
    edges = {one.text: reasons.get(one.id) for one in documents(run.artifacts["download"]) if one.source == "edges"}
    assert edges == {text: None if name.startswith("kept") else name for name, text in EDGES.items()}


def test_its_shards_hold_every_document_in_the_order_of_arrival(run: DataRun) -> None:
    arrived = [one.id for one in documents(run.artifacts["language"])]
    assert [one.id for one in documents(run.artifacts["shard"])] == arrived
