"""Where in the rows of a file the text of evaluation items is: what `decontaminate` reads of a task."""

from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from pretrain.config import Config, Location

Key = Annotated[str, Field(min_length=1)]
# A value of a row by key, each compared as text: {split: test}, {subject: [anatomy, astronomy]}
Where = dict[Key, str | int | bool | tuple[str | int | bool, ...]]


class TaskFile(Config):
    """The items of one evaluation task, in files of JSON Lines, JSON, CSV, TSV or Parquet.

    A row is an item. Each entry of `fields` gives passages of it, that are looked for on their own: a key, with
    dots into mappings (`choices.text`), or a list of keys, whose values are joined by a space in every
    combination (`[question, choices.text]`: the question with each choice). A list gives each of its values, a
    mapping its keys.
    """

    stated_in: ClassVar[str] = "decontaminate.tasks"

    name: str = Field(pattern=r"^[\w.-]+$", description="Name of the task, in ledger and counts")
    path: Annotated[str, Location()] = Field(
        min_length=1,
        description="File, folder or glob, relative to the recipe's folder; .gz, .zst, .bz2 and .xz are read too",
    )
    fields: tuple[Key | Annotated[tuple[Key, ...], Field(min_length=1)], ...] = Field(
        min_length=1, description="Where the text of an item is; questions at least, answers where they are long"
    )
    id: str | None = Field(
        default=None,
        description="Key of an item's id; rows of one id are one item. null: the number of the row, from 0",
    )
    blank: str | None = Field(default=None, min_length=1, description="A gap in the text, `_` in WinoGrande")
    blank_fields: tuple[Key, ...] = Field(
        default=(), description="Keys of what fills the gap: one passage with each ([option1, option2])"
    )
    min_words: int | None = Field(
        default=None, ge=1, description="As `min_words` of the stage, for this task; null: that of the stage"
    )

    @model_validator(mode="after")
    def _blanks_are_filled(self) -> Self:
        if (self.blank is None) != (not self.blank_fields):
            raise ValueError("blank and blank_fields belong together: what the gap is, and what fills it")
        return self

    @property
    def rows_where(self) -> Where:
        """Which rows are items; empty: all."""
        return {}


class EvalTaskFile(TaskFile):
    """What to look for of a task that the recipe's `eval` binds, made of its entry there."""

    stated_in: ClassVar[str] = "eval.tasks"

    where: Where = Field(default={}, description="As in the entry of `eval.tasks`")

    @property
    def rows_where(self) -> Where:
        """As `where`."""
        return self.where
