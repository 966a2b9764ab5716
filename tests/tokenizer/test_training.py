import hashlib
import itertools
import os
import subprocess
import sys
from collections import Counter

import pytest

from pretrain.documents import document_writer
from pretrain.errors import RecipeError
from pretrain.tokenizer.config import TrainTokenizerConfig
from pretrain.tokenizer.training import sample_texts, train_bpe
from tests.sequences.stage_inputs import make_documents, pep_documents

SPECIAL = ["<|bos|>", "<|eos|>", "<|pad|>"]


def write_part(path, texts):
    with document_writer(path) as writer:
        for document in make_documents(texts):
            writer.append(document)
    return path


def merges_by_hand(words, num_merges):
    """Byte-pair merges by counting every pair anew for each merge (Sennrich et al. 2016, algorithm 1)."""
    vocabulary = Counter(tuple(word) for word in words)
    merges = []
    for _ in range(num_merges):
        pairs = Counter()
        for word, count in vocabulary.items():
            for pair in itertools.pairwise(word):
                pairs[pair] += count
        best = max(pairs, key=pairs.get)
        merges.append(best)
        merged = Counter()
        for word, count in vocabulary.items():
            symbols, index = [], 0
            while index < len(word):
                if word[index : index + 2] == best:
                    symbols.append("".join(best))
                    index += 2
                else:
                    symbols.append(word[index])
                    index += 1
            merged[tuple(symbols)] += count
        vocabulary = merged
    return merges


def test_merges_are_those_of_the_algorithm():
    # Counts without ties: low 5, lower 2, newest 6, widest 3, the example of the paper.
    words = ["low"] * 5 + ["lower"] * 2 + ["newest"] * 6 + ["widest"] * 3
    tokenizer = train_bpe(iter(words), TrainTokenizerConfig(vocab_size=262), SPECIAL)
    expected = merges_by_hand(words, 3)
    assert expected[0] == ("e", "s")
    new = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])[259:]
    assert [token for token, _ in new] == ["".join(pair) for pair in expected]


def test_special_tokens_come_first_then_bytes():
    tokenizer = train_bpe(iter(["text"]), TrainTokenizerConfig(vocab_size=259), SPECIAL)
    assert [tokenizer.token_to_id(token) for token in SPECIAL] == [0, 1, 2]
    assert tokenizer.get_vocab_size() == 259


def test_no_special_token_is_added_by_itself():
    tokenizer = train_bpe(iter(["text"]), TrainTokenizerConfig(vocab_size=300), SPECIAL)
    assert tokenizer.decode(tokenizer.encode("text").ids, skip_special_tokens=False) == "text"


@pytest.mark.parametrize("name", ["eos", "Ġeos", "e"])
def test_a_special_token_that_is_ordinary_text_is_refused(name):
    with pytest.raises(RecipeError, match=f"special token '{name}' is also a piece of ordinary text"):
        train_bpe(iter(["(eos) an eos"] * 9), TrainTokenizerConfig(vocab_size=300), [name])


def test_the_order_of_texts_and_parts_changes_nothing(tmp_path):
    texts = [f"{word} {index % 7} naïve 语言 the theory" for index, word in enumerate("abcdefgh" * 30)]
    parts = [write_part(tmp_path / f"{part}.parquet", texts[part::3]) for part in range(3)]
    config = TrainTokenizerConfig(vocab_size=290)
    trained = {train_bpe(sample_texts(order, 10**9), config, SPECIAL).to_str() for order in (parts, parts[::-1])}
    assert len(trained) == 1


def test_a_sample_is_chosen_by_id_whatever_the_parts(tmp_path):
    texts = [f"{index:05d}" + "x" * 995 for index in range(500)]
    whole = [write_part(tmp_path / "whole.parquet", texts)]
    sample = list(sample_texts(whole, 100_000))
    # 100 documents of 1000 bytes, standard deviation 9.
    assert abs(len(sample) - 100) < 45
    assert list(sample_texts(whole, 100_000)) == sample
    assert set(sample_texts(whole, 50_000)) < set(sample)
    assert list(sample_texts(whole, 10_000_000)) == texts


def test_texts_that_a_mixture_repeats_are_sampled_whatever_the_parts(tmp_path):
    documents = [one for one in make_documents([f"{index:05d}" + "x" * 995 for index in range(100)]) for _ in range(4)]
    samples = []
    for num_parts in (1, 20):
        paths = [tmp_path / f"{num_parts}-{part}.parquet" for part in range(num_parts)]
        for part, path in enumerate(paths):
            with document_writer(path) as writer:
                for document in documents[part::num_parts]:
                    writer.append(document)
        samples.append(sorted(sample_texts(paths, 100_000)))
    assert samples[0] == samples[1]
    assert 60 < len(samples[0]) < 140  # a quarter of 400,000 bytes, a document with all its repeats


def test_the_same_text_gives_the_same_bytes_for_any_number_of_threads(tmp_path):
    documents = pep_documents(60)
    write_part(tmp_path / "part.parquet", [document.text for document in documents])
    code = (
        "import sys; from pathlib import Path\n"
        "from pretrain.tokenizer.config import TrainTokenizerConfig\n"
        "from pretrain.tokenizer.training import sample_texts, train_bpe\n"
        "config = TrainTokenizerConfig(vocab_size=2000)\n"
        "texts = sample_texts([Path(sys.argv[1])], config.sample_bytes)\n"
        "sys.stdout.write(train_bpe(texts, config, ['<|bos|>', '<|eos|>', '<|pad|>']).to_str())\n"
    )
    digests = set()
    for threads in ("1", "2"):
        environment = {**os.environ, "RAYON_NUM_THREADS": threads, "TOKENIZERS_PARALLELISM": "true"}
        command = [sys.executable, "-c", code, str(tmp_path / "part.parquet")]
        result = subprocess.run(command, env=environment, capture_output=True, check=True)
        digests.add(hashlib.sha256(result.stdout).hexdigest())
        assert len(result.stdout) > 40_000
    assert len(digests) == 1
