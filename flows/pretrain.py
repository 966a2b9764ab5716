"""The whole DAG: raw text to an evaluated language model.

download -> filter -> dedup -> language -> shard -> pack ----+
                                             |               +-> train -> eval
                                             +-> tokenizer -> init --+
"""

from pathlib import Path

from prefect import flow
from prefect.runtime import flow_run

from flows.evaluate import evaluate
from flows.prepare_data import prepare_data
from flows.train_model import train_model
from pretrain.runs import recorded_run
from pretrain.spec import RunSpec


def _name() -> str:
    return Path(flow_run.parameters["spec"].recipe).stem


@flow(name="pretrain", flow_run_name=_name)
def pretrain(spec: RunSpec) -> str:
    """Runs a recipe to its end, or to the stage named by `spec.until`; returns the id of the run record."""
    with recorded_run(spec) as run:
        shard = prepare_data(run)
        if run.wants("tokenizer"):
            models = train_model(run, shard)
        if run.wants("eval"):
            evaluate(run, shard, models)
    return run.run_id or ""
