"""Which old tokens a new one is made from, also across tokenizers of another family."""

import json

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from pretrain.init.vocabulary import match_vocabularies
from tests.init.tiny_models import byte_tokenizer


def metaspace_tokenizer(*words: str) -> PreTrainedTokenizerFast:
    """Words with U+2581 for a space, as SentencePiece has them; single letters beside."""
    letters = [*"abcdefghijklmnopqrstuvwxyz", "\u2581"]
    scores = [
        ("<unk>", 0.0),
        ("<bos>", 0.0),
        *((word, -1.0) for word in words),
        *((letter, -9.0) for letter in letters),
    ]
    tokenizer = Tokenizer(models.Unigram(scores, unk_id=0))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never")
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="never")
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<bos>")


@pytest.fixture
def folders(tmp_path):
    return tmp_path / "old", tmp_path / "new"


def matched(folders, old, new, **options):
    old.save_pretrained(folders[0])
    new.save_pretrained(folders[1])
    rows = max(old.get_vocab().values()) + 1
    return match_vocabularies(*folders, **{"num_old_rows": rows, "with_pieces": True, **options})


def test_a_space_is_a_space_however_it_is_written(folders):
    old, new = metaspace_tokenizer("\u2581the", "the"), byte_tokenizer(num_extra_tokens=0)
    vocabulary = new.get_vocab()
    old_ids = old.get_vocab()
    result = matched(folders, old, new)
    assert result.origins[vocabulary["Ġ"]] == (old_ids["\u2581"],)
    assert result.origins[vocabulary["a"]] == (old_ids["a"],)
    back = matched(folders, new, metaspace_tokenizer("\u2581the"))
    assert back.origins[2] == tuple(vocabulary[token] for token in ("Ġ", "t", "h", "e"))


def test_tokens_that_begin_documents_are_one_whatever_their_names(folders):
    result = matched(folders, metaspace_tokenizer("a"), byte_tokenizer())
    assert result.origins[0] == (1,)  # `<s>` is `<bos>`
    assert result.origins[1] == ()  # the old tokenizer ends no document


def test_a_part_of_a_character_is_spelled_byte_by_byte(folders):
    old = byte_tokenizer()
    new = byte_tokenizer(num_extra_tokens=1)
    new.save_pretrained(folders[1])
    path = folders[1] / "tokenizer.json"
    definition = json.loads(path.read_text())
    definition["model"]["vocab"]["âĤ"] = definition["model"]["vocab"].pop("extra0")  # two of the three bytes of €
    path.write_text(json.dumps(definition))
    old.save_pretrained(folders[0])
    ids = old.get_vocab()
    result = match_vocabularies(*folders, num_old_rows=259, with_pieces=True)
    assert result.origins[259] == (ids["â"], ids["Ĥ"])


def test_what_the_old_tokenizer_does_not_know_is_not_spelled(folders):
    new = metaspace_tokenizer("ab", "a\u00e9")
    result = matched(folders, metaspace_tokenizer("x"), new)
    ids = new.get_vocab()
    assert len(result.origins[ids["ab"]]) == 2
    assert result.origins[ids["a\u00e9"]] == ()


def test_ids_without_a_row_stand_for_nothing(folders):
    tokenizer = byte_tokenizer(num_extra_tokens=3)
    result = matched(folders, tokenizer, tokenizer, num_old_rows=260, with_pieces=False)
    assert result.origins[259:] == [(259,), (), ()]
    assert result.counts() == {"tokens_kept": 260, "tokens_from_pieces": 0, "tokens_from_mean": 2}


def test_every_token_is_counted_once(folders):
    result = matched(folders, byte_tokenizer(), byte_tokenizer(num_extra_tokens=5))
    assert sum(result.counts().values()) == 264 == len(result.origins)
