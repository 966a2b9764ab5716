"""`pretrain plan` says what deduplication takes before it runs, from the store or from the source files' sizes."""

from pathlib import Path

from pretrain.planning import make_estimates, make_plan
from pretrain.runner import InlineRunner
from pretrain.spec import RunSpec
from tests.tiny import write_recipe


def estimates(recipe: Path, *overrides: str) -> dict[str, object]:
    pipeline = RunSpec(recipe=str(recipe), store=str(recipe.parent / "store"), overrides=list(overrides)).pipeline()
    found = make_estimates(pipeline, make_plan(pipeline)).get("dedup", {})
    return {name: quantity.value for name, quantity in found.items()}


def test_before_anything_is_built_documents_are_guessed_from_the_source_files(tmp_path):
    recipe = write_recipe(tmp_path)
    num_bytes = (tmp_path / "corpus/a.jsonl").stat().st_size
    found = estimates(recipe)
    assert (found["text"], found["documents"]) == (num_bytes, num_bytes // 3000)
    assert found["scratch_disk"] == round(found["documents"] * (60 + 60 + 60 * 14 + 126) + num_bytes * 0.24)
    assert found["signatures_disk"] == found["documents"] * (60 + 24 + 8 * 14)


def test_what_the_store_has_is_exact(tmp_path):
    recipe = write_recipe(tmp_path)
    pipeline = RunSpec(recipe=str(recipe), store=str(tmp_path / "store")).pipeline()
    pipeline.obtain("download", {}, runner=InlineRunner(), progress=lambda *_: None)
    assert estimates(recipe)["documents"] == 240 + 24


def test_a_step_that_is_off_costs_nothing(tmp_path):
    recipe = write_recipe(tmp_path)
    exact = estimates(recipe, "dedup.minhash=null")
    assert exact["scratch_disk"] == 60 * exact["documents"]
    near, substrings = estimates(recipe), estimates(recipe, 'dedup.substrings={"min_bytes": 200}')
    assert exact["cpu_time"] < near["cpu_time"] < substrings["cpu_time"]


def test_compressed_sources_hold_more_text_than_bytes(tmp_path):
    recipe = write_recipe(tmp_path)
    plain = tmp_path / "corpus/a.jsonl"
    found = estimates(recipe, f"download.sources=[{{name: s, uri: {plain}}}]")
    (tmp_path / "corpus/a.jsonl.gz").write_bytes(b"\0" * found["text"])
    packed = estimates(recipe, f"download.sources=[{{name: s, uri: {plain}.gz}}]")
    assert packed["text"] == round(2.5 * found["text"])
