"""Where a model that a recipe names lies: in a local file or behind a URL. What it is counts, not where."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator

from pretrain.config import Config, Location
from pretrain.external import ExternalFile, Surroundings, external_file
from pretrain.redaction import holds_secret

# The name that every model counts with, so that a renamed file is the same model.
MODEL_FILE_NAME = "model"


class ModelAtPath(Config):
    """A fastText classifier in a local file. Its content counts, the path does not."""

    path: Annotated[str, Location()] = Field(
        min_length=1, description="A .bin or .ftz file; relative to the recipe's folder"
    )


class ModelAtUrl(Config):
    """A fastText classifier fetched once into the cache folder and checked."""

    url: Annotated[str, Location()] = Field(description="Any address that fsspec opens: https, s3, ...")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="Of the file's bytes, as 64 hex digits")

    @field_validator("url")
    @classmethod
    def _check_url(cls, url: str) -> str:
        if "://" not in url:
            raise ValueError("is no URL: give a local file as {path: ...}")
        if holds_secret(url):
            raise ValueError("holds credentials: take them out of the recipe and put them into the environment")
        return url


def model_file(model: ModelAtPath | ModelAtUrl, around: Surroundings) -> ExternalFile:
    """The model as an outside file. One at a url is not fetched yet: the recipe tells its sha256.

    Raises:
        InputError: it is not there.
    """
    if isinstance(model, ModelAtUrl):
        return ExternalFile(MODEL_FILE_NAME, model.url, f"sha256:{model.sha256}", 0)
    return external_file(around.recipe_folder / Path(model.path).expanduser(), MODEL_FILE_NAME, around.hashes)
