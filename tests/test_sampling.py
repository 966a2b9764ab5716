"""Text from a model: as transformers generates it, in whole characters, without global random state."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from pretrain.errors import InputError, UsageError
from pretrain.sampling import TextPieces, stream_text
from tests.init.tiny_models import VOCAB_SIZE, byte_tokenizer, save_checkpoint

TOKENIZER = byte_tokenizer()
BOS, EOS = 0, 1


def sample(folder, prompt="", *, max_new_tokens=40, temperature=0.0, top_k=None, seed=0):
    return list(
        stream_text(folder, prompt, max_new_tokens=max_new_tokens, temperature=temperature, top_k=top_k, seed=seed)
    )


@pytest.fixture(scope="module")
def random_model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("random")
    save_checkpoint(folder, bos_token_id=BOS, eos_token_id=EOS, pad_token_id=2)
    TOKENIZER.save_pretrained(folder)
    return folder


def scripted_model(folder, next_ids, **changed):
    """A model that says `next_ids[token]` after `token`, whatever came before: its layers add nothing."""
    config = LlamaConfig(
        vocab_size=VOCAB_SIZE,
        hidden_size=260,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        **{"max_position_embeddings": 64, "bos_token_id": BOS, "eos_token_id": EOS, **changed},
    )
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        for parameter in model.model.layers.parameters():
            parameter.zero_()
        model.model.embed_tokens.weight.copy_(torch.eye(VOCAB_SIZE, 260))
        model.lm_head.weight.zero_()
        for token, following in next_ids.items():
            model.lm_head.weight[following, token] = 1.0
    model.save_pretrained(folder)
    TOKENIZER.save_pretrained(folder)
    return folder


def chain(text, *, end):
    ids = [BOS, *TOKENIZER.encode(text, add_special_tokens=False), *end]
    return dict(pairwise(ids))


@pytest.mark.parametrize("prompt", ["", "The cat", "héllo 中国", "a" * 20])
def test_greedy_text_is_that_of_transformers(random_model, prompt):
    model = AutoModelForCausalLM.from_pretrained(random_model)
    rows = torch.tensor([[BOS, *TOKENIZER.encode(prompt, add_special_tokens=False)]])
    generated = model.generate(rows, attention_mask=torch.ones_like(rows), do_sample=False, max_new_tokens=24)
    expected = TOKENIZER.decode(generated[0, rows.shape[1] :], skip_special_tokens=True)
    assert "".join(sample(random_model, prompt, max_new_tokens=24)) == expected.rstrip("\ufffd")
    assert len(expected) > 5


def test_characters_come_whole_and_eos_ends_the_text_unprinted(tmp_path):
    folder = scripted_model(tmp_path, chain("naïve 中🙂", end=[EOS]))
    assert sample(folder) == ["n", "a", "ï", "v", "e", " ", "中", "🙂"]
    assert sample(folder, "na") == ["ï", "v", "e", " ", "中", "🙂"]


def test_a_character_cut_by_the_limit_is_not_printed(tmp_path):
    folder = scripted_model(tmp_path, chain("naïve", end=[EOS]))
    assert sample(folder, max_new_tokens=3) == ["n", "a"]
    assert sample(folder, max_new_tokens=4) == ["n", "a", "ï"]
    assert sample(folder, max_new_tokens=0) == []


def test_special_tokens_are_not_printed(tmp_path):
    folder = scripted_model(tmp_path, {**chain("ab", end=[2]), **{2: TOKENIZER.encode("c")[0]}})
    assert sample(folder, max_new_tokens=4) == ["a", "b", "c"]


def test_a_bos_written_in_the_prompt_is_not_doubled(random_model):
    assert sample(random_model, "<s>The cat") == sample(random_model, "The cat")


def test_any_of_several_end_tokens_ends_the_text(tmp_path):
    folder = scripted_model(tmp_path, chain("abcd", end=[EOS]), eos_token_id=[EOS, TOKENIZER.encode("c")[0]])
    assert sample(folder) == ["a", "b"]


def test_generation_goes_on_when_the_context_is_full(tmp_path):
    letters = "abcdefghijklmnopqrstuvwxyz"
    folder = scripted_model(tmp_path, chain(letters + "a", end=[]), max_position_embeddings=16)
    assert "".join(sample(folder, max_new_tokens=100)) == (letters * 4)[:100]
    assert "".join(sample(folder, letters * 3 + "abc", max_new_tokens=5)) == "defgh"


def test_the_same_seed_gives_the_same_text_and_another_another(random_model):
    first = sample(random_model, "The", temperature=1.0, seed=7)
    assert sample(random_model, "The", temperature=1.0, seed=7) == first
    assert sample(random_model, "The", temperature=1.0, seed=8) != first


def test_global_random_state_is_neither_read_nor_changed(random_model):
    torch.manual_seed(1)
    first = sample(random_model, "The", temperature=1.0)
    torch.manual_seed(2)
    state = torch.get_rng_state()
    assert sample(random_model, "The", temperature=1.0) == first
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(("temperature", "top_k"), [(1e-6, None), (1e-40, None), (5.0, 1)])
def test_no_heat_or_no_choice_is_greedy(random_model, temperature, top_k):
    assert sample(random_model, "The", temperature=temperature, top_k=top_k) == sample(random_model, "The")


def test_draws_are_among_the_top_k_and_heat_spreads_them(tmp_path):
    folder = scripted_model(tmp_path, chain("a", end=[]))
    model = AutoModelForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        model.lm_head.weight[TOKENIZER.encode("b")[0], BOS] = 0.99
    model.save_pretrained(folder)
    drawn = ["".join(sample(folder, max_new_tokens=1, temperature=9.0, top_k=2, seed=seed)) for seed in range(12)]
    assert set(drawn) == {"a", "b"}
    cold = ["".join(sample(folder, max_new_tokens=1, temperature=0.02, seed=seed)) for seed in range(12)]
    assert set(cold) == {"a"}


@given(st.text(), st.text())
def test_pieces_add_up_to_the_text(prompt, text):
    pieces = TextPieces(TOKENIZER, TOKENIZER.encode(prompt, add_special_tokens=False))
    shown = [pieces.push(token) for token in TOKENIZER.encode(text, add_special_tokens=False)]
    assert "".join(shown) == text.rstrip("\ufffd")
    assert all("\ufffd" not in piece for piece in shown) or "\ufffd" in text


def test_spaces_between_words_survive_a_decoder_that_strips_the_first():
    words = ["<s>", "\u2581the", "\u2581cat", "\u2581sat"]
    tokenizer = Tokenizer(models.WordLevel({word: index for index, word in enumerate(words)}, unk_token="<s>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>")
    after_prompt = TextPieces(wrapped, [0, 1])
    assert [after_prompt.push(2), after_prompt.push(3)] == [" cat", " sat"]
    from_bos = TextPieces(wrapped, [0])
    assert [from_bos.push(1), from_bos.push(2)] == ["the", " cat"]


def test_bytes_of_a_sentencepiece_vocabulary_come_whole():
    words = ["<s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    tokenizer = Tokenizer(models.BPE({word: index for index, word in enumerate(words)}, [], byte_fallback=True))
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    pieces = TextPieces(PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>"), [0])
    assert [pieces.push(byte + 1) for byte in "中国".encode()] == ["", "", "中", "", "", "国"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"temperature": -0.1}, "temperature is -0.1"),
        ({"temperature": float("nan")}, "temperature is nan"),
        ({"top_k": 0}, "top_k is 0"),
        ({"max_new_tokens": -1}, "max_new_tokens is -1"),
    ],
)
def test_a_wrong_argument_is_refused_before_anything_is_loaded(tmp_path, arguments, message):
    with pytest.raises(UsageError, match=message):
        sample(tmp_path / "nowhere", **arguments)


def test_a_folder_without_model_is_refused(tmp_path):
    with pytest.raises(InputError, match="no model folder"):
        sample(tmp_path / "nowhere")
    TOKENIZER.save_pretrained(tmp_path)
    with pytest.raises(InputError, match=r"no config\.json"):
        sample(tmp_path)
