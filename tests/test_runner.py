"""Runners: every result, bounded work in flight, and death of a worker as an error."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pretrain.errors import StageError, WorkerDiedError
from pretrain.runner import InlineRunner, LocalRunner, Runner, prepare_workers


def square(value: int) -> int:
    return value * value


def fail_on_three(value: int) -> int:
    if value == 3:
        raise StageError("three is refused")
    return value


def kill_itself_on_three(value: int) -> int:
    if value == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return value


@pytest.fixture(scope="module", params=["inline", "local"])
def runner(request: pytest.FixtureRequest) -> Iterator[Runner]:
    if request.param == "inline":
        yield InlineRunner()
    else:
        with LocalRunner(2) as local:
            yield local


def test_every_unit_has_its_result(runner: Runner) -> None:
    results = dict(runner.map(square, [(f"unit-{n}", n) for n in range(20)]))
    assert results == {f"unit-{n}": n * n for n in range(20)}


def test_no_units_no_results(runner: Runner) -> None:
    assert list(runner.map(square, [])) == []


def test_an_error_of_a_unit_is_raised_as_it_is(runner: Runner) -> None:
    with pytest.raises(StageError, match="three is refused"):
        list(runner.map(fail_on_three, [(str(n), n) for n in range(5)]))


def test_units_are_taken_as_workers_get_free() -> None:
    taken = []

    def payloads() -> Iterator[tuple[str, int]]:
        for n in range(100):
            taken.append(n)
            yield str(n), n

    with LocalRunner(2) as runner:
        results = runner.map(square, payloads())
        next(results)
        assert len(taken) <= 2 * runner.num_workers + 1
        results.close()  # type: ignore[attr-defined]


def test_a_killed_worker_is_an_error_with_its_units_and_the_next_map_works() -> None:
    with LocalRunner(2) as runner:
        with pytest.raises(WorkerDiedError, match=r"in flight: .*unit-3"):
            list(runner.map(kill_itself_on_three, [(f"unit-{n}", n) for n in range(8)]))
        assert dict(runner.map(square, [("a", 2)])) == {"a": 4}


def variable(name: str) -> str | None:
    return os.environ.get(name)


def test_workers_have_the_environment_of_the_moment_and_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    for value in ("first", "second"):
        monkeypatch.setenv("PRETRAIN_TEST", value)
        with LocalRunner(1) as runner:
            found = dict(runner.map(variable, [(name, name) for name in ("PRETRAIN_TEST", "OMP_NUM_THREADS", "HOME")]))
        assert found == {"PRETRAIN_TEST": value, "OMP_NUM_THREADS": "1", "HOME": os.environ.get("HOME")}


def test_what_workers_compile_is_kept_in_the_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
    monkeypatch.setenv("PRETRAIN_CACHE_DIR", str(tmp_path))
    with LocalRunner(1) as runner:
        [(_, folder)] = runner.map(variable, [("a", "TORCHINDUCTOR_CACHE_DIR")])
    assert folder == str(tmp_path / "torchinductor")


def test_runners_that_start_at_once_leave_the_environment_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: prepare_workers(), range(200)))
    assert "PYTHONSAFEPATH" not in os.environ


def threads_of_the_server_and_modules(_: int) -> tuple[list[str], set[str]]:
    server = Path(f"/proc/{os.getppid()}/task")
    return sorted((thread / "comm").read_text().strip() for thread in server.iterdir()), set(sys.modules)


@pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux alone")
def test_the_fork_server_runs_no_python_thread_and_has_loaded_what_workers_need() -> None:
    with LocalRunner(1) as runner:
        [(_, (threads, modules))] = runner.map(threads_of_the_server_and_modules, [("a", 0)])
    assert len([name for name in threads if name != "jemalloc_bg_thd"]) == 1  # that one is pyarrow's, and holds no lock
    assert {"numba", "pyarrow.parquet", "pretrain.dedup.stage"} <= modules
    assert not {"torch", "polars", "fasttext", "prefect"} & modules


@pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux alone")
def test_a_killed_fork_server_is_an_error_and_the_next_map_works() -> None:
    with LocalRunner(2) as runner:
        with pytest.raises(WorkerDiedError, match="in flight: "):
            list(runner.map(kill_parent_on_three, [(f"unit-{n}", n) for n in range(8)]))
        assert dict(runner.map(square, [("a", 2)])) == {"a": 4}


def kill_parent_on_three(value: int) -> int:
    if value == 3:
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(60)
    return value


def test_modules_of_the_current_folder_are_not_loaded(tmp_path: Path) -> None:
    (tmp_path / "numba.py").write_text("raise SystemExit('a file of the user')")
    (tmp_path / "pretrain").mkdir()
    (tmp_path / "pretrain/__init__.py").write_text("raise SystemExit('a file of the user')")
    folder = tmp_path / "scripts"
    folder.mkdir()
    script = folder / "parent.py"
    script.write_text(
        "from pretrain.runner import LocalRunner\n"
        "if __name__ == '__main__':\n"
        "    with LocalRunner(1) as runner:\n"
        "        print(list(runner.map(abs, [('a', -1)])))\n"
    )
    ended = subprocess.run([sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (ended.stdout, ended.stderr) == ("[('a', 1)]\n", "")


def test_where_the_name_of_the_temporary_folder_is_too_long_for_a_socket_workers_are_spawned(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    script = tmp_path / "parent.py"
    script.write_text(
        "from pretrain.runner import LocalRunner, prepare_workers\n"
        "if __name__ == '__main__':\n"
        "    prepare_workers()\n"
        "    with LocalRunner(1) as runner:\n"
        "        print(list(runner.map(abs, [('a', -1)])))\n"
    )
    environment = {**os.environ, "TMPDIR": str(folder)}
    ended = subprocess.run([sys.executable, str(script)], env=environment, capture_output=True, text=True, check=False)
    assert (ended.stdout, ended.stderr) == ("[('a', 1)]\n", "")


def test_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        "import os, pathlib, time\n"
        "from pretrain.runner import LocalRunner\n"
        "def work(folder):\n"
        "    pathlib.Path(folder, str(os.getppid())).touch()\n"
        "    pathlib.Path(folder, str(os.getpid())).touch()\n"
        "    time.sleep(600)\n"
        "if __name__ == '__main__':\n"
        f"    list(LocalRunner(2).map(work, [('a', {str(tmp_path)!r}), ('b', {str(tmp_path)!r})]))\n"
    )
    parent = subprocess.Popen([sys.executable, str(script)])
    pids: list[int] = []
    while len(pids) < (3 if sys.platform == "linux" else 2):
        time.sleep(0.05)
        pids = [int(path.name) for path in tmp_path.iterdir() if path.name.isdigit()]
    pids = [pid for pid in pids if pid != parent.pid]
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 20
    while any(_is_alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(_is_alive(pid) for pid in pids)


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False
