"""A machine whose clock is hours off signs requests that no server of S3 takes: one message that says so, at once."""

import datetime
import time
from collections.abc import Callable

import botocore.auth
import pytest

from pretrain.errors import StorePermissionError
from pretrain.remote_store import RemoteStore

true_now: Callable[..., datetime.datetime] = botocore.auth.get_current_datetime


@pytest.mark.parametrize("hours", [-5, 5], ids=["behind", "ahead"])
def test_a_clock_that_is_hours_off_is_named_and_set_right_it_goes_on(
    s3_store: RemoteStore, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    s3_store.write_bytes("a/b", b"1")
    began = time.monotonic()
    with monkeypatch.context() as patch:
        patch.setattr(botocore.auth, "get_current_datetime", lambda: true_now() + datetime.timedelta(hours=hours))
        for attempt in (lambda: s3_store.read_bytes("a/b"), lambda: s3_store.write_bytes("a/c", b"2")):
            with pytest.raises(StorePermissionError, match=r"RequestTimeTooSkewed.*this machine's clock is wrong"):
                attempt()
    assert time.monotonic() - began < 5
    assert (s3_store.read_bytes("a/b"), s3_store.list_sizes("a")) == (b"1", {"a/b": 1})
