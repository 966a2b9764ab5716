import pytest

from pretrain.errors import StageError, StoreFullError
from pretrain.train.training import full_disk_named


def test_a_failed_write_on_a_full_disk_says_what_is_needed(tmp_path):
    with (
        pytest.raises(StoreFullError, match=r"takes 1000000000\.0 MB and .* MB are free \(file write failed\)"),
        full_disk_named(tmp_path, needed_bytes=10**15),
    ):
        raise RuntimeError("file write failed")


@pytest.mark.parametrize(("needed_bytes", "error"), [(0, RuntimeError("a bug")), (10**15, StageError("nan"))])
def test_other_errors_pass_as_they_are(tmp_path, needed_bytes, error):
    with pytest.raises(type(error), match=str(error)), full_disk_named(tmp_path, needed_bytes):
        raise error
