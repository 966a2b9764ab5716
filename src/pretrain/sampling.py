"""Text from a model, piece by piece as it is generated. Nothing here touches global random state."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pretrain.errors import InputError, UsageError
from pretrain.modeling.folders import load_model, load_tokenizer

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

# Tokens of the prompt that decoding starts from: more than any one character or word boundary needs.
_WINDOW_TOKENS = 16
_UNFINISHED = "\ufffd"  # what a decoder shows for bytes that are no whole character (yet)


def stream_text(
    model_folder: Path,
    prompt: str,
    *,
    max_new_tokens: int,
    temperature: float,
    top_k: int | None,
    seed: int,
) -> Iterator[str]:
    """Yields a prompt's continuation in pieces of whole characters, until eos or `max_new_tokens`.

    The prompt begins with bos, as every training row does; an empty one starts from bos alone. When the
    context is full (a prompt may be longer than it), bos and the last half of it are kept and generation goes
    on. Special tokens are not printed.

    Args:
        model_folder: a Hugging Face folder with model and tokenizer.
        prompt: text to continue; special tokens written in it are read as such.
        max_new_tokens: at least 0.
        temperature: divides the logits; 0 takes the most probable token (greedy).
        top_k: draw among so many most probable tokens; None draws among all.
        seed: of the draws; the same seed gives the same text on the same machine.

    Raises:
        UsageError: an argument is out of range, or there is no prompt and no token to start from.
        InputError: the folder holds no model with safetensors, or no tokenizer.
    """
    _require_valid(max_new_tokens, temperature, top_k)
    if not model_folder.is_dir():
        raise InputError(f"there is no model folder {model_folder}")
    tokenizer = load_tokenizer(model_folder)
    return continue_text(
        load_model(model_folder),
        tokenizer,
        prompt,
        max_new_tokens=max_new_tokens,
        temperature=temperature,
        top_k=top_k,
        seed=seed,
    )


def continue_text(
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerBase",
    prompt: str,
    *,
    max_new_tokens: int,
    temperature: float,
    top_k: int | None,
    seed: int,
) -> Iterator[str]:
    """As `stream_text`, for a model and tokenizer that are loaded; the model is moved to the GPU where there is one.

    Raises:
        UsageError: an argument is out of range, or there is no prompt and no token to start from.
    """
    _require_valid(max_new_tokens, temperature, top_k)
    prompt_ids: list[int] = tokenizer.encode(prompt, add_special_tokens=False)
    start = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]
    if start != prompt_ids[: len(start)]:
        prompt_ids = start + prompt_ids
    if not prompt_ids:
        raise UsageError(f"the tokenizer {tokenizer.name_or_path} has no bos token to start from: give a prompt")
    sampler = _Sampler(seed, temperature, top_k)
    tokens = _Tokens(model, start, prompt_ids, sampler)
    return _pieces(tokens, TextPieces(tokenizer, prompt_ids), max_new_tokens)


class TextPieces:
    """Turns token ids into text as they come, holding bytes back until their character is whole.

    A piece is the difference between two decodings, with and without the new tokens, from the same earlier
    token on, since some decoders treat the first token specially; the window moves on, so the cost does not
    grow.
    """

    def __init__(self, tokenizer: "PreTrainedTokenizerBase", prompt_ids: list[int]) -> None:
        self._tokenizer = tokenizer
        self._window = list(prompt_ids[-_WINDOW_TOKENS:])
        self._num_shown = len(self._window)

    def push(self, token_id: int) -> str:
        """The text that the token completes; empty while a character is unfinished."""
        self._window.append(token_id)
        before, after = self._decode(self._window[: self._num_shown]), self._decode(self._window)
        if after.endswith(_UNFINISHED) or len(after) <= len(before):
            return ""
        self._window = self._window[self._num_shown :]
        self._num_shown = len(self._window)
        return after[len(before) :]

    def _decode(self, ids: list[int]) -> str:
        return str(self._tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))


class _Sampler:
    """Chooses a token by its logits, with a generator of its own."""

    def __init__(self, seed: int, temperature: float, top_k: int | None) -> None:
        import torch

        self._generator = torch.Generator("cpu").manual_seed(seed)
        self._temperature = temperature
        self._top_k = top_k

    def choose(self, logits: "torch.Tensor") -> int:
        """The id of the next token, from the logits of all (vocab_size,)."""
        import torch

        if self._temperature == 0:
            return int(logits.argmax())
        # Drawn on the CPU in float32: a GPU's generator would give other draws. The maximum is taken off
        # first, so that no logit overflows at a temperature near 0.
        logits = logits.float().cpu()
        scaled = (logits - logits.max()) / self._temperature
        values, candidates = scaled.topk(min(self._top_k or scaled.numel(), scaled.numel()))
        drawn = torch.multinomial(values.softmax(-1), 1, generator=self._generator)
        return int(candidates[drawn])


class _Tokens:
    """The next token, again and again, with a key-value cache."""

    def __init__(self, model: Any, start: list[int], prompt_ids: list[int], sampler: _Sampler) -> None:
        import torch

        self._model = model.to("cuda" if torch.cuda.is_available() else "cpu")
        self._start = start
        self._ids = list(prompt_ids)
        self._sampler = sampler
        self._context_length = int(model.config.max_position_embeddings)
        self._cache: Any = None
        self._num_cached = 0
        eos = model.generation_config.eos_token_id
        self.stop_ids = set(eos) if isinstance(eos, list) else {eos}

    def next_id(self) -> int:
        """The next token's id, which then is part of the context."""
        import torch

        if len(self._ids) >= self._context_length:
            self._ids = self._start + self._ids[-max(1, self._context_length // 2) :]
            self._cache, self._num_cached = None, 0
        with torch.no_grad():  # not inference_mode: a model in training goes on afterwards with what it cached here
            new = torch.tensor([self._ids[self._num_cached :]], device=self._model.device)
            output = self._model(new, past_key_values=self._cache, use_cache=True, logits_to_keep=1)
        self._cache, self._num_cached = output.past_key_values, len(self._ids)
        token_id = self._sampler.choose(output.logits[0, -1])
        self._ids.append(token_id)
        return token_id


def _pieces(tokens: _Tokens, text: TextPieces, max_new_tokens: int) -> Iterator[str]:
    for _ in range(max_new_tokens):
        token_id = tokens.next_id()
        if token_id in tokens.stop_ids:
            return
        piece = text.push(token_id)
        if piece:
            yield piece


def _require_valid(max_new_tokens: int, temperature: float, top_k: int | None) -> None:
    if max_new_tokens < 0:
        raise UsageError(f"max_new_tokens is {max_new_tokens}; it must be 0 or more")
    if not 0 <= temperature < float("inf"):
        raise UsageError(f"temperature is {temperature}; it must be 0 (greedy) or a positive number")
    if top_k is not None and top_k < 1:
        raise UsageError(f"top_k is {top_k}; it must be 1 or more, or left out to draw among all tokens")
