import os
from dataclasses import dataclass

import pytest

from pretrain.stage import StageContext, Stats
from pretrain.store import LocalStore
from pretrain.train.config import TrainConfig
from pretrain.train.stage import build
from tests.train.tiny_artifacts import make_context, make_init, make_pack


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    # two OpenMP threads on a busy machine spin against each other: a hundredfold slower, and other bits
    os.environ["OMP_NUM_THREADS"] = "1"


@dataclass
class Trained:
    """A finished training: where it is, what it told, and what it reported on the way."""

    store: LocalStore
    context: StageContext[TrainConfig]
    stats: Stats
    progress: list[tuple[int, int, str]]

    def file(self, path: str):
        return self.store.local_file(f"{self.context.artifact_key}/{path}")


def train_tiny(store: LocalStore, **config) -> Trained:
    """Trains the tiny model in `store`, from the checkpoints that it finds there."""
    told: list[tuple[int, int, str]] = []
    context = make_context(store, make_pack(store), make_init(store), **config)
    context = StageContext(**{**context.__dict__, "progress": lambda *news: told.append(news)})
    return Trained(store, context, build(context), told)


@pytest.fixture(scope="session")
def trained(tmp_path_factory) -> Trained:
    """The tiny training, never disturbed."""
    return train_tiny(LocalStore(tmp_path_factory.mktemp("undisturbed")))
