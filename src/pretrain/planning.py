"""What a run would do and why: compares every stage's identity with what the store holds. Touches nothing."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pretrain.artifact import Artifact, Manifest, artifact_key, find_damage, read_manifest, read_manifests
from pretrain.dag import estimate, node, stages_of
from pretrain.errors import PretrainError
from pretrain.estimates import Estimate, Prospect
from pretrain.external import ExternalInput
from pretrain.modeling.hardware import Hardware
from pretrain.pipeline import Pipeline, StageIdentity
from pretrain.store import Store


@dataclass(frozen=True)
class PlannedStage:
    """One stage of a plan. `reasons` say why it has to be built; a cached stage has a manifest instead.

    `external` is the outside content that it reads.
    """

    stage: str
    fingerprint: str
    action: Literal["cached", "build"]
    reasons: tuple[str, ...]
    manifest: Manifest | None = None
    external: tuple[ExternalInput, ...] = ()

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
    return [
        _planned(pipeline, identity, is_refreshed=identity.stage in refresh)
        for identity in identify_all(pipeline, until)
    ]


def make_estimates(
    pipeline: Pipeline, plan: Sequence[PlannedStage], hardware: Hardware | None = None
) -> dict[str, Estimate]:
    """What can be said of the stages of a plan before anything runs, by stage; those with nothing to say are left out.

    Args:
        pipeline: the recipe and the store.
        plan: of that recipe.
        hardware: what the user means to train on.

    Raises:
        UsageError: a stage would be refused as the recipe has it.
    """
    recipe = pipeline.recipe.model_dump(mode="json", by_alias=True)
    artifacts = {stage.stage: Artifact(pipeline.store, stage.manifest) for stage in plan if stage.manifest is not None}
    external = {stage.stage: stage.external for stage in plan}
    found = {}
    for stage in plan:
        is_cached = stage.action == "cached"
        prospect = Prospect(stage.stage, is_cached, recipe, pipeline.folder, artifacts, external, hardware)
        try:
            found[stage.stage] = estimate(pipeline.recipe, prospect)
        except PretrainError as error:
            error.stage = stage.stage
            raise
    return {stage: values for stage, values in found.items() if values}


def identify_all(pipeline: Pipeline, until: str | None = None) -> list[StageIdentity]:
    """What every stage's artifact is, in the order of the DAG. Does not look into the store.

    Raises:
        InputError: outside content that the recipe names is not there.
    """
    identities: dict[str, StageIdentity] = {}
    for stage in stages_of(pipeline.recipe, until):
        roles = node(stage).inputs(pipeline.recipe)
        fingerprints = {role: identities[name].fingerprint for role, name in roles.items()}
        identities[stage] = pipeline.identify(stage, fingerprints)
    return list(identities.values())


def _planned(pipeline: Pipeline, identity: StageIdentity, *, is_refreshed: bool) -> PlannedStage:
    stage, fingerprint = identity.stage, identity.fingerprint
    manifest = None if is_refreshed else read_manifest(pipeline.store, stage, fingerprint)
    if is_refreshed:
        reasons = ["asked for by --refresh"]
    elif manifest is not None:
        damage = find_damage(Artifact(pipeline.store, manifest), pipeline.hashes, rehash=False)
        reasons = [f"{part.path} is damaged ({part.problem})" for part in damage]
    else:
        reasons = list(_reasons(pipeline.store, identity))
    if reasons:
        return PlannedStage(stage, fingerprint, "build", tuple(reasons), external=identity.external)
    return PlannedStage(stage, fingerprint, "cached", (), manifest, identity.external)


def _reasons(store: Store, identity: StageIdentity) -> Iterator[str]:
    stage = identity.stage
    if store.list_sizes(f"{artifact_key(stage, identity.fingerprint)}/receipts"):
        yield "an earlier build was not finished; its completed units are kept"
        return
    nearest = _nearest(store, identity)
    if nearest is None:
        yield f"the store has no {stage} artifact yet"
        return
    yield from _differences(nearest, identity)


def _nearest(store: Store, identity: StageIdentity) -> Manifest | None:
    names = store.list_folders(identity.stage)
    manifests = read_manifests(store, [artifact_key(identity.stage, name) for name in names])
    return min(manifests, key=lambda m: (len(list(_differences(m, identity))), m.fingerprint), default=None)


def _differences(old: Manifest, new: StageIdentity) -> Iterator[str]:
    if old.stage_version != new.version:
        yield f"stage version {old.stage_version} -> {new.version}"
    before, after = config_values(new.stage, old.config), config_values(new.stage, new.config)
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


def config_values(stage: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """What an artifact's config says, leaf by leaf, by its key in a recipe (`filter.rules.0.rule`)."""
    leaves = flat_values(stage, config)
    return {"seed" if name == f"{stage}.seed" else name: value for name, value in leaves}  # the recipe's own key


def flat_values(prefix: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The leaves of nested mappings and lists, each with its path joined by dots."""
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from flat_values(f"{prefix}.{key}", item)
    elif isinstance(value, list) and value:
        for index, item in enumerate(value):
            yield from flat_values(f"{prefix}.{index}", item)
    else:
        yield prefix, value


def _shown(values: Mapping[str, Any], key: str) -> str:
    return repr(values[key]) if key in values else "(absent)"
