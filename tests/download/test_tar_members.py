import io
import subprocess
import tarfile
from pathlib import Path

import pytest

from pretrain.download.content import UnreadableContentError
from pretrain.download.tar_members import Member, is_tar, tar_members
from tests.download.archives import add, tar_bytes

FILES = {"a.py": b"a" * 513, "deep/" * 60 + "b.py": b"", "ü" * 120: b"c" * 512, "d": b"d"}


def members(data: bytes, max_bytes: int = 1 << 20, size: int = 1000) -> list[Member | str]:
    """What an archive that comes in pieces of `size` bytes holds, and the reason of its end last, if it has one."""
    found: list[Member | str] = []
    content = iter([data[start : start + size] for start in range(0, len(data), size)])
    try:
        for member in tar_members(content, max_bytes):
            found.append(member)
    except UnreadableContentError as error:
        found.append(str(error))
    return found


@pytest.mark.parametrize("layout", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
@pytest.mark.parametrize("size", [1, 511, 100_000])
def test_names_and_contents_are_those_of_the_library(layout, size):
    data = tar_bytes(FILES, layout=layout)
    assert members(data, size=size) == [Member(name, content) for name, content in FILES.items()]


def test_archives_of_the_tar_command_are_read(tmp_path: Path):
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "main.c").write_text("int main;")
    (tmp_path / "src" / ("n" * 200)).write_text("long name")
    (tmp_path / "src" / "link").symlink_to("main.c")
    for layout in ("gnu", "pax", "ustar", "v7"):
        short = ["--exclude=n*"] if layout in ("ustar", "v7") else []
        data = subprocess.check_output(["tar", f"--format={layout}", *short, "-cf", "-", "src"], cwd=tmp_path)
        found = {member.name: member for member in members(data) if isinstance(member, Member)}
        assert is_tar(data)
        assert found["src/main.c"].data == b"int main;"
        assert found["src/link"] == Member("src/link", None, "link", is_file=False)


def test_links_and_devices_are_no_files_and_folders_no_members():
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        add(archive, "folder", type=tarfile.DIRTYPE)
        add(archive, "soft", type=tarfile.SYMTYPE, linkname="/etc/passwd")
        add(archive, "hard", type=tarfile.LNKTYPE, linkname="x" * 300)
        add(archive, "tty", type=tarfile.CHRTYPE)
        add(archive, "pipe", type=tarfile.FIFOTYPE)
        add(archive, "file", b"f")
    assert [(member.name, member.reason, member.is_file) for member in members(out.getvalue())] == [
        ("soft", "link", False),
        ("hard", "link", False),
        ("tty", "device", False),
        ("pipe", "device", False),
        ("file", None, True),
    ]


def test_members_over_the_limit_are_passed_over():
    data = tar_bytes({"a": b"a" * 100, "b": b"b" * 101, "c": b"c"})
    assert members(data, max_bytes=100) == [Member("a", b"a" * 100), Member("b", None, "too_large"), Member("c", b"c")]


def test_a_sparse_file_is_passed_over(tmp_path: Path):
    with (tmp_path / "sparse").open("wb") as out:
        for index in range(30):  # so many that GNU's map needs a second block
            out.seek(index * 100_000)
            out.write(b"x" * 5000)
    (tmp_path / "z").write_text("z")
    for layout in ("gnu", "pax"):
        command = ["tar", "-S", f"--format={layout}", "-cf", "-", "sparse", "z"]
        first, second = members(subprocess.check_output(command, cwd=tmp_path))
        assert isinstance(first, Member)
        assert (first.data, first.reason, second) == (None, "sparse_file", Member("z", b"z"))


@pytest.mark.parametrize(
    ("cut", "expected"),
    [
        (512 + 512 - 1, ["truncated_file"]),
        (512 * 2, [Member("a", b"a" * 512), "truncated_file"]),
        (512 * 2 + 100, [Member("a", b"a" * 512), "truncated_file"]),
        (512 * 4, [Member("a", b"a" * 512), Member("b", b"b"), "truncated_file"]),
        (512 * 5, [Member("a", b"a" * 512), Member("b", b"b")]),
        (0, ["truncated_file"]),
    ],
)
def test_members_before_the_cut_are_kept(cut, expected):
    assert members(tar_bytes({"a": b"a" * 512, "b": b"b"})[:cut]) == expected


def test_a_damaged_header_is_no_silent_end():
    data = bytearray(tar_bytes({"a": b"a", "b": b"b", "c": b"c"}))
    data[1024 + 20] ^= 1
    assert members(bytes(data)) == [Member("a", b"a"), "damaged_file"]


def test_archives_after_one_another_are_one():
    data = tar_bytes({"a": b"a"}) + tar_bytes({"b": b"b"})
    assert members(data) == [Member("a", b"a"), Member("b", b"b")]
    assert members(tar_bytes({"a": b"a"}) + b"garbage") == [Member("a", b"a"), "truncated_file"]


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/passwd", "a\nb", "x" * 4000, "\udcff\udcfe", "-rf ~", "C:\\x"]
)
def test_hostile_names_are_text(name):
    assert members(tar_bytes({name: b"x"}))[0] == Member(name, b"x")


def test_a_header_that_no_archive_needs_is_not_held_in_memory():
    info = tarfile.TarInfo("././@PaxHeader")
    info.type, info.size = tarfile.XHDTYPE, 1 << 30
    assert members(info.tobuf() + bytes(512)) == ["too_large"]


def test_a_size_that_the_archive_does_not_have_ends_it():
    info = tarfile.TarInfo("a")
    info.size = 1 << 60
    assert members(info.tobuf(tarfile.GNU_FORMAT) + bytes(5120)) == ["truncated_file"]
    info.size = -5
    assert members(info.tobuf(tarfile.GNU_FORMAT) + bytes(5120)) == ["damaged_file"]


@pytest.mark.parametrize("data", [b"", b"text", bytes(1024), b"text " * 300])
def test_what_is_no_archive(data):
    assert not is_tar(data)
