"""Evaluation items and the passages of text that stand for them."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pretrain.errors import InputError
from pretrain.external import ExternalFile
from pretrain.task_files.item_config import TaskFile
from pretrain.task_files.rows import read_all_rows
from pretrain.task_files.values import is_selected, values_at


class Item(NamedTuple):
    """One evaluation item: its id, unique in its task, and the passages that are looked for."""

    id: str
    passages: tuple[str, ...]


def read_items(task: TaskFile, files: Sequence[ExternalFile]) -> list[Item]:
    """The items of a task in order of first appearance, each with its distinct passages.

    Raises:
        InputError: a file cannot be read, no row has one of the fields, or a row lacks the id.
    """
    passages: dict[str, dict[str, None]] = {}
    unseen = dict.fromkeys(map(_shown, task.fields))
    num_rows = 0
    for number, row in enumerate(read_all_rows(files)):
        num_rows += 1
        if not is_selected(row, task.rows_where):
            continue
        found = passages.setdefault(_id_of(task, row, number), {})
        for entry in task.fields:
            for text in _passages(task, entry, row):
                unseen.pop(_shown(entry), None)
                found[text] = None
    if unseen:
        raise InputError(
            f"{task.stated_in}: none of the {num_rows} rows of the task {task.name} has a text at "
            f"{', '.join(unseen)}; correct its fields"
        )
    return [Item(name, tuple(texts)) for name, texts in passages.items()]


def _passages(task: TaskFile, entry: str | tuple[str, ...], row: Mapping[str, Any]) -> Iterator[str]:
    keys = (entry,) if isinstance(entry, str) else entry
    for texts in itertools.product(*(values_at(row, key) for key in keys)):
        passage = " ".join(texts)
        if task.blank is not None and task.blank in passage:
            for filling in (text for key in task.blank_fields for text in values_at(row, key)):
                yield passage.replace(task.blank, filling)
        else:
            yield passage


def _id_of(task: TaskFile, row: Mapping[str, Any], number: int) -> str:
    if task.id is None:
        return str(number)
    values = values_at(row, task.id)
    if len(values) != 1:
        raise InputError(
            f"{task.stated_in}: row {number} of the task {task.name} has {len(values)} values at its id "
            f"{task.id}, not one; correct id, or leave it out"
        )
    return values[0]


def _shown(entry: str | tuple[str, ...]) -> str:
    return entry if isinstance(entry, str) else "[" + ", ".join(entry) + "]"
