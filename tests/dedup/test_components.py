import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pretrain.dedup.components import COMPONENT_COLUMNS, ComponentsUnit, find_components
from pretrain.dedup.graph import flatten, unite
from pretrain.dedup.shuffle import Slice, read_slice, write_rows
from pretrain.errors import StageError
from pretrain.stage import UnitFiles
from pretrain.store import LocalStore


def components_of(size, edges):
    """By repeated relabelling: the lowest index that can be reached."""
    label = list(range(size))
    for _ in range(size):
        for left, right in edges:
            label[left] = label[right] = min(label[left], label[right])
    return label


@settings(deadline=None)
@given(st.integers(1, 12).flatmap(lambda n: st.tuples(st.just(n), st.lists(st.tuples(*[st.integers(0, n - 1)] * 2)))))
def test_components_are_those_of_repeated_relabelling(case):
    size, edges = case
    parents = np.arange(size, dtype=np.int32)
    left, right = (np.array([edge[side] for edge in edges], np.int32) for side in (0, 1))
    unite(parents, left, right)
    is_shared = flatten(parents)
    expected = components_of(size, edges)
    assert parents.tolist() == expected
    assert is_shared.tolist() == [expected.count(label) > 1 for label in expected]


def unit(**values):
    made = ComponentsUnit("components", (), (), (), [0, 3, 3, 6], 1 << 20)
    return made._replace(**values)


def test_relations_of_all_kinds_connect_and_each_group_has_its_rows(tmp_path):
    files = UnitFiles(LocalStore(tmp_path), "dedup/x")
    write_rows(files, "exact", np.array([[5, 1, 0, 0, 1]], np.uint64))
    write_rows(files, "words", np.array([[3, 2, 0], [4, 0, 2]], np.uint64))  # the second is of a ghost
    write_rows(files, "links", np.array([[2, 5, 0]], np.uint64))
    kinds = {"exact": Slice("exact", 0, 1), "same_words": Slice("words", 0, 2), "links": Slice("links", 0, 1)}
    counts = find_components(files, unit(**{kind: (chosen,) for kind, chosen in kinds.items()}))
    rows = read_slice(files, Slice("components", 0, 4), COMPONENT_COLUMNS)
    assert rows.tolist() == [[1, 1], [2, 1], [3, 1], [5, 1]]
    assert counts == {"files": [("components", [0, 2, 2, 4])], "related": 4}


def test_more_documents_than_the_limit_has_room_for_are_refused_with_what_is_missing(tmp_path):
    files = UnitFiles(LocalStore(tmp_path), "dedup/x")
    with pytest.raises(StageError, match=r"take 4 MiB .* leaves 1 MiB: raise it by 4 MiB"):
        find_components(files, unit(starts=[0, 1_000_000]))
