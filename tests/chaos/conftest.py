"""The S3 server of `tests/s3`, for runs that are killed on it."""

from tests.s3.conftest import prefix, s3_server

__all__ = ["prefix", "s3_server"]
