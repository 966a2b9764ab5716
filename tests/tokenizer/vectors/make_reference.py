"""Writes reference.json beside this script: ids by SentencePiece and tiktoken themselves, and the small models used.

Run in an environment of its own, with a folder that has the tokenizers named in SHARED:

    pip install sentencepiece==0.2.3 tiktoken==0.14.0
    python make_reference.py FOLDER
"""

import base64
import io
import json
import sys
from importlib.metadata import version
from pathlib import Path

import sentencepiece
import tiktoken
from tiktoken.load import data_gym_to_mergeable_bpe_ranks, load_tiktoken_bpe
from tiktoken_ext import openai_public

TEXTS = [
    "The quick brown fox jumps over the lazy dog. It's what we'll say, THEY'VE DON'T it's 1234567 or 3.14159!",
    "def f(x_1, *args):\n    \"\"\"Doc.\"\"\"\n\tif x_1 != 2:\r\n\t\treturn {'a': [x_1 ** 2, -1]}  # note\n\n\n",
    "Здравствуй, мир! Γειά σου Κόσμε. שלום עולם. مرحبا بالعالم. नमस्ते दुनिया. สวัสดีชาวโลก. Xin chào thế giới.",
    "日本語のテキスト、です。 中文没有空格的文本。 한국어 텍스트입니다. ｶﾀｶﾅ Ｆｕｌｌ １２３ ½ Ⅷ ﬁne ǅ İ ß ſ",
    "e\u0301 \u00e9 \u0301alone a\u0323\u0302 \u1112\u1161\u11ab \u304b\u3099 \u05e9\u05bc\u05b8 \u0651\u064e",
    "👩\u200d👩\u200d👧 🇩🇪 👍🏽 ☺\ufe0f \ufeffbom \u00a0nb\u00a0sp \u2028 \u200b \u200f \ue000 "
    "\U000f0000 \U0010ffff \ufffd",
    "\x00 a\x00b \x01\x07\x1b[31m \x7f \x85 \x9f \u2581 a\u2581b \u2581\u2581",
    "  leading", "trailing  ", " ", "  ", "\n", "\r\n", "\t\t x", "", "a", "   \n  \n\n a   b    c     d",
    "a" * 37, " " * 41, "\n" * 19, "ab" * 23, "aba" * 17, "= " * 20 + "=" * 50, "-" * 33 + " " + "_" * 30,
    "</s> <s> <unk> <pad> <0x41> <0xFF> <|endoftext|> <|end|> [MASK] <sym> x<sym>y <symbol>",
]  # fmt: skip
SHARED = {
    "t5": "t5_sentencepiece.model",
    "tiny": "tiny_sentencepiece.model",
    "ranks": "tiktoken_small.model",
    "gpt2": "gpt2",
}
MODELS = {
    "bpe_bytes": {"model_type": "bpe", "byte_fallback": True, "remove_extra_whitespaces": False, "vocab_size": 420},
    "bpe_symbols": {
        "model_type": "bpe",
        "byte_fallback": True,
        "remove_extra_whitespaces": False,
        "add_dummy_prefix": False,
        "user_defined_symbols": ["<sym>", "\u2581\u2581", "\u2581\u2581\u2581\u2581"],
        "vocab_size": 420,
    },
    "unigram": {"model_type": "unigram", "vocab_size": 200},
    "unigram_bytes": {
        "model_type": "unigram",
        "byte_fallback": True,
        "remove_extra_whitespaces": False,
        "vocab_size": 440,
    },
}


def train(**options: object) -> bytes:
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter((TEXTS[0] + " " + TEXTS[1].replace("\n", " ") + " " + TEXTS[2][:30]).split(". ") * 20),
        model_writer=model,
        normalization_rule_name="identity",
        hard_vocab_limit=False,
        allow_whitespace_only_pieces=True,
        num_threads=1,
        minloglevel=2,
        **options,
    )
    return model.getvalue()


def small_ranks() -> dict[bytes, int]:
    """The 256 bytes, and tokens that overlap, repeat, or are made by no merge."""
    tokens = [bytes([byte]) for byte in range(256)]
    tokens += [b" t", b"he", b"in", b"ab", b"ba", b"aba", b"aa", b"aaaa", b"aaa", b"  ", b"    ", b"   ", b" " * 8]
    tokens += [
        b"\n\n",
        b"--",
        b"----",
        b"---",
        b"==",
        b" =",
        b"the",
        b" the",
        b"qu",
        b"12",
        b"34",
        b"123",
        "é".encode(),
    ]
    tokens += ["日本".encode(), "日本語".encode(), b"\xe6\x97", b"quick", b"'s", b"abab", b"bab", b"xyzzy"]
    return {token: rank for rank, token in enumerate(tokens)}


def spm(model: bytes) -> list[list[int]]:
    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    return [processor.encode(text) for text in TEXTS]


def ranked(ranks: dict[bytes, int], pattern: str) -> list[list[int]]:
    encoding = tiktoken.Encoding("small", pat_str=pattern, mergeable_ranks=ranks, special_tokens={})
    return [encoding.encode_ordinary(text) for text in TEXTS]


def patterns() -> dict[str, str]:
    """The patterns as tiktoken has them; its functions fetch the ranks, which are not wanted."""
    openai_public.load_tiktoken_bpe = lambda *args, **options: {}
    cl100k, o200k = openai_public.cl100k_base()["pat_str"], openai_public.o200k_base()["pat_str"]
    return {"gpt2": openai_public.r50k_pat_str, "cl100k_base": cl100k, "o200k_base": o200k}


def main(folder: Path) -> None:
    models = {name: train(**options) for name, options in MODELS.items()}
    shared_ranks = load_tiktoken_bpe(str(folder / SHARED["ranks"]))
    gpt2 = data_gym_to_mergeable_bpe_ranks(str(folder / "gpt2/vocab.bpe"), str(folder / "gpt2/encoder.json"))
    ranks = small_ranks()
    found = {
        "versions": {name: version(name) for name in ("sentencepiece", "tiktoken")},
        "texts": TEXTS,
        "models": {name: base64.b64encode(model).decode() for name, model in models.items()},
        "ranks": "".join(f"{base64.b64encode(token).decode()} {rank}\n" for token, rank in ranks.items()),
        "ids": {
            **{name: spm(model) for name, model in models.items()},
            **{name: spm((folder / SHARED[name]).read_bytes()) for name in ("t5", "tiny")},
            **{f"ranks:{name}": ranked(ranks, pattern) for name, pattern in patterns().items()},
            **{f"shared_ranks:{name}": ranked(shared_ranks, pattern) for name, pattern in patterns().items()},
            "gpt2": ranked(gpt2, openai_public.r50k_pat_str),
        },
    }
    path = Path(__file__).with_name("reference.json")
    path.write_text(json.dumps(found, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
