"""The evaluation files as outside content: what they hold counts, where they lie does not."""

from pretrain.eval.config import EvalConfig
from pretrain.external import ExternalInput, Surroundings, local_files
from pretrain.task_files.questions import check_first_question


def external_inputs(config: EvalConfig, around: Surroundings) -> list[ExternalInput]:
    """For every task in files `task:<name>`, and `fewshot:<name>` where its solved questions have a file.

    Raises:
        InputError: a file that the recipe names is not there, or its first question is not what the task says.
    """
    found = []
    for task in config.file_tasks:
        found.append(ExternalInput(input_name(task.name), tuple(local_files(task.path, around))))
        check_first_question(task, found[-1].files)
        if task.fewshot_path is not None:
            found.append(ExternalInput(fewshot_input_name(task.name), tuple(local_files(task.fewshot_path, around))))
            check_first_question(task, found[-1].files, task.fewshot_where)
    return found


def input_name(task: str) -> str:
    """`task:<name>`: the key of a task's files among the external inputs of the stage."""
    return f"task:{task}"


def fewshot_input_name(task: str) -> str:
    """`fewshot:<name>`: the key of the files of a task's solved questions."""
    return f"fewshot:{task}"
