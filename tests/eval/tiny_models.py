"""A tiny tokenizer, documents and random Llama models, as finished artifacts."""

import random
from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from pretrain.artifact import Artifact, Manifest
from pretrain.documents import Document
from pretrain.stage import UnitFiles
from pretrain.store import Store

MAX_LENGTH = 64
_WORDS = (
    "the",
    "a",
    "model",
    "token",
    "data",
    "stream",
    "shard",
    "learns",
    "reads",
    "small",
    "open",
    "river",
    "night",
)


def make_documents(number: int, words: int = 60) -> list[Document]:
    """Documents of random words, ids 0, 1, 2 ... as 32 hex digits."""
    choose = random.Random(0).choices
    return [Document(f"{i:032x}", " ".join(choose(_WORDS, k=words)) + ".", "test") for i in range(number)]


def save_tokenizer(folder: Path, texts: Sequence[str]) -> None:
    """A byte-level BPE of 400 tokens with `<s>` and `</s>`, and a post-processor that adds neither."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="</s>"
    ).save_pretrained(folder)


def save_model(folder: Path, seed: int) -> None:
    """A Llama of 2 layers and width 32; weights wide enough that choices differ by far more than rounding."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=400,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=MAX_LENGTH,
        initializer_range=0.3,
        bos_token_id=0,
        eos_token_id=1,
    )
    LlamaForCausalLM(config).save_pretrained(folder)


def folder_artifact(store: Store, stage: str, folder: Path) -> Artifact:
    """The files of a folder as the artifact `<stage>/upstream`."""
    files = UnitFiles(store, f"{stage}/upstream")
    for path in sorted(folder.iterdir()):
        with files.create(f"data/{path.name}") as output:
            output.path.write_bytes(path.read_bytes())
    manifest = Manifest(
        stage=stage,
        stage_version=1,
        fingerprint="upstream",
        inputs=[],
        config={},
        parts=files.written,
        stats={},
        provenance={},
    )
    artifact = Artifact(store, manifest)
    store.write_bytes(f"{artifact.key}/manifest.json", manifest.to_bytes())  # where workers read it
    return artifact


class PlainScorer:
    """The reference: log-probabilities by plain torch, one sequence at a time, no harness."""

    def __init__(self, folder: Path) -> None:
        self.model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.encode_special_tokens = True

    def ids(self, text: str) -> list[int]:
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def continuation(self, context: str, continuation: str) -> float:
        """Natural log-probability of `continuation` after bos and `context`."""
        given, whole = self.ids(context), self.ids(context + continuation)
        return self._sum([0, *whole], len(given) + 1)

    def is_greedy(self, context: str, continuation: str) -> bool:
        """Whether every token of `continuation` is the likeliest after bos, `context` and the tokens before it."""
        given, ids = len(self.ids(context)), self.ids(context + continuation)
        with torch.no_grad():
            likeliest = self.model(torch.tensor([[0, *ids[:-1]]])).logits[0].argmax(-1).tolist()
        return bool(likeliest[given:] == ids[given:])

    def document(self, text: str) -> float:
        """Natural log-probability of a document after bos.

        Windows of MAX_LENGTH tokens, each after the last token of the one before; the last window reaches
        back to be as long as the others.
        """
        ids = [0, *self.ids(text)]
        total = 0.0
        for start in range(0, len(ids) - 1, MAX_LENGTH):
            end = min(start + MAX_LENGTH, len(ids) - 1)
            begin = max(end - MAX_LENGTH, 0)
            total += self._sum(ids[begin : end + 1], start - begin + 1)
        return total

    def _sum(self, ids: list[int], first: int) -> float:
        with torch.no_grad():
            logits = self.model(torch.tensor([ids[:-1]])).logits[0].double()
        logprobs = torch.log_softmax(logits, dim=-1)
        return sum(float(logprobs[at - 1, ids[at]]) for at in range(first, len(ids)))
