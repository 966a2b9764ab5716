"""The Prefect API that a run talks to: the one that is configured, else an embedded one for this run alone.

The embedded server is a child process with its database in a temporary folder. It ends, and removes the folder, when
its stdin closes: at the end of the run as well as when the run is killed with SIGKILL.
"""

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
import urllib.error
import urllib.request
from pathlib import Path

from pretrain.errors import PretrainError, UsageError
from pretrain.redaction import without_secrets

# No call home, whichever server is used; the terminal shows our own progress, so Prefect's log lines stay out of it.
_QUIET = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_LOGGING_EXTRA_LOGGERS": "pretrain",
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
    "PREFECT_CLI_PROMPT": "false",
}
_DATABASE_BYTES = 5_000_000  # an empty one takes 3 MB: with less left, this is why a server fails


class EmbeddedServerError(PretrainError):
    """The embedded Prefect server did not start."""


def configured_api_url() -> str | None:
    """The Prefect API of the environment or of the active Prefect profile, without importing Prefect."""
    url = os.environ.get("PREFECT_API_URL")
    if url:
        return url
    home = Path(os.environ.get("PREFECT_HOME", Path.home() / ".prefect"))
    path = Path(os.environ.get("PREFECT_PROFILES_PATH", home / "profiles.toml"))
    try:
        profiles = tomllib.loads(path.read_text())
    except (OSError, tomllib.TOMLDecodeError):
        return None
    active = os.environ.get("PREFECT_PROFILE") or profiles.get("active")
    found = profiles.get("profiles", {}).get(active, {}).get("PREFECT_API_URL")
    return str(found) if found else None


def ensure_prefect_api() -> str:
    """Sets the environment for Prefect, which must not be imported before; returns the API's url.

    An embedded server ends with this process, after Prefect has sent its last logs and events.

    Raises:
        EmbeddedServerError: it did not start.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    url = configured_api_url()
    if url is not None:
        _require_answer(url)
    else:
        home = tempfile.mkdtemp(prefix="pretrain-prefect-")
        url = _start_embedded_server(Path(home))
        for name in ("PREFECT_API_KEY", "PREFECT_API_AUTH_STRING", "PREFECT_PROFILE"):
            os.environ.pop(name, None)  # of another server
        os.environ |= {"PREFECT_HOME": home, "PREFECT_API_URL": url}
    return url


def _start_embedded_server(home: Path) -> str:
    log = home / "server.log"
    with log.open("w") as log_file:
        child = subprocess.Popen(
            [sys.executable, "-m", "flows.embedded_server", str(home)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log_file,
            start_new_session=True,  # Ctrl-C ends the run first, which still has states to report
            text=True,
        )
    # Exit handlers run last in, first out: this one after those that Prefect registers when it is imported.
    atexit.register(_stop, child, home)
    url = (child.stdout.readline() if child.stdout else "").strip()
    if not url:
        last_line = (log.read_text().strip().splitlines() or ["it printed nothing"])[-1]
        free_bytes = shutil.disk_usage(home).free
        shutil.rmtree(home, ignore_errors=True)
        problem = f"the embedded Prefect server did not start ({last_line}); set PREFECT_API_URL to one that runs"
        if free_bytes < _DATABASE_BYTES:
            place = f"{home.parent} ({free_bytes / 1e6:.1f} MB are free)"
            problem = f"no space left for the embedded Prefect server in {place}: free some, or set TMPDIR, and resume"
        raise EmbeddedServerError(problem)
    return url


def _require_answer(url: str) -> None:
    try:
        with urllib.request.urlopen(f"{url.rstrip('/')}/health", timeout=5):
            return
    except urllib.error.HTTPError:  # it answers; whether it knows us, Prefect will say
        return
    except (OSError, ValueError) as error:
        raise UsageError(
            f"the Prefect server of PREFECT_API_URL, {without_secrets(url)}, does not answer ({error}): "
            "start it, correct the address, or unset it to use an embedded one"
        ) from error


def _stop(child: subprocess.Popen[str], home: Path) -> None:
    if child.stdin:
        child.stdin.close()
    try:
        child.wait(timeout=10)
    except subprocess.TimeoutExpired:
        child.kill()
        shutil.rmtree(home, ignore_errors=True)
