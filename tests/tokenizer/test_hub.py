import http.server
import json
import threading
from pathlib import Path

import huggingface_hub.constants
import pytest

from pretrain.errors import InputError, TransientInputError
from pretrain.external import ExternalFile
from pretrain.tokenizer.hub import hub_contents
from tests.tokenizer.importing import gpt2_files

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """A server that answers as the hub does for one repository at one commit; `status` makes it refuse."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files, self.sha, self.status = files, COMMIT, 200
        self.asked: list[str] = []
        hub = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                self.do_GET()

            def do_GET(self) -> None:
                hub.asked.append(self.path)
                status, body, headers = hub.answer(self.path)
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def answer(self, path: str) -> tuple[int, bytes, dict[str, str]]:
        if self.status != 200:
            return self.status, b"", {}
        if path.startswith(f"/api/models/owner/name/revision/{COMMIT}"):
            siblings = [{"rfilename": name, "size": len(data)} for name, data in self.files.items()]
            return 200, json.dumps({"id": "owner/name", "sha": self.sha, "siblings": siblings}).encode(), {}
        name = path.removeprefix(f"/owner/name/resolve/{COMMIT}/")
        if name in self.files:
            return 200, self.files[name], {"ETag": f'"{name}"', "X-Repo-Commit": COMMIT}
        return 404, b"", {"X-Error-Code": "RepoNotFound"}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    files = {"config.json": b"{}", "model.safetensors": b"x" * 999, "onnx/tokenizer.json": b"{}", **gpt2_files([])}
    server = Hub(files)
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", server.url)
    template = server.url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    yield server
    server.server.shutdown()
    server.server.server_close()


def fetch(name: str = "owner/name", revision: str = COMMIT) -> dict[str, bytes]:
    return hub_contents(ExternalFile("hub", f"hf://{name}", f"revision:{revision}", 0))


def test_the_tokenizers_files_are_fetched_and_nothing_else(hub):
    assert fetch() == gpt2_files([])
    assert not [path for path in hub.asked if "safetensors" in path or "config.json" in path or "onnx" in path]


def test_a_repository_that_is_not_there_is_named(hub):
    with pytest.raises(InputError, match=rf"no owner/other at commit {COMMIT}, or refuses access.*HF_TOKEN"):
        fetch("owner/other")


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_repository_is_named(hub, status):
    hub.status = status
    with pytest.raises(InputError, match=rf"refuses access \(status {status}\)"):
        fetch()


def test_a_hub_that_stumbles_can_be_tried_again(hub):
    hub.status = 501
    with pytest.raises(TransientInputError, match=r"owner/name could not be fetched.*same command again"):
        fetch()


def test_a_hub_out_of_reach_can_be_tried_again(hub, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(TransientInputError, match="owner/name could not be fetched"):
        fetch()


def test_another_commit_than_the_one_pinned_is_refused(hub):
    hub.sha = "f" * 40
    with pytest.raises(InputError, match=f"answers {COMMIT} of owner/name with the commit {'f' * 40}"):
        fetch()


def test_a_repository_without_a_tokenizer_is_named(hub):
    hub.files = {"model.safetensors": b""}
    with pytest.raises(InputError, match=r"'owner/name' has no tokenizer \(it has model\.safetensors\)"):
        fetch()


def test_a_file_far_too_large_is_not_fetched(hub, monkeypatch):
    monkeypatch.setattr("pretrain.tokenizer.hub._MAX_BYTES", 10)
    with pytest.raises(InputError, match=r"vocab\.json of owner/name has [\d,]+ bytes; it is no tokenizer"):
        fetch()
    assert len(hub.asked) == 1


def test_an_id_that_is_none_is_named(hub):
    with pytest.raises(InputError, match=r"'a--b\.\./c' is no id of a hub"):
        fetch("a--b../c")
