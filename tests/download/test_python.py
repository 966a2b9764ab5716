import json
from pathlib import Path

import pytest

from pretrain.documents import Document
from pretrain.download.config import Source
from pretrain.download.formats import read_records
from pretrain.download.python_files import Installation, python_files
from pretrain.download.records import Record, to_row
from pretrain.errors import InputError
from pretrain.external import ExternalFile, ExternalInput
from pretrain.filehash import FileHashes

LONG = " ".join(["A sentence that makes this docstring long enough to be prose."] * 4)

MODULE = f'''"""Module docs. {LONG}"""
import missing_module_that_would_fail_on_import

class Outer:
    """Outer docs."""

    def method(self):
        r"""Method
        docs \\d."""
        def inner():
            """Inner docs."""

if True:
    async def late():
        """Late docs."""

def bare():
    return 1
'''

FILES = {
    "lib/json/decoder.py": MODULE,
    "lib/json/__init__.py": f'"""{LONG}"""',
    "lib/short.py": '"""Too short to be prose."""',
    "lib/empty.py": "\n",
    "lib/latin.py": b'# -*- coding: latin-1 -*-\n"""' + LONG.encode() + b'caf\xe9"""\n',
    "lib/liar.py": b'"""caf\xe9"""\n',
    "lib/unknown.py": b"# coding: no-such-codec\n",
    "lib/bom.py": b"\xef\xbb\xbfx = 1\r\n",
    "lib/broken.py": "def (:\n",
    "lib/nul.py": "x = 1\0\n",
    "lib/pydoc_data/topics.py": "topics = {'assert': 'The assert', 'del': r'''The del''', 'no': ' '}\n",
    "lib/test/test_json.py": "x = 1\n",
    "lib/__pycache__/x.py": "x = 1\n",
    "lib/site-packages/hidden/x.py": "x = 1\n",
    "lib/data.txt": "no Python",
    "site/pkg/__init__.py": f'"""{LONG}"""',
    "site/pkg/_vendor/copy.py": f'"""{LONG}"""',
    "site/pkg/tests/test_pkg.py": f'"""{LONG}"""',
    "site/single.py": f'"""{LONG}"""',
    "site/other/__init__.py": f'"""{LONG}"""',
}


@pytest.fixture
def installation(folder: Path) -> Installation:
    for name, content in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return Installation(folder / "lib", (folder / "site",))


def files(installation: Installation, uri: str = "python://docs", **options: object) -> list[ExternalFile]:
    source = Source.model_validate({"name": "py", "uri": uri, **options})
    return python_files(source, installation, FileHashes())


def rows(installation: Installation, uri: str, **options: object):
    source = Source.model_validate({"name": "py", "uri": uri, **options})
    found = python_files(source, installation, FileHashes())
    return [to_row(record, source, file.name) for file in found for record in read_records(file, source)]


def test_code_is_every_source_file_of_the_library_unchanged(installation):
    found = rows(installation, "python://code", license="PSF-2.0")
    texts = {json.loads(row.metadata or "")["path"]: row.text for row in found if isinstance(row, Document)}
    assert sorted(texts) == [
        "stdlib/bom.py",
        "stdlib/broken.py",
        "stdlib/json/__init__.py",
        "stdlib/json/decoder.py",
        "stdlib/latin.py",
        "stdlib/nul.py",
        "stdlib/short.py",
    ]
    assert texts["stdlib/json/decoder.py"] == MODULE
    assert texts["stdlib/bom.py"] == "x = 1\r\n"
    assert texts["stdlib/latin.py"].endswith('café"""\n')
    bad = [(row.reason, row.evidence) for row in found if not isinstance(row, Document)]
    assert bad == [("invalid_encoding", "stdlib/liar.py"), ("invalid_encoding", "stdlib/unknown.py")]


