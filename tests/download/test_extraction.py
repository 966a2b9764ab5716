import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pretrain.download.extraction import TextExtractor
from pretrain.download.html_config import HtmlOptions
from pretrain.download.records import UnusableRecordError
from pretrain.errors import SubprocessError
from pretrain.runner import LocalRunner
from tests.download.crawls import PARAGRAPH, page

ROOT = Path(__file__).parents[2]
FAKE = "tests.download.fake_extractor"


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[TextExtractor]:
    """An extractor that does what pages say, with 0.2 seconds of CPU time for each."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    with TextExtractor(HtmlOptions(timeout_seconds=0.2, memory_bytes=1 << 30), FAKE) as extractor:
        yield extractor


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def wait_for_end(pid: int) -> bool:
    ends_at = time.monotonic() + 20
    while is_alive(pid) and time.monotonic() < ends_at:
        time.sleep(0.02)
    return not is_alive(pid)


@pytest.mark.parametrize("extractor", ["trafilatura", "resiliparse"])
def test_main_text_of_a_page(extractor):
    with TextExtractor(HtmlOptions.model_validate({"extractor": extractor})) as real:
        text = real.extract(page().decode())
        assert text is not None
        assert text.strip() == PARAGRAPH.strip()
        assert real.extract("<html><body></body></html>") is None
        assert real.extract("") is None


def test_one_process_takes_all_pages(fake: TextExtractor):
    first = fake.extract("pid")
    assert [fake.extract("a"), fake.extract("nothing"), fake.extract(" \n"), fake.extract("é\n")] == [
        "a",
        None,
        None,
        "é\n",
    ]
    assert fake.extract("x" * 20_000_000) == "x" * 20_000_000
    assert fake.extract("pid") == first


@pytest.mark.parametrize(
    ("html", "reason"),
    [
        ("sleep", "extract_timeout"),
        ("spin", "extract_timeout"),
        ("hold the lock", "extract_timeout"),
        ("exit", "extract_failed"),
        ("crash", "extract_failed"),
        ("fail", "extract_failed"),
        ("eat memory", "extract_failed"),
    ],
)
def test_a_page_that_harms_the_extractor_costs_itself_alone(fake: TextExtractor, html, reason):
    before = int(fake.extract("pid") or 0)
    with pytest.raises(UnusableRecordError, match=reason):
        fake.extract(html)
    assert not is_alive(before)  # and no zombie: a zombie is alive to kill(0)
    assert fake.extract("next") == "next"


def test_what_a_library_prints_is_no_answer(fake: TextExtractor):
    assert fake.extract("print") == "print"
    assert fake.extract("next") == "next"


def test_the_process_ends_with_the_block(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    with TextExtractor(HtmlOptions(), FAKE) as extractor:
        pid = int(extractor.extract("pid") or 0)
    assert not is_alive(pid)


PARENT = """
import sys
from pretrain.download.extraction import TextExtractor
from pretrain.download.html_config import HtmlOptions
extractor = TextExtractor(HtmlOptions(), "tests.download.fake_extractor")
print(extractor.extract("pid"), flush=True)
extractor.extract(sys.argv[1])
input()
"""


@pytest.mark.parametrize("html", ["next", "sleep", "spin"])
def test_the_process_ends_with_a_parent_that_is_killed(html):
    command = [sys.executable, "-c", PARENT, html]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as parent:
        pid = int(parent.stdout.readline()) if parent.stdout else 0
        time.sleep(0.2)
        parent.send_signal(signal.SIGKILL)
    assert wait_for_end(pid)


def test_an_extractor_that_does_not_start_is_a_stage_error():
    message = r"tests\.no_such_module did not start \(status 1\); run `python -m"
    with (
        TextExtractor(HtmlOptions(), "tests.no_such_module") as extractor,
        pytest.raises(SubprocessError, match=message),
    ):
        extractor.extract("a")


def text_of(html: str) -> str | None:
    with TextExtractor(HtmlOptions(extractor="resiliparse")) as extractor:
        return extractor.extract(html)


def test_it_works_in_the_workers_of_a_pool():
    with LocalRunner(2) as runner:
        found = dict(runner.map(text_of, [("a", page("a" * 300).decode()), ("b", page("b" * 300).decode())]))
    assert {name: (text or "").strip() for name, text in found.items()} == {"a": "a" * 300, "b": "b" * 300}
