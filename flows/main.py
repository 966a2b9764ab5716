"""The `pretrain` command: the library's commands, and `run`, which goes through the Prefect flow."""

from collections.abc import Sequence

from flows.server import configured_api_url, ensure_prefect_api
from pretrain.cli.app import app
from pretrain.cli.run import make_run_command
from pretrain.planning import PlannedStage
from pretrain.progress import LoggedProgress
from pretrain.runner import prepare_workers
from pretrain.runs import record_cached_run
from pretrain.spec import RunSpec


def execute(spec: RunSpec, plan: Sequence[PlannedStage]) -> None:
    """Runs the flow; when there is nothing to do and no server to show it on, only keeps the record."""
    if configured_api_url() is None and all(stage.action == "cached" for stage in plan):
        record_cached_run(spec, plan)
        return
    prepare_workers()
    starting = LoggedProgress("prefect")
    starting(0, 1, "connecting to the server, or starting an embedded one")
    ensure_prefect_api()
    starting(1, 1, "ready")
    from flows.pretrain import pretrain

    pretrain(spec)


app.command("run")(make_run_command(execute))


def main() -> None:
    """Entry point of the console script."""
    app()


if __name__ == "__main__":
    main()
