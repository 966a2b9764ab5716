"""The policy that every stage's task shares: name, tags, retries, and no second cache."""

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from prefect import Task
from prefect import task as prefect_task
from prefect.cache_policies import NO_CACHE

from pretrain.errors import (
    BadInputFractionError,
    DamagedArtifactError,
    StageError,
    StoreFullError,
    StorePermissionError,
)

P = ParamSpec("P")
R = TypeVar("R")

_FINAL = (BadInputFractionError, DamagedArtifactError, StoreFullError, StorePermissionError)


def stage_task(stage: str, *, tags: list[str]) -> Callable[[Callable[P, R]], Task[P, R]]:
    """A task named after its stage. The store is the cache, so Prefect's own is off; a retry resumes."""
    return prefect_task(
        name=stage,
        task_run_name=stage,
        tags=["pretrain", *tags],
        retries=2,
        retry_delay_seconds=[1, 10],
        retry_condition_fn=is_worth_a_retry,
        cache_policy=NO_CACHE,
        persist_result=False,
    )


def is_worth_a_retry(task: Any, run: Any, state: Any) -> bool:
    """Whether a failure may pass by itself: a worker or subprocess that died, a store that stumbled."""
    error = state.result(raise_on_failure=False)
    return isinstance(error, StageError) and not isinstance(error, _FINAL)
