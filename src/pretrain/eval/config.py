"""What is evaluated, and how: the part of the recipe that the stage `eval` reads."""

from typing import Annotated, Any, Literal, get_args

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from pretrain.config import Config
from pretrain.task_files.question_config import AnyFileTask, ContinuationFile, MultipleChoiceFile

VERSION = 1

TaskName = Literal["continuation_choice", "bits_per_byte"]


def _tag(task: Any) -> Any:
    if isinstance(task, str):
        return "built-in"
    return task.get("kind") if isinstance(task, dict) else getattr(task, "kind", None)


EvalTaskConfig = Annotated[
    Annotated[TaskName, Tag("built-in")]
    | Annotated[MultipleChoiceFile, Tag("multiple_choice")]
    | Annotated[ContinuationFile, Tag("continuation")],
    Discriminator(
        _tag,
        custom_error_type="eval_task",
        custom_error_message="a task is continuation_choice, bits_per_byte, or a mapping that binds files, with "
        "kind: multiple_choice or kind: continuation",
    ),
]


class ContinuationChoiceConfig(Config):
    """Multiple choice: which of several continuations belongs to the beginning of a document.

    The default lengths make about 120 tokens of a 4k English vocabulary: a question fits whole into the
    256 tokens of the demo's model.
    """

    num_questions: int = Field(
        default=200,
        ge=1,
        description="At most so many questions; one a document, fewer where documents are short",
    )
    context_chars: int = Field(
        default=240, ge=1, description="Characters at most of the beginning that is shown, cut between words"
    )
    continuation_chars: int = Field(
        default=120, ge=1, description="Characters at most of each continuation, cut between words"
    )
    num_choices: int = Field(
        default=4,
        ge=2,
        description="Continuations to choose from, 4 as in HellaSwag; chance is 1/num_choices",
    )


class BitsPerByteConfig(Config):
    """Compression of held-out documents: bits that the model needs for a byte of UTF-8 text."""

    num_documents: int = Field(default=200, ge=1, description="Validation documents at most, chosen by hash")
    document_chars: int = Field(
        default=2048,
        ge=1,
        description="Characters at most of the beginning of each document; bounds the time",
    )


class EvalConfig(Config):
    """The evaluation of the trained model and its baselines by lm-evaluation-harness."""

    tasks: tuple[EvalTaskConfig, ...] = Field(
        default=("continuation_choice", "bits_per_byte"),
        min_length=1,
        description="What to evaluate: tasks made from the validation split by name, tasks in files as mappings",
    )
    baselines: tuple[Literal["init"], ...] = Field(
        default=("init",),
        description="Models scored beside the trained one: what training began from",
    )
    num_fewshot: int = Field(
        default=0,
        ge=0,
        description="Solved questions shown before each, from documents or rows of their own",
    )
    limit: int | None = Field(
        default=None, ge=1, description="Questions and documents at most in every task; null takes all"
    )
    batch_size: int = Field(
        default=16,
        ge=1,
        description="Sequences a forward pass; counts, as it moves the last bits of scores",
    )
    max_length: int | None = Field(
        default=None,
        ge=2,
        description="Tokens a model sees at once; null takes its max_position_embeddings. Longer documents "
        "are scored in windows, longer contexts lose their beginning",
    )
    dtype: Literal["float32", "bfloat16"] = Field(
        default="float32", description="Precision of weights and arithmetic; float32 scores most exactly"
    )
    continuation_choice: ContinuationChoiceConfig = ContinuationChoiceConfig()
    bits_per_byte: BitsPerByteConfig = BitsPerByteConfig()

    @field_validator("tasks", "baselines")
    @classmethod
    def _named_once(cls, values: tuple[Any, ...]) -> tuple[Any, ...]:
        names = [value if isinstance(value, str) else value.name for value in values]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"{', '.join(repeated)} is given twice; name each once")
        return values

    @field_validator("tasks")
    @classmethod
    def _names_of_files_are_their_own(cls, tasks: tuple[EvalTaskConfig, ...]) -> tuple[EvalTaskConfig, ...]:
        for task in tasks:
            if not isinstance(task, str) and task.name in get_args(TaskName):
                raise ValueError(f"{task.name} is the name of a task made from the validation split; take another")
        return tasks

    @model_validator(mode="after")
    def _fewshot_has_a_task(self) -> "EvalConfig":
        if self.num_fewshot and "continuation_choice" not in self.tasks and not self.file_tasks:
            raise ValueError(
                f"num_fewshot is {self.num_fewshot}, but no task of {list(self.tasks)} has questions to show"
            )
        return self

    @model_validator(mode="after")
    def _fewshot_files_are_shown(self) -> "EvalConfig":
        for task in self.file_tasks:
            if task.fewshot_path is not None and not self.num_fewshot_of(task):
                raise ValueError(f"{task.name} has a fewshot_path, but shows none of it: set its num_fewshot")
        return self

    def num_fewshot_of(self, task: AnyFileTask) -> int:
        """Solved questions shown before each question of a task in files."""
        return self.num_fewshot if task.num_fewshot is None else task.num_fewshot

    @property
    def file_tasks(self) -> tuple[AnyFileTask, ...]:
        """The tasks that bind files."""
        return tuple(task for task in self.tasks if not isinstance(task, str))
