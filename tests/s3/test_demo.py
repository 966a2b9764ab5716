"""The demo recipe, end to end, on a real S3 server with signature checking."""

from pathlib import Path

import pytest

from tests.command import pretrain
from tests.s3.bucket import content_of_bucket
from tests.s3.server import BUCKET, S3Server

DEMO = Path(__file__).parents[2] / "recipes" / "demo.yaml"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


def test_the_demo_on_s3_and_again_from_another_machine(s3_server: S3Server, prefix: str, tmp_path: Path) -> None:
    arguments = ("run", DEMO, "--store", f"s3://{BUCKET}/{prefix}", "--json")
    environment = {**s3_server.environment(), "OMP_NUM_THREADS": "2"}
    first = pretrain(*arguments, **environment, PRETRAIN_CACHE_DIR=str(tmp_path / "here"), timeout_seconds=1100)
    assert first.code == 0, first.errors
    assert [stage["action"] for stage in first.out["stages"]] == ["built"] * 10
    stats = {stage["stage"]: stage["stats"] for stage in first.out["stages"]}
    assert stats["pack"]["bigram_loss"] < stats["pack"]["unigram_loss"] - 2
    assert stats["train"]["validation_loss"] < stats["pack"]["bigram_loss"] - 0.25
    again = pretrain(*arguments, **environment, PRETRAIN_CACHE_DIR=str(tmp_path / "there"))
    assert again.code == 0, again.errors
    assert [stage["action"] for stage in again.out["stages"]] == ["cached"] * 10
    content = content_of_bucket(s3_server, prefix)
    assert len(content) == 10
    for artifact in content.values():
        assert artifact["parts"] == {part["path"]: part["sha256"] for part in artifact["manifest"]["parts"]}
