"""The two starts of a model: random weights of given sizes, or a checkpoint."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pretrain.errors import InputError
from pretrain.external import ExternalFile
from pretrain.init.architecture import ArchitectureConfig
from pretrain.init.plan import ModelPlan
from pretrain.init.tensors import Constant, RandomNormal, StoredTensor, TensorSource
from pretrain.modeling.folders import CONFIG, read_json_object
from pretrain.modeling.parameters import EMBEDDING, LM_HEAD, tensor_kind, tensor_shapes
from pretrain.modeling.shape import ModelShape

Scheme = Literal["hf", "scaled"]

# What adds to the residual stream: twice a layer.
_RESIDUAL_OUTPUTS = ("self_attn.o_proj.weight", "mlp.down_proj.weight")


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
        **architecture.model_dump(exclude={"size", "rope_theta", "num_key_value_heads", "head_dim"}),
        "num_key_value_heads": architecture.key_value_heads,
        "head_dim": architecture.head_width,
        "rope_parameters": {"rope_type": "default", "rope_theta": architecture.rope_theta},
        **ids.config(),
    }


def random_start(architecture: ArchitectureConfig, ids: TokenIds, seed: int) -> ModelPlan:
    """A model of random weights as transformers initialises it (scheme `hf`)."""
    config = architecture_config(architecture, ids)
    return ModelPlan(config, random_tensors(config, "hf", architecture.initializer_range, seed))


def random_tensors(config: Mapping[str, Any], scheme: Scheme, std: float, seed: int) -> dict[str, TensorSource]:
    """Random weights of the shape that a config has.

    Matrices and the embedding are Normal(0, std), the embedding's padding row and biases zero, norms one; `hf` has no
    scaling by depth (transformers 5, PreTrainedModel._init_weights). `scaled` divides the standard deviation of o_proj
    and down_proj by sqrt(2 L) for L layers, so that the residual stream does not grow with depth (GPT-2, Radford et
    al. 2019, section 2.3, whose N residual layers are 2 L).
    """
    shape = ModelShape.from_config(config)
    residual_std = std / (2 * shape.num_hidden_layers) ** 0.5 if scheme == "scaled" else std

    def source(name: str, size: tuple[int, ...]) -> TensorSource:
        if tensor_kind(name) == "norm":
            return Constant(size, 1.0)
        if name.endswith(".bias"):
            return Constant(size, 0.0)
        zero_row = config.get("pad_token_id") if name == EMBEDDING else None
        return RandomNormal(name, size, residual_std if name.endswith(_RESIDUAL_OUTPUTS) else std, seed, zero_row)

    return {name: source(name, size) for name, size in tensor_shapes(shape).items()}


def checkpoint_start(files: Mapping[str, ExternalFile], ids: TokenIds) -> ModelPlan:
    """The model in files of the Hugging Face layout on this machine; only the headers of its weights are read.

    The token ids of the result are the tokenizer's, since it is the tokenizer that made the training rows; the size of
    the vocabulary is still the checkpoint's.

    Raises:
        InputError: it is no Llama model, or its parts do not belong together.
    """
    path = Path(files[CONFIG].location)
    config = read_json_object(path)
    try:
        ModelShape.from_config(config)
    except InputError as error:
        raise InputError(f"init.from: the checkpoint {path.parent} cannot be used: {error}") from error
    special = {name: value for name, value in ids.config().items() if name != "vocab_size"}
    plan = ModelPlan({**config, **special}, _stored_tensors(files.values(), config))
    plan.require_complete(f"init.from: the checkpoint {path.parent}")
    return plan


def _stored_tensors(files: Iterable[ExternalFile], config: Mapping[str, Any]) -> dict[str, TensorSource]:
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


def require_vocabulary(plan: ModelPlan, ids: TokenIds) -> None:
    """Checks that the model has as many rows as the tokenizer has tokens.

    Raises:
        InputError: it has more or fewer.
    """
    vocab_size = plan.config.get("vocab_size")
    if vocab_size != ids.vocab_size:
        raise InputError(
            f"init.from: the checkpoint has vocab_size {vocab_size}, but the tokenizer has {ids.vocab_size} tokens: "
            "import the checkpoint's own tokenizer (tokenizer.import), move it to this one with the operation "
            "resize_vocab, or start from `architecture`"
        )
