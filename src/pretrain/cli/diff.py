"""`pretrain diff A B`: what differs between two artifacts of a stage, down to the documents."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from pretrain.cli.common import (
    DEFAULT_STORE,
    JsonOption,
    StoreOption,
    console,
    errors_end_the_command,
    print_json,
    shown_number,
)

if TYPE_CHECKING:
    from pretrain.difference import Difference, PartDifferences, ValueDifference, VocabularyDifferences
    from pretrain.document_difference import DocumentDifferences, Lone

LimitOption = Annotated[int, typer.Option(min=0, metavar="N", help="How many documents of each kind to name.")]
_MAX_VALUE_CHARS = 30
_MAX_FIELD_CHARS = 40
_FINGERPRINT_CHARS = 12


def diff_command(
    a: Annotated[str, typer.Argument(metavar="A", help="STAGE/FINGERPRINT; a unique beginning is enough.")],
    b: Annotated[str, typer.Argument(metavar="B", help="Another artifact of the same stage.")],
    limit: LimitOption = 10,
    store: StoreOption = DEFAULT_STORE,
    as_json: JsonOption = False,
) -> None:
    """Show what differs between two artifacts of a stage: config, inputs, stats, documents or parts.

    Exit code 0 whether or not they differ: a difference is not a failure.
    """
    from pretrain.catalog import find_artifact
    from pretrain.difference import difference
    from pretrain.store import open_store

    with errors_end_the_command():
        place = open_store(store)
        found = difference(find_artifact(place, a), find_artifact(place, b), limit)
    if as_json:
        print_json(found.to_json())
    else:
        _print(found, limit)


def _print(found: "Difference", limit: int) -> None:
    console().print(f"A  {found.a}\nB  {found.b}", markup=False)
    if found.is_equal:
        console().print(f"equal: the same config, inputs, stats and all {found.parts.num_equal:,} parts")
        return
    _print_values("config", found.config)
    _print_values("inputs", found.inputs, _FINGERPRINT_CHARS)
    _print_values("stats", found.stats)
    if not found.parts:
        console().print(f"[bold]parts[/]\n  all {found.parts.num_equal:,} are equal")
        return
    _print_parts(found.parts, limit)
    if found.vocabulary is not None:
        _print_vocabulary(found.vocabulary)
    if found.documents is not None:
        _print_documents(found.documents)


def _print_values(title: str, differing: "Sequence[ValueDifference]", max_chars: int = _MAX_VALUE_CHARS) -> None:
    if not differing:
        return
    table = Table(title, "A", "B", box=None, padding=(0, 0, 0, 2), pad_edge=True)
    for entry in differing:
        sides = (_shown(entry.values[side], max_chars) if side in entry.values else "(absent)" for side in ("a", "b"))
        table.add_row(Text(entry.name), *(Text(side) for side in sides))
    console().print(table)


def _shown(value: Any, max_chars: int) -> str:
    text = shown_number(value) if isinstance(value, float) else str(value)
    return text if len(text) <= max_chars else f"{text[:max_chars]}…"


def _print_parts(parts: "PartDifferences", limit: int) -> None:
    console().print(f"[bold]parts[/]\n  equal: {parts.num_equal:,}")
    kinds = {"only in A": parts.only_in_a, "only in B": parts.only_in_b, "other content": parts.other_content}
    for title, paths in kinds.items():
        if paths:
            _print_line(f"{title}: {len(paths):,}", 2)
            _print_first(paths[:limit], len(paths))


def _print_vocabulary(vocabulary: "VocabularyDifferences") -> None:
    console().print("[bold]vocabulary[/]")
    for title, tokens in (("only in A", vocabulary.only_in_a), ("only in B", vocabulary.only_in_b)):
        _print_line(f"{title}: {tokens.count:,}", 2)
        _print_first([repr(token) for token in tokens.first], tokens.count)
    _print_line(f"in both with another id: {vocabulary.num_other_id:,}", 2)


def _print_documents(documents: "DocumentDifferences") -> None:
    console().print(f"[bold]documents[/]  {documents.num_a:,} in A, {documents.num_b:,} in B")
    kinds = (documents.only_in_a, documents.only_in_b, documents.other_text, documents.other_fields)
    if not any(kind.count for kind in (*kinds, documents.other_split)):
        _print_line("the same in all fields; their order, or the cut of the parts, differs", 2)
        return
    _print_lone("only in A", documents.only_in_a, "B")
    _print_lone("only in B", documents.only_in_b, "A")
    if documents.other_text.count:
        _print_line(f"other text: {documents.other_text.count:,}", 2)
        for text in documents.other_text.first:
            _print_line(f"{text.id}  {text.source}", 4)
            _print_line(f"A  {text.excerpt_a}\n      B  {text.excerpt_b}", 6)
        _print_more(len(documents.other_text.first), documents.other_text.count)
    if documents.other_fields.count:
        _print_line(f"other fields: {documents.other_fields.count:,}", 2)
        for fields in documents.other_fields.first:
            _print_line(f"{fields.id}  {fields.source}", 4)
            for name, value in fields.a.items():
                _print_line(f"{name}  {_shown_field(value)} -> {_shown_field(fields.b[name])}", 6)
        _print_more(len(documents.other_fields.first), documents.other_fields.count)
    if documents.other_split.count:
        _print_line(f"other split: {documents.other_split.count:,}", 2)
        for moved in documents.other_split.first:
            _print_line(f"{moved.id}  {moved.source}  {moved.split_a} -> {moved.split_b}", 4)
            _print_line(moved.excerpt, 6)
        _print_more(len(documents.other_split.first), documents.other_split.count)


def _shown_field(value: str | None) -> str:
    if value is None:
        return "(none)"
    return value if len(value) <= _MAX_FIELD_CHARS else f"{value[: _MAX_FIELD_CHARS - 1]}…"


def _print_lone(title: str, documents: "Lone", other: str) -> None:
    if not documents.count:
        return
    dropped = {**documents.by_reason, "not in its ledger": documents.count - sum(documents.by_reason.values())}
    why = ", ".join(f"{reason} {count:,}" for reason, count in dropped.items() if count)
    _print_line(f"{title}: {documents.count:,}{f' ({other}: {why})' if documents.by_reason else ''}", 2)
    for document in documents.first:
        numbers = {"value": document.value, "threshold": document.threshold}
        measured = "".join(f", {name} {shown_number(v)}" for name, v in numbers.items() if v is not None)
        why = f"  {other} dropped it: {document.reason}{measured}" if document.reason else ""
        _print_line(f"{document.id}  {document.source}{why}", 4)
        _print_line(document.excerpt, 6)
    _print_more(len(documents.first), documents.count)


def _print_first(lines: "Sequence[str]", count: int) -> None:
    for line in lines:
        _print_line(line, 4)
    _print_more(len(lines), count)


def _print_more(num_shown: int, count: int) -> None:
    if num_shown < count:
        _print_line(f"… and {count - num_shown:,} more", 4)


def _print_line(text: str, indent: int) -> None:
    console().print(f"{' ' * indent}{text}", markup=False)
