"""deployments/prefect.yaml against a real Prefect server, by the commands of deployments/README.md."""

import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.command import ENVIRONMENT
from tests.content import content_of
from tests.tiny import write_recipe

pytestmark = pytest.mark.slow  # a server, and a worker that runs a flow

ROOT = Path(__file__).parents[2]
README = (ROOT / "deployments" / "README.md").read_text(encoding="utf-8")
DEPLOYMENTS = {
    "pretrain/pretrain",
    "prepare-data/prepare-data",
    "train-model/train-model",
    "evaluate/evaluate",
}


class Server:
    """A Prefect server of the test's own, and the `prefect` command against it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        command = [sys.executable, "-m", "flows.embedded_server", str(folder / "server")]
        (folder / "server").mkdir()
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=ENVIRONMENT
        )
        self.url = self.process.stdout.readline().strip() if self.process.stdout else ""
        assert self.url

    def prefect(self, *words: str) -> str:
        """Runs the command from the root of the checkout; returns what it printed."""
        environment = {
            **ENVIRONMENT,
            "PREFECT_API_URL": self.url,
            "PREFECT_HOME": str(self._folder / "home"),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }
        ended = subprocess.run(
            ["prefect", *words], capture_output=True, text=True, cwd=ROOT, env=environment, timeout=280, check=False
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    def ask(self, path: str, **body: Any) -> Any:
        """The answer of the API to a POST."""
        data = json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/{path}", data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def stop(self) -> None:
        """Ends it."""
        self.process.communicate(timeout=30)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """With the work pool and the deployments, made by the lines of the README."""
    server = Server(tmp_path_factory.mktemp("prefect"))
    lines = re.findall(r"^\.venv/bin/prefect (work-pool create .*|--no-prompt deploy .*)$", README, re.MULTILINE)
    assert len(lines) == 2
    for line in (*lines, lines[1]):  # a second `deploy` brings them up to date
        server.prefect(*line.split())
    yield server
    server.stop()


def deployments_of(server: Server) -> dict[str, Any]:
    flows = {flow["id"]: flow["name"] for flow in server.ask("flows/filter")}
    return {f"{flows[found['flow_id']]}/{found['name']}": found for found in server.ask("deployments/filter")}


def test_every_flow_has_its_deployment_in_the_work_pool(server: Server) -> None:
    found = deployments_of(server)
    assert set(found) == DEPLOYMENTS == set(re.findall(r"^\| `([\w/-]+)` \|", README, re.MULTILINE))
    for name, deployment in found.items():
        assert deployment["work_pool_name"] == "pretrain-process", name
        assert deployment["parameters"] == {"spec": {"recipe": "recipes/demo.yaml", "store": "./store"}}
        assert deployment["global_concurrency_limit"]["limit"] == 1
        assert deployment["concurrency_options"]["collision_strategy"] == "ENQUEUE"
        assert deployment["job_variables"]["env"]["HF_HUB_OFFLINE"] == "1"
        assert deployment["status"] == "NOT_READY"  # no worker yet
    assert [schedule["active"] for schedule in found["pretrain/pretrain"]["schedules"]] == [False]


def test_a_worker_runs_one(server: Server, tmp_path: Path) -> None:
    spec = {"recipe": str(write_recipe(tmp_path)), "store": str(tmp_path / "store"), "until": "filter", "workers": 1}
    server.prefect("deployment", "run", "prepare-data/prepare-data", "--params", json.dumps({"spec": spec}))
    server.prefect("worker", "start", "--pool", "pretrain-process", "--run-once")
    runs = server.ask("flow_runs/filter")
    assert [(run["state_name"], run["deployment_id"] is not None) for run in runs] == [("Completed", True)]
    assert sorted(name.split("/")[0] for name in content_of(tmp_path / "store")) == ["download", "filter"]
