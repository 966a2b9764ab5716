"""Rows of evaluation files as questions: the texts that a model is shown and scored on."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from pretrain.errors import InputError
from pretrain.external import ExternalFile
from pretrain.task_files.item_config import Where
from pretrain.task_files.question_config import AnyFileTask, ContinuationFile, FileTask, MultipleChoiceFile
from pretrain.task_files.rows import read_all_rows
from pretrain.task_files.template import TextKey
from pretrain.task_files.values import found_at, is_selected, values_at

# One question as plain values: `id`, and by kind and `blank`
#   {context, choices, answer}: which choice follows the context; answer counts from 0
#   {contexts, continuation, answer}: after which of the contexts the continuation stands
#   {context, target}: the target follows the context, its own white space in front
Question = dict[str, Any]

_SHOWN_CHARS = 80


def read_questions(task: AnyFileTask, files: Sequence[ExternalFile], where: Where | None = None) -> list[Question]:
    """The questions of a task in order of the files and rows; rows of one id are one question.

    Args:
        task: the task.
        files: of `task.path`, or of `task.fewshot_path`.
        where: which rows are questions; None: `task.where`.

    Raises:
        InputError: a file cannot be read, no row is a question, or a row does not have what the task says.
    """
    where = task.where if where is None else where
    questions: dict[str, Question] = {}
    num_rows = 0
    for number, row in enumerate(read_all_rows(files)):
        num_rows += 1
        if not is_selected(row, where):
            continue
        question = _BoundRow(task, number, row).question()
        if questions.setdefault(question["id"], question) != question:
            raise InputError(
                f"eval.tasks: row {number} of the task {task.name} has the id {question['id']!r} of an earlier row, "
                f"but makes another question; correct id ({task.id}), or leave it out"
            )
    if not questions:
        raise _no_question(task, files, num_rows, where)
    return list(questions.values())


def check_first_question(task: AnyFileTask, files: Sequence[ExternalFile], where: Where | None = None) -> None:
    """Sees that the first question is what the task says: a wrong key is told before anything is computed.

    Raises:
        InputError: as `read_questions`, of the rows up to the first question.
    """
    where = task.where if where is None else where
    number = -1
    for number, row in enumerate(read_all_rows(files)):
        if is_selected(row, where):
            _BoundRow(task, number, row).question()
            return
    raise _no_question(task, files, number + 1, where)


def _no_question(task: AnyFileTask, files: Sequence[ExternalFile], num_rows: int, where: Where) -> InputError:
    wanted = f" with {', '.join(f'{key}: {value}' for key, value in where.items())}" if where else ""
    return InputError(
        f"eval.tasks: the task {task.name} has no question: {', '.join(file.location for file in files)} has "
        f"{num_rows} rows, none{wanted}; correct path or where"
    )


class _BoundRow:
    """One row, read as a task says; what it lacks is an error that names task, row, key and value."""

    def __init__(self, task: AnyFileTask, number: int, row: Mapping[str, Any]) -> None:
        self.task, self.number, self.row = task, number, row

    def question(self) -> Question:
        identifier = str(self.number) if self.task.id is None else self._text(TextKey(self.task.id), "id")
        if isinstance(self.task, ContinuationFile):
            return {"id": identifier, **self._continuation(self.task)}
        return {"id": identifier, **self._choice(self.task)}

    def _choice(self, task: MultipleChoiceFile) -> Question:
        choices = self._choices(task)
        answer = self._answer(task, choices)
        prompt = self._prompt(task)
        if task.clean == "wikihow":
            prompt, choices = _without_wikihow_marks(prompt), [_without_wikihow_marks(choice) for choice in choices]
        choices, answer = self._filled(task, choices, answer)
        if task.blank is None:
            return {"context": prompt, "choices": choices, "answer": answer}
        before, gap, after = prompt.partition(task.blank)
        if not gap or task.blank in after or not after.strip():
            raise self._wrong(
                "prompt", prompt, f"it needs one gap {task.blank!r} (blank) with text after it, which is what is scored"
            )
        # As in lm-evaluation-harness: white space after the gap gives way to the delimiter.
        continuation = task.delimiter + after.strip()
        return {"contexts": [before + choice for choice in choices], "continuation": continuation, "answer": answer}

    def _filled(self, task: MultipleChoiceFile, choices: Sequence[str], answer: int) -> tuple[list[str], int]:
        """The choices that have text, and the place of the answer among them."""
        kept = [at for at, choice in enumerate(choices) if choice.strip()]
        empty = [at for at in range(len(choices)) if at not in kept]
        if empty and not (task.drop_empty_choices and answer in kept and len(kept) > 1):
            problem = (
                f"choice {empty[0]} is empty, so that nothing could be scored; correct the file, leave the row out"
            )
            raise self._wrong("choices", choices, f"{problem} (where), or set drop_empty_choices, if it is a wrong one")
        return [choices[at] for at in kept], kept.index(answer)

    def _continuation(self, task: ContinuationFile) -> Question:
        prompt = self._prompt(task)
        if task.target_key is not None:
            context, space, target = prompt, task.delimiter, self._text(task.target_key, "target")
        else:
            context, space, target = prompt.rstrip().rpartition(" ")
        if not target or not context:
            raise self._wrong(
                "prompt",
                prompt,
                "there is no last word, or no target, after other text, so that nothing could be scored",
            )
        return {"context": context, "target": space + target}

    def _prompt(self, task: FileTask) -> str:
        return "".join(piece if isinstance(piece, str) else self._prompt_text(task, piece) for piece in task.pieces)

    def _prompt_text(self, task: FileTask, piece: TextKey) -> str:
        words = task.values.get(piece.key)
        if words is None:
            return self._text(piece, "prompt")
        value = self._text(TextKey(piece.key), "prompt")
        if value not in words:
            raise self._wrong(piece.key, value, f"values has words for {', '.join(words)} only; add this one")
        return piece.transformed(words[value])

    def _text(self, key: TextKey, use: str) -> str:
        texts = values_at(self.row, key.key)
        if len(texts) != 1:
            problem = f"{use} takes one text there, not {len(texts)}; the row has {', '.join(map(str, self.row))}"
            raise self._wrong(key.key, found_at(self.row, key.key), problem)
        return key.transformed(texts[0])

    def _choices(self, task: MultipleChoiceFile) -> list[str]:
        if task.fixed_choices is not None:
            return list(task.fixed_choices)
        if len(task.choice_keys) > 1:
            return [self._text(key, "choices") for key in task.choice_keys]
        [key] = task.choice_keys
        found = found_at(self.row, key.key)
        values = list(found[0]) if len(found) == 1 and isinstance(found[0], (list, tuple, Mapping)) else found
        if len(values) < 2 or not all(_is_text(value) for value in values):
            problem = f"choices takes two texts or more there; the row has {', '.join(map(str, self.row))}"
            raise self._wrong(key.key, found, problem)
        return [key.transformed(str(value)) for value in values]

    def _answer(self, task: MultipleChoiceFile, choices: Sequence[str]) -> int:
        if isinstance(task.answer, int):
            index = task.answer
            shown: Any = index
        else:
            shown = found_at(self.row, task.answer)
            index = (
                self._flagged(task, shown, len(choices))
                if task.answer_is == "flags"
                else self._named(task, shown, choices)
            )
        if not 0 <= index < len(choices):
            allowed = f"there are {len(choices)} choices, so that 0 to {len(choices) - 1} is allowed"
            hint = "give labels, if it counts from 1 or is a letter" if task.labels is None else "correct the file"
            raise self._wrong("answer" if isinstance(task.answer, int) else task.answer, shown, f"{allowed}; {hint}")
        return index

    def _named(self, task: MultipleChoiceFile, found: Sequence[Any], choices: Sequence[str]) -> int:
        key = str(task.answer)
        value = str(found[0]) if len(found) == 1 and (_is_text(found[0]) or isinstance(found[0], bool)) else None
        if value is None:
            raise self._wrong(key, found, f"answer takes one value there; the row has {', '.join(map(str, self.row))}")
        if task.labels is None and task.answer_is == "index":
            if isinstance(found[0], bool):
                return int(found[0])
            if not re.fullmatch(r"-?\d+", value.strip()):
                raise self._wrong(key, value, "it is no index; give labels where it is a letter, or answer_is: text")
            return int(value)
        names = choices if task.labels is None else self._labels(task)
        if value not in names:
            what = "choices" if task.labels is None else "labels"
            raise self._wrong(key, value, f"it is none of the {what} {list(names)}; correct answer, {what} or the file")
        return names.index(value)

    def _labels(self, task: MultipleChoiceFile) -> Sequence[str]:
        if isinstance(task.labels, str):
            return values_at(self.row, task.labels)
        return task.labels or ()

    def _flagged(self, task: MultipleChoiceFile, found: Sequence[Any], num_choices: int) -> int:
        [value] = found if len(found) == 1 else [found]
        flags = list(value.values()) if isinstance(value, Mapping) else value
        right = [at for at, flag in enumerate(flags) if flag in (1, True)] if isinstance(flags, (list, tuple)) else []
        if len(right) != 1:
            raise self._wrong(str(task.answer), found, f"answer_is: flags takes a list with one 1, not {len(right)}")
        if len(flags) != num_choices:
            raise self._wrong(str(task.answer), found, f"there are {len(flags)} flags for {num_choices} choices")
        return right[0]

    def _wrong(self, key: str, value: Any, problem: str) -> InputError:
        shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
        shown = "nothing" if value == [] else shown
        shown = shown if len(shown) <= _SHOWN_CHARS else shown[: _SHOWN_CHARS - 1] + "…"
        return InputError(f"eval.tasks: row {self.number} of the task {self.task.name} has {shown} at {key}: {problem}")


def _is_text(value: Any) -> bool:
    return isinstance(value, (str, int, float)) and not isinstance(value, bool)


def _without_wikihow_marks(text: str) -> str:
    """The text as lm-evaluation-harness 0.4 cleans HellaSwag's: the marks come from the pages of WikiHow."""
    text = text.strip().replace(" [title]", ". ")
    return re.sub(r"\[.*?\]", "", text).replace("  ", " ")
