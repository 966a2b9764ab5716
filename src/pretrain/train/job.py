"""What the training process is told, as JSON: local folders whose content is checked, and the config."""

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from pretrain.train.config import TrainConfig


class TrainJob(BaseModel):
    """One training.

    Attributes:
        config: the recipe's part.
        seed: of dropout and of the order of the data.
        inputs: what identifies the content of the pack and init artifacts, by role.
        pack_folder: local folder of the pack artifact.
        init_folder: Hugging Face folder of the model that training starts from, with its tokenizer.
        checkpoint_folder: where complete checkpoints are, and a resume finds them.
        scratch_folder: private to this process, on the file system of `checkpoint_folder`.
        export_folder: where the trained model (`data/...`) and the rows (`metrics/train.jsonl`) go.
        num_threads: compute threads on the CPU, of each process.
        num_processes: processes that share each step, one a GPU where there are GPUs.
        sharding: `fsdp` where each of those processes holds a share of the model and of the optimizer's state, `none`
            where each holds all.
        num_loader_workers: processes that read sequences ahead, beside each of those; 0 reads in the process itself.
        allows_changed_resume: go on from a checkpoint that was made with another config, seed or data.
        tensorboard_folder: where event files for TensorBoard go; None writes none.
        flops_per_token: of one forward and backward pass; None where there is no closed form for the model.
    """

    model_config = ConfigDict(frozen=True)

    config: TrainConfig
    seed: int
    inputs: dict[str, str] = Field(default_factory=dict)
    pack_folder: Path
    init_folder: Path
    checkpoint_folder: Path
    scratch_folder: Path
    export_folder: Path
    num_threads: int
    num_processes: int = 1
    sharding: Literal["none", "fsdp"] = "none"
    num_loader_workers: int = 0
    allows_changed_resume: bool = False
    tensorboard_folder: Path | None = None
    flops_per_token: int | None

    def identity(self) -> dict[str, Any]:
        """What bears on the trained model, flat: a resume from a checkpoint made with something else is no resume."""
        return {**self.config.identity(), "seed": self.seed, **self.inputs}
