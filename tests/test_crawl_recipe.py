"""recipes/crawl.yaml from crawl files to documents; made-up crawl files stand in for real ones."""

from pathlib import Path
from typing import Any

import pytest

from pretrain.artifact import Artifact, artifact_key
from pretrain.catalog import find_artifact
from pretrain.documents import read_documents
from pretrain.store import LocalStore
from tests.command import pretrain
from tests.data_run import run_data_stages
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


def require_documents(artifact: Artifact, stats: dict[str, Any]) -> None:
    assert (stats["documents_in"], stats["documents_out"]) == (6, 2)
    assert stats["skipped_by_source"] == {"crawl": {"revisit": 3}}
    assert sum(stats["dropped_by_reason"].values()) == 4
    texts = [document.text for part in artifact.parts() for document in read_documents(artifact.open_part(part))]
    assert [text.split()[0] for text in texts] == ["one", "three"]
    libraries = artifact.manifest.provenance["libraries"]
    assert libraries["trafilatura"]
    assert libraries["warcio"]


def test_a_crawl_becomes_documents(recipe: Path, tmp_path: Path):
    run = run_data_stages(recipe, tmp_path / "store", overrides=[BAD_FRACTION], until="download")
    require_documents(run.artifacts["download"], run.record.stages[0].stats)


@pytest.mark.slow
def test_the_command_does_the_same(recipe: Path, tmp_path: Path):
    store = tmp_path / "store"
    ended = pretrain("run", recipe, "--store", store, "--until", "download", "--set", BAD_FRACTION, "--json")
    assert ended.code == 0, ended.errors
    (stage,) = ended.out["stages"]
    artifact = find_artifact(LocalStore(store), artifact_key("download", stage["fingerprint"]))
    require_documents(artifact, stage["stats"])
