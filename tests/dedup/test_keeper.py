import pyarrow as pa
import pytest

from pretrain.dedup.config import KeepConfig
from pretrain.dedup.keeper import id_bits, id_column, id_texts, is_old, is_removable, keeper_keys, keeper_order
from pretrain.errors import StageError

# in order of arrival: id, source, bytes of text, quality
DOCUMENTS = pa.table(
    {
        "id": [letter * 32 for letter in "dcbae"],
        "source": ["web", "wiki", "web", "books", "wiki"],
        "text_bytes": [10, 10, 30, 30, 20],
        "quality": pa.array([0.5, -1.0, None, 0.5, 2.5e9]),
    }
)


def order(keep, start=0):
    rows = keeper_order(keeper_keys(DOCUMENTS, keep, start))
    return "".join(DOCUMENTS["id"][row].as_py()[0] for row in rows)


@pytest.mark.parametrize(
    ("keep", "expected"),
    [
        (KeepConfig(), "abecd"),
        (KeepConfig(order="first"), "dcbae"),
        (KeepConfig(order="lowest_id"), "abcde"),
        (KeepConfig(prefer_sources=("wiki",)), "ecabd"),
        (KeepConfig(prefer_sources=("wiki",), order="first"), "cedba"),
        (KeepConfig(prefer_sources=("books", "wiki", "web")), "aecbd"),
        (KeepConfig(prefer_sources=("books", "wiki", "web"), order="first"), "acedb"),
        (KeepConfig(prefer_sources=("absent",)), "abecd"),
        (KeepConfig(quality_key="score"), "eadcb"),
        (KeepConfig(quality_key="score", prefer_sources=("web",)), "dbeac"),
        (KeepConfig(copies="all_but", removable_sources=("books", "web")), "ecabd"),
    ],
)
def test_who_comes_first(keep, expected):
    assert order(keep) == order(keep, start=7) == expected


def test_old_documents_come_before_all_and_stay():
    old = keeper_keys(DOCUMENTS, KeepConfig(), 0, is_old=True)
    new = keeper_keys(DOCUMENTS, KeepConfig(prefer_sources=("web",)), 5)
    assert old[:, 0].max() < new[:, 0].min()
    assert is_old(old).all() and not is_old(new).any()
    assert is_removable(new).all() and not is_removable(old).any()


def test_with_all_but_only_the_named_sources_lose_documents():
    keys = keeper_keys(DOCUMENTS, KeepConfig(copies="all_but", removable_sources=("web",)), 0)
    assert is_removable(keys).tolist() == [True, False, True, False, False]


def test_an_id_is_128_bits_in_hexadecimal():
    ids = ["00" * 15 + "ff", "0123456789abcdef" * 2]
    assert id_bits(ids).tolist() == [[0, 255], [0x0123456789ABCDEF] * 2]
    assert id_texts(id_bits(ids)) == id_column(id_bits(ids)).to_pylist() == ids
    assert id_bits([]).shape == (0, 2)


@pytest.mark.parametrize("wrong", ["web-1", "ab", "g" * 32, "ab" * 17])
def test_another_id_is_refused(wrong):
    with pytest.raises(StageError, match=f"the id '{wrong}' is not 32 lower-case hex digits"):
        id_bits(["0" * 32, wrong])
