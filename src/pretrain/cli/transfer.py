"""`pretrain export` and `pretrain import`: a run, or one artifact with its lineage, from one store into another."""

from typing import Annotated

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from pretrain.cli.common import (
    DEFAULT_STORE,
    JsonOption,
    StoreOption,
    console,
    errors_end_the_command,
    print_json,
    shown_bytes,
)

RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="Run id, `latest`, or STAGE/FINGERPRINT.")]


def export_command(
    run: RunArgument,
    to_store: Annotated[str, typer.Argument(help="Local folder or s3://bucket/prefix to copy into.")],
    store: StoreOption = DEFAULT_STORE,
    as_json: JsonOption = False,
) -> None:
    """Copy a run, its artifacts and their lineage into another store. The same command resumes."""
    _transfer("exported", run, store, to_store, as_json)


def import_command(
    run: RunArgument,
    from_store: Annotated[str, typer.Argument(help="Local folder or s3://bucket/prefix to copy from.")],
    store: StoreOption = DEFAULT_STORE,
    as_json: JsonOption = False,
) -> None:
    """Copy a run, its artifacts and their lineage from another store. The same command resumes."""
    _transfer("imported", run, from_store, store, as_json)


def _transfer(done: str, name: str, from_url: str, to_url: str, as_json: bool) -> None:
    from pretrain.store import open_store
    from pretrain.transfer import transfer

    with errors_end_the_command(), _bar() as bar:
        task = bar.add_task("copying", total=None)
        ended = transfer(
            open_store(from_url),
            open_store(to_url),
            name,
            lambda num_bytes, total: bar.update(task, completed=num_bytes, total=total),
        )
    if as_json:
        print_json(
            {
                "run_id": ended.run_id,
                "from": ended.source,
                "to": ended.target,
                "artifacts_copied": ended.artifacts_copied,
                "artifacts_present": ended.artifacts_present,
                "files": ended.files,
                "bytes": ended.bytes,
            }
        )
        return
    artifacts = f"{ended.artifacts_copied} artifacts copied, {ended.artifacts_present} there already"
    size = f"{ended.files} files, {shown_bytes(ended.bytes)}"
    what = f"{done} {ended.run_id or name} from {ended.source} to {ended.target}"
    console().print(f"{what}: {artifacts}; {size}", markup=False)


def _bar() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    out = console(stderr=True)
    return Progress(*columns, console=out, transient=True, disable=not out.is_terminal)
