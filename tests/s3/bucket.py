"""The bucket as the server shows it to any client, read without `pretrain`."""

import hashlib
import json
from typing import Any

import botocore.session
from botocore.config import Config

from tests.s3.server import BUCKET, KEY, SECRET, S3Server


def client_of(server: S3Server, endpoint: str | None = None, **options: Any) -> Any:
    """A plain client of botocore, by another address where one is given; options are those of its `Config`."""
    return botocore.session.Session().create_client(
        "s3",
        endpoint_url=endpoint or server.endpoint,
        config=Config(**options),
        region_name="us-east-1",
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
    )


def objects_of(server: S3Server, prefix: str) -> dict[str, bytes]:
    """Every object under a prefix by its key below it."""
    client = client_of(server)
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=f"{prefix}/")
    keys = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
    return {key.removeprefix(f"{prefix}/"): client.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in keys}


def content_of_bucket(server: S3Server, prefix: str) -> dict[str, Any]:
    """What takes part in equality, in the form of `tests.content.content_of`."""
    objects = objects_of(server, prefix)
    found: dict[str, Any] = {}
    for key in sorted(key for key in objects if key.endswith("/manifest.json")):
        manifest = json.loads(objects[key])
        del manifest["provenance"]
        name = key.removesuffix("/manifest.json")
        parts = {
            part["path"]: hashlib.sha256(objects[f"{name}/{part['path']}"]).hexdigest() for part in manifest["parts"]
        }
        found[name] = {"manifest": manifest, "parts": parts}
    return found
