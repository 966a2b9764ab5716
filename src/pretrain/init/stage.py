"""Writes the model that training starts from as one Hugging Face folder under `data/`, and counts it.

Everything is done on a plan: the keys of the config, and a recipe for each tensor. The files are then written tensor by
tensor, so that a process holds one tensor of the result and one of its source, whatever the size of the model.
"""

import contextlib
import functools
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from pretrain.artifact import Artifact
from pretrain.errors import InputError
from pretrain.external import require_unchanged
from pretrain.init.checkpoint import local_files, tokenizer_folder
from pretrain.init.config import InitConfig
from pretrain.init.inputs import CHECKPOINT
from pretrain.init.measuring import MeasuringJob, measure_influence, measure_loss
from pretrain.init.operations.base import Workbench
from pretrain.init.plan import ModelPlan, WeightsFile, weights_files
from pretrain.init.report import count_model, describe_operation
from pretrain.init.start import TokenIds, checkpoint_start, random_start, require_vocabulary
from pretrain.modeling.folders import BYTES_PER_ELEMENT, CONFIG, WEIGHTS_INDEX, DType, load_tokenizer
from pretrain.modeling.parameters import parameters_by_kind
from pretrain.modeling.safetensors_file import write_safetensors
from pretrain.stage import StageContext, Stats, UnitFiles

# Of a checkpoint's config.json: what this stage states itself, where it lay once, and code that it names.
_OWN_KEYS = {"architectures", "dtype", "torch_dtype", "transformers_version", "_name_or_path", "auto_map"}


class ConfigJob(NamedTuple):
    """The files beside the weights: `config` as in config.json, and which file holds which tensors."""

    config: Mapping[str, Any]
    dtype: DType
    files: tuple[tuple[str, tuple[str, ...]], ...]
    total_parameters: int
    total_bytes: int


class WeightsJob(NamedTuple):
    """One safetensors file."""

    file: WeightsFile
    dtype: DType


def build(context: StageContext[InitConfig]) -> Stats:
    """The model of the recipe, complete with the tokenizer's files.

    Returns:
        What `count_model` counts; `operations`, what each did and the size after it; `sources`, the fingerprint of the
        tokenizer and of the checkpoint; and where the recipe asks for it, `validation_loss` in nats per token,
        `validation_bits_per_byte` and `validation_sequences`.

    Raises:
        InputError: the checkpoint or the tokenizer cannot be used, or they do not belong together.
        RecipeError: an operation does not fit the checkpoint.
    """
    [ids_receipt] = context.run_units([("tokenizer", context.inputs["tokenizer"])], copy_tokenizer, label="tokenizer")
    plan, operations = plan_model(context, TokenIds(**ids_receipt.stats))
    files = weights_files(plan)
    context.run_units([("config", _config_job(plan, files))], write_config, label="config")
    jobs = [(file.name.removesuffix(".safetensors"), WeightsJob(file, plan.dtype)) for file in files]
    context.run_units(jobs, write_weights, label="weight files")
    return {
        **count_model(plan),
        "operations": operations,
        "sources": {
            **{role: artifact.fingerprint for role, artifact in context.inputs.items()},
            **{name: outside.fingerprint for name, outside in context.external.items()},
        },
        **_validation(context, plan),
    }


def plan_model(context: StageContext[InitConfig], ids: TokenIds) -> tuple[ModelPlan, list[dict[str, Any]]]:
    """The start and all operations as a plan, and what each operation did: no weight is read but to be measured."""
    config = context.config
    source_tokenizer = None
    if config.architecture is not None:
        plan = random_start(config.architecture, ids, context.seed)
    else:
        files = local_files(config, context.external[CHECKPOINT], context.store)
        plan, source_tokenizer = checkpoint_start(files, ids), tokenizer_folder(files)
    plan = ModelPlan(plan.config, plan.tensors, config.dtype)
    done = []
    for index, operation in enumerate(config.operations):
        bench = Workbench(
            seed=context.seed,
            ids=ids,
            tokenizer_folder=context.inputs["tokenizer"].open_folder(),
            source_tokenizer_folder=source_tokenizer,
            block_influence=functools.partial(_block_influence, context, index),
        )
        plan, facts = operation.apply(plan, bench)
        done.append(describe_operation(operation.op, plan, facts))
    require_vocabulary(plan, ids)
    plan.require_complete("the model after init.operations")
    return plan, done


