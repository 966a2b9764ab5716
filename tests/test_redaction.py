"""Secrets in URLs are found, and never shown."""

import pytest

from pretrain.errors import UsageError
from pretrain.redaction import holds_secret, without_secrets
from pretrain.store import open_store

WITH_SECRETS = [
    "https://user:PASS@host/a",
    "https://user:PA/SS@host/a",
    "https://TOKEN@host/a",
    "s3://KEY:PASS@bucket/prefix",
    "https://host/a?X-Amz-Signature=PASS",
    "https://host/a?sv=1&sig=PASS",
    "https://host/a?access_token=PASS",
]


@pytest.mark.parametrize("uri", WITH_SECRETS)
def test_a_secret_is_found_and_left_out(uri: str) -> None:
    assert holds_secret(uri)
    assert not {"PASS", "TOKEN", "KEY"} & set(without_secrets(uri).replace("/", " ").replace(":", " ").split())
    with pytest.raises(UsageError) as raised:
        open_store(uri)
    assert "PASS" not in str(raised.value)


@pytest.mark.parametrize(
    "uri", ["data/*.jsonl", "s3://bucket/a", "https://host/a?page=2", "a@b.jsonl", "python://docs"]
)
def test_a_plain_uri_holds_none(uri: str) -> None:
    assert not holds_secret(uri)
