import pyarrow as pa
import pytest

from pretrain.dedup.config import KeepConfig
from pretrain.dedup.keeper import keeper_order

# in order of arrival: id, source, bytes of text
DOCUMENTS = pa.table(
    {
        "id": ["d", "c", "b", "a", "e"],
        "source": ["web", "wiki", "web", "books", "wiki"],
        "text_bytes": [10, 10, 30, 30, 20],
    }
)


@pytest.mark.parametrize(
    ("keep", "order"),
    [
        (KeepConfig(), "abecd"),
        (KeepConfig(order="first"), "dcbae"),
        (KeepConfig(prefer_sources=("wiki",)), "ecabd"),
        (KeepConfig(prefer_sources=("wiki",), order="first"), "cedba"),
        (KeepConfig(prefer_sources=("books", "wiki", "web")), "aecbd"),
        (KeepConfig(prefer_sources=("books", "wiki", "web"), order="first"), "acedb"),
        (KeepConfig(prefer_sources=("absent",)), "abecd"),
    ],
)
def test_who_comes_first(keep, order):
    assert "".join(DOCUMENTS["id"][row].as_py() for row in keeper_order(DOCUMENTS, keep)) == order
