import pytest

from pretrain.store import LocalStore
from tests.train.tiny_training import Trained, make_context, make_init, make_pack, train


@pytest.fixture(scope="session")
def trained(tmp_path_factory) -> Trained:
    """The tiny training, never disturbed."""
    store = LocalStore(tmp_path_factory.mktemp("undisturbed"))
    return train(make_context(store, make_pack(store), make_init(store)))
