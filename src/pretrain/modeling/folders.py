"""Models and tokenizers as Hugging Face folders: safetensors only, no network, no code from the folder."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pretrain.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
WEIGHTS_INDEX = "model.safetensors.index.json"

DType = Literal["float32", "bfloat16"]
BYTES_PER_ELEMENT: dict[DType, int] = {"float32": 4, "bfloat16": 2}


def read_json_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file of a model folder.

    Raises:
        InputError: the file cannot be read or holds no JSON object.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{path.parent} has no {path.name}: give a folder that holds a saved model") from error
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {path}: {error}; save the model again") from error
    if not isinstance(value, dict):
        raise InputError(f"{path} holds {type(value).__name__}, not a JSON object; save the model again")
    return value


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a model folder by name: those that its index names, else the single one.

    Raises:
        InputError: there are none, one that the index names is missing, or the weights are pickled.
    """
    index = folder / WEIGHTS_INDEX
    if index.is_file():
        weight_map = read_json_object(index).get("weight_map")
        if not isinstance(weight_map, dict) or not weight_map:
            raise InputError(f"{index} has no weight_map; save the model again")
        names = sorted(set(map(str, weight_map.values())))
        outside = [name for name in names if Path(name).name != name]
        if outside:
            raise InputError(f"{index} names {outside[0]!r}, which is not a file of its own folder")
        files = [folder / name for name in names]
        missing = [file.name for file in files if not file.is_file()]
        if missing:
            raise InputError(f"{folder} lacks {', '.join(missing)}, which its index names; copy it whole")
        return files
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    pickled = sorted(file.name for pattern in ("*.bin", "*.pt", "*.pth") for file in folder.glob(pattern))
    if pickled:
        raise InputError(
            f"{folder} has its weights as {pickled[0]}, a pickle that can run code when it is read: only "
            "safetensors are read; where you trust it, load it with transformers and save_pretrained it again"
        )
    raise InputError(f"{folder} has neither {WEIGHTS} nor {WEIGHTS_INDEX}")


def load_model(folder: Path, dtype: DType | None = None) -> "PreTrainedModel":
    """The causal language model in a folder, in evaluation mode, on the CPU.

    Args:
        folder: a model folder.
        dtype: of the loaded weights; None keeps the one that config.json states.

    Raises:
        InputError: the folder holds no model with safetensors.
    """
    read_json_object(folder / CONFIG)
    weight_files(folder)
    from transformers import AutoModelForCausalLM

    model: Any = AutoModelForCausalLM.from_pretrained(
        folder, dtype=dtype or "auto", use_safetensors=True, local_files_only=True, trust_remote_code=False
    )
    loaded: PreTrainedModel = model.eval()
    return loaded


def load_tokenizer(folder: Path) -> "PreTrainedTokenizerBase":
    """The tokenizer in a folder.

    Raises:
        InputError: the folder holds no tokenizer that transformers can load.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            str(folder), local_files_only=True, trust_remote_code=False
        )
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{folder} holds no tokenizer that transformers can load: {error}") from error
    return tokenizer
