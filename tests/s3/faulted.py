"""Runs of small recipes through a proxy that spoils requests, each in a prefix of the bucket and a cache of its own.

An attempt is made in a process that may be any; what it left in the bucket is for the caller to read.
"""

import contextlib
import json
import random
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from pretrain.dag import node
from pretrain.errors import PretrainError
from pretrain.runner import InlineRunner, LocalRunner, Runner
from pretrain.spec import RunSpec
from tests.command import pretrain
from tests.content import content_of
from tests.s3.fault_proxy import FaultProxy
from tests.s3.server import BUCKET
from tests.tiny import prose, tiny_values

DATA_STAGES = ("download", "filter", "dedup", "language", "shard", "tokenizer", "pack")
FAULT_RATE = 0.05
DELAYS_SECONDS = (0.3,) * 9 + (3.0,)


class Small(NamedTuple):
    """A recipe: documents in all, the files they lie in, the parts that they are cut into."""

    num_documents: int
    num_files: int
    num_shards: int


SMALL = tuple(Small(documents, files, shards) for documents in (70, 100) for files in (2, 3) for shards in (2, 3))


class Variant(NamedTuple):
    """A run: which recipe, which runner, and on how many machines.

    `is_on_new_machines` begins every stage with an empty cache, so that all it reads comes over the network.
    `is_whole` runs the whole DAG by the command.
    """

    seed: int
    recipe: Small
    num_workers: int
    is_on_new_machines: bool
    is_whole: bool


class References:
    """Recipes in a folder, and what the undisturbed run of each into a local store holds. Each is made once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._contents: dict[tuple[Small, bool], dict[str, Any]] = {}

    def recipe(self, small: Small) -> Path:
        """The recipe and its corpus; every file has a document of the first again."""
        folder = self.folder / "-".join(map(str, small))
        path = folder / "small.yaml"
        if not path.exists():
            texts = prose(small.num_documents)
            (folder / "corpus").mkdir(parents=True)
            for index in range(small.num_files):
                rows = [{"id": f"doc-{n}", "text": text} for n, text in enumerate(texts[index :: small.num_files])]
                lines = [json.dumps(row) for row in [*rows, {"id": f"copy-{index}", "text": texts[0]}]]
                (folder / "corpus" / f"{index}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
            changes = {"shard": {"parts": small.num_shards}, "tokenizer": {"train": {"vocab_size": 300}}}
            path.write_text(yaml.safe_dump(tiny_values(**changes)), encoding="utf-8")
        return path

    def content(self, small: Small, *, is_whole: bool = False) -> dict[str, Any]:
        """In the form of `tests.content.content_of`."""
        if (small, is_whole) not in self._contents:
            recipe = self.recipe(small)
            store = recipe.parent / ("whole" if is_whole else "store")
            if is_whole:
                ended = pretrain("run", recipe, "--store", store, "--workers", "2", "--json")
                assert ended.code == 0, ended.errors
            else:
                obtain_in_turn(recipe, str(store), InlineRunner())
            self._contents[small, is_whole] = content_of(store)
        return self._contents[small, is_whole]


class Attempt(NamedTuple):
    """How a run through the proxy ended: what failed it, if anything, and what it met on its way."""

    error: str | None
    num_requests: int
    faults: Counter[str]


def variant_of(seed: int, *, is_whole: bool = False) -> Variant:
    """The run of a seed."""
    generator = random.Random(seed)
    recipe = generator.choice(SMALL[:1] if is_whole else SMALL)
    num_workers = 2 if is_whole or generator.random() < 0.2 else 1  # a pool takes 4 s to start
    return Variant(seed, recipe, num_workers, generator.random() < 0.5, is_whole)


def obtain_in_turn(recipe: Path, store: str, runner: Runner, cache: Path | None = None) -> None:
    """Obtains the data stages one after the other; where a `cache` is given, it is emptied before each."""
    keys: dict[str, str] = {}
    for stage in DATA_STAGES:
        if cache is not None:
            shutil.rmtree(cache, ignore_errors=True)
        pipeline = RunSpec(recipe=str(recipe), store=store).pipeline()
        roles = node(stage).inputs(pipeline.recipe)
        inputs = {role: pipeline.open(keys[name]) for role, name in roles.items()}
        outcome = pipeline.obtain(stage, inputs, runner=runner, progress=lambda done, total, text: None)
        keys[stage] = outcome.artifact.key


def prefix_of(variant: Variant) -> str:
    """The prefix of the bucket that a run has to itself."""
    return f"faults/{variant.seed}"


def attempt(
    variant: Variant,
    recipe: Path,
    folder: Path,
    environment: dict[str, str],
    rate: float = FAULT_RATE,
    delays: Sequence[float] = DELAYS_SECONDS,
) -> Attempt:
    """One run to its end, with a share of its requests spoiled by the seed of the variant.

    Args:
        variant: the run.
        recipe: its recipe.
        folder: where its cache is.
        environment: variables that point at the server.
        rate: share of the requests to spoil.
        delays: of the requests that are delayed.
    """
    store, cache = f"s3://{BUCKET}/{prefix_of(variant)}", folder / f"cache-{variant.seed}"
    with FaultProxy(environment["AWS_ENDPOINT_URL"], seed=variant.seed, rate=rate, delays=delays) as proxy:
        around = {**environment, "AWS_ENDPOINT_URL": proxy.endpoint, "PRETRAIN_CACHE_DIR": str(cache)}
        end = _run_whole if variant.is_whole else _run_data_stages
        try:
            error = end(variant, recipe, store, around)
        finally:
            shutil.rmtree(cache, ignore_errors=True)
        return Attempt(error, proxy.num_requests, proxy.faults)


def _run_data_stages(variant: Variant, recipe: Path, store: str, environment: dict[str, str]) -> str | None:
    cache = Path(environment["PRETRAIN_CACHE_DIR"]) if variant.is_on_new_machines else None
    with pytest.MonkeyPatch.context() as patch, _runner(variant) as runner:
        for name, value in environment.items():
            patch.setenv(name, value)
        try:
            obtain_in_turn(recipe, store, runner, cache)
        except PretrainError as error:
            return f"{error.stage}: {error}"
    return None


def _run_whole(variant: Variant, recipe: Path, store: str, environment: dict[str, str]) -> str | None:
    ended = pretrain("run", recipe, "--store", store, "--workers", str(variant.num_workers), "--json", **environment)
    if ended.code == 0:
        return None
    if "Traceback" in ended.errors or not ended.out["error"]["message"]:
        raise RuntimeError(f"the command did not end with a message of its own:\n{ended.errors}")
    return f"{ended.out['error']['stage']}: {ended.out['error']['message']}"


@contextlib.contextmanager
def _runner(variant: Variant) -> Iterator[Runner]:
    if variant.num_workers == 1:
        yield InlineRunner()
    else:
        with LocalRunner(variant.num_workers) as runner:
            yield runner