def copy_tokenizer(files: UnitFiles, tokenizer: Artifact) -> Stats:
    """Unit: copies the tokenizer's files, as they are, and returns its `TokenIds`."""
    loaded = load_tokenizer(tokenizer.open_folder())
    for part in tokenizer.parts():
        name = part.path.removeprefix("data/")
        if name.endswith((".safetensors", ".index.json")) or name in (CONFIG, "generation_config.json"):
            continue  # an imported folder may hold a model as well; this stage writes its own
        with files.create(part.path) as output:
            output.path.write_bytes(tokenizer.open_part(part).read_bytes())
    ids = TokenIds(max(loaded.get_vocab().values()) + 1, loaded.bos_token_id, loaded.eos_token_id, loaded.pad_token_id)
    return ids._asdict()


def write_config(files: UnitFiles, job: ConfigJob) -> Stats:
    """Unit: config.json, generation_config.json and, for several weights files, their index."""
    from huggingface_hub.errors import StrictDataclassError
    from transformers import GenerationConfig, LlamaConfig

    own = {"architectures": ["LlamaForCausalLM"], "dtype": job.dtype}
    known = {key: value for key, value in job.config.items() if key not in _OWN_KEYS}
    try:
        config = LlamaConfig.from_dict({**known, **own})
    except (StrictDataclassError, TypeError, ValueError, KeyError) as error:
        raise InputError(f"init.from: transformers refuses the checkpoint's config.json: {error}") from error
    ids = {key: job.config[key] for key in ("bos_token_id", "eos_token_id", "pad_token_id")}
    generation: Any = GenerationConfig.from_dict(ids)
    texts = {
        CONFIG: config.to_json_string(),
        "generation_config.json": generation.to_json_string(),
    }
    if len(job.files) > 1:
        totals = {"total_parameters": job.total_parameters, "total_size": job.total_bytes}
        weight_map = {tensor: file for file, tensors in job.files for tensor in tensors}
        texts[WEIGHTS_INDEX] = json.dumps({"metadata": totals, "weight_map": weight_map}, indent=2) + "\n"
    for name, text in texts.items():
        with files.create(f"data/{name}") as output:
            output.path.write_text(text, encoding="utf-8")
    return {}


def write_weights(files: UnitFiles, job: WeightsJob) -> Stats:
    """Unit: one safetensors file, written tensor by tensor."""
    sources = dict(job.file.tensors)
    for file in {source.file for source in sources.values() if source.file is not None}:
        require_unchanged(file)
    with files.create(f"data/{job.file.name}") as output:
        shapes = {name: source.shape for name, source in sources.items()}
        with contextlib.closing(output.open()) as sink:
            write_safetensors(sink, shapes, job.dtype, lambda name: sources[name].read())
    return {}


def _block_influence(context: StageContext[InitConfig], index: int, plan: ModelPlan, num_sequences: int) -> list[float]:
    job = MeasuringJob(plan, context.inputs["pack"], num_sequences)
    [receipt] = context.run_units([(f"influence-{index}", job)], measure_influence, label="measurements")
    return [float(value) for value in receipt.stats["block_influence"]]


def _validation(context: StageContext[InitConfig], plan: ModelPlan) -> Stats:
    if not context.config.validation_sequences:
        return {}
    job = MeasuringJob(plan, context.inputs["pack"], context.config.validation_sequences)
    [receipt] = context.run_units([("validation", job)], measure_loss, label="measurements")
    return dict(receipt.stats)


def _config_job(plan: ModelPlan, files: list[WeightsFile]) -> ConfigJob:
    total = sum(parameters_by_kind(plan.shape).values())
    names = tuple((file.name, tuple(name for name, _ in file.tensors)) for file in files)
    return ConfigJob(dict(plan.config), plan.dtype, names, total, total * BYTES_PER_ELEMENT[plan.dtype])
