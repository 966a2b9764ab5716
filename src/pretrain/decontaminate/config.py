"""Config of the stage `decontaminate`."""

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from pretrain.config import Config, Location

VERSION: int = 1

Fraction = Annotated[float, Field(ge=0, le=1)]
Key = Annotated[str, Field(min_length=1)]


class TaskFile(Config):
    """The items of one evaluation task, in files of JSON Lines, JSON, CSV, TSV or Parquet.

    A row is an item. Each entry of `fields` gives passages of it, that are looked for on their own: a key, with
    dots into mappings (`choices.text`), or a list of keys, whose values are joined by a space in every
    combination (`[question, choices.text]`: the question with each choice). A list gives each of its values, a
    mapping its keys.
    """

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


class CutConfig(Config):
    """How `action: cut` takes spans out. Defaults: GPT-3 (Brown et al. 2020, arXiv:2005.14165, appendix C)."""

    margin_chars: int = Field(
        default=200, ge=0, description="Characters that go on either side of a span, to the end of the word there"
    )
    min_piece_chars: int = Field(
        default=200, ge=1, description="Shorter pieces go; a document with none left is dropped"
    )
    max_pieces: int | None = Field(
        default=10, ge=1, description="A document that the cuts leave in more pieces is dropped; null: never"
    )


class DecontaminateConfig(Config):
    """Which evaluation items are looked for, what counts as found, and what happens then.

    Known definitions: GPT-3 (arXiv:2005.14165, appendix C) is `{action: cut}` and the rest by default: one
    shared 13-gram, passages of 8 to 12 words whole. PaLM (Chowdhery et al. 2022, arXiv:2204.02311, section 8)
    is `{ngram: 8, min_item_fraction: 0.7}`. Dolma (Soldaini et al. 2024, arXiv:2402.00159, appendix L) drops a
    document that shares a paragraph of more than 13 words: `{min_words: 13, min_item_fraction: 1.0}`
    is near it.
    """

    tasks: tuple[TaskFile, ...] = Field(min_length=1, description="The evaluation tasks")
    ngram: int = Field(default=13, ge=2, le=100, description="Words in an n-gram (GPT-3: 13)")
    min_words: int = Field(
        default=8,
        ge=1,
        description="Passages of fewer words than `ngram` are looked for whole, those of fewer than this not at all "
        "(GPT-3: 8)",
    )
    min_item_fraction: Fraction = Field(
        default=0.0,
        description="Share of a passage's distinct n-grams that a document must hold. 0: one is enough (PaLM: 0.7)",
    )
    min_document_fraction: Fraction = Field(
        default=0.0,
        description="Share of the document's words that must lie in found spans before it is dropped or cut; "
        "0: any (GPT-3)",
    )
    action: Literal["drop", "cut", "report"] = Field(
        default="drop", description="What happens to a contaminated document; report: it stays as it is"
    )
    cut: CutConfig = CutConfig()

    @field_validator("tasks")
    @classmethod
    def _named_once(cls, tasks: tuple[TaskFile, ...]) -> tuple[TaskFile, ...]:
        names = [task.name for task in tasks]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"more than one task has the name {', '.join(repeated)}; name each once")
        return tasks

    @model_validator(mode="after")
    def _words_fit(self) -> Self:
        for key, value in (("min_words", self.min_words), *((task.name, task.min_words) for task in self.tasks)):
            if value is not None and value > self.ngram:
                raise ValueError(f"min_words is {value} ({key}), more than the {self.ngram} words of an n-gram")
        return self

    def least_words(self, task: TaskFile) -> int:
        """The fewest words of a passage of `task` that is looked for."""
        return self.min_words if task.min_words is None else task.min_words
