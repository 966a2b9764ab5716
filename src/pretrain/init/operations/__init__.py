"""Operations on a model's tensors and config. A new one is a file here and its name in `AnyOperation`."""

from typing import Annotated

from pydantic import Field

from pretrain.init.operations.drop_layers import DropLayers
from pretrain.init.operations.upscale_depth import UpscaleDepth

AnyOperation = Annotated[DropLayers | UpscaleDepth, Field(discriminator="op")]
