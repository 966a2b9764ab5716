import bz2
import gzip
import json
import lzma
from pathlib import Path

import pytest
import zstandard

from pretrain.download import content
from pretrain.errors import BadInputFractionError
from tests.download.archives import tar_bytes, zip_bytes
from tests.download.downloading import Downloaded, download

FILES = {
    "repo/src/main.c": b"int main;\r\n",
    "repo/README.md": "# Größe\n".encode(),
    "repo/logo.png": b"\x89PNG\x00",
    "repo/latin.py": b"# caf\xe9\n",
    "repo/pkg/__init__.py": b"\n",
    "repo/Makefile": b"all:\n",
}


def described(result: Downloaded) -> list[tuple[str, object]]:
    return [(document.text, json.loads(document.metadata or "")) for document in result.documents]


EXPECTED = [
    ("int main;\r\n", {"path": "repo/src/main.c", "language": "C", "license": "MIT"}),
    ("# Größe\n", {"path": "repo/README.md", "language": "Markdown", "license": "MIT"}),
    ("all:\n", {"path": "repo/Makefile", "language": "Makefile", "license": "MIT"}),
]


@pytest.mark.parametrize(
    "data",
    [
        tar_bytes(FILES),
        gzip.compress(tar_bytes(FILES)),
        zstandard.compress(tar_bytes(FILES)),
        bz2.compress(tar_bytes(FILES)),
        lzma.compress(tar_bytes(FILES)),
        zip_bytes(FILES),
        gzip.compress(zip_bytes(FILES)),
    ],
)
def test_the_files_of_an_archive_are_documents(folder: Path, data):
    (folder / "repo.tar.gz").write_bytes(data)
    result = download(folder, {"uri": "repo.tar.gz", "license": "MIT"})
    assert described(result) == EXPECTED
    assert result.reasons == [
        ("binary_file", "repo.tar.gz!repo/logo.png"),
        ("invalid_utf8", "repo.tar.gz!repo/latin.py"),
        ("empty_file", "repo.tar.gz!repo/pkg/__init__.py"),
    ]
    assert result.stats["documents_by_license"] == {"MIT": 3}


def test_a_folder_of_files_reads_as_its_archive_does(folder: Path):
    for name, data in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    result = download(folder, {"uri": ".", "format": "code", "license": "MIT"})
    assert sorted(described(result), key=str) == sorted(EXPECTED, key=str)
    assert sorted(result.reasons) == [
        ("binary_file", "repo/logo.png"),
        ("empty_file", "repo/pkg/__init__.py"),
        ("invalid_utf8", "repo/latin.py"),
    ]


def test_what_is_no_source_code_is_no_sign_of_damage(folder: Path):
    (folder / "a.zip").write_bytes(zip_bytes({"a.py": b"a", **{f"{n}.png": b"\x00" for n in range(99)}}))
    result = download(folder, {"uri": "a.zip"}, max_bad_fraction=0.0)
    assert result.stats["skipped_by_source"] == result.stats["dropped_by_source"] == {"s0": {"binary_file": 99}}
    assert (result.stats["documents_in"], result.stats["documents_out"]) == (100, 1)
    (folder / "b.zip").write_bytes(zip_bytes({"a.py": b"a", "b.py": b"\xff", "c.png": b"\x00"}))
    with pytest.raises(BadInputFractionError, match=r"1 of 2 records are unreadable \(50.0%.*: invalid_utf8 1 \(first"):
        download(folder, {"uri": "b.zip"}, max_bad_fraction=0.49)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/passwd", "../../etc/passwd"),
        ("/etc/passwd", "/etc/passwd"),
        ("line\nbreak", "line\\nbreak"),
        ("x" * 300, "x" * 200 + "..."),
        ("'; DROP TABLE documents; --", "'; DROP TABLE documents; --"),
    ],
)
@pytest.mark.parametrize("archive", [tar_bytes, zip_bytes])
def test_hostile_names_are_text_in_metadata_and_one_line_in_evidence(folder: Path, archive, name, shown):
    (folder / "a.bin").write_bytes(archive({name: b"text"}))
    (document,) = download(folder, {"uri": "a.bin"}).documents
    assert json.loads(document.metadata or "")["path"] == name
    (folder / "a.bin").write_bytes(archive({name: b"\xff"}))
    assert download(folder, {"uri": "a.bin"}).reasons == [("invalid_utf8", f"a.bin!{shown}")]
    assert sorted(path.name for path in folder.iterdir()) == ["a.bin"]


def test_a_name_that_is_not_utf8_is_replaced_in_metadata(folder: Path):
    (folder / "a.tar").write_bytes(tar_bytes({"caf\udce9.py": b"text"}))
    (document,) = download(folder, {"uri": "a.tar"}).documents
    assert json.loads(document.metadata or "") == {"path": "caf\ufffd.py", "language": "Python"}


def test_other_encodings_are_read_where_the_recipe_names_them(folder: Path):
    (folder / "a.c").write_bytes(b"// caf\xe9")
    assert download(folder, {"uri": "a.c", "format": "code", "encoding": "latin-1"}).texts == ["// café"]
    (folder / "a.c").write_bytes("// é".encode("utf-16"))
    assert download(folder, {"uri": "a.c", "format": "code", "encoding": "utf-16"}).texts == ["// é"]


def test_members_before_a_cut_are_kept_and_the_rest_is_one_row(folder: Path):
    files = {f"{index}.py": f"# {index} ".encode() * 1000 for index in range(100)}
    data = gzip.compress(tar_bytes(files))
    (folder / "a.tar.gz").write_bytes(data[: len(data) // 2])
    result = download(folder, {"uri": "a.tar.gz"})
    num_kept = len(result.documents)
    assert 20 < num_kept < 80
    assert result.texts == [data.decode() for data in files.values()][:num_kept]
    assert result.reasons == [("truncated_file", "a.tar.gz")]


def test_a_member_that_swells_is_too_large_in_bounded_memory(folder: Path):
    files = {"a.c": b"a", "bomb.c": bytes(70 << 20), "b.c": b"b"}
    for data in (gzip.compress(tar_bytes(files)), zip_bytes(files)):
        (folder / "a").write_bytes(data)
        result = download(folder, {"uri": "a"})
        assert (result.texts, result.reasons) == (["a", "b"], [("too_large", "a!bomb.c")])


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress, bz2.compress, lzma.compress])
def test_a_bomb_ends_with_its_ratio(folder: Path, compress, monkeypatch):
    monkeypatch.setattr(content, "RATIO_FREE_BYTES", 1 << 20)
    monkeypatch.setattr(content, "MAX_RATIO", 100)
    files = {"a.c": b"a", **{f"{index}.c": b"x" * (1 << 20) for index in range(16)}}
    (folder / "a.tar").write_bytes(compress(tar_bytes(files)))
    result = download(folder, {"uri": "a.tar"})
    assert result.texts[0] == "a"
    assert result.reasons[-1] == ("bad_ratio", "a.tar")


def test_a_bomb_is_not_spooled_to_disk(folder: Path, monkeypatch):
    monkeypatch.setattr(content, "RATIO_FREE_BYTES", 1 << 20)
    monkeypatch.setattr(content, "MAX_RATIO", 100)
    (folder / "a").write_bytes(gzip.compress(b"PK\x03\x04" + bytes(50 << 20)))
    assert download(folder, {"uri": "a"}).reasons == [("bad_ratio", "a")]