def test_docs_are_docstrings_by_module_under_their_qualified_names(installation):
    found = rows(installation, "python://docs", packages=["pkg", "single"])
    documents = [row for row in found if isinstance(row, Document)]
    texts = {json.loads(row.metadata or "").get("module"): row.text for row in documents}
    assert sorted(name for name in texts if name) == [
        "json", "json.decoder", "latin", "pkg", "pkg._vendor.copy", "single",
    ]  # fmt: skip
    assert texts["json.decoder"] == (
        f"json.decoder\n\nModule docs. {LONG}\n\njson.decoder.Outer\n\nOuter docs.\n\n"
        "json.decoder.Outer.method\n\nMethod\ndocs \\d.\n\njson.decoder.Outer.method.inner\n\nInner docs.\n\n"
        "json.decoder.late\n\nLate docs."
    )
    bad = [(row.reason, row.evidence) for row in found if not isinstance(row, Document)]
    assert bad == [
        ("syntax_error", "stdlib/broken.py"),
        ("invalid_encoding", "stdlib/liar.py"),
        ("syntax_error", "stdlib/nul.py"),
        ("invalid_encoding", "stdlib/unknown.py"),
    ]


def test_topics_of_the_language_reference_are_one_document_each(installation):
    found = [row for row in rows(installation, "python://docs", packages=[]) if isinstance(row, Document)]
    metadata = [json.loads(row.metadata or "") for row in found]
    topics = [(entry["topic"], row.text) for entry, row in zip(metadata, found, strict=True) if "topic" in entry]
    assert topics == [("assert", "The assert"), ("del", "The del")]


def test_source_that_nests_beyond_the_parser_is_a_syntax_error(installation):
    path = installation.stdlib / "deep.py"
    path.write_text("x = " + "(" * 5000 + ")" * 5000)
    found = rows(installation, "python://docs", packages=[])
    assert ("syntax_error", "stdlib/deep.py") in [(row[3], row[6]) for row in found if not isinstance(row, Document)]


def test_null_means_every_installed_package_and_a_missing_one_is_named(installation):
    tops = {file.name.split("/")[1] for file in files(installation) if file.name.startswith("packages/")}
    assert tops == {"pkg", "single.py", "other"}
    with pytest.raises(InputError, match="package 'absent' is not installed"):
        files(installation, packages=["pkg", "absent"])


def test_a_limit_takes_the_same_whole_files_wherever_they_lie(installation, folder: Path):
    sizes = {file.name: file.bytes for file in files(installation)}
    limited = files(installation, max_bytes=2000)
    assert sum(file.bytes for file in limited) <= 2000 < sum(sizes.values())
    assert "stdlib/pydoc_data/topics.py" in [file.name for file in limited]
    moved = folder.rename(folder.with_name("moved"))
    elsewhere = Installation(moved / "lib", (moved / "site",))
    assert [(f.name, f.identity) for f in files(elsewhere, max_bytes=2000)] == [(f.name, f.identity) for f in limited]


def test_identity_counts_the_files_that_are_read_and_no_others(installation):
    def fingerprint() -> str:
        return ExternalInput("source:py", tuple(files(installation, packages=["pkg"]))).fingerprint

    before = fingerprint()
    (installation.packages[0] / "other" / "__init__.py").write_text("changed")
    (installation.stdlib / "test" / "test_json.py").write_text("changed")
    assert fingerprint() == before
    (installation.packages[0] / "pkg" / "__init__.py").write_text("changed")
    assert fingerprint() != before


def test_a_file_changed_after_planning_stops_the_run(installation):
    source = Source(name="py", uri="python://code")
    file = next(file for file in files(installation, "python://code") if file.name == "stdlib/broken.py")
    (installation.stdlib / "broken.py").write_text("x = 2\n")
    with pytest.raises(InputError, match=r"broken\.py was changed"):
        list(read_records(file, source))


def test_the_running_installation(folder: Path):
    installation = Installation.running()
    code = Source(name="code", uri="python://code")
    by_name = {file.name: file for file in python_files(code, installation, FileHashes())}
    (record,) = read_records(by_name["stdlib/json/decoder.py"], code)
    assert isinstance(record, Record)
    assert record.fields["text"] == (installation.stdlib / "json" / "decoder.py").read_text()
    docs = Source(name="docs", uri="python://docs", packages=())
    by_name = {file.name: file for file in python_files(docs, installation, FileHashes())}
    topics = list(read_records(by_name["stdlib/pydoc_data/topics.py"], docs))
    assert len(topics) > 60
    assert {"assert", "with", "yield"} <= {row.fields["topic"] for row in topics if isinstance(row, Record)}
