"""A loss that leaps is reported; where it is asked for, training goes back and skips what it saw since."""

import json
import random
import statistics

import pytest

from pretrain.sequences import TokenSequences
from pretrain.store import LocalStore
from pretrain.train.samples import OrderedSamples, sample_at
from pretrain.train.spikes import find_spike
from tests.train.killing import checkpoints_of, train_here
from tests.train.test_stopping import SignalAt, Stopped
from tests.train.tiny_training import make_context, make_init, make_pack


def test_a_spike_is_six_sigma_above_the_mean_of_the_window():
    generator = random.Random(0)
    losses = [3 + generator.gauss(0, 0.1) for _ in range(200)]
    mean, deviation = statistics.fmean(losses[-128:]), statistics.stdev(losses[-128:])
    assert find_spike(201, mean + 5.99 * deviation, losses, 128, 6.0) is None
    spike = find_spike(201, mean + 6.01 * deviation, losses, 128, 6.0)
    assert (spike.step, spike.mean, spike.sigmas) == (201, pytest.approx(mean), pytest.approx(6.01))
    assert str(spike).startswith("the loss of step 201 is 3.")


@pytest.mark.parametrize("earlier", [[], [3.0, 3.1] * 63, [3.0] * 128])
def test_without_a_full_window_or_any_spread_nothing_is_a_spike(earlier):
    assert find_spike(1, 100.0, earlier, 128, 6.0) is None


def test_shifts_add_up_from_their_places_on():
    shifts = [[10, 5], [20, 100], [20, 1]]
    assert [sample_at(place, shifts) for place in (0, 9, 10, 19, 20, 21)] == [0, 9, 15, 24, 126, 127]


def make_odd_pack(store, at_step=14):
    """The tiny pack, but one sequence of step `at_step` (the first epoch over 80 sequences) is noise."""
    counts = {"train": 80, "validation": 8}
    pack = make_pack(store, counts)
    order = OrderedSamples(TokenSequences.from_artifact(pack, "train"), 0, 120)
    noisy = [order.sequence_at(4 * (at_step - 1) + i) for i in range(4)]
    return make_pack(store, counts, noisy=noisy), noisy


def context_in(folder, **config):
    store = LocalStore(folder)
    pack, noisy = make_odd_pack(store)
    values = {"max_steps": 18, "spike_window_steps": 4, "learning_rate": 0.02}
    return make_context(store, pack, make_init(store), **values | config), noisy


def events_of(captured):
    return [json.loads(line) for line in captured.out.splitlines()]


def test_a_spike_is_reported_with_its_sequences_and_its_step_is_taken(tmp_path, capsys):
    context, noisy = context_in(tmp_path)
    stats = train_here(context)
    [event] = [event for event in events_of(capsys.readouterr()) if event["event"] == "spike"]
    assert (event["step"], event["goes_back"]) == (14, False)
    assert event["message"].endswith(f"on training sequences {', '.join(map(str, noisy))}")
    assert stats["loss_spikes"] == 1 and "rollbacks" not in stats


@pytest.fixture(scope="module")
def rolled_back(tmp_path_factory):
    return train_here(context_in(tmp_path_factory.mktemp("rolled-back"), spike_rollbacks=1)[0])


def test_going_back_skips_the_sequences_since_the_checkpoint(rolled_back):
    [row] = rolled_back["rollbacks"]
    assert (row["step"], row["back_to_step"], row["sequences_skipped"]) == (14, 12, 8)
    assert [rolled_back[name] for name in ("steps", "loss_spikes", "sequences_skipped")] == [18, 1, 8]
    read = [sample_at(place, [[48, 8]]) for place in range(72)]
    assert read == [*range(48), *range(56, 80)]


@pytest.mark.parametrize("stop_after", [13, 15])
def test_what_was_skipped_survives_a_resume(rolled_back, tmp_path, stop_after):
    """Stopped between the checkpoint and the spike, and after it, training ends with the same bytes."""
    context, _ = context_in(tmp_path, spike_rollbacks=1)
    with pytest.raises(Stopped):
        train_here(context, [SignalAt("on_step_begin", stop_after - 1)])
    assert checkpoints_of(context).newest().step == stop_after
    assert train_here(context) == rolled_back


def test_after_so_many_times_it_goes_on(tmp_path, capsys):
    store = LocalStore(tmp_path)
    counts = {"train": 80, "validation": 8}
    plain = OrderedSamples(TokenSequences.from_artifact(make_pack(store, counts), "train"), 0, 120)
    noisy = [plain.sequence_at(place) for place in (*range(52, 56), *range(60, 64))]  # steps 14 and 16
    pack = make_pack(store, counts, noisy=noisy)
    values = {"max_steps": 20, "spike_window_steps": 4, "learning_rate": 0.02, "spike_rollbacks": 1}
    stats = train_here(make_context(store, pack, make_init(store), **values))
    goes_back = [event["goes_back"] for event in events_of(capsys.readouterr()) if event["event"] == "spike"]
    assert goes_back[0] is True and not any(goes_back[1:])
    assert len(stats["rollbacks"]) == 1 and stats["loss_spikes"] == len(goes_back)
