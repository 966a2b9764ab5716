"""What accelerators can do, and hours from FLOPs."""

import pytest

from pretrain.errors import UsageError
from pretrain.modeling.hardware import parse_hardware, peak_flops_per_second


@pytest.mark.parametrize(
    ("name", "peak"),
    [
        ("NVIDIA H100 80GB HBM3", 989e12),
        ("NVIDIA H100 PCIe", 756e12),
        ("NVIDIA A100-SXM4-80GB", 312e12),
        ("NVIDIA GeForce RTX 9999", None),
        ("cpu", None),
    ],
)
def test_a_device_that_is_not_known_has_no_peak(name, peak):
    assert peak_flops_per_second(name) == peak


def test_several_devices_share_the_work():
    one, eight = parse_hardware("h100", mfu=0.5), parse_hardware("8xH100", mfu=0.5)
    assert one.seconds(989e12) == 2.0
    assert eight.seconds(8 * 989e12) == 2.0
    assert (one.name, eight.name) == ("h100", "8xh100")


@pytest.mark.parametrize(("name", "mfu"), [("h101", 0.3), ("0xh100", 0.3), ("", 0.3), ("h100", 0.0), ("h100", 1.1)])
def test_what_is_not_known_is_refused(name, mfu):
    with pytest.raises(UsageError, match=r"h100-pcie, .*a100|over 0 to 1"):
        parse_hardware(name, mfu)
