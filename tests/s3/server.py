"""A real S3 server on this machine: for the tests a fixture, for a person `make s3`."""

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SERVER = Path(__file__).with_name("swift_process.py")
KEY, SECRET = "test:tester", "testing"
READER_KEY, READER_SECRET = "test:reader", "reading"  # may read, and nothing else
BUCKET = "pretrain"


@dataclass
class S3Server:
    """A server at work: its address, its folder, its process."""

    endpoint: str
    folder: Path
    process: subprocess.Popen[str]

    def environment(self, key: str = KEY, secret: str = SECRET) -> dict[str, str]:
        """The variables that point a command at the server."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": key,
            "AWS_SECRET_ACCESS_KEY": secret,
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def requests(self) -> list[str]:
        """Every request so far: method, path with query, status."""
        return (self.folder / "requests.log").read_text().splitlines()

    def kill(self) -> None:
        """Ends it as a power failure would."""
        self.process.kill()
        self.process.wait()


def start(folder: Path) -> S3Server:
    """Starts a server over what `folder` holds; it ends with this process, however this ends."""
    folder.mkdir(parents=True, exist_ok=True)
    _require_xattrs(folder)
    with (folder / "server.log").open("a") as log:
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore", str(SERVER), str(folder)],
            stdin=subprocess.PIPE,  # its end is what the server waits for
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,  # Ctrl-C is for the one who started it
        )
    endpoint = process.stdout.readline().strip() if process.stdout else ""
    if not endpoint:
        raise RuntimeError(f"the S3 server did not start:\n{(folder / 'server.log').read_text()[-2000:]}")
    return S3Server(endpoint, folder, process)


@contextlib.contextmanager
def running(folder: Path) -> Iterator[S3Server]:
    """A server for the time of a block."""
    server = start(folder)
    try:
        yield server
    finally:
        server.kill()


def _require_xattrs(folder: Path) -> None:
    probe = folder / ".xattr"
    probe.touch()
    try:
        os.setxattr(probe, "user.pretrain", b"1")
    except OSError as error:
        raise RuntimeError(f"{folder} has no user xattrs ({error}), where Swift keeps its metadata") from error
    finally:
        probe.unlink()


def main() -> None:
    """Serves until Ctrl-C, and says how to use it."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--folder", type=Path, help="where its objects are kept; a temporary folder if unset")
    folder = parser.parse_args().folder
    with contextlib.ExitStack() as stack:
        place = folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pretrain-s3-")))
        server = stack.enter_context(running(place.absolute()))
        print(f"an S3 server (OpenStack Swift) at {server.endpoint}, for this machine alone; Ctrl-C ends it\n")
        print(f"bucket {BUCKET}   key {KEY}   secret {SECRET}   read-only: key {READER_KEY}   secret {READER_SECRET}\n")
        for name, value in server.environment().items():
            print(f"export {name}={value}")
        print(f"\npretrain run recipes/demo.yaml --store s3://{BUCKET}/demo", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            server.process.wait()


if __name__ == "__main__":
    main()
