"""The base of every config model: frozen, strict about unknown keys, with an identity.

The identity is what takes part in a fingerprint. A field annotated with `Location` says *where* something is
(a uri, a path), never *what* it is, so it is left out: the content found there is an input with a fingerprint
of its own, and a moved folder rebuilds nothing.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict


class Location:
    """Marks a config field that names a place; use as `Annotated[str, Location()]`."""


class Config(BaseModel):
    """Base of recipe models: immutable; unknown keys, nan and infinity refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, allow_inf_nan=False)

    def identity(self) -> dict[str, Any]:
        """The JSON-able part of this config that bears on the result: all fields but locations."""
        fields = type(self).model_fields
        return {
            name: _identity(getattr(self, name))
            for name, field in fields.items()
            if not any(isinstance(mark, Location) for mark in field.metadata)
        }


def _identity(value: Any) -> Any:
    if isinstance(value, Config):
        return value.identity()
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, dict):
        return {str(key): _identity(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_identity(item) for item in value]
    return value
