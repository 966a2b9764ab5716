"""A model sharded by FSDP2: each process holds its rows of every weight, gradient and optimizer state, and no other.

`torch.distributed.fsdp.fully_shard` on every decoder layer, and on the model for what is left: embeddings, the last
norm and the head, one group, so that embeddings may be tied. The weights of a layer are whole while it computes.
"""

from pathlib import Path
from typing import Any

import torch
from torch import distributed
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig, PreTrainedModel

from pretrain.modeling.folders import CONFIG, read_json_object
from pretrain.train.sharded_weights import read_weights

_GENERATION_CONFIG = "generation_config.json"


def load_sharded_model(folder: Path, *, bf16: bool, device: torch.device) -> PreTrainedModel:
    """The model in a folder, float32 and in evaluation mode, each process with its rows. Called by all at once.

    It is made without weights, and each process reads its rows alone: none ever holds a whole copy.

    Args:
        folder: a model folder.
        bf16: gather the layers' weights for computation in bfloat16, where autocast would cast them to it. Gradients
            are summed over processes in float32.
        device: of this process.

    Raises:
        InputError: the folder holds no such weights.
    """
    model = _without_weights(folder)
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    mesh = init_device_mesh(device.type, (distributed.get_world_size(),))
    layers: Any = model.get_decoder().layers  # type: ignore[no-untyped-call]
    dtype = torch.bfloat16 if bf16 else None
    # Activations are autocast's to cast, as they are in one process.
    policy = MixedPrecisionPolicy(param_dtype=dtype, reduce_dtype=torch.float32, cast_forward_inputs=False)
    for layer in layers:
        fully_shard(layer, mesh=mesh, mp_policy=policy)
    fully_shard(model, mesh=mesh, mp_policy=MixedPrecisionPolicy(cast_forward_inputs=False))
    model.to_empty(device=device)
    for name, buffer in buffers.items():
        model.get_buffer(name).copy_(buffer)
    read_weights(model, folder)
    return model.eval()  # type: ignore[no-any-return,no-untyped-call]


def _without_weights(folder: Path) -> PreTrainedModel:
    from accelerate import init_empty_weights  # type: ignore[import-untyped]

    read_json_object(folder / CONFIG)
    config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    config.dtype = torch.float32
    with init_empty_weights(include_buffers=False):  # the rotary embedding's are in no file
        model: PreTrainedModel = AutoModelForCausalLM.from_config(  # type: ignore[no-untyped-call]
            config, dtype=torch.float32, trust_remote_code=False
        )
    model.tie_weights()  # making them empty undid it
    if (folder / _GENERATION_CONFIG).is_file():
        model.generation_config = GenerationConfig.from_pretrained(folder, local_files_only=True)
    return model
