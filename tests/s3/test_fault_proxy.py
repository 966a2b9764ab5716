"""The proxy of the fault tests: it passes on what it does not spoil, and spoils what its seed says."""

import http.client
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import botocore.exceptions
import botocore.session
import pytest
from botocore.config import Config

from tests.s3.bucket import client_of
from tests.s3.fault_proxy import ALL_FAULTS, FaultProxy
from tests.s3.server import BUCKET, KEY, SECRET, S3Server

DATA = bytes(range(256)) * 100


@pytest.fixture
def proxy(s3_server: S3Server) -> Iterator[FaultProxy]:
    with FaultProxy(s3_server.endpoint, rate=0.0) as proxy:
        yield proxy


@pytest.fixture
def client(proxy: FaultProxy) -> Any:
    return botocore.session.Session().create_client(
        "s3",
        endpoint_url=proxy.endpoint,
        region_name="us-east-1",
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
        config=Config(retries={"total_max_attempts": 1}, response_checksum_validation="when_required"),
    )


def test_without_faults_it_is_not_noticed(client: Any, proxy: FaultProxy, prefix: str) -> None:
    place = {"Bucket": BUCKET, "Key": f"{prefix}/a ü+%"}
    upload = client.create_multipart_upload(**place, Metadata={"x": "y"})["UploadId"]
    big = b"p" * (5 << 20)

    def put_part(number: int) -> dict[str, Any]:
        body = big if number < 3 else DATA
        return {"PartNumber": number, **client.upload_part(**place, UploadId=upload, PartNumber=number, Body=body)}

    with ThreadPoolExecutor(3) as threads:
        parts = [{name: part[name] for name in ("PartNumber", "ETag")} for part in threads.map(put_part, (1, 2, 3))]
    client.complete_multipart_upload(**place, UploadId=upload, MultipartUpload={"Parts": parts})
    assert client.head_object(**place)["ContentLength"] == 2 * len(big) + len(DATA)
    whole = client.get_object(**place)
    assert (whole["Body"].read(), whole["Metadata"]) == (big + big + DATA, {"x": "y"})
    assert client.get_object(**place, Range=f"bytes={2 * len(big) + 1}-{2 * len(big) + 3}")["Body"].read() == b"\1\2\3"
    assert [entry["Key"] for entry in client.list_objects_v2(Bucket=BUCKET, Prefix=prefix)["Contents"]] == [
        place["Key"]
    ]
    client.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": place["Key"]}]})
    with pytest.raises(client.exceptions.NoSuchKey):
        client.get_object(**place)
    assert (proxy.num_requests, proxy.faults.total()) == (11, 0)


def test_a_chunked_body_on_a_connection_that_is_kept(proxy: FaultProxy) -> None:
    connection = http.client.HTTPConnection(proxy.endpoint.removeprefix("http://"))
    for _ in range(2):
        connection.request("PUT", "/info", iter([b"ab", b"c"]), encode_chunked=True)
        answer = connection.getresponse()
        assert (answer.status, len(answer.read())) == (405, int(answer.getheader("Content-Length", "0")))
    assert proxy.num_requests == 2


@pytest.mark.parametrize(
    ("kind", "said", "is_there"),
    [
        ("500", "InternalError", False),
        ("503", "SlowDown", False),
        ("reset before", "Connection was closed|Connection reset", False),
        ("reset after", "Connection was closed|Connection reset", True),
        ("wrong upload", "XAmzContentSHA256Mismatch|BadDigest", False),
    ],
)
def test_a_write_that_fails(
    s3_server: S3Server, client: Any, proxy: FaultProxy, prefix: str, kind: Any, said: str, is_there: bool
) -> None:
    proxy.rate, proxy.kinds = 1.0, (kind,)
    with pytest.raises((botocore.exceptions.ClientError, botocore.exceptions.HTTPClientError), match=said):
        client.put_object(Bucket=BUCKET, Key=f"{prefix}/a", Body=DATA)
    assert proxy.faults == {kind: 1}
    found = client_of(s3_server).list_objects_v2(Bucket=BUCKET, Prefix=f"{prefix}/").get("Contents", [])
    assert bool(found) is is_there


