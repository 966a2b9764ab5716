"""Writes datatrove.json beside this script: MinHash values computed by datatrove itself.

Run in an environment of its own:

    pip install "datatrove[processing]==0.10.1" "xxhash<4" spacy nltk
    python make_datatrove.py
"""

import json
import random
import tempfile
from importlib.metadata import version
from pathlib import Path

from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupSignature

WORDS = ["the", "of", "data", "cant", "im", "gonna", "naïve", "café", "½", "10km", "$5", "5€", "e.g.", "u.s.", "v1.2"]
WORDS += ["don't", "it's", "x_y", "a.b"]
TEXTS = [
    "The quick brown fox jumps over the lazy dog.",
    "Four short words here",
    "one two three four five",
    "Don't say it's 3.14, or 1,000,000! I'm gonna go; we cant. He's ya'll wanna o'clock",
    "Ünïcödé ＡＢＣ １２３ ٣٫٥ दो १२ Straße ﬁne İstanbul ǅ",
    "emails a.b@c.org and https://example.org/x?y=1#z :-) <3 (c) 10km 5€ $3.50 20% ½ 9am C++ C# .NET",
    "tabs\tand\nnew\r\nlines \x0b \x85 \u2028 between   words \u00a0 of all \u200b kinds",
    "中文 文本 没有 空格 。日本語のテキスト、です。 한국어 텍스트 입니다",
    "IS_ALPHA is a name that the tokenizer knows",
    "🙂 emoji 👩‍👩‍👧 and symbols ™ © ° ± × ÷ → ∑ in a row with words after them",
]


def texts() -> list[str]:
    rng = random.Random(0)
    return TEXTS + [" ".join(rng.choices(WORDS, k=rng.randrange(5, 60))) for _ in range(10)]


def main() -> None:
    cases = []
    for options in ({}, {"n_grams": 3, "num_buckets": 5, "hashes_per_bucket": 4, "seed": 7}):
        config = MinhashConfig(**options)
        with tempfile.TemporaryDirectory() as folder:
            step = MinhashDedupSignature(folder, config)
            for text in texts():
                shingles = step.get_shingles(text)
                signature = step.get_signature(shingles) if shingles.size else None
                values = "".join(f"{value:016x}" for bucket in signature or [] for value in bucket)
                cases.append({"options": options, "text": text, "values": values})
    found = {"datatrove": version("datatrove"), "spacy": version("spacy"), "cases": cases}
    path = Path(__file__).with_name("datatrove.json")
    path.write_text(json.dumps(found, ensure_ascii=False, indent=0) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
