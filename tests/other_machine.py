"""A second machine that builds the artifact that this one builds, with other bytes: training on other hardware."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

from pretrain.artifact import Manifest, artifact_key
from pretrain.pipeline import Outcome, Pipeline
from pretrain.spec import RunSpec
from pretrain.store import Store


class OtherMachine:
    """It begins when this one does and commits just before it, once, parts of the same sizes.

    Args:
        store: the store.
        puts_last: for the path of a part, whether its own is the one put later, and so the one that is there.
    """

    def __init__(self, store: Store, puts_last: Callable[[str], bool]) -> None:
        self.manifest: Manifest | None = None
        self._store = store
        self._puts_last = puts_last

    def commit(self, mine: Manifest) -> None:
        """Puts its parts, its receipts and its manifest."""
        if self.manifest is not None:
            return
        key, parts = artifact_key(mine.stage, mine.fingerprint), []
        for part in mine.parts:
            data = self._store.read_bytes(f"{key}/{part.path}")[:-1] + b"?"
            parts.append(part.model_copy(update={"sha256": hashlib.sha256(data).hexdigest()}))
            if self._puts_last(part.path):
                self._store.write_bytes(f"{key}/{part.path}", data)
        self._put_receipts(key, {part.path: part.sha256 for part in parts})
        self.manifest = mine.model_copy(update={"parts": parts})
        self._store.write_bytes(f"{key}/manifest.json", self.manifest.to_bytes())

    def _put_receipts(self, key: str, sha256s: dict[str, str]) -> None:
        for name in self._store.list_sizes(f"{key}/receipts"):
            receipt = json.loads(self._store.read_bytes(name))
            for file in receipt["files"]:
                file["sha256"] = sha256s.get(file["path"], file["sha256"])
            self._store.write_bytes(name, json.dumps(receipt).encode())


class OvertakenPipeline(Pipeline):
    """One whose artifact another machine commits in the moment before it does."""

    def __init__(self, spec: RunSpec, puts_last: Callable[[str], bool]) -> None:
        ordinary = spec.pipeline()
        super().__init__(ordinary.recipe, Path(spec.recipe).absolute().parent, ordinary.store)
        self.other = OtherMachine(ordinary.store, puts_last)

    def _put_manifest(self, manifest: Manifest, key: str, seconds: float) -> Outcome:
        self.other.commit(manifest)
        return super()._put_manifest(manifest, key, seconds)


def sha256s_in(store: Store, key: str) -> dict[str, str]:
    """The sha256 of the bytes that are there of every part that the manifest in the store names."""
    manifest = json.loads(store.read_bytes(f"{key}/manifest.json"))
    names = [part["path"] for part in manifest["parts"]]
    return {name: hashlib.sha256(store.read_bytes(f"{key}/{name}")).hexdigest() for name in names}


def sha256s_of(manifest: Manifest) -> dict[str, str]:
    """What a manifest says of them."""
    return {part.path: part.sha256 for part in manifest.parts}
