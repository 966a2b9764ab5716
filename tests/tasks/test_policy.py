"""Which failures are tried again, and what every stage's task has in common."""

import importlib

import pytest
from prefect.states import State, StateType

from pretrain.dag import NODES
from pretrain.errors import (
    BadInputFractionError,
    DamagedArtifactError,
    InputError,
    RecipeError,
    StageError,
    StoreError,
    StoreFullError,
    StorePermissionError,
    SubprocessError,
    TransientInputError,
    WorkerDiedError,
)
from tasks.policy import StageTask, is_worth_a_retry


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (WorkerDiedError("killed"), True),
        (SubprocessError("out of memory"), True),
        (StoreError("connection reset"), True),
        (TransientInputError("connection reset"), True),
        (StageError("the loss is not finite"), False),
        (StorePermissionError("refused"), False),
        (StoreFullError("full"), False),
        (DamagedArtifactError("flipped"), False),
        (BadInputFractionError("too many"), False),
        (RecipeError("a key"), False),
        (InputError("a file"), False),
        (ValueError("a fault of ours"), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_may_pass_by_itself_is_tried_again(error: Exception, expected: bool) -> None:
    state: State[None] = State(type=StateType.FAILED, data=error)
    assert is_worth_a_retry(None, None, state) is expected


@pytest.mark.parametrize("stage", [node.name for node in NODES])
def test_a_stage_has_one_task_of_its_name_and_prefect_keeps_no_second_cache(stage: str) -> None:
    module = importlib.import_module(f"tasks.{stage}")
    [found] = [value for value in vars(module).values() if isinstance(value, StageTask)]
    assert found.task.name == stage
    assert found.task.persist_result is False
    assert found.task.retries == 2
    assert "pretrain" in found.task.tags
