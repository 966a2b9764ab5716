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


def test_where_memory_allows_more_a_group_has_131072_documents_or_a_64th_of_all():
    made = layout(*[50_000] * 6, budget_bytes=1024 * MIB)
    assert made.starts == [0, 100_000, 200_000, 300_000]
    assert made.num_partitions(300_000) == 3
    made = layout(*[1_000_000] * 100, budget_bytes=1024 * MIB)
    assert made.starts[:3] == [0, 1_000_000, 2_000_000]
    assert made.group_documents == 1_562_500


def test_units_of_two_limits_have_two_names():
    assert layout(1, budget_bytes=32 * MIB).name("exact", 3) == "exact-32m-104857d-00003"
    assert layout(1, budget_bytes=128 * MIB).name("exact", 3) == "exact-128m-131072d-00003"
    assert layout(1, budget_bytes=129 * MIB - 1).name("exact", 3) == "exact-128m-131072d-00003"
