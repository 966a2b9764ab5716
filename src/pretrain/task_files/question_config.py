"""Config of the evaluation tasks in files: where question, choices and gold answer are, and what the model is shown."""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from pretrain.config import Config, Location
from pretrain.task_files.item_config import EvalTaskFile, Key, Where
from pretrain.task_files.template import TextKey, parse_template, parse_text_key

# Names of the harness's task files and of the artifact's: no dots, which lead to folders or suffixes there.
TASK_NAME = r"^[A-Za-z0-9_][A-Za-z0-9_-]*$"


def _checked_template(text: str) -> str:
    parse_template(text)
    return text


def _checked_key(text: str) -> str:
    parse_text_key(text)
    return text


Template = Annotated[str, AfterValidator(_checked_template)]
TransformedKey = Annotated[str, Field(min_length=1), AfterValidator(_checked_key)]


class FileTask(Config):
    """What the kinds of tasks in files share. A row is a question; keys have dots into mappings (`choices.text`)."""

    name: str = Field(pattern=TASK_NAME, description="Name of the task, in results and in what decontaminate finds")
    path: Annotated[str, Location()] = Field(
        min_length=1,
        description="File, folder or glob of JSON Lines, JSON, CSV, TSV or Parquet, relative to the recipe's folder; "
        ".gz, .zst, .bz2 and .xz are read too",
    )
    prompt: Template = Field(
        description="What is shown, with keys in braces: 'Question: {question}\\nAnswer:'. {{ and }} are braces. "
        "After a key: |strip, |capitalize, |lower_first, |without_end_mark"
    )
    values: dict[Key, dict[str, str]] = Field(
        default={},
        description="Other words for the values of a key of the prompt: {question: {cause: because}}",
    )
    delimiter: str = Field(default=" ", description="Between the prompt and what is scored after it")
    where: Where = Field(default={}, description="Which rows are questions: value, or list of them, by key")
    id: Key | None = Field(
        default=None,
        description="Key of a question's id; rows of one id are one question. null: the number of the row, from 0",
    )
    question: Key | tuple[Key, ...] | None = Field(
        default=None,
        description="Keys of what decontaminate looks for as the question; null: those of the prompt, but not of "
        "`values`",
    )
    num_fewshot: int | None = Field(
        default=None, ge=0, description="Solved questions shown before each; null: eval.num_fewshot"
    )
    fewshot_path: Annotated[str | None, Location()] = Field(
        default=None,
        min_length=1,
        description="File of the solved questions, of which the first are shown. null: rows of `path`, chosen by "
        "hash of seed and id, that are then not scored",
    )
    fewshot_where: Where = Field(default={}, description="As `where`, for `fewshot_path`")
    limit: int | None = Field(
        default=None, ge=1, description="Questions at most, chosen by hash of seed and id; null: eval.limit"
    )

    @model_validator(mode="after")
    def _keys_go_together(self) -> Self:
        unknown = [key for key in self.values if key not in self.prompt_keys]
        if unknown:
            raise ValueError(f"values has words for {unknown[0]}, which the prompt does not name")
        if self.fewshot_where and self.fewshot_path is None:
            raise ValueError("fewshot_where chooses rows of fewshot_path; name that too (it may be the file of path)")
        return self

    @property
    def pieces(self) -> tuple[str | TextKey, ...]:
        """The prompt in pieces: text and keys."""
        return parse_template(self.prompt)

    @property
    def prompt_keys(self) -> tuple[str, ...]:
        """The distinct keys of the prompt in order."""
        return tuple(dict.fromkeys(piece.key for piece in self.pieces if isinstance(piece, TextKey)))

    @property
    def question_keys(self) -> tuple[str, ...]:
        """The keys that make the question's own text."""
        if self.question is None:
            return tuple(key for key in self.prompt_keys if key not in self.values)
        return (self.question,) if isinstance(self.question, str) else self.question

    def _items(self, *fields: tuple[str, ...], **changes: Any) -> EvalTaskFile:
        common = {"name": self.name, "path": self.path, "id": self.id, "where": self.where}
        return EvalTaskFile.model_validate({**common, "fields": fields, **changes})


