"""A hand-written training loop, and the plain Trainer with the course's dataset: tokens a second as a JSON object.

    .venv/bin/python benchmarks/train_peer.py loop|trainer SPEC.json

SPEC.json has `model` (a folder), `tokens` (a file of uint16), `parquet` (the same rows, column `input_ids`),
`sequence_length`, `batch_size`, `steps`, `learning_rate`, `warmup_steps`, `bf16`, `compile`, `threads`. Prints
`tokens_per_second` without the first step, `seconds_to_first_step` from the start of the process, `loss_final`.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

STARTED = time.monotonic()


def run_loop(spec: dict[str, Any]) -> dict[str, object]:
    """What one writes by hand: fused AdamW, clipping, warm-up and linear decay, autocast."""
    import numpy as np
    import torch
    from transformers import AttentionInterface, AutoModelForCausalLM
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    torch.set_num_threads(spec["threads"])
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model: Any = AutoModelForCausalLM.from_pretrained(spec["model"], dtype=torch.float32).to(device)
    model.config.use_cache = False
    # Without it transformers makes a mask in a compiled model, for which there is no flash attention.
    AttentionInterface.register("causal", sdpa_attention_forward)
    model.set_attn_implementation("causal")
    step_of: Any = torch.compile(model) if spec["compile"] else model
    rows = np.memmap(spec["tokens"], "<u2", "r").reshape(-1, spec["sequence_length"])
    optimizer = torch.optim.AdamW(model.parameters(), lr=spec["learning_rate"], weight_decay=0.0, fused=True)
    order = np.random.default_rng(0).permutation(len(rows))
    first_step, marks = None, []
    for step in range(spec["steps"]):
        warm = min(1.0, step / max(1, spec["warmup_steps"]))
        for group in optimizer.param_groups:
            group["lr"] = spec["learning_rate"] * warm * (1 - step / spec["steps"])
        chosen = order[[(step * spec["batch_size"] + k) % len(order) for k in range(spec["batch_size"])]]
        batch = torch.from_numpy(rows[np.sort(chosen)].astype(np.int64)).to(device)
        with torch.autocast(device, torch.bfloat16, enabled=spec["bf16"]):
            loss = step_of(input_ids=batch, labels=batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        value = loss.item()
        first_step = first_step or time.monotonic() - STARTED
        marks.append(time.monotonic())
    tokens = (spec["steps"] - 1) * spec["batch_size"] * spec["sequence_length"]
    return {
        "tokens_per_second": tokens / (marks[-1] - marks[0]),
        "seconds_to_first_step": first_step,
        "loss_final": value,
    }


def run_trainer(spec: dict[str, Any]) -> dict[str, object]:
    """The Trainer as the course's fifth lesson uses it: a dataset of tensors made row by row."""
    import datasets
    import torch
    from torch.utils.data import Dataset
    from transformers import AutoModelForCausalLM, Trainer, TrainerCallback, TrainingArguments

    torch.set_num_threads(spec["threads"])

    class CustomDataset(Dataset):  # type: ignore[type-arg]
        def __init__(self) -> None:
            self.dataset = datasets.load_dataset("parquet", data_files=spec["parquet"], split="train")

        def __len__(self) -> int:
            return len(self.dataset)

        def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
            input_ids = torch.LongTensor(self.dataset[index]["input_ids"])
            return {"input_ids": input_ids, "labels": torch.LongTensor(self.dataset[index]["input_ids"])}

    class Clock(TrainerCallback):
        marks: list[float]

        def on_step_end(self, args: object, state: object, control: object, **kwargs: object) -> None:
            self.marks.append(time.monotonic())

    clock = Clock()
    clock.marks = []
    model = AutoModelForCausalLM.from_pretrained(spec["model"], dtype=torch.float32)
    arguments = TrainingArguments(
        output_dir=str(Path(spec["model"]).parent / "trainer"),
        max_steps=spec["steps"],
        per_device_train_batch_size=spec["batch_size"],
        learning_rate=spec["learning_rate"],
        warmup_steps=spec["warmup_steps"],
        optim="adamw_torch_fused",
        bf16=spec["bf16"],
        use_cpu=not torch.cuda.is_available(),
        torch_compile=spec["compile"],
        save_strategy="no",
        logging_steps=10,
        report_to="none",
        disable_tqdm=True,
    )
    trainer = Trainer(model=model, args=arguments, train_dataset=CustomDataset(), callbacks=[clock])
    result = trainer.train()
    tokens = (spec["steps"] - 1) * spec["batch_size"] * spec["sequence_length"]
    return {
        "tokens_per_second": tokens / (clock.marks[-1] - clock.marks[0]),
        "seconds_to_first_step": clock.marks[0] - STARTED,
        "loss_final": result.training_loss,
    }


if __name__ == "__main__":
    run = {"loop": run_loop, "trainer": run_trainer}[sys.argv[1]]
    print("\n" + json.dumps(run(json.loads(Path(sys.argv[2]).read_text()))))
