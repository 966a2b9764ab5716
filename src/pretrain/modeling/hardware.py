"""What accelerators can do at most, and how long training would take on them.

Source: the makers' data sheets, dense bf16 with float32 accumulation; figures "with sparsity" are twice as high and no
training reaches them.
"""

import re
from dataclasses import dataclass

from pretrain.errors import UsageError

# The share of the peak that training reaches where nothing else is said: torchtitan reports 33 % to 39 % for
# Llama 3.1 8B in bf16 on 8 H100 (benchmarks/llama3_h100_202412_torchtitan.md).
DEFAULT_MFU = 0.35


@dataclass(frozen=True)
class Accelerator:
    """One kind of accelerator.

    Attributes:
        name: as on the command line.
        device: what the name of its CUDA device contains.
        peak_flops_per_second: dense bf16.
        memory_bytes: of one device.
    """

    name: str
    device: str
    peak_flops_per_second: float
    memory_bytes: int


# A device's name is looked for in this order, so that the more special name comes first.
ACCELERATORS = (
    Accelerator("h100-pcie", "H100 PCIe", 756e12, 80_000_000_000),
    Accelerator("h100-nvl", "H100 NVL", 835e12, 94_000_000_000),
    Accelerator("h100", "H100", 989e12, 80_000_000_000),
    Accelerator("h200", "H200", 989e12, 141_000_000_000),
    Accelerator("a100", "A100", 312e12, 80_000_000_000),
    Accelerator("b200", "B200", 2250e12, 180_000_000_000),
)


@dataclass(frozen=True)
class Hardware:
    """So many accelerators of one kind, and the share of their peak that training is taken to reach (MFU)."""

    accelerator: Accelerator
    num_devices: int = 1
    mfu: float = DEFAULT_MFU

    @property
    def name(self) -> str:
        """As on the command line: `8xh100`."""
        return f"{self.num_devices}x{self.accelerator.name}" if self.num_devices > 1 else self.accelerator.name

    def seconds(self, flops: float) -> float:
        """How long so many FLOPs of training take."""
        return flops / (self.num_devices * self.accelerator.peak_flops_per_second * self.mfu)


def parse_hardware(text: str, mfu: float = DEFAULT_MFU) -> Hardware:
    """The hardware of a name, `h100` or `8xh100`.

    Args:
        text: a number of devices where there are several, and the name of the accelerator.
        mfu: the share of the peak that is reached, over 0 to 1.

    Raises:
        UsageError: it is not known, or the share is none.
    """
    found = re.fullmatch(r"(?:([1-9]\d*)x)?([a-z]\w*(?:-\w+)?)", text.strip().lower())
    known = {accelerator.name: accelerator for accelerator in ACCELERATORS}
    if found is None or found[2] not in known:
        raise UsageError(
            f"the hardware {text!r} is not known: give one of {', '.join(known)}, with a number for several (8xh100)"
        )
    if not 0 < mfu <= 1:
        raise UsageError(f"the MFU is {mfu}: give the share of the peak that is reached, over 0 to 1 (such as 0.35)")
    return Hardware(known[found[2]], int(found[1] or 1), mfu)


def peak_flops_per_second(device_name: str) -> float | None:
    """The dense bf16 peak of a CUDA device by its name, or None for one that is not known: a guess would be worse."""
    for accelerator in ACCELERATORS:
        if accelerator.device in device_name:
            return accelerator.peak_flops_per_second
    return None
