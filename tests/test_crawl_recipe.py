"""recipes/crawl.yaml from crawl files to documents; made-up crawl files stand in for real ones."""

import itertools
from pathlib import Path
from typing import Any

import pytest

from pretrain.artifact import Artifact, artifact_key
from pretrain.catalog import find_artifact
from pretrain.documents import read_documents
from pretrain.store import LocalStore
from tests.command import pretrain
from tests.data_run import run_data_stages
from tests.dedup.real_corpora import corpus_file
from tests.download.crawls import PARAGRAPH, html, members, page, warc

RECIPE = Path(__file__).parents[1] / "recipes" / "crawl.yaml"
BAD_FRACTION = "download.max_bad_fraction=0.5"


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """The recipe over a crawl of three pages, each with a revisit behind it; the second is damaged."""
    crawl = [members(warc(html(page(f"{name} {PARAGRAPH}"))), warc(b"", "revisit")) for name in ("one", "two", "three")]
    damaged = bytearray(crawl[1])
    damaged[100] ^= 0xFF
    (tmp_path / "warc").mkdir()
    (tmp_path / "warc" / "a.warc.gz").write_bytes(crawl[0] + damaged + crawl[2])
    path = tmp_path / "crawl.yaml"
    path.write_text(RECIPE.read_text(encoding="utf-8").replace("../../shared/data/", ""), encoding="utf-8")
    return path


def texts_of(artifact: Artifact) -> list[str]:
    return [document.text for part in artifact.parts() for document in read_documents(artifact.open_part(part))]


def require_documents(artifact: Artifact, stats: dict[str, Any]) -> None:
    assert (stats["documents_in"], stats["documents_out"]) == (6, 2)
    assert stats["skipped_by_source"] == {"crawl": {"revisit": 3}}
    assert sum(stats["dropped_by_reason"].values()) == 4
    assert [text.split()[0] for text in texts_of(artifact)] == ["one", "three"]
    libraries = artifact.manifest.provenance["libraries"]
    assert libraries["trafilatura"]
    assert libraries["warcio"]


def test_a_crawl_becomes_documents(recipe: Path, tmp_path: Path):
    run = run_data_stages(recipe, tmp_path / "store", overrides=[BAD_FRACTION], until="download")
    require_documents(run.artifacts["download"], run.record.stages[0].stats)


FERRY = (
    "The ferry leaves the harbour at six in the morning, long before most people in the town are awake. Its captain "
    "has made the crossing for thirty years and knows every rock between the two islands. On clear days passengers "
    "stand on the upper deck and look for dolphins. When a storm is near, they sit below with hot tea and listen to "
    "the engine. Nobody can remember a day on which the boat did not come back."
)
BAKER = (
    "A baker in our street mixes rye flour with water and lets it stand for a whole night. The next day she adds salt, "
    "a little honey and what is left of the old dough. Children who pass the window on their way to school ask for the "
    "warm crusts. She gives them away, because nobody buys bread that has lost its shape. Her shop closes at noon, and "
    "then the smell of coffee takes over from that of bread."
)
FRENCH = (  # with the two English stop words that Gopher's rules ask for
    "Le train part de la gare à huit heures et traverse la plaine avant de monter vers les montagnes. Les voyageurs "
    "regardent les champs, lisent le journal ou parlent à voix basse. Dans le dernier wagon, un vieil homme dort, be "
    "to. Quand le train arrive, il fait presque nuit et la place est vide. Une femme attend avec son chien devant le "
    "café."
)


@pytest.fixture
def town(tmp_path: Path) -> Path:
    """The recipe over a crawl of five pages: one short, one in French, and one that is almost another."""
    pages = [FERRY, BAKER, FERRY.replace("thirty", "forty"), FRENCH, "Home. About us. Contact."]
    crawl = members(*(warc(html(page(text))) for text in pages))
    (tmp_path / "warc").mkdir()
    (tmp_path / "warc" / "a.warc.gz").write_bytes(crawl)
    path = tmp_path / "crawl.yaml"
    path.write_text(RECIPE.read_text(encoding="utf-8").replace("../../shared/data/", ""), encoding="utf-8")
    return path


def test_each_stage_takes_what_it_is_there_for(town: Path, tmp_path: Path):
    run = run_data_stages(town, tmp_path / "store", until="shard")
    counts = {one.stage: (one.stats["documents_in"], one.stats["documents_out"]) for one in run.record.stages}
    assert counts == {"download": (5, 5), "filter": (5, 4), "dedup": (4, 3), "language": (3, 2), "shard": (2, 2)}
    dropped = [one.stats["dropped_by_reason"] for one in run.record.stages[1:4]]
    assert dropped == [{"top_2_gram": 1}, {"near_duplicate": 1}, {"language_not_kept": 1}]
    kept = set(texts_of(run.artifacts["shard"]))
    assert BAKER in kept
    assert kept - {BAKER} <= {FERRY, FERRY.replace("thirty", "forty")}


@pytest.mark.slow
def test_a_real_crawl_becomes_shards(tmp_path: Path):
    folder = corpus_file("../warc/iana.warc.gz").parent
    path = tmp_path / "crawl.yaml"
    path.write_text(RECIPE.read_text(encoding="utf-8").replace("../../shared/data/warc", str(folder)), encoding="utf-8")
    run = run_data_stages(path, tmp_path / "store", overrides=[BAD_FRACTION], until="shard")
    for stage, before in itertools.pairwise(reversed(run.record.stages)):
        assert stage.stats["documents_in"] == before.stats["documents_out"]
        assert stage.stats["documents_out"] > 0
    assert len(texts_of(run.artifacts["shard"])) == run.record.stages[-1].stats["documents_out"]


@pytest.mark.slow
def test_the_command_does_the_same(recipe: Path, tmp_path: Path):
    store = tmp_path / "store"
    ended = pretrain("run", recipe, "--store", store, "--until", "download", "--set", BAD_FRACTION, "--json")
    assert ended.code == 0, ended.errors
    (stage,) = ended.out["stages"]
    artifact = find_artifact(LocalStore(store), artifact_key("download", stage["fingerprint"]))
    require_documents(artifact, stage["stats"])
