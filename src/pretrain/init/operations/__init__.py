"""Operations on a model's tensors and config. A new one is a file here and its name in `AnyOperation`."""

from typing import Annotated

from pydantic import Field

from pretrain.init.operations.cast import Cast
from pretrain.init.operations.drop_layers import DropLayers
from pretrain.init.operations.expand_blocks import ExpandBlocks
from pretrain.init.operations.random_weights import RandomWeights
from pretrain.init.operations.resize_vocab import ResizeVocab
from pretrain.init.operations.tied_embeddings import Tie, Untie
from pretrain.init.operations.upscale_depth import UpscaleDepth

AnyOperation = Annotated[
    RandomWeights | DropLayers | UpscaleDepth | ExpandBlocks | ResizeVocab | Cast | Tie | Untie,
    Field(discriminator="op"),
]
