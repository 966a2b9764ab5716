"""What is evaluated, and how: the part of the recipe that the stage `eval` reads."""

from typing import Literal

from pydantic import Field, field_validator, model_validator

from pretrain.config import Config

VERSION = 1

TaskName = Literal["continuation_choice", "bits_per_byte"]


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

    tasks: tuple[TaskName, ...] = Field(
        default=("continuation_choice", "bits_per_byte"),
        min_length=1,
        description="What to evaluate",
    )
    baselines: tuple[Literal["init"], ...] = Field(
        default=("init",),
        description="Models scored beside the trained one: what training began from",
    )
    num_fewshot: int = Field(
        default=0,
        ge=0,
        description="Solved questions shown before each, from documents of their own",
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
    def _named_once(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(names)) != len(names):
            raise ValueError("a name is given twice; name each once")
        return names

    @model_validator(mode="after")
    def _fewshot_has_a_task(self) -> "EvalConfig":
        if self.num_fewshot and "continuation_choice" not in self.tasks:
            raise ValueError(
                f"num_fewshot is {self.num_fewshot}, but no task of {list(self.tasks)} has questions to show"
            )
        return self