def test_a_read_that_is_spoiled(client: Any, proxy: FaultProxy, prefix: str) -> None:
    place = {"Bucket": BUCKET, "Key": f"{prefix}/a"}
    client.put_object(**place, Body=DATA)
    proxy.rate = 1.0
    proxy.kinds = ("truncated",)
    with pytest.raises(botocore.exceptions.ResponseStreamingError, match="IncompleteRead"):
        client.get_object(**place)["Body"].read()
    proxy.kinds = ("wrong bytes",)
    read = client.get_object(**place)["Body"].read()
    assert (len(read), sum(a != b for a, b in zip(read, DATA, strict=True))) == (len(DATA), 1)
    proxy.kinds, proxy.delays = ("delay",), (0.2,)
    assert client.get_object(**place)["Body"].read() == DATA
    assert proxy.faults == {"truncated": 1, "wrong bytes": 1, "delay": 1}


def test_a_server_that_falls_silent(s3_server: S3Server, proxy: FaultProxy, prefix: str) -> None:
    place = {"Bucket": BUCKET, "Key": f"{prefix}/a"}
    client = client_of(s3_server, endpoint=proxy.endpoint, read_timeout=0.2, retries={"total_max_attempts": 1})
    proxy.rate, proxy.kinds = 1.0, ("hang",)
    with pytest.raises(botocore.exceptions.ReadTimeoutError):
        client.put_object(**place, Body=DATA)
    assert client_of(s3_server).get_object(**place)["Body"].read() == DATA  # done, and not said
    proxy.kinds = ("stall",)
    answer = client.get_object(**place)
    assert answer["ContentLength"] == len(DATA)
    with pytest.raises(botocore.exceptions.ReadTimeoutError):
        answer["Body"].read()
    assert client.head_object(**place)["ContentLength"] == len(DATA)  # nothing of it can stall
    assert proxy.faults == {"hang": 1, "stall": 1}


def test_what_is_spoiled_follows_from_the_seed_and_the_number() -> None:
    def decisions(seed: int) -> list[tuple[int, str | None]]:
        proxy = FaultProxy("http://127.0.0.1:1", seed=seed, rate=0.05)
        return [
            (decision.number, decision.fault) for decision in (proxy.decide("GET", "/", False) for _ in range(4000))
        ]

    assert decisions(1) == decisions(1) != decisions(2)
    found = [fault for _, fault in decisions(1) if fault is not None]
    assert 150 < len(found) < 250
    assert {*found} == {*ALL_FAULTS} - {"wrong upload"}


@pytest.mark.parametrize(("conditional", "num_winners"), [("atomic", 1), ("ignored", 8)])
def test_conditional_creates(client: Any, proxy: FaultProxy, prefix: str, conditional: Any, num_winners: int) -> None:
    proxy.conditional = conditional
    together = threading.Barrier(8)

    def create(number: int) -> bool:
        together.wait()
        try:
            client.put_object(Bucket=BUCKET, Key=f"{prefix}/a", Body=b"%d" % number, IfNoneMatch="*")
        except botocore.exceptions.ClientError as error:
            assert error.response["Error"]["Code"] == "PreconditionFailed"
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        won = list(threads.map(create, range(8)))
    assert sum(won) == num_winners
    left = int(client.get_object(Bucket=BUCKET, Key=f"{prefix}/a")["Body"].read())
    assert won[left]


def test_a_server_that_is_away(client: Any, proxy: FaultProxy) -> None:
    proxy.upstream = "127.0.0.1:1"
    with pytest.raises(botocore.exceptions.HTTPClientError):
        client.list_buckets()
    assert proxy.faults.total() == 0
