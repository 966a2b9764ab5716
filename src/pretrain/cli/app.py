"""The commands that need no orchestrator. `flows.main` adds `run`, which goes through Prefect.

Every command takes `--store` (but `train-classifier`, which has no use for one) and `--json`; with `--json`, stdout
carries one JSON object and nothing else.
"""

import typer

from pretrain.cli.artifacts import ls_command, show_command, verify_command
from pretrain.cli.diff import diff_command
from pretrain.cli.funnel import funnel_command
from pretrain.cli.gc import gc_command
from pretrain.cli.plan import plan_command
from pretrain.cli.sample import sample_command
from pretrain.cli.train_classifier import train_classifier_command
from pretrain.cli.transfer import export_command, import_command
from pretrain.cli.why import why_command

app = typer.Typer(
    name="pretrain",
    help="Raw text to an evaluated language model, through one cached, retryable DAG.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("plan")(plan_command)
app.command("ls")(ls_command)
app.command("show")(show_command)
app.command("diff")(diff_command)
app.command("verify")(verify_command)
app.command("funnel")(funnel_command)
app.command("why")(why_command)
app.command("gc")(gc_command)
app.command("export")(export_command)
app.command("import")(import_command)
app.command("sample")(sample_command)
app.command("train-classifier")(train_classifier_command)
