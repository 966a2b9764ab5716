"""The Prefect API that a run talks to: the one that is configured, else an embedded one for this run alone.

The embedded server is a child process with its database in a temporary folder. It ends, and removes the folder, when
its stdin closes: at the end of the run as well as when the run is killed with SIGKILL.
"""

import atexit
import os
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from pretrain.errors import PretrainError

# No call home, whichever server is used; the terminal shows our own progress, so Prefect's log lines stay out of it.
_QUIET = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_LOGGING_EXTRA_LOGGERS": "pretrain",
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "ERROR",
    "PREFECT_CLI_PROMPT": "false",
}


class EmbeddedServerError(PretrainError):
    """The embedded Prefect server did not start."""


def configured_api_url() -> str | None:
    """The Prefect API of the environment or of the active Prefect profile, without importing Prefect."""
    url = os.environ.get("PREFECT_API_URL")
    if url:
        return url
    home = Path(os.environ.get("PREFECT_HOME", Path.home() / ".prefect"))
    try:
        profiles = tomllib.loads((home / "profiles.toml").read_text())
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
    if url is None:
        home = tempfile.mkdtemp(prefix="pretrain-prefect-")
        url = _start_embedded_server(Path(home))
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
    atexit.register(_stop, child)
    url = (child.stdout.readline() if child.stdout else "").strip()
    if not url:
        raise EmbeddedServerError(
            "the embedded Prefect server did not start; set PREFECT_API_URL to one that runs, or look at its log:\n"
            + log.read_text()[-4000:]
        )
    return url


def _stop(child: subprocess.Popen[str]) -> None:
    if child.stdin:
        child.stdin.close()
    try:
        child.wait(timeout=10)
    except subprocess.TimeoutExpired:
        child.kill()
