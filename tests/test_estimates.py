import pytest

from pretrain.estimates import duration


@pytest.mark.parametrize(
    ("seconds", "value", "unit"),
    [
        (9.0e-4, 0.0009, "seconds on it"),
        (119.4, 119.4, "seconds on it"),
        (120, 2.0, "minutes on it"),
        (7199, 119.98, "minutes on it"),
        (7200, 2.0, "hours on it"),
        (1e7, 2777.8, "hours on it"),
    ],
)
def test_a_time_is_in_the_unit_that_fits(seconds, value, unit):
    found = duration(seconds, "on it", digits=5)
    assert (found.value, found.unit) == (value, unit)