class MultipleChoiceFile(FileTask):
    """Questions with choices, scored by the log-likelihood of each choice after the prompt.

    With `blank`, the choices fill the gap in the prompt and what follows the gap is scored after each: partial
    evaluation (Trinh & Le 2018, arXiv:1806.02847), as WinoGrande is scored.
    """

    kind: Literal["multiple_choice"]
    choices: TransformedKey | Annotated[tuple[TransformedKey, ...], Field(min_length=2)] | None = Field(
        default=None, description="Key of the list of choices (of a mapping: its keys), or a key for each choice"
    )
    fixed_choices: Annotated[tuple[Key, ...], Field(min_length=2)] | None = Field(
        default=None,
        description='Choices that are the same for all questions, ["no", "yes"], instead of `choices`',
    )
    answer: Key | Annotated[int, Field(ge=0)] = Field(
        description="Key of the gold answer; a number is the index, from 0, of the right choice of every question"
    )
    answer_is: Literal["index", "text", "flags"] = Field(
        default="index",
        description="What is at `answer`: the index of the choice from 0, its text, or a list of 0 and 1",
    )
    labels: Key | tuple[Key, ...] | None = Field(
        default=None,
        description="Where the answer is a label such as A or 1: the key of the list of labels, or the list itself",
    )
    blank: str | None = Field(default=None, min_length=1, description="The gap in the prompt, `_` in WinoGrande")
    drop_empty_choices: bool = Field(
        default=False, description="Leave out wrong choices without text (TruthfulQA has one), instead of an error"
    )
    clean: Literal["wikihow"] | None = Field(
        default=None,
        description="wikihow: `[title]` becomes a full stop, other [marks] and double spaces go, in prompt and choices "
        "(HellaSwag in lm-evaluation-harness)",
    )

    @model_validator(mode="after")
    def _answer_is_clear(self) -> Self:
        if (self.choices is None) == (self.fixed_choices is None):
            raise ValueError("give either choices (keys) or fixed_choices (texts)")
        if self.labels is not None and (self.answer_is != "index" or isinstance(self.answer, int)):
            raise ValueError("labels say what the answer is; leave answer_is out, and let answer be a key")
        if not self.question_keys and self.choices is None:
            raise ValueError("all questions are the same: neither prompt nor choices name a key ({question})")
        return self

    @property
    def choice_keys(self) -> tuple[TextKey, ...]:
        """The keys of the choices; none where they are fixed."""
        keys = (self.choices,) if isinstance(self.choices, str) else self.choices or ()
        return tuple(map(parse_text_key, keys))

    def searched(self) -> EvalTaskFile:
        """What decontaminate looks for: the question alone and with each choice, a gap filled with each choice."""
        question = self.question_keys
        choices = tuple(key for key, _ in self.choice_keys)
        if self.blank is not None and choices:
            return self._items(question, blank=self.blank, blank_fields=choices)
        if not question:
            return self._items(*((key,) for key in choices))
        return self._items(question, *((*question, key) for key in choices))


class ContinuationFile(FileTask):
    """Texts of which the end is scored after the rest: LAMBADA."""

    kind: Literal["continuation"]
    target: TransformedKey | None = Field(
        default=None, description="Key of what is scored; null: the last word of the prompt, after its last space"
    )

    @model_validator(mode="after")
    def _texts_differ(self) -> Self:
        if not self.question_keys:
            raise ValueError("the prompt names no key: give it one in braces ({text})")
        return self

    @property
    def target_key(self) -> TextKey | None:
        """The key of the target, None where it is the last word of the prompt."""
        return None if self.target is None else parse_text_key(self.target)

    def searched(self) -> EvalTaskFile:
        """What decontaminate looks for: the whole text."""
        target = () if self.target_key is None else (self.target_key.key,)
        return self._items((*self.question_keys, *target))


AnyFileTask = MultipleChoiceFile | ContinuationFile
