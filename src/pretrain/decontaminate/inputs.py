"""The evaluation files as outside content: what they hold counts, where they lie does not."""

from pretrain.decontaminate.config import DecontaminateConfig
from pretrain.external import ExternalInput, Surroundings, local_files


def external_inputs(config: DecontaminateConfig, around: Surroundings) -> list[ExternalInput]:
    """One input for every task, named `task:<name>`.

    Raises:
        InputError: a file that the recipe names is not there.
    """
    return [ExternalInput(input_name(task.name), tuple(local_files(task.path, around))) for task in config.task_files]


def input_name(task: str) -> str:
    """`task:<name>`: the key of a task's files among the external inputs of the stage."""
    return f"task:{task}"
