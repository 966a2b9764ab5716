"""Pages per CPU second from a crawl file to text: the extractor called directly, and in its process behind a pipe.

    python -m benchmarks.extract CRAWL.warc.gz [--extractor trafilatura|resiliparse] [--rounds N]

CPU seconds are those of this process and of the extractor's. All pages are taken `rounds` times, both ways by turns,
after a first round that has the start in it; the fastest round of each counts. Needs Linux.
"""

import argparse
import time
from pathlib import Path

from pretrain.download.crawl_records import Damage, crawl_records
from pretrain.download.extraction import TextExtractor
from pretrain.download.extraction_worker import EXTRACTORS
from pretrain.download.html_config import HtmlOptions
from pretrain.download.http_message import parse_response
from pretrain.download.records import UnusableRecordError
from pretrain.download.web_text import decode, media_type
from pretrain.external import external_file
from pretrain.filehash import FileHashes


def pages(path: Path) -> list[str]:
    """The HTML pages of a crawl file, decoded."""
    found = []
    for record in crawl_records(external_file(path, path.name, FileHashes())):
        if isinstance(record, Damage) or record.type != "response" or not record.block:
            continue
        try:
            response = parse_response(record.block)
        except UnusableRecordError:
            continue
        content_type = response.header("Content-Type")
        if response.status == 200 and media_type(content_type, response.body) == "html":
            found.append(decode(response.body, content_type, is_html=True))
    return found


def cpu_seconds(pid: int = 0) -> float:
    """CPU time of a process so far; 0 is this one. Linux names the clock of another so (clock_getcpuclockid)."""
    return time.clock_gettime((~pid << 3) | 2) if pid else time.process_time()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("crawl", type=Path)
    parser.add_argument("--extractor", choices=sorted(EXTRACTORS), default="trafilatura")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    options = HtmlOptions(extractor=arguments.extractor)
    html = pages(arguments.crawl)
    extract = EXTRACTORS[options.extractor](options)
    direct, piped = [], []
    with TextExtractor(options) as extractor:
        for _ in range(arguments.rounds + 1):
            started = cpu_seconds()
            expected = [extract(page) for page in html]
            direct.append(cpu_seconds() - started)
            started = cpu_seconds()
            child_started = cpu_seconds(extractor.pid) if extractor.pid else 0.0
            texts = [extractor.extract(page) for page in html]
            piped.append(cpu_seconds() - started + cpu_seconds(extractor.pid) - child_started)
    num_mb = sum(len(page.encode()) for page in html) / 1e6
    for name, seconds in (("direct", min(direct)), ("piped", min(piped))):
        print(f"{name}: {len(html) / seconds:.1f} pages, {num_mb / seconds:.2f} MB of HTML per CPU second")
    print(f"the pipe costs {min(piped) / min(direct) - 1:+.1%}; first round {direct[0]:.2f} s, piped {piped[0]:.2f} s")
    num_different = sum((a or "").strip() != (b or "").strip() for a, b in zip(expected, texts, strict=True))
    print(f"texts that differ: {num_different} of {len(html)}")


if __name__ == "__main__":
    main()
