from pretrain.artifact import Artifact, InputRecord
from pretrain.dag import views
from pretrain.pack.config import PackConfig
from tests.pack.test_stage import pack
from tests.sequences.stage_inputs import make_documents


def seen(artifact, tokenizer):
    made_from = [InputRecord(stage="tokenizer", fingerprint=tokenizer.fingerprint)]
    manifest = artifact.manifest.model_copy(update={"inputs": made_from})
    return list(views(Artifact(artifact.store, manifest)))


def test_a_sequence_is_shown_with_the_borders_of_its_documents(tmp_path):
    documents = make_documents(["0123456789", "ab", "the end"], "s")
    artifact, _, tokenizer = pack(tmp_path, [documents], [], PackConfig(sequence_length=8))
    ids = [document.id for document in documents]
    assert seen(artifact, tokenizer) == [
        (
            "train sequence 1 of 2, 8 tokens, by document",
            [
                f"     4 tokens  {ids[0]}  789<|eos|>",
                f"     4 tokens  {ids[1]}  <|bos|>ab<|eos|>",
            ],
        )
    ]


def test_of_listed_pieces_the_padding_is_told(tmp_path):
    documents = make_documents(["0123456789", "ab"], "s")
    config = PackConfig(sequence_length=18, strategy="best_fit")
    artifact, _, tokenizer = pack(tmp_path, [documents], [], config)
    assert seen(artifact, tokenizer)[0][1] == [
        f"    12 tokens  {documents[0].id}  <|bos|>0123456789<|eos|>",
        f"     4 tokens  {documents[1].id}  <|bos|>ab<|eos|>",
        "     2 positions of padding",
    ]


def test_without_its_tokenizer_nothing_is_shown(tmp_path):
    artifact, _, tokenizer = pack(tmp_path, [["0123456789"]], [], PackConfig(sequence_length=8))
    tokenizer.store.delete(f"{tokenizer.key}/manifest.json")
    assert seen(artifact, tokenizer) == []


def test_of_a_long_piece_both_ends_are_shown(tmp_path):
    documents = make_documents(["a" * 300], "s")
    artifact, _, tokenizer = pack(tmp_path, [documents], [], PackConfig(sequence_length=200))
    assert seen(artifact, tokenizer)[0][1] == [
        f"   200 tokens  {documents[0].id}  <|bos|>{'a' * 43} … {'a' * 50}",
    ]
