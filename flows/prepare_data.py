"""Raw text to shards: download, filter, dedup, language, decontaminate, shard."""

from prefect import flow

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
    spec = spec.resolved()
    documents = download_documents(spec)
    if spec.wants("filter"):
        documents = filter_documents(spec, documents)
    deduplicated = None
    if spec.wants("dedup"):
        documents = deduplicated = deduplicate(spec, documents)
    if spec.wants("language"):
        documents = keep_languages(spec, documents)
    if spec.wants("decontaminate"):
        documents = decontaminate_documents(spec, documents)
    if spec.wants("shard"):
        documents = shard_documents(spec, documents, deduplicated)
    return documents
