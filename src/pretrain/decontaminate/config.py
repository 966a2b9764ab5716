"""Config of the stage `decontaminate`."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Discriminator, Field, Tag, field_validator, model_validator

from pretrain.config import Config
from pretrain.errors import RecipeError
from pretrain.task_files.item_config import TaskFile

VERSION: int = 1

Fraction = Annotated[float, Field(ge=0, le=1)]


def _tag(task: Any) -> str:
    return "eval" if isinstance(task, str) else "file"


def _as_list(tasks: Any) -> Any:
    return [tasks] if isinstance(tasks, str) else tasks


SearchedTask = Annotated[
    Annotated[TaskFile, Tag("file")] | Annotated[Literal["eval"], Tag("eval")], Discriminator(_tag)
]


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

    tasks: Annotated[tuple[SearchedTask, ...], BeforeValidator(_as_list)] = Field(
        min_length=1, description="The evaluation tasks; `eval` stands for all that `eval.tasks` binds to files"
    )
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
    def _named_once(cls, tasks: tuple[SearchedTask, ...]) -> tuple[SearchedTask, ...]:
        names = [task if isinstance(task, str) else task.name for task in tasks]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"more than one task has the name {', '.join(repeated)}; name each once")
        return tasks

    @model_validator(mode="after")
    def _words_fit(self) -> Self:
        own = ((task.name, task.min_words) for task in self.tasks if isinstance(task, TaskFile))
        for key, value in (("min_words", self.min_words), *own):
            if value is not None and value > self.ngram:
                raise ValueError(f"min_words is {value} ({key}), more than the {self.ngram} words of an n-gram")
        return self

    @property
    def reads_eval(self) -> bool:
        """Whether `tasks` names `eval`."""
        return "eval" in self.tasks

    @property
    def task_files(self) -> tuple[TaskFile, ...]:
        """The tasks, all of them files.

        Raises:
            RecipeError: `eval` stands among them; `with_eval_tasks` takes its place.
        """
        if self.reads_eval:
            raise RecipeError("decontaminate.tasks names eval: take the config of a whole recipe, which has eval.tasks")
        return tuple(task for task in self.tasks if isinstance(task, TaskFile))

    def with_eval_tasks(self, bound: Sequence[TaskFile]) -> "DecontaminateConfig":
        """This config with `bound` in the place of `eval`.

        Raises:
            ValidationError: two tasks have one name.
        """
        tasks = [each for task in self.tasks for each in (bound if task == "eval" else [task])]
        return DecontaminateConfig(**{**dict(self), "tasks": tuple(tasks)})

    def least_words(self, task: TaskFile) -> int:
        """The fewest words of a passage of `task` that is looked for."""
        return self.min_words if task.min_words is None else task.min_words
