import pytest

from pretrain.dedup.corpus import LIBRARIES_BYTES, CorpusPart, make_layout

MIB = 1 << 20


def layout(*sizes, budget_bytes=MIB):
    parts, start = [], 0
    for number, size in enumerate(sizes):
        parts.append(CorpusPart(number, start, size, None, None))
        start += size
    return make_layout(parts, LIBRARIES_BYTES + budget_bytes)


def test_groups_take_parts_up_to_the_memory_of_their_keys():
    made = layout(1000, 2000, 0, 300, 9000, 1, budget_bytes=MIB)  # 3276 documents
    assert [[part.number for part in group.parts] for group in made.groups] == [[0, 1, 2], [3], [4], [5]]
    assert made.starts == [0, 3000, 3300, 12_300, 12_301]
    assert layout().groups == () and layout().starts == [0]


def test_a_partition_takes_half_of_the_budget():
    assert layout(1).num_partitions(0) == layout(1).num_partitions(MIB // 640) == 1
    assert layout(1).num_partitions(MIB // 640 + 1) == 2
    assert layout(1).num_partitions(1000, row_bytes=MIB // 100) == 20


@pytest.mark.parametrize(
    ("num_documents", "group_documents"),
    [
        (1, 16_384),
        (262_144, 16_384),
        (800_000, 50_000),  # a 16th of all
        (4_000_000, 131_072),
        (8_388_608, 131_072),
        (100_000_000, 1_562_500),  # a 64th of all
    ],
)
def test_where_memory_allows_more_a_group_has_some_16384_documents_to_a_64th_of_all(num_documents, group_documents):
    made = layout(*[num_documents // 100] * 99, num_documents - num_documents // 100 * 99, budget_bytes=1024 * MIB)
    assert made.group_documents == group_documents
    assert made.num_partitions(num_documents) == -(-num_documents // group_documents)


def test_a_group_takes_whole_parts():
    assert layout(*[50_000] * 16, budget_bytes=1024 * MIB).starts[:3] == [0, 50_000, 100_000]
    assert layout(*[25_000] * 32, budget_bytes=1024 * MIB).starts[:3] == [0, 50_000, 100_000]
    assert layout(*[1_000_000] * 100, budget_bytes=1024 * MIB).starts[:3] == [0, 1_000_000, 2_000_000]


@pytest.mark.parametrize(
    ("sizes", "pieces"),
    [
        ([0], [[(0, 0)]]),
        ([4096, 3], [[(0, 4096)], [(4096, 4099)]]),
        ([10_000], [[(0, 4096), (4096, 8192), (8192, 10_000)]]),
        (
            [200_000, 9000],
            [
                [(first, min(first + 8192, 200_000)) for first in range(0, 200_000, 8192)],
                [(200_000, 208_192), (208_192, 209_000)],
            ],
        ),
        ([100_000] * 64, [[(100_000 * number, 100_000 * (number + 1))] for number in range(64)]),
    ],
)
def test_a_corpus_of_few_parts_is_cut_into_some_32_pieces_of_whole_row_groups(sizes, pieces):
    made = layout(*sizes, budget_bytes=1024 * MIB)
    parts = [part for group in made.groups for part in group.parts]
    assert [[(piece.start, piece.stop) for piece in made.pieces(part)] for part in parts] == pieces


def test_units_of_two_limits_have_two_names():
    assert layout(1, budget_bytes=32 * MIB).name("exact", 3) == "exact-32m-16384d-00003"
    assert layout(1, budget_bytes=128 * MIB).name("exact", 3) == "exact-128m-16384d-00003"
    assert layout(1, budget_bytes=129 * MIB - 1).name("exact", 3) == "exact-128m-16384d-00003"
