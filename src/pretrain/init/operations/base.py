"""What an operation is: a change of a model's plan, made before any weight is read."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from pretrain.config import Config
from pretrain.init.plan import ModelPlan
from pretrain.init.start import TokenIds
from pretrain.init.tensors import TensorSource
from pretrain.modeling.parameters import LAYER_PREFIX, split_layer


@dataclass(frozen=True)
class Workbench:
    """What an operation may use beside the model.

    Attributes:
        seed: of the recipe.
        ids: of the recipe's tokenizer.
        tokenizer_folder: that tokenizer, a local folder.
        source_tokenizer_folder: the checkpoint's own tokenizer, or None where there is none.
        block_influence: measures each layer of a plan on so many validation sequences.
    """

    seed: int
    ids: TokenIds
    tokenizer_folder: Path
    source_tokenizer_folder: Path | None
    block_influence: Callable[[ModelPlan, int], list[float]]


class Applied(NamedTuple):
    """The plan after an operation, and what is worth telling of it, for the manifest."""

    plan: ModelPlan
    facts: dict[str, Any]


class Operation(Config, ABC):
    """One step of `init.operations`: its keys in the recipe, and what it does to a plan.

    A subclass has a field `op: Literal["its_name"]`.
    """

    @property
    def needs_pack(self) -> bool:
        """Whether it measures something on validation sequences."""
        return False

    def num_layers_after(self, num_layers: int) -> int:
        """Layers of the result for a model of `num_layers`.

        Raises:
            RecipeError: the operation does not fit such a model.
        """
        return num_layers

    def config_after(self, config: Mapping[str, Any], vocab_size: int) -> dict[str, Any]:
        """The keys of config.json after the operation, given those before and the tokenizer's vocabulary.

        Raises:
            RecipeError: the operation does not fit such a model.
        """
        return {**config, "num_hidden_layers": self.num_layers_after(config["num_hidden_layers"])}

    @abstractmethod
    def apply(self, plan: ModelPlan, bench: Workbench) -> Applied:
        """The plan after the operation.

        Raises:
            RecipeError: the operation does not fit the model.
        """


class LayerOperation(Operation):
    """An operation that takes whole layers, each any number of times, in a new order."""

    @abstractmethod
    def layer_order(self, num_layers: int) -> list[int]:
        """The source layer of every layer of the result, bottom first.

        Raises:
            RecipeError: the operation does not fit a model of `num_layers`.
        """

    def num_layers_after(self, num_layers: int) -> int:
        """The length of `layer_order`."""
        return len(self.layer_order(num_layers))

    def apply(self, plan: ModelPlan, bench: Workbench) -> Applied:
        """The plan with its layers in `layer_order`."""
        order = self.layer_order(plan.shape.num_hidden_layers)
        return Applied(with_layers(plan, order), {"layers": order})


def with_layers(plan: ModelPlan, order: Sequence[int]) -> ModelPlan:
    """The model whose layer j is the layer `order[j]` of the plan."""
    config = {**plan.config, "num_hidden_layers": len(order)}
    return ModelPlan(config, reorder_layers(plan.tensors, order), plan.dtype)


def reorder_layers(tensors: Mapping[str, TensorSource], order: Sequence[int]) -> dict[str, TensorSource]:
    """The tensors of a model whose layer j is the source's layer `order[j]`, and those outside of layers.

    A layer taken twice is named twice and read twice, so that no two tensors of the result share storage.
    """
    layers: dict[int | None, dict[str, TensorSource]] = {}
    for name, source in tensors.items():
        layer, inner = split_layer(name)
        layers.setdefault(layer, {})[inner] = source
    moved = {
        f"{LAYER_PREFIX}{target}.{inner}": source
        for target, layer in enumerate(order)
        for inner, source in layers[layer].items()
    }
    return {**layers.get(None, {}), **moved}
