import json

from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from pretrain.dag import views
from pretrain.sequences.encoder import Encoder, byte_alphabet
from pretrain.tokenizer.view import printable_token
from tests.tokenizer.test_stage import build_tokenizer

HOSTILE = "\x1b]0;pwned\x07\u202e\n[red]"


def spelled(text):
    [(token, _)] = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False).pre_tokenize_str(text)
    return token


def test_a_tokenizer_is_shown_with_its_longest_tokens(tmp_path):
    artifact, stats = build_tokenizer(tmp_path, {"train": {"vocab_size": 280}})
    (ratios, by_source), (title, longest) = list(views(artifact))
    assert (ratios, len(by_source)) == ("bytes per token on the validation split", 2)
    assert title == f"longest of 280 tokens, {stats['unused_tokens']} of them unused in validation"
    assert len(longest) == 20
    assert longest[:3] == [
        "    7 bytes  id 274      ' thinks'",
        "    7 bytes  id 277      ' theory'",
        "    6 bytes  id 266      ' thing'",
    ]


def test_documents_that_do_not_round_trip_are_named(tmp_path):
    tokenizer = Tokenizer(models.BPE(vocab={token: index for index, token in enumerate(byte_alphabet())}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.save(str(tmp_path / "outside.json"))
    texts = [f"text {index}" for index in range(5)]
    artifact, stats = build_tokenizer(tmp_path, {"import": "outside.json"}, validation=texts)
    assert stats["round_trip_failures"] == 5
    assert len(stats["round_trip_failure_ids"]) == 3
    title, lines = list(views(artifact))[-1]
    assert title == "5 of 5 documents decode to another text, such as"
    assert lines == stats["round_trip_failure_ids"]


def test_a_hostile_token_is_text(tmp_path):
    token = spelled(HOSTILE)
    vocab = {name: index for index, name in enumerate([*byte_alphabet(), token, spelled("日")[:2]])}
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=[]))
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({}))
    encoder = Encoder(tmp_path)
    assert printable_token(encoder, 256) == r"'\x1b]0;pwned\x07\u202e\n[red]'"
    assert printable_token(encoder, 257).isascii()


def test_a_space_at_the_start_of_a_piece_is_seen(tmp_path):
    tokenizer = Tokenizer(models.BPE(vocab={"\u2581a": 0, "\u2581\u2581": 1}, merges=[]))
    tokenizer.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    encoder = Encoder(tmp_path)
    assert [printable_token(encoder, index) for index in (0, 1)] == ["' a'", "'  '"]
