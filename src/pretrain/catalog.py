"""What a store holds: artifacts and runs listed, and artifacts found by name."""

from pathlib import Path
from typing import Any

from pretrain.artifact import Artifact, artifact_key, read_manifest, read_manifests
from pretrain.dag import NODES
from pretrain.errors import NotInStoreError
from pretrain.runs import list_run_ids, load_run
from pretrain.store import Store


def all_artifacts(store: Store) -> list[Artifact]:
    """Every finished artifact, in the order of the DAG."""
    keys = [artifact_key(node.name, name) for node in NODES for name in store.list_folders(node.name)]
    return [Artifact(store, manifest) for manifest in read_manifests(store, keys)]


def artifacts_in(store: Store) -> list[dict[str, Any]]:
    """One row for every artifact: stage, fingerprint, parts, bytes, rows, created."""
    return [
        {
            "stage": manifest.stage,
            "fingerprint": manifest.fingerprint,
            "parts": len(manifest.parts),
            "bytes": sum(part.bytes for part in manifest.parts),
            "rows": sum(part.rows for part in manifest.parts if part.path.startswith("data/")),
            "created": manifest.provenance.get("created"),
        }
        for manifest in (artifact.manifest for artifact in all_artifacts(store))
    ]


def runs_in(store: Store) -> list[dict[str, Any]]:
    """One row for every run, oldest first: run_id, state, seconds, number of stages, started."""
    rows = []
    for run_id in list_run_ids(store):
        try:
            run = load_run(store, run_id)
        except NotInStoreError:  # a record that cannot be read; naming it says why
            continue
        rows.append(
            {
                "run_id": run.run_id,
                "state": run.state,
                "seconds": run.seconds,
                "stages": len(run.stages),
                "started": run.started,
            }
        )
    return rows


def find_artifact(store: Store, name: str) -> Artifact:
    """The artifact named `<stage>/<fingerprint>`, where the beginning of the fingerprint is enough.

    Raises:
        NotInStoreError: none, or more than one, is named so.
    """
    stage, _, prefix = name.strip("/").partition("/")
    matches = [folder for folder in store.list_folders(stage) if folder.startswith(prefix)] if stage else []
    found = [m for m in (read_manifest(store, stage, folder) for folder in matches) if m is not None]
    if len(found) == 1:
        return Artifact(store, found[0])
    if found:
        names = ", ".join(artifact_key(m.stage, m.fingerprint) for m in found[:5])
        raise NotInStoreError(f"{name!r} names {len(found)} artifacts ({names}); write more of the fingerprint")
    raise NotInStoreError(f"{store.url} has no finished artifact {name!r}; `pretrain ls` lists what it has")


def find_folder(store: Store, name: str) -> str:
    """The folder `<stage>/<fingerprint>` that a name means, whether or not what it holds can be read.

    Raises:
        NotInStoreError: none, or more than one, is named so.
    """
    stage, _, prefix = name.strip("/").partition("/")
    matches = [folder for folder in store.list_folders(stage) if folder.startswith(prefix)] if stage else []
    if len(matches) == 1 and f"{artifact_key(stage, matches[0])}/manifest.json" in store.list_sizes(
        artifact_key(stage, matches[0])
    ):
        return artifact_key(stage, matches[0])
    return find_artifact(store, name).key


def find_model(store: Store, name: str) -> Path:
    """The local folder of a model: one with a config.json, a run (`latest`, an id), or an artifact.

    Raises:
        NotInStoreError: there is none of that name.
    """
    if (Path(name) / "config.json").is_file():
        return Path(name)
    if "/" in name:
        return find_artifact(store, name).open_folder()
    record = load_run(store, name).stage("train")
    return find_artifact(store, artifact_key("train", record.fingerprint)).open_folder()
