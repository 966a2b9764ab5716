"""What must hold in a store after a kill at any moment, and what a kill may leave behind."""

import collections
import hashlib
import json
from collections.abc import Iterable
from typing import Any

from tests.chaos.places import artifact_of, is_manifest, receipts_in

_FOLDERS = {"data", "ledger", "scratch", "metrics", "samples", "inputs"}


def assert_sound(files: dict[str, bytes], expected: dict[str, Any]) -> None:
    """After a kill: nothing that can be seen is anything but what an undisturbed run writes, whole.

    Args:
        files: every file of the store by key.
        expected: content of the undisturbed store, as of `tests.content.content_of`.
    """
    for key, data in files.items():
        artifact, path = artifact_of(key), "/".join(key.split("/")[2:])
        if is_manifest(key):
            manifest = json.loads(data)
            del manifest["provenance"]
            assert manifest == expected[artifact]["manifest"], key
            missing = [path for path in expected[artifact]["parts"] if f"{artifact}/{path}" not in files]
            assert missing == [], key
        elif key.startswith("runs/"):
            json.loads(data)
        elif artifact in expected and path in expected[artifact]["parts"]:  # at its place, finished or not
            assert sha256(data) == expected[artifact]["parts"][path], key
    for artifact in {artifact_of(key) for key in files if "/receipts/" in key}:
        is_finished = f"{artifact}/manifest.json" in files
        for file in (file for receipt in receipts_in(files, artifact) for file in receipt["files"]):
            if is_finished and file["path"].startswith("scratch/"):
                continue  # removed after the manifest was written
            data = files[f"{artifact}/{file['path']}"]
            assert (len(data), sha256(data)) == (file["bytes"], file["sha256"]), f"{artifact}/{file['path']}"


def content_in(files: dict[str, bytes]) -> dict[str, Any]:
    """What takes part in equality, in the form of `tests.content.content_of`."""
    found: dict[str, Any] = {}
    for key in sorted(key for key in files if is_manifest(key)):
        manifest, artifact = json.loads(files[key]), artifact_of(key)
        del manifest["provenance"]
        parts = {part["path"]: sha256(files[f"{artifact}/{part['path']}"]) for part in manifest["parts"]}
        found[artifact] = {"manifest": manifest, "parts": parts}
    return found


def states_of(files: dict[str, bytes], stages: list[str], before: Iterable[str]) -> set[str]:
    """In the middle of what a kill has hit, by the files that it left behind.

    Args:
        files: every file of the store by key.
        stages: those that were being built.
        before: keys that were there after the kill before.
    """
    found = set()
    if any(key.startswith(".tmp/") for key in files.keys() - set(before)):
        found.add("a file being written")
    for artifact in {artifact_of(key) for key in files if key.split("/")[0] in stages}:
        own = {key.removeprefix(f"{artifact}/") for key in files if key.startswith(f"{artifact}/")}
        found |= _states_of_artifact(own, receipts_in(files, artifact))
    return found or {"a stage without files yet" if stages else "no stage"}


def _states_of_artifact(own: set[str], receipts: list[dict[str, Any]]) -> set[str]:
    if "manifest.json" in own:
        return {"manifest, scratch to remove" if any(p.startswith("scratch/") for p in own) else "after the manifest"}
    found = {"receipts, no manifest"} if receipts else set()
    named = {file["path"] for receipt in receipts for file in receipt["files"]}
    written = {
        path for path in own if path.split("/")[0] in {"data", "ledger", "scratch", "metrics", "samples", "inputs"}
    }
    if written - named:
        found.add("a part, no receipt")
    steps = collections.defaultdict(set)
    for path in own:
        if path.startswith("checkpoints/"):
            steps[path.split("/")[1]].add(path.split("/")[-1])
    if any(name.startswith("step-") and "complete.json" in files for name, files in steps.items()):
        found.add("checkpoints, not committed")
    if any("complete.json" not in files and len(files) > 1 for files in steps.values()):
        found.add("a checkpoint being written")
    if steps and "receipts/train.json" in own:
        found.add("model committed, checkpoints to remove")
    return found


def leftovers_in(files: dict[str, bytes]) -> collections.Counter[str]:
    """Files of a store that belong to no manifest, receipt or record of a run, by their kind."""
    counted: collections.Counter[str] = collections.Counter()
    parts = {
        f"{artifact_of(key)}/{part['path']}"
        for key in files
        if is_manifest(key)
        for part in json.loads(files[key])["parts"]
    }
    for key in files.keys() - parts:
        kind = key.split("/")[0] if key.count("/") < 2 else key.split("/")[2]
        if kind not in {"manifest.json", "receipts", "runs"}:
            counted[kind] += 1
    return counted


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
