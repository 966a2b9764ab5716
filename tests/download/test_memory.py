"""Large files stream: the stage's own process stays within 1.5 GB at its peak, whatever the size of the file."""

import gzip
import io
import json
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.download.crawls import html, page, warc

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of memory from /proc"),
]

PEAK_BYTES = 1_500_000_000
PARAGRAPH = "The quick brown fox jumps over the lazy dog, and the dog does not mind at all. " * 12  # 948 characters
TABLE = pa.table({"text": [f"{index} {PARAGRAPH}" for index in range(1050)]})

READ = """
import json, re, sys
from pathlib import Path
from pretrain.download.config import DownloadConfig
from pretrain.download.stage import read_unit
from pretrain.download.units import cut_units
from pretrain.stage import UnitFiles
from pretrain.store import LocalStore
from tests.download.downloading import plan

folder = Path(sys.argv[1])
config = DownloadConfig.model_validate({"sources": [{"name": "s", "uri": sys.argv[2], **json.loads(sys.argv[3])}]})
(unit,) = cut_units(config, {entry.name: entry for entry in plan(folder, config)})
stats = read_unit(UnitFiles(LocalStore(folder.parent / "store"), "download/x"), unit)
# ru_maxrss would count what the process was before it ran this: a copy of the test's own.
peak = int(re.search(r"VmHWM:\\s*(\\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024
print(json.dumps({"stats": stats, "peak_bytes": peak}))
"""


class Large(NamedTuple):
    """A file to make, the records it has, and how large it is at least."""

    name: str
    write: Callable[[Path], None]
    num_documents: int
    num_bytes: int
    options: tuple[tuple[str, Any], ...] = ()


def million_lines(path: Path) -> None:
    with path.open("w") as out:
        for index in range(1_000_000):
            out.write(f'{{"text":"line {index}","n":{index}}}\n')


def gigabyte(path: Path) -> None:
    with path.open("w") as out:
        for index in range(1_050_000):
            out.write(json.dumps({"text": f"{index} {PARAGRAPH}", "n": index}) + "\n")


def array(path: Path) -> None:
    with path.open("w") as out:
        out.write("[")
        for index in range(300_000):
            out.write((",\n" if index else "") + json.dumps({"text": f"{index} {PARAGRAPH}"}))
        out.write("]")


def csv_rows(path: Path) -> None:
    with path.open("w") as out:
        out.write("n,text\n")
        for index in range(1_050_000):
            out.write(f'{index},"{index} ""{PARAGRAPH}"" \n"\n')


def tar_gz(path: Path) -> None:
    with gzip.open(path, "wb", compresslevel=1) as compressed, tarfile.open(fileobj=compressed, mode="w|") as out:
        data = PARAGRAPH.encode() * 5
        for index in range(200_000):
            info = tarfile.TarInfo(f"src/{index}.c")
            info.size = len(data)
            out.addfile(info, io.BytesIO(data))


def parquet(path: Path) -> None:
    """One row group: nothing but pages to stream by."""
    table = pa.concat_tables([TABLE] * 1000)
    pq.write_table(table, path, row_group_size=table.num_rows, compression="none", use_dictionary=False)


def arrow(path: Path) -> None:
    with pa.ipc.new_file(path, TABLE.schema) as writer:
        for _ in range(1000):
            writer.write_table(TABLE)


def lines_of_text(path: Path) -> None:
    with path.open("w") as out:
        for index in range(1_050_000):
            out.write(f"{index} {PARAGRAPH}\n")


def crawl(path: Path) -> None:
    """Pages in gzip members of their own, stored and not deflated, so that the file is as large as what it holds."""
    pages = [html(page(f"{index} " + "".join(f"{PARAGRAPH}</p><p>" for _ in range(20)))) for index in range(100)]
    batch = b"".join(gzip.compress(warc(response), compresslevel=0) for response in pages)
    with path.open("wb") as out:
        for _ in range(540):
            out.write(batch)


@pytest.mark.parametrize(
    "large",
    [
        Large("lines.jsonl", million_lines, 1_000_000, 30_000_000),
        Large("gigabyte.jsonl", gigabyte, 1_050_000, 1_000_000_000),
        Large("array.json", array, 300_000, 280_000_000),
        Large("rows.csv", csv_rows, 1_050_000, 1_000_000_000),
        Large("code.tar.gz", tar_gz, 200_000, 5_000_000),
        Large("one-group.parquet", parquet, 1_050_000, 1_000_000_000),
        Large("batches.arrow", arrow, 1_050_000, 1_000_000_000),
        Large("lines.txt", lines_of_text, 1_050_000, 1_000_000_000, (("separator", "\n"),)),
        Large("crawl.warc.gz", crawl, 54_000, 1_000_000_000, (("html", {"extractor": "resiliparse"}),)),
    ],
    ids=lambda large: large.name,
)
def test_a_large_file_streams(folder: Path, large: Large):
    large.write(folder / large.name)
    assert (folder / large.name).stat().st_size >= large.num_bytes
    command = [sys.executable, "-c", READ, str(folder), large.name, json.dumps(dict(large.options))]
    output = json.loads(subprocess.check_output(command, text=True, cwd=Path(__file__).parents[2]))
    assert output["stats"]["documents_out"] == large.num_documents
    assert output["stats"]["documents_dropped"] == 0
    assert output["peak_bytes"] < PEAK_BYTES
    print(large.name, output["peak_bytes"] >> 20, "MiB")
