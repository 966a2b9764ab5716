"""What the training process is told, as JSON: local folders whose content is checked, and the config."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from pretrain.train.config import TrainConfig


class TrainJob(BaseModel):
    """One training.

    Attributes:
        config: the recipe's part.
        seed: of dropout and of the order of the data.
        pack_folder: local folder of the pack artifact.
        init_folder: Hugging Face folder of the model that training starts from, with its tokenizer.
        checkpoint_folder: where complete checkpoints are, and a resume finds them.
        scratch_folder: private to this process, on the file system of `checkpoint_folder`.
        export_folder: where the trained model (`data/...`) and the rows (`metrics/train.jsonl`) go.
        num_threads: compute threads on the CPU.
        flops_per_token: of one forward and backward pass; None where there is no closed form for the model.
    """

    model_config = ConfigDict(frozen=True)

    config: TrainConfig
    seed: int
    pack_folder: Path
    init_folder: Path
    checkpoint_folder: Path
    scratch_folder: Path
    export_folder: Path
    num_threads: int
    flops_per_token: int | None
