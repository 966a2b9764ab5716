"""Writes the model that training starts from as one Hugging Face folder under `data/`, and counts it."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from pretrain.artifact import Artifact
from pretrain.errors import InputError
from pretrain.external import require_unchanged
from pretrain.init.config import InitConfig
from pretrain.init.inputs import CHECKPOINT
from pretrain.init.plan import ModelPlan, WeightsFile, weights_files
from pretrain.init.start import TokenIds, checkpoint_start, random_start
from pretrain.init.tensors import StoredTensor
from pretrain.modeling.flops import training_flops_per_token
from pretrain.modeling.folders import BYTES_PER_ELEMENT, CONFIG, WEIGHTS_INDEX, DType, load_tokenizer
from pretrain.modeling.parameters import parameters_by_kind
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
        `parameters`, `parameters_by_kind`, `num_hidden_layers`, `vocab_size`, and `flops_per_token` of
        training at `flops_sequence_length`: the longest sequence that the model takes, as rows are packed
        elsewhere.

    Raises:
        InputError: the checkpoint or the tokenizer cannot be used, or they do not belong together.
        RecipeError: an operation does not fit the checkpoint.
    """
    [ids_receipt] = context.run_units([("tokenizer", context.inputs["tokenizer"])], copy_tokenizer, label="tokenizer")
    plan = plan_model(context, TokenIds(**ids_receipt.stats))
    dtype = context.config.dtype
    files = weights_files(plan, dtype)
    context.run_units([("config", _config_job(plan, files, dtype))], write_config, label="config")
    jobs = [(file.name.removesuffix(".safetensors"), WeightsJob(file, dtype)) for file in files]
    context.run_units(jobs, write_weights, label="weight files")
    return count_model(plan)


def plan_model(context: StageContext[InitConfig], ids: TokenIds) -> ModelPlan:
    """The start and all operations, as a plan: no weight is read."""
    config = context.config
    if config.architecture is not None:
        plan = random_start(config.architecture, ids, context.seed)
    else:
        plan = checkpoint_start(context.external[CHECKPOINT], ids)
    for operation in config.operations:
        plan = operation.apply(plan)
    plan.require_complete("the model after init.operations")
    return plan


def count_model(plan: ModelPlan) -> Stats:
    """The stats of `build`."""
    shape = plan.shape
    by_kind = parameters_by_kind(shape)
    return {
        "parameters": sum(by_kind.values()),
        "parameters_by_kind": by_kind,
        "flops_per_token": training_flops_per_token(shape, shape.max_position_embeddings),
        "flops_sequence_length": shape.max_position_embeddings,
        "num_hidden_layers": shape.num_hidden_layers,
        "vocab_size": shape.vocab_size,
    }


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
    """Unit: one safetensors file. Its tensors, and nothing more, are in memory."""
    import torch
    from safetensors.torch import save_file

    for file in {source.file for _, source in job.file.tensors if isinstance(source, StoredTensor)}:
        require_unchanged(file)
    dtype = {"float32": torch.float32, "bfloat16": torch.bfloat16}[job.dtype]
    tensors = {name: source.read().to(dtype).contiguous() for name, source in job.file.tensors}
    with files.create(f"data/{job.file.name}") as output:
        output.path.touch()
        mode = output.path.stat().st_mode  # safetensors makes files for the owner alone; a store is shared
        save_file(tensors, output.path, metadata={"format": "pt"})  # transformers refuses a file without it
        output.path.chmod(mode)
    return {}


def _config_job(plan: ModelPlan, files: list[WeightsFile], dtype: DType) -> ConfigJob:
    total = sum(parameters_by_kind(plan.shape).values())
    names = tuple((file.name, tuple(name for name, _ in file.tensors)) for file in files)
    return ConfigJob(dict(plan.config), dtype, names, total, total * BYTES_PER_ELEMENT[dtype])
