import pytest

from pretrain.documents import Document
from pretrain.errors import StageError
from pretrain.eval.bits_per_byte import bits_per_byte
from pretrain.eval.config import EvalConfig


def config(**values):
    return EvalConfig.model_validate({"bits_per_byte": values})


def test_documents_are_scored_from_their_beginning_up_to_a_number_of_characters():
    rows = bits_per_byte([Document("a" * 32, " Ünïcode", "test")], config(document_chars=3), seed=0).rows
    assert rows == [{"id": "a" * 32, "text": " Ün"}]


def test_documents_without_text_are_left_out():
    texts = ["one", "", " \n", "two"]
    documents = [Document(f"{i:032x}", text, "test") for i, text in enumerate(texts)]
    assert sorted(row["text"] for row in bits_per_byte(documents, config(), seed=0).rows) == ["one", "two"]


def test_the_choice_is_by_hash_of_the_id_whatever_the_order():
    documents = [Document(f"{i:032x}", f"text {i}", "test") for i in range(20)]
    forward = bits_per_byte(documents, config(num_documents=5), seed=0)
    assert len(forward.rows) == 5
    assert forward.rows == bits_per_byte(reversed(documents), config(num_documents=5), seed=0).rows
    assert forward.rows != bits_per_byte(documents, config(num_documents=5), seed=1).rows


def test_a_split_without_text_is_an_error_that_says_what_to_do():
    with pytest.raises(StageError, match=r"raise shard\.validation_fraction"):
        bits_per_byte([], config(), seed=0)
