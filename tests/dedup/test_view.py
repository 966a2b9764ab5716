import random

from pretrain.artifact import Artifact, InputRecord, Manifest
from pretrain.dag import views
from pretrain.dedup.config import DedupConfig
from pretrain.store import LocalStore
from tests.dedup.corpus import deduplicate, documents_of, sentence


def written(folder, outcome):
    manifest = Manifest.model_validate_json((outcome.folder / "manifest.json").read_bytes())
    (documents,) = (folder / "filter").iterdir()
    made_from = [InputRecord(stage="filter", fingerprint=documents.name)]
    return Artifact(LocalStore(folder), manifest.model_copy(update={"inputs": made_from}))


def test_the_largest_clusters_say_who_stayed_and_why_others_went(tmp_path):
    rng = random.Random(3)
    text = sentence(rng, 60)
    texts = [sentence(rng, 60), text, text, f"{text} more", sentence(rng, 60)]
    documents = documents_of(texts)
    documents[2] = documents[2]._replace(url="https://example.org/copy")
    outcome = deduplicate(tmp_path, [documents[:2], documents[2:]], DedupConfig())
    [(title, lines)] = views(written(tmp_path, outcome))
    assert title == "largest clusters"
    value = next(row.value for row in outcome.ledger if row.reason == "near_duplicate")
    assert lines == [
        "3 documents",
        f"  kept                    {3:032x}  {text[:59]}…",
        f"  near_duplicate {value:.2f}     {1:032x}  {text[:59]}…",
        f"  exact_duplicate 1.00    {2:032x}  https://example.org/copy",
    ]


def test_nothing_is_shown_where_there_is_no_cluster(tmp_path):
    outcome = deduplicate(tmp_path, [documents_of(["one", "two"])], DedupConfig())
    assert list(views(written(tmp_path, outcome))) == []
