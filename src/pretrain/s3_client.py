"""The client that signs and sends: one for all stores of a process under the same AWS settings.

Credentials, region and endpoint come by the ordinary chain of AWS (environment, profile, instance), and after the
environment by `store.options` of the user's settings.
"""

import functools
import os
from typing import Any

import botocore.exceptions
import botocore.session
from botocore.config import Config

from pretrain.errors import UsageError
from pretrain.s3 import NUM_DOWNLOADS_AT_ONCE, S3Objects
from pretrain.settings import StoreOptions, load_settings

CONNECT_TIMEOUT_SECONDS = 3.0
READ_TIMEOUT_SECONDS = 30.0


def open_objects(url: str) -> S3Objects:
    """The objects under `s3://bucket/prefix`.

    Raises:
        UsageError: the url names no bucket, or botocore cannot be set up as the environment says.
    """
    variables = frozenset((name, value) for name, value in os.environ.items() if name.startswith("AWS_"))
    options = load_settings().store.options
    objects = _open_objects(url, variables, options)
    if objects.is_refused:  # the credentials are looked for anew
        _open_objects.cache_clear()
        objects = _open_objects(url, variables, options)
    return objects


@functools.lru_cache(maxsize=16)
def _open_objects(url: str, variables: frozenset[tuple[str, str]], options: StoreOptions) -> S3Objects:
    return S3Objects(url, _make_client(url, dict(variables), options))


def _make_client(url: str, variables: dict[str, str], options: StoreOptions) -> Any:
    config = Config(
        connect_timeout=CONNECT_TIMEOUT_SECONDS,
        read_timeout=READ_TIMEOUT_SECONDS,
        retries={"total_max_attempts": 1, "mode": "standard"},  # S3Objects is the one place that tries again
        max_pool_connections=2 * NUM_DOWNLOADS_AT_ONCE,
        response_checksum_validation="when_required",  # every body is held against its sha256
        tcp_keepalive=True,
        s3={"addressing_style": options.addressing_style},
    )
    has_credentials = {"AWS_PROFILE", "AWS_ACCESS_KEY_ID"} & set(variables)
    try:
        session = botocore.session.Session(profile=None if has_credentials else options.profile)
        return session.create_client(
            "s3",
            config=config,
            endpoint_url=None if {"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"} & set(variables) else options.endpoint_url,
            region_name=None if {"AWS_REGION", "AWS_DEFAULT_REGION"} & set(variables) else options.region,
            verify=None if "AWS_CA_BUNDLE" in variables else options.ca_bundle,
        )
    except (botocore.exceptions.BotoCoreError, ValueError) as error:  # a profile, region or endpoint that is none
        raise UsageError(
            f"cannot open {url}: {error}; check the AWS_... variables, ~/.aws and the settings of pretrain"
        ) from error
