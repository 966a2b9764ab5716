import io
import struct
import zipfile
from pathlib import Path

import pytest

from pretrain.download import zip_members as module
from pretrain.download.content import UnreadableContentError
from pretrain.download.tar_members import Member
from pretrain.download.zip_members import zip_members
from tests.download.archives import zip_bytes

FILES = {"a.py": b"a" * 1000, "deep/b.py": b"", "ü": b"c"}


def members(folder: Path, data: bytes, max_bytes: int = 1 << 20) -> list[Member]:
    (folder / "a.zip").write_bytes(data)
    return list(zip_members(folder / "a.zip", max_bytes))


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_names_and_contents(tmp_path: Path, compression):
    expected = [Member(name, content) for name, content in FILES.items()]
    assert members(tmp_path, zip_bytes(FILES, compression=compression)) == expected


def test_folders_are_no_members_and_links_no_files(tmp_path: Path):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.mkdir("folder")
        link = zipfile.ZipInfo("link")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("folder/a", "a")
    link_member, file_member = members(tmp_path, out.getvalue())
    assert link_member == Member("link", None, "link", is_file=False)
    assert file_member == Member("folder/a", b"a")


def test_a_damaged_member_is_lost_alone(tmp_path: Path):
    data = bytearray(zip_bytes({"a": b"first", "b": b"second", "c": b"third"}, compression=zipfile.ZIP_STORED))
    data[data.index(b"second")] ^= 1
    expected = [Member("a", b"first"), Member("b", None, "bad_checksum"), Member("c", b"third")]
    assert members(tmp_path, bytes(data)) == expected


@pytest.mark.parametrize("name", [b"src/\0", b"\0rc/a", b"src/a/"])
def test_a_damaged_name_makes_no_folder_of_a_file(tmp_path: Path, name):
    data = zip_bytes({"src/ab"[: len(name)]: b"text", "next": b"next"})
    (first, second) = members(tmp_path, name.join(data.rsplit(b"src/ab"[: len(name)], 1)))
    assert first == Member(name.decode(), None, "damaged_file")
    assert second == Member("next", b"next")


def test_members_that_a_damaged_directory_hides_are_told_after_the_others(tmp_path: Path):
    data = bytearray(zip_bytes(dict.fromkeys("abcd", b"text")))
    second = data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 1)
    data[second + 32] = 2 * (46 + 1)  # the length of its comment: both entries that follow it
    (tmp_path / "a.zip").write_bytes(data)
    found = []
    with pytest.raises(UnreadableContentError, match="damaged_file"):
        for member in zip_members(tmp_path / "a.zip", 1 << 20):
            found.append(member.name)
    assert found == ["a", "b"]


def test_members_over_the_limit_are_passed_over_whatever_they_state(tmp_path: Path):
    data = zip_bytes({"a": b"a" * 100, "b": b"b" * 101}, compression=zipfile.ZIP_STORED)
    assert members(tmp_path, data, max_bytes=100) == [Member("a", b"a" * 100), Member("b", None, "too_large")]
    lying = bytearray(zip_bytes({"b": b"b" * 5000}))
    at = lying.index(b"PK\x01\x02")
    lying[at + 24 : at + 28] = struct.pack("<I", 50)  # the size that the directory states
    (member,) = members(tmp_path, bytes(lying), max_bytes=100)
    assert (member.data, member.reason) in [(None, "bad_checksum"), (None, "too_large")]


def test_encrypted_members_and_unknown_compressions_are_named(tmp_path: Path):
    data = bytearray(zip_bytes({"a": b"a", "b": b"b"}, compression=zipfile.ZIP_STORED))
    for magic, flag in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(magic) + flag] |= 1
    last = data.rindex(b"PK\x01\x02")
    data[last + 10] = 97
    assert [member.reason for member in members(tmp_path, bytes(data))] == ["encrypted_file", "unknown_compression"]


@pytest.mark.parametrize(("keep", "reason"), [(0.5, "truncated_file"), (0.0, "truncated_file")])
def test_without_its_directory_nothing_is_read(tmp_path: Path, keep, reason):
    data = zip_bytes(FILES)
    with pytest.raises(UnreadableContentError, match=reason):
        members(tmp_path, data[: int(len(data) * keep)])


def test_a_damaged_directory(tmp_path: Path):
    data = zip_bytes(FILES).replace(b"PK\x01\x02", b"PK\x09\x09")
    with pytest.raises(UnreadableContentError, match="damaged_file"):
        members(tmp_path, data)


def test_a_directory_that_would_not_fit_into_memory_is_not_read(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(module, "MAX_MEMBERS", 10)
    assert len(members(tmp_path, zip_bytes({str(index): b"" for index in range(10)}))) == 10
    with pytest.raises(UnreadableContentError, match="too_many_members"):
        members(tmp_path, zip_bytes({str(index): b"" for index in range(50)}))


def test_a_bomb_of_many_members_ends_with_its_ratio(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(module, "RATIO_FREE_BYTES", 100_000)
    monkeypatch.setattr(module, "MAX_RATIO", 100)
    with pytest.raises(UnreadableContentError, match="bad_ratio"):
        members(tmp_path, zip_bytes({str(index): bytes(100_000) for index in range(50)}))
