"""The two starts of a model: random weights of given sizes, or a checkpoint."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pretrain.errors import InputError
from pretrain.external import ExternalFile, ExternalInput
from pretrain.init.config import ArchitectureConfig
from pretrain.init.plan import ModelPlan
from pretrain.init.tensors import Constant, RandomNormal, StoredTensor, TensorSource
from pretrain.modeling.folders import CONFIG, read_json_object
from pretrain.modeling.parameters import EMBEDDING, LM_HEAD, tensor_kind, tensor_shapes
from pretrain.modeling.shape import ModelShape


class TokenIds(NamedTuple):
    """What a model's config takes from the tokenizer. `vocab_size` is the highest id plus one."""

    vocab_size: int
    bos: int | None
    eos: int | None
    pad: int | None

    def config(self) -> dict[str, int | None]:
        """The keys of config.json.

        A padding token that is also bos or eos is left out: torch.nn.Embedding freezes the padding row, and
        the model would never learn the token that ends its documents.
        """
        pad = None if self.pad in (self.bos, self.eos) else self.pad
        return {
            "vocab_size": self.vocab_size,
            "bos_token_id": self.bos,
            "eos_token_id": self.eos,
            "pad_token_id": pad,
        }


def architecture_config(architecture: ArchitectureConfig, ids: TokenIds) -> dict[str, Any]:
    """The keys of config.json for the sizes of a recipe."""
    return {
        "model_type": "llama",
        **architecture.model_dump(exclude={"rope_theta", "num_key_value_heads"}),
        "num_key_value_heads": architecture.key_value_heads,
        "rope_parameters": {"rope_type": "default", "rope_theta": architecture.rope_theta},
        **ids.config(),
    }


def random_start(architecture: ArchitectureConfig, ids: TokenIds, seed: int) -> ModelPlan:
    """A model of random weights as transformers initialises it (scheme `hf`).

    Weights of linear layers and the embedding are Normal(0, initializer_range), the embedding's padding row
    and biases zero, norms one. There is no scaling by depth.
    Source: transformers 5, PreTrainedModel._init_weights.
    """
    config = architecture_config(architecture, ids)

    def source(name: str, shape: tuple[int, ...]) -> TensorSource:
        if tensor_kind(name) == "norm":
            return Constant(shape, 1.0)
        if name.endswith(".bias"):
            return Constant(shape, 0.0)
        zero_row = config["pad_token_id"] if name == EMBEDDING else None
        return RandomNormal(name, shape, architecture.initializer_range, seed, zero_row)

    shapes = tensor_shapes(ModelShape.from_config(config))
    return ModelPlan(config, {name: source(name, shape) for name, shape in shapes.items()})


def checkpoint_start(checkpoint: ExternalInput, ids: TokenIds) -> ModelPlan:
    """The model in a folder of the Hugging Face layout; only the headers of its weights are read.

    The token ids of the result are the tokenizer's, since it is the tokenizer that made the training rows.

    Raises:
        InputError: it is no Llama model, its parts do not belong together, or its vocabulary is not the
        tokenizer's.
    """
    by_name = {file.name: file for file in checkpoint.files}
    folder = Path(by_name[CONFIG].location).parent
    config = read_json_object(Path(by_name[CONFIG].location))
    try:
        ModelShape.from_config(config)
    except InputError as error:
        raise InputError(f"init.from: the checkpoint {folder} cannot be used: {error}") from error
    _require_same_vocabulary(folder, config, ids)
    plan = ModelPlan({**config, **ids.config()}, _stored_tensors(checkpoint.files, config))
    plan.require_complete(f"init.from: the checkpoint {folder}")
    return plan


def _stored_tensors(files: Sequence[ExternalFile], config: Mapping[str, Any]) -> dict[str, TensorSource]:
    from safetensors import SafetensorError, safe_open

    tensors: dict[str, TensorSource] = {}
    for file in files:
        if not file.name.endswith(".safetensors"):
            continue
        try:
            with safe_open(file.location, framework="np") as opened:
                for name in opened.keys():  # noqa: SIM118 (not a mapping)
                    tensors[name] = StoredTensor(file, name, tuple(opened.get_slice(name).get_shape()))
        except (OSError, SafetensorError) as error:
            raise InputError(f"cannot read {file.location}: {error}; copy the checkpoint again") from error
    if config.get("tie_word_embeddings"):
        tensors.pop(LM_HEAD, None)  # written by some tools although the embedding stands for it
    # Rotary tables were saved up to transformers 4.31; they follow from the config.
    return {name: tensor for name, tensor in tensors.items() if not name.endswith(".rotary_emb.inv_freq")}


def _require_same_vocabulary(folder: Path, config: Mapping[str, Any], ids: TokenIds) -> None:
    vocab_size = config.get("vocab_size")
    if vocab_size != ids.vocab_size:
        raise InputError(
            f"init.from: the checkpoint {folder} has vocab_size {vocab_size}, but the tokenizer has "
            f"{ids.vocab_size} tokens: import the checkpoint's own tokenizer (tokenizer.import), or start "
            "from `architecture`"
        )
