"""The policy that every stage's task shares: name, tags, retries, and no second cache."""

from collections.abc import Callable
from typing import Any, Generic, ParamSpec, TypeVar, cast

from prefect import task as prefect_task
from prefect.cache_policies import NO_CACHE
from prefect.futures import PrefectFuture

from pretrain.errors import StoreError, SubprocessError, TransientInputError, WorkerDiedError

P = ParamSpec("P")
R = TypeVar("R")

# These classes alone, without their subclasses: a full disk or a wrong key is a StoreError that stays.
_MAY_PASS = {StoreError, SubprocessError, TransientInputError, WorkerDiedError}


class StageTask(Generic[P, R]):
    """A Prefect task of one stage. The store is the cache, so Prefect's own is off; a retry resumes.

    Called, it gives the stage's result, where Prefect's call would hand on the state that the stage ends in.
    """

    def __init__(self, function: Callable[P, R], stage: str, tags: list[str]) -> None:
        self.task = prefect_task(
            name=stage,
            task_run_name=stage,
            tags=["pretrain", *tags],
            retries=2,
            retry_delay_seconds=[1, 10],
            retry_condition_fn=is_worth_a_retry,
            cache_policy=NO_CACHE,
            persist_result=False,
        )(function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Runs the stage here and now, where Ctrl-C reaches it."""
        state: Any = self.task(*args, **kwargs, return_state=True)
        return cast(R, state.result())

    def submit(self, *args: P.args, **kwargs: P.kwargs) -> PrefectFuture[R]:
        """Runs the stage beside others; `.result()` waits for it."""
        return self.task.submit(*args, **kwargs)


def stage_task(stage: str, *, tags: list[str]) -> Callable[[Callable[P, R]], StageTask[P, R]]:
    """Makes a function the task of `stage`."""
    return lambda function: StageTask(function, stage, tags)


def is_worth_a_retry(task: Any, run: Any, state: Any) -> bool:
    """Whether a failure may pass by itself: a worker or subprocess that died, a store that stumbled."""
    return type(state.result(raise_on_failure=False)) in _MAY_PASS
