"""A trained model to scores, with the baselines beside it."""

from prefect import flow

from pretrain.runs import part_of_run
from pretrain.spec import RunSpec
from tasks.adapter import ArtifactRef, planned
from tasks.eval import evaluate_model


@flow(name="evaluate", flow_run_name="evaluate")
def evaluate(
    spec: RunSpec, shard: ArtifactRef | None = None, models: dict[str, ArtifactRef] | None = None
) -> ArtifactRef:
    """Scores of the models, by task and metric; run alone, it takes what the store has for the recipe."""
    with part_of_run(spec, "eval") as run:
        shard = shard or planned(run, "shard")
        models = models or {"train": planned(run, "train"), "init": planned(run, "init")}
        return evaluate_model(run, shard, models)
