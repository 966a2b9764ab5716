"""What a run would do and why: compares every stage's identity with what the store holds. Touches nothing."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pretrain.artifact import Artifact, Manifest, artifact_key, find_damage, read_manifest
from pretrain.dag import node, stages_of
from pretrain.pipeline import Pipeline, StageIdentity
from pretrain.store import Store


@dataclass(frozen=True)
class PlannedStage:
    """One stage of a plan. `reasons` say why it has to be built; a cached stage has none."""

    stage: str
    fingerprint: str
    action: Literal["cached", "build"]
    reasons: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The stage as in `pretrain plan --json`."""
        return {
            "stage": self.stage,
            "fingerprint": self.fingerprint,
            "action": self.action,
            "reasons": list(self.reasons),
        }


def make_plan(pipeline: Pipeline, until: str | None = None, refresh: Sequence[str] = ()) -> list[PlannedStage]:
    """The plan of a run, stage by stage in the order of the DAG.

    Args:
        pipeline: the recipe and the store.
        until: the last stage wanted.
        refresh: stages to build although the store has them.

    Raises:
        InputError: outside content that the recipe names is not there.
    """
    plan: list[PlannedStage] = []
    fingerprints: dict[str, str] = {}
    for stage in stages_of(pipeline.recipe, until):
        roles = node(stage).inputs(pipeline.recipe)
        identity = pipeline.identify(stage, {role: fingerprints[name] for role, name in roles.items()})
        fingerprints[stage] = identity.fingerprint
        reasons = ["asked for by --refresh"] if stage in refresh else list(_reasons(pipeline, identity))
        action: Literal["cached", "build"] = "build" if reasons else "cached"
        plan.append(PlannedStage(stage, identity.fingerprint, action, tuple(reasons)))
    return plan


def _reasons(pipeline: Pipeline, identity: StageIdentity) -> Iterator[str]:
    store, stage = pipeline.store, identity.stage
    manifest = read_manifest(store, stage, identity.fingerprint)
    if manifest is not None:
        for damage in find_damage(Artifact(store, manifest), pipeline.hashes, rehash=False):
            yield f"{damage.path} is damaged ({damage.problem})"
        return
    if store.list_sizes(f"{artifact_key(stage, identity.fingerprint)}/receipts"):
        yield "an earlier build was not finished; its completed units are kept"
        return
    nearest = _nearest(store, identity)
    if nearest is None:
        yield f"the store has no {stage} artifact yet"
        return
    yield from _differences(nearest, identity)


def _nearest(store: Store, identity: StageIdentity) -> Manifest | None:
    found = (read_manifest(store, identity.stage, name, newer_too=False) for name in store.list_folders(identity.stage))
    manifests = [manifest for manifest in found if manifest is not None]
    return min(manifests, key=lambda m: (len(list(_differences(m, identity))), m.fingerprint), default=None)


def _differences(old: Manifest, new: StageIdentity) -> Iterator[str]:
    if old.stage_version != new.version:
        yield f"stage version {old.stage_version} -> {new.version}"
    before, after = dict(_flat(new.stage, old.config)), dict(_flat(new.stage, new.config))
    for key in sorted({*before, *after}):
        if before.get(key, _ABSENT) != after.get(key, _ABSENT):
            yield f"{key}: {_shown(before, key)} -> {_shown(after, key)}"
    old_inputs = {record.stage: record.fingerprint for record in old.inputs}
    new_inputs = {record.stage: record.fingerprint for record in new.inputs}
    for name in [*old_inputs, *(n for n in new_inputs if n not in old_inputs)]:
        if name not in new_inputs:
            yield f"input {name} is gone"
        elif name not in old_inputs:
            yield f"input {name} is new"
        elif old_inputs[name] != new_inputs[name]:
            yield f"input {name} changed: {old_inputs[name][:8]} -> {new_inputs[name][:8]}"


_ABSENT = object()


def _flat(prefix: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _flat("seed" if (key == "seed" and "." not in prefix) else f"{prefix}.{key}", item)
    elif isinstance(value, list) and value:
        for index, item in enumerate(value):
            yield from _flat(f"{prefix}.{index}", item)
    else:
        yield prefix, value


def _shown(values: Mapping[str, Any], key: str) -> str:
    return repr(values[key]) if key in values else "(absent)"
