from pathlib import Path

from tests.download.downloading import download


def test_a_file_of_no_known_format_is_one_ledger_row(folder: Path):
    (folder / "a.jsonl").write_text('{"text":"a"}')
    (folder / "notes.md").write_text("# Notes")
    (folder / "picture").write_bytes(b"\x89PNG\r\n")
    result = download(folder, {"uri": "."})
    assert result.texts == ["a"]
    assert result.reasons == [("unknown_format", "notes.md"), ("unknown_format", "picture")]
    assert result.stats["documents_in"] == 3


def test_json_lines_are_known_by_name_when_the_first_line_is_broken(folder: Path):
    (folder / "a.jsonl").write_text('ken"}\n{"text":"a"}')
    assert download(folder, {"uri": "a.jsonl"}).texts == ["a"]


def test_json_lines_are_known_by_content_without_a_name(folder: Path):
    (folder / "dump").write_text(' \n{"text":"a"}')
    assert download(folder, {"uri": "dump"}).texts == ["a"]


def test_a_named_format_is_taken_at_its_word(folder: Path):
    (folder / "dump").write_text('oops\n{"text":"a"}')
    result = download(folder, {"uri": "dump", "format": "jsonl"})
    assert (result.texts, result.reasons) == (["a"], [("invalid_json", "dump:1")])


def test_hidden_files_of_a_folder_are_no_data(folder: Path):
    (folder / "a.jsonl").write_text('{"text":"a"}')
    (folder / ".a.jsonl.swp").write_text("x")
    (folder / ".git").mkdir()
    (folder / ".git" / "config").write_text("x")
    assert download(folder, {"uri": "."}).reasons == []
