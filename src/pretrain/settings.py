"""Where and how to run, for every run of a user: what no recipe holds, because it bears on no result.

    # ~/.config/pretrain/settings.toml, or the file that PRETRAIN_SETTINGS names
    [store.options]
    endpoint_url = "https://s3.example.org"
    region = "eu-central-1"
    profile = "team"
    addressing_style = "path"
    ca_bundle = "/etc/ssl/own-ca.pem"

The ordinary AWS variables go before it. No file of the current folder is read: one that came with a clone could send
signed requests elsewhere. Keys and secrets have no place in it.
"""

import os
import tomllib
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pretrain.errors import UsageError


class StoreOptions(BaseModel):
    """How an S3 server is reached. None leaves it to the AWS variables and files."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    endpoint_url: str | None = Field(default=None, pattern=r"^https?://[^@\s]+$")
    region: str | None = None
    profile: str | None = None
    addressing_style: Literal["auto", "path", "virtual"] = "auto"
    ca_bundle: str | None = None


class StoreSettings(BaseModel):
    """What is set for stores."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    options: StoreOptions = StoreOptions()


class Settings(BaseModel):
    """The whole file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    store: StoreSettings = StoreSettings()


def settings_path() -> Path:
    """Where the settings are looked for."""
    explicit = os.environ.get("PRETRAIN_SETTINGS")
    if explicit:
        return Path(explicit)
    base = os.environ.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path.home() / ".config") / "pretrain" / "settings.toml"


def load_settings() -> Settings:
    """The user's settings; the defaults where there is no file.

    Raises:
        UsageError: the file that `PRETRAIN_SETTINGS` names is not there, or the file is not as it should be.
    """
    path = settings_path()
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        if os.environ.get("PRETRAIN_SETTINGS"):
            raise UsageError(f"PRETRAIN_SETTINGS names {path}, which is not there: correct or unset it") from error
        return Settings()
    except OSError as error:
        raise UsageError(f"the settings {path} cannot be read: {error}") from error
    try:
        return Settings.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"the settings {path} are no TOML: {error}") from error
    except ValidationError as error:
        # never the value: someone may have put a secret where none belongs
        problems = [f"{'.'.join(map(str, p['loc']))}: {p['msg']}" for p in error.errors(include_input=False)]
        known = ", ".join(StoreOptions.model_fields)
        raise UsageError(f"the settings {path}: {'; '.join(problems)}; store.options takes {known}") from error
