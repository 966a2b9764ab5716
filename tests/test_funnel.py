"""The funnel: what is left of each source after each stage, from the counts of manifests alone."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrain.errors import StageError
from pretrain.funnel import Funnel, SourceFunnel, Step, make_funnel
from pretrain.runs import StageRecord

DOWNLOAD = {
    "documents_in": 10,
    "documents_out": 9,
    "dropped_by_reason": {"invalid_json": 1},
    "records_by_source": {"web": 7, "wiki": 3},
    "documents_by_source": {"web": 6, "wiki": 3},
    "dropped_by_source": {"web": {"invalid_json": 1}, "wiki": {}},
}
FILTER = {
    "documents_in": 9,
    "documents_out": 5,
    "dropped_by_reason": {"too_few_lines": 1, "too_few_words": 3},
    "changed_by_reason": {"email_replaced": 2, "ip_replaced": 4},
    "documents_by_source": {"web": 5},  # nothing is left of wiki
    "dropped_by_source": {"web": {"too_few_lines": 1}, "wiki": {"too_few_words": 3}},
}
DEDUP = {
    "documents_in": 5,
    "documents_out": 5,
    "dropped_by_reason": {},
    "documents_by_source": {"web": 5},
    "dropped_by_source": {},
}


def funnel(**stats: dict[str, Any]) -> Funnel | None:
    records = [StageRecord(stage=s, fingerprint="f", action="built", seconds=0, stats=v) for s, v in stats.items()]
    return make_funnel(records)


def made(**stats: dict[str, Any]) -> Funnel:
    found = funnel(**stats)
    assert found is not None
    return found


def test_each_source_stage_by_stage() -> None:
    found = made(download=DOWNLOAD, filter=FILTER, dedup=DEDUP)
    assert found == Funnel(
        SourceFunnel(
            None,
            (
                Step("download", 10, 9, {"invalid_json": 1}),
                Step("filter", 9, 5, {"too_few_words": 3, "too_few_lines": 1}),
                Step("dedup", 5, 5, {}),
            ),
        ),
        (
            SourceFunnel(
                "web",
                (
                    Step("download", 7, 6, {"invalid_json": 1}),
                    Step("filter", 6, 5, {"too_few_lines": 1}),
                    Step("dedup", 5, 5, {}),
                ),
            ),
            SourceFunnel(
                "wiki",
                (
                    Step("download", 3, 3, {}),
                    Step("filter", 3, 0, {"too_few_words": 3}),
                    Step("dedup", 0, 0, {}),
                ),
            ),
        ),
        {"filter": {"ip_replaced": 4, "email_replaced": 2}},
    )
    assert list(found.total.steps[1].dropped) == ["too_few_words", "too_few_lines"]  # the largest first
    assert [(one.num_records, one.num_left) for one in (found.total, *found.sources)] == [(10, 5), (7, 5), (3, 0)]


def test_what_a_reason_took_from_whom() -> None:
    stats = {**FILTER, "dropped_by_source": {"web": {"too_few_words": 1}, "wiki": {"too_few_words": 3}}}
    found = made(download=DOWNLOAD, filter={**stats, "dropped_by_reason": {"too_few_words": 4}})
    assert list(found.taken_from("filter", "too_few_words").items()) == [("wiki", 3), ("web", 1)]
    assert found.taken_from("filter", "invalid_json") == {}


def test_as_json() -> None:
    assert made(download=DOWNLOAD).to_json() == {
        "stages": [{"stage": "download", "documents_in": 10, "documents_out": 9, "dropped": {"invalid_json": 1}}],
        "sources": [
            {
                "source": "web",
                "stages": [
                    {"stage": "download", "documents_in": 7, "documents_out": 6, "dropped": {"invalid_json": 1}}
                ],
            },
            {
                "source": "wiki",
                "stages": [{"stage": "download", "documents_in": 3, "documents_out": 3, "dropped": {}}],
            },
        ],
        "changed": {},
    }


def test_other_stages_are_no_part_of_it() -> None:
    assert made(download=DOWNLOAD, shard={"documents_in": 9}, train={"steps": 3}) == made(download=DOWNLOAD)


def test_a_run_that_read_nothing_has_none() -> None:
    assert funnel() is None
    assert funnel(filter=FILTER) is None


def test_a_stage_that_did_not_count_by_source_leaves_the_total() -> None:
    found = made(download=DOWNLOAD, filter={"documents_in": 9, "documents_out": 9, "dropped_by_reason": {}})
    assert found.sources == ()
    assert found.total.num_left == 9


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"documents_out": 6}, "filter lost count of the documents: 9 came in, but 6 were kept and 4 dropped"),
        (
            {"documents_by_source": {"web": 4, "wiki": 1}},
            "filter lost count of web: 6 came in, but 4 were kept and 1 dropped",
        ),
        ({"documents_in": 8, "documents_out": 4}, "filter lost count of the documents: 9 came in, but 4 were kept"),
        (
            {"dropped_by_reason": {"too_few_lines": 4}},
            "filter kept 5 documents and dropped 4, but 5 and 4 by source",
        ),
        (
            {"documents_by_source": {"web": 6}, "dropped_by_source": {"wiki": {"too_few_words": 3}}},
            "filter kept 5 documents and dropped 4, but 6 and 3 by source",
        ),
    ],
)
def test_counts_that_do_not_add_up_are_an_error(change: dict[str, Any], words: str) -> None:
    with pytest.raises(StageError, match=words):
        funnel(download=DOWNLOAD, filter={**FILTER, **change})


COUNTS = st.integers(0, 9)


@given(st.lists(st.tuples(COUNTS, COUNTS, COUNTS, COUNTS), min_size=1, max_size=5))
def test_nothing_is_lost_between_records_and_what_is_left(sources: list[tuple[int, int, int, int]]) -> None:
    rows = {f"s{n}": counts for n, counts in enumerate(sources)}
    kept, bad, short, long = (sum(column) for column in zip(*sources, strict=True))
    found = made(
        download={
            "documents_in": kept + bad + short + long,
            "documents_out": kept + short + long,
            "dropped_by_reason": {"bad": bad},
            "records_by_source": {name: sum(counts) for name, counts in rows.items()},
            "documents_by_source": {name: k + s + n for name, (k, b, s, n) in rows.items()},
            "dropped_by_source": {name: {"bad": b} for name, (k, b, s, n) in rows.items()},
        },
        filter={
            "documents_in": kept + short + long,
            "documents_out": kept,
            "dropped_by_reason": {"short": short, "long": long},
            "documents_by_source": {name: k for name, (k, b, s, n) in rows.items()},
            "dropped_by_source": {name: {"short": s, "long": n} for name, (k, b, s, n) in rows.items()},
        },
    )
    for one in (found.total, *found.sources):
        assert one.num_records - one.num_left == sum(sum(step.dropped.values()) for step in one.steps)
    assert sum(one.num_left for one in found.sources) == found.total.num_left == kept


# Of web's 5 documents the mixture leaves 1 out and has 2 twice.
SHARD = {
    "documents_in": 5,
    "documents_out": 6,
    "documents_dropped": 1,
    "documents_repeated": 2,
    "dropped_by_reason": {"mixture_not_drawn": 1},
    "documents_by_source": {"web": 6},
    "dropped_by_source": {"web": {"mixture_not_drawn": 1}},
    "mixture": {"web": {"repeats": 2}},
}


def test_what_a_mixture_leaves_out_is_a_step_and_what_it_repeats_counts_once() -> None:
    found = made(download=DOWNLOAD, filter=FILTER, dedup=DEDUP, shard=SHARD)
    step = Step("shard", 5, 4, {"mixture_not_drawn": 1})
    assert found.total.steps[-1] == step
    assert [one.steps[-1] for one in found.sources if one.source == "web"] == [step]
    assert found.taken_from("shard", "mixture_not_drawn") == {"web": 1}


def test_shard_is_no_step_where_it_leaves_nothing_out() -> None:
    whole = {**SHARD, "documents_out": 5, "documents_dropped": 0, "documents_repeated": 0, "dropped_by_reason": {}}
    assert made(download=DOWNLOAD, filter=FILTER, dedup=DEDUP, shard=whole).total.steps[-1].stage == "dedup"
