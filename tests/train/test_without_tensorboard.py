import importlib.util

import pytest

from pretrain.errors import UsageError
from tests.train.killing import train_here
from tests.train.tiny_training import context_in


@pytest.mark.skipif(importlib.util.find_spec("tensorboard") is not None, reason="tensorboard is installed")
def test_a_package_that_is_missing_is_named_before_the_first_step(tmp_path, capsys):
    with pytest.raises(UsageError, match=r"PRETRAIN_TENSORBOARD_DIR is .*`pip install tensorboard`"):
        train_here(context_in(tmp_path), tensorboard_root=tmp_path / "events")
    assert capsys.readouterr().out == ""
