"""Raw text to shards: download, filter, dedup, language, decontaminate, shard."""

from prefect import flow

from pretrain.runs import part_of_run
from pretrain.spec import RunSpec
from tasks.adapter import ArtifactRef
from tasks.decontaminate import decontaminate_documents
from tasks.dedup import deduplicate
from tasks.download import download_documents
from tasks.filter import filter_documents
from tasks.language import keep_languages
from tasks.shard import shard_documents


@flow(name="prepare-data", flow_run_name="prepare-data")
def prepare_data(spec: RunSpec) -> ArtifactRef:
    """Documents from the recipe's sources, cleaned and shuffled into train and validation shards."""
    with part_of_run(spec, "shard") as run:
        documents = download_documents(run)
        if run.wants("filter"):
            documents = filter_documents(run, documents)
        deduplicated = None
        if run.wants("dedup"):
            documents = deduplicated = deduplicate(run, documents)
        if run.wants("language"):
            documents = keep_languages(run, documents)
        if run.wants("decontaminate"):
            documents = decontaminate_documents(run, documents)
        if run.wants("shard"):
            documents = shard_documents(run, documents, deduplicated)
    return documents
