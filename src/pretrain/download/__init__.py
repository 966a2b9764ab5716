"""The `download` stage: sources outside the store become normalised document parts.

    config.py      what a source is in a recipe
    inputs.py      which outside files a source means, and what stands for their content (planning)
    hub_files.py   which files are a split of a local dataset folder
    units.py       how files are cut into units of work
    content.py     bytes of a file, decompressed, checked against what was planned; splitting.py, decoding.py: its
                   pieces and their text; random_access.py: as a local file
    formats.py     which reader reads a file: one file a format under readers/, one line in the registry
    records.py     one raw record to one document, or to a ledger row that says why not; fields.py: keys and paths
    remote.py      files behind a URL; remote_copies.py: their checked copies in the cache; remote_reading.py: how they
                   come there
    crawl_stream.py, crawl_records.py, http_message.py, web_text.py    crawl files: bytes, records, responses, pages
    extraction.py  the main text of pages, in a process of its own: extraction_worker.py
    tables.py, csv_rows.py, tar_members.py, zip_members.py, ...    what readers are made of
    stage.py       the stage

A new format is one file in readers/, one line in formats.py, one name in config.py and one test.
"""
